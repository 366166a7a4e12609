//! NYC 311 as it runs every night: luigi on the processing host, real Spark steps on the cluster, and a Socrata on the
//! host's own loopback with requests that are made up. Killed in the middle, it goes on and comes to the same.

use std::{fs, process::Command, time::Duration};

use serde_json::Value;

use crate::support::{
    aws::Aws,
    cli::{Project, Run, Running, root, unique},
    hosts::until,
    lab::Lab,
};

const DAY: &str = "2020-01-02";
/// Real steps, on a machine that has other things to do.
const LONG: Duration = Duration::from_mins(4);
const SOCRATA: &str = "sudo systemd-run --quiet --collect --unit fake-socrata --uid nobody python3 /tmp/fake_socrata.py \
                       --serve --port 8311 --first 2020-01-01 --days 3 --a-day 200";
const KEEP: [&str; 4] = ["-f", "infra/nyc311.yaml", "--overlay", "infra/overlays/demo.yaml"];
/// What is in the cleaned tree, in one line.
const DIGEST: &str = "
import hashlib, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName('digest').getOrCreate()
rows = spark.read.parquet(sys.argv[1] + '*/*/*').collect()
lines = sorted(repr(sorted(row.asDict().items())) for row in rows)
print('cleaned:', len(lines), hashlib.sha256('\\n'.join(lines).encode()).hexdigest())
spark.stop()
";

struct Nyc311 {
    project: Project,
    aws: Aws,
    bucket: String,
}

impl Drop for Nyc311 {
    fn drop(&mut self) {
        self.local(&["cluster", "down", "--yes"]);
        self.local(&["destroy", "--yes", "--no-hosts", "--empty-buckets"]);
    }
}

impl Nyc311 {
    /// The platform with its pipeline, a Socrata, and the cluster.
    fn up(lab: &Lab) -> Self {
        let name = unique();
        let project = Project::new(&lab.endpoint, Some(&name));
        // Of no use here, and the slowest to install.
        project.edit("infra/nyc311.yaml", "      docker: {}\n", "");
        project.edit("infra/nyc311.yaml", "    template: nyc311\n", "    template: nyc311\n    retries: 0\n");
        let mut it = Self { project, aws: Aws::new(&lab.endpoint, "us-west-2"), bucket: String::new() };
        it.local(&["apply", "--yes"]).expect(0);
        it.bucket = it.project.output(&KEEP, "bucket/lake.name");
        for file in ["fake_socrata.py", "made_requests.py"] {
            let file = root().join("templates/tests").join(file);
            it.local(&["cp", &file.display().to_string(), "processing:/tmp/"]).expect(0);
        }
        it.on_host(SOCRATA);
        it.local(&["cluster", "up", "--yes"]).expect(0);
        it
    }

    fn local(&self, arguments: &[&str]) -> Run {
        self.project.local(&[&KEEP, arguments].concat())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.project.command(None, &[&["--local"], &KEEP[..], arguments].concat())
    }

    /// Runs the pipeline, for as long as it takes.
    fn run(&self) -> Run {
        self.local(&RUN)
    }

    #[track_caller]
    fn on_host(&self, script: &str) -> String {
        self.local(&["ssh", "processing", "--", script]).expect(0).out
    }

    /// The names and states of all steps that the cluster was given, the oldest first.
    fn steps(&self) -> Vec<(String, String)> {
        let cluster = self.project.id(&KEEP, "emr_cluster/main");
        let told = self.aws.run(&format!("emr list-steps --cluster-id {cluster} --query Steps[].[Name,Status.State]"));
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let steps = told.as_array().expect("steps").iter().rev();
        steps.map(|step| (text(&step[0]), text(&step[1]))).collect()
    }

    /// How many clusters have not ended.
    fn living(&self) -> usize {
        let listed = self.aws.run("emr list-clusters --query Clusters[].Status.State");
        let states = listed.as_array().expect("states").iter();
        states.filter(|state| !state.as_str().is_some_and(|state| state.starts_with("TERMINATED"))).count()
    }

