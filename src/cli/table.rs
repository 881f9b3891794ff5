//! Tables for people: aligned, and cut to the terminal where it is one. What clients made is shown
//! so that no terminal obeys it.

use std::io::{IsTerminal as _, stdout};

use rustix::termios::tcgetwinsize;

use crate::log::line::escaped;

/// Between two columns.
const GAP: &str = "  ";

/// Rows of cells under their titles.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    #[must_use]
    pub fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()] }
    }

    /// Adds a row, whoever made its text.
    pub fn add<const N: usize>(&mut self, cells: &[String; N]) {
        self.rows.push(cells.iter().map(|cell| escaped(cell)).collect());
    }

    /// Nothing but titles.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// Its lines; longer ones than `width` are cut.
    #[must_use]
    pub fn text(&self, width: Option<usize>) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join(GAP);
            let line = line.trim_end();
            match width.filter(|width| *width > 1 && line.chars().count() > *width) {
                Some(width) => line.chars().take(width - 1).chain(['…']).collect(),
                None => line.to_owned(),
            }
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// How wide the terminal is that standard output is, if it is one.
#[must_use]
pub fn width() -> Option<usize> {
    let out = stdout();
    let size = out.is_terminal().then(|| tcgetwinsize(&out).ok()).flatten();
    size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_what_terminals_obey_is_shown() {
        let mut table = Table::new(&["WHO", "HOW"]);
        assert!(table.is_empty());
        table.add(&["bob".to_owned(), "1/5".to_owned()]);
        table.add(&["eve\u{1b}[2J\n\u{202e}".to_owned(), "é".to_owned()]);
        let expected = "\
WHO                   HOW
bob                   1/5
eve\\u001b[2J\\n\\u202e  é";
        assert_eq!(table.text(None), expected);
        assert_eq!(table.text(Some(6)).lines().nth(1), Some("bob  …"));
    }
}
