//! Mistakes in roles, users and policies.

use super::head;

#[test]
fn access() {
    let long = |count| "x".repeat(count);
    head(&[
        (
            &format!("access: {{ roles: {{ {}: {{ trust: ec2 }} }} }}", long(65)),
            "3:20: the name of a role has 65 characters (IAM takes 1 to 64)",
        ),
        (&format!("access: {{ users: {{ {}: {{}} }} }}", long(65)), "3:20: the name of a user has 65 characters"),
        (
            &format!(
                "access: {{ policies: {{ {}: {{ document: {{ Statement: {{ Effect: Allow, Action: \"*\", Resource: \"*\" }} }} }} }} }}",
                long(129)
            ),
            "3:23: the name of a policy has 129 characters (IAM takes 1 to 128)",
        ),
        ("access: { roles: { \"a b\": { trust: ec2 } } }", "3:20: IAM refuses the role name `a b`"),
        ("access: { roles: { r: {} } }", "3:20: missing field `trust` in role `r`"),
        ("access: { roles: { r: { trust: ecc } } }", "3:32: unknown AWS service `ecc`"),
        (
            "access: { roles: { r: { trust: elasticmapreduc } } }",
            "3:32: unknown AWS service `elasticmapreduc` (did you mean `elasticmapreduce`?)",
        ),
        ("access: { roles: { r: { trust: [] } } }", "3:32: nobody may assume role `r`"),
        (
            "access: { roles: { r: { trust: ec2, buckets: { lake: read } } } }",
            "3:48: there is no bucket `lake` (declare it under `buckets:`)",
        ),
        (
            "access: { roles: { r: { trust: ec2, buckets: { lake: all } } } }\nbuckets: { lake: { name: abc } }",
            "3:54: access to bucket `lake` cannot be `all`",
        ),
        ("access: { roles: { r: { trust: ec2, clusters: start } } }", "3:47: `clusters` of role `r` cannot be `start`"),
        (
            "access: { roles: { r: { trust: ec2, managed: AmazonElasticMapReduceRole } } }",
            "3:46: AWS has no managed policy `AmazonElasticMapReduceRole` (did you mean `service-role/AmazonElasticMapReduceRole`?)",
        ),
        (
            "access: { roles: { r: { trust: ec2, managed: AmazonS3FulAccess } } }",
            "3:46: AWS has no managed policy `AmazonS3FulAccess` (did you mean `AmazonS3FullAccess`?)",
        ),
        (
            "access: { roles: { r: { trust: ec2, managed: [AmazonS3FullAccess, AmazonS3FullAccess] } } }",
            "3:67: `AmazonS3FullAccess` stands here a second time",
        ),
        (
            "access: { roles: { r: { trust: ec2, managed: \"arn:aws:s3:::x\" } } }",
            "3:46: `arn:aws:s3:::x` is not the ARN of a policy",
        ),
        (
            "access: { roles: { r: { trust: ec2, policies: [lok] } }, policies: { look: { document: { Statement: { Effect: Allow, Action: \"*\", Resource: \"*\" } } } } }",
            "3:48: there is no policy `lok` (did you mean `look`?)",
        ),
        (
            "access: { roles: { r: { trust: ec2 }, R: { trust: ec2 } } }",
            "3:39: roles `r` and `R` are both named `R` on AWS",
        ),
        ("access: { users: { u: { access_key: yes } } }", "3:37: `access_key` of user `u` must be `true` or `false`"),
        ("access: { groups: {} }", "3:11: unknown field `groups` in `access`"),
    ]);
}

#[test]
fn policy_documents() {
    let document = |text: &str, expected: &str| {
        head(&[(&format!("access: {{ policies: {{ p: {{ document:\n  {text} }} }} }}"), expected)]);
    };
    document("[]", "4:3: `document` of policy `p` must be a map with `Statement`, not a list");
    document("\"{}\"", "4:3: `document` of policy `p` must be a map");
    document("{ Version: \"2012-10-17\" }", "4:5: `document` of policy `p` has no `Statement`");
    document("{ Statement: [] }", "4:5: `document` of policy `p` has no statement");
    document("{ Statement: [a] }", "4:17: a statement of `document` of policy `p` must be a map");
    document(
        "{ Statement: { Effect: allow, Action: \"*\", Resource: \"*\" } }",
        "4:26: `Effect` in `document` of policy `p` must be `Allow` or `Deny`",
    );
    document(
        "{ Statement: { Action: \"*\", Resource: \"*\" } }",
        "4:18: a statement of `document` of policy `p` has no `Effect`",
    );
    document(
        "{ Statement: { Effect: Allow, Resource: \"*\" } }",
        "4:18: a statement of `document` of policy `p` has no `Action`",
    );
    document(
        "{ Statement: { Effect: Allow, Action: \"*\" } }",
        "4:18: a statement of `document` of policy `p` has no `Resource`",
    );
    document(
        "{ Statement: { Effect: Allow, Action: \"*\", Resuorce: \"*\", Resource: \"*\" } }",
        "4:46: unknown field `Resuorce` in a statement of `document` of policy `p` (did you mean `Resource`?)",
    );
    document(
        "{ Statement: { Effect: Allow, Action: GetObject, Resource: \"*\" } }",
        "4:41: `GetObject` is not an action",
    );
    document(
        "{ Statement: { Effect: Allow, Action: \"*\", Resource: \"*\", Principal: \"*\" } }",
        "4:61: `document` of policy `p` belongs to a role or user",
    );
    document(
        "{ Version: \"2020-01-01\", Statement: { Effect: Allow, Action: \"*\", Resource: \"*\" } }",
        "4:14: a policy's `Version` cannot be `2020-01-01`",
    );
    document(
        "{ Version: 2012-10-17, Statement: { Effect: Allow, Action: \"*\", Resource: \"*\" } }",
        "4:14: `Version` in `document` of policy `p` must be text, but YAML reads `2012-10-17` as a date",
    );
    document(
        &format!("{{ Statement: {{ Effect: Allow, Action: \"*\", Resource: \"{}\" }} }}", "x".repeat(6_100)),
        "4:3: `document` of policy `p` has 61",
    );
    head(&[(
        "access: { roles: { r: { trust: { Statement: { Effect: Allow, Action: \"sts:AssumeRole\" } } } } }",
        "3:47: a statement of `trust` of role `r` has no `Principal`",
    )]);
}
