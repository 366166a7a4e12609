//! `infra pipeline run` of a pipeline on a host: followed while it works, found again, explained where it fails.

use std::time::Duration;

use crate::support::{
    cli::{Run, Running},
    hosts::{Stack, until},
};

const HOME: &str = "/var/lib/infra-pipelines";

const MANIFEST: &str = "
host:
  files: [work.sh, luigi.cfg]
  command: [sh, work.sh, \"{{ date }}\"]
";

/// Writes what luigi would, notes that it ran, waits while it is told to, and ends as it is told to.
const WORK: &str = r#"
worker="[pid 7] Worker Worker(salt=1, workers=1, host=h, username=u, pid=7)"
echo "$1" >>"$HOME/ran"
echo "INFO: a line that matters to nobody"
echo "INFO: $worker running   Noted(day=$1)"
while [ -e "$HOME/wait" ]; do sleep 0.2; done
read -r code 2>/dev/null <"$HOME/code-$1" || code=0
if [ "$code" != 0 ]; then
    echo "the reason why" >&2
    echo "ERROR: $worker failed    Noted(day=$1)"
    exit "$code"
fi
echo "INFO: $worker done      Noted(day=$1)"
"#;

const SPEC: &str = r#"
pipeline:
  nightly: { template: nightly, orchestrator: luigi, on: inner, bucket: lake, retries: 0 }
buckets:
  lake: { name: "STACK-lake", folders: [cod/] }
"#;

fn run(stack: &Stack, arguments: &[&str]) -> Run {
    stack.local(&[&["pipeline"], arguments].concat())
}

/// Each row of a table, as words.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().skip(1).map(|row| row.split_whitespace().collect()).collect()
}

