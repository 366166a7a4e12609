//! Names that others have.

use super::*;
use crate::support::world::stack;

#[tokio::test]
async fn what_others_made_is_left_alone_and_told_how_to_adopt() {
    let stack = stack("taken", &[]).await;
    let (iam, names) = (iam(&stack), &stack.cloud.names);
    let (r, u, p, i) = (names.unique("r"), names.unique("u"), names.unique("p"), names.unique("i"));
    let trusted = trust("lambda").minified();
    iam.create_role().role_name(&r).assume_role_policy_document(&trusted).send().await.unwrap();
    iam.create_user().user_name(&u).send().await.unwrap();
    iam.create_instance_profile().instance_profile_name(&i).send().await.unwrap();
    // Under our own path, but without our tags.
    let path = format!("/infra/{}/", names.stack);
    let request = iam.create_policy().policy_name(&p).path(path).policy_document(document("ec2:*").minified());
    let arn = request.send().await.unwrap().policy.unwrap().arn.unwrap();

    let hint = |address: &str, id: &str| {
        format!(
            "{id} exists already and does not belong to stack {}; `infra adopt {address} {id}` takes it over",
            names.stack
        )
    };
    let expect = async |graph: &Graph<Cloud>, hint: String| {
        let failed = failures(&stack, graph).await;
        assert!(failed[0].ends_with(&hint), "{failed:?}");
    };
    expect(&one("r", role(&stack, "r")), hint("iam_role/r", &r)).await;
    expect(&one("u", user(&stack, "u")), hint("iam_user/u", &u)).await;
    expect(&one("p", policy(&stack, "p")), hint("iam_policy/p", &arn)).await;
    let mut graph = Graph::default();
    let link = graph.add("own", role(&stack, "own"));
    graph.add("i", profile(&stack, "i", link));
    expect(&graph, hint("instance_profile/i", &i)).await;

    let found = iam.get_role().role_name(&r).send().await.unwrap().role.unwrap();
    let kept = PolicyDocument::parse(found.assume_role_policy_document().unwrap()).unwrap();
    assert!(kept == trust("lambda") && found.tags().is_empty());
    stack.destroy().await;

    iam.delete_role().role_name(&r).send().await.unwrap();
    iam.delete_user().user_name(&u).send().await.unwrap();
    iam.delete_instance_profile().instance_profile_name(&i).send().await.unwrap();
    iam.delete_policy().policy_arn(&arn).send().await.unwrap();
}
