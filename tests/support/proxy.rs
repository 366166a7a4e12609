//! A proxy between `infra` and the local cloud: counts calls, adds latency, and can kill a process at the n-th call.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

/// What passed through the proxy.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// How many requests were answered or are under way.
    pub calls: usize,
    /// The operations, in the order in which they came.
    pub sequence: Vec<String>,
    /// How many of each operation.
    pub operations: BTreeMap<String, usize>,
    /// When each request began and ended, from the first one's beginning.
    pub spans: Vec<(Duration, Duration)>,
}

impl Traffic {
    /// How many requests had to wait for another's answer, one after the other: the longest chain of spans of which
    /// each begins after the one before has ended.
    pub fn sequential(&self) -> usize {
        let mut spans = self.spans.clone();
        spans.sort_by_key(|(_, end)| *end);
        let (mut chain, mut free) = (0, Duration::ZERO);
        for (begin, end) in spans {
            if chain == 0 || begin >= free {
                chain += 1;
                free = end;
            }
        }
        chain
    }
}

struct State {
    silent: bool,
    silent_at: Option<&'static str>,
    cut_at: Option<&'static str>,
    traffic: Traffic,
    first: Option<Instant>,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    state: Arc<Mutex<State>>,
    reached: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the proxy does beside passing requests on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behaviour {
    /// Added before each answer.
    pub latency: Duration,
    /// From this call on (the first is 1) requests still reach the cloud but no answer comes back.
    pub silent_from: Option<usize>,
}

impl Proxy {
    /// Starts a proxy before `upstream`.
    pub async fn start(upstream: &str, behaviour: Behaviour) -> Self {
        let upstream: SocketAddr = upstream.trim_start_matches("http://").parse().expect("an address and port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound address"));
        let state = Arc::new(Mutex::new(State {
            silent: false,
            silent_at: None,
            cut_at: None,
            traffic: Traffic::default(),
            first: None,
        }));
        let reached = Arc::new(Notify::new());
        let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let (shared, notify) = (Arc::clone(&state), Arc::clone(&reached));
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (state, reached, client) = (Arc::clone(&shared), Arc::clone(&notify), client.clone());
                tokio::spawn(async move {
                    let serve = service_fn(move |request| {
                        pass(request, upstream, behaviour, client.clone(), Arc::clone(&state), Arc::clone(&reached))
                    });
                    // A client that was killed in the middle of a request is what these tests are about.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await;
                });
            }
        });
        Self { endpoint, state, reached, task }
    }

    /// Makes it silent as with [`Behaviour::silent_from`], from the first call of `operation` on.
    pub fn silence_at(&self, operation: &'static str) {
        self.state.lock().expect("no test panics while it holds this").silent_at = Some(operation);
    }

    /// Has requests of `operation` take effect in the cloud, and then breaks their connection off without an answer.
    pub fn cut_at(&self, operation: &'static str) {
        self.state.lock().expect("no test panics while it holds this").cut_at = Some(operation);
    }

    /// What has passed so far.
    pub fn traffic(&self) -> Traffic {
        self.state.lock().expect("no test panics while it holds this").traffic.clone()
    }

    /// Returns once the call from which the proxy is silent has taken effect in the cloud.
    pub async fn silenced(&self) {
        self.reached.notified().await;
    }
}

async fn pass(
    request: Request<Incoming>,
    upstream: SocketAddr,
    behaviour: Behaviour,
    client: Client<HttpConnector, Full<Bytes>>,
    state: Arc<Mutex<State>>,
    reached: Arc<Notify>,
) -> io::Result<Response<Full<Bytes>>> {
    let began = Instant::now();
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let asks_the_emulator_itself = path.starts_with("/infra-local/");
    let (silent, cut, first) = if asks_the_emulator_itself {
        (false, false, began)
    } else {
        let mut state = state.lock().expect("no test panics while it holds this");
        let operation = operation(&head, &body);
        state.traffic.calls += 1;
        state.silent |= behaviour.silent_from.is_some_and(|call| state.traffic.calls >= call);
        state.silent |= state.silent_at == Some(operation.as_str());
        let cut = state.cut_at == Some(operation.as_str());
        state.traffic.sequence.push(operation.clone());
        *state.traffic.operations.entry(operation).or_default() += 1;
        (state.silent, cut, *state.first.get_or_insert(began))
    };
    head.uri = format!("http://{upstream}{path}").parse().expect("a path that arrived is a path that can be sent");
    let answer = client.request(Request::from_parts(head, Full::new(body))).await;
    let answer = match answer {
        Ok(answer) => {
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Response::from_parts(head, Full::new(body))
        }
        Err(error) => {
            let body = Full::new(Bytes::from(error.to_string()));
            Response::builder().status(502).body(body).expect("a plain answer")
        }
    };
    if asks_the_emulator_itself {
        // No call of AWS: neither counted nor slowed down.
        return Ok(answer);
    }
    tokio::time::sleep(behaviour.latency).await;
    if silent {
        reached.notify_one();
        std::future::pending::<()>().await;
    }
    if cut {
        return Err(io::Error::other("cut off"));
    }
    let span = (began - first, first.elapsed());
    state.lock().expect("no test panics while it holds this").traffic.spans.push(span);
    Ok(answer)
}

/// The operation of a request, by the protocol it speaks: a form's `Action`, a JSON service's target, or S3's method
/// and sub-resource.
fn operation(head: &hyper::http::request::Parts, body: &[u8]) -> String {
    if let Some(target) = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok()) {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    let body = String::from_utf8_lossy(body);
    if let Some(action) = body.split('&').find_map(|pair| pair.strip_prefix("Action=")) {
        return action.to_owned();
    }
    let query = head.uri.query().unwrap_or_default();
    let sub = query.split('&').map(|pair| pair.split('=').next().unwrap_or(pair)).find(|name| *name != "x-id");
    format!("S3 {} {}", head.method, sub.unwrap_or_default()).trim_end().to_owned()
}
