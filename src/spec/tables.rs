//! What is known without asking AWS. Each table has the date on which it was true; what a table
//! does not know is left to the checks that ask AWS.

use super::model::{KnownImage, Release};

/// When [`REGIONS`] was compiled.
pub(super) const REGIONS_DATE: &str = "2026-11";

/// AWS's regions (<https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>).
pub(super) const REGIONS: &[&str] = &[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "cn-north-1",
    "cn-northwest-1",
    "us-gov-east-1",
    "us-gov-west-1",
];

/// Services that roles are commonly made for, each `NAME.amazonaws.com`.
pub(super) const TRUSTED_SERVICES: &[&str] = &[
    "airflow",
    "airflow-env",
    "apigateway",
    "application-autoscaling",
    "backup",
    "batch",
    "cloudformation",
    "codebuild",
    "codepipeline",
    "datasync",
    "dms",
    "ec2",
    "ecs",
    "ecs-tasks",
    "eks",
    "elasticmapreduce",
    "emr-serverless",
    "events",
    "firehose",
    "glue",
    "kinesisanalytics",
    "lakeformation",
    "lambda",
    "logs",
    "monitoring.rds",
    "pipes",
    "rds",
    "redshift",
    "s3",
    "sagemaker",
    "scheduler",
    "sns",
    "spotfleet",
    "sqs",
    "ssm",
    "states",
    "transfer",
    "vpc-flow-logs",
];

/// AWS's managed policies that data platforms commonly use, with their paths. Others are allowed;
/// these serve to catch a wrong path or a slip of the pen.
pub(super) const MANAGED_POLICIES: &[&str] = &[
    "AdministratorAccess",
    "AmazonAthenaFullAccess",
    "AmazonEC2FullAccess",
    "AmazonEC2ReadOnlyAccess",
    "AmazonElasticMapReduceFullAccess",
    "AmazonElasticMapReduceReadOnlyAccess",
    "AmazonEMRFullAccessPolicy_v2",
    "AmazonEMRReadOnlyAccessPolicy_v2",
    "AmazonKinesisFullAccess",
    "AmazonRDSFullAccess",
    "AmazonRedshiftFullAccess",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "AmazonSNSFullAccess",
    "AmazonSQSFullAccess",
    "AmazonSSMManagedInstanceCore",
    "AmazonSSMReadOnlyAccess",
    "AmazonVPCFullAccess",
    "AmazonVPCReadOnlyAccess",
    "AWSGlueConsoleFullAccess",
    "CloudWatchAgentServerPolicy",
    "CloudWatchFullAccess",
    "CloudWatchFullAccessV2",
    "CloudWatchLogsFullAccess",
    "CloudWatchReadOnlyAccess",
    "IAMFullAccess",
    "IAMReadOnlyAccess",
    "PowerUserAccess",
    "ReadOnlyAccess",
    "SecretsManagerReadWrite",
    "ViewOnlyAccess",
    "service-role/AmazonElasticMapReduceforAutoScalingRole",
    "service-role/AmazonElasticMapReduceforEC2Role",
    "service-role/AmazonElasticMapReduceRole",
    "service-role/AmazonEMRServicePolicy_v2",
    "service-role/AWSGlueServiceRole",
    "service-role/AWSLambdaBasicExecutionRole",
];

/// Images that are known by name. Owners: Canonical, Debian, Amazon.
pub(super) static IMAGES: &[KnownImage] = &[
    KnownImage {
        name: "ubuntu-20.04",
        owner: "099720109477",
        x86: "ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server-*",
        arm: "ubuntu/images/hvm-ssd/ubuntu-focal-20.04-arm64-server-*",
        login: "ubuntu",
    },
    KnownImage {
        name: "ubuntu-22.04",
        owner: "099720109477",
        x86: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*",
        arm: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-*",
        login: "ubuntu",
    },
    KnownImage {
        name: "ubuntu-24.04",
        owner: "099720109477",
        x86: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*",
        arm: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*",
        login: "ubuntu",
    },
    KnownImage {
        name: "debian-12",
        owner: "136693071363",
        x86: "debian-12-amd64-*",
        arm: "debian-12-arm64-*",
        login: "admin",
    },
    KnownImage {
        name: "amazon-linux-2023",
        owner: "137112412989",
        x86: "al2023-ami-2023.*-x86_64",
        arm: "al2023-ami-2023.*-arm64",
        login: "ec2-user",
    },
];

