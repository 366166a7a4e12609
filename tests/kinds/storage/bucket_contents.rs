//! `bucket_folder`, `bucket_object`, and what becomes of a bucket's contents when it is deleted.

use std::{collections::BTreeSet, path::PathBuf};

use engine::Graph;
use futures::StreamExt;
use infra::{
    cloud::Cloud,
    resources::{Bucket, BucketEncryption, BucketFolder, BucketObject, BucketObjectObserved, ObjectSource, sha256_of},
};

use super::{fails, heals, names, tags};
use crate::support::world::{Stack, lines, stack};

/// What can change about a bucket's contents.
#[derive(Clone, Default)]
struct Wanted {
    folders: &'static [&'static str],
    /// Key, text, media type.
    object: Option<(&'static str, Vec<u8>, Option<&'static str>)>,
    versioning: bool,
}

fn name(stack: &Stack) -> String {
    format!("{}-data", stack.cloud.names.stack)
}

fn source(stack: &Stack) -> PathBuf {
    stack.cloud.names.secrets.join("source")
}

async fn graph(stack: &mut Stack, wanted: &Wanted) -> Graph<Cloud> {
    let Wanted { folders, object, versioning } = wanted;
    let bucket_name = name(stack);
    let mut graph = Graph::default();
    let bucket = Bucket {
        name: bucket_name.clone(),
        encryption: BucketEncryption::S3,
        versioning: *versioning,
        lifecycle: BTreeSet::new(),
        protect: false,
        tags: tags(stack, "bucket", "data", None),
    };
    let bucket = graph.add("data", bucket);
    for folder in *folders {
        let key = format!("{folder}/");
        let folder = format!("data/{folder}");
        graph.add(&folder, BucketFolder { bucket: bucket.clone(), bucket_name: bucket_name.clone(), key });
    }
    let keys = folders.iter().map(|folder| format!("{folder}/")).collect();
    names(stack).folders = [(bucket_name.clone(), keys)].into();
    names(stack).objects.clear();
    if let Some((key, text, content_type)) = object {
        let source = source(stack);
        std::fs::write(&source, text).unwrap();
        let sha256 = sha256_of(&source).await.unwrap();
        names(stack).objects = [((bucket_name.clone(), (*key).to_owned()), "job".to_owned())].into();
        let content_type = content_type.map(str::to_owned);
        let source = ObjectSource::File { path: source, sha256 };
        graph.add(
            "job",
            BucketObject { bucket, folder: None, bucket_name, key: (*key).to_owned(), source, content_type },
        );
    }
    graph
}

async fn put(stack: &Stack, key: &str, text: &str) {
    let body = text.as_bytes().to_vec().into();
    stack.cloud.clients.s3.put_object().bucket(name(stack)).key(key).body(body).send().await.unwrap();
}

async fn keys(stack: &Stack) -> Vec<String> {
    let answer = stack.cloud.clients.s3.list_objects_v2().bucket(name(stack)).send().await.unwrap();
    answer.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
}

async fn observed(stack: &Stack) -> BucketObjectObserved {
    stack.observe().await.find::<Cloud, BucketObject>("job").expect("an object").clone()
}

async fn content(stack: &Stack, key: &str) -> Vec<u8> {
    let answer = stack.cloud.clients.s3.get_object().bucket(name(stack)).key(key).send().await.unwrap();
    answer.body.collect().await.unwrap().to_vec()
}

