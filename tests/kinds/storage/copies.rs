//! `bucket_object` where it is a copy of somebody else's.

use std::collections::BTreeSet;

use engine::Graph;
use infra::{
    cloud::Cloud,
    resources::{Bucket, BucketEncryption, BucketObject, ObjectSource},
};

use super::{fails, heals, names, tags};
use crate::support::world::{Stack, stack};

/// What a test copies: the local cloud has AWS's patches of log4j, or what stands in for them.
const ORIGIN: &str = "s3://elasticmapreduce/bootstrap-actions/log4j/patch-log4j-emr-5.29.0-v1.sh";
const KEY: &str = "infra/patch.sh";

fn bucket_name(stack: &Stack) -> String {
    format!("{}-data", stack.cloud.names.stack)
}

/// A bucket with a copy of `origin`.
fn graph(stack: &mut Stack, origin: &str) -> Graph<Cloud> {
    let bucket_name = bucket_name(stack);
    names(stack).objects = [((bucket_name.clone(), KEY.to_owned()), "patch".to_owned())].into();
    let mut graph = Graph::default();
    let bucket = Bucket {
        name: bucket_name.clone(),
        encryption: BucketEncryption::S3,
        versioning: false,
        lifecycle: BTreeSet::new(),
        protect: false,
        tags: tags(stack, "bucket", "data", None),
    };
    let bucket = graph.add("data", bucket);
    let source = ObjectSource::Copy(origin.to_owned());
    graph.add(
        "patch",
        BucketObject { bucket, folder: None, bucket_name, key: KEY.to_owned(), source, content_type: None },
    );
    graph
}

#[tokio::test]
async fn a_copy_is_made_once_and_again_where_somebody_wrote_over_it() {
    let mut stack = stack("copies", &["data"]).await;
    let wanted = graph(&mut stack, ORIGIN);
    stack.converge(&wanted).await;
    let known = stack.observe().await;
    let copy = known.find::<Cloud, BucketObject>("patch").expect("the copy");
    assert!(copy.ours && copy.sha256.is_some() && copy.copied_from.as_deref() == Some(ORIGIN), "{copy:?}");
    let (s3, bucket) = (stack.cloud.clients.s3.clone(), bucket_name(&stack));
    let text = s3.get_object().bucket(&bucket).key(KEY).send().await.unwrap().body.collect().await.unwrap();
    assert!(text.into_bytes().starts_with(b"#!/bin/bash\n"));
    // Overwritten by somebody, it is copied again; of another original, too.
    s3.put_object().bucket(&bucket).key(KEY).body(b"#!/bin/sh\n".to_vec().into()).send().await.unwrap();
    heals(&stack, &wanted, &["update bucket_object/patch copy_of"]).await;
    let other = graph(&mut stack, &ORIGIN.replace("5.29.0", "5.30.1"));
    heals(&stack, &other, &["update bucket_object/patch copy_of"]).await;
    // One that is not there is named.
    let missing = graph(&mut stack, &ORIGIN.replace("5.29.0", "9.99.9"));
    let said = fails(&stack, &missing).await;
    assert!(said.contains("cannot copy s3://elasticmapreduce/") && said.contains("NoSuchKey"), "{said}");
    stack.destroy().await;
}
