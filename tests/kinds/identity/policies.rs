use engine::{Address, Graph};
use infra::{cloud::Cloud, resources::IamPolicy};
use serde_json::json;

use super::*;
use crate::support::world::{lines, stack};

async fn arn(stack: &Stack, name: &str) -> String {
    stack.observe().await.item(&Address::new("iam_policy", name)).expect("the policy is there").id.clone()
}

#[tokio::test]
async fn a_policy_lives_changes_and_goes() {
    let stack = stack("policy", &[]).await;
    assert_eq!(stack.converge(&one("p", policy(&stack, "p"))).await, ["create iam_policy/p"]);

    let document = document("s3:PutObject");
    let changed = IamPolicy { document, tags: tags::<IamPolicy>(&stack, "p", Some("ada")), ..policy(&stack, "p") };
    assert_eq!(stack.converge(&one("p", changed.clone())).await, ["update iam_policy/p document tags.owner"]);
    assert_eq!(stack.converge(&one("p", policy(&stack, "p"))).await, ["update iam_policy/p document tags.owner"]);

    let described = IamPolicy { description: "cannot change".into(), ..policy(&stack, "p") };
    assert!(stack.plan(&one("p", described)).await.is_empty());

    let renamed = IamPolicy { name: stack.cloud.names.unique("q"), ..policy(&stack, "p") };
    assert_eq!(stack.converge(&one("p", renamed)).await, ["delete iam_policy/p", "create iam_policy/p"]);
    stack.destroy().await;
}

#[tokio::test]
async fn versions_make_room() {
    let stack = stack("policy-versions", &[]).await;
    for round in 0..8 {
        let changed = IamPolicy { document: document(&format!("s3:Get{round}")), ..policy(&stack, "p") };
        stack.converge(&one("p", changed)).await;
    }
    let arn = arn(&stack, "p").await;
    let versions = iam(&stack).list_policy_versions().policy_arn(&arn).send().await.unwrap();
    assert_eq!(versions.versions().len(), 5);
    stack.destroy().await;
}

#[tokio::test]
async fn what_is_changed_by_hand_is_one_field_and_healed() {
    let stack = stack("policy-drift", &[]).await;
    let graph = one("p", policy(&stack, "p"));
    stack.converge(&graph).await;
    let arn = arn(&stack, "p").await;

    let other = document("s3:*").minified();
    let request = iam(&stack).create_policy_version().policy_arn(&arn).policy_document(other).set_as_default(true);
    request.send().await.unwrap();
    assert_eq!(stack.converge(&graph).await, ["update iam_policy/p document"]);

    iam(&stack).set_default_policy_version().policy_arn(&arn).version_id("v2").send().await.unwrap();
    assert_eq!(stack.converge(&graph).await, ["update iam_policy/p document"]);

    // The same in other words is no difference, nor is a version that is not the default.
    let words = json!({ "Statement": { "Resource": ["*"], "Effect": "Allow", "Action": "S3:getobject" }, "Version": "2012-10-17" });
    for is_default in [true, false] {
        let request = iam(&stack).create_policy_version().policy_arn(&arn).policy_document(words.to_string());
        match request.set_as_default(is_default).send().await {
            Ok(_) => {}
            Err(error) => assert!(error.into_service_error().is_limit_exceeded_exception()),
        }
        assert!(stack.plan(&graph).await.is_empty());
    }

    let tag = aws_sdk_iam::types::Tag::builder().key("project").value("other").build().unwrap();
    iam(&stack).tag_policy().policy_arn(&arn).tags(tag).send().await.unwrap();
    assert_eq!(stack.converge(&graph).await, ["update iam_policy/p tags.project"]);
    stack.destroy().await;
}

