//! `infra tunnel keep`: the process that keeps a tunnel open, in the background or in the foreground.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{
    super::{Globals, master::Master, reach::Reach, reach::stopped},
    Subject, far_end, network,
};
use crate::{
    cloud::Cloud,
    error::{Failure, Result},
    hosts::{ConnectError, ConnectFailure, Hosts},
    resources::cluster_end,
    tunnel::{
        self, Broken, Carry, Connection, Dial, Held, Keeper, PAC_PATH, Record, State, Told, ToldMaster, ToldPage, Way,
        control, pages, port,
    },
    ui,
};

/// Keeps the tunnel open.
#[derive(Args, Debug)]
pub struct Keep {
    #[arg(long)]
    port: Option<u16>,
}

/// What a keeper says, once, to whoever started it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// It is up.
    Up { told: Box<Told>, note: Option<String> },
    /// It is not.
    Failed { message: String, hints: Vec<String> },
}

/// The pause between two looks at a cluster on AWS. The local cloud's is looked at more often, as it lives faster.
const LOOK: Duration = Duration::from_secs(30);
const LOOK_LOCAL: Duration = Duration::from_secs(1);

impl Keep {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { port } = self;
        tunnel::detach();
        let report = |report: &Report| anyhow::Ok(ui::print(&format!("{}\n", serde_json::to_string(report)?))?);
        let stop = stopped()?;
        match Box::pin(begin(globals, port)).await {
            Ok(begun) => {
                // Who started us may be gone: `status` and `down` know of us all the same.
                report(&Report::Up { told: Box::new(begun.keeper.told.clone()), note: begun.note.clone() })?;
                let log = |text: &str| ui::say(&format!("{} {text}", jiff::Zoned::now().strftime("%F %T")));
                Box::pin(begun.keep(Box::new(log), stop.map(|()| "a signal ended it".to_owned()))).await?;
                Ok(())
            }
            Err(failure) => {
                report(&Report::Failed { message: failure.message.clone(), hints: failure.hints.clone() })?;
                Err(failure)
            }
        }
    }
}

/// `up --foreground`.
pub(super) async fn in_foreground(globals: &Globals, port: Option<u16>, flags: &str) -> Result {
    let mut stop = std::pin::pin!(stopped()?);
    let begun = tokio::select! {
        begun = Box::pin(begin(globals, port)) => begun?,
        () = &mut stop => return Err(Failure::cancelled("stopped; there is no tunnel")),
    };
    if let Some(note) = &begun.note {
        ui::say(&format!("Note: {note}."));
    }
    let told = &begun.keeper.told;
    ui::say(&format!("The tunnel is up, to {}, until Ctrl-C.", far_end(told)));
    super::up::tell(told, flags)?;
    let reason = Box::pin(begun.keep(Box::new(ui::say), stop.map(|()| String::new()))).await?;
    if reason.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("the tunnel ended: {reason}")))
}

/// A tunnel that is connected, and what must be kept with it.
struct Begun {
    keeper: Keeper<ToMaster>,
    first: Connection,
    note: Option<String>,
    folder: tunnel::Folder,
    hosts: Hosts,
    _held: Held,
}

impl Begun {
    async fn keep(self, log: Box<dyn Fn(&str) + Send + Sync>, stop: impl Future<Output = String>) -> Result<String> {
        let Self { keeper, first, note: _, folder, hosts, _held } = self;
        let log: Arc<dyn Fn(&str) + Send + Sync> = log.into();
        let tell = Arc::clone(&log);
        let keeper = Keeper { log: Box::new(move |text: &str| tell(text)), ..keeper };
        let reason = keeper.keep(first, stop).await;
        if !reason.is_empty() {
            log(&format!("the tunnel ends: {reason}"));
        }
        hosts.close().await;
        folder.end(if reason.is_empty() { "Ctrl-C ended it" } else { &reason })?;
        Ok(reason)
    }
}

