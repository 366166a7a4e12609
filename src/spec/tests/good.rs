//! Specs that are right: what the model says of them.

use std::time::Duration;

use super::{super::*, options, read, repository};

fn shipped(name: &str) -> Spec {
    load(&repository().join(name), &options(&[("HOME", "/home/ana")])).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_shipped_specs_are_valid() {
    let spec = shipped("infra/nyc311.yaml");
    assert_eq!(spec.stack.value, "nyc311");
    assert_eq!(spec.region.value, "us-west-2");
    assert_eq!(spec.buckets["lake"].name.resolve("123456789012"), "nyc311-lake-123456789012");
    assert_eq!(*spec.buckets["lake"].encryption, Encryption::Kms);
    let folders: Vec<_> = spec.buckets["lake"].folders.iter().map(|folder| folder.value.as_str()).collect();
    assert_eq!(folders, ["raw/", "preprocessed/", "cleaned/", "runs/", "cod/"]);
    assert!(spec.buckets["logs"].folders.is_empty());
    assert_eq!(spec.buckets["logs"].expire[0].days, 90);
    assert!(!*spec.buckets["lake"].protect);
    assert!(matches!(*spec.keys["admin"].source, KeySource::Generate));
    assert!(spec.needs_kms());

    let spec = shipped("infra/vendas.yaml");
    assert_eq!(spec.region.value, "sa-east-1");
    let user = &spec.access.users["airflow"];
    assert_eq!(user.grants.managed.len(), 7);
    assert!(*user.access_key);
    let cluster = spec.cluster.as_ref().unwrap();
    assert_eq!(cluster.release.to_string(), "emr-7.0.0");
    assert_eq!(cluster.step_concurrency.value, 10);
    assert!(cluster.security.imds_v2_only);
    let Nodes::Groups { master, core: Some(core), task: Some(task) } = &cluster.nodes else { panic!() };
    for group in [master, core, task] {
        assert_eq!(
            (group.instance_type.as_str(), group.count.value, &group.market.value),
            ("m5.xlarge", 1, &Market::OnDemand)
        );
    }
}

#[test]
fn the_sketch_is_valid() {
    let spec = shipped("tests/specs/sketch.yaml");
    assert_eq!(spec.network.as_ref().unwrap().nat_subnet(), Some("public"));
    assert_eq!(spec.hosts["processing"].via.as_ref().unwrap().value, "bastion");
    assert_eq!(spec.hosts["processing"].key.as_ref().unwrap().value, "admin");
    let cluster = spec.cluster.as_ref().unwrap();
    assert!(*cluster.log4j_patch && !cluster.security.imds_v2_only);
    assert!(!cluster.security.needs_configuration());
    assert_eq!(cluster.idle_timeout.as_ref().unwrap().value, Duration::from_hours(1));
    assert_eq!(spec.pipelines["nyc311"].schedule.as_ref().unwrap().to_string(), "02:00 UTC");
}

#[test]
fn an_overlay_changes_values_and_each_keeps_its_place() {
    let root = repository();
    let options = LoadOptions { overlay: Some(root.join("infra/overlays/prod.yaml")), ..options(&[]) };
    let spec = load(&root.join("infra/nyc311.yaml"), &options).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(spec.stack.value, "nyc311-prod");
    assert!(spec.stack.span.file.ends_with("prod.yaml"));
    let lake = &spec.buckets["lake"];
    assert!(*lake.protect && *lake.versioning);
    assert!(lake.span.file.ends_with("nyc311.yaml"), "a named thing keeps the place where it was first named");
    assert!(lake.protect.span.file.ends_with("prod.yaml"));
    assert_eq!(lake.name.sample(), "nyc311-prod-lake-000000000000");
    assert_eq!(spec.access.roles["emr_service"].name.sample(), "nyc311-prod-emr-service");
    let Nodes::Groups { core: Some(core), .. } = &spec.cluster.as_ref().unwrap().nodes else { panic!() };
    assert_eq!((core.instance_type.as_str(), core.count.value), ("m5.xlarge", 6));
}

#[test]
fn null_in_an_overlay_takes_an_entry_away_and_its_errors_are_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let base = file("base.yaml", "stack: one\nregion: us-east-1\ntags: { a: b, c: d }\n");
    let overlay = file("over.yaml", "tags: { a: null, e: f }\n");
    let spec = load(&base, &LoadOptions { overlay: Some(overlay), ..options(&[]) }).unwrap();
    assert_eq!(spec.tags.keys().collect::<Vec<_>>(), ["c", "e"]);
    let overlay = file("bad.yaml", "\ntgas: { a: b }\nregion: 5\n");
    let errors = load(&base, &LoadOptions { overlay: Some(overlay), ..options(&[]) }).unwrap_err();
    let places: Vec<_> = errors.errors().iter().map(|error| error.span.clone().unwrap()).collect();
    assert!(places.iter().all(|place| place.file.ends_with("bad.yaml")), "{errors}");
    assert_eq!(places.iter().map(|place| (place.line, place.column)).collect::<Vec<_>>(), [(2, 1), (3, 9)]);
}