/// A role holds two policies; then only one, and the other is gone from the spec.
#[tokio::test]
async fn a_policy_that_is_held_is_let_go_and_replaced() {
    let stack = stack("policy-held", &[]).await;
    let held = |names: &[(&str, &str)]| {
        let mut graph: Graph<Cloud> = Graph::default();
        let links = names.iter().map(|(address, name)| {
            graph.add(*address, IamPolicy { name: stack.cloud.names.unique(name), ..policy(&stack, address) })
        });
        let policies = links.collect::<Vec<_>>();
        graph.add("r", IamRole { policies: policies.clone(), ..role(&stack, "r") });
        graph.add("u", IamUser { policies, ..user(&stack, "u") });
        graph
    };
    let done = stack.converge(&held(&[("a", "a"), ("b", "b")])).await;
    assert_eq!(done, ["create iam_policy/a", "create iam_policy/b", "create iam_role/r", "create iam_user/u"]);

    // Another name: the new one's ARN is not known when the plan is made.
    let renamed = held(&[("a", "a"), ("b", "c")]);
    let plan = stack.plan(&renamed).await;
    let steps =
        ["delete iam_policy/b", "create iam_policy/b", "update iam_role/r attached", "update iam_user/u attached"];
    assert_eq!(lines(&plan), steps);
    let shown = serde_json::to_value(&plan.steps[2].action).unwrap();
    assert_eq!(shown["diff"][0]["to"], json!(["iam_policy/b"]), "{shown}");
    assert_eq!(stack.converge(&renamed).await, steps);

    // Another address for the same name.
    let done = stack.converge(&held(&[("d", "a"), ("b", "c")])).await;
    assert!(done.contains(&"delete iam_policy/a".to_owned()) && done.contains(&"create iam_policy/d".to_owned()));

    let done = stack.converge(&held(&[("b", "c")])).await;
    assert_eq!(done, ["update iam_role/r attached", "update iam_user/u attached", "delete iam_policy/d"]);
    stack.destroy().await;
}

#[tokio::test]
async fn a_policy_that_others_hold_is_not_taken_from_them() {
    let stack = stack("policy-others", &[]).await;
    stack.converge(&one("p", policy(&stack, "p"))).await;
    let (arn, other) = (arn(&stack, "p").await, stack.cloud.names.unique("console"));
    let request = iam(&stack).create_role().role_name(&other).assume_role_policy_document(trust("ec2").minified());
    request.send().await.unwrap();
    iam(&stack).attach_role_policy().role_name(&other).policy_arn(&arn).send().await.unwrap();

    let failed = failures(&stack, &Graph::default()).await;
    assert!(failed[0].contains(&format!("still attached to role {other}")), "{failed:?}");
    iam(&stack).detach_role_policy().role_name(&other).policy_arn(&arn).send().await.unwrap();
    iam(&stack).delete_role().role_name(&other).send().await.unwrap();
    stack.destroy().await;
}

/// An adopted policy lies under no path of ours.
#[tokio::test]
async fn an_adopted_policy_is_found_by_name_or_by_who_holds_it() {
    let mut stack = stack("policy-adopted", &[]).await;
    let name = stack.cloud.names.unique("p");
    let request = iam(&stack).create_policy().policy_name(&name).policy_document(document("s3:GetObject").minified());
    let arn = request.send().await.unwrap().policy.unwrap().arn.unwrap();
    let wanted = policy(&stack, "p");
    let tags = wanted
        .tags
        .iter()
        .map(|(key, value)| aws_sdk_iam::types::Tag::builder().key(key).value(value).build().unwrap());
    iam(&stack).tag_policy().policy_arn(&arn).set_tags(Some(tags.collect())).send().await.unwrap();
    let mut names = (*stack.cloud.names).clone();
    names.identities.insert(name);
    stack.cloud.names = std::sync::Arc::new(names.clone());

    let mut graph: Graph<Cloud> = Graph::default();
    let link = graph.add("p", wanted);
    graph.add("r", IamRole { policies: vec![link], ..role(&stack, "r") });
    assert_eq!(stack.converge(&graph).await, ["create iam_role/r"]);
    names.identities.clear();
    stack.cloud.names = std::sync::Arc::new(names);
    assert!(stack.plan(&graph).await.is_empty());
    stack.destroy().await;
}