/// Takes the port, connects, and is ready to be kept.
async fn begin(globals: &Globals, wanted: Option<u16>) -> Result<Begun> {
    let subject = Subject::of(globals)?;
    let flags = &subject.flags;
    let Some(held) = subject.folder.lock()? else {
        return Err(Failure::new("another tunnel of this stack is up, or starting")
            .hint(format!("`infra{flags} tunnel status` tells; `infra{flags} tunnel down` ends it")));
    };
    subject.folder.tidy().await;
    let taken = port::listen(wanted).await.map_err(|error| {
        Failure::new(format!("{error:#}")).hint("without --port, another one is taken where 8157 is not free")
    })?;
    let reach = Reach::open_to_stay(globals).await?;
    let hosts = reach.hosts().clone();
    let sockets = hosts.control_folder()?;
    let record = Record::own(sockets);
    subject.folder.record(&record)?;
    let control = control::listen(&record.control())?;
    let account = reach.session.cloud.names.account.clone();
    let pace = if reach.session.local { LOOK_LOCAL } else { LOOK };
    let (first, master) = match connect(&reach).await {
        Ok(connected) => connected,
        Err((failure, _)) => {
            hosts.close().await;
            subject.folder.end(&failure.message)?;
            return Err(failure);
        }
    };
    let told = Told {
        process: std::process::id(),
        account,
        port: taken.port,
        pac: format!("http://127.0.0.1:{}{PAC_PATH}", taken.port),
        since: jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string(),
        state: State::Connected,
        reason: None,
        reconnects: 0,
        master: first.master.clone(),
        pages: told_pages(&master),
    };
    let way =
        ToMaster { cloud: reach.session.cloud.clone(), reach: Mutex::new(reach), cluster: master.cluster.id, pace };
    let keeper = Keeper {
        way,
        listener: taken.listener,
        control,
        pac: tunnel::pac(&network(&subject.spec), taken.port),
        told,
        log: Box::new(|_| {}),
    };
    Ok(Begun { keeper, first, note: taken.note, folder: subject.folder, hosts, _held: held })
}

/// The pages that the cluster has.
fn told_pages(master: &Master) -> Vec<ToldPage> {
    let host = master.host();
    let cluster = &master.cluster;
    let pages = pages::of(&cluster.release, cluster.applications.iter().map(String::as_str));
    let told = pages.iter().map(|page| ToldPage {
        name: page.name.to_owned(),
        url: page.url(&host),
        port: page.port,
        path: page.path.to_owned(),
        tls: page.tls,
    });
    told.collect()
}

/// The way to the master of one cluster.
struct ToMaster {
    reach: Mutex<Reach>,
    cloud: Cloud,
    cluster: String,
    pace: Duration,
}

impl Way for ToMaster {
    async fn connect(&self) -> std::result::Result<Connection, Broken> {
        let mut reach = self.reach.lock().await;
        let began = Instant::now();
        // Where AWS cannot be asked, the hosts are where they were.
        if let Err(failure) = reach.look_again().await {
            tracing::debug!(failure.message, "looking again");
        }
        let connected = connect(&reach).await;
        tracing::debug!(took = ?began.elapsed(), "connecting again");
        match connected {
            Ok((connection, _)) => Ok(connection),
            Err((failure, true)) => Err(Broken::ForGood(failure.message)),
            Err((failure, false)) => Err(Broken::ForNow(failure.message)),
        }
    }

    async fn end(&self) -> Option<String> {
        match cluster_end(&self.cloud, &self.cluster).await {
            Ok(end) => end,
            Err(error) => {
                tracing::debug!(%error, "the cluster cannot be looked at");
                None
            }
        }
    }

    fn pace(&self) -> Duration {
        self.pace
    }
}

/// Connects to the master. A failure says whether it is for good.
async fn connect(reach: &Reach) -> std::result::Result<(Connection, Master), (Failure, bool)> {
    let master = reach.reach_master().await.map_err(|failure| (failure, false))?;
    let hosts = reach.hosts();
    let (line, over) = match hosts.line(master.name).await {
        Ok(line) => line,
        Err(error) => {
            // The outermost that does not let us in is the one that matters; which, ssh itself tells best.
            let error = diagnosed(reach, master.name).await.unwrap_or(error);
            let kind = error.chain().find_map(|cause| cause.downcast_ref()).map(|error: &ConnectError| error.kind);
            let for_good = matches!(kind, Some(ConnectFailure::ChangedKey | ConnectFailure::UnknownKey));
            return Err((reach.explain(error), for_good));
        }
    };
    let line = Arc::new(line);
    let dial: Dial = Arc::new(move |host, port| {
        let line = Arc::clone(&line);
        async move {
            let call = line.dial(&host, port).await?;
            let carry: Carry = Box::new(move |stream| call.carry(stream).boxed());
            Ok(carry)
        }
        .boxed()
    });
    let told = ToldMaster {
        host: master.host(),
        address: master.node.private_ip.clone().unwrap_or_default(),
        cluster: master.cluster.id.clone(),
        via: hosts.places().get(master.name).and_then(|place| place.via.clone()),
    };
    Ok((Connection { dial, over: over.boxed(), master: told }, master))
}

/// Which host on the way does not let us in, and why.
async fn diagnosed(reach: &Reach, host: &str) -> Option<anyhow::Error> {
    let hosts = reach.hosts();
    let way = hosts.way(None).ok()?;
    for host in reach.chain(host) {
        if let Some(error) = hosts.diagnose(&way, &host).await {
            return Some(error.into());
        }
    }
    None
}
