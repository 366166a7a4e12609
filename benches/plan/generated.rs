//! Specs of any size: a network of many subnets, hosts with groups and rules of their own, folders, roles.
//!
//! Of these kinds any number is read in the same calls. AWS has no such call for what is set on a bucket (seven each),
//! a VPC's attributes (two), a key's state (two), the tags of a policy or profile and a user's access keys (one each).

/// A key that opens nothing.
const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS bench";

/// The spec of a stack of `size` resources, at least ten.
pub fn spec(size: usize) -> String {
    // There is one each of vpc, internet gateway, route table, key pair and bucket, and a first subnet.
    let rest = size - 6;
    // A host is three: the instance, its group, the group's rules.
    let hosts = (rest / 5).max(1);
    let tenth = rest / 10;
    let roles = rest - 3 * hosts - 2 * tenth;
    let subnets = 1 + tenth;
    [
        format!("stack: bench{size}\nregion: us-west-2\n"),
        "network:\n  cidr: 10.0.0.0/16\n  zones: [us-west-2a]\n  subnets:\n".into(),
        lines(subnets, |n| format!("    s{n}: {{ cidr: 10.0.{n}.0/24, route: internet }}")),
        format!("keys:\n  admin: {{ public_key: {PUBLIC_KEY} }}\n"),
        "buckets:\n  lake:\n    name: ${stack}-lake-${account}\n    folders:\n".into(),
        lines(tenth, |n| format!("      - f{n}/")),
        "access:\n  roles:\n".into(),
        lines(roles, |n| {
            format!("    r{n}: {{ name: \"${{stack}}-r{n}\", trust: ec2, managed: AmazonS3ReadOnlyAccess }}")
        }),
        "hosts:\n".into(),
        lines(hosts, |n| host(n, n % subnets)),
    ]
    .concat()
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(|number| line(number) + "\n").collect()
}

fn host(number: usize, subnet: usize) -> String {
    let machine = "type: t3.micro, image: ubuntu-22.04, disk: 8GiB";
    format!("  h{number}: {{ subnet: s{subnet}, {machine}, ssh_from: [203.0.113.0/24] }}")
}
