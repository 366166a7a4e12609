use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::{Blame, Explanation, Log, blame, log};
use crate::{
    resources::ClusterEnded,
    spec::{LoadOptions, Spec, load_str},
};

const SPEC: &str = "\
stack: explained
region: us-west-2
network: { cidr: 10.0.0.0/16, subnets: { public: { cidr: 10.0.0.0/24, route: internet } } }
keys: { admin: { generate: true } }
access:
  roles:
    nodes: { trust: ec2, profile: true }
    service: { trust: elasticmapreduce }
cluster:
  release: RELEASE
  applications: [Spark]
  subnet: public
  roles: { service: service, nodes: nodes }
  master: m5.xlarge
  core: m5.2xlarge
  bootstrap:
    - s3://somewhere/one.sh
    - { script: \"s3://somewhere/two.sh\", name: second }
";

fn spec(release: &str) -> Spec {
    let text = SPEC.replace("RELEASE", release);
    load_str("it.yaml", &text, &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn failed(number: u32) -> String {
    format!("On the master instance (i-0123456789abcdef0), bootstrap action {number} returned a non-zero return code")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_action_that_failed_is_found_by_its_number() {
    let at = |release: &str, number: u32| {
        blame(&spec(release), Some("BOOTSTRAP_FAILURE"), &failed(number))
            .map(|Blame { what, span }| format!("{what} {span}"))
    };
    // The log4j patch is the first of a release that needs it.
    assert_eq!(at("emr-5.29.0", 1).unwrap(), "the log4j patch it.yaml:9:1");
    assert_eq!(at("emr-5.29.0", 2).unwrap(), "bootstrap action `one.sh` it.yaml:17:7");
    assert_eq!(at("emr-5.29.0", 3).unwrap(), "bootstrap action `second` it.yaml:18:17");
    assert_eq!(at("emr-5.29.0", 4), None);
    assert_eq!(at("emr-7.0.0", 1).unwrap(), "bootstrap action `one.sh` it.yaml:17:7");
    assert_eq!(blame(&spec("emr-7.0.0"), Some("BOOTSTRAP_FAILURE"), "something"), None);
}

#[test]
fn what_emr_says_leads_to_a_line() {
    let cases = [
        ("Instance type 'm5.2xlarge' is not supported", "instance type m5.2xlarge it.yaml:15:9"),
        ("There is insufficient capacity for m5.xlarge.", "instance type m5.xlarge it.yaml:14:11"),
        ("Service role arn:x has insufficient EC2 permissions", "the service role it.yaml:13:21"),
        ("Invalid InstanceProfile: nodes.", "the role of the machines it.yaml:13:37"),
        ("The given SSH key name was invalid", "the key it.yaml:9:1"),
        ("Cannot find route to InternetGateway", "the subnet it.yaml:12:11"),
        ("The supplied release label is invalid", "the release it.yaml:10:12"),
    ];
    for (message, wanted) in cases {
        let found = blame(&spec("emr-7.0.0"), Some("VALIDATION_ERROR"), message);
        let Some(Blame { what, span }) = found else { panic!("nothing for {message}") };
        assert_eq!(format!("{what} {span}"), wanted, "{message}");
    }
    assert_eq!(blame(&spec("emr-7.0.0"), Some("USER_REQUEST"), "Terminated by user request"), None);
    assert_eq!(blame(&spec("emr-7.0.0"), Some("INTERNAL_ERROR"), "no more am5.xlarge9"), None);
}

#[test]
fn logs_lie_where_emr_puts_them() {
    let ended = |uri: &str, message: &str| ClusterEnded {
        id: "j-1".into(),
        code: Some("BOOTSTRAP_FAILURE".into()),
        message: message.into(),
        log_uri: Some(uri.into()),
    };
    let keys = |uri: &str| {
        log::place_of_bootstrap(&ended(uri, &failed(2)))
            .unwrap()
            .into_iter()
            .map(|(bucket, key)| format!("{bucket} {key}"))
            .collect::<Vec<_>>()
    };
    let folder = "j-1/node/i-0123456789abcdef0/bootstrap-actions/2";
    assert_eq!(
        keys("s3n://logs/emr/"),
        [format!("logs emr/{folder}/stderr.gz"), format!("logs emr/{folder}/stdout.gz")]
    );
    assert_eq!(keys("s3://logs")[0], format!("logs {folder}/stderr.gz"));
    assert_eq!(log::place_of_bootstrap(&ended("s3://logs", "On some instance")), None);
    let (bucket, key) = log::places_of_step("s3n://logs/a/b/", "j-1", "s-2").remove(0);
    assert_eq!((bucket.as_str(), key.as_str()), ("logs", "a/b/j-1/steps/s-2/stderr.gz"));
}

#[test]
fn a_log_is_unpacked_to_its_last_lines() {
    let text = (1..=100).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n\n");
    let lines = log::unpack(&gzip(&text)).unwrap();
    assert_eq!((lines.len(), lines[0].as_str(), lines[19].as_str()), (20, "line 81", "line 100"));
    // EMR appends: several members in one file.
    let both = [gzip("one\n"), gzip("two\n")].concat();
    assert_eq!(log::unpack(&both).unwrap(), ["one", "two"]);
    // What a terminal would obey, and lines without end.
    let odd = log::unpack(&gzip(&format!("\u{1b}[31mred\u{7}\tend\n{}\n", "x".repeat(1000)))).unwrap();
    assert_eq!((odd[0].as_str(), odd[1].chars().count()), ("[31mred end", 241));
    assert!(log::unpack(b"no gzip").unwrap_err().contains("not gzip"));
    assert!(log::unpack(&gzip("")).unwrap().is_empty());
}

#[test]
fn an_explanation_reads_well() {
    let blame = blame(&spec("emr-7.0.0"), Some("BOOTSTRAP_FAILURE"), &failed(1));
    let uri = "s3://logs/emr/j-1/node/i-0123456789abcdef0/bootstrap-actions/1/stderr.gz".to_owned();
    let with = |log| Explanation { reason: None, blame: blame.clone(), log: Some(log) }.to_string();
    let lines = vec!["+ yum install jq".to_owned(), "No package jq available.".to_owned()];
    insta::assert_snapshot!(with(Log::End { uri: uri.clone(), lines }), @r"
    bootstrap action `one.sh` stands at it.yaml:17:7
    the end of s3://logs/emr/j-1/node/i-0123456789abcdef0/bootstrap-actions/1/stderr.gz:
      | + yum install jq
      | No package jq available.
    ");
    insta::assert_snapshot!(with(Log::Late { uri: uri.clone() }), @r"
    bootstrap action `one.sh` stands at it.yaml:17:7
    its log is not there yet; it will be at s3://logs/emr/j-1/node/i-0123456789abcdef0/bootstrap-actions/1/stderr.gz
    ");
    insta::assert_snapshot!(with(Log::End { uri: uri.clone(), lines: vec![] }), @r"
    bootstrap action `one.sh` stands at it.yaml:17:7
    its log says nothing: s3://logs/emr/j-1/node/i-0123456789abcdef0/bootstrap-actions/1/stderr.gz
    ");
    let step = Explanation {
        reason: Some("step s-2 (count) is FAILED: Unknown Error.".into()),
        blame: None,
        log: Some(Log::None),
    };
    insta::assert_snapshot!(step, @r"
    step s-2 (count) is FAILED: Unknown Error.
    the cluster keeps no logs: `logs:` in the spec says where they go
    ");
}
