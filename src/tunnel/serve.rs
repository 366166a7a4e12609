//! Who comes to the port: browsers that speak SOCKS5, and those that fetch the PAC file.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{
    Dial, PAC_PATH,
    socks::{self, Reply},
};

/// How long somebody may take to say what they want.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long somebody is held who comes while the connection is lost.
const HOLD: Duration = Duration::from_secs(20);

/// Bytes of an HTTP request that are read at most.
const MOST: usize = 8 * 1024;

/// Serves whoever comes, for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, line: watch::Receiver<Option<Dial>>, pac: Arc<str>) {
    let mut guests = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(guests.spawn(welcome(stream, line.clone(), Arc::clone(&pac)))),
                // Too many files are open, say: some will be closed.
                Err(error) => {
                    tracing::debug!(%error, "nobody can come in");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            // Who has left is forgotten.
            Some(_) = guests.join_next() => {}
        }
    }
}

async fn welcome(stream: TcpStream, line: watch::Receiver<Option<Dial>>, pac: Arc<str>) {
    let mut first = [0];
    let spoke = tokio::time::timeout(PATIENCE, stream.peek(&mut first)).await;
    // One that leaves in the middle needs no answer.
    let _ = match (spoke, first) {
        (Ok(Ok(1..)), [socks::VERSION]) => guide(stream, line).await,
        (Ok(Ok(1..)), [b'G' | b'H']) => hand_out(stream, &pac).await,
        _ => Ok(()),
    };
}

/// Takes somebody to where they want to go.
async fn guide(mut stream: TcpStream, mut line: watch::Receiver<Option<Dial>>) -> std::io::Result<()> {
    let Ok(asked) = tokio::time::timeout(PATIENCE, socks::greet(&mut stream)).await else { return Ok(()) };
    let Some((host, port)) = asked? else { return Ok(()) };
    let dial = tokio::time::timeout(HOLD, line.wait_for(Option::is_some)).await;
    let dial = dial.ok().and_then(Result::ok).and_then(|line| line.clone());
    let Some(dial) = dial else { return socks::answer(&mut stream, Reply::NetworkUnreachable).await };
    match dial(host, port).await {
        Ok(carry) => {
            socks::answer(&mut stream, Reply::Granted).await?;
            carry(stream).await;
            Ok(())
        }
        Err(error) => {
            tracing::debug!(%error, "cannot be reached");
            socks::answer(&mut stream, Reply::Failed).await
        }
    }
}

/// Answers a request for the PAC file.
async fn hand_out(mut stream: TcpStream, pac: &str) -> std::io::Result<()> {
    let here = stream.local_addr()?;
    let mut asked = Vec::new();
    let read = async {
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") && asked.len() < MOST {
            if stream.read_buf(&mut asked).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    if tokio::time::timeout(PATIENCE, read).await.is_err() {
        return Ok(());
    }
    let (status, kind, body) = answer(&String::from_utf8_lossy(&asked), here, pac);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    if !asked.starts_with(b"HEAD ") {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

/// Status, type and text. A page elsewhere that had its own name point here is told nothing.
fn answer<'a>(asked: &str, here: SocketAddr, pac: &'a str) -> (&'static str, &'static str, &'a str) {
    let mut lines = asked.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ').skip(1);
    let path = words.next().unwrap_or_default();
    let host = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim().to_owned())
    });
    let own = [format!("127.0.0.1:{}", here.port()), format!("localhost:{}", here.port())];
    match host {
        Some(host) if !own.contains(&host) => ("403 Forbidden", "text/plain", "this is another machine's name\n"),
        _ if path.split('?').next() == Some(PAC_PATH) => ("200 OK", "application/x-ns-proxy-autoconfig", pac),
        _ => ("404 Not Found", "text/plain", "a SOCKS5 proxy; its PAC file is /proxy.pac\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pac_file_is_for_this_machine() {
        let here = "127.0.0.1:8157".parse().unwrap();
        let asked =
            |path: &str, host: &str| answer(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"), here, "pac");
        assert_eq!(asked("/proxy.pac", "127.0.0.1:8157").2, "pac");
        assert_eq!(asked("/proxy.pac?1", "localhost:8157").2, "pac");
        assert_eq!(asked("/", "127.0.0.1:8157").0, "404 Not Found");
        assert_eq!(asked("/proxy.pac", "evil.example:8157").0, "403 Forbidden");
    }
}
