//! Reading and rendering, of what the real jobs said (`tests/cases/summaries/`, which `templates/tests` compares with the
//! jobs) and of what nobody should have said.

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::{Day, Job, Report, Said, State, Summary, page, summary::Column, view};
use crate::pipeline::record::Ran;

const PREPROCESS: &str = include_str!("../../../tests/cases/summaries/preprocess.json");
const CLEAN: &str = include_str!("../../../tests/cases/summaries/clean.json");
const PROCESSA: &str = include_str!("../../../tests/cases/summaries/processa.json");

fn example(text: &str) -> Value {
    serde_json::from_str(text).expect("an example is JSON")
}

fn job(name: &str, said: &Value) -> Job {
    let said = Said::Summary(Box::new(Summary::read(said)));
    Job { name: name.into(), ran: None, tells: true, said }
}

fn ran(state: &str) -> Ran {
    Ran {
        version: "1a2b3c4d5e6f".into(),
        state: state.into(),
        cluster: "j-1".into(),
        step: "s-1".into(),
        seconds: Some(75),
        ..Ran::default()
    }
}

fn report(days: Vec<Day>, before: Option<Day>) -> Report {
    Report {
        pipeline: "nyc311".into(),
        stack: "nyc311".into(),
        place: "us-west-2, the local cloud".into(),
        version: Some("1a2b3c4d5e6f".into()),
        made: "2026-11-24 14:03".into(),
        days,
        before,
    }
}

fn one_day(date: Date, said: &Value) -> Report {
    report(vec![Day { date, jobs: vec![job("count", said)] }], None)
}

fn of(said: &Value) -> Value {
    serde_json::to_value(view::of(&one_day(date(2020, 1, 2), said))).expect("a view is JSON")
}

/// Three days: as the real jobs tell, an empty one, and one whose last job failed; and the day before them.
fn nyc311() -> Report {
    let on = |day: i8, preprocess: &Value, clean: &Value| Day {
        date: date(2020, 1, day),
        jobs: vec![
            job("preprocess", preprocess),
            Job { name: "profile".into(), ..Job::default() },
            job("clean", clean),
        ],
    };
    let (mut preprocess, mut clean) = (example(PREPROCESS), example(CLEAN));
    let full = on(2, &preprocess, &clean);
    // The day before had the column of another type, one more, and one less, and fewer nulls.
    preprocess["schema"]["latitude"]["type"] = "text".into();
    preprocess["schema"]["borough_president"] = json!({ "type": "text", "share": 0.4 });
    preprocess["schema"]["very_rare"] = json!({ "type": "text", "share": 0.0001 });
    preprocess["schema"].as_object_mut().expect("columns").remove("status");
    clean["null_shares"]["city"] = 0.01.into();
    let before = on(1, &preprocess, &clean);
    let nothing = json!({ "in": 0, "out": 0, "schema": {}, "null_shares": {}, "duplicates": 0, "rejected": 0 });
    let mut failed = on(4, &example(PREPROCESS), &Value::Null);
    failed.jobs[2] = Job { name: "clean".into(), ran: Some(ran("FAILED")), tells: true, said: Said::Nothing };
    report(vec![full, on(3, &nothing, &nothing), failed], Some(before))
}

#[test]
fn what_the_page_shows_of_the_real_jobs() {
    insta::assert_json_snapshot!(view::of(&nyc311()));
}

#[test]
fn the_examples_follow_the_contract() {
    for text in [PREPROCESS, CLEAN, PROCESSA] {
        let summary = Summary::read(&example(text));
        assert!(summary.rows_in.is_some() && summary.rows_out.is_some() && summary.batch.is_some(), "{summary:?}");
        let contract = ["in", "out", "duplicates", "rejected", "null_shares", "schema", "problems", "by_day", "batch"];
        let lost = summary.rest.iter().find(|(name, _)| contract.iter().any(|field| name.starts_with(field)));
        assert_eq!(lost, None, "a field of the contract was not understood");
    }
    let vendas = Summary::read(&example(PROCESSA));
    assert!(vendas.rest.iter().any(|(name, _)| name == "commission"), "{:?}", vendas.rest);
    assert!(vendas.is_about(date(2024, 5, 6)) && !vendas.is_about(date(2024, 5, 7)));
}

