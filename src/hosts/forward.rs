//! Ports of hosts, brought to this machine's loopback.
//!
//! The port here is our own: it is bound before anything is connected, on 127.0.0.1 and nothing else, and it is gone
//! with the process, however that ends. Behind it, ssh listens at a socket in a folder that only its owner can enter.
//! A command on the host that reads from us and says nothing keeps the connection in use; when we die it ends, and ssh
//! leaves after a minute without use.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::Context;
use openssh::{ForwardType, Session, Socket, Stdio};
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinSet,
};

use super::{Hosts, PATIENCE, lock};

impl Hosts {
    /// Runs a script of ours on a host, as root, and returns the lines that it printed.
    pub async fn ask(&self, host: &str, script: &str) -> anyhow::Result<Vec<String>> {
        let session = self.session(host, PATIENCE).await?;
        let session = session.get().context("the connection is gone")?;
        let mut lines = Vec::new();
        self.run(session, host, script, |line| lines.push(line.to_owned())).await?;
        Ok(lines)
    }

    /// Carries connections that `listener` accepts to `target`, an address and port as the host sees them, until the
    /// connection to the host is lost; after that it can be called again.
    pub async fn carry(&self, host: &str, listener: &TcpListener, target: (IpAddr, u16)) -> anyhow::Result<()> {
        let cell = self.session(host, PATIENCE).await?;
        let session = cell.get().context("the connection is gone")?;
        let lost = self.carry_over(session, listener, target).await;
        // The next call connects anew.
        lock(&self.shared.sessions).remove(host);
        lost.with_context(|| format!("{host}: its ports cannot be reached"))
    }

    async fn carry_over(&self, session: &Session, listener: &TcpListener, target: (IpAddr, u16)) -> anyhow::Result<()> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let socket = self.shared.sockets()?.join(format!("forward-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let listens = Socket::UnixSocket { path: socket.clone().into() };
        session.request_port_forward(ForwardType::Local, listens, target).await?;
        let mut leash = session.command("cat");
        leash.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut leash = leash.spawn().await?;
        let held = leash.stdin().take();
        let mut over = std::pin::pin!(leash.wait());
        let mut relays = JoinSet::new();
        loop {
            tokio::select! {
                // However it ended: nothing but the end of the connection ends it.
                _ = &mut over => break,
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        relays.spawn(relay(stream, socket.clone()));
                    }
                }
                // What has ended is forgotten.
                Some(_) = relays.join_next() => {}
            }
        }
        drop(held);
        Ok(())
    }
}

async fn relay(mut here: TcpStream, socket: PathBuf) {
    // An end that is closed in the middle is the other one's business: it sees the same.
    if let Ok(mut there) = UnixStream::connect(&socket).await {
        let _ = tokio::io::copy_bidirectional(&mut here, &mut there).await;
    }
}
