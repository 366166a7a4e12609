//! What the tagging API knows of the stack's objects, for the services that cannot be asked by tag themselves.
//!
//! It is one call for all of them, but it lags and misses kinds: it finds objects, and what they are is asked of their
//! own service.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_resourcegroupstagging::types::TagFilter;

use super::{Cloud, Explain, STACK_TAG, Tags, reads::once};

impl Cloud {
    /// The stack's KMS keys and buckets that the tagging API lists: their tags by ARN.
    pub async fn tagged(&self) -> engine::Result<Arc<BTreeMap<String, Tags>>> {
        once(&self.reads.tagged, async {
            let ours = TagFilter::builder().key(STACK_TAG).values(&self.names.stack).build();
            let request = self.clients.tagging.get_resources().tag_filters(ours);
            let request = request.resource_type_filters("kms:key").resource_type_filters("s3:bucket");
            let mut pages = request.into_paginator().items().send();
            let mut all = BTreeMap::new();
            while let Some(found) = pages.next().await {
                let found = found.explain("tag:GetResources")?;
                let tags = found.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
                let tags = tags.filter(|(key, _)| !key.starts_with("aws:")).collect();
                all.insert(found.resource_arn().unwrap_or_default().to_owned(), tags);
            }
            Ok(all)
        })
        .await
    }
}
