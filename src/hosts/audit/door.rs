//! How sshd lets people in, from what it says itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::{Facts, sshd::blocks};

/// What sshd itself says that it does; nothing where it said nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Door {
    /// Whether a password opens it, by either of the methods that ask for one.
    pub password_login: Option<bool>,
    /// `PermitRootLogin`: `no`, `prohibit-password`, …
    pub root_login: Option<String>,
    /// Whether a key opens it.
    pub key_login: Option<bool>,
}

/// What sshd answered: for everybody, for a somebody, and for those who were asked about by name.
struct Answers<'a>(Vec<(Option<&'a str>, &'a BTreeMap<String, String>)>);

impl<'a> Answers<'a> {
    fn of(facts: &'a Facts) -> Self {
        let named = facts.sshd_logins.iter().map(|(login, options)| (Some(login.as_str()), options));
        Self([(None, &facts.sshd), (None, &facts.sshd_user)].into_iter().chain(named).collect())
    }

    fn of_option(&self, name: &str) -> impl Iterator<Item = (Option<&'a str>, &'a str)> {
        self.0.iter().filter_map(move |(login, options)| Some((*login, options.get(name)?.as_str())))
    }

    /// Whether anybody gets a yes: a `Match` block may open what is closed to others, and the more open answer counts.
    fn yes(&self, name: &str) -> Option<bool> {
        let mut told = self.of_option(name).peekable();
        told.peek().is_some().then(|| told.any(|(_, value)| value == "yes"))
    }

    /// The first answer that is not a usual one.
    fn other(&self, name: &str, usual: &[&str]) -> Option<&'a str> {
        self.of_option(name).map(|(_, value)| value).find(|value| !usual.contains(value))
    }

    /// ` for ana`, where only some of those who were asked about have what is not usual; otherwise nothing.
    fn whom(&self, name: &str, usual: &[&str]) -> String {
        let named = self.of_option(name).filter_map(|(login, value)| Some((login?, value)));
        let (as_usual, those): (Vec<_>, Vec<_>) = named.partition(|(_, value)| usual.contains(value));
        match &those[..] {
            [] => String::new(),
            _ if as_usual.is_empty() => String::new(),
            [(one, _)] => format!(" for {one}"),
            [(one, _), (other, _)] => format!(" for {one} and {other}"),
            [(one, _), others @ ..] => format!(" for {one} and {} others", others.len()),
        }
    }
}

/// How sshd lets people in, and what is unusual about that.
pub(super) fn door(facts: &Facts) -> (Door, Vec<String>) {
    let answers = Answers::of(facts);
    let yes = |name| answers.yes(name);
    // OpenSSH before 8.7 calls it by its old name; without PAM nobody is there to ask.
    let interactive = yes("kbdinteractiveauthentication").or(yes("challengeresponseauthentication"));
    let interactive = interactive.map(|on| on && yes("usepam") != Some(false));
    let root = answers.other("permitrootlogin", &["no"]).map(str::to_owned);
    let root = root.or_else(|| facts.sshd.get("permitrootlogin").cloned());
    let sshd = Door {
        password_login: yes("passwordauthentication").map(|on| on || interactive == Some(true)),
        key_login: yes("pubkeyauthentication"),
        root_login: root,
    };
    let mut unusual = Vec::new();
    if facts.unconfirmed {
        unusual.push("a change that could lock us out was not confirmed; the host is about to undo it".to_owned());
    }
    if sshd.password_login.is_none() {
        unusual.push("sshd does not say what it does: `sshd -T` fails".to_owned());
    }
    if yes("passwordauthentication") == Some(true) {
        let whom = answers.whom("passwordauthentication", &["no"]);
        unusual.push(format!("sshd takes passwords{whom} (PasswordAuthentication yes)"));
    } else if interactive == Some(true) {
        unusual.push("sshd takes passwords, by PAM (KbdInteractiveAuthentication yes)".to_owned());
    }
    if let Some(value) = sshd.root_login.as_ref().filter(|value| *value != "no") {
        unusual.push(format!("root may log in itself (PermitRootLogin {value})"));
    }
    if yes("permitemptypasswords") == Some(true) {
        unusual.push("sshd takes empty passwords (PermitEmptyPasswords yes)".to_owned());
    }
    if yes("hostbasedauthentication") == Some(true) {
        unusual.push("other hosts vouch for their users (HostbasedAuthentication yes)".to_owned());
    }
    // Where keys may come from that are not listed here.
    let files = [".ssh/authorized_keys", "%h/.ssh/authorized_keys"];
    for (name, usual, shown) in [
        ("authorizedkeysfile", &files[..], "AuthorizedKeysFile"),
        ("authorizedkeyscommand", &["none"], "AuthorizedKeysCommand"),
        ("trustedusercakeys", &["none"], "TrustedUserCAKeys"),
    ] {
        if let Some(value) = answers.other(name, usual) {
            let whom = answers.whom(name, usual);
            unusual
                .push(format!("keys come from elsewhere too{whom}, and those are not listed here ({shown} {value})"));
        }
    }
    let blocks = blocks(&facts.sshd_files);
    if !blocks.is_empty() {
        let blocks = blocks.join(", ");
        unusual.push(format!("a `Match` block that infra's file is not read before may open more ({blocks})"));
    }
    (sshd, unusual)
}
