//! The request that starts a cluster, written down for a host that sends it itself: a pipeline that runs at night must not
//! need this program. It is the very text that would be sent from here, so that both start the same cluster.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use aws_sdk_emr::{
    Client, Config,
    config::{
        BehaviorVersion, ConfigBag, Intercept, Region, RuntimeComponents,
        interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::BoxError,
};
use engine::{Address, Result};
use serde_json::Value;

use super::{
    EmrCluster,
    start::{Links, request},
};

/// What stands for the id of a resource, until it is known.
pub fn stands_for(address: &Address) -> String {
    format!("@id of {address}@")
}

/// The body of `RunJobFlow` for a cluster, with [`stands_for`] in the place of ids. `security` is the name of its
/// security configuration.
pub async fn written_request(cluster: &EmrCluster, security: Option<String>) -> Result<Value> {
    let serialized = Serialized::default();
    let config = Config::builder().behavior_version(BehaviorVersion::latest()).region(Region::from_static("none"));
    let emr = Client::from_conf(config.interceptor(serialized.clone()).build());
    let links = Links {
        subnet: stands_for(cluster.subnet.address()),
        master_group: stands_for(cluster.master_group.address()),
        slave_group: stands_for(cluster.slave_group.address()),
        service_group: cluster.service_group.as_ref().map(|link| stands_for(link.address())),
        security,
    };
    let refused = request(&emr, cluster, links)?.send().await.err();
    let body = serialized.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    let body = body.with_context(|| format!("the request cannot be written down: {refused:?}"))?;
    Ok(serde_json::from_slice(&body)?)
}

/// Keeps a request's body, and keeps it from being sent.
#[derive(Clone, Debug, Default)]
struct Serialized(Arc<Mutex<Option<Vec<u8>>>>);

impl Intercept for Serialized {
    fn name(&self) -> &'static str {
        "Serialized"
    }

    fn read_after_serialization(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let body = context.request().body().bytes().map(<[u8]>::to_vec);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
        Err("it is only written down".into())
    }
}
