//! Talking to the daemon on loopback.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::State;
use crate::http;

/// Where the daemon says which process it is and where it listens.
pub(super) const FILE: &str = "daemon.json";

const PATIENCE: Duration = Duration::from_secs(10);

/// The daemon of this folder, if it runs: it must answer, and be the process that its file names.
pub(super) async fn find(home: &Path) -> Option<State> {
    let known: Value = serde_json::from_slice(&std::fs::read(home.join(FILE)).ok()?).ok()?;
    let endpoint = known["endpoint"].as_str()?;
    let status = request(endpoint, "GET", "status", "").await.ok()?;
    // The port may belong to another project's local cloud by now; its process is not the one that the file names.
    (status["pid"] == known["pid"] || status.get("pid").is_none()).then_some(())?;
    let mut told = known.clone();
    told.as_object_mut()?.extend(status.as_object()?.clone());
    State::try_from(told).ok()
}

/// How a cloud that somebody else started runs: its lag, and the way to its hosts; nothing where it cannot tell.
pub(super) async fn told(endpoint: &str) -> (Duration, Option<PathBuf>) {
    let status = request(endpoint, "GET", "status", "").await.unwrap_or_default();
    let lag = Duration::try_from_secs_f64(status["lag"].as_f64().unwrap_or_default()).unwrap_or_default();
    (lag, status["hosts"]["gateway"].as_str().map(PathBuf::from))
}

/// Tells the daemon something.
pub(super) async fn tell(home: &Path, path: &str, body: &Value) -> anyhow::Result<Value> {
    let state = find(home).await.context("the local cloud does not run")?;
    post(&state.endpoint, path, body).await
}

/// Tells a cloud at an endpoint something.
pub(super) async fn post(endpoint: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    request(endpoint, "POST", path, &body.to_string()).await
}

async fn request(endpoint: &str, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
    let address = endpoint.strip_prefix("http://").context("not an http address")?;
    let address: std::net::SocketAddr = address.parse().context("not an address and port")?;
    let path = format!("/infra-local/{path}");
    let answer = http::ask(address, method, &path, body, PATIENCE).await.context("the local cloud does not answer")?;
    let (status, body) = (answer.status, answer.body);
    ensure!(status == 200, "the local cloud answered {status}: {body}");
    serde_json::from_str(&body).context("the local cloud's answer is not JSON")
}
