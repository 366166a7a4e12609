//! `infra open`.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use super::{
    Globals, pages,
    pages::Page,
    reach::{Reach, stopped},
};
use crate::{
    error::{Failure, Result},
    hosts::{self, Hosts},
    http,
    stacks::services::{AIRFLOW_PASSWORD_FILE, Health},
    ui,
};

/// Opens a page of a host here, through SSH: luigi's, Airflow's. Ctrl-C closes it again.
///
/// The page is at 127.0.0.1 and nowhere else; nothing is opened on the host or in its security group. Its address is
/// the only thing on stdout.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra open luigi
  infra open airflow --no-browser --port 9090
  infra open luigi --status")]
pub struct Open {
    /// The page: `luigi`, `airflow`; may be left out where there is only one.
    name: Option<String>,
    /// The host, where several have such a page.
    #[arg(long, value_name = "HOST")]
    on: Option<String>,
    /// The port here; by default the page's own, or a free one where that is taken.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Starts no browser.
    #[arg(long)]
    no_browser: bool,
    /// Asks once whether the service works, and says so: exits with 0 if it does, with 1 and the reason if not.
    #[arg(long, conflicts_with_all = ["port", "no_browser"])]
    status: bool,
}

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(10);

/// The pauses between questions, while a service starts.
const PAUSE: Duration = Duration::from_millis(300);

impl Open {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { name, on, port, no_browser, status } = self;
        let reach = Reach::open(globals).await?;
        let page = choose(&reach, name.as_deref(), on.as_deref())?;
        reach.locate(&page.host).await?;
        let done = if status { tell(&reach, &page).await } else { show(&reach, &page, port, !no_browser).await };
        reach.hosts().close().await;
        done
    }
}

/// The page that was named, or else the only one.
fn choose(reach: &Reach, name: Option<&str>, on: Option<&str>) -> Result<Page> {
    if let Some(host) = on {
        reach.choose(Some(host))?;
    }
    let all = pages::of(&reach.session.spec);
    let listed = all.iter().map(|page| format!("{} (on {})", page.name, page.host)).collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        let failure = Failure::new("no host of the stack has a page");
        return Err(failure.hint("services have one: `services: { luigi: {} }`"));
    }
    let fits = |page: &&Page| name.is_none_or(|name| page.name == name) && on.is_none_or(|host| page.host == host);
    match all.iter().filter(fits).collect::<Vec<_>>()[..] {
        [page] => Ok(page.clone()),
        [] => {
            let asked = name.unwrap_or_default();
            let failure = Failure::new(match on {
                Some(host) => format!("{host} has no page `{asked}`"),
                None => format!("the stack has no page `{asked}`"),
            });
            let names: Vec<String> = all.iter().map(|page| page.name.to_owned()).collect();
            Err(match crate::spec::nearest(asked, names.iter().map(String::as_str)) {
                Some(near) if near != asked => failure.hint(format!("did you mean `{near}`? There are: {listed}")),
                _ => failure.hint(format!("there are: {listed}")),
            })
        }
        _ => Err(Failure::new("there are several pages: name one")
            .hint(format!("there are: {listed}; `--on` names the host"))),
    }
}

/// Where the host's services listen.
async fn listens_at(reach: &Reach, page: &Page) -> Result<IpAddr> {
    let host = &page.host;
    let lines = reach.hosts().ask(host, pages::ADDRESS).await.map_err(|error| reach.explain(error))?;
    let address = lines.iter().find_map(|line| line.strip_prefix("INFRA_ADDRESS=")?.parse().ok());
    address.ok_or_else(|| {
        let flags = reach.session.flags();
        Failure::new(format!("{} is not set up on {host}", page.name)).hint(format!("`infra{flags} apply` does that"))
    })
}

/// `--status`.
async fn tell(reach: &Reach, page: &Page) -> Result {
    let target = (listens_at(reach, page).await?, page.port);
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")?;
    let here = listener.local_addr().context("the port cannot be told")?;
    let answer = tokio::select! {
        carried = reach.hosts().carry(&page.host, &listener, target) => {
            carried.map_err(|error| reach.explain(error))?;
            Err("the connection was lost".to_owned())
        }
        answer = healthy(here, &page.health) => answer,
    };
    let Page { name, host, .. } = page;
    match answer {
        Ok(took) => {
            ui::print(&format!("{name} on {host}: healthy (200, {} ms)\n", took.as_millis()))?;
            Ok(())
        }
        Err(reason) => {
            ui::print(&format!("{name} on {host}: not healthy ({reason})\n"))?;
            for line in reach.hosts().ask(host, &page.state_script()).await.map_err(|error| reach.explain(error))? {
                ui::say(&format!("  {}", pages::shown(&line)));
            }
            Err(Failure::ended(1))
        }
    }
}

