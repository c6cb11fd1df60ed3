//! Aligned columns for a terminal, in which Hangul takes two cells and nothing from the database can steer it.

use std::fmt;

pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(ToString::to_string).collect()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| plain(&cell)).into());
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let widest =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|c| cells(c)).max();
        (0..columns).map(|column| widest(column).unwrap_or_default()).collect()
    }
}

impl fmt::Display for Table {
    /// Ends with a line break; without rows it says so.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.len() <= 1 {
            return writeln!(f, "none");
        }
        let widths = self.widths();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width.saturating_sub(cells(cell)).saturating_add(2)));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// One line without control characters: customers and the gateway write some of these texts.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Terminal cells that a text takes.
fn cells(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// East Asian wide characters (Unicode TR 11), as far as names and Toss's messages use them.
fn is_wide(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE6F}' | '\u{FF00}'..='\u{FF60}' | '\u{FFE0}'..='\u{FFE6}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_aligned_beside_hangul_and_lines_end_with_their_last_letter() {
        let mut table = Table::new(&["CODE", "NAME", "WON"]);
        table.row(["pro".into(), "프로".into(), "19,900".into()]);
        table.row(["x".into(), "plain".into(), String::new()]);
        assert_eq!(table.to_string(), "CODE  NAME   WON\npro   프로   19,900\nx     plain\n");
    }

    #[test]
    fn nothing_from_the_database_can_steer_the_terminal() {
        let mut table = Table::new(&["NAME"]);
        table.row(["a\u{1b}[2Jb\nc".into()]);
        assert_eq!(table.to_string(), "NAME\na [2Jb c\n");
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(Table::new(&["ID"]).to_string(), "none\n");
    }
}
