//! A stack of its own for each test, on the local cloud that `make test` started.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use engine::{Graph, Inventory, Options, Outcome, Plan, Selection};
use infra::{
    cloud::{Cloud, Connection, Journal, Names, Target, connect},
    resources::REGISTRY,
};
use tokio_util::sync::CancellationToken;

/// The region that tests use unless they say otherwise.
pub const REGION: &str = "us-west-2";

/// Where the AWS under test listens; `make test` runs the kinds against the strict local cloud and against stock moto.
pub fn endpoint() -> String {
    std::env::var("INFRA_TEST_ENDPOINT").expect("INFRA_TEST_ENDPOINT names the local cloud; `make test` sets it")
}

/// Whether the AWS under test is stock moto, which lacks much of what AWS does. Tests that it lets fail begin with
/// `strict_`; `make test` leaves them out there by that name.
pub fn is_stock() -> bool {
    std::env::var_os("INFRA_TEST_STOCK").is_some()
}

/// A connection to the AWS under test.
pub async fn connection() -> Connection {
    let target = Target::Local { endpoint: endpoint(), lag: Duration::ZERO, gateway: None, python: None };
    connect(&target, REGION).await.expect("the local cloud answers")
}

/// A stack that no other test has, and the folder that holds its secrets for as long as the test runs.
pub struct Stack {
    pub cloud: Cloud,
    _secrets: tempfile::TempDir,
}

/// A new stack whose name begins with `prefix`. `buckets` are names in the spec; S3 knows them as `STACK-NAME`.
pub async fn stack(prefix: &str, buckets: &[&str]) -> Stack {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let connection = connection().await;
    let secrets = tempfile::tempdir().expect("a folder for secrets");
    let names = Names {
        buckets: buckets.iter().map(|bucket| (format!("{name}-{bucket}"), (*bucket).to_owned())).collect(),
        stack: name,
        region: REGION.into(),
        account: connection.account.clone(),
        tags: BTreeMap::from([("project".to_owned(), "tests".to_owned())]),
        secrets: secrets.path().to_owned(),
        ..Names::default()
    };
    Stack { cloud: Cloud::new(&connection, names, Journal::in_memory()), _secrets: secrets }
}

impl Stack {
    /// What AWS says the stack has.
    pub async fn observe(&self) -> Inventory {
        engine::observe(&REGISTRY, &self.cloud).await.unwrap_or_else(|error| panic!("{:?}", anyhow::Error::from(error)))
    }

    /// What would be done to reach `desired`.
    pub async fn plan(&self, desired: &Graph<Cloud>) -> Plan {
        engine::plan(&REGISTRY, desired, &self.observe().await, Selection::All)
    }

    /// Plans and applies once; returns the plan and what became of it.
    pub async fn apply(&self, desired: &Graph<Cloud>) -> (Plan, Outcome) {
        let known = self.observe().await;
        let plan = engine::plan(&REGISTRY, desired, &known, Selection::All);
        let (events, _unheard) = tokio::sync::mpsc::unbounded_channel();
        let options = Options { parallelism: 8, cancel: CancellationToken::new(), events };
        let outcome = engine::apply(&plan, &REGISTRY, desired, known, &self.cloud, &options).await;
        (plan, outcome)
    }

    /// Applies, insists that every step succeeds and that a second plan is empty; returns what was done, one line a
    /// step: `create vpc/main`, `update vpc/main dns_support tags.owner`.
    pub async fn converge(&self, desired: &Graph<Cloud>) -> Vec<String> {
        let (plan, outcome) = self.apply(desired).await;
        assert!(outcome.is_complete(), "{:#?}", outcome.failed);
        let again = self.plan(desired).await;
        assert!(again.is_empty(), "a second plan is not empty: {}", serde_json::to_string_pretty(&again).unwrap());
        lines(&plan)
    }

    /// Destroys and insists that nothing is left.
    pub async fn destroy(&self) {
        self.converge(&Graph::default()).await;
        let left = self.observe().await;
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A plan, one line a step.
pub fn lines(plan: &Plan) -> Vec<String> {
    let line = |step: &engine::Step| {
        let fields: Vec<&str> = match &step.action {
            engine::Action::Update { diff } => diff.changes.iter().map(|change| change.field.as_str()).collect(),
            _ => Vec::new(),
        };
        [&[step.action.verb(), &step.address.to_string()], fields.as_slice()].concat().join(" ")
    };
    plan.steps.iter().map(line).collect()
}