/// Asks a service once; how long it took, or what is wrong.
async fn healthy(here: SocketAddr, health: &Health) -> std::result::Result<Duration, String> {
    let began = Instant::now();
    let answer = http::get(here, health.path, QUESTION).await.map_err(|error| format!("{error:#}"))?;
    match health.judge(answer.status, &answer.body) {
        None => Ok(began.elapsed()),
        Some(reason) => Err(reason),
    }
}

async fn show(reach: &Reach, page: &Page, port: Option<u16>, browser: bool) -> Result {
    // Caught from now on: what was opened is closed first.
    let mut stop = std::pin::pin!(stopped()?);
    let listener = listen(page, port).await?;
    let here = listener.local_addr().context("the port cannot be told")?;
    let target = tokio::select! {
        target = listens_at(reach, page) => (target?, page.port),
        () = &mut stop => return Ok(()),
    };
    tokio::select! {
        failed = carry(reach, page, &listener, target) => Err(failed),
        () = &mut stop => Ok(()),
        failed = present(reach, page, here, browser) => Err(failed),
    }
}

/// Our end: the page's own port, or another one where that is taken.
async fn listen(page: &Page, port: Option<u16>) -> Result<TcpListener> {
    let wanted = port.unwrap_or(page.port);
    let taken = match TcpListener::bind(("127.0.0.1", wanted)).await {
        Ok(listener) => return Ok(listener),
        Err(error) => error,
    };
    if port.is_some() {
        return Err(Failure::new(format!("cannot listen on 127.0.0.1:{wanted}: {taken}"))
            .hint("without --port, a free one is taken"));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")?;
    let other = listener.local_addr().context("the port cannot be told")?.port();
    ui::say(&format!("Port {wanted} is taken here; {} is at {other} instead.", page.name));
    Ok(listener)
}

/// Keeps the way to the host open; comes back with what is wrong when it cannot.
async fn carry(reach: &Reach, page: &Page, listener: &TcpListener, target: (IpAddr, u16)) -> Failure {
    let hosts: &Hosts = reach.hosts();
    loop {
        if let Err(error) = hosts.carry(&page.host, listener, target).await {
            return reach.explain(error);
        }
        ui::say(&format!("The connection to {} was lost; connecting again.", page.host));
    }
}

/// Waits until the page works, tells where it is, and stays; comes back only where it does not work.
async fn present(reach: &Reach, page: &Page, here: SocketAddr, browser: bool) -> Failure {
    let Page { name, host, health, path, .. } = page;
    let deadline = Instant::now() + health.within;
    let mut waiting = false;
    let wrong = loop {
        match healthy(here, health).await {
            Ok(_) => break None,
            Err(reason) if Instant::now() >= deadline => break Some(reason),
            Err(reason) => {
                if !waiting {
                    ui::say(&format!("Waiting for {name} on {host} ({reason}) …"));
                    waiting = true;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    if let Some(reason) = wrong {
        let answers = http::get(here, path, QUESTION).await.is_ok_and(|answer| answer.status < 400);
        let status = format!("`infra{} open {name} --on {host} --status` says more", reach.session.flags());
        if !answers {
            return Failure::new(format!("{name} on {host} does not work: {reason}")).hint(status);
        }
        ui::say(&format!(
            "warning: the page of {name} answers, but {name} does not work as it should: {reason}; {status}"
        ));
    }
    let url = format!("http://{here}{path}");
    if let Err(error) = ui::print(&format!("{url}\n")) {
        return error.into();
    }
    if *name == "airflow" {
        let flags = reach.session.flags();
        ui::say(&format!(
            "Log in as `{}`; the password: infra{flags} ssh {host} -- sudo cat {AIRFLOW_PASSWORD_FILE}",
            page.login.as_deref().unwrap_or("admin")
        ));
    }
    ui::say(&format!("{name} on {host} is open here until Ctrl-C."));
    if browser && hosts::has_display() {
        hosts::show_page(&url);
    }
    std::future::pending().await
}
