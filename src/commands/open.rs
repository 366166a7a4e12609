//! `infra open`: a host's page; a cluster's is opened by `open_cluster`.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use super::{
    Globals, load, open_cluster,
    open_cluster::Wish,
    open_report, pages,
    pages::Page,
    reach::{Reach, stopped},
};
use crate::{
    error::{Failure, Result},
    hosts::{self, Hosts},
    http,
    spec::nearest,
    stacks::services::{AIRFLOW_PASSWORD_FILE, Health},
    ui,
};

/// Opens a page here, through SSH: a host's (luigi's, Airflow's), or one of the cluster's (zeppelin, spark, yarn, ganglia,
/// hdfs, livy, hue and others, as far as the cluster has them), or the newest report of a pipeline.
///
/// A host's page is at 127.0.0.1 and nowhere else, until Ctrl-C. A cluster's page opens in a browser with a profile of
/// its own, through `infra tunnel`, which is opened first where it is not: no plug-in, and links between the cluster's
/// machines work. With --forward it is at 127.0.0.1 like a host's, for any browser. Nothing is opened on a host or in
/// its security group. The page's address is the only thing on stdout.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra open luigi
  infra open airflow --no-browser --port 9090
  infra open luigi --status
  infra open spark
  infra open zeppelin --forward
  infra open report")]
pub struct Open {
    /// The page: `luigi`, `airflow`, `spark`, `yarn`, …, or `report`; may be left out where the stack has only one.
    name: Option<String>,
    /// The host, where several have such a page.
    #[arg(long, value_name = "HOST")]
    on: Option<String>,
    /// Brings a page of the cluster to a port here, without the tunnel; host's pages always are.
    #[arg(long)]
    forward: bool,
    /// The port here; by default the page's own, or a free one where that is taken.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Starts no browser.
    #[arg(long)]
    no_browser: bool,
    /// Asks whether the service works, and says so: exits with 0 if it does, with 1 and the reason if not. One that was
    /// started a moment ago is given the time that it takes.
    #[arg(long, conflicts_with_all = ["port", "no_browser"])]
    status: bool,
}

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(10);

/// The pauses between questions, while a service starts.
const PAUSE: Duration = Duration::from_millis(300);

impl Open {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { name, on, forward, port, no_browser, status } = self;
        if name.as_deref() == Some(open_report::NAME) && on.is_none() {
            if forward || port.is_some() || status {
                return Err(Failure::new("a report is a file: it has no port and no state")
                    .hint("`infra open report` opens it, `infra pipeline report` makes it anew"));
            }
            return Box::pin(open_report::open(globals, !no_browser)).await;
        }
        if let Some(name) = name.as_ref().filter(|_| on.is_none()) {
            let (_, spec) = load::as_deployed(globals)?;
            if open_cluster::by_spec(&spec).iter().any(|page| page.name == name) {
                let wish = Wish { name: name.clone(), forward, port, browser: !no_browser, status };
                return Box::pin(open_cluster::open(globals, wish)).await;
            }
            if let Some(failure) = open_cluster::missing(&spec, name) {
                return Err(failure);
            }
            let of_hosts = pages::of(&spec).iter().any(|page| page.name == name);
            if !of_hosts && nearest(name, [open_report::NAME]).is_some() {
                let failure = Failure::new(format!("the stack has no page `{name}`"));
                return Err(failure.hint(format!("did you mean `{}`?", open_report::NAME)));
            }
        }
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
    let of_cluster = open_cluster::by_spec(&reach.session.spec);
    let listed = all.iter().map(|page| format!("{} (on {})", page.name, page.host));
    let listed = listed.chain(of_cluster.iter().map(|page| format!("{} (of the cluster)", page.name)));
    let listed = listed.collect::<Vec<_>>().join(", ");
    if all.is_empty() && of_cluster.is_empty() {
        let failure = Failure::new("no host of the stack has a page");
        return Err(failure.hint("services have one: `services: { luigi: {} }`"));
    }
    let fits = |page: &&Page| name.is_none_or(|name| page.name == name) && on.is_none_or(|host| page.host == host);
    match all.iter().filter(fits).collect::<Vec<_>>()[..] {
        [page] if name.is_some() || on.is_some() || of_cluster.is_empty() => Ok(page.clone()),
        [] => {
            let asked = name.unwrap_or_default();
            let failure = Failure::new(match on {
                Some(host) => format!("{host} has no page `{asked}`"),
                None => format!("the stack has no page `{asked}`"),
            });
            if asked.is_empty() && on.is_none() {
                return Err(Failure::new("there are several pages: name one").hint(format!("there are: {listed}")));
            }
            let names = all.iter().map(|page| page.name).chain(of_cluster.iter().map(|page| page.name));
            Err(match nearest(asked, names) {
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
        answer = healthy_once_started(reach.hosts(), page, here) => answer.map_err(|error| reach.explain(error))?,
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

/// Asks a service until it works, for as long as it may still be starting.
async fn healthy_once_started(
    hosts: &Hosts,
    page: &Page,
    here: SocketAddr,
) -> anyhow::Result<std::result::Result<Duration, String>> {
    let mut deadline = None;
    loop {
        let reason = match healthy(here, &page.health).await {
            Ok(took) => return Ok(Ok(took)),
            Err(reason) => reason,
        };
        let deadline = if let Some(deadline) = deadline {
            deadline
        } else {
            let left = page.may_start_for(&hosts.ask(&page.host, &page.age_script()).await?);
            if !left.is_zero() {
                ui::say(&format!("Waiting for {} on {}, which was just started ({reason}) …", page.name, page.host));
            }
            *deadline.insert(Instant::now() + left)
        };
        if Instant::now() >= deadline {
            return Ok(Err(reason));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn show(reach: &Reach, page: &Page, port: Option<u16>, browser: bool) -> Result {
    // Caught from now on: what was opened is closed first.
    let mut stop = std::pin::pin!(stopped()?);
    let listener = listen(page.name, page.port, port).await?;
    let here = listener.local_addr().context("the port cannot be told")?;
    let target = tokio::select! {
        target = listens_at(reach, page) => (target?, page.port),
        () = &mut stop => return Ok(()),
    };
    tokio::select! {
        failed = carry(reach, &page.host, &listener, target) => Err(failed),
        () = &mut stop => Ok(()),
        failed = present(reach, page, here, browser) => Err(failed),
    }
}

/// Our end: the page's own port, or another one where that is taken.
pub(super) async fn listen(name: &str, usual: u16, port: Option<u16>) -> Result<TcpListener> {
    let wanted = port.unwrap_or(usual);
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
    ui::say(&format!("Port {wanted} is taken here; {name} is at {other} instead."));
    Ok(listener)
}

/// Keeps the way to the host open; comes back with what is wrong when it cannot.
pub(super) async fn carry(reach: &Reach, host: &str, listener: &TcpListener, target: (IpAddr, u16)) -> Failure {
    let hosts: &Hosts = reach.hosts();
    loop {
        if let Err(error) = hosts.carry(host, listener, target).await {
            return reach.explain(error);
        }
        ui::say(&format!("The connection to {host} was lost; connecting again."));
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
