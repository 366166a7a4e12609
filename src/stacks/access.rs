//! Keys, policies, roles, profiles and users.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::json;

use super::{Stack, grants, origin, reaper};
use crate::{
    resources::{
        AccessKey, IamPolicy, IamRole, IamUser, InstanceProfile, KeyPair, KeySource as Source, KmsKey, PolicyDocument,
    },
    spec::{Encryption, Grants, KeySource, Span, Trust},
};

/// The name of the stack's own key in the graph.
pub(super) const KMS_KEY: &str = "main";

impl Stack<'_> {
    pub(super) fn access(&mut self) -> anyhow::Result<()> {
        self.keys()?;
        if self.spec.needs_kms() {
            let description = format!("Encrypts what stack {} keeps", self.names.stack);
            let key = KmsKey { description, tags: self.tags::<KmsKey>(KMS_KEY) };
            self.kms = Some(match self.why_kms() {
                Some(span) => self.graph.add_at(origin(span), KMS_KEY, key),
                None => self.graph.add(KMS_KEY, key),
            });
        }
        let account = &self.names.account;
        for (name, policy) in &self.spec.access.policies {
            let resource = IamPolicy {
                name: policy.name.resolve(account),
                description: policy.description.as_ref().map(|text| text.resolve(account)).unwrap_or_default(),
                document: PolicyDocument::new(policy.document.resolve(account)),
                tags: self.tags::<IamPolicy>(name),
            };
            let link = self.graph.add_at(origin(&policy.span), name, resource);
            self.policies.insert(name.clone(), link);
        }
        for (name, role) in &self.spec.access.roles {
            let iam_name = role.name.resolve(account);
            let resource = IamRole {
                name: iam_name.clone(),
                description: role.description.as_ref().map(|text| text.resolve(account)).unwrap_or_default(),
                trust: trust(&role.trust, account, self.partition()),
                managed: self.managed(&role.grants),
                policies: self.own_policies(&role.grants),
                inline: reaper::with_leave(
                    self.spec,
                    self.names,
                    name,
                    self.inline(&role.grants, self.works_on_cluster(name)),
                ),
                tags: self.tags::<IamRole>(name),
            };
            let link = self.graph.add_at(origin(&role.span), name, resource);
            if *role.profile {
                let profile =
                    InstanceProfile { name: iam_name, role: link.clone(), tags: self.tags::<InstanceProfile>(name) };
                let profile = self.graph.add_at(origin(&role.span), name, profile);
                self.profiles.insert(name.clone(), profile);
            }
            self.roles.insert(name.clone(), link);
        }
        for (name, user) in &self.spec.access.users {
            let file = self.names.secrets.join(format!("{name}.credentials"));
            let resource = IamUser {
                name: user.name.resolve(account),
                managed: self.managed(&user.grants),
                policies: self.own_policies(&user.grants),
                inline: self.inline(&user.grants, false),
                access_key: user.access_key.then(|| AccessKey { file, rotate: self.intent.rotate.contains(name) }),
                tags: self.tags::<IamUser>(name),
            };
            self.graph.add_at(origin(&user.span), name, resource);
        }
        Ok(())
    }

    /// The first line of the spec that wants the stack's own key.
    fn why_kms(&self) -> Option<&Span> {
        let buckets = self.spec.buckets.values().filter(|bucket| *bucket.encryption == Encryption::Kms);
        let bucket = buckets.map(|bucket| &bucket.encryption.span).next();
        bucket.or_else(|| self.spec.cluster.as_ref().map(|cluster| &cluster.security.span))
    }

    fn keys(&mut self) -> anyhow::Result<()> {
        for (name, key) in &self.spec.keys {
            let source = match &key.source.value {
                KeySource::Inline(line) => Source::Public(line.clone()),
                KeySource::File(file) => {
                    let line = std::fs::read_to_string(&file.path)
                        .with_context(|| format!("{}: cannot read the public key {}", key.source.span, file.written))?;
                    Source::Public(line.trim().to_owned())
                }
                KeySource::Generate => Source::Made { file: self.names.private_key(name) },
            };
            let tags = self.tags::<KeyPair>(name);
            let resource = KeyPair { name: key.name.resolve(&self.names.account), source, tags };
            let link = self.graph.add_at(origin(&key.span), name, resource);
            self.keys.insert(name.clone(), link);
        }
        Ok(())
    }

    fn managed(&self, grants: &Grants) -> BTreeSet<String> {
        grants.managed.iter().map(|policy| policy.arn(self.partition(), &self.names.account)).collect()
    }

    fn own_policies(&self, grants: &Grants) -> Vec<engine::Ref<IamPolicy>> {
        grants.policies.iter().map(|name| self.policies[&name.value].clone()).collect()
    }

    /// Whether the cluster runs with this role, and so needs the stack's key.
    fn works_on_cluster(&self, role: &str) -> bool {
        let roles = self.spec.cluster.iter().flat_map(|cluster| [&cluster.service_role, &cluster.node_role]);
        self.spec.needs_kms() && roles.into_iter().any(|name| name.value == role)
    }

    fn inline(&self, grants: &Grants, uses_key: bool) -> BTreeMap<String, PolicyDocument> {
        let account = &self.names.account;
        let said = grants.inline.iter().map(|(name, document)| (name.clone(), document.resolve(account)));
        let mut inline: BTreeMap<String, serde_json::Value> = said.collect();
        for (bucket, access) in &grants.buckets {
            let document = grants::bucket(self.spec, self.names, bucket, access.value);
            inline.insert(format!("infra-bucket-{bucket}"), document);
        }
        if let Some(clusters) = &grants.clusters {
            inline.insert("infra-clusters".into(), grants::clusters(self.spec, self.names, clusters.value));
        }
        if uses_key {
            let statements = [grants::stack_key(self.names, true)];
            inline.insert("infra-key".into(), json!({ "Version": "2012-10-17", "Statement": statements }));
        }
        inline.into_iter().map(|(name, document)| (name, PolicyDocument::new(document))).collect()
    }
}

fn trust(trust: &Trust, account: &str, partition: &str) -> PolicyDocument {
    match trust {
        Trust::Document(document) => PolicyDocument::new(document.resolve(account)),
        Trust::Services(services) => {
            let services: Vec<&str> = services.iter().map(|service| service.value.as_str()).collect();
            trust_of(&services, partition)
        }
    }
}

/// The trust that lets AWS's services take a role.
pub(super) fn trust_of(services: &[&str], partition: &str) -> PolicyDocument {
    let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    // EC2 alone has a domain of its own in China; the others answer to the common one.
    let name = |service: &str| match service {
        "ec2" => format!("ec2.{domain}"),
        other => format!("{other}.amazonaws.com"),
    };
    let services: Vec<String> = services.iter().map(|service| name(service)).collect();
    PolicyDocument::new(json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "Service": services }, "Action": "sts:AssumeRole" }],
    }))
}