#[tokio::test]
async fn folders_come_and_go_and_data_in_them_is_nobodys_drift() {
    let mut stack = stack("folder", &["data"]).await;
    let wanted = Wanted { folders: &["raw", "clean", "deep/er"], ..Wanted::default() };
    let all = graph(&mut stack, &wanted).await;
    assert_eq!(
        stack.converge(&all).await,
        [
            "create bucket/data",
            "create bucket_folder/data/raw",
            "create bucket_folder/data/clean",
            "create bucket_folder/data/deep/er"
        ]
    );
    assert_eq!(keys(&stack).await, ["clean/", "deep/er/", "raw/"]);

    // What a job writes is no drift, nor is a folder that jobs make, nor a marker that goes while data stays.
    put(&stack, "raw/2024/01/01.json", "{}").await;
    put(&stack, "scratch/", "").await;
    let s3 = &stack.cloud.clients.s3;
    s3.delete_object().bucket(name(&stack)).key("raw/").send().await.unwrap();
    assert!(stack.plan(&all).await.is_empty());
    s3.delete_object().bucket(name(&stack)).key("deep/er/").send().await.unwrap();
    heals(&stack, &all, &["create bucket_folder/data/deep/er"]).await;

    // A folder that the spec forgets is left alone.
    let fewer = graph(&mut stack, &Wanted { folders: &["raw"], ..wanted.clone() }).await;
    assert!(stack.plan(&fewer).await.is_empty());
    let s3 = &stack.cloud.clients.s3;
    s3.delete_object().bucket(name(&stack)).key("raw/2024/01/01.json").send().await.unwrap();
    // Markers, ours and theirs, do not keep a bucket.
    stack.destroy().await;
}

#[tokio::test]
async fn folders_are_found_among_thousands_of_neighbours() {
    let mut stack = stack("folder", &["data"]).await;
    let all = graph(&mut stack, &Wanted { folders: &["zz", "aa"], ..Wanted::default() }).await;
    stack.converge(&all).await;
    let puts = (0..1001).map(|number| {
        let s3 = &stack.cloud.clients.s3;
        let bucket = name(&stack);
        async move { s3.put_object().bucket(bucket).key(format!("m{number}")).send().await.unwrap() }
    });
    let _: Vec<_> = futures::stream::iter(puts).buffer_unordered(16).collect().await;
    assert!(stack.plan(&all).await.is_empty());

    // More than one page of versions goes too.
    let why = fails(&stack, &Graph::default()).await;
    assert!(why.contains("1001 objects") && why.contains("--empty-buckets"), "{why}");
    stack.cloud = stack.cloud.clone().with_empty_buckets(true);
    stack.destroy().await;
}

#[tokio::test]
async fn a_bucket_with_data_goes_only_when_told_so() {
    let mut stack = stack("folder", &["data"]).await;
    let all = graph(&mut stack, &Wanted { folders: &["raw"], versioning: true, ..Wanted::default() }).await;
    stack.converge(&all).await;
    put(&stack, "raw/a", "one").await;
    put(&stack, "raw/a", "two").await;
    put(&stack, "raw/b", "three").await;
    let s3 = &stack.cloud.clients.s3;
    s3.delete_object().bucket(name(&stack)).key("raw/b").send().await.unwrap();
    let upload = s3.create_multipart_upload().bucket(name(&stack)).key("raw/c").send().await.unwrap();
    assert!(upload.upload_id.is_some());

    let why = fails(&stack, &Graph::default()).await;
    assert!(why.contains("holds 1 object and 2 older versions; `--empty-buckets`"), "{why}");
    assert_eq!(content(&stack, "raw/a").await, b"two");
    stack.cloud = stack.cloud.clone().with_empty_buckets(true);
    stack.destroy().await;
}

#[tokio::test]
async fn folders_of_a_foreign_bucket_are_not_ours() {
    let mut stack = stack("folder", &["data"]).await;
    let all = graph(&mut stack, &Wanted { folders: &["raw"], ..Wanted::default() }).await;
    stack.converge(&all).await;
    let s3 = &stack.cloud.clients.s3;
    s3.delete_bucket_tagging().bucket(name(&stack)).send().await.unwrap();
    assert_eq!(lines(&stack.plan(&Graph::default()).await), Vec::<String>::new());
    s3.delete_object().bucket(name(&stack)).key("raw/").send().await.unwrap();
    s3.delete_bucket().bucket(name(&stack)).send().await.unwrap();
}