#[test]
fn rows_are_those_of_the_first_and_the_last_job() {
    let jobs = [json!({ "in": 10, "out": 10 }), json!({ "in": 10, "out": 7, "duplicates": 2, "rejected": 1 })];
    let mut day = Day { date: date(2020, 1, 2), jobs: jobs.iter().map(|said| job("job", said)).collect() };
    let rows = day.rows();
    assert_eq!((rows.come, rows.gone, rows.duplicates, rows.rejected), (Some(10), Some(7), 2, 1));
    assert_eq!((rows.unaccounted(), day.state()), (Some(0), State::Done));
    day.jobs[1] = job("job", &json!({ "in": 10, "out": 7, "duplicates": 2 }));
    assert_eq!(day.rows().unaccounted(), Some(1));
    // What a day has come to is not known before all its jobs have told.
    day.jobs[1].said = Said::Nothing;
    assert_eq!((day.rows().gone, day.rows().unaccounted(), day.state()), (None, None, State::Missing));
    day.jobs[1].ran = Some(ran("RUNNING"));
    assert_eq!(day.state(), State::Running);
}

#[test]
fn rows_that_are_lost_are_the_first_thing_to_see() {
    let view = of(&json!({ "in": 10, "out": 7, "duplicates": 1, "rejected": 1 }));
    assert_eq!(view["verdicts"], json!([{ "bad": true, "text": "1 day with rows unaccounted for: 2020-01-02" }]));
    assert_eq!(view["figures"][4]["value"], "1");
    let more = of(&json!({ "in": 10, "out": 11 }));
    assert_eq!((&more["figures"][4]["value"], &more["figures"][4]["bad"]), (&json!("−1"), &json!(true)));
    let all = of(&json!({ "in": 10, "out": 10 }));
    assert_eq!(all["verdicts"][0]["bad"], false);
}

#[test]
fn a_missing_summary_and_one_that_is_no_json_are_told() {
    let mut day = Day { date: date(2020, 1, 2), jobs: vec![job("count", &json!({}))] };
    for (said, note) in [(Said::Nothing, "It left no summary."), (Said::Nonsense, "Its summary is no JSON.")] {
        day.jobs[0].said = said;
        let html = page::render(&report(vec![day.clone()], None)).expect("a page");
        assert!(html.contains(note) && html.contains("1 day without a summary of each job: 2020-01-02"), "{html}");
    }
    assert!(!Day { date: date(2020, 1, 2), jobs: vec![Job::default()] }.is_known());
}

