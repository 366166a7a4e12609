//! A host: a machine with one encrypted root disk.
//!
//! What it is told at birth (`user_data`) acts at birth only and is not compared. Where its image was chosen as the
//! newest of a name, a newer one is no reason to replace a host, but another name is: the one that was asked for is kept
//! as a tag. A host without that tag, adopted or older than it, has nothing to compare. EBS optimisation is left alone: every type that
//! has it on Nitro has it always, and T2 refuses the flag (source: "Amazon EBS-optimized instances" in the Amazon EC2
//! user guide). Its interface is tagged at birth and dies with it; EC2 does not tell the interface's tags here, so they
//! are not compared.
//!
//! A host that is shutting down is observed as well, so that a run after an interrupted delete waits until it has left
//! its subnet and groups, which are to be deleted next. It gives way to a live one of the same address.

mod change;
mod launch;
mod read;

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_ec2::types::InstanceStateName;
use engine::{Address, Diff, Effect, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::json;

use crate::cloud::{Cloud, Explain, IMAGE_TAG, PROTECT_TAG, PROTECTED, Tags, gone_is_ok};
use crate::resources::{ElasticIp, SecurityGroup, Subnet};

/// Terminating takes about a minute, on some types several.
const END_DEADLINE: Duration = Duration::from_mins(10);

/// How far an answer of the metadata service may travel: one hop, the host itself. Two would let every container behind
/// a bridge act in the host's role; one that must not can use the host's network.
const METADATA_HOPS: i32 = 1;

/// An instance.
#[derive(Clone, Debug, Serialize)]
pub struct Instance {
    /// Where it stands; the subnet says whether it gets a public address.
    pub subnet: Ref<Subnet>,
    /// The groups whose rules apply to it.
    pub groups: Vec<Ref<SecurityGroup>>,
    /// The type: `t3.micro`.
    pub instance_type: String,
    /// What it boots from.
    pub image: ImageChoice,
    /// The root disk.
    pub disk: DiskSpec,
    /// The name of the key pair for the image's first login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The name of the instance profile that says what the host may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The public address that it keeps when it is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elastic_ip: Option<Ref<ElasticIp>>,
    /// Its address in the subnet; AWS's choice where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_address: Option<String>,
    /// A script or cloud-config for its first boot. Not shown: it may hold what nobody else should read.
    #[serde(skip)]
    pub user_data: Option<String>,
    /// Whether it may not be deleted, by `infra` or anybody: EC2's termination protection, and a tag that says so.
    pub protect: bool,
    /// What else must exist first: key pair, profile, routes.
    #[serde(skip)]
    pub after: Vec<Address>,
    /// What it, its disk and its interface are tagged with.
    pub tags: Tags,
}

/// What a host boots from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageChoice {
    /// Exactly this one; another one is another host.
    Id(String),
    /// When the host is made, the newest that this owner has under a name with this pattern.
    Newest {
        /// The owner's account number.
        owner: String,
        /// The name, with `*` for any text.
        name: String,
    },
}

impl ImageChoice {
    /// What was asked for, in words that fit a tag's value.
    fn wanted(&self) -> String {
        let text = match self {
            Self::Id(id) => id.clone(),
            Self::Newest { owner, name } => format!("{name} of {owner}"),
        };
        text.chars().take(256).collect()
    }
}

/// A root disk: gp3, encrypted, gone with its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiskSpec {
    /// Size in GiB. It can grow in place; the host's file system follows at its next boot.
    pub gib: u32,
    /// Operations a second, 3,000 to 16,000.
    pub iops: u32,
    /// MiB a second, 125 to 1,000.
    pub throughput: u32,
}

/// What AWS reports of an instance.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceObserved {
    /// `i-…`.
    pub id: String,
    /// `pending`, `running`, `stopping`, `stopped` or `shutting-down`.
    pub state: String,
    /// The subnet's id.
    pub subnet: String,
    /// The groups' ids.
    pub groups: BTreeSet<String>,
    /// The type.
    pub instance_type: String,
    /// The image's id.
    pub image: String,
    /// The root disk; nothing where it was taken away.
    pub disk: Option<DiskObserved>,
    /// The key pair's name.
    pub key: Option<String>,
    /// The instance profile's name.
    pub profile: Option<String>,
    /// Its address in the subnet.
    pub private_ip: Option<String>,
    /// Its public address.
    pub public_ip: Option<String>,
    /// How it may ask who it is: `required` where only version 2 answers.
    pub http_tokens: String,
    /// How far such an answer may travel.
    pub metadata_hops: i32,
    /// Whether the metadata service answers at all: `enabled`.
    pub metadata_endpoint: String,
    /// Termination protection; read only of hosts that their tag says to be protected.
    pub protect: Option<bool>,
    /// The tags.
    pub tags: Tags,
}

