//! `infra users list`.

use clap::Args;
use serde_json::{Value, json};

use super::super::{Globals, load};
use crate::{
    error::{Failure, Result},
    spec::{Password, Person, Span, Spec, Sudo},
    ui,
};

/// Shows who is to have a login on which host, as the spec says. Asks nobody; `infra users audit` looks at the hosts.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra users list\n  infra users list bastion --json")]
pub struct List {
    /// Only this host.
    host: Option<String>,
    /// Prints JSON, with the keys' fingerprints.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self, globals: &Globals) -> Result {
        let Self { host, json } = self;
        let (_, spec) = load::as_deployed(globals)?;
        if let Some(wanted) = host.as_ref().filter(|wanted| !spec.hosts.contains_key(*wanted)) {
            let failure = Failure::new(format!("the stack has no host `{wanted}`"));
            return Err(match crate::spec::nearest(wanted, spec.hosts.keys().map(String::as_str)) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure,
            });
        }
        let people = people(&spec, host.as_deref());
        if json {
            let all: Vec<Value> = people.iter().map(|(host, person)| told(host, person)).collect();
            let text = serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?;
            ui::print(&format!("{text}\n"))?;
            return Ok(());
        }
        if people.is_empty() {
            ui::say("Nobody has a login, by the spec; `users: users.txt` on a host names a list of people.");
            return Ok(());
        }
        let headings = ["HOST", "LOGIN", "KEYS", "GROUPS", "SUDO", "PASSWORD", "EXPIRES", "LINE"];
        let rows: Vec<Vec<String>> = people.iter().map(|(host, person)| row(host, person)).collect();
        ui::print(&ui::table::render(&headings, &rows))?;
        Ok(())
    }
}

fn people<'a>(spec: &'a Spec, only: Option<&str>) -> Vec<(&'a str, &'a Person)> {
    let hosts = spec.hosts.iter().filter(|(name, _)| only.is_none_or(|only| only == name.as_str()));
    let users = hosts.filter_map(|(name, host)| Some((name.as_str(), host.users.as_ref()?)));
    users.flat_map(|(name, users)| users.people.iter().map(move |person| (name, person))).collect()
}

fn sudo(person: &Person) -> &'static str {
    match *person.sudo {
        Sudo::No => "no",
        Sudo::Password => "asks",
        Sudo::NoPassword => "no password",
    }
}

fn password(person: &Person) -> &'static str {
    match *person.password {
        Password::None => "none",
        Password::Hash(_) => "hash",
        Password::Secret(_) => "secret",
    }
}

fn place(span: &Span) -> String {
    format!("{}:{}", span.file, span.line)
}

fn row(host: &str, person: &Person) -> Vec<String> {
    let Person { login, keys, groups, sudo: _, shell: _, password: _, expires } = person;
    let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    vec![
        host.to_owned(),
        login.value.clone(),
        keys.len().to_string(),
        dash(groups.iter().map(|group| group.value.as_str()).collect::<Vec<_>>().join(",")),
        sudo(person).to_owned(),
        password(person).to_owned(),
        dash(expires.as_ref().map(|date| date.value.to_string()).unwrap_or_default()),
        place(&login.span),
    ]
}

fn told(host: &str, person: &Person) -> Value {
    let Person { login, keys, groups, sudo: _, shell, password: _, expires } = person;
    let key = |key: &crate::spec::Spanned<crate::credentials::public_key::PublicKey>| {
        json!({
            "fingerprint": key.fingerprint(), "algorithm": key.algorithm(), "comment": key.comment(),
            "line": place(&key.span),
        })
    };
    json!({
        "host": host,
        "login": login.value,
        "keys": keys.iter().map(key).collect::<Vec<_>>(),
        "groups": groups.iter().map(|group| group.value.as_str()).collect::<Vec<_>>(),
        "shell": shell.value,
        "sudo": sudo(person),
        "password": password(person),
        "expires": expires.as_ref().map(|date| date.value.to_string()),
        "line": place(&login.span),
    })
}
