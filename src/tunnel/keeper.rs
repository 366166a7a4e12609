//! The keeper: owns the port and the connection behind it, for as long as the tunnel lasts.
//!
//! A lost connection is made again, with pauses that grow; meanwhile the port stays, and whoever comes is held for a
//! while. It ends when it is told to, with the cluster, or when the master shows another key than the pinned one.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    sync::{Notify, watch},
    task::JoinSet,
    time::Instant,
};

use super::{control, serve::serve};

/// The pauses between attempts to connect again: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A connection that lasted so long is a good one: the next attempt after it is made at once.
const GOOD: Duration = Duration::from_secs(30);

/// Passes on what comes from a guest and to it, until both sides are done.
pub type Carry = Box<dyn FnOnce(TcpStream) -> BoxFuture<'static, ()> + Send>;

/// Calls a port by a name or address as the far end sees it.
pub type Dial = Arc<dyn Fn(String, u16) -> BoxFuture<'static, anyhow::Result<Carry>> + Send + Sync>;

/// A connection to the master.
pub struct Connection {
    /// Calls ports by it.
    pub dial: Dial,
    /// Returns when it is lost.
    pub over: BoxFuture<'static, ()>,
    /// Where it leads, which may be another machine than before.
    pub master: ToldMaster,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It may come back.
    ForNow(String),
    /// It must not be tried again.
    ForGood(String),
}

/// How a keeper connects, and knows whether there is still something to connect to.
pub trait Way {
    /// Connects to the master.
    fn connect(&self) -> impl Future<Output = Result<Connection, Broken>>;

    /// Why the cluster is over; nothing while it lives, or where that cannot be told.
    fn end(&self) -> impl Future<Output = Option<String>>;

    /// The pause between two looks at the cluster.
    fn pace(&self) -> Duration;
}

/// Whether the port leads anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does.
    Connected,
    /// The connection is lost, and is being made again.
    Reconnecting,
}

/// The far end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldMaster {
    /// Its name in the network.
    pub host: String,
    /// Its address in the network.
    pub address: String,
    /// The cluster: `j-…`.
    pub cluster: String,
    /// The host that it is reached through.
    pub via: Option<String>,
}

/// A page of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldPage {
    /// Its name for `infra open`.
    pub name: String,
    /// What a browser asks for.
    pub url: String,
    /// Its port.
    pub port: u16,
    /// The path.
    pub path: String,
    /// Whether it is served with TLS.
    pub tls: bool,
}

/// What a keeper tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its process.
    pub process: u32,
    /// The account that the cluster is in.
    pub account: String,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Where its PAC file is.
    pub pac: String,
    /// When it began.
    pub since: String,
    /// Whether it is connected.
    pub state: State,
    /// Why not, where it is not.
    pub reason: Option<String>,
    /// How often the connection was made again.
    pub reconnects: u32,
    /// The far end.
    pub master: ToldMaster,
    /// The cluster's pages.
    pub pages: Vec<ToldPage>,
}

/// A tunnel's keeper, ready to be run.
pub struct Keeper<W> {
    /// How it connects.
    pub way: W,
    /// The port.
    pub listener: TcpListener,
    /// Where it is talked to.
    pub control: UnixListener,
    /// What it tells of itself.
    pub told: Told,
    /// The PAC file.
    pub pac: String,
    /// Tells what happens, a sentence each.
    pub log: Box<dyn Fn(&str) + Send + Sync>,
}

impl<W: Way> Keeper<W> {
    /// Keeps the tunnel until it ends, or `stop` does; returns why it ended, as a sentence.
    pub async fn keep(self, first: Connection, stop: impl Future<Output = String>) -> String {
        let Self { way, listener, control, told, pac, log } = self;
        let (line, lines) = watch::channel(None);
        let (told, tells) = watch::channel(told);
        let down = Arc::new(Notify::new());
        // They go with us.
        let mut helpers = JoinSet::new();
        helpers.spawn(serve(listener, lines, pac.into()));
        helpers.spawn(control::answer(control, tells, Arc::clone(&down)));
        let connected = stay_connected(&way, first, &line, &told, &*log);
        let reason = tokio::select! {
            reason = connected => reason,
            reason = cluster_ends(&way) => reason,
            () = down.notified() => "it was told to end".to_owned(),
            reason = stop => reason,
        };
        // The port is free, and nobody holds the connection any more.
        helpers.shutdown().await;
        reason
    }
}

async fn cluster_ends(way: &impl Way) -> String {
    loop {
        tokio::time::sleep(way.pace()).await;
        if let Some(reason) = way.end().await {
            return format!("the cluster ended: {reason}");
        }
    }
}

/// Connects again and again; returns only where that must end.
async fn stay_connected(
    way: &impl Way,
    first: Connection,
    line: &watch::Sender<Option<Dial>>,
    told: &watch::Sender<Told>,
    log: &(dyn Fn(&str) + Send + Sync),
) -> String {
    let mut connection = first;
    let mut pause = PAUSES.0;
    loop {
        let began = Instant::now();
        let Connection { dial, over, master } = connection;
        log(&format!("connected to {} ({})", master.host, master.address));
        told.send_modify(|told| {
            told.state = State::Connected;
            told.reason = None;
            told.master = master;
        });
        line.send_replace(Some(dial));
        over.await;
        line.send_replace(None);
        log("the connection was lost");
        told.send_modify(|told| {
            told.state = State::Reconnecting;
            told.reason = Some("the connection was lost".into());
        });
        if began.elapsed() >= GOOD {
            pause = PAUSES.0;
        }
        let mut said = String::new();
        connection = loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
            if let Some(reason) = way.end().await {
                return format!("the cluster ended: {reason}");
            }
            match way.connect().await {
                Ok(connection) => break connection,
                Err(Broken::ForGood(reason)) => return reason,
                Err(Broken::ForNow(reason)) => {
                    // One that stays the same is told once.
                    if reason != said {
                        log(&reason);
                        told.send_modify(|told| told.reason = Some(reason.clone()));
                        said = reason;
                    }
                }
            }
        };
        told.send_modify(|told| told.reconnects += 1);
    }
}
