//! Tables: columns that line up, no lines between them.

use comfy_table::{ContentArrangement, Table, presets};

/// The rows under their headings.
pub fn render(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    // On a terminal, cells wrap rather than rows.
    if let Ok(width @ 1..) = u16::try_from(super::data_width()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(headings.to_vec());
    for row in rows {
        table.add_row(row.clone());
    }
    let lines = table.to_string();
    lines.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}
