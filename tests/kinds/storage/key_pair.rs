//! `key_pair`.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use aws_sdk_ec2::{primitives::Blob, types::Tag};
use engine::Graph;
use infra::{
    cloud::Cloud,
    resources::{KeyPair, KeyPairObserved, KeySource},
};

use super::{fails, heals, tags};
use crate::support::world::{Stack, lines, stack};

const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP9tILaNgFedy574AZkaVUGmAuvF0mSuvlwkdb6qlFmj one";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDj9as1ppzY3r5bqx96368gR7EH1+WcWg6uKMz6FGPQ/ other";

fn graph(stack: &Stack, source: KeySource, owner: Option<&str>) -> Graph<Cloud> {
    let mut graph = Graph::default();
    let name = stack.cloud.names.unique("admin");
    graph.add("admin", KeyPair { name, source, tags: tags(stack, "key_pair", "admin", owner) });
    graph
}

fn public(line: &str) -> KeySource {
    KeySource::Public(line.to_owned())
}

fn file(stack: &Stack) -> PathBuf {
    stack.cloud.names.secrets.join("keys").join("admin")
}

fn made(stack: &Stack) -> KeySource {
    KeySource::Made { file: file(stack) }
}

async fn observed(stack: &Stack) -> KeyPairObserved {
    stack.observe().await.find::<Cloud, KeyPair>("admin").expect("a key pair").clone()
}

#[tokio::test]
async fn a_users_key_lives_changes_and_goes() {
    let stack = stack("keys", &[]).await;
    assert_eq!(stack.converge(&graph(&stack, public(ONE), None)).await, ["create key_pair/admin"]);
    let changed = stack.converge(&graph(&stack, public(ONE), Some("ada"))).await;
    assert_eq!(changed, ["update key_pair/admin tags.owner"]);
    // The comment means nothing.
    let renamed = graph(&stack, public(&ONE.replace("one", "uno y dos\n")), Some("ada"));
    assert!(stack.plan(&renamed).await.is_empty());
    let replaced = stack.converge(&graph(&stack, public(OTHER), Some("ada"))).await;
    assert_eq!(replaced, ["delete key_pair/admin", "create key_pair/admin"]);
    stack.destroy().await;
}

#[tokio::test]
async fn what_is_changed_by_hand_shows_and_heals() {
    let stack = stack("keys", &[]).await;
    let graph = graph(&stack, public(ONE), None);
    stack.converge(&graph).await;
    let (ec2, pair) = (&stack.cloud.clients.ec2, observed(&stack).await);
    let tag = Tag::builder().key("by").value("hand").build();
    ec2.create_tags().resources(&pair.id).tags(tag).send().await.unwrap();
    heals(&stack, &graph, &["update key_pair/admin tags.by"]).await;
    ec2.delete_key_pair().key_name(&pair.name).send().await.unwrap();
    heals(&stack, &graph, &["create key_pair/admin"]).await;
    stack.destroy().await;
}

#[tokio::test]
async fn a_made_key_is_a_private_file_and_is_made_once() {
    let stack = stack("keys", &[]).await;
    let graph = graph(&stack, made(&stack), None);
    stack.converge(&graph).await;
    let file = file(&stack);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "only the key is there");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
    let key = ssh_key::PrivateKey::from_openssh(&text).unwrap();
    assert_eq!(key.comment(), stack.cloud.names.unique("admin"));
    let public = key.public_key().to_openssh().unwrap();
    assert!(public.starts_with(&observed(&stack).await.public));

    // A colleague's machine has no such file, and no say.
    std::fs::rename(&file, file.with_extension("away")).unwrap();
    assert!(stack.plan(&graph).await.is_empty());
    std::fs::rename(file.with_extension("away"), &file).unwrap();

    // Destroyed and made again, it is the same key.
    stack.destroy().await;
    stack.converge(&graph).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    // A file with another key: the pair in AWS opens nothing.
    let rng = &mut ssh_key::rand_core::OsRng;
    let other = ssh_key::PrivateKey::random(rng, ssh_key::Algorithm::Ed25519).unwrap();
    std::fs::write(&file, other.to_openssh(ssh_key::LineEnding::LF).unwrap()).unwrap();
    heals(&stack, &graph, &["delete key_pair/admin", "create key_pair/admin"]).await;
    stack.destroy().await;
}

#[tokio::test]
async fn a_key_file_that_an_interrupted_run_wrote_is_used() {
    let stack = stack("keys", &[]).await;
    let graph = graph(&stack, made(&stack), None);
    stack.converge(&graph).await;
    let before = observed(&stack).await;
    let name = stack.cloud.names.unique("admin");
    stack.cloud.clients.ec2.delete_key_pair().key_name(name).send().await.unwrap();
    stack.converge(&graph).await;
    assert_eq!(observed(&stack).await.public, before.public);
    stack.destroy().await;
}

#[tokio::test]
async fn a_pair_of_that_name_that_is_somebody_elses_is_left_alone() {
    let stack = stack("keys", &[]).await;
    let (ec2, name) = (&stack.cloud.clients.ec2, stack.cloud.names.unique("admin"));
    let request = ec2.import_key_pair().key_name(&name).public_key_material(Blob::new(ONE));
    request.send().await.unwrap();
    let why = fails(&stack, &graph(&stack, public(ONE), None)).await;
    let adopt = format!("`infra adopt key_pair/admin {name}` takes it over");
    assert!(why.contains("does not belong to stack") && why.contains(&adopt), "{why}");
    assert_eq!(lines(&stack.plan(&Graph::default()).await), Vec::<String>::new());
    ec2.delete_key_pair().key_name(name).send().await.unwrap();
}

#[tokio::test]
async fn weak_and_private_keys_are_refused() {
    let stack = stack("keys", &[]).await;
    let weak = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQD09jc4Q5RRZPIgCyyZNf2pZ8QZRoxFegWVjx/sSv6JPE9kkG4tZyEvF6W4rLjGjkqI+PqKcDgDwi8YpVCzPJy9TcweHNZ6R7H7QbcIbU2PCH4ABPbO4Vb47wilQCsyD8FbgZk2/aHjPuZACDRRC8cyRfZKpU4QJCBWF++CPIa3kQ== weak";
    for (line, reason) in [
        (weak, "too weak"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "private key"),
        (
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBiWOWdLU7NJaC+hR9dodZSvL12beY/6f2TbUclW+NMUG7jb45WHOcOVXRPe95/HH4gQELcdNXj2LrbIPVi6aQQ= e",
            "EC2 takes",
        ),
    ] {
        let why = fails(&stack, &graph(&stack, public(line), None)).await;
        assert!(why.contains(reason), "{why}");
    }
}
