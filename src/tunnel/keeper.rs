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

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    };

    use futures::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{super::socks, *};

    /// A way on this machine: each name leads to one port, until `cut`.
    struct Fake {
        far: u16,
        answers: Mutex<Vec<Broken>>,
        cut: Arc<Notify>,
        ended: Arc<AtomicBool>,
    }

    impl Fake {
        fn connection(&self) -> Connection {
            let (far, cut) = (self.far, Arc::clone(&self.cut));
            let dial: Dial = Arc::new(move |_, _| {
                async move {
                    let mut far = TcpStream::connect(("127.0.0.1", far)).await?;
                    let carry: Carry = Box::new(move |mut near| {
                        async move { drop(tokio::io::copy_bidirectional(&mut near, &mut far).await) }.boxed()
                    });
                    Ok(carry)
                }
                .boxed()
            });
            let master = ToldMaster { host: "master".into(), ..ToldMaster::default() };
            Connection { dial, over: async move { cut.notified().await }.boxed(), master }
        }
    }

    impl Way for Fake {
        async fn connect(&self) -> Result<Connection, Broken> {
            let next = self.answers.lock().unwrap().pop();
            next.map_or_else(|| Ok(self.connection()), Err)
        }

        async fn end(&self) -> Option<String> {
            self.ended.load(Ordering::Relaxed).then(|| "somebody terminated it".to_owned())
        }

        fn pace(&self) -> Duration {
            Duration::from_millis(50)
        }
    }

    /// A far end that greets whoever comes.
    async fn greeter() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(b"hello").await.unwrap();
            }
        });
        port
    }

    async fn greeting(port: u16) -> String {
        let mut stream = socks::connect(([127, 0, 0, 1], port).into(), "anywhere", 80).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    }

    /// A keeper at a port; `answers` are those of its attempts to connect again, the last first.
    async fn keeper(folder: &std::path::Path, answers: Vec<Broken>) -> (Keeper<Fake>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way =
            Fake { far: greeter().await, answers: Mutex::new(answers), cut: Arc::default(), ended: Arc::default() };
        let told = Told {
            process: 1,
            account: String::new(),
            port,
            pac: String::new(),
            since: String::new(),
            state: State::Connected,
            reason: None,
            reconnects: 0,
            master: ToldMaster::default(),
            pages: Vec::new(),
        };
        let control = control::listen(&folder.join("keeper")).unwrap();
        (Keeper { way, listener, control, told, pac: "pac".into(), log: Box::new(|_| {}) }, port)
    }

    #[tokio::test]
    async fn the_port_stays_while_the_connection_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("keeper");
        let (keeper, port) = keeper(folder.path(), vec![Broken::ForNow("nobody answers".into())]).await;
        let (cut, ended) = (Arc::clone(&keeper.way.cut), Arc::clone(&keeper.way.ended));
        let first = keeper.way.connection();
        let kept = keeper.keep(first, std::future::pending());
        let guest = async {
            assert_eq!(greeting(port).await, "hello");
            cut.notify_one();
            let status = || control::ask::<Told>(&socket, "status", Duration::from_secs(5));
            while status().await.unwrap().state == State::Connected {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            // Held until it is there again.
            assert_eq!(greeting(port).await, "hello");
            let told = status().await.unwrap();
            assert_eq!((told.state, told.reconnects, told.reason), (State::Connected, 1, None));
            ended.store(true, Ordering::Relaxed);
        };
        let (reason, ()) = tokio::join!(kept, guest);
        assert_eq!(reason, "the cluster ended: somebody terminated it");
        assert!(TcpListener::bind(("127.0.0.1", port)).await.is_ok(), "the port is free again");
    }

    #[tokio::test]
    async fn it_ends_when_it_is_told_to_and_where_nothing_else_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let (one, _) = keeper(folder.path(), Vec::new()).await;
        let first = one.way.connection();
        let socket = folder.path().join("keeper");
        let down = control::ask::<bool>(&socket, "down", Duration::from_secs(5));
        let (reason, told) = tokio::join!(one.keep(first, std::future::pending()), down);
        assert_eq!((reason.as_str(), told), ("it was told to end", Some(true)));

        let folder = tempfile::tempdir().unwrap();
        let (other, _) = keeper(folder.path(), vec![Broken::ForGood("another key".into())]).await;
        let first = other.way.connection();
        other.way.cut.notify_one();
        assert_eq!(other.keep(first, std::future::pending()).await, "another key");
    }
}
