//! Where the bars, lines and words of the page's small charts stand. SVG stretches over the width that there is; words are
//! HTML beside it, so that they keep their size.

use jiff::civil::Date;
use serde::Serialize;

use super::{Rows, words};

/// The chart of days is so wide and high, in units of its own.
const WIDTH: u64 = 1000;
const HEIGHT: u64 = 200;
/// A bar is at most so wide, and a part of one at least so high.
const WIDEST: u64 = 90;
const LOWEST: u64 = 2;
/// At most so many days have their names below the chart.
const NAMES: usize = 7;

/// Rows by day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chart {
    width: u64,
    height: u64,
    bars: Vec<Bar>,
    /// Heights with a line, and what they stand for.
    lines: Vec<Line>,
    names: Vec<Name>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Bar {
    x: u64,
    width: u64,
    title: String,
    parts: Vec<Part>,
}

/// A part of a bar; its class says of what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    class: &'static str,
    at: u64,
    length: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Line {
    y: u64,
    /// From the top, in percent.
    top: String,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Name {
    /// From the left, in percent.
    left: String,
    text: String,
}

/// What a bar shows: where the rows are that came in. Where not all jobs have told yet, the rest is on its way.
fn parts_of(rows: &Rows) -> [(&'static str, u64); 4] {
    let gone = rows.gone.unwrap_or_default();
    let known = gone.saturating_add(rows.duplicates).saturating_add(rows.rejected);
    let rest = rows.come.unwrap_or_default().saturating_sub(known);
    let open = if rows.gone.is_some() { "open" } else { "pending" };
    [("out", gone), ("duplicates", rows.duplicates), ("rejected", rows.rejected), (open, rest)]
}

/// The parts that there are in any of the bars, with their words.
pub fn legend(all: &[Rows]) -> Vec<(&'static str, &'static str)> {
    const WORDS: [(&str, &str); 5] = [
        ("out", "out"),
        ("duplicates", "duplicates"),
        ("rejected", "rejected"),
        ("open", "unaccounted for"),
        ("pending", "on its way, or lost with a job that failed"),
    ];
    let there = |class: &str| all.iter().flat_map(parts_of).any(|(found, count)| found == class && count > 0);
    WORDS
        .into_iter()
        .enumerate()
        .filter(|(place, (class, _))| *place < 3 || there(class))
        .map(|(_, word)| word)
        .collect()
}

/// All rows that a bar shows.
fn height_of(rows: &Rows) -> u64 {
    parts_of(rows).iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

/// How long each part is where `whole` rows have that length. What is little is seen, at the cost of what is most.
fn lengths(rows: &Rows, whole: u64, length: u64) -> Vec<(&'static str, u64)> {
    let there = parts_of(rows).into_iter().filter(|(_, part)| *part > 0);
    let mut lengths: Vec<_> = there.map(|(class, part)| (class, scaled(part, whole, length).max(LOWEST))).collect();
    let sum: u64 = lengths.iter().map(|(_, length)| length).sum();
    let over = sum.saturating_sub(scaled(height_of(rows), whole, length).max(LOWEST));
    if let Some((_, longest)) = lengths.iter_mut().max_by_key(|(_, length)| *length) {
        *longest = longest.saturating_sub(over).max(LOWEST);
    }
    lengths
}

/// The chart of these days.
pub fn of_days(days: &[(Date, Rows)]) -> Chart {
    let most = days.iter().map(|(_, rows)| height_of(rows)).max().unwrap_or_default();
    let (top, step) = scale(most);
    let count = days.len().max(1) as u64;
    let slot = |place: usize| place as u64 * WIDTH / count;
    let width = (WIDTH / count * 7 / 10).clamp(1, WIDEST);
    let bars = days.iter().enumerate().map(|(place, (date, rows))| {
        let mut below = HEIGHT;
        let parts = lengths(rows, top, HEIGHT).into_iter().map(|(class, length)| {
            below = below.saturating_sub(length);
            Part { class, at: below, length }
        });
        let parts = parts.collect();
        Bar { x: slot(place) + (WIDTH / count).saturating_sub(width) / 2, width, title: title(*date, rows), parts }
    });
    let lines = (0..=top / step).map(|line| {
        let y = HEIGHT - scaled(line * step, top, HEIGHT);
        Line { y, top: percent(y, HEIGHT), text: short(line * step) }
    });
    let every = days.len().div_ceil(NAMES).max(1);
    let names = days.iter().enumerate().step_by(every).map(|(place, (date, _))| Name {
        left: percent(slot(place) + WIDTH / count / 2, WIDTH),
        text: date.strftime("%b %-d").to_string(),
    });
    Chart { width: WIDTH, height: HEIGHT, bars: bars.collect(), lines: lines.collect(), names: names.collect() }
}

/// One bar from left to right, of all rows: where there is one day alone.
pub fn of_rows(rows: &Rows) -> Vec<Part> {
    let mut from = 0;
    let parts = lengths(rows, height_of(rows), WIDTH).into_iter().map(|(class, length)| {
        from += length;
        Part { class, at: from - length, length }
    });
    parts.collect()
}

fn title(date: Date, rows: &Rows) -> String {
    let mut said = vec![];
    for (count, what) in [(rows.come, "in"), (rows.gone, "out")] {
        said.extend(count.map(|count| format!("{} {what}", words::number(count))));
    }
    said.push(words::counted(rows.duplicates, "duplicate"));
    said.push(format!("{} rejected", words::number(rows.rejected)));
    format!("{date}: {}", said.join(", "))
}

/// A round number that is not less than `most`, and the distance of the lines: up to five of them.
fn scale(most: u64) -> (u64, u64) {
    let mut step: u64 = 1;
    for factor in [2, 5, 10].into_iter().cycle() {
        if step.saturating_mul(4) >= most {
            break;
        }
        // 1, 2, 5, 10, 20, 50, …
        let Some(next) = (if factor == 5 { (step / 2).checked_mul(5) } else { step.checked_mul(2) }) else { break };
        step = next;
    }
    let lines = most.div_ceil(step).max(1);
    (step.saturating_mul(lines), step)
}

fn scaled(part: u64, whole: u64, length: u64) -> u64 {
    let scaled = (u128::from(part) * u128::from(length)).checked_div(u128::from(whole)).unwrap_or_default();
    u64::try_from(scaled).unwrap_or(length).min(length)
}

fn percent(part: u64, whole: u64) -> String {
    let hundredths = part * 10_000 / whole;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// `1.5 M`, `20 k`, `400`
fn short(number: u64) -> String {
    for (unit, name) in [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")] {
        if number >= unit {
            let tenths = number / (unit / 10);
            let rest = if tenths.is_multiple_of(10) { String::new() } else { format!(".{}", tenths % 10) };
            return format!("{}{rest} {name}", tenths / 10);
        }
    }
    number.to_string()
}

/// The points of a line of shares, 100 wide and 20 high; nothing of fewer than two.
pub fn line_of(shares: &[f64]) -> Option<String> {
    let steps = u32::try_from(shares.len().checked_sub(1)?).ok().filter(|steps| *steps > 0)?;
    let points = shares
        .iter()
        .zip(0_u32..)
        .map(|(share, place)| format!("{:.1},{:.1}", f64::from(place) * 100.0 / f64::from(steps), 19.0 - share * 18.0));
    Some(points.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn lines_are_at_round_numbers() {
        let scales = [0, 1, 4, 5, 9, 2_000, 2_001, 15_000_000].map(scale);
        let expected = [(1, 1), (1, 1), (4, 1), (6, 2), (10, 5), (2_000, 500), (3_000, 1_000), (15_000_000, 5_000_000)];
        assert_eq!(scales, expected);
        let (top, step) = scale(u64::MAX);
        assert!(step > 1 << 60 && top >= step, "what nobody has is drawn too");
        assert_eq!([0, 400, 1_500, 20_000, 2_500_000].map(short), ["0", "400", "1.5 k", "20 k", "2.5 M"]);
    }

    #[test]
    fn bars_stand_on_the_ground_and_show_what_is_little() {
        let rows = Rows { come: Some(2_000), gone: Some(1_990), duplicates: 9, rejected: 1 };
        let chart = of_days(&[(date(2020, 1, 1), rows), (date(2020, 1, 2), Rows::default())]);
        let parts: Vec<_> = chart.bars[0].parts.iter().map(|part| (part.class, part.at, part.length)).collect();
        assert_eq!(parts, [("out", 4, 196), ("duplicates", 2, 2), ("rejected", 0, 2)], "no higher than the chart");
        assert_eq!(chart.bars[0].title, "2020-01-01: 2,000 in, 1,990 out, 9 duplicates, 1 rejected");
        assert!(chart.bars[1].parts.is_empty(), "an empty day");
        assert_eq!(chart.names[1].text, "Jan 2");
        let many: Vec<_> = (1..=28).map(|day| (date(2020, 2, day), rows)).collect();
        let chart = of_days(&many);
        assert!(chart.names.len() <= NAMES && chart.bars.len() == 28, "{chart:?}");
        assert!(chart.bars.windows(2).all(|bars| bars[0].x + bars[0].width <= bars[1].x), "no bar hides another");
    }

    #[test]
    fn rows_that_are_lost_have_a_part_of_the_bar() {
        let rows = Rows { come: Some(100), gone: Some(80), duplicates: 0, rejected: 10 };
        let parts: Vec<_> = of_rows(&rows).iter().map(|part| (part.class, part.at, part.length)).collect();
        assert_eq!(parts, [("out", 0, 800), ("rejected", 800, 100), ("open", 900, 100)]);
        assert_eq!(of_rows(&Rows::default()), []);
        let unknown = Rows { gone: None, ..rows };
        let classes = |rows: &Rows| of_rows(rows).iter().map(|part| part.class).collect::<Vec<_>>();
        assert_eq!(classes(&unknown), ["rejected", "pending"]);
        assert_eq!(legend(&[rows, unknown]).len(), 5);
        assert_eq!(legend(&[]).iter().map(|(class, _)| *class).collect::<Vec<_>>(), ["out", "duplicates", "rejected"]);
    }

    #[test]
    fn a_line_needs_two_points() {
        assert_eq!(line_of(&[0.5]), None);
        assert_eq!(line_of(&[0.0, 1.0, 0.5]).unwrap(), "0.0,19.0 50.0,1.0 100.0,10.0");
    }
}
