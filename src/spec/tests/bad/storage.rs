//! Mistakes in buckets and keys.

use super::head;

#[test]
fn bucket_names() {
    for (name, problem) in [
        ("ab", "it has 2 characters"),
        ("Lake", "it has upper-case letters (write `lake`)"),
        ("my_lake", "it has an underscore (write `my-lake`)"),
        ("my lake", "it has ` `"),
        ("-lake", "it must begin and end"),
        ("lake-", "it must begin and end"),
        ("a..b", "it has `.` next to"),
        ("a.-b", "it has `.` next to"),
        ("10.0.0.1", "it looks like an IP address"),
        ("xn--lake", "names that begin with `xn--`"),
        ("sthree-lake", "names that begin with `sthree-`"),
        ("lake-s3alias", "names that end in `-s3alias`"),
        ("lake--ol-s3", "names that end in `--ol-s3`"),
        ("lake--x-s3", "names that end in `--x-s3`"),
        ("lake.mrap", "names that end in `.mrap`"),
    ] {
        head(&[(
            &format!("buckets: {{ b: {{ name: \"{name}\" }} }}"),
            &format!("3:23: S3 refuses the bucket name `{name}`: {problem}"),
        )]);
    }
    let long = "x".repeat(52);
    head(&[
        (
            &format!("buckets: {{ b: {{ name: \"{long}${{account}}\" }} }}"),
            &format!("3:23: S3 refuses the bucket name `{long}${{account}}`: it has 64 characters"),
        ),
        (
            "buckets: { a: { name: \"x-${account}\" }, b: { name: \"x-${account}\" } }",
            "3:52: buckets `a` and `b` are both named `x-${account}` on AWS",
        ),
    ]);
}

#[test]
fn buckets() {
    head(&[
        ("buckets: { b: {} }", "3:12: missing field `name` in bucket `b`"),
        ("buckets: { b: { name: abc, encryption: aes } }", "3:40: `encryption` of bucket `b` cannot be `aes`"),
        (
            "buckets: { b: { name: abc, versioning: \"true\" } }",
            "3:40: `versioning` of bucket `b` must be `true` or `false`, not text (remove the quotes)",
        ),
        (
            "buckets: { b: { name: abc, versioning: on } }",
            "3:40: `versioning` of bucket `b` must be `true` or `false`, not `on` (write `true`)",
        ),
        (
            "buckets: { b: { name: abc, folders: [raw] } }",
            "3:38: a folder cannot be `raw`: a folder ends in `/` (write `raw/`)",
        ),
        (
            "buckets: { b: { name: abc, folders: [/raw/] } }",
            "3:38: a folder cannot be `/raw/`: S3 would make a folder without a name (write `raw/`)",
        ),
        ("buckets: { b: { name: abc, folders: [a/../b/] } }", "3:38: a folder cannot be `a/../b/`"),
        ("buckets: { b: { name: abc, folders: [a/, a/] } }", "3:42: folder `a/` stands here a second time"),
        (
            "buckets: { b: { name: abc, expire: 90 } }",
            "3:36: `expire` of bucket `b` is not a length of time: `90` (add a unit: 90d",
        ),
        ("buckets: { b: { name: abc, expire: 12h } }", "3:36: `expire` of bucket `b` must be whole days"),
        (
            "buckets: { b: { name: abc, expire: { a/: { after: 3d, noncurrent: 1d } } } }",
            "3:67: `noncurrent` needs `versioning: true`",
        ),
        (
            "buckets: { b: { name: abc, expire: { a/: { noncurrent: 1d } }, versioning: true } }",
            "3:38: missing field `after`",
        ),
        (
            "buckets: { b: { name: abc, lifecycle: 90d } }",
            "3:28: unknown field `lifecycle` in bucket `b` (did you mean `expire`?)",
        ),
        ("buckets: { b: abc }", "3:15: bucket `b` must be a map, not a single value (it needs `name`)"),
    ]);
}

#[test]
fn keys() {
    head(&[
        ("keys: { k: {} }", "3:9: key `k` has neither `public_key` nor `generate: true`"),
        ("keys: { k: { generate: false } }", "3:9: key `k` has neither"),
        ("keys: { k: { generate: true, public_key: a.pub } }", "3:30: key `k` has both `generate` and `public_key`"),
        (
            "keys: { k: { public_key: \"-----BEGIN OPENSSH PRIVATE KEY-----\" } }",
            "3:26: this is a private key; a public one belongs here",
        ),
        ("keys: { k: { public_key: ssh-dss AAAAB3 } }", "3:26: EC2 takes no `ssh-dss` keys"),
        (
            &format!("keys: {{ k: {{ generate: true, name: {} }} }}", "x".repeat(256)),
            "3:36: EC2 refuses the key pair's name, of 256 characters",
        ),
        (
            "keys: { a: { generate: true, name: x }, b: { generate: true, name: x } }",
            "3:68: keys `a` and `b` are both named `x` on AWS",
        ),
    ]);
}