/// What AWS reports of a root disk.
#[derive(Clone, Debug, Serialize)]
pub struct DiskObserved {
    /// `vol-…`.
    pub id: String,
    /// The device that the host sees.
    pub device: String,
    /// Size in GiB.
    pub gib: u32,
    /// `gp3`.
    pub volume_type: String,
    /// Operations a second, where reported.
    pub iops: Option<u32>,
    /// MiB a second, where reported.
    pub throughput: Option<u32>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Whether it goes with its host.
    pub delete_on_termination: bool,
    /// The tags.
    pub tags: Tags,
}

impl InstanceObserved {
    /// False once it is shutting down.
    pub fn is_live(&self) -> bool {
        self.state != "shutting-down"
    }
}

impl Instance {
    /// The tags with the one that keeps it protected once the spec forgets it, and the one that says what it was to
    /// boot from.
    fn own_tags(&self) -> Tags {
        let mut tags = self.tags.clone();
        tags.insert(IMAGE_TAG.into(), self.image.wanted());
        if self.protect {
            tags.insert(PROTECT_TAG.into(), "true".into());
        }
        tags
    }
}

impl Resource<Cloud> for Instance {
    const KIND: &'static str = "instance";
    const LAYER: &'static str = "hosts";
    const ALWAYS: &'static [(&'static str, &'static str)] = &[("disk_encryption", "on"), ("metadata", "IMDSv2 only")];
    const AFTER: &'static [&'static str] = &[
        "subnet",
        "security_group",
        "security_group_rules",
        "internet_gateway",
        "elastic_ip",
        "key_pair",
        "instance_profile",
        "iam_role",
    ];
    // A renamed host may claim its predecessor's private address.
    const EXCLUSIVE: bool = true;
    const TYPICAL_SECONDS: u32 = 40;
    type Observed = InstanceObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self {
            subnet,
            groups,
            instance_type: _,
            image: _,
            disk: _,
            key: _,
            profile: _,
            elastic_ip,
            private_address: _,
            user_data: _,
            protect: _,
            after,
            tags: _,
        } = self;
        let mut refs = vec![subnet.address()];
        refs.extend(elastic_ip.iter().map(Ref::address));
        refs.extend(groups.iter().map(Ref::address));
        refs.extend(after);
        refs
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, InstanceObserved)>> {
        read::instances(cloud, Self::KIND).await
    }

    fn id(observed: &InstanceObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &InstanceObserved, known: &Inventory) -> Diff {
        let Self {
            subnet,
            groups,
            instance_type,
            image,
            disk,
            key,
            profile,
            elastic_ip,
            private_address,
            user_data: _,
            protect,
            after: _,
            tags,
        } = self;
        let mut diff = Diff::default();
        if !observed.is_live() {
            diff.push("state", json!(observed.state), json!("running"), Effect::Replaces);
            return diff;
        }
        let ids = groups.iter().map(|link| match known.get::<Cloud, SecurityGroup>(link) {
            Some(group) => group.id.clone(),
            None => link.address().to_string(),
        });
        diff.field("state", observed.state.as_str(), "running")
            .fixed_link("subnet", &observed.subnet, known.get(subnet).map(|subnet| subnet.id.as_str()), subnet)
            .set("groups", &observed.groups, &ids.collect())
            .interrupting("instance_type", &observed.instance_type, instance_type);
        match (image, observed.tags.get(IMAGE_TAG)) {
            (ImageChoice::Id(id), _) => drop(diff.fixed("image", &observed.image, id)),
            (ImageChoice::Newest { .. }, Some(asked)) => drop(diff.fixed("image", asked, &image.wanted())),
            (ImageChoice::Newest { .. }, None) => {}
        }
        diff_disk(&mut diff, observed.disk.as_ref(), disk, tags);
        diff.fixed("key", &observed.key, key).field("profile", &observed.profile, profile);
        if let Some(link) = elastic_ip {
            let from = observed.public_ip.as_deref().unwrap_or_default();
            let wanted = known.get::<Cloud, ElasticIp>(link).map(|address| address.public_ip.as_str());
            diff.field_link("elastic_ip", from, wanted, link);
        }
        if private_address.is_some() {
            diff.fixed("private_address", &observed.private_ip, private_address);
        }
        diff.field("http_tokens", observed.http_tokens.as_str(), "required")
            .field("metadata_hops", &observed.metadata_hops, &METADATA_HOPS)
            .field("metadata_endpoint", observed.metadata_endpoint.as_str(), "enabled")
            // Where it was not read, the tag itself differs or nothing does.
            .field("protect", &observed.protect.unwrap_or(*protect), protect)
            .map("tags", &without_image(&observed.tags), &without_image(&self.own_tags()));
        diff
    }

    fn guard(observed: &InstanceObserved) -> Option<String> {
        let tagged = observed.tags.get(PROTECT_TAG).is_some_and(|value| value == "true");
        (observed.is_live() && (tagged || observed.protect == Some(true))).then(|| PROTECTED.into())
    }

    fn losses(observed: &InstanceObserved) -> Vec<String> {
        let disk = observed.disk.as_ref().filter(|disk| disk.delete_on_termination);
        let disk = disk.map(|disk| format!("its {} GiB disk", disk.gib));
        disk.into_iter().chain(observed.private_ip.iter().map(|ip| format!("its private address {ip}"))).collect()
    }

    fn outputs(observed: &InstanceObserved) -> Vec<(&'static str, String)> {
        let mut outputs = vec![("id", observed.id.clone())];
        outputs.extend(observed.public_ip.clone().map(|ip| ("public_ip", ip)));
        outputs.extend(observed.private_ip.clone().map(|ip| ("private_ip", ip)));
        outputs
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<InstanceObserved> {
        let id = launch::launch(self, cx).await?;
        launch::until(&id, &InstanceStateName::Running, cx).await?;
        let born = read::one(cx.world, &id, Self::KIND).await?;
        // What did not arrive with the request; compared by itself, because the links were just resolved.
        let mut missing = self.diff(&born, &Inventory::default());
        missing.changes.retain(|change| change.effect == Effect::InPlace && change.field != "groups");
        if missing.is_empty() { Ok(born) } else { self.update(&born, &missing, cx).await }
    }

    async fn update(
        &self,
        observed: &InstanceObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<InstanceObserved> {
        change::apply(self, observed, diff, cx).await?;
        read::one(cx.world, &observed.id, Self::KIND).await
    }

    async fn delete(observed: &InstanceObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let (cloud, id) = (cx.world, &observed.id);
        let request = cloud.clients.ec2.terminate_instances().instance_ids(id);
        gone_is_ok(request.send().await.explain("ec2:TerminateInstances"))?;
        let look = || async {
            let state = read::state(cloud, id).await?;
            Ok(state.is_none_or(|state| state.name == InstanceStateName::Terminated).then_some(()))
        };
        cloud.wait(cx, format!("{id} to be terminated"), END_DEADLINE, look).await
    }
}

/// The tags but for the one that says what the host was to boot from: it is compared as the image.
fn without_image(tags: &Tags) -> Tags {
    tags.iter().filter(|(key, _)| *key != IMAGE_TAG).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn diff_disk(diff: &mut Diff, from: Option<&DiskObserved>, to: &DiskSpec, tags: &Tags) {
    let Some(from) = from else {
        diff.push("disk", json!(null), json!(to), Effect::Replaces);
        return;
    };
    let DiskSpec { gib, iops, throughput } = to;
    // A disk can grow; a smaller one is another disk.
    let effect = if from.gib > *gib { Effect::Replaces } else { Effect::InPlace };
    if from.gib != *gib {
        diff.push("disk.gib", json!(from.gib), json!(gib), effect);
    }
    diff.fixed("disk.encrypted", &from.encrypted, &true)
        .field("disk.volume_type", from.volume_type.as_str(), "gp3")
        .field("disk.iops", &from.iops.unwrap_or(*iops), iops)
        .field("disk.throughput", &from.throughput.unwrap_or(*throughput), throughput)
        .field("disk.delete_on_termination", &from.delete_on_termination, &true)
        .map("disk.tags", &from.tags, tags);
}
