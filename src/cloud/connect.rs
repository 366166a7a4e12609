//! Reaching AWS, or the local cloud and nothing else.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;

use super::{Clients, Explain, Pace, error::NO_CREDENTIALS};

/// Which AWS to talk to.
#[derive(Clone, Debug)]
pub enum Target {
    /// The real one, with the credentials, profile and proxies of the environment.
    Aws,
    /// The local cloud: a loopback address, dummy credentials, nothing from the environment.
    Local {
        /// `http://127.0.0.1:PORT`.
        endpoint: String,
        /// By how much its describes lag behind its creates.
        lag: Duration,
        /// The socket by which its network is entered, where its hosts have bodies.
        gateway: Option<std::path::PathBuf>,
        /// The Python that these hosts have for services which need a certain one: `3.10`.
        python: Option<String>,
    },
}

/// An open way to an account.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The services.
    pub clients: Clients,
    /// How patient to be.
    pub pace: Pace,
    /// The account's number.
    pub account: String,
}

/// Connects to `target` in `region` and asks who we are.
pub async fn connect(target: &Target, region: &str) -> anyhow::Result<Connection> {
    let (config, pace) = match target {
        Target::Aws => {
            let loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region.to_owned()));
            (loader.load().await, Pace::AWS)
        }
        Target::Local { endpoint, lag, gateway: _, python: _ } => (local(endpoint, region)?, Pace::local(*lag)),
    };
    let clients = clients(&config, matches!(target, Target::Local { .. }));
    tracing::debug!(region, ?target, "connecting");
    let identity = match clients.sts.get_caller_identity().send().await.explain("sts:GetCallerIdentity") {
        Err(error) if error.code.is_none() && error.message == NO_CREDENTIALS => bail!(
            "no AWS credentials were found: set AWS_PROFILE, sign in (`aws sso login`), or try `--local`, which needs none"
        ),
        identity => identity?,
    };
    let account = identity.account.context("sts:GetCallerIdentity named no account")?;
    Ok(Connection { clients, pace, account })
}

/// No account at all: for a stack of which nothing is on AWS. Whatever asked it something would be told that there are
/// no credentials.
pub fn offline(region: &str) -> Connection {
    let config =
        SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(Region::new(region.to_owned())).build();
    Connection { clients: clients(&config, false), pace: Pace::AWS, account: String::new() }
}

/// A configuration that cannot reach any other address: the endpoint is checked to be loopback and nothing is taken
/// from the environment (no profile, no proxy, no endpoint variable, no instance metadata).
fn local(endpoint: &str, region: &str) -> anyhow::Result<SdkConfig> {
    let host = endpoint.strip_prefix("http://").context("the local cloud is reached by http")?;
    let address: std::net::SocketAddr =
        host.trim_end_matches('/').parse().with_context(|| format!("{endpoint} is not an address and port"))?;
    ensure!(address.ip().is_loopback(), "{endpoint} is not a loopback address; --local talks to nothing else");
    let credentials = Credentials::new("AKIALOCALLOCALLOCAL0", "local", None, None, "the local cloud's dummy");
    Ok(SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .time_source(aws_smithy_async::time::SystemTimeSource::new())
        .build())
}

fn clients(config: &SdkConfig, local: bool) -> Clients {
    // A bucket's name as a host name would leave loopback.
    let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(local).build();
    Clients {
        ec2: aws_sdk_ec2::Client::new(config),
        emr: aws_sdk_emr::Client::new(config),
        iam: aws_sdk_iam::Client::new(config),
        kms: aws_sdk_kms::Client::new(config),
        s3: aws_sdk_s3::Client::from_conf(s3),
        sts: aws_sdk_sts::Client::new(config),
        tagging: aws_sdk_resourcegroupstagging::Client::new(config),
    }
}
