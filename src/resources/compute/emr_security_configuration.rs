//! Encryption and metadata service of a cluster's nodes. EMR has no tags for it and cannot change one: ours are known
//! by name, and another configuration is another object.

use anyhow::{bail, ensure};
use engine::{Address, Diff, Identity, Inventory, Resource, Result, StepContext};
use futures::future::try_join_all;
use serde::Serialize;
use serde_json::Value;

use crate::cloud::{Cloud, CloudError, Explain, Names, emr_once};

/// A security configuration.
#[derive(Clone, Debug, Serialize)]
pub struct EmrSecurityConfiguration {
    /// The name in EMR: [`EmrSecurityConfiguration::full_name`] of the name in the graph, and no other.
    pub name: String,
    /// What EMR is told: `{"EncryptionConfiguration": …}`.
    pub configuration: Value,
    /// What it names and must exist first: an encryption key, a bucket with certificates.
    #[serde(skip)]
    pub after: Vec<Address>,
}

/// What EMR reports of a security configuration.
#[derive(Clone, Debug, Serialize)]
pub struct EmrSecurityConfigurationObserved {
    /// The name in EMR: `nyc311.cluster`.
    pub name: String,
    /// The document.
    pub configuration: Value,
}

impl EmrSecurityConfiguration {
    /// The name in EMR. There is nothing but the name to tell whose it is, and a stack's name may hold hyphens but no
    /// dot: with a hyphen in between, stack `a` would take stack `a-b`'s configurations for its own and delete them.
    pub fn full_name(names: &Names, name: &str) -> String {
        format!("{}.{name}", names.stack)
    }
}

impl Resource<Cloud> for EmrSecurityConfiguration {
    const KIND: &'static str = "emr_security_configuration";
    const LAYER: &'static str = "cluster";
    const AFTER: &'static [&'static str] = &["kms_key", "bucket", "bucket_object"];
    const IDENTITY: Identity = Identity::Name;
    type Observed = EmrSecurityConfigurationObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { name: _, configuration: _, after } = self;
        after.iter().collect()
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, EmrSecurityConfigurationObserved)>> {
        let prefix = EmrSecurityConfiguration::full_name(&cloud.names, "");
        let names = own_names(cloud, &prefix).await?;
        let found = try_join_all(names.iter().map(|name| read(cloud, name))).await?;
        let named = names.iter().zip(found).filter_map(|(name, found)| Some((name, found?)));
        Ok(named.filter_map(|(name, found)| Some((name.strip_prefix(&prefix)?.to_owned(), found))).collect())
    }

    fn id(observed: &EmrSecurityConfigurationObserved) -> String {
        observed.name.clone()
    }

    fn diff(&self, observed: &EmrSecurityConfigurationObserved, _known: &Inventory) -> Diff {
        let Self { name, configuration, after: _ } = self;
        let mut diff = Diff::default();
        diff.fixed("name", &observed.name, name).fixed("configuration", &observed.configuration, configuration);
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<EmrSecurityConfigurationObserved> {
        let cloud = cx.world;
        let name = &self.name;
        let own = Self::full_name(&cloud.names, &cx.address().name);
        ensure!(*name == own, "{name} would not be found again as {}: its name has to be {own}", cx.address());
        let request = cloud.clients.emr.create_security_configuration().name(name);
        let request = request.security_configuration(self.configuration.to_string());
        match request.send().await.explain("elasticmapreduce:CreateSecurityConfiguration") {
            Ok(_) => {
                let (name, configuration) = (name.clone(), self.configuration.clone());
                Ok(EmrSecurityConfigurationObserved { name, configuration })
            }
            // An interrupted run, or a request that the SDK sent twice, may have made it.
            Err(error) if error.message.contains("already exists") => match read(cloud, name).await? {
                Some(found) if found.configuration == self.configuration => Ok(found),
                _ => bail!("the EMR security configuration {name} exists already, with another content; plan again"),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn update(
        &self,
        observed: &EmrSecurityConfigurationObserved,
        _diff: &Diff,
        _cx: &StepContext<'_, Cloud>,
    ) -> Result<EmrSecurityConfigurationObserved> {
        // Every field is fixed: there is nothing that an update could change.
        Ok(observed.clone())
    }

    async fn delete(observed: &EmrSecurityConfigurationObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let request = cx.world.clients.emr.delete_security_configuration().name(&observed.name);
        match request.send().await.explain("elasticmapreduce:DeleteSecurityConfiguration") {
            Err(error) if !is_gone(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// The full names that are the stack's.
async fn own_names(cloud: &Cloud, prefix: &str) -> Result<Vec<String>> {
    const OPERATION: &str = "elasticmapreduce:ListSecurityConfigurations";
    let first = cloud.clients.emr.list_security_configurations().customize().config_override(emr_once()).send().await;
    let all = match first.explain(OPERATION) {
        Ok(page) if page.marker.is_none() => page.security_configurations.unwrap_or_default(),
        // Where they cannot be listed, those that the spec names can still be looked for.
        Err(error) if error.is_unimplemented() => {
            let names = cloud.names.security_configurations.iter();
            return Ok(names.map(|name| format!("{prefix}{name}")).collect());
        }
        _ => {
            let pages = cloud.clients.emr.list_security_configurations().into_paginator().items().send();
            pages.try_collect().await.explain(OPERATION)?
        }
    };
    Ok(all.into_iter().filter_map(|found| found.name).filter(|name| name.starts_with(prefix)).collect())
}

async fn read(cloud: &Cloud, name: &str) -> Result<Option<EmrSecurityConfigurationObserved>> {
    let request = cloud.clients.emr.describe_security_configuration().name(name);
    let answer = match request.send().await.explain("elasticmapreduce:DescribeSecurityConfiguration") {
        Err(error) if is_gone(&error) => return Ok(None),
        answer => answer?,
    };
    let text = answer.security_configuration.unwrap_or_default();
    let configuration = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Some(EmrSecurityConfigurationObserved { name: name.to_owned(), configuration }))
}

/// EMR has one code for every request that it refuses.
fn is_gone(error: &CloudError) -> bool {
    error.is_missing() || error.message.contains("does not exist")
}