    fn summary(&self) -> Value {
        let file = self.project.path("summary.json");
        let (bucket, to) = (&self.bucket, file.display());
        self.aws.run(&format!("s3 cp --quiet s3://{bucket}/runs/clean/{DAY}/summary.json {to}"));
        serde_json::from_str(&fs::read_to_string(&file).expect("a summary")).expect("JSON")
    }

    /// What is in the cleaned tree.
    #[track_caller]
    fn digest(&self) -> String {
        self.project.write("digest.py", DIGEST);
        let tree = format!("s3://{}/cleaned/", self.bucket);
        let run = self.local(&["cluster", "submit", "digest.py", &tree]).expect(0);
        let line = run.out.lines().find(|line| line.starts_with("cleaned: "));
        line.unwrap_or_else(|| panic!("no digest in {run:?}")).to_owned()
    }
}

const RUN: [&str; 6] = ["pipeline", "run", "nyc311", "--date", DAY, "--yes"];

/// How often a step of that name was added.
fn count(steps: &[(String, String)], name: &str) -> usize {
    steps.iter().filter(|(step, _)| step == name).count()
}

#[test]
fn luigi_runs_real_steps_and_goes_on_after_a_kill() {
    let Some((lab, own)) = Lab::with_spark() else { return };
    let it = Nyc311::up(lab);
    killed_and_run_again(&it);
    drop(it);
    if own {
        lab.down();
    }
}

fn killed_and_run_again(it: &Nyc311) {
    // Killed while the day's own step runs: both the program here, and luigi with all that it started.
    let running = Running::start(it.command(&RUN));
    let preprocess = format!("preprocess {DAY}");
    let runs = |name: &str| it.steps().contains(&(name.to_owned(), "RUNNING".to_owned()));
    until("the day is preprocessed", LONG, || runs(&preprocess));
    running.kill();
    it.on_host(&format!("sudo systemctl kill --signal=KILL pipeline-nyc311@{DAY}.service"));
    until("luigi is gone", LONG, || it.on_host("pgrep -c -u infra-pipelines || true").trim() == "0");

    it.run().expect(0);
    let steps = it.steps();
    assert!(steps.iter().all(|(_, state)| state == "COMPLETED"), "{steps:?}");
    let names = ["preprocess 2020-01-01_2020-01-01", "profile_columns once", &preprocess, &format!("clean {DAY}")];
    assert_eq!(names.map(|name| count(&steps, name)), [1; 4], "no work is done twice: {steps:?}");
    assert_eq!(steps.len(), names.len());

    // Every row is accounted for, and there is something of each sort.
    let summary = it.summary();
    let number = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("no {name} in {summary}"));
    assert_eq!(number("in"), number("out") + number("duplicates") + number("rejected"), "{summary}");
    assert!(number("out") > 200 && number("duplicates") > 0 && number("rejected") > 0, "{summary}");

    // Again: nothing is left, and no step is added.
    it.run().expect(0);
    assert_eq!(it.steps().len(), names.len());
    let tasks = fs::read_to_string(root().join("scripts/luigi_tasks.py")).expect("a script");
    let tasks =
        crate::support::hosts::feed(&mut it.command(&["ssh", "processing", "--", "python3", "-"]), &tasks).expect(0);
    assert!(tasks.out.contains(&format!("DONE      Clean(day={DAY})")), "{}", tasks.out);

    // All of it in one go, from nothing, on a cluster of the run's own, comes to the same.
    let after_the_kill = it.digest();
    it.local(&["cluster", "down", "--yes"]).expect(0);
    for folder in ["raw", "preprocessed", "cleaned", "runs"] {
        it.aws.run(&format!("s3 rm --recursive --quiet s3://{}/{folder}/", it.bucket));
    }
    let told = it.run().expect(0);
    told.says(&["none is up: it is started", "the cluster that it started is ended", "was up for this run alone"]);
    assert_eq!(it.living(), 0, "the run's cluster is up still");
    assert_eq!(it.summary()["out"], summary["out"]);
    it.local(&["cluster", "up", "--yes"]).expect(0);
    assert_eq!(it.digest(), after_the_kill);
}
