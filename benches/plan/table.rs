//! The table: each figure, its bound, and whether that holds.

/// What it means when a bound does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A count: the same on every machine, so that it fails the benchmark.
    Count,
    /// A time: another machine, or a busy one, has others.
    Time,
}

struct Row {
    what: String,
    measured: String,
    bound: String,
    verdict: &'static str,
}

/// What was measured so far.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    broken: bool,
}

impl Table {
    /// A figure that has a bound: at most `bound`, both in `unit`.
    pub fn at_most(&mut self, weight: Weight, what: &str, measured: f64, bound: f64, unit: Unit) {
        let holds = measured <= bound;
        self.broken |= !holds && weight == Weight::Count;
        let verdict = match (holds, weight) {
            (true, _) => "holds",
            (false, Weight::Count) => "BROKEN",
            (false, Weight::Time) => "over",
        };
        self.rows.push(Row { what: what.into(), measured: unit.show(measured), bound: unit.show(bound), verdict });
    }

    /// A figure for information.
    pub fn figure(&mut self, what: &str, measured: f64, unit: Unit) {
        self.rows.push(Row { what: what.into(), measured: unit.show(measured), bound: String::new(), verdict: "" });
    }

    /// A figure that this run did not measure.
    pub fn unknown(&mut self, what: &str, bound: f64, unit: Unit, how: &str) {
        self.rows.push(Row { what: what.into(), measured: how.into(), bound: unit.show(bound), verdict: "?" });
    }

    /// A line between groups of figures.
    pub fn heading(&mut self, title: &str) {
        self.rows.push(Row { what: title.into(), measured: String::new(), bound: String::new(), verdict: "\n" });
    }

    /// Prints everything; false where a count is over its bound.
    pub fn print(&self) -> bool {
        println!("\n{:<58} {:>14} {:>14}", "", "measured", "at most");
        for Row { what, measured, bound, verdict } in &self.rows {
            match *verdict {
                "\n" => println!("\n{what}"),
                verdict => println!("  {what:<56} {measured:>14} {bound:>14}  {verdict}"),
            }
        }
        println!();
        !self.broken
    }
}

/// What a figure is in.
#[derive(Clone, Copy, Debug)]
pub enum Unit {
    /// How many.
    Number,
    /// How many times as much.
    Times,
    /// Given in seconds, shown as suits.
    Seconds,
    /// Given in bytes.
    Megabytes,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Number => format!("{value:.0}"),
            Self::Times => format!("{value:.2} ×"),
            Self::Seconds if value < 0.1 => format!("{:.1} ms", value * 1e3),
            Self::Seconds => format!("{value:.3} s"),
            Self::Megabytes => format!("{:.1} MB", value / 1e6),
        }
    }
}
