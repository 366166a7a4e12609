//! The kinds of `resources/identity`.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Graph, Ref, Resource};
use infra::{
    cloud::{Cloud, Tags},
    resources::{AccessKey, IamPolicy, IamRole, IamUser, InstanceProfile, PolicyDocument},
};
use serde_json::json;

use crate::support::world::Stack;

mod policies;
mod profiles;
mod roles;
mod taken;
mod users;

const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";
const S3_FULL: &str = "arn:aws:iam::aws:policy/AmazonS3FullAccess";

fn document(action: &str) -> PolicyDocument {
    let statement = json!({ "Effect": "Allow", "Action": [action], "Resource": "*" });
    PolicyDocument::new(json!({ "Version": "2012-10-17", "Statement": [statement] }))
}

fn trust(service: &str) -> PolicyDocument {
    let principal = json!({ "Service": format!("{service}.amazonaws.com") });
    let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    PolicyDocument::new(json!({ "Version": "2012-10-17", "Statement": statement }))
}

/// The tags of a resource, and perhaps one more.
fn tags<R: Resource<Cloud>>(stack: &Stack, name: &str, owner: Option<&str>) -> Tags {
    let mut tags = stack.cloud.tags(&engine::Address::new(R::KIND, name));
    tags.extend(owner.map(|owner| ("owner".to_owned(), owner.to_owned())));
    tags
}

fn policy(stack: &Stack, name: &str) -> IamPolicy {
    IamPolicy {
        name: stack.cloud.names.unique(name),
        description: "for tests".into(),
        document: document("s3:GetObject"),
        tags: tags::<IamPolicy>(stack, name, None),
    }
}

fn role(stack: &Stack, name: &str) -> IamRole {
    IamRole {
        name: stack.cloud.names.unique(name),
        description: "for tests".into(),
        trust: trust("ec2"),
        managed: BTreeSet::new(),
        policies: Vec::new(),
        inline: BTreeMap::new(),
        tags: tags::<IamRole>(stack, name, None),
    }
}

fn profile(stack: &Stack, name: &str, role: Ref<IamRole>) -> InstanceProfile {
    InstanceProfile { name: stack.cloud.names.unique(name), role, tags: tags::<InstanceProfile>(stack, name, None) }
}

fn user(stack: &Stack, name: &str) -> IamUser {
    IamUser {
        name: stack.cloud.names.unique(name),
        managed: BTreeSet::new(),
        policies: Vec::new(),
        inline: BTreeMap::new(),
        access_key: None,
        tags: tags::<IamUser>(stack, name, None),
    }
}

fn key(stack: &Stack, name: &str) -> AccessKey {
    AccessKey { file: stack.cloud.names.secrets.join(format!("{name}.credentials")), rotate: false }
}

fn one<R: Resource<Cloud>>(name: &str, resource: R) -> Graph<Cloud> {
    let mut graph = Graph::default();
    graph.add(name, resource);
    graph
}

/// The errors of an apply that must fail, one line each.
async fn failures(stack: &Stack, graph: &Graph<Cloud>) -> Vec<String> {
    let (_, outcome) = stack.apply(graph).await;
    outcome.failed.iter().map(|failure| format!("{:#}", failure.error)).collect()
}

fn iam(stack: &Stack) -> &aws_sdk_iam::Client {
    &stack.cloud.clients.iam
}
