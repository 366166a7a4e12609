//! Talking to a keeper: a word on a line at its socket, which only its owner can reach, answered by a line of JSON.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Notify, watch},
};

use super::Told;

/// Bytes of an answer that are read at most.
const MOST: u64 = 1024 * 1024;

/// Asks the keeper that listens at `socket`; nothing where none answers in time.
pub async fn ask<T: DeserializeOwned>(socket: &Path, word: &str, patience: Duration) -> Option<T> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await.ok()?;
        stream.write_all(format!("{word}\n").as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.take(MOST).read_to_string(&mut answer).await.ok()?;
        serde_json::from_str(&answer).ok()
    };
    tokio::time::timeout(patience, exchange).await.ok().flatten()
}

/// Listens at `socket`.
pub fn listen(socket: &Path) -> anyhow::Result<UnixListener> {
    UnixListener::bind(socket).with_context(|| format!("cannot listen at {}", socket.display()))
}

/// Answers whoever asks, for as long as it is polled; `down` is told on.
pub(super) async fn answer(listener: UnixListener, told: watch::Receiver<Told>, down: Arc<Notify>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (told, down) = (told.borrow().clone(), Arc::clone(&down));
        tokio::spawn(async move {
            let exchange = async {
                let mut stream = BufReader::new(stream);
                let mut word = String::new();
                (&mut stream).take(64).read_line(&mut word).await?;
                let answer = match word.trim() {
                    "status" => serde_json::to_string(&told)?,
                    "down" => "true".to_owned(),
                    _ => "null".to_owned(),
                };
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await?;
                if word.trim() == "down" {
                    down.notify_one();
                }
                anyhow::Ok(())
            };
            // One that asks and says nothing is not waited for.
            let _ = tokio::time::timeout(Duration::from_secs(5), exchange).await;
        });
    }
}