#[tokio::test]
async fn an_object_lives_changes_and_goes() {
    let mut stack = stack("object", &["data"]).await;
    let with = |text: &[u8], content_type| Wanted {
        object: Some(("jobs/clean.py", text.to_vec(), content_type)),
        versioning: true,
        ..Wanted::default()
    };
    let first = graph(&mut stack, &with(b"print(1)", Some("text/x-python"))).await;
    assert_eq!(stack.converge(&first).await, ["create bucket/data", "create bucket_object/job"]);
    assert_eq!(content(&stack, "jobs/clean.py").await, b"print(1)");
    assert_eq!(observed(&stack).await.content_type, "text/x-python");

    let changed = graph(&mut stack, &with(b"print(2)", Some("text/x-python"))).await;
    heals(&stack, &changed, &["update bucket_object/job sha256"]).await;
    assert_eq!(content(&stack, "jobs/clean.py").await, b"print(2)");
    let untyped = graph(&mut stack, &with(b"print(2)", None)).await;
    heals(&stack, &untyped, &["update bucket_object/job content_type"]).await;

    // Somebody writes over it, once plainly, once with the same metadata.
    put(&stack, "jobs/clean.py", "print(3)").await;
    heals(&stack, &untyped, &["update bucket_object/job sha256"]).await;
    let s3 = &stack.cloud.clients.s3;
    let head = s3.head_object().bucket(name(&stack)).key("jobs/clean.py").send().await.unwrap();
    let forged = s3.put_object().bucket(name(&stack)).key("jobs/clean.py").body(b"print(4)".to_vec().into());
    let forged = forged.set_metadata(head.metadata).content_type("binary/octet-stream");
    forged.send().await.unwrap();
    heals(&stack, &untyped, &["update bucket_object/job sha256"]).await;
    s3.delete_object().bucket(name(&stack)).key("jobs/clean.py").send().await.unwrap();
    heals(&stack, &untyped, &["create bucket_object/job"]).await;

    // All versions of it go, so that the bucket can.
    stack.destroy().await;
}

#[tokio::test]
async fn an_object_that_somebody_else_wrote_is_not_deleted() {
    let mut stack = stack("object", &["data"]).await;
    let wanted = Wanted { object: Some(("job", b"ours".to_vec(), None)), ..Wanted::default() };
    let all = graph(&mut stack, &wanted).await;
    stack.converge(&all).await;
    put(&stack, "job", "theirs").await;
    let why = fails(&stack, &Graph::default()).await;
    assert!(why.contains("holds 1 object"), "{why}");
    assert_eq!(content(&stack, "job").await, b"theirs");
    stack.cloud = stack.cloud.clone().with_empty_buckets(true);
    stack.destroy().await;
}

#[tokio::test]
async fn a_large_object_goes_in_parts_and_an_interrupted_upload_is_given_up() {
    let mut stack = stack("object", &["data"]).await;
    let text: Vec<u8> =
        (0..(17 << 20) + 5_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let bare = graph(&mut stack, &Wanted::default()).await;
    stack.converge(&bare).await;
    let s3 = stack.cloud.clients.s3.clone();
    s3.create_multipart_upload().bucket(name(&stack)).key("big").send().await.unwrap();
    s3.create_multipart_upload().bucket(name(&stack)).key("bigger").send().await.unwrap();

    let wanted = Wanted { object: Some(("big", text.clone(), None)), ..Wanted::default() };
    let all = graph(&mut stack, &wanted).await;
    assert_eq!(stack.converge(&all).await, ["create bucket_object/job"]);
    assert!(content(&stack, "big").await == text);
    let left = s3.list_multipart_uploads().bucket(name(&stack)).send().await.unwrap();
    let left: Vec<_> = left.uploads().iter().map(|upload| upload.key().unwrap().to_owned()).collect();
    assert_eq!(left, ["bigger"], "that of another key is another's");
    stack.destroy().await;
}

#[tokio::test]
async fn a_file_that_changes_after_the_plan_is_refused() {
    let mut stack = stack("object", &["data"]).await;
    let wanted = Wanted { object: Some(("job", b"one".to_vec(), None)), ..Wanted::default() };
    let all = graph(&mut stack, &wanted).await;
    std::fs::write(source(&stack), "two").unwrap();
    let why = fails(&stack, &all).await;
    assert!(why.contains("has changed since the plan was made"), "{why}");
    stack.destroy().await;
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let mut stack = stack("object", &["data"]).await;
    let wanted = Wanted { object: Some(("empty", Vec::new(), None)), ..Wanted::default() };
    let all = graph(&mut stack, &wanted).await;
    stack.converge(&all).await;
    stack.destroy().await;
}
