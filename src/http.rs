//! Enough of HTTP to ask one question of this machine's own ports: the local cloud's daemon, and pages of hosts that are
//! forwarded to here. No other address is ever asked.

use std::{fmt::Write, net::SocketAddr, time::Duration};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Bytes of an answer that are read at most.
const MOST: u64 = 4 * 1024 * 1024;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status: 200.
    pub status: u16,
    /// What came after the headers; of more than 4 MiB, the beginning.
    pub body: String,
}

/// Asks `address` for `path`, and waits for the whole answer, `patience` at most.
pub async fn get(address: SocketAddr, path: &str, patience: Duration) -> anyhow::Result<Answer> {
    ask(address, "GET", path, "", patience).await
}

/// Sends `body`, which is JSON, to `path` at `address`, and waits for the whole answer, `patience` at most.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    patience: Duration,
) -> anyhow::Result<Answer> {
    ensure!(address.ip().is_loopback(), "{address} is not on this machine");
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        ask_over(stream, &address.to_string(), method, path, body).await
    };
    let answer = tokio::time::timeout(patience, exchange).await;
    answer.map_err(|_| anyhow::anyhow!("no answer within {} s", patience.as_secs()))?
}

/// The same on a connection that is made already, to whoever calls itself `host`; the caller has the patience.
pub async fn ask_over(
    mut stream: TcpStream,
    host: &str,
    method: &str,
    path: &str,
    body: &str,
) -> anyhow::Result<Answer> {
    // In this version of HTTP the answer ends with the connection.
    let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\n");
    if !body.is_empty() {
        let length = body.len();
        let _ = write!(request, "Content-Type: application/json\r\nContent-Length: {length}\r\n");
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    read(&String::from_utf8_lossy(&answer))
}

fn read(answer: &str) -> anyhow::Result<Answer> {
    ensure!(!answer.is_empty(), "the connection was closed without an answer");
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { bail!("the answer is not HTTP") };
    ensure!(head.starts_with("HTTP/1."), "the answer is not HTTP");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("the answer has no status")?;
    Ok(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers one request with `text`, and returns what it was asked.
    async fn server(text: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            String::from_utf8(asked[..length].to_vec()).unwrap()
        });
        (address, asked)
    }

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn an_answer_has_a_status_and_a_body() {
        let (address, asked) = server("HTTP/1.0 503 Slow down\r\nA: b\r\n\r\nlater\r\n\r\n").await;
        let answer = get(address, "/health?x=1", PATIENCE).await.unwrap();
        assert_eq!(answer, Answer { status: 503, body: "later\r\n\r\n".into() });
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("GET /health?x=1 HTTP/1.0\r\n") && asked.ends_with("\r\n\r\n"), "{asked:?}");
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error() {
        for (text, said) in [("", "without an answer"), ("SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"), ("HTTP/1.1 x", "HTTP")]
        {
            let (address, _asked) = server(text).await;
            let error = get(address, "/", PATIENCE).await.unwrap_err().to_string();
            assert!(error.contains(said), "{text:?}: {error}");
        }
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = get(silent.local_addr().unwrap(), "/", Duration::from_millis(50)).await.unwrap_err();
        assert!(error.to_string().contains("no answer"), "{error}");
    }

    #[tokio::test]
    async fn no_other_machine_is_asked() {
        let error = get("192.0.2.1:80".parse().unwrap(), "/", PATIENCE).await.unwrap_err();
        assert!(error.to_string().contains("not on this machine"), "{error}");
    }
}
