use std::time::Duration;

use super::{Activity, Limits, Verdict, Yarn, judge, words, yarn};

const NOW: i64 = 1_800_000_000;
const HOUR: Limits = Limits { idle: Some(Duration::from_hours(1)), lifetime: Some(Duration::from_hours(48)) };

fn activity(change: impl FnOnce(&mut Activity)) -> Activity {
    let mut activity = Activity {
        state: "WAITING".into(),
        created: Some(NOW - 7200),
        ready: Some(NOW - 7000),
        active_steps: 0,
        last_step: Some(NOW - 3700),
        yarn: Yarn::Idle(None),
    };
    change(&mut activity);
    activity
}

#[test]
fn an_idle_cluster_ends_and_a_busy_one_stays() {
    type Case = (&'static str, fn(&mut Activity), bool);
    let cases: [Case; 13] = [
        ("idle since its last step", |_| {}, true),
        ("its last step ended a moment ago", |it| it.last_step = Some(NOW - 3500), false),
        ("no step ever, ready for long", |it| it.last_step = None, true),
        ("no step ever, ready a moment ago", |it| (it.last_step, it.ready) = (None, Some(NOW - 60)), false),
        ("a step runs", |it| it.active_steps = 1, false),
        ("an application runs", |it| it.yarn = Yarn::Busy(2), false),
        ("an application ended a moment ago", |it| it.yarn = Yarn::Idle(Some(NOW - 30)), false),
        ("an application ended long ago", |it| it.yarn = Yarn::Idle(Some(NOW - 4000)), true),
        ("YARN is not reached, the steps decide", |it| it.yarn = Yarn::Unreachable("refused".into()), true),
        ("it starts", |it| it.state = "BOOTSTRAPPING".into(), false),
        ("it ends already", |it| it.state = "TERMINATING".into(), false),
        ("too old, with a step that runs", |it| (it.active_steps, it.created) = (1, Some(NOW - 172_800)), true),
        ("nothing is known", |it| (it.last_step, it.ready, it.created) = (None, None, None), false),
    ];
    for (name, change, ends) in cases {
        let verdict = judge(HOUR, &activity(change), NOW);
        assert_eq!(matches!(verdict, Verdict::End(_)), ends, "{name}: {verdict:?}");
    }
    // What is not limited does not end it.
    let free = Limits { idle: None, lifetime: Some(Duration::from_hours(48)) };
    assert_eq!(judge(free, &activity(|_| {}), NOW), Verdict::Stay("it may live on".into()));
}

#[test]
fn the_reason_says_what_decided() {
    let said = |change: fn(&mut Activity)| match judge(HOUR, &activity(change), NOW) {
        Verdict::Stay(why) | Verdict::End(why) => why,
    };
    assert_eq!(said(|_| {}), "it has idled for 1 h 1 min, 1 h is the most");
    assert_eq!(
        said(|it| it.yarn = Yarn::Unreachable("timed out".into())),
        "it has idled for 1 h 1 min, 1 h is the most (by its steps alone: YARN could not be asked, timed out)"
    );
    assert_eq!(said(|it| it.active_steps = 1), "1 step is running or waiting");
    assert_eq!(said(|it| it.yarn = Yarn::Busy(2)), "YARN runs 2 applications");
    assert_eq!(said(|it| it.last_step = Some(NOW - 600)), "it has idled for 10 min of 1 h");
    assert_eq!(said(|it| it.created = Some(NOW - 180_000)), "it has lived for 2 d 2 h, 2 d is the most");
}

#[test]
fn yarn_is_understood() {
    let read = |line: &str| yarn(&["noise".to_owned(), line.to_owned()]);
    assert_eq!(read(r#"{"running": 0, "ended": 0}"#), Yarn::Idle(None));
    assert_eq!(read(r#"{"running": 0, "ended": 1800000000}"#), Yarn::Idle(Some(NOW)));
    assert_eq!(read(r#"{"running": 3, "ended": 0}"#), Yarn::Busy(3));
    assert_eq!(read(r#"{"error": "timed out"}"#), Yarn::Unreachable("timed out".into()));
    for wrong in ["{}", "", r#"{"running": "x"}"#] {
        assert!(matches!(read(wrong), Yarn::Unreachable(_)), "{wrong}");
    }
}

#[test]
fn durations_read_well() {
    let told = |seconds: u64| words(Duration::from_secs(seconds));
    let cases = [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (5400, "1 h 30 min"), (86_400, "1 d")];
    for (seconds, text) in cases {
        assert_eq!(told(seconds), text);
    }
}
