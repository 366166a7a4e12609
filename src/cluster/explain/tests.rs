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
    let uri = |place: &str| log::of_bootstrap(&ended(place, &failed(2))).map(|folder| folder.uri());
    let folder = "j-1/node/i-0123456789abcdef0/bootstrap-actions/2/";
    assert_eq!(uri("s3n://logs/emr/"), Some(format!("s3://logs/emr/{folder}")));
    assert_eq!(uri("s3://logs"), Some(format!("s3://logs/{folder}")));
    assert_eq!(log::of_bootstrap(&ended("s3://logs", "On some instance")), None);
    let other = ClusterEnded { code: Some("INTERNAL_ERROR".into()), ..ended("s3://logs", &failed(2)) };
    assert_eq!(log::of_bootstrap(&other), None);
}

#[test]
fn of_a_log_its_last_lines_are_kept() {
    let end = |pieces: &[&[u8]]| {
        let mut end = log::End::default();
        for piece in pieces {
            end.take(piece).unwrap();
        }
        end.lines()
    };
    let text = (1..=100).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n\n");
    let lines = end(&[text.as_bytes()]);
    assert_eq!((lines.len(), lines[0].as_str(), lines[19].as_str()), (20, "line 81", "line 100"));
    // However it comes in pieces.
    assert_eq!(end(&text.as_bytes().chunks(7).collect::<Vec<_>>()), lines);
    // What a terminal would obey, lines without end, and what is no text.
    let odd = end(&[b"\x1b[31mred\x07\tend\r\n", "é".repeat(100_000).as_bytes(), b"\n", b"\xff\n  \n"]);
    assert_eq!((odd[0].as_str(), odd[1].chars().count(), odd[2].as_str()), ("[31mred end", 241, "\u{fffd}"));
    assert!(end(&[b""]).is_empty());
}

#[test]
fn a_log_without_end_is_not_looked_through() {
    let mut end = log::End::default();
    let piece = vec![b'x'; 1 << 20];
    let taken = (0..1000).take_while(|_| end.take(&piece).is_ok()).count();
    assert_eq!(taken, 64);
    assert!(end.take(&piece).unwrap_err().to_string().contains("fetch it by hand"));
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
