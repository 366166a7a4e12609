//! A public address that stays the same. It is allocated here; what uses it (a NAT gateway) refers to it.

use aws_sdk_ec2::types::{Address as Object, DomainType, ResourceType};
use engine::{Address, Diff, Inventory, Resource, Result, StepContext};
use serde::Serialize;

use crate::cloud::{Answered, Cloud, Explain, Tags, claimed_name, ec2_filter, from_ec2, gone_is_ok, tag_specification};
use crate::resources::tagging;

/// An elastic IP address.
#[derive(Clone, Debug, Serialize)]
pub struct ElasticIp {
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of an elastic IP address.
#[derive(Clone, Debug, Serialize)]
pub struct ElasticIpObserved {
    /// The allocation: `eipalloc-…`.
    pub id: String,
    /// The address.
    pub public_ip: String,
    /// The association with what uses it: `eipassoc-…`.
    pub association: Option<String>,
    /// The instance that uses it, where it is one.
    pub instance: Option<String>,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for ElasticIp {
    const KIND: &'static str = "elastic_ip";
    const LAYER: &'static str = "network";
    type Observed = ElasticIpObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { tags: _ } = self;
        Vec::new()
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, ElasticIpObserved)>> {
        // The one describe of the network that has no pages.
        let answer = cloud.clients.ec2.describe_addresses().filters(ec2_filter(&cloud.names.stack)).send().await;
        let found = answer.explain("ec2:DescribeAddresses")?.addresses.unwrap_or_default();
        let named = found.iter().map(read);
        Ok(named.filter_map(|address| Some((claimed_name(&address.tags, Self::KIND)?, address))).collect())
    }

    fn id(observed: &ElasticIpObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &ElasticIpObserved, _known: &Inventory) -> Diff {
        let Self { tags } = self;
        let mut diff = Diff::default();
        diff.map("tags", &observed.tags, tags);
        diff
    }

    fn losses(observed: &ElasticIpObserved) -> Vec<String> {
        vec![format!("its address {}", observed.public_ip)]
    }

    fn outputs(observed: &ElasticIpObserved) -> Vec<(&'static str, String)> {
        vec![("public_ip", observed.public_ip.clone())]
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<ElasticIpObserved> {
        let request = cx.world.clients.ec2.allocate_address().domain(DomainType::Vpc);
        let answer = request.tag_specifications(tag_specification(ResourceType::ElasticIp, &self.tags)).send().await;
        let answer = answer.explain("ec2:AllocateAddress")?;
        Ok(ElasticIpObserved {
            id: answer.allocation_id.answered("ec2:AllocateAddress")?,
            public_ip: answer.public_ip.answered("ec2:AllocateAddress")?,
            association: None,
            instance: None,
            tags: self.tags.clone(),
        })
    }

    async fn update(
        &self,
        observed: &ElasticIpObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<ElasticIpObserved> {
        tagging::ec2(cx.world, &observed.id, diff, &self.tags).await?;
        Ok(ElasticIpObserved { tags: self.tags.clone(), ..observed.clone() })
    }

    async fn delete(observed: &ElasticIpObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        // An instance that stays lets go of it; a NAT gateway does by itself when it goes.
        if let (Some(association), Some(_)) = (&observed.association, &observed.instance) {
            let request = cx.world.clients.ec2.disassociate_address().association_id(association);
            gone_is_ok(request.send().await.explain("ec2:DisassociateAddress"))?;
        }
        let request = cx.world.clients.ec2.release_address().allocation_id(&observed.id);
        // What used it is deleted, but its association may take a moment to go. AWS answers AuthFailure where the
        // association is a NAT gateway's: nobody else may undo that one.
        let send = || async { gone_is_ok(request.clone().send().await.explain("ec2:ReleaseAddress")) };
        Ok(cx.world.settle(&["InvalidIPAddress.InUse", "AuthFailure"], send).await?)
    }
}

fn read(object: &Object) -> ElasticIpObserved {
    let some = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    ElasticIpObserved {
        id: object.allocation_id().unwrap_or_default().to_owned(),
        public_ip: object.public_ip().unwrap_or_default().to_owned(),
        association: some(object.association_id()),
        instance: some(object.instance_id()),
        tags: from_ec2(object.tags()),
    }
}