#[test]
fn variables_come_from_the_file_the_command_line_and_the_environment() {
    let text = "stack: ${var:name}\nregion: ${env:REGION}\nvars: { name: one, note: \"${env:NOTE}\" }\n\
        tags: { a: \"${stack}/${region}\", b: \"${var:note}.\", d: \"${account}\" }\n\
        access: { roles: { r: { trust: ec2, description: \"a $${stack} $${account}\" } } }\n";
    let env = &[("REGION", "eu-west-1"), ("NOTE", "hush")];
    let load = |options: LoadOptions| load_str("spec.yaml", text, &options).unwrap_or_else(|errors| panic!("{errors}"));
    let spec = load(options(env));
    let tag = |spec: &Spec, name: &str| spec.tags[name].resolve("123456789012");
    assert_eq!(tag(&spec, "a"), "one/eu-west-1");
    assert_eq!(tag(&spec, "b"), "hush.");
    assert_eq!(spec.access.roles["r"].description.as_ref().unwrap().resolve("1"), "a ${stack} ${account}");
    assert_eq!(tag(&spec, "d"), "123456789012");
    assert!(spec.tags["b"].is_secret() && !format!("{:?}", spec.tags["b"]).contains("hush"));
    assert_eq!(spec.tags["d"].as_fixed(), None);
    let set = vec![("name".into(), "two".into()), ("name".into(), "three".into())];
    let spec = load(LoadOptions { set, account: Some("210987654321".into()), ..options(env) });
    assert_eq!(spec.stack.value, "three");
    assert_eq!(spec.tags["d"].as_fixed(), Some("210987654321"));
}

#[test]
fn every_named_thing_has_the_place_of_its_key() {
    let spec = shipped("tests/specs/full.yaml");
    let text = std::fs::read_to_string(repository().join("tests/specs/full.yaml")).unwrap();
    let written = |span: &Span| -> String {
        let line = text.lines().nth(span.line as usize - 1).unwrap();
        line.chars().skip(span.column as usize - 1).take(span.len as usize).collect()
    };
    let network = spec.network.as_ref().unwrap();
    network.subnets.iter().for_each(|(name, it)| assert_eq!(written(&it.span), *name));
    spec.keys.iter().for_each(|(name, it)| assert_eq!(written(&it.span), *name));
    spec.buckets.iter().for_each(|(name, it)| assert_eq!(written(&it.span), *name));
    spec.hosts.iter().for_each(|(name, it)| assert_eq!(written(&it.span), *name));
    spec.access.roles.iter().for_each(|(name, it)| assert_eq!(written(&it.span), *name));
    spec.access.users.iter().for_each(|(name, it)| assert_eq!(written(&it.span), *name));
    spec.access.policies.iter().for_each(|(name, it)| assert_eq!(written(&it.span), *name));
    spec.pipelines.iter().for_each(|(name, it)| assert_eq!(written(&it.span), *name));
    assert_eq!(written(&spec.cluster.as_ref().unwrap().span), "cluster");
    assert_eq!(written(&network.subnets["private"].cidr.span), "10.2.1.0/24");
    assert!(spec.hosts["gate"].span.place().ends_with("full.yaml:59") || spec.hosts["gate"].span.line > 50);
}

