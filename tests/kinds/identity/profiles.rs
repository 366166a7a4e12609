use engine::Graph;

use super::*;
use crate::support::world::stack;

/// Two roles and a profile with the one named `held`.
fn graph(stack: &Stack, held: &str, owner: Option<&str>) -> Graph<Cloud> {
    let mut graph = Graph::default();
    let links = ["a", "b"].map(|name| graph.add(name, role(stack, name)));
    let link = links.into_iter().find(|link| link.address().name == held).expect("a or b");
    let tags = tags::<InstanceProfile>(stack, "i", owner);
    graph.add("i", InstanceProfile { tags, ..profile(stack, "i", link) });
    graph
}

#[tokio::test]
async fn a_profile_lives_changes_and_goes() {
    let stack = stack("profile", &[]).await;
    let done = stack.converge(&graph(&stack, "a", None)).await;
    assert_eq!(done, ["create iam_role/a", "create iam_role/b", "create instance_profile/i"]);
    assert_eq!(stack.converge(&graph(&stack, "b", None)).await, ["update instance_profile/i role"]);
    assert_eq!(stack.converge(&graph(&stack, "b", Some("ada"))).await, ["update instance_profile/i tags.owner"]);
    assert_eq!(stack.converge(&graph(&stack, "b", None)).await, ["update instance_profile/i tags.owner"]);

    let mut renamed = Graph::default();
    for name in ["a", "b"] {
        let link = renamed.add(name, role(&stack, name));
        if name == "b" {
            let name = stack.cloud.names.unique("j");
            renamed.add("i", InstanceProfile { name, ..profile(&stack, "i", link) });
        }
    }
    let done = stack.converge(&renamed).await;
    assert_eq!(done, ["delete instance_profile/i", "create instance_profile/i"]);
    stack.destroy().await;
}

#[tokio::test]
async fn one_without_a_role_or_with_another_is_healed() {
    let mut stack = stack("profile-drift", &[]).await;
    let graph = graph(&stack, "a", None);
    stack.converge(&graph).await;
    let name = stack.cloud.names.unique("i");
    let take_out = async |stack: &Stack, role: &str| {
        let request = iam(stack).remove_role_from_instance_profile().instance_profile_name(&name);
        request.role_name(role).send().await.unwrap();
    };
    let put_in = async |stack: &Stack, role: &str| {
        let request = iam(stack).add_role_to_instance_profile().instance_profile_name(&name);
        request.role_name(role).send().await.unwrap();
    };
    let (a, b) = (stack.cloud.names.unique("a"), stack.cloud.names.unique("b"));
    // An interrupted run.
    take_out(&stack, &a).await;
    assert_eq!(stack.converge(&graph).await, ["update instance_profile/i role"]);
    // Another role of the stack.
    take_out(&stack, &a).await;
    put_in(&stack, &b).await;
    assert_eq!(stack.converge(&graph).await, ["update instance_profile/i role"]);
    // Somebody else's: the spec's names find it.
    let foreign = stack.cloud.names.unique("console");
    let request = iam(&stack).create_role().role_name(&foreign).assume_role_policy_document(trust("ec2").minified());
    request.send().await.unwrap();
    take_out(&stack, &a).await;
    put_in(&stack, &foreign).await;
    let mut names = (*stack.cloud.names).clone();
    names.identities.insert(name.clone());
    stack.cloud.names = std::sync::Arc::new(names);
    assert_eq!(stack.converge(&graph).await, ["update instance_profile/i role"]);
    iam(&stack).delete_role().role_name(&foreign).send().await.unwrap();

    iam(&stack).untag_instance_profile().instance_profile_name(&name).tag_keys("project").send().await.unwrap();
    assert_eq!(stack.converge(&graph).await, ["update instance_profile/i tags.project"]);
    stack.destroy().await;
}

/// Interrupted in a delete: the role is out, the profile still there; nothing asks for it any more.
#[tokio::test]
async fn an_orphan_without_a_role_is_found() {
    let stack = stack("profile-orphan", &[]).await;
    stack.converge(&graph(&stack, "a", None)).await;
    let (name, a) = (stack.cloud.names.unique("i"), stack.cloud.names.unique("a"));
    let request = iam(&stack).remove_role_from_instance_profile().instance_profile_name(&name).role_name(&a);
    request.send().await.unwrap();
    iam(&stack).delete_role().role_name(&a).send().await.unwrap();
    stack.destroy().await;
    let left = iam(&stack).get_instance_profile().instance_profile_name(&name).send().await;
    assert!(left.unwrap_err().into_service_error().is_no_such_entity_exception());
}
