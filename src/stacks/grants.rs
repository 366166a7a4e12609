//! The policies behind `buckets: { lake: read-write }` and `clusters: run`: no more than the words say.

use serde_json::{Value, json};

use crate::{
    cloud::{Names, STACK_TAG},
    spec::{BucketAccess, ClusterAccess, Encryption, Spec},
};

/// Access to one of the stack's buckets, and to the stack's key where it encrypts the bucket.
pub(super) fn bucket(spec: &Spec, names: &Names, bucket: &str, access: BucketAccess) -> Value {
    let told = &spec.buckets[bucket];
    let arn = format!("arn:{}:s3:::{}", spec.partition(), told.name.resolve(&names.account));
    let mut objects = Vec::new();
    if access.reads() {
        objects.extend(["s3:GetObject", "s3:GetObjectVersion"]);
    }
    if access.writes() {
        objects.extend(["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]);
    }
    let mut statements = vec![
        json!({
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"],
            "Resource": arn,
        }),
        json!({ "Effect": "Allow", "Action": objects, "Resource": format!("{arn}/*") }),
    ];
    if *told.encryption == Encryption::Kms {
        statements.push(stack_key(names, access.writes()));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Use of the stack's own key, which goes by its alias: the key's ARN is not known before it is made.
/// Source: the condition key `kms:ResourceAliases` in the AWS KMS developer guide.
pub(super) fn stack_key(names: &Names, writes: bool) -> Value {
    let mut actions = vec!["kms:Decrypt", "kms:DescribeKey"];
    if writes {
        actions.extend(["kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"]);
    }
    json!({
        "Effect": "Allow",
        "Action": actions,
        "Resource": "*",
        "Condition": { "ForAnyValue:StringEquals": { "kms:ResourceAliases": format!("alias/infra/{}/main", names.stack) } },
    })
}

/// Access to the stack's clusters, told by their tag, and to no others.
/// Source: "Actions, resources, and condition keys for Amazon Elastic `MapReduce`" in the service authorization reference.
pub(super) fn clusters(spec: &Spec, names: &Names, access: ClusterAccess) -> Value {
    let own = json!({ "StringEquals": { format!("elasticmapreduce:ResourceTag/{STACK_TAG}"): names.stack } });
    let mut statements = vec![
        json!({ "Effect": "Allow", "Action": ["elasticmapreduce:ListClusters"], "Resource": "*" }),
        json!({
            "Effect": "Allow",
            "Action": [
                "elasticmapreduce:DescribeCluster", "elasticmapreduce:DescribeStep",
                "elasticmapreduce:ListBootstrapActions", "elasticmapreduce:ListInstanceFleets",
                "elasticmapreduce:ListInstanceGroups", "elasticmapreduce:ListInstances", "elasticmapreduce:ListSteps",
            ],
            "Resource": "*",
            "Condition": own,
        }),
    ];
    if access == ClusterAccess::Run {
        let made = json!({ "StringEquals": { format!("elasticmapreduce:RequestTag/{STACK_TAG}"): names.stack } });
        statements.extend([
            json!({
                "Effect": "Allow",
                "Action": ["elasticmapreduce:RunJobFlow", "elasticmapreduce:AddTags"],
                "Resource": "*",
                "Condition": made,
            }),
            json!({
                "Effect": "Allow",
                "Action": [
                    "elasticmapreduce:AddJobFlowSteps", "elasticmapreduce:CancelSteps",
                    "elasticmapreduce:ModifyCluster", "elasticmapreduce:ModifyInstanceFleet",
                    "elasticmapreduce:ModifyInstanceGroups", "elasticmapreduce:SetTerminationProtection",
                    "elasticmapreduce:TerminateJobFlows",
                ],
                "Resource": "*",
                "Condition": own,
            }),
        ]);
        statements.extend(pass_roles(spec, names));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Leave to look at the stack's clusters and to end them, and no others.
pub(super) fn reaper(names: &Names) -> Value {
    let own = json!({ "StringEquals": { format!("elasticmapreduce:ResourceTag/{STACK_TAG}"): names.stack } });
    let actions =
        ["elasticmapreduce:DescribeCluster", "elasticmapreduce:ListSteps", "elasticmapreduce:TerminateJobFlows"];
    json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Allow", "Action": ["elasticmapreduce:ListClusters"], "Resource": "*" },
            { "Effect": "Allow", "Action": actions, "Resource": "*", "Condition": own },
        ],
    })
}

/// Leave to hand exactly the cluster's two roles to EMR and its machines.
fn pass_roles(spec: &Spec, names: &Names) -> Option<Value> {
    let cluster = spec.cluster.as_ref()?;
    let arn = |role: &str| {
        let name = spec.access.roles[role].name.resolve(&names.account);
        format!("arn:{}:iam::{}:role/{name}", spec.partition(), names.account)
    };
    let roles = [arn(&cluster.service_role), arn(&cluster.node_role)];
    let services = ["elasticmapreduce.amazonaws.com", "ec2.amazonaws.com"];
    Some(json!({
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": roles,
        "Condition": { "StringEquals": { "iam:PassedToService": services } },
    }))
}