#[test]
fn paths_start_at_the_file_that_names_them() {
    let spec = shipped("tests/specs/full.yaml");
    let users = spec.hosts["gate"].users.as_ref().unwrap();
    assert!(users.file.path.ends_with("tests/specs/users.txt"));
    assert!(users.keys.path.ends_with("tests/specs/people"));
    let KeySource::File(key) = &spec.keys["admin"].source.value else { panic!() };
    assert_eq!(key.path, std::path::Path::new("/home/ana/.ssh/id_ed25519.pub"));
    let keys = &spec.hosts["old"].users.as_ref().unwrap().keys;
    assert!(keys.path.ends_with("tests/specs/keys"));
}

#[test]
fn policy_documents_become_json() {
    let spec = shipped("tests/specs/full.yaml");
    let document = spec.access.roles["worker"].grants.inline["more"].resolve("123456789012");
    assert_eq!(document["Version"], "2012-10-17");
    assert_eq!(document["Statement"][0]["Condition"]["Bool"]["aws:SecureTransport"], true);
    assert_eq!(document["Statement"][0]["Condition"]["NumericLessThan"]["s3:max-keys"], 10);
    let look = spec.access.policies["look"].document.resolve("123456789012");
    assert_eq!(look["Statement"]["Resource"], "arn:aws:s3:::home-${aws:username}");
    let managed = &spec.access.roles["service"].grants.managed;
    assert_eq!(managed[0].arn("aws", "1"), "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2");
    assert_eq!(managed[1].arn("aws", "123456789012"), "arn:aws:iam::123456789012:policy/ours");
    assert_eq!(managed[0].name(), "AmazonEMRServicePolicy_v2");
}

#[test]
fn defaults_are_safe() {
    let spec = read(
        "stack: ab\nregion: us-east-1\nbuckets: { b: { name: abc } }\nkeys: { k: { generate: true } }\n\
         network: { cidr: 10.0.0.0/16, subnets: { s: { cidr: 10.0.0.0/24, route: internet } } }\n\
         hosts: { h: { subnet: s, type: t4g.micro } }\n",
    )
    .unwrap();
    let bucket = &spec.buckets["b"];
    assert_eq!((*bucket.encryption, *bucket.versioning, *bucket.protect), (Encryption::S3, false, false));
    let instance = spec.hosts["h"].instance().unwrap();
    assert!(instance.ssh_from.is_empty() && instance.ports.is_empty() && instance.allow_world.is_none());
    assert_eq!(instance.disk.value, Disk { gib: 8, iops: 3000, throughput: 125 });
    let Image::Known(image) = instance.image.value else { panic!() };
    assert!(image.filter(instance.architecture()).contains("arm64"));
    assert_eq!(spec.hosts["h"].login.value, "ubuntu");
    assert_eq!(spec.keys["k"].name.sample(), "ab-k");
    assert!(!spec.needs_kms());
}

#[test]
fn what_is_open_to_the_world_is_noted_where_allowed() {
    let spec = shipped("tests/specs/full.yaml");
    assert!(spec.notes.iter().any(|note| note.message.contains("open to the world")), "{:?}", spec.notes);
}

#[test]
fn architectures_by_name() {
    for name in
        ["t4g.micro", "m6g.large", "c7gn.xlarge", "r6gd.xlarge", "a1.large", "g5g.xlarge", "im4gn.large", "x2gd.medium"]
    {
        assert_eq!(Architecture::of(name), Architecture::Arm, "{name}");
    }
    for name in ["t2.micro", "m5.large", "g4dn.xlarge", "g5.xlarge", "c5n.large", "m7i-flex.large", "p4d.24xlarge"] {
        assert_eq!(Architecture::of(name), Architecture::X86, "{name}");
    }
}

#[test]
fn aliases_are_copied_and_crlf_and_a_bom_do_not_disturb() {
    let text = "\u{feff}stack: ab\r\nregion: us-east-1\r\nnetwork:\r\n  cidr: &all 10.0.0.0/16\r\n  \
                subnets: { s: { cidr: *all } }\r\ntags: { x: no }\r\n";
    let errors = read(text).unwrap_err();
    assert_eq!(errors.errors().len(), 1, "{errors}");
    let span = errors.errors()[0].span.as_ref().unwrap();
    assert_eq!((span.line, span.column), (6, 12));
}
