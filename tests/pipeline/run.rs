//! Running a pipeline by EMR's steps: its cluster, what is left out, what becomes of a failure.
//!
//! Each test has a cloud of its own: what it makes fail is the next step of any stack. Stock moto's steps never end.

use serde_json::{Value, json};

use super::Daily;
use crate::support::{
    cli::{Run, Running},
    server::Server,
};

const DATE: &str = "2020-01-02";

struct Ready {
    server: Server,
    daily: Daily,
}

/// A pipeline that is deployed on a cloud of its own, whose steps take no time, do nothing and succeed.
fn deployed() -> Ready {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let daily = Daily::at(&server.endpoint);
    daily.project.edit("infra/daily.yaml", "    bucket: lake\n", "    bucket: lake\n    retries: 0\n");
    daily.local(&["apply", "--yes"]).expect(0);
    Ready { server, daily }
}

impl Ready {
    fn pipeline(&self, arguments: &[&str]) -> Run {
        self.daily.local(&[&["pipeline"], arguments].concat())
    }

    fn run(&self, date: &str) -> Run {
        self.pipeline(&["run", "--yes", "--date", date])
    }

    /// Puts there what the job `clean` makes.
    fn made(&self, date: &str) {
        let (aws, bucket) = (self.daily.aws(), self.daily.bucket());
        let put = |key: String, text: &str| {
            self.daily.project.write("made", text);
            let body = self.daily.project.path("made");
            aws.run(&format!("s3api put-object --bucket {bucket} --key {key} --body {}", body.display()));
        };
        put(format!("clean/{}/_SUCCESS", date.replace('-', "/")), "");
        let summary = json!({ "in": 10, "out": 7, "duplicates": 2, "rejected": 1 }).to_string();
        put(format!("clean/_runs/{date}.json"), &summary);
    }

    /// The states of all clusters that there were.
    fn clusters(&self) -> Vec<String> {
        let listed = self.daily.aws().run("emr list-clusters --query Clusters[].Status.State");
        listed.as_array().expect("states").iter().map(|state| state.as_str().expect("a state").to_owned()).collect()
    }

    fn inject(&self, what: &str) {
        self.server.control("POST", "inject", &json!({ "emr": what }).to_string());
    }
}

/// The rows of a summary: day, job, state, and the numbers.
fn rows(run: &Run) -> Vec<Vec<String>> {
    let rows = run.out.lines().skip(1).map(|row| row.split_whitespace().map(str::to_owned).collect());
    rows.filter(|row: &Vec<String>| !row.is_empty()).collect()
}

#[test]
fn strict_a_run_has_a_cluster_of_its_own_and_the_same_again_does_nothing() {
    let ready = deployed();
    ready.made(DATE);
    let run = ready.run(DATE).expect(0).says(&[
        "none is up: it is started",
        "the cluster that it started is ended",
        "was up for this run alone; it has cost about 0.",
    ]);
    let told = rows(&run);
    assert_eq!(told[0][..3], [DATE, "extract", "COMPLETED"]);
    assert_eq!(told[1][..7], [DATE, "clean", "COMPLETED", "10", "7", "2", "1"]);
    assert_eq!(ready.clusters(), ["TERMINATED"]);

    let run = ready.run(DATE).expect(0).says(&["extract: done already", "clean: done already", "Nothing is left"]);
    assert_eq!(run.out, "");
    assert_eq!(ready.clusters(), ["TERMINATED"], "no cluster is started for nothing");

    // What it made is gone: that job alone has to run again.
    let (aws, bucket) = (ready.daily.aws(), ready.daily.bucket());
    aws.run(&format!("s3api delete-object --bucket {bucket} --key clean/2020/01/02/_SUCCESS"));
    let run = ready.run(DATE).expect(1).says(&["extract: done already", "is not there: s3://"]);
    assert_eq!(rows(&run).len(), 1, "{run:?}");
    ready.made(DATE);
    ready.run(DATE).expect(0).says(&["extract: done already"]);

    // Another setting is another run; so is `--again`.
    let run = ready.pipeline(&["run", "--yes", "--date", DATE, "--setting", "rows=11"]).expect(0);
    assert_eq!(rows(&run).len(), 2, "{run:?}");
    let run = ready.pipeline(&["run", "--yes", "--date", DATE, "--again", "--setting", "rows=11", "--json"]).expect(0);
    let done: Value = serde_json::from_str(run.out.lines().last().expect("events")).expect("an event is JSON");
    assert_eq!(
        done["tasks"][1],
        json!({ "date": DATE, "task": "clean", "state": "COMPLETED", "in": 10, "out": 7,
        "duplicates": 2, "rejected": 1, "seconds": done["tasks"][1]["seconds"] })
    );
    let report = ready.daily.project.read(done["report"].as_str().expect("a run has a report"));
    assert!(report.contains(DATE) && report.contains("rejected"), "{report}");
    assert!(done["clusters"][0]["usd"].as_str().is_some_and(|usd| usd.starts_with("0.")), "{done}");
    assert!(ready.clusters().iter().all(|state| state == "TERMINATED"));
}

