//! The real thing: Spark's history server on the cluster's master, in a real browser with nothing but our PAC file.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::stack::{LONG, Tunnelled, answers};
use crate::support::{aws::python, cli::Run, hosts::until, lab::Lab};

/// A program for Spark, whose name must show on the page.
const JOB: &str = "\
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName('complaints by borough').getOrCreate()
print('sum:', spark.range(1000).selectExpr('sum(id)').first()[0])
spark.stop()
";

/// The browser; `None`, and the reason on stderr, where there is none and none is required.
fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|file| file.is_file());
    if found.is_none() {
        skip("no Chromium is installed");
    }
    found
}

/// Says why a test is not run; fails where it must be.
fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "tests in a browser must not be skipped here, but: {reason}");
    // Straight to stderr: what `eprintln!` says in a test that passes is shown to nobody.
    let _ = writeln!(std::io::stderr(), "skipped: tests in a browser: {reason}");
}

/// A browser that shows a page and ends: `more` says what it does with it.
fn show(chromium: &Path, folder: &Path, pac: &str, more: &[&str], url: &str) -> Run {
    let profile = tempfile::Builder::new().prefix("profile-").tempdir_in(folder).expect("a folder");
    let mut command = Command::new("timeout");
    command.args(["-k", "10", "120"]).arg(chromium).args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1200,800",
        "--virtual-time-budget=20000",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("--proxy-pac-url={pac}")).args(more).arg(url);
    command.env_remove("http_proxy").env_remove("https_proxy").env_remove("HTTP_PROXY").env_remove("HTTPS_PROXY");
    command.stdin(Stdio::null()).output().expect("the browser starts").into()
}

/// How many colours a picture has, and its size: a blank one has one.
const COLOURS: &str = "
import json, struct, sys, zlib
data = open(sys.argv[1], 'rb').read()
assert data[:8] == b'\\x89PNG\\r\\n\\x1a\\n'
at, raw = 8, b''
while at < len(data):
    length, kind = struct.unpack('>I4s', data[at:at + 8])
    body = data[at + 8:at + 8 + length]
    if kind == b'IHDR':
        width, height, depth, colour = struct.unpack('>IIBB', body[:10])
    if kind == b'IDAT':
        raw += body
    at += 12 + length
assert depth == 8 and colour in (2, 6)
step = 3 if colour == 2 else 4
raw = zlib.decompress(raw)
row, rows, before = width * step, [], bytes(width * step)
for y in range(height):
    kind, line = raw[y * (row + 1)], bytearray(raw[y * (row + 1) + 1:(y + 1) * (row + 1)])
    for x in range(row):
        left = line[x - step] if x >= step else 0
        up, corner = before[x], before[x - step] if x >= step else 0
        if kind == 1: add = left
        elif kind == 2: add = up
        elif kind == 3: add = (left + up) // 2
        elif kind == 4:
            guess = left + up - corner
            near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))
            add = near[2]
        else: add = 0
        line[x] = (line[x] + add) & 255
    rows.append(bytes(line)); before = line
counts = {}
for line in rows:
    for x in range(0, row, step):
        pixel = line[x:x + step]
        counts[pixel] = counts.get(pixel, 0) + 1
print(json.dumps({'width': width, 'height': height, 'colours': len(counts), 'most': max(counts.values()) / (width * height)}))
";

#[test]
fn spark_s_history_is_seen_in_a_browser() {
    let Some(chromium) = chromium() else { return };
    let Some((lab, own)) = Lab::with_spark() else { return };
    seen(&chromium, lab);
    if own {
        lab.down();
    }
}

fn seen(chromium: &Path, lab: &'static Lab) {
    let it = Tunnelled::on(lab).apply();
    let (aws, cluster) = (it.aws(), it.cluster());
    let bucket = it.stack.project.output(&[], "bucket/logs.name");
    it.stack.project.write("job.py", JOB);
    let job = it.stack.project.path("job.py");
    aws.run(&format!("s3api put-object --bucket {bucket} --key job.py --body {}", job.display()));
    let step = format!("Type=Spark,Name=job,ActionOnFailure=CONTINUE,Args=[s3://{bucket}/job.py]");
    let added = aws.run(&format!("emr add-steps --cluster-id {cluster} --steps {step}"));
    let step = added["StepIds"][0].as_str().expect("a step").to_owned();
    let state = || {
        let told = aws.run(&format!("emr describe-step --cluster-id {cluster} --step-id {step}"));
        told["Step"]["Status"]["State"].as_str().expect("a state").to_owned()
    };
    until("the step is done", LONG * 2, || !["PENDING", "RUNNING"].contains(&state().as_str()));
    assert_eq!(state(), "COMPLETED");

    let port = it.up();
    let (pac, history) = (it.told("pac"), format!("http://{}:18080/", it.told("master")));
    until("the history server answers", LONG, || answers(port, &history));
    let listed = || -> Value {
        let url = format!("{history}api/v1/applications");
        let run = super::stack::curl(&["--socks5-hostname", &format!("127.0.0.1:{port}")], &url);
        serde_json::from_str(run.out.rsplit_once('\n').map_or("", |(text, _)| text)).unwrap_or_default()
    };
    until("it has read the log of the job", LONG, || listed()[0]["name"] == "complaints by borough");

    let folder = it.stack.project.folder();
    let dom = show(chromium, folder, &pac, &["--dump-dom"], &history);
    assert!(dom.out.contains("complaints by borough") && dom.out.contains("<title>History Server"), "{dom:?}");
    let picture = folder.join("history.png");
    show(chromium, folder, &pac, &[&format!("--screenshot={}", picture.display())], &history);
    let run: Run = Command::new(python()).args(["-c", COLOURS]).arg(&picture).output().expect("python runs").into();
    let seen = run.expect(0).json();
    assert!(seen["width"] == 1200 && seen["colours"].as_u64() > Some(20), "{seen}");
    assert!(seen["most"].as_f64() < Some(0.995), "blank: {seen}");
    if let Some(kept) = std::env::var_os("INFRA_TEST_PICTURES") {
        fs::copy(&picture, Path::new(&kept).join("history.png")).expect("a folder for pictures");
    }
    // The same browser without the tunnel sees nothing of it.
    it.stack.local(&["tunnel", "down"]).expect(0);
    let config = it.stack.local(&["tunnel", "config", "pac", "--port", &port.to_string()]).expect(0).out;
    let file = folder.join("proxy.pac");
    fs::write(&file, config).expect("a writable project");
    let blind = show(chromium, folder, &format!("file://{}", file.display()), &["--dump-dom"], &history);
    assert!(!blind.out.contains("complaints by borough"), "{blind:?}");
}
