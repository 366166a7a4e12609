//! `security_group`.

use super::*;

#[tokio::test]
async fn a_group_keeps_its_description_and_its_tags_heal() {
    let stack = stack("groups", &[]).await;
    let mut draft = Draft::new(&stack);
    let vpc = draft.vpc("10.7.0.0/16");
    let group = draft.group(&vpc, "hosts");
    draft.rules(&group, &[], &[]);
    let all = ["create vpc/main", "create security_group/hosts", "create security_group_rules/hosts"];
    assert_eq!(stack.converge(&draft.graph).await, all);
    let (id, name) = find::<SecurityGroup, _>(&stack, "hosts", |group| (group.id.clone(), group.name.clone())).await;
    assert_eq!(name, stack.cloud.names.unique("hosts"));
    tag(&stack, &id, "costs", "nobody").await;
    assert_eq!(stack.converge(&draft.graph).await, ["update security_group/hosts tags.costs"]);

    // AWS cannot change it: another description is no reason to replace what hosts are in.
    let mut other = Draft::new(&stack);
    let vpc = other.vpc("10.7.0.0/16");
    let tags = other.tags::<SecurityGroup>("hosts");
    let group = other.graph.add("hosts", SecurityGroup { vpc, description: "another".into(), tags });
    other.rules(&group, &[], &[]);
    assert!(stack.plan(&other.graph).await.is_empty());
    stack.destroy().await;
}

#[tokio::test]
async fn a_group_of_the_same_name_that_is_not_ours_is_let_be() {
    let stack = stack("groups", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let mut draft = Draft::new(&stack);
    let vpc = draft.vpc("10.7.0.0/16");
    stack.converge(&draft.graph).await;
    let id = find::<Vpc, _>(&stack, "main", |vpc| vpc.id.clone()).await;
    let request = ec2.create_security_group().vpc_id(id).group_name(stack.cloud.names.unique("hosts"));
    let foreign = request.description("of somebody else").send().await.unwrap().group_id.unwrap();

    let group = draft.group(&vpc, "hosts");
    draft.rules(&group, &[], &[]);
    let (_, outcome) = stack.apply(&draft.graph).await;
    let error = format!("{:#}", outcome.failed[0].error);
    assert!(
        error.contains("does not belong to stack") && error.contains("infra adopt security_group/hosts"),
        "{error}"
    );

    ec2.delete_security_group().group_id(foreign).send().await.unwrap();
    stack.converge(&draft.graph).await;
    stack.destroy().await;
}