/// EMR's applications as it spells them, over all releases.
pub(super) const APPLICATIONS: &[&str] = &[
    "AmazonCloudWatchAgent",
    "Delta",
    "Flink",
    "Ganglia",
    "Hadoop",
    "HBase",
    "HCatalog",
    "Hive",
    "Hudi",
    "Hue",
    "Iceberg",
    "JupyterEnterpriseGateway",
    "JupyterHub",
    "Livy",
    "Mahout",
    "MXNet",
    "Oozie",
    "Phoenix",
    "Pig",
    "Presto",
    "PrestoSQL",
    "Spark",
    "Sqoop",
    "TensorFlow",
    "Tez",
    "Trino",
    "Zeppelin",
    "ZooKeeper",
];

/// Applications that came or went: name, first release in each line that has it, first without it.
pub(super) fn application_missing(name: &str, release: Release) -> Option<&'static str> {
    let at_least = |major, minor| release >= Release { major, minor, patch: 0 };
    match name {
        "Ganglia" if at_least(7, 0) => Some("Ganglia ended with emr-6.15.0; AmazonCloudWatchAgent follows it"),
        "AmazonCloudWatchAgent" if !at_least(7, 0) => Some("it begins with emr-7.0.0; Ganglia is its elder"),
        "Mahout" | "MXNet" if at_least(7, 0) => Some("it ended with EMR 6"),
        "JupyterHub" if !at_least(5, 14) => Some("it begins with emr-5.14.0"),
        "Trino" if !at_least(6, 4) => Some("it begins with emr-6.4.0"),
        _ => None,
    }
}

impl Release {
    const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor, patch: 0 }
    }

    /// Whether its nodes work with `IMDSv2` alone: 5.23.1, 5.27.1, 5.32.0 and later, 6.2.0 and later
    /// (AWS, "Amazon EMR now supports Amazon EC2 Instance Metadata Service v2", 2021-03-30).
    pub fn works_with_imds_v2_only(self) -> bool {
        let point = |minor| Self { major: 5, minor, patch: 1 };
        self == point(23)
            || self == point(27)
            || (self >= Self::new(5, 32) && self < Self::new(6, 0))
            || self >= Self::new(6, 2)
    }

    /// Whether EMR itself ends idle clusters: 5.30.0 and later, 6.1.0 and later.
    pub fn has_auto_termination(self) -> bool {
        self.has_since_5_30()
    }

    /// Whether EMR scales clusters itself: 5.30.0 and later, 6.1.0 and later.
    pub fn has_managed_scaling(self) -> bool {
        self.has_since_5_30()
    }

    fn has_since_5_30(self) -> bool {
        (self >= Self::new(5, 30) && self < Self::new(6, 0)) || self >= Self::new(6, 1)
    }

    /// Whether `python` on its nodes is Python 2.7: before 5.30.0.
    pub(super) fn has_python_2(self) -> bool {
        self < Self::new(5, 30)
    }

    /// The Python 3 of its nodes, where that is known: 3.4, from 5.20.0 on 3.6 (AWS re:Post, "How do I upgrade my Python
    /// version on Amazon EMR"), then the one of Amazon Linux 2 and of Amazon Linux 2023.
    pub(super) fn python_3(self) -> Option<(u8, u8)> {
        match (self.major, self.minor) {
            (5, 0..20) => Some((3, 4)),
            (5, 20..30) => Some((3, 6)),
            (5 | 6, _) => Some((3, 7)),
            (7, _) => Some((3, 9)),
            _ => None,
        }
    }

    /// Whether several steps run at once: 5.28.0 and later.
    pub fn has_step_concurrency(self) -> bool {
        self >= Self::new(5, 28)
    }

    /// Whether a security configuration can encrypt root disks: 5.24.0 and later.
    pub fn has_disk_encryption(self) -> bool {
        self >= Self::new(5, 24)
    }

    /// Whether its log4j must be patched by AWS's bootstrap action: 5.7.0 to 5.34.0, and 6.0.0 to 6.5.0
    /// (AWS, "Approach to mitigate CVE-2021-44228"; later ones hold the fix).
    pub fn needs_log4j_patch(self) -> bool {
        (self >= Self::new(5, 7) && self <= Self::new(5, 34)) || (self >= Self::new(6, 0) && self <= Self::new(6, 5))
    }

    /// Whether Python 3 must be asked for: before 6.0.0, `python` is Python 2.7.
    pub fn defaults_to_python_2(self) -> bool {
        self.major < 6
    }
}

