//! How numbers and texts stand on the page. Texts are data, whatever they say: short, on one line, with nothing in them
//! that a browser obeys. Escaping is the template's.

/// So many letters of a text are shown.
const LETTERS: usize = 160;

/// A text as it may be shown.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(LETTERS).map(visible).collect();
    if text.chars().nth(LETTERS).is_some() {
        shown.push('…');
    }
    shown
}

/// A letter; one that controls how others are shown, or shows nothing itself, is a mark instead.
fn visible(letter: char) -> char {
    match letter {
        '\n' | '\t' => ' ',
        // Unicode's marks of direction and of width nothing: Trojan Source, CVE-2021-42574.
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => '\u{fffd}',
        letter if letter.is_control() => '\u{fffd}',
        letter => letter,
    }
}

/// `1,234,567`
pub fn number(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if number < 0 { format!("−{grouped}") } else { grouped }
}

/// A part of a whole in tenths of a percent; nothing of nothing is nothing.
pub fn tenths(part: u64, whole: u64) -> u64 {
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2).checked_div(u128::from(whole));
    tenths.and_then(|tenths| u64::try_from(tenths).ok()).unwrap_or_default()
}

/// `12.3 %`; what is more than nothing does not read as nothing, nor what is less than all as all.
pub fn part(part: u64, whole: u64) -> String {
    match tenths(part, whole) {
        0 if part > 0 => "< 0.1 %".into(),
        1000 if part < whole => "> 99.9 %".into(),
        tenths => percent(&format!("{}.{}", tenths / 10, tenths % 10)),
    }
}

/// The same of a share from 0 to 1.
pub fn share(share: f64) -> String {
    if share > 0.0 && share < 0.0005 {
        return "< 0.1 %".into();
    }
    if share > 0.9995 && share < 1.0 {
        return "> 99.9 %".into();
    }
    percent(&format!("{:.1}", share * 100.0))
}

fn percent(number: &str) -> String {
    format!("{} %", number.strip_suffix(".0").unwrap_or(number))
}

/// `1 row`, `2 rows`
pub fn counted(count: impl Into<i128>, one: &str) -> String {
    let count = count.into();
    let many = if count == 1 { "" } else { "s" };
    format!("{} {one}{many}", number(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let all = [0, 7, 999, 1_000, 1_234_567, -1_000].map(number);
        assert_eq!(all, ["0", "7", "999", "1,000", "1,234,567", "−1,000"]);
        let parts = [(0, 0), (0, 9), (1, 3), (1, 100_000), (99_999, 100_000), (4, 4), (u64::MAX, u64::MAX)];
        let parts = parts.map(|(of, whole)| part(of, whole));
        assert_eq!(parts, ["0 %", "0 %", "33.3 %", "< 0.1 %", "> 99.9 %", "100 %", "100 %"]);
        assert_eq!(
            [0.0, 0.0001, 0.25, 0.1234, 0.99999, 1.0].map(share),
            ["0 %", "< 0.1 %", "25 %", "12.3 %", "> 99.9 %", "100 %"]
        );
        assert_eq!((counted(1, "row"), counted(1_000, "row")), ("1 row".into(), "1,000 rows".into()));
    }

    #[test]
    fn texts_are_short_and_control_nothing() {
        assert_eq!(shown("a\nb\tc\u{202e}d\u{0}e\u{feff}"), "a b c\u{fffd}d\u{fffd}e\u{fffd}");
        assert_eq!(shown(&"x".repeat(100_000)).chars().count(), LETTERS + 1);
        assert_eq!(shown(&"é".repeat(LETTERS)), "é".repeat(LETTERS));
    }
}
