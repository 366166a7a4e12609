//! Times for a reader.

use jiff::{SignedDuration, Timestamp};

/// A moment in seconds since 1970, as a clock here shows it: `2026-11-24 14:03`.
pub fn clock(seconds: i64) -> String {
    let Ok(moment) = Timestamp::from_second(seconds) else { return "an unknown time".into() };
    moment.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// The same for programs, in UTC: `2026-11-24T14:03:07Z`.
pub fn stamp(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|moment| moment.to_string()).unwrap_or_default()
}

/// Now, in seconds since 1970.
pub fn now() -> i64 {
    Timestamp::now().as_second()
}

/// How long ago a moment is.
pub fn since(seconds: i64) -> String {
    elapsed(now() - seconds)
}

/// So many seconds in the two units that matter: `12 s`, `7 min 03 s`, `2 h 13 min`, `3 d 4 h`.
pub fn elapsed(seconds: i64) -> String {
    let length = SignedDuration::from_secs(seconds.max(0));
    let (days, hours, minutes) = (length.as_hours() / 24, length.as_hours() % 24, length.as_mins() % 60);
    match (days, hours, minutes, length.as_secs() % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::elapsed;

    #[test]
    fn two_units_are_enough() {
        let shown = [0, 59, 60, 423, 7_980, 90_061].map(elapsed);
        assert_eq!(shown, ["0 s", "59 s", "1 min 00 s", "7 min 03 s", "2 h 13 min", "1 d 1 h"]);
        assert_eq!(elapsed(-5), "0 s", "a clock that is behind shows nothing strange");
    }
}
