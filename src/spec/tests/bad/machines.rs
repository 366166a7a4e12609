//! Mistakes in hosts.

use super::{WORLD, one, world};

#[test]
fn hosts() {
    world(&[
        ("hosts: { h: { type: t2.micro } }", "10:10: missing field `subnet` in host `h`"),
        ("hosts: { h: { subnet: out } }", "10:10: missing field `type` in host `h`"),
        ("hosts: { h: { subnet: ot, type: t2.micro } }", "10:23: there is no subnet `ot` (did you mean `out`?)"),
        ("hosts: { h: { subnet: out, type: micro } }", "10:34: `micro` is no instance type (a type is FAMILY.SIZE"),
        (
            "hosts: { h: { subnet: out, type: T2.Micro } }",
            "10:34: `T2.Micro` is no instance type (did you mean `t2.micro`?)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micor } }",
            "10:34: `t2.micor` is no instance type (did you mean `t2.micro`?)",
        ),
        (
            "hosts: { h: { subnet: out, instance_type: t2.micro, type: t2.micro } }",
            "10:28: unknown field `instance_type` in host `h` (did you mean `type`?)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, image: ubuntu-22.05 } }",
            "10:51: unknown image `ubuntu-22.05` (did you mean `ubuntu-22.04`?)",
        ),
        ("hosts: { h: { subnet: out, type: t2.micro, image: ami-xyz } }", "10:51: `ami-xyz` is no image's id"),
        (
            "hosts: { h: { subnet: out, type: t2.micro, disk: 8GB } }",
            "10:50: `disk` of host `h` is not a size: `8GB` (write 8GiB (or TiB))",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, disk: 0GiB } }",
            "10:50: `disk` of host `h` cannot be 0GiB (it can be 1GiB to 16384GiB)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, disk: { size: 8GiB, iops: 5000 } } }",
            "10:70: 8 GiB cannot have 5000",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 0.0.0.0/0 } }",
            "10:54: 0.0.0.0/0 would open SSH of host `h` to the world",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: [\"::/0\"] } }",
            "10:55: ::/0 would open SSH of host `h` to the world",
        ),
        ("hosts: { h: { subnet: out, type: t2.micro, ssh_from: [128.0.0.0/1] } }", "10:55: 128.0.0.0/1 would open SSH"),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: [0.0.0.0/0], allow_world: false } }",
            "10:55: 0.0.0.0/0 would open",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: [1.2.3.4] } }",
            "10:55: `ssh_from` of host `h` is not a range of addresses: `1.2.3.4` (for this one address write 1.2.3.4/32)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 80, from: 0.0.0.0/0 }] } }",
            "10:70: 0.0.0.0/0 would open port 80 of host `h` to the world",
        ),
        ("hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 80 }] } }", "10:52: missing field `from`"),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 70000, from: in }] } }",
            "10:60: `port` of a port of host `h` cannot be 70000",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 9-1, from: in }] } }",
            "10:60: `port` of a port of host `h` is no range of ports",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 80, from: inn }] } }",
            "10:70: there is no host or subnet `inn` (did you mean `in`?)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 80, from: cluster }] } }",
            "10:70: the spec has no `cluster`",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 80, from: in }, { port: 80, from: out }] } }",
            "10:76: port 80 stands in `ports` a second time",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, role: node } }",
            "10:50: there is no role `node` (did you mean `nodes`?)",
        ),
        (
            "hosts: { h: { subnet: in, type: t2.micro } }",
            "10:23: nobody can reach host `h`: subnet `in` gives no public addresses",
        ),
        ("hosts: { h: { subnet: out, type: t2.micro, via: h } }", "10:49: `via` goes in a circle: h → h"),
        (
            "hosts: { a: { subnet: out, type: t2.micro, via: b }, b: { subnet: out, type: t2.micro, via: a } }",
            "10:49: `via` goes in a circle: a → b → a",
        ),
        ("hosts: { h: { subnet: out, type: t2.micro, users: u.txt } }", "10:10: nobody may reach host `h` by SSH"),
        ("hosts: { h: { subnet: out, type: t2.micro, login: \"a b\" } }", "10:51: `a b` is no login"),
        (
            "hosts: { h: { subnet: in, type: t2.micro, ssh_from: 10.0.0.0/8, elastic_ip: true } }",
            "10:77: a public address is of no use to host `h`",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, private_address: 10.0.1.9 } }",
            "10:61: host `h` cannot have address 10.0.1.9 in 10.0.0.0/24",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, private_address: 10.0.0.3 } }",
            "10:61: host `h` cannot have address 10.0.0.3",
        ),
        (
            "hosts: { a: { subnet: out, type: t2.micro, private_address: 10.0.0.9 }, b: { subnet: out, type: t2.micro, private_address: 10.0.0.9 } }",
            "10:124: hosts `a` and `b` have one address",
        ),
        (
            "hosts: { h: { address: a.example.org, type: t2.micro } }",
            "10:39: host `h` exists already, so it cannot have `type`",
        ),
        ("hosts: { h: { address: \"me@host\" } }", "10:24: `me@host` is no host name or address"),
        (
            "hosts: { h: { subnet: out, type: t2.micro, port: 22 } }",
            "10:44: `port` is the SSH port of a host with `address`",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { dokcer: {} } } }",
            "10:78: unknown field `dokcer` in `services` of host `h` (did you mean `docker`?)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { airflow: { python: 3.10 } } } }",
            "10:97: `python` of service `airflow` of host `h` must be text, but YAML reads `3.10` as a number",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { airflow: { version: \"2.9.0\" } } } }",
            "10:98: `version` of service `airflow` of host `h` cannot be `2.9.0`",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { airflow: { python: \"3.12\" } } } }",
            "10:97: `python` of service `airflow` of host `h` cannot be `3.12`",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { airflow: { admin: \"a b\" } } } }",
            "10:96: `admin` of service `airflow` of host `h` cannot be `a b`",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { luigi: { version: \"3.7.0\" } } } }",
            "10:96: `version` of service `luigi` of host `h` cannot be `3.7.0`",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { luigi: { history: 1h } } } }",
            "10:96: `history` of service `luigi` of host `h` must be a day at least",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { luigi: { port: 80 } } } }",
            "10:93: `port` of service `luigi` of host `h` cannot be 80",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, users: { file: u.txt, departed: forget } } }",
            "10:98: `departed` of `users` of host `h` cannot be `forget`",
        ),
    ]);
    let roles = WORLD.replace("nodes: { trust: ec2, profile: true }", "nodes: { trust: ec2 }");
    one(
        &format!("{roles}hosts: {{ h: {{ subnet: out, type: t2.micro, role: nodes }} }}\n"),
        "10:50: host `h` needs an instance profile, and role `nodes` has none",
    );
    let roles = WORLD.replace("nodes: { trust: ec2, profile: true }", "nodes: { trust: lambda, profile: true }");
    one(
        &format!("{roles}hosts: {{ h: {{ subnet: out, type: t2.micro, role: nodes }} }}\n"),
        "10:50: host `h` needs a role that `ec2` may assume",
    );
    let keys = WORLD.replace("keys: { k: { generate: true } }", "keys: {}");
    one(
        &format!("{keys}hosts: {{ h: {{ subnet: out, type: t2.micro }} }}\n"),
        "10:10: host `h` has no SSH key (declare one",
    );
    let keys =
        WORLD.replace("keys: { k: { generate: true } }", "keys: { k: { generate: true }, l: { generate: true } }");
    one(
        &format!("{keys}hosts: {{ h: {{ subnet: out, type: t2.micro }} }}\n"),
        "10:10: host `h` has no SSH key (say which, `key:` `k` or `l`)",
    );
}