#[test]
fn strict_steps_are_what_the_template_says() {
    let ready = deployed();
    ready.daily.local(&["cluster", "up", "--yes"]).expect(0);
    ready.made(DATE);
    ready.run(DATE).expect(0).says(&["was up already: what it costs is not counted"]);
    assert_eq!(ready.clusters(), ["WAITING"], "a cluster that was up stays up");
    let id = ready.daily.aws().text("emr list-clusters --query Clusters[0].Id");
    let steps = ready.daily.aws().run(&format!("emr list-steps --cluster-id {id} --query Steps[].Config.Args"));
    let (version, bucket) = (ready.daily.version(), ready.daily.bucket());
    let code = format!("s3://{bucket}/cod/daily/versions/{version}");
    let mut told: Vec<String> = steps
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| {
            let words = step.as_array().expect("words").iter().map(|word| word.as_str().expect("a word"));
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    told.sort();
    let submit = "spark-submit --deploy-mode cluster --name daily";
    assert_eq!(
        told,
        [
            format!(
                "{submit}/clean/{DATE} --py-files {code}/modules.zip --executor-memory 1g {code}/jobs/clean.py --from \
                 s3://{bucket}/raw/2020/01/02/ --to s3://{bucket}/clean/2020/01/02/"
            ),
            format!(
                "{submit}/extract/{DATE} --py-files {code}/modules.zip {code}/jobs/extract.py --to \
                 s3://{bucket}/raw/2020/01/02/ --rows 10"
            ),
        ]
    );
}

#[test]
fn strict_a_failing_step_ends_the_cluster_and_the_next_run_goes_on() {
    let ready = deployed();
    ready.made(DATE);
    ready.inject("step-failure");
    let run = ready.run(DATE).expect(1).says(&["extract: step s-", "is FAILED", "pipeline logs extract", "is ended"]);
    assert_eq!(rows(&run)[0][..3], [DATE, "extract", "FAILED"]);
    assert!(ready.clusters().iter().all(|state| state == "TERMINATED"), "{:?}", ready.clusters());

    let status = ready.pipeline(&["status", "--json"]).expect(0).json();
    assert_eq!(status["deployed"], ready.daily.version());
    assert_eq!(status["days"][0]["jobs"]["extract"]["state"], "FAILED");
    let run = ready.run(DATE).expect(0);
    assert_eq!(run_states(&run), ["COMPLETED", "COMPLETED"]);
    let table = ready.pipeline(&["status"]).expect(0).out;
    assert!(table.contains("as in the folder") && table.contains(DATE), "{table}");
}

fn run_states(run: &Run) -> Vec<String> {
    rows(run).into_iter().map(|row| row[2].clone()).collect()
}

#[test]
fn strict_a_failure_is_tried_again_as_often_as_the_spec_says() {
    let ready = deployed();
    ready.daily.project.edit("infra/daily.yaml", "retries: 0", "retries: 1\n    retry_wait: 1s");
    ready.made(DATE);
    ready.inject("step-failure");
    let run = ready.run(DATE).expect(0).says(&["is FAILED", "tried again in 1 s", "1 left"]);
    assert_eq!(run_states(&run), ["FAILED", "COMPLETED", "COMPLETED"]);
}

#[test]
fn strict_ctrl_c_ends_the_cluster_that_was_started() {
    let ready = deployed();
    ready.inject("step-hang");
    let command = ready.daily.project.command(None, &["--local", "pipeline", "run", "--yes", "--date", DATE]);
    let mut running = Running::start(command);
    running.until("extract: RUNNING");
    running.interrupt();
    let run = running.end().expect(130).says(&["stopped", "the same command again does what is left"]);
    assert!(run.err.contains("is ended"), "{run:?}");
    assert_eq!(ready.clusters(), ["TERMINATED"]);
}

#[test]
fn strict_a_cluster_that_a_killed_run_left_is_ended_by_the_next() {
    let ready = deployed();
    ready.made(DATE);
    let killed = |day: &str| {
        let command = ready.daily.project.command(None, &["--local", "pipeline", "run", "--yes", "--date", day]);
        let mut running = Running::start(command);
        running.until("extract: ");
        running.kill();
        assert_eq!(ready.clusters().iter().filter(|state| *state != "TERMINATED").count(), 1);
    };
    let left = "was started by a run that was killed";
    killed(DATE);
    ready.run(DATE).expect(0).says(&[left, "it ends with this one", "was up for this run and others"]);
    assert_eq!(ready.clusters(), ["TERMINATED"]);

    // Also where nothing is left to do.
    killed("2020-01-03");
    ready.run(DATE).expect(0).says(&[left, "it is ended", "Nothing is left to do"]);
    assert_eq!(ready.clusters(), ["TERMINATED"; 2]);

    // Whoever asks for it has it stay.
    killed("2020-01-03");
    ready.daily.local(&["cluster", "up", "--yes"]).expect(0);
    ready.made("2020-01-03");
    let told = ready.run("2020-01-03").expect(0).says(&["was up already"]);
    assert!(!told.err.contains(left), "{told:?}");
    assert_eq!(ready.clusters().iter().filter(|state| *state != "TERMINATED").count(), 1);
}

#[test]
fn strict_a_cluster_on_which_another_run_works_is_left_to_that_one() {
    let ready = deployed();
    ready.inject("step-hang");
    let begin = |day: &str, state: &str| {
        let command = ready.daily.project.command(None, &["--local", "pipeline", "run", "--yes", "--date", day]);
        let mut running = Running::start(command);
        running.until(state);
        running
    };
    // One step at a time: the other's waits behind the one that hangs.
    let (one, other) = (begin(DATE, "extract: RUNNING"), begin("2020-01-03", "extract: PENDING"));
    one.interrupt();
    let told = one.end().expect(130).says(&["Another run works on cluster", "it stays", "by the run that ends it"]);
    assert!(!told.err.contains("for this run alone"), "{told:?}");
    assert_eq!(ready.clusters().iter().filter(|state| *state != "TERMINATED").count(), 1);
    other.interrupt();
    other.end().expect(130).says(&["has left it to this one", "is ended", "was up for this run and others"]);
    assert_eq!(ready.clusters(), ["TERMINATED"]);
    // Nobody noted how their steps ended; EMR knows.
    let status = ready.pipeline(&["status"]).expect(0).out;
    assert!(!status.contains("RUNNING") && status.contains("CANCELLED"), "{status}");
}

#[test]
fn strict_a_run_that_cannot_start_a_cluster_ends_none_of_another_run() {
    let ready = deployed();
    let folder = ready.daily.project.path(".infra");
    let open = |file: &str| {
        std::fs::create_dir_all(folder.join("runs")).expect("a writable project");
        let name = file.replace("STACK", &ready.daily.stack);
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(name));
        file.expect("a file of the project")
    };
    // As another run has them that is about to start the cluster.
    let (stack, users) = (open("locks/local-STACK"), open("runs/local-STACK.users"));
    stack.lock().expect("nobody else has it");
    users.lock_shared().expect("nobody else has it");
    let told = ready.run(DATE).expect(1).says(&["is at work on stack"]);
    assert!(!told.err.contains("the cluster could not be ended"), "{told:?}");
    drop(users);
    // Alone, it looks for what it may have begun.
    ready.run(DATE).expect(1).says(&["is at work on stack", "the cluster could not be ended"]);
    drop(stack);
    ready.made(DATE);
    ready.run(DATE).expect(0);
}