#[test]
fn what_nobody_knows_is_shown_as_names_and_texts() {
    let summary = Summary::read(&json!({
        "in": "ten", "out": -1, "rejected_by_reason": { "late": "many" }, "null_shares": { "city": 1.5 },
        "schema": ["a"], "by_day": 3, "seconds": "soon", "deep": { "er": { "and": { "deeper": 1 } } }, "list": [1, "a"],
        "job": 5, "nothing": null,
    }));
    assert_eq!(summary.rows_in, None);
    let known = ["in", "out", "rejected_by_reason.late", "null_shares.city", "schema", "by_day", "seconds"];
    for name in known {
        assert!(summary.rest.iter().any(|(found, _)| found == name), "{name} is lost: {:?}", summary.rest);
    }
    let told = |name: &str| summary.rest.iter().find(|(found, _)| found == name).map(|(_, text)| text.as_str());
    assert_eq!(told("deep.er.and"), Some(r#"{"deeper":1}"#));
    assert_eq!((told("list"), told("job"), told("nothing")), (Some("1, a"), Some("5"), Some("null")));
    for said in [json!(null), json!([1, 2]), json!("all well"), json!({}), json!(7)] {
        page::render(&one_day(date(2020, 1, 2), &said)).expect("no shape is an error");
    }
    assert_eq!(Summary::read(&json!("all well")).rest, [("summary".to_owned(), "all well".to_owned())]);
    // However much there is of it.
    let many: serde_json::Map<String, Value> = (0..10_000).map(|n| (format!("key{n}"), json!(n))).collect();
    assert_eq!(Summary::read(&Value::Object(many)).rest.len(), 101);
}

#[test]
fn numbers_that_nobody_has_are_no_error() {
    let most = u64::MAX;
    let said = json!({ "in": most, "out": most, "duplicates": most, "rejected": most, "seconds": 1e300,
                       "rejected_by_reason": { "a": most, "b": most }, "by_day": { "2020-01-01": most } });
    let two = [1, 2].map(|day| Day { date: date(2020, 1, day), jobs: vec![job("a", &said), job("b", &said)] });
    let html = page::render(&report(two.to_vec(), None)).expect("a page");
    assert!(html.contains("18,446,744,073,709,551,615"), "{html}");
}

#[test]
fn attack_strings_are_shown_and_do_nothing() {
    let evil = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</title></style></svg><script>",
        "{{ 7 * 7 }}{% for x in y %}",
        "javascript:alert(1)",
        "\u{202e}evil\u{0}\u{feff}",
        "'; DROP TABLE requests; --",
        "]]>--><!--",
        "&lt;b&gt;",
    ];
    let mut fields = serde_json::Map::new();
    for (number, text) in evil.iter().enumerate() {
        fields.insert(format!("{text}{number}"), json!(text));
    }
    let by_name = |value: Value| Value::Object(evil.iter().map(|text| ((*text).to_owned(), value.clone())).collect());
    fields.extend([
        ("in".to_owned(), json!(20)),
        ("rejected_by_reason".to_owned(), by_name(json!(2))),
        ("problems".to_owned(), by_name(json!(1))),
        ("by_day".to_owned(), by_name(json!(1))),
        ("null_shares".to_owned(), by_name(json!(0.5))),
        ("schema".to_owned(), by_name(json!({ "type": evil[0], "share": 1 }))),
        ("dropped_columns".to_owned(), json!(evil)),
        ("unknown_columns".to_owned(), json!(evil)),
        ("batch".to_owned(), json!(evil[1])),
    ]);
    let other = json!({ "schema": { "gone<script>": "text", evil[0]: evil[1] } });
    let day = |on: i8, said: &Value| Day {
        date: date(2020, 1, on),
        jobs: vec![Job { name: evil[0].into(), ran: Some(ran(evil[1])), ..job("", said) }],
    };
    let mut wrong = report(vec![day(2, &Value::Object(fields))], Some(day(1, &other)));
    for name in [&mut wrong.pipeline, &mut wrong.stack, &mut wrong.place] {
        evil[3].clone_into(name);
    }
    wrong.version = Some(evil[2].into());
    let html = page::render(&wrong).expect("a page");
    for tag in ["<script", "<img", "onerror=alert(1)>", "</title></", "' onmouseover", "<!--", "\u{202e}", "\u{0}"] {
        assert!(!html.contains(tag), "{tag} came through");
    }
    // Data make no element and no attribute: there are as many as where they are harmless.
    assert!(html.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;") && html.contains("{{ 7 * 7 }}"), "{html}");
    assert!(html.contains("&amp;lt;b&amp;gt;") && html.contains("gone&lt;script&gt;"), "what was escaped is data too");
}

#[test]
fn the_page_needs_nothing_from_anywhere_else() {
    let html = page::render(&nyc311()).expect("a page");
    for word in ["http:", "https:", "src=", "@import", "url(", "<script", "<link", "<iframe", "javascript"] {
        assert!(!html.contains(word), "the page has {word}");
    }
    assert!(html.contains("default-src 'none'") && html.contains("prefers-color-scheme: dark"));
    assert!(html.ends_with("</html>"), "it is whole");
}

#[test]
fn schemas_are_compared_with_the_last_day_that_had_rows() {
    let on =
        |day: i8, schema: Value| Day { date: date(2020, 1, day), jobs: vec![job("a", &json!({ "schema": schema }))] };
    let days = [
        on(1, json!({ "same": "text", "gone": "text", "other": { "type": "number", "share": 0.9 } })),
        on(2, json!({})),
        on(
            3,
            json!({ "same": "text", "new": { "type": "text", "share": 0.001 }, "other": { "type": "text", "share": 0.001 } }),
        ),
    ];
    let found = super::changes::between(&days.iter().collect::<Vec<_>>());
    let told: Vec<_> =
        found.iter().map(|change| (change.column.as_str(), change.is_rare(), change.since.day())).collect();
    assert_eq!(told, [("new", true, 1), ("gone", false, 1), ("other", false, 1)], "an empty day has no schema");
    assert_eq!(found[2].before, Some(Column { kind: "number".into(), share: Some(0.9) }));
}

#[test]
fn a_job_s_state_is_known_in_the_words_of_emr_luigi_and_airflow() {
    let state = |word: &str| Job { name: "extract".into(), ran: Some(ran(word)), ..Job::default() }.state();
    for (words, wanted) in [
        (&["COMPLETED", "done", "success"][..], State::Done),
        (&["RUNNING", "runs", "running"], State::Running),
        (&["FAILED", "failed", "upstream_failed", "CANCELLED"], State::Failed),
    ] {
        for word in words {
            assert!(state(word) == wanted, "{word}");
        }
    }
}
