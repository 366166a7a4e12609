//! The dated table of prices: a file of the repository, read once. What is not in it is not known.

use std::{collections::BTreeMap, sync::LazyLock};

/// When the prices were true. List prices of the families in the table have not changed since they came out.
/// Source: AWS's public price lists of Amazon EC2, Amazon EBS and Amazon EMR.
pub const PRICES_DATE: &str = "2025-06";

/// Millionths of a US dollar.
pub type Micros = u64;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("prices.csv")));

/// Prices by region and by what is paid for.
#[derive(Debug, Default)]
struct Table {
    regions: Vec<String>,
    /// An instance type, or `disk gp2`: EMR's surcharge, and the price in each region.
    rows: BTreeMap<String, (Option<Micros>, Vec<Option<Micros>>)>,
}

fn read(text: &str) -> Table {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let regions = lines.next().unwrap_or_default().split(',').skip(2).map(str::to_owned).collect();
    let row = |line: &str| {
        let mut cells = line.split(',');
        let name = cells.next().unwrap_or_default().to_owned();
        let emr = cells.next().and_then(micros);
        (name, (emr, cells.map(micros).collect()))
    };
    Table { regions, rows: lines.map(row).collect() }
}

/// Millionths in a decimal; nothing where it is none.
pub fn micros(decimal: &str) -> Option<Micros> {
    let (whole, part) = decimal.split_once('.').unwrap_or((decimal, ""));
    let is_number = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || !is_number(whole) || !is_number(part) {
        return None;
    }
    let part: String = part.chars().chain("000000".chars()).take(6).collect();
    Some(whole.parse::<Micros>().ok()? * 1_000_000 + part.parse::<Micros>().ok()?)
}

fn price(region: &str, what: &str) -> Option<Micros> {
    let column = TABLE.regions.iter().position(|known| known == region)?;
    *TABLE.rows.get(what)?.1.get(column)?
}

/// Whether there are prices for a region.
pub(super) fn knows(region: &str) -> bool {
    TABLE.regions.iter().any(|known| known == region)
}

/// The regions that there are prices for.
pub(super) fn regions() -> String {
    TABLE.regions.join(", ")
}

/// What a machine costs an hour: EC2's price, and EMR's surcharge.
pub(super) fn machine(region: &str, instance_type: &str) -> Option<(Micros, Micros)> {
    let surcharge = TABLE.rows.get(instance_type)?.0?;
    Some((price(region, instance_type)?, surcharge))
}

/// What a disk costs a month and GiB.
pub(super) fn disk(region: &str, volume_type: &str) -> Option<Micros> {
    price(region, &format!("disk {volume_type}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_a_price_or_a_dash() {
        let text = include_str!("prices.csv");
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let columns = lines.next().unwrap().split(',').count();
        let mut names = Vec::new();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(cells.len(), columns, "{line}");
            assert!(
                cells[1..].iter().all(|cell| *cell == "-" || micros(cell).is_some_and(|price| price > 0)),
                "{line}"
            );
            names.push(cells[0]);
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert!(names.len() == count && count > 50, "a type stands twice");
    }

    #[test]
    fn a_surcharge_is_at_most_three_tenths_of_the_machine() {
        for (name, (emr, prices)) in TABLE.rows.iter().filter(|(name, _)| !name.starts_with("disk ")) {
            let (emr, least) = (emr.unwrap(), prices.iter().flatten().min().unwrap());
            assert!(emr * 10 <= least * 3 + 100, "{name}");
            // Sizes of a family differ by what they hold: a slip of a digit shows.
            let (family, size) = name.split_once('.').unwrap();
            if let (Some(one), Some(times)) = (price("us-east-1", &format!("{family}.xlarge")), times(size)) {
                let told = price("us-east-1", name).unwrap();
                assert!(told.abs_diff(one * times) * 50 <= told, "{name}");
            }
        }
    }

    fn times(size: &str) -> Option<u64> {
        size.strip_suffix("xlarge")?.parse().ok()
    }

    #[test]
    fn decimals_are_read_to_the_millionth() {
        assert_eq!(micros("0.192"), Some(192_000));
        assert_eq!(micros("2"), Some(2_000_000));
        assert_eq!(micros("0.0000019"), Some(1));
        for wrong in ["", "-", ".5", "1,5", "-1", "1e3", "12345678901"] {
            assert_eq!(micros(wrong), None, "{wrong}");
        }
    }
}