#[test]
fn strict_a_backfill_goes_on_after_a_day_that_failed() {
    let ready = deployed();
    for date in ["2020-01-01", "2020-01-02", "2020-01-03"] {
        ready.made(date);
    }
    ready.inject("step-failure");
    let range = ["backfill", "--from", "2020-01-01", "--to", "2020-01-03", "--yes"];
    let run = ready.pipeline(&range).expect(1).says(&["2020-01-01 extract: failed; the other days go on"]);
    assert_eq!(run_states(&run), ["FAILED", "COMPLETED", "COMPLETED", "COMPLETED", "COMPLETED"]);
    let run = ready.pipeline(&range).expect(0).says(&["2020-01-02 extract: done already"]);
    assert_eq!(run_states(&run).iter().filter(|state| *state == "COMPLETED").count(), 2, "{run:?}");
    assert_eq!(ready.clusters(), ["TERMINATED", "TERMINATED"]);
}

#[test]
fn strict_what_cannot_be_run_is_refused_before_anything_costs_money() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let daily = Daily::at(&server.endpoint);
    daily.local(&["apply", "--yes", "--only", "bucket/lake"]).expect(0);
    let run = |arguments: &[&str]| daily.local(&[&["pipeline", "run", "--date", DATE], arguments].concat());
    run(&["--yes"]).expect(1).says(&["pipeline daily is not deployed", "pipeline deploy daily"]);
    daily.local(&["pipeline", "deploy", "--yes"]).expect(0);
    run(&["--yes", "--setting", "rwos=1"]).expect(1).says(&["no setting `rwos`", "did you mean `rows`?"]);
    run(&["dayly", "--yes"]).expect(1).says(&["no pipeline `dayly`", "did you mean `daily`?"]);
    run(&[]).expect(1).says(&["there is no terminal to ask on"]);
    daily.local(&["pipeline", "run", "--from", "2020-01-02", "--to", "2020-01-01"]).expect(1).says(&["is after"]);
    daily.local(&["pipeline", "run", "--date", "9000-01-01"]).expect(1).says(&["is still to come"]);
    daily.local(&["pipeline", "run", "--date", "yesterday"]).expect(2).says(&["YYYY-MM-DD"]);
    daily.local(&["pipeline", "logs", "clean"]).expect(1).says(&["no run of a job `clean`"]);
    let clusters = daily.aws().run("emr list-clusters --query Clusters");
    assert_eq!(clusters, json!([]));
}

