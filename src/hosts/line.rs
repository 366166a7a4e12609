//! A line: a connection to a host that stays, by which ports are dialled that the host can reach.
//!
//! `ssh -D` would do the same with a port of its own, which ssh opens only once it is connected and loses with the
//! connection. A line has no port: each call is a socket in a folder that only its owner can enter, so that whoever
//! listens for the user (`tunnel/`) keeps listening while a line is lost and made again. Names are resolved by the host.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context;
use openssh::{ForwardType, Session, Socket, Stdio};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    sync::OnceCell,
};

use super::{Hosts, PATIENCE, lock};

/// A connection to a host.
#[derive(Debug)]
pub struct Line {
    session: Held,
    sockets: PathBuf,
}

/// A session that is there.
#[derive(Clone, Debug)]
struct Held(Arc<OnceCell<Session>>);

impl Deref for Held {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.0.get().expect("a line is made of a session that is there")
    }
}

impl Hosts {
    /// A line to a host that is located, and what ends with it, however it ends.
    pub async fn line(&self, host: &str) -> anyhow::Result<(Line, impl Future<Output = ()> + Send + use<>)> {
        let session = Held(self.session(host, PATIENCE).await?);
        let sockets = self.shared.sockets()?;
        // Reads from us and says nothing: it keeps the connection in use for as long as we live, and ends with it.
        let mut leash = Session::to_command(session.clone(), "cat");
        leash.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut leash = leash.spawn().await.with_context(|| format!("{host}: cannot run a command"))?;
        let held = leash.stdin().take();
        let (hosts, host) = (self.clone(), host.to_owned());
        let over = async move {
            let _ = leash.wait().await;
            drop(held);
            // The next one connects anew.
            lock(&hosts.shared.sessions).remove(&host);
        };
        Ok((Line { session, sockets }, over))
    }

    /// The folder of this process's control sockets, which ssh keeps open if the process is killed.
    pub fn control_folder(&self) -> anyhow::Result<PathBuf> {
        self.shared.sockets()
    }
}

impl Line {
    /// Calls a port, by a name or address as the host sees it. That nobody answers there shows in that what comes back
    /// ends at once.
    pub async fn dial(self: &Arc<Self>, host: &str, port: u16) -> anyhow::Result<Call> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = self.sockets.join(format!("call-{number}"));
        let call = Call { line: Arc::clone(self), socket, target: (host.to_owned(), port), stream: None };
        self.session.request_port_forward(ForwardType::Local, call.listens(), call.far_end()).await?;
        let stream = UnixStream::connect(&call.socket).await.context("ssh does not listen")?;
        Ok(Call { stream: Some(stream), ..call })
    }
}

/// One connection by a line.
#[derive(Debug)]
pub struct Call {
    line: Arc<Line>,
    socket: PathBuf,
    target: (String, u16),
    stream: Option<UnixStream>,
}

impl Call {
    fn listens(&self) -> Socket<'_> {
        Socket::from(self.socket.as_path())
    }

    fn far_end(&self) -> Socket<'_> {
        Socket::new(self.target.0.as_str(), self.target.1)
    }

    /// Passes on what comes from either side until both are done.
    pub async fn carry(mut self, mut near: impl AsyncRead + AsyncWrite + Unpin) {
        if let Some(mut far) = self.stream.take() {
            // An end that is closed in the middle is the other one's business: it sees the same.
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
        self.hang_up().await;
    }

    /// Not before the end: ssh would take a socket away whose caller it has not seen yet.
    async fn hang_up(self) {
        let closed = self.line.session.close_port_forward(ForwardType::Local, self.listens(), self.far_end()).await;
        if let Err(error) = closed {
            tracing::debug!(%error, "the line is gone already");
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Ends the connections whose control sockets are in `folder`, left there by a process that was killed, and takes the
/// folder away.
pub async fn end_left_behind(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for socket in entries.map(|entry| entry.path().join("master")).filter(|socket| socket.exists()) {
        let mut command = tokio::process::Command::new("ssh");
        command.args(["-F", "/dev/null", "-O", "exit", "-S"]).arg(&socket).arg("any");
        let quiet = std::process::Stdio::null;
        // One that has ended by itself needs no telling.
        let _ = command.stdin(quiet()).stdout(quiet()).stderr(quiet()).status().await;
    }
    let _ = std::fs::remove_dir_all(folder);
}
