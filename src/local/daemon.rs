//! Talking to the daemon on loopback.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::State;
use crate::{cloud::Target, http};

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

/// A cloud that somebody else started: its lag, the way to its hosts and their Python; nothing where it cannot tell.
pub(super) async fn told(endpoint: &str) -> Target {
    let status = request(endpoint, "GET", "status", "").await.unwrap_or_default();
    let lag = Duration::try_from_secs_f64(status["lag"].as_f64().unwrap_or_default()).unwrap_or_default();
    let of_hosts = |name: &str| status["hosts"][name].as_str().map(str::to_owned);
    let (gateway, python) = (of_hosts("gateway").map(PathBuf::from), of_hosts("python"));
    Target::Local { endpoint: endpoint.to_owned(), lag, gateway, python }
}

/// Where the hosts of a cloud find it.
pub(super) async fn from_hosts(endpoint: &str) -> Option<String> {
    let status = request(endpoint, "GET", "status", "").await.ok()?;
    Some(status["hosts"]["aws_endpoint"].as_str()?.to_owned())
}

/// Whether a cloud really runs the steps of clusters; nothing where it cannot tell.
pub(super) async fn runs_steps(endpoint: &str) -> Option<bool> {
    request(endpoint, "GET", "status", "").await.ok()?["spark"].as_bool()
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
