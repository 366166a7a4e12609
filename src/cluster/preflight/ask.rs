//! The questions that only AWS can answer. What it refuses to tell, or does not know, is noted.

use std::{collections::BTreeMap, future::Future};

use crate::{
    cloud::{Cloud, CloudError, Explain, emr_once},
    spec::Cluster,
};

use super::Standing;

/// What AWS answered; nothing where it was not asked or did not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Whether the region's EMR has the release.
    pub has_release: Option<bool>,
    /// Instance types that the release runs on, with their virtual processors.
    pub types: Option<BTreeMap<String, u32>>,
    /// The ports that may be open to everybody, where the account blocks others; nothing where it blocks none.
    pub open_ports: Option<Vec<(i32, i32)>>,
    /// The region of the log bucket.
    pub log_region: Option<String>,
    /// What could not be asked.
    pub notes: Vec<String>,
}

/// Asks everything at once.
pub(super) async fn ask(cloud: &Cloud, cluster: &Cluster, standing: &Standing) -> anyhow::Result<Answers> {
    let release = cluster.release.to_string();
    let is_public = standing.subnet.as_ref().is_some_and(|subnet| subnet.asks_for_internet);
    let (known, types, ports, region) = tokio::join!(
        has_release(cloud, &release),
        types(cloud, &release),
        open_ports(cloud, is_public),
        log_region(cloud, standing.log_bucket.as_deref()),
    );
    let mut notes = Vec::new();
    let mut take = |error: Option<CloudError>, what: &str| match error {
        None => Ok(()),
        Some(error) if error.is_unimplemented() => {
            notes.push(format!("{what} was not checked: this cloud has no {}", error.operation));
            Ok(())
        }
        Some(error) if is_denied(&error) => {
            notes.push(format!("{what} was not checked: these credentials may not {}", error.operation));
            Ok(())
        }
        Some(error) => Err(error),
    };
    let mut answers = Answers::default();
    match known {
        Ok(known) => answers.has_release = Some(known),
        Err(error) => take(Some(error), "the release")?,
    }
    match types {
        Ok(types) => answers.types = types,
        Err(error) => take(Some(error), "which instance types the release has")?,
    }
    match ports {
        Ok(ports) => answers.open_ports = ports,
        Err(error) => take(Some(error), "EMR's block of public access")?,
    }
    match region {
        Ok(region) => answers.log_region = region,
        Err(error) => take(Some(error), "the log bucket's region")?,
    }
    answers.notes = notes;
    Ok(answers)
}

fn is_denied(error: &CloudError) -> bool {
    error.is(&["AccessDenied*", "Unauthorized*", "403", "Forbidden"])
}

/// EMR's way to say that it does not know what it was asked for.
fn is_refused(error: &CloudError) -> bool {
    error.is(&["ValidationException", "InvalidRequestException"])
}

/// Sends a request once, without the SDK's repetitions where the cloud may not know the operation at all; what else
/// fails is sent again as usual.
async fn once<T, F, G>(first: F, again: impl FnOnce() -> G) -> Result<T, CloudError>
where
    F: Future<Output = Result<T, CloudError>>,
    G: Future<Output = Result<T, CloudError>>,
{
    match first.await {
        Err(error) if !error.is_unimplemented() && !is_refused(&error) && !is_denied(&error) => again().await,
        result => result,
    }
}

async fn has_release(cloud: &Cloud, release: &str) -> Result<bool, CloudError> {
    const OPERATION: &str = "elasticmapreduce:DescribeReleaseLabel";
    let request = cloud.clients.emr.describe_release_label().release_label(release);
    let first = request.clone().customize().config_override(emr_once());
    let send = async { first.send().await.explain(OPERATION) };
    match once(send, || async { request.send().await.explain(OPERATION) }).await {
        Ok(_) => Ok(true),
        Err(error) if is_refused(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn types(cloud: &Cloud, release: &str) -> Result<Option<BTreeMap<String, u32>>, CloudError> {
    const OPERATION: &str = "elasticmapreduce:ListSupportedInstanceTypes";
    let request = |marker: Option<String>| {
        cloud.clients.emr.list_supported_instance_types().release_label(release).set_marker(marker)
    };
    let (mut found, mut marker) = (BTreeMap::new(), None);
    loop {
        let first = request(marker.clone()).customize().config_override(emr_once());
        let send = async { first.send().await.explain(OPERATION) };
        let page = match once(send, || async { request(marker.clone()).send().await.explain(OPERATION) }).await {
            // Of a release that it does not know; that is told by another check.
            Err(error) if is_refused(&error) => return Ok(None),
            page => page?,
        };
        for kind in page.supported_instance_types() {
            let processors = kind.vcpu().and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
            found.insert(kind.r#type().unwrap_or_default().to_owned(), processors);
        }
        marker = page.marker.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            // A cloud that lists nothing knows nothing.
            return Ok(Some(found).filter(|found| !found.is_empty()));
        }
    }
}

async fn open_ports(cloud: &Cloud, is_public: bool) -> Result<Option<Vec<(i32, i32)>>, CloudError> {
    const OPERATION: &str = "elasticmapreduce:GetBlockPublicAccessConfiguration";
    if !is_public {
        return Ok(None);
    }
    let request = cloud.clients.emr.get_block_public_access_configuration();
    let first = request.clone().customize().config_override(emr_once());
    let send = async { first.send().await.explain(OPERATION) };
    let answer = once(send, || async { request.send().await.explain(OPERATION) }).await?;
    let Some(told) = answer.block_public_access_configuration() else { return Ok(None) };
    if told.block_public_security_group_rules() != Some(true) {
        return Ok(None);
    }
    let range = |range: &aws_sdk_emr::types::PortRange| {
        let first = range.min_range().unwrap_or_default();
        (first, range.max_range().unwrap_or(first))
    };
    Ok(Some(told.permitted_public_security_group_rule_ranges().iter().map(range).collect()))
}

async fn log_region(cloud: &Cloud, bucket: Option<&str>) -> Result<Option<String>, CloudError> {
    let Some(bucket) = bucket else { return Ok(None) };
    let answer = cloud.clients.s3.head_bucket().bucket(bucket).send().await.explain("s3:ListBucket");
    match answer {
        // It was there a moment ago.
        Err(error) if error.is_missing() => Ok(None),
        answer => Ok(answer?.bucket_region),
    }
}
