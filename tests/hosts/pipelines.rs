//! A pipeline on its host: files, a secret, a timer, and how a run ends.

use std::fs;

use crate::support::hosts::Stack;

const SECRET: &str = "a-word-that-nobody-else-has";

const MANIFEST: &str = r#"
settings: { end: 0 }
secrets: [token]
host:
  files: [work.sh, work.cfg]
  command: [sh, work.sh, "--day={{ date }}"]
"#;

/// Notes what it was told, and ends as its settings say.
const WORK: &str = r#"
. ./work.cfg
token=$(cat "$TOKEN_FILE")
echo "$1 $AWS_DEFAULT_REGION ${#token}" >>"$HOME/ran"
exit "$end"
"#;

const SPEC: &str = r#"
pipeline:
  nightly:
    template: nightly
    orchestrator: luigi
    on: inner
    bucket: lake
    schedule: "02:00 America/New_York"
    retries: 1
    retry_wait: 1s
    settings: { end: 0 }
    secrets: { token: { file: token.txt } }
    alerts:
      - { when: 3, run: "echo $PIPELINE $PIPELINE_EXIT_CODE >$HOME/alert" }
      - { when: success, run: "echo well >$HOME/alert" }
buckets:
  lake: { name: "STACK-lake", folders: [cod/] }
"#;

#[test]
fn a_pipeline_has_its_files_its_secret_and_its_timer() {
    let Some(stack) = Stack::both("ana\n") else { return };
    stack.edit("    via: bastion\n", "    via: bastion\n    services: { luigi: {} }\n");
    let spec = stack.project.read("infra/hosts.yaml") + &SPEC.replace("STACK", &stack.name);
    stack.project.write("infra/hosts.yaml", &spec);
    stack.project.write("infra/token.txt", &format!("{SECRET}\n"));
    fs::create_dir_all(stack.project.path("templates/nightly")).expect("a writable project");
    stack.project.write("templates/nightly/pipeline.yaml", MANIFEST);
    stack.project.write("templates/nightly/work.sh", WORK);
    stack.project.write("templates/nightly/work.cfg.j2", "end={{ settings.end }}\n");

    let plan = stack.local(&["plan", "--json"]).expect(0);
    let stack = stack.applied();
    stack.converged();
    let status = stack.local(&["status", "--json"]).expect(0);
    for told in [&plan.out, &plan.err, &status.out] {
        assert!(!told.contains(SECRET), "the secret is told");
    }
    let secret = "/etc/infra/pipelines/nightly/token";
    assert_eq!(
        stack.root("inner", &format!("stat -c '%a %U' {secret}; cat {secret}")),
        format!("600 infra-pipelines\n{SECRET}\n")
    );
    let timer = stack.root("inner", "systemctl cat pipeline-nightly.timer; systemctl is-active pipeline-nightly.timer");
    assert!(timer.contains("OnCalendar=*-*-* 02:00:00 America/New_York") && timer.ends_with("active\n"), "{timer}");

    // As the timer does it, and for a day of one's own.
    let home = "/var/lib/infra-pipelines";
    stack.root("inner", "systemctl start pipeline-nightly.service");
    let yesterday = stack.root("inner", "TZ=America/New_York date -d yesterday +%F");
    let ran = stack.root("inner", &format!("cat {home}/ran {home}/alert"));
    assert_eq!(ran, format!("--day={} us-west-2 {}\nwell\n", yesterday.trim(), SECRET.len()));
    let program = "/usr/local/lib/infra/pipeline-nightly";
    let as_it = "setpriv --reuid infra-pipelines --regid infra-pipelines --clear-groups";
    stack
        .root("inner", &format!("HOME={home} {as_it} {program} 2026-11-23; tail -n 1 {home}/ran | grep -q 2026-11-23"));

    // What somebody changes there is drift.
    stack.root("inner", "echo exit 7 >/opt/infra/pipelines/nightly/work.sh");
    let steps = stack.local(&["plan", "--json"]).expect(0).steps();
    assert_eq!(steps, ["update file/inner/pipeline:nightly:work.sh content"]);
    stack.local(&["pipeline", "deploy", "--yes"]).expect(0);
    stack.converged();

    // It fails, is tried again, and the alert for its code runs.
    stack.edit("settings: { end: 0 }", "settings: { end: 3 }");
    stack.local(&["pipeline", "deploy", "--yes"]).expect(0);
    let ended = stack.root("inner", &format!(": >{home}/ran; systemctl start pipeline-nightly.service || true; systemctl show -p ExecMainStatus --value pipeline-nightly.service; wc -l <{home}/ran; cat {home}/alert"));
    assert_eq!(ended, "3\n2\nnightly 3\n");

    // It goes with the spec's lines, and its secret with it.
    let spec = stack.project.read("infra/hosts.yaml");
    let (before, after) =
        (spec.find("pipeline:\n").expect("it is there"), spec.find("buckets:\n").expect("it is there"));
    stack.project.write("infra/hosts.yaml", &format!("{}{}", &spec[..before], &spec[after..]));
    stack.local(&["apply", "--yes"]).expect(0);
    stack.converged();
    let left = stack.root(
        "inner",
        &format!("ls {secret} {program} /opt/infra/pipelines/nightly/work.sh 2>/dev/null || true; systemctl is-active pipeline-nightly.timer || true"),
    );
    assert_eq!(left, "inactive\n");
}
