//! The page about a pipeline's days, made of what jobs left in its bucket.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Daily;

/// A pipeline that is deployed, and whose job `clean` said these things.
fn told(days: &[(&str, &str)]) -> Daily {
    let daily = Daily::new();
    daily.local(&["apply", "--yes"]).expect(0);
    for (date, said) in days {
        put(&daily, &format!("clean/_runs/{date}.json"), said);
    }
    daily
}

fn put(daily: &Daily, key: &str, text: &str) {
    daily.project.write("said", text);
    let (body, bucket) = (daily.project.path("said"), daily.bucket());
    daily.aws().run(&format!("s3api put-object --bucket {bucket} --key {key} --body {}", body.display()));
}

fn summary(rejected: u64, city: &Value) -> String {
    json!({
        "job": "clean", "in": 2_000, "out": 1_960 - rejected, "duplicates": 40, "rejected": rejected,
        "rejected_by_reason": { "<b>no date</b>": rejected }, "null_shares": { "city": 0.25 }, "schema": { "city": city },
        "seconds": 3.2, "words": "<script>alert(1)</script>",
    })
    .to_string()
}

/// Makes a report; its path as it was printed, and its text.
#[track_caller]
fn made(daily: &Daily, arguments: &[&str]) -> (String, String) {
    let run = daily.local(&[&["pipeline", "report"], arguments].concat()).expect(0);
    let path = run.out.trim().to_owned();
    let text = std::fs::read_to_string(daily.project.path(&path)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    (path, text)
}

#[test]
fn a_report_is_of_the_days_that_something_is_known_of() {
    let daily = told(&[
        ("2020-01-01", &summary(0, &json!("text"))),
        ("2020-01-03", &summary(10, &json!({ "type": "number", "share": 0.5 }))),
        ("2020-01-04", "{\"in\": 20"),
    ]);
    // Something else that lies there is no day.
    put(&daily, "clean/_runs/2020-01-01_2020-01-31.json", "{}");
    let record = json!({ "jobs": { "extract": {
        "version": "1", "command": "c", "state": "FAILED", "cluster": "j-1", "step": "s-1",
        "log_uri": null, "ended": null, "seconds": 61, "summary": null,
    } } });
    put(&daily, "infra/runs/daily/2020-01-05.json", &record.to_string());
    let (path, page) = made(&daily, &[]);
    assert_eq!(path, ".infra/reports/daily-local-2020-01-01_2020-01-05.html");
    for text in [
        "2020-01-01 to 2020-01-05, 4 days",
        "1 day failed: 2020-01-05",
        "1 day without a summary of each job: 2020-01-04",
        "<div class=\"value\">4,000</div>",
        "&lt;b&gt;no date&lt;&#x2f;b&gt;",
        "other type",
        "number, 50 % of rows",
        "Its summary is no JSON.",
        "1 min 01 s",
        "&lt;script&gt;alert(1)&lt;&#x2f;script&gt;",
    ] {
        assert!(page.contains(text), "no {text:?} in\n{page}");
    }
    assert!(!page.contains("<script") && !page.contains("<b>"), "data became elements:\n{page}");
}

#[test]
fn a_day_is_compared_with_the_one_before_it() {
    let daily = told(&[("2020-01-01", &summary(0, &json!("text"))), ("2020-01-02", &summary(1, &json!("number")))]);
    let (path, page) = made(&daily, &["daily", "--date", "2020-01-02"]);
    assert_eq!(path, ".infra/reports/daily-local-2020-01-02.html");
    assert!(page.contains("other type") && page.contains("Every row is accounted for: 2,000 in = 1,959 out"), "{page}");
    assert!(!page.contains("id=\"2020-01-01\""), "the day before is no part of it");
    let (path, page) = made(&daily, &["--from", "2020-01-01", "--to", "2020-01-02", "-o", "pages/mine.html"]);
    assert!(path == "pages/mine.html" && page.contains("2020-01-01 to 2020-01-02, 2 days"), "{path}\n{page}");
}

#[test]
fn open_shows_the_newest_report_and_makes_one_where_there_is_none() {
    let daily = told(&[("2020-01-01", &summary(0, &json!("text")))]);
    let open = |arguments: &[&str]| daily.local(&[&["open", "report", "--no-browser"], arguments].concat());
    let opened = || PathBuf::from(open(&[]).expect(0).out.trim());
    let first = opened();
    assert!(first.is_absolute() && first.ends_with(".infra/reports/daily-local-2020-01-01.html"), "{first:?}");
    assert!(std::fs::read_to_string(&first).expect("a page").contains("Rows by day"));
    // Another, made later, and some that are none of ours.
    put(&daily, "clean/_runs/2020-01-02.json", &summary(0, &json!("text")));
    let reports = first.parent().expect("a folder").to_owned();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let (newer, _) = made(&daily, &[]);
    for other in ["daily-2020-01-09.html", "other-local-2020-01-09.html", "daily-local-notes.html"] {
        std::fs::write(reports.join(other), "").expect("a writable folder");
    }
    assert!(opened().ends_with(&newer), "{:?} is not {newer}", opened());
    open(&["--status"]).expect(2);
    daily.local(&["open", "report", "--port", "8080"]).expect(1).says(&["a report is a file", "infra pipeline report"]);
}

#[test]
fn a_report_of_nothing_is_refused_with_what_to_do() {
    let daily = told(&[("2020-01-01", &summary(0, &json!("text")))]);
    let report = |arguments: &[&str]| daily.local(&[&["pipeline", "report"], arguments].concat());
    report(&["--date", "2020-02-02"]).expect(1).says(&["daily has not run for 2020-02-02", "pipeline status daily"]);
    report(&["dayly"]).expect(1).says(&["no pipeline `dayly`", "did you mean `daily`?"]);
    report(&["--from", "2020-01-02", "--to", "2020-01-01"]).expect(1).says(&["is after", "the first day"]);
    report(&["--from", "1990-01-01", "--to", "2020-01-01"]).expect(1).says(&["more than 400 days"]);
    report(&["--from", "2020-01-02"]).expect(2);
    assert!(!daily.project.path(".infra/reports").exists(), "nothing was written");
    daily.local(&["pipeline", "destroy", "--yes"]).expect(0);
    // The code is gone; what it left is still told.
    assert!(made(&daily, &[]).1.contains("Every row is accounted for"));
}
