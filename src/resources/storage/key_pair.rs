//! The key that opens hosts: the user's own, or one that is made here, whose private part never leaves this machine.
//!
//! AWS keeps the public part only. Where the private file of a made key is missing, as on a colleague's machine, the
//! pair is taken as it is: nobody here can know better.

use std::path::PathBuf;

use aws_sdk_ec2::{
    primitives::Blob,
    types::{KeyPairInfo, ResourceType},
};
use engine::{Address, Diff, Effect, Identity, Inventory, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::json;

use super::{key_file, public_key};
use crate::cloud::{
    Answered, Cloud, Explain, STACK_TAG, Tags, claimed_name, ec2_filter, from_ec2, gone_is_ok, tag_specification, taken,
};
use crate::resources::tagging;

/// Where a key comes from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// The user's: the public part, one line as OpenSSH writes it.
    Public(String),
    /// Made here.
    Made {
        /// Where the private part is kept.
        file: PathBuf,
    },
}

/// A key pair.
#[derive(Clone, Debug, Serialize)]
pub struct KeyPair {
    /// The name that instances ask for, unique in the region.
    pub name: String,
    /// Where it comes from.
    pub source: KeySource,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a key pair.
#[derive(Clone, Debug, Serialize)]
pub struct KeyPairObserved {
    /// `key-…`.
    pub id: String,
    /// The name that instances ask for.
    pub name: String,
    /// The public part, without its comment.
    pub public: String,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for KeyPair {
    const KIND: &'static str = "key_pair";
    const LAYER: &'static str = "access";
    const IDENTITY: Identity = Identity::Name;
    type Observed = KeyPairObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { name: _, source: _, tags: _ } = self;
        Vec::new()
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, KeyPairObserved)>> {
        let request = cloud.clients.ec2.describe_key_pairs().filters(ec2_filter(&cloud.names.stack));
        let answer = request.include_public_key(true).send().await.explain("ec2:DescribeKeyPairs")?;
        let named = answer.key_pairs().iter().map(read);
        Ok(named.filter_map(|pair| Some((claimed_name(&pair.tags, Self::KIND)?, pair))).collect())
    }

    fn id(observed: &KeyPairObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &KeyPairObserved, _known: &Inventory) -> Diff {
        let Self { name, source, tags } = self;
        let mut diff = Diff::default();
        diff.fixed("name", &observed.name, name);
        let wanted = match source {
            KeySource::Public(line) => Some(public_key::material(line)),
            // An unreadable file is `create`'s to complain about.
            KeySource::Made { file } => {
                key_file::public_part(file).ok().flatten().map(|line| public_key::material(&line))
            }
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted != observed.public) {
            diff.push("public", json!(observed.public), json!(wanted), Effect::Replaces);
        }
        diff.map("tags", &observed.tags, tags);
        diff
    }

    fn outputs(observed: &KeyPairObserved) -> Vec<(&'static str, String)> {
        vec![("name", observed.name.clone())]
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<KeyPairObserved> {
        let cloud = cx.world;
        let name = self.name.clone();
        let public = match &self.source {
            KeySource::Public(line) => line.trim().to_owned(),
            KeySource::Made { file } => key_file::make(file, &name)?,
        };
        public_key::check_public_key(&public)?;
        let request = cloud.clients.ec2.import_key_pair().key_name(&name);
        let request = request.public_key_material(Blob::new(public.as_bytes()));
        let request = request.tag_specifications(tag_specification(ResourceType::KeyPair, &self.tags));
        let born = match request.send().await.explain("ec2:ImportKeyPair") {
            Err(error) if error.is(&["InvalidKeyPair.Duplicate"]) => return self.take_over(&name, &public, cx).await,
            born => born?,
        };
        Ok(KeyPairObserved {
            id: born.key_pair_id.answered("ec2:ImportKeyPair")?,
            name,
            public: public_key::material(&public),
            tags: self.tags.clone(),
        })
    }

    async fn update(
        &self,
        observed: &KeyPairObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<KeyPairObserved> {
        tagging::ec2(cx.world, &observed.id, diff, &self.tags).await?;
        Ok(KeyPairObserved { tags: self.tags.clone(), ..observed.clone() })
    }

    /// The private file stays: it is the user's, and the next `apply` takes it up again.
    async fn delete(observed: &KeyPairObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let request = cx.world.clients.ec2.delete_key_pair().key_name(&observed.name);
        Ok(gone_is_ok(request.send().await.explain("ec2:DeleteKeyPair"))?)
    }
}

impl KeyPair {
    /// A pair of that name is there: fine if it is the stack's and has the same key, which a plan made before AWS
    /// showed it could not know.
    async fn take_over(&self, name: &str, public: &str, cx: &StepContext<'_, Cloud>) -> Result<KeyPairObserved> {
        let cloud = cx.world;
        let request = cloud.clients.ec2.describe_key_pairs().key_names(name).include_public_key(true);
        let answer = request.send().await.explain("ec2:DescribeKeyPairs")?;
        let found = read(answer.key_pairs().first().answered("ec2:DescribeKeyPairs")?);
        let ours = found.tags.get(STACK_TAG) == Some(&cloud.names.stack);
        anyhow::ensure!(ours, taken(&cloud.names, cx.address(), "the key pair", name, &found.tags));
        anyhow::ensure!(
            found.public == public_key::material(public),
            "key pair {name} appeared since the plan was made, with another key: another run made it a moment ago; \
             run the same command again",
        );
        let diff = self.diff(&found, &Inventory::default());
        self.update(&found, &diff, cx).await
    }
}

fn read(object: &KeyPairInfo) -> KeyPairObserved {
    KeyPairObserved {
        id: object.key_pair_id().unwrap_or_default().to_owned(),
        name: object.key_name().unwrap_or_default().to_owned(),
        public: public_key::material(object.public_key().unwrap_or_default()),
        tags: from_ec2(object.tags()),
    }
}