/// The same pipeline by luigi, on a host that has no body here: what can be told without it.
#[test]
fn strict_by_luigi_a_day_whose_outputs_are_there_needs_no_host() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let daily = Daily::at(&server.endpoint);
    daily.project.edit("infra/daily.yaml", "    orchestrator: steps\n", "    orchestrator: luigi\n    on: work\n");
    let host = "keys: { admin: { generate: true } }\nhosts:\n  work: { subnet: public, type: t2.micro, image: \
                ubuntu-22.04, disk: 8GiB, ssh_from: [203.0.113.0/24], services: { luigi: {} } }\n";
    daily.project.write("infra/daily.yaml", &(daily.project.read("infra/daily.yaml") + host));
    let manifest = daily.project.read("templates/daily/pipeline.yaml") + "host: { command: [luigi] }\n";
    daily.project.write("templates/daily/pipeline.yaml", &manifest);
    daily.local(&["apply", "--yes"]).expect(0);
    let ready = Ready { server, daily };
    ready.made(DATE);
    let run = ready.run(DATE).expect(0).says(&["clean: done already", "Nothing is left to do"]);
    assert_eq!(run.out, "");
    // A day that is not done needs the host, and is refused before anything costs money.
    let range = ["run", "--yes", "--from", DATE, "--to", "2020-01-03"];
    ready.pipeline(&range).expect(1).says(&["02 clean: done already", "hosts have no bodies", "local up --hosts"]);
    ready.pipeline(&["run", "--yes", "--setting", "rows=1"]).expect(1).says(&["--setting is for pipelines by `steps`"]);
    assert!(ready.clusters().is_empty());
    // It says so where it cannot ask the host, and tells what it can.
    let status = ready.pipeline(&["status", "--json"]).expect(0).json();
    assert_eq!((&status["orchestrator"], &status["days"]), (&json!("luigi"), &json!([])));
    assert!(status["host_silent"].as_str().is_some_and(|why| why.contains("no bodies")), "{status}");
}
