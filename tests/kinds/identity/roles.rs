use engine::Graph;
use infra::resources::IamRole;

use super::*;
use crate::support::world::stack;

fn full(stack: &Stack) -> IamRole {
    IamRole {
        managed: [READ_ONLY.to_owned()].into(),
        inline: [("reads".to_owned(), document("s3:GetObject"))].into(),
        ..role(stack, "r")
    }
}

#[tokio::test]
async fn a_role_lives_changes_and_goes() {
    let stack = stack("role", &[]).await;
    assert_eq!(stack.converge(&one("r", full(&stack))).await, ["create iam_role/r"]);

    let changes = [
        ("description", IamRole { description: "other".into(), ..full(&stack) }),
        ("description", IamRole { description: String::new(), ..full(&stack) }),
        ("trust", IamRole { trust: trust("elasticmapreduce"), ..full(&stack) }),
        ("attached", IamRole { managed: [S3_FULL.to_owned()].into(), ..full(&stack) }),
        ("attached", IamRole { managed: BTreeSet::new(), ..full(&stack) }),
        ("inline.reads", IamRole { inline: [("reads".to_owned(), document("s3:*"))].into(), ..full(&stack) }),
        ("inline.reads", IamRole { inline: BTreeMap::new(), ..full(&stack) }),
        ("tags.owner", IamRole { tags: tags::<IamRole>(&stack, "r", Some("ada")), ..full(&stack) }),
    ];
    for (field, changed) in changes {
        let expected = [format!("update iam_role/r {field}")];
        assert_eq!(stack.converge(&one("r", changed)).await, expected);
        assert_eq!(stack.converge(&one("r", full(&stack))).await, expected);
    }
    let renamed = IamRole { name: stack.cloud.names.unique("other"), ..full(&stack) };
    assert_eq!(stack.converge(&one("r", renamed)).await, ["delete iam_role/r", "create iam_role/r"]);
    stack.destroy().await;
}

#[tokio::test]
async fn what_is_changed_by_hand_is_one_field_and_healed() {
    let stack = stack("role-drift", &[]).await;
    let (graph, name) = (one("r", full(&stack)), full(&stack).name);
    stack.converge(&graph).await;
    let healed = async |field: &str| {
        assert_eq!(stack.converge(&graph).await, [format!("update iam_role/r {field}")]);
    };

    iam(&stack).attach_role_policy().role_name(&name).policy_arn(S3_FULL).send().await.unwrap();
    healed("attached").await;
    iam(&stack).detach_role_policy().role_name(&name).policy_arn(READ_ONLY).send().await.unwrap();
    healed("attached").await;
    let put = iam(&stack).put_role_policy().role_name(&name).policy_name("console");
    put.policy_document(document("s3:*").minified()).send().await.unwrap();
    healed("inline.console").await;
    iam(&stack).delete_role_policy().role_name(&name).policy_name("reads").send().await.unwrap();
    healed("inline.reads").await;
    let update = iam(&stack).update_assume_role_policy().role_name(&name);
    update.policy_document(trust("lambda").minified()).send().await.unwrap();
    healed("trust").await;
    iam(&stack).update_role().role_name(&name).description("by hand").send().await.unwrap();
    healed("description").await;
    iam(&stack).untag_role().role_name(&name).tag_keys("project").send().await.unwrap();
    healed("tags.project").await;

    // The same trust in other words.
    let words = json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "", "Action": ["sts:AssumeRole"], "Principal": { "Service": ["ec2.amazonaws.com"] }, "Effect": "Allow",
    }] });
    iam(&stack).update_assume_role_policy().role_name(&name).policy_document(words.to_string()).send().await.unwrap();
    assert!(stack.plan(&graph).await.is_empty());
    stack.destroy().await;
}

#[tokio::test]
async fn a_run_that_died_after_the_first_call_is_finished() {
    let stack = stack("role-half", &[]).await;
    let wanted = full(&stack);
    let sent = wanted
        .tags
        .iter()
        .map(|(key, value)| aws_sdk_iam::types::Tag::builder().key(key).value(value).build().unwrap());
    let request = iam(&stack).create_role().role_name(&wanted.name).description(&wanted.description);
    let request = request.assume_role_policy_document(wanted.trust.minified()).set_tags(Some(sent.collect()));
    request.send().await.unwrap();
    // The plan knows nothing of it yet: a describe may lag.
    let graph = one("r", wanted);
    let plan = engine::plan(&infra::resources::REGISTRY, &graph, &engine::Inventory::default(), engine::Selection::All);
    let (events, _unheard) = tokio::sync::mpsc::unbounded_channel();
    let options = engine::Options { parallelism: 1, cancel: tokio_util::sync::CancellationToken::new(), events };
    let known = engine::Inventory::default();
    let outcome = engine::apply(&plan, &infra::resources::REGISTRY, &graph, known, &stack.cloud, &options).await;
    assert!(outcome.is_complete(), "{:#?}", outcome.failed);
    assert!(stack.plan(&graph).await.is_empty());

    iam(&stack).detach_role_policy().role_name(&full(&stack).name).policy_arn(READ_ONLY).send().await.unwrap();
    iam(&stack).delete_role_policy().role_name(&full(&stack).name).policy_name("reads").send().await.unwrap();
    assert_eq!(stack.converge(&graph).await, ["update iam_role/r attached inline.reads"]);
    stack.destroy().await;
}

#[tokio::test]
async fn a_role_goes_out_of_the_profile_that_it_is_in() {
    let stack = stack("role-profile", &[]).await;
    let graph = |name: &str| {
        let mut graph: Graph<Cloud> = Graph::default();
        let link = graph.add("r", IamRole { name: stack.cloud.names.unique(name), ..full(&stack) });
        graph.add("i", profile(&stack, "i", link));
        graph
    };
    stack.converge(&graph("one")).await;
    let done = stack.converge(&graph("two")).await;
    assert_eq!(done, ["delete iam_role/r", "create iam_role/r", "update instance_profile/i role"]);

    // Somebody else's profile is theirs.
    let (role, foreign) = (stack.cloud.names.unique("two"), stack.cloud.names.unique("console"));
    iam(&stack).create_instance_profile().instance_profile_name(&foreign).send().await.unwrap();
    let add = iam(&stack).add_role_to_instance_profile().instance_profile_name(&foreign).role_name(&role);
    add.send().await.unwrap();
    let failed = failures(&stack, &Graph::default()).await;
    assert!(failed[0].contains(&format!("in the instance profile {foreign}")), "{failed:?}");
    let remove = iam(&stack).remove_role_from_instance_profile().instance_profile_name(&foreign).role_name(&role);
    remove.send().await.unwrap();
    stack.destroy().await;
    iam(&stack).delete_instance_profile().instance_profile_name(&foreign).send().await.unwrap();
}
