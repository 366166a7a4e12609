//! Answers that several kinds need are asked for once a pass.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use aws_sdk_ec2::types::SecurityGroup;
use tokio::sync::{Mutex, OnceCell};

use super::{Cloud, Code, Explain, Tags, ec2_filter};

/// What was read in this pass and is shared between kinds.
#[derive(Debug, Default)]
pub struct Reads {
    groups: OnceCell<Arc<Vec<SecurityGroup>>>,
    buckets: OnceCell<Arc<Vec<String>>>,
    pub(super) code: OnceCell<Arc<Code>>,
    identities: OnceCell<Arc<Identities>>,
    located: OnceCell<Arc<Vec<String>>>,
    locating: Mutex<()>,
    pub(super) tagged: OnceCell<Arc<BTreeMap<String, Tags>>>,
}

impl Reads {
    /// The hosts that could be located.
    pub fn located(&self) -> &OnceCell<Arc<Vec<String>>> {
        &self.located
    }

    /// Held by whoever locates a host: its keys are read once.
    pub fn locating(&self) -> &Mutex<()> {
        &self.locating
    }
}

/// The account's roles, users and own policies, with everything that is attached to them.
#[derive(Debug, Default)]
pub struct Identities {
    /// Roles, with their instance profiles.
    pub roles: Vec<aws_sdk_iam::types::RoleDetail>,
    /// Users.
    pub users: Vec<aws_sdk_iam::types::UserDetail>,
    /// The account's own policies, with their versions.
    pub policies: Vec<aws_sdk_iam::types::ManagedPolicyDetail>,
}

pub(super) async fn once<T, F>(cell: &OnceCell<Arc<T>>, read: F) -> engine::Result<Arc<T>>
where
    F: Future<Output = engine::Result<T>>,
{
    cell.get_or_try_init(|| async { Ok(Arc::new(read.await?)) }).await.cloned()
}

impl Cloud {
    /// The stack's security groups, with their rules.
    pub async fn security_groups(&self) -> engine::Result<Arc<Vec<SecurityGroup>>> {
        once(&self.reads.groups, async {
            let pages = self.clients.ec2.describe_security_groups().filters(ec2_filter(&self.names.stack));
            Ok(pages.into_paginator().items().send().try_collect().await.explain("ec2:DescribeSecurityGroups")?)
        })
        .await
    }

    /// The names of the spec's buckets that the account has: S3 itself tells them from those of other accounts, whose
    /// names are taken as well.
    pub async fn own_buckets(&self) -> engine::Result<Arc<Vec<String>>> {
        once(&self.reads.buckets, async {
            let all = self.clients.s3.list_buckets().into_paginator().send().try_collect().await;
            let all = all.explain("s3:ListAllMyBuckets")?;
            let names = all
                .iter()
                .flat_map(aws_sdk_s3::operation::list_buckets::ListBucketsOutput::buckets)
                .filter_map(|bucket| bucket.name());
            let ours = names.filter(|name| self.names.buckets.contains_key(*name));
            Ok(ours.map(str::to_owned).collect())
        })
        .await
    }

    /// All roles, users and own policies of the account: IAM has no tag filter, but one call that tells all.
    pub async fn identities(&self) -> engine::Result<Arc<Identities>> {
        once(&self.reads.identities, async {
            use aws_sdk_iam::types::EntityType;
            let pages = self.clients.iam.get_account_authorization_details().max_items(1000);
            let pages = pages.filter(EntityType::Role).filter(EntityType::User).filter(EntityType::LocalManagedPolicy);
            let mut pages = pages.into_paginator().send();
            let mut all = Identities::default();
            while let Some(page) = pages.next().await {
                let page = page.explain("iam:GetAccountAuthorizationDetails")?;
                all.roles.extend(page.role_detail_list.unwrap_or_default());
                all.users.extend(page.user_detail_list.unwrap_or_default());
                all.policies.extend(page.policies.unwrap_or_default());
            }
            Ok(all)
        })
        .await
    }
}