/// Why a release cannot have an instance type, and what to take instead. As of 2026-11, from
/// <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-supported-instance-types.html>; certain cases only.
pub(super) fn type_unsupported(instance_type: &str, release: Option<Release>) -> Option<(String, String)> {
    let (family, size) = instance_type.split_once('.')?;
    let letters: String = family.chars().take_while(char::is_ascii_alphabetic).collect();
    let rest = &family[letters.len()..];
    let generation: u32 = rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()?;
    let graviton = rest.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('g') && letters != "g";
    let instead =
        |size: &str| format!("{}5.{size} is supported", if matches!(&*letters, "c" | "r") { &*letters } else { "m" });
    if letters == "t" {
        return Some(("EMR runs on no burstable (t) types".into(), instead("xlarge")));
    }
    if matches!(size, "nano" | "micro") || (matches!(size, "small" | "medium") && generation > 1) {
        return Some(("it is too small for EMR".into(), instead("xlarge")));
    }
    if matches!(&*letters, "m" | "c" | "r" | "d" | "i") && generation >= 5 && size == "large" {
        return Some(("from the fifth generation on, EMR begins at xlarge".into(), format!("{family}.xlarge")));
    }
    let release = release?;
    if (generation >= 6 && matches!(&*letters, "m" | "c" | "r") || graviton) && !release.has_since_5_30() {
        let with = if release.major == 6 { "6.1.0" } else { "5.30.0" };
        return Some((
            format!("such types came with emr-{with}, after {release}"),
            instead(if size == "large" { "xlarge" } else { size }),
        ));
    }
    None
}

/// What a word that is no EC2 instance type was meant to be.
pub(super) struct Malformed {
    /// "did you mean", where that is clear.
    pub(super) hint: Option<String>,
}

/// Whether a word is no EC2 instance type, by its form.
pub(super) fn type_malformed(instance_type: &str) -> Option<Malformed> {
    let plain = instance_type.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.');
    let Some((family, size)) = instance_type.split_once('.').filter(|_| plain) else {
        let lower = instance_type.to_lowercase().replace(['_', ' '], ".");
        let fixed =
            (lower != instance_type && type_malformed(&lower).is_none()).then(|| format!("did you mean `{lower}`?"));
        return Some(Malformed { hint: fixed });
    };
    let good_family = family.starts_with(|c: char| c.is_ascii_lowercase())
        && family.chars().any(|c| c.is_ascii_digit())
        && family.len() <= 16;
    let multiple = |text: &str| !text.is_empty() && text.len() <= 3 && text.chars().all(|c| c.is_ascii_digit());
    let good_size = SIZES.contains(&size)
        || size.strip_suffix("xlarge").is_some_and(multiple)
        || size.strip_prefix("metal-").and_then(|rest| rest.strip_suffix("xl")).is_some_and(multiple);
    if good_family && good_size {
        return None;
    }
    let near = super::error::nearest(size, SIZES.iter().copied()).filter(|_| good_family && !good_size);
    Some(Malformed { hint: near.map(|near| format!("did you mean `{family}.{near}`?")) })
}

const SIZES: &[&str] =
    &["nano", "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "metal"];