#[test]
fn a_run_by_luigi_is_followed_found_again_and_explained() {
    let Some(stack) = Stack::both("ana\n") else { return };
    stack.edit("    via: bastion\n", "    via: bastion\n    services: { luigi: {} }\n");
    let spec = stack.project.read("infra/hosts.yaml") + &SPEC.replace("STACK", &stack.name);
    stack.project.write("infra/hosts.yaml", &spec);
    std::fs::create_dir_all(stack.project.path("templates/nightly")).expect("a writable project");
    stack.project.write("templates/nightly/pipeline.yaml", MANIFEST);
    stack.project.write("templates/nightly/work.sh", WORK);
    stack.project.write("templates/nightly/luigi.cfg", "[retcode]\ntask_failed = 30\n");

    // Nothing of it is there yet.
    stack.local(&["apply", "--yes", "--only", "bucket/lake"]).expect(0);
    run(&stack, &["run", "--date", "2020-01-01"])
        .expect(1)
        .says(&["nightly is not deployed", "pipeline deploy nightly"]);
    let stack = stack.applied();
    stack.converged();

    let told = run(&stack, &["run", "--date", "2020-01-01"]).expect(0);
    let told =
        told.says(&["nightly is started on inner", "01 Noted: runs", "01 Noted: done after", "01: nightly is done"]);
    assert!(!told.err.contains("matters to nobody"), "{told:?}");
    assert_eq!(rows(&told.out)[0][..3], ["2020-01-01", "Noted", "done"]);
    let told = run(&stack, &["run", "--date", "2020-01-01", "-v"]).expect(0);
    told.says(&["INFO: a line that matters to nobody"]);

    // It fails: why, in words; the other days of a range go on where that is asked for.
    stack.root("inner", &format!("echo 30 >{HOME}/code-2020-01-02; : >{HOME}/ran"));
    let range = |verb| [verb, "--from", "2020-01-02", "--to", "2020-01-03"];
    let told = run(&stack, &range("run")).expect(1);
    told.says(&["nightly on inner ended with 30: a task failed", "failed: Noted", "the reason why", "pipeline logs"]);
    let told = run(&stack, &[&range("backfill")[..], &["--json"]].concat()).expect(1);
    let events: Vec<serde_json::Value> =
        told.out.lines().map(|line| serde_json::from_str(line).expect("events are JSON")).collect();
    let last = events.last().expect("an event");
    assert_eq!(
        (&last["event"], &last["tasks"][0]["state"], &last["tasks"][1]["state"]),
        (&"done".into(), &"failed".into(), &"done".into())
    );
    assert_eq!(last["clusters"], serde_json::json!([]), "it needed no cluster");
    assert_eq!(stack.root("inner", &format!("cat {HOME}/ran")), "2020-01-02\n2020-01-02\n2020-01-03\n");

    // Who follows it may go: it is found again, and not started a second time.
    stack.root("inner", &format!("touch {HOME}/wait; : >{HOME}/ran"));
    let begin = || {
        let arguments = ["--local", "pipeline", "run", "--date", "2020-01-04"];
        let mut running = Running::start(stack.project.command(None, &arguments));
        running.until("Noted: runs");
        running
    };
    let running = begin();
    running.interrupt();
    running.end().expect(130).says(&["is started on inner", "what is at work on inner goes on there"]);
    begin().kill();
    let status = run(&stack, &["status", "--json"]).expect(0).json();
    assert_eq!(
        (&status["days"][0]["date"], &status["days"][0]["run"]["state"]),
        (&"2020-01-04".into(), &"runs".into())
    );
    // Another day waits until this one is over.
    stack.root("inner", "systemctl start --no-block pipeline-nightly@2020-01-05.service");
    let running = begin();
    stack.root("inner", &format!("rm {HOME}/wait"));
    let told = running.end().expect(0);
    assert!(told.err.contains("is at work on inner already, and is followed"), "{told:?}");
    until("the day that waited", Duration::from_mins(1), || {
        stack.root("inner", &format!("cat {HOME}/ran")) == "2020-01-04\n2020-01-05\n"
    });
    stack.root("inner", "systemctl start pipeline-nightly@2020-01-05.service");

    // What became of it, also of days that nobody followed.
    let table = run(&stack, &["status"]).expect(0).out;
    let of = |day: &str| {
        rows(&table)
            .into_iter()
            .find(|row| row.first() == Some(&day) && row.get(1) == Some(&"luigi"))
            .map(|row| row[2..].join(" "))
    };
    assert!(of("2020-01-05").is_some_and(|row| row.starts_with("done")), "{table}");
    assert!(of("2020-01-02").is_some_and(|row| row.starts_with("ended with 30")), "{table}");
    let logs = |arguments: &[&str]| run(&stack, &[&["logs"], arguments].concat());
    assert!(logs(&["--date", "2020-01-02"]).expect(0).out.contains("the reason why\n"));
    assert!(logs(&[]).expect(0).out.contains("running   Noted(day=2020-01-05)"));
    logs(&["--date", "2019-12-31"]).expect(1).says(&["has no run for 2019-12-31"]);

    // What is on the host must be what is in S3.
    stack.project.edit("templates/nightly/work.sh", "matters to nobody", "nobody reads");
    stack.local(&["pipeline", "deploy", "--yes", "--no-hosts"]).expect(0);
    run(&stack, &["run", "--date", "2020-01-06"]).expect(1).says(&["inner has version", "and S3"]);

    // A day is at work by the version before: it is followed, and that is said.
    stack.root("inner", &format!("rm {HOME}/code-2020-01-02; touch {HOME}/wait; : >{HOME}/ran"));
    stack.root("inner", "systemctl start --no-block pipeline-nightly@2020-01-07.service");
    until("the day that waits", Duration::from_mins(1), || {
        stack.root("inner", &format!("cat {HOME}/ran")) == "2020-01-07\n"
    });
    stack.local(&["pipeline", "deploy", "--yes"]).expect(0);
    let mut running =
        Running::start(stack.project.command(None, &["--local", "pipeline", "run", "--date", "2020-01-07"]));
    running.until("Noted: runs");
    stack.root("inner", &format!("rm {HOME}/wait"));
    running
        .end()
        .expect(0)
        .says(&["is at work on inner by version", "`sudo systemctl stop pipeline-nightly@2020-01-07"]);
    // A day that failed by the version before runs by the one that mends it.
    run(&stack, &["run", "--date", "2020-01-02"])
        .expect(0)
        .says(&["is started on inner", "2020-01-02: nightly is done"]);
}

const AIRFLOW_SPEC: &str = r#"
pipeline:
  tiny: { template: tiny, orchestrator: airflow, on: inner, bucket: lake }
buckets:
  lake: { name: "STACK-lake", folders: [cod/] }
