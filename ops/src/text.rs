//! Text for people: tables, times in Seoul, amounts, and no character that a reader could not see.

use std::fmt;

use chrono::{DateTime, Utc};
use comfy_table::{ContentArrangement, presets};
use common::domain::calendar::{seoul_date, seoul_time};
use common::domain::money::Won;
pub(crate) use common::visible_text::plain;
pub use common::visible_text::visible_lines;

/// Aligned columns. Wide characters such as Hangul take two cells.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    pub(crate) fn new(heads: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(heads);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self(table)
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells.map(|cell| plain(&cell)));
    }
}

impl fmt::Display for Table {
    /// Ends with a line break. A table without rows is the word `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "none");
        }
        self.0.lines().try_for_each(|line| writeln!(f, "{}", line.trim_end()))
    }
}

/// `2026-12-22 02:00:04`, in Seoul.
pub(crate) fn seoul(at: DateTime<Utc>) -> String {
    format!("{} {}", seoul_date(at), seoul_time(at).format("%H:%M:%S"))
}

pub(crate) fn seoul_or_dash(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), seoul)
}

pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// `9,900원`. A sum may be larger than any single amount, and is then written without commas.
pub(crate) fn won(amount: i64) -> String {
    Won::new(amount).map_or_else(|_| format!("{amount}원"), |amount| amount.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_aligned_beside_hangul() {
        let mut table = Table::new(&["CODE", "NAME", "WON"]);
        table.row(["pro".into(), "프로".into(), "19,900".into()]);
        table.row(["x".into(), "plain".into(), String::new()]);
        assert_eq!(table.to_string(), "CODE  NAME   WON\npro   프로   19,900\nx     plain\n");
    }

    #[test]
    fn a_cell_cannot_steer_the_terminal() {
        let mut table = Table::new(&["NAME"]);
        table.row(["a\u{1b}[2Jb\nc".into()]);
        assert_eq!(table.to_string(), "NAME\na [2Jb c\n");
    }

    #[test]
    fn an_empty_table_says_none() {
        assert_eq!(Table::new(&["ID"]).to_string(), "none\n");
    }
}
