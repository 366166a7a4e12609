//! `kms_key`.

use aws_sdk_kms::types::{KeyState, Tag};
use engine::Graph;
use infra::{
    cloud::{ADDRESS_TAG, Cloud, STACK_TAG},
    resources::{KmsKey, KmsKeyObserved},
};

use super::{heals, tags};
use crate::support::world::{Stack, stack};

fn graph(stack: &Stack, description: &str, owner: Option<&str>) -> Graph<Cloud> {
    let mut graph = Graph::default();
    graph.add("data", KmsKey { description: description.into(), tags: tags(stack, "kms_key", "data", owner) });
    graph
}

fn alias(stack: &Stack) -> String {
    format!("alias/infra/{}/data", stack.cloud.names.stack)
}

async fn observed(stack: &Stack) -> KmsKeyObserved {
    stack.observe().await.find::<Cloud, KmsKey>("data").expect("a key").clone()
}

async fn state(stack: &Stack, id: &str) -> KeyState {
    let answer = stack.cloud.clients.kms.describe_key().key_id(id).send().await.unwrap();
    answer.key_metadata.unwrap().key_state.unwrap()
}

/// No tag of the stack's is left on any key, and no alias.
async fn nothing_left(stack: &Stack, id: &str) {
    assert_eq!(state(stack, id).await, KeyState::PendingDeletion);
    let left = stack.cloud.clients.kms.list_resource_tags().key_id(id).send().await.unwrap();
    assert!(left.tags().iter().all(|tag| tag.tag_key() != STACK_TAG && tag.tag_key() != ADDRESS_TAG), "{left:?}");
    assert!(stack.cloud.clients.kms.describe_key().key_id(alias(stack)).send().await.is_err());
    assert!(stack.cloud.tagged().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_key_lives_changes_and_goes() {
    let stack = stack("kms", &[]).await;
    assert_eq!(stack.converge(&graph(&stack, "data", None)).await, ["create kms_key/data"]);
    let changed = stack.converge(&graph(&stack, "the data", Some("ada"))).await;
    assert_eq!(changed, ["update kms_key/data description tags.owner"]);
    let changed = stack.converge(&graph(&stack, "the data", None)).await;
    assert_eq!(changed, ["update kms_key/data tags.owner"]);
    let key = observed(&stack).await;
    stack.destroy().await;
    nothing_left(&stack, &key.id).await;

    // The address is free again, although AWS keeps the old key for a week.
    assert_eq!(stack.converge(&graph(&stack, "data", None)).await, ["create kms_key/data"]);
    assert_ne!(observed(&stack).await.id, key.id);
    stack.destroy().await;
}

#[tokio::test]
async fn what_is_changed_by_hand_shows_and_heals() {
    let stack = stack("kms", &[]).await;
    let graph = graph(&stack, "data", None);
    stack.converge(&graph).await;
    let (kms, id) = (&stack.cloud.clients.kms, observed(&stack).await.id);

    kms.disable_key_rotation().key_id(&id).send().await.unwrap();
    heals(&stack, &graph, &["update kms_key/data rotation"]).await;
    kms.disable_key().key_id(&id).send().await.unwrap();
    heals(&stack, &graph, &["update kms_key/data state"]).await;
    kms.update_key_description().key_id(&id).description("mine").send().await.unwrap();
    heals(&stack, &graph, &["update kms_key/data description"]).await;
    kms.delete_alias().alias_name(alias(&stack)).send().await.unwrap();
    heals(&stack, &graph, &["update kms_key/data alias"]).await;
    let tag = Tag::builder().tag_key("by").tag_value("hand").build().unwrap();
    kms.tag_resource().key_id(&id).tags(tag).send().await.unwrap();
    heals(&stack, &graph, &["update kms_key/data tags.by"]).await;
    kms.schedule_key_deletion().key_id(&id).pending_window_in_days(7).send().await.unwrap();
    heals(&stack, &graph, &["update kms_key/data state"]).await;
    assert_eq!(observed(&stack).await.id, id);
    stack.destroy().await;
    nothing_left(&stack, &id).await;
}

#[tokio::test]
async fn an_alias_that_was_moved_to_a_foreign_key_comes_back_and_the_foreign_key_stays() {
    let stack = stack("kms", &[]).await;
    let graph = graph(&stack, "data", None);
    stack.converge(&graph).await;
    let kms = &stack.cloud.clients.kms;
    let foreign = kms.create_key().send().await.unwrap().key_metadata.unwrap().key_id;
    let take = || kms.update_alias().alias_name(alias(&stack)).target_key_id(&foreign).send();

    take().await.unwrap();
    heals(&stack, &graph, &["update kms_key/data alias"]).await;
    take().await.unwrap();
    let id = observed(&stack).await.id;
    stack.destroy().await;
    nothing_left(&stack, &id).await;
    assert_eq!(state(&stack, &foreign).await, KeyState::Enabled);
}

#[tokio::test]
async fn a_half_made_key_is_finished_or_destroyed() {
    let stack = stack("kms", &[]).await;
    let graph = graph(&stack, "data", None);
    let make = async || {
        let tag = |(key, value): (String, String)| Tag::builder().tag_key(key).tag_value(value).build().unwrap();
        let tags = tags(&stack, "kms_key", "data", None).into_iter().map(tag).collect();
        let request = stack.cloud.clients.kms.create_key().description("data").set_tags(Some(tags));
        request.send().await.unwrap().key_metadata.unwrap().key_id
    };
    make().await;
    heals(&stack, &graph, &["update kms_key/data alias rotation"]).await;
    stack.destroy().await;

    let id = make().await;
    stack.destroy().await;
    nothing_left(&stack, &id).await;
}

#[tokio::test]
async fn an_interrupted_delete_goes_on_or_is_taken_back() {
    let stack = stack("kms", &[]).await;
    let graph = graph(&stack, "data", None);
    let kms = &stack.cloud.clients.kms;
    // As far as a delete can come: marked, without its tags, waiting.
    for steps in 1..=3 {
        for take_back in [true, false] {
            stack.converge(&graph).await;
            let key = observed(&stack).await;
            let retired = format!("{} kms_key/data", stack.cloud.names.stack);
            let tag = Tag::builder().tag_key("infra:retired").tag_value(retired).build().unwrap();
            kms.tag_resource().key_id(&key.id).tags(tag).send().await.unwrap();
            if steps > 1 {
                let keys = key.tags.keys().cloned().collect();
                kms.untag_resource().key_id(&key.id).set_tag_keys(Some(keys)).send().await.unwrap();
            }
            if steps > 2 {
                kms.schedule_key_deletion().key_id(&key.id).pending_window_in_days(7).send().await.unwrap();
            }
            if take_back {
                let done = stack.converge(&graph).await;
                assert!(done[0].starts_with("update kms_key/data "), "{done:?}");
                assert_eq!(observed(&stack).await.id, key.id);
            }
            stack.destroy().await;
            nothing_left(&stack, &key.id).await;
        }
    }
}