"#;

/// Two tasks, of which the second ends as a file says.
const DAG: &str = r#"
import datetime, pathlib, time
from airflow import DAG
from airflow.operators.python import PythonOperator

def second():
    print("the reason why")
    while pathlib.Path("/opt/tiny/wait").exists():
        time.sleep(0.2)
    assert not pathlib.Path("/opt/tiny/fail").exists(), "told to fail"

with DAG("tiny_dag", start_date=datetime.datetime(2020, 1, 1), schedule=None, is_paused_upon_creation=True) as dag:
    first = PythonOperator(task_id="first", python_callable=lambda: "j-not-a-cluster", retries=0)
    first >> PythonOperator(task_id="second", python_callable=second, retries=0)
"#;

/// A pipeline by Airflow on a host where Airflow works already.
pub fn airflow(stack: &Stack) {
    let spec = stack.project.read("infra/hosts.yaml") + &AIRFLOW_SPEC.replace("STACK", &stack.name);
    stack.project.write("infra/hosts.yaml", &spec);
    std::fs::create_dir_all(stack.project.path("templates/tiny")).expect("a writable project");
    stack.project.write("templates/tiny/pipeline.yaml", "host: { dag: tiny_dag.py }\n");
    stack.project.write("templates/tiny/tiny_dag.py", DAG);
    stack.local(&["apply", "--yes"]).expect(0);
    stack.root("inner", "mkdir -p /opt/tiny; touch /opt/tiny/wait");
    let arguments = ["run", "--date", "2020-01-02"];

    // Who follows it may go: the run goes on, and is found again.
    let mut running =
        Running::start(stack.project.command(None, &["--local", "pipeline", "run", "--date", "2020-01-02"]));
    running.until("the DAG tiny_dag was paused, and is no longer");
    running.until("2020-01-02 second: running");
    running.kill();
    stack.root("inner", "touch /opt/tiny/fail; rm /opt/tiny/wait");
    let told = run(stack, &arguments).expect(1);
    let told = told.says(&["the run of tiny failed: second", "the end of the log of second", "told to fail"]);
    assert!(!told.err.contains("is triggered"), "{told:?}");

    // It begins anew, and once it is done it is left out.
    stack.root("inner", "rm /opt/tiny/fail");
    let told =
        run(stack, &arguments).expect(0).says(&["had ended, and begins anew", "second: success", "tiny is done"]);
    let states: Vec<String> = rows(&told.out).iter().map(|row| row[..3].join(" ")).collect();
    assert_eq!(states, ["2020-01-02 first success", "2020-01-02 second success"]);
    run(stack, &arguments).expect(0).says(&["2020-01-02: done already"]);
    let status = run(stack, &["status", "--json"]).expect(0).json();
    let day = &status["days"][0];
    assert_eq!((&day["date"], &day["run"]["state"]), (&"2020-01-02".into(), &"success".into()));
    assert_eq!(day["jobs"]["second"]["state"], "success");
    assert!(run(stack, &["logs", "second", "--date", "2020-01-02"]).expect(0).out.contains("the reason why\n"));
    run(stack, &["logs", "secund"]).expect(1).says(&["has no task `secund`; it has first, second"]);
    run(stack, &["logs", "second", "--date", "2019-01-01"])
        .expect(1)
        .says(&["no run of a job `second` for 2019-01-01"]);

    // What Airflow cannot read is told with its reason.
    stack.project.write("templates/tiny/tiny_dag.py", "from airflow import DAG\nimport nothing_of_this_name\n");
    stack.local(&["pipeline", "deploy", "--yes"]).expect(0);
    let told = run(stack, &arguments).expect(1);
    told.says(&["Airflow cannot read", "nothing_of_this_name", "mend it in templates/tiny", "deploy tiny --version"]);

    // Nobody waits for a scheduler that does not work.
    stack.root("inner", "systemctl stop airflow-scheduler");
    stack.project.write("templates/tiny/tiny_dag.py", DAG);
    stack.local(&["pipeline", "deploy", "--yes"]).expect(0);
    run(stack, &arguments).expect(1).says(&["Airflow's scheduler does not work", "systemctl status"]);
    stack.root("inner", "systemctl start airflow-scheduler");
}
