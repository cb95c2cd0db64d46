//! What commands print: a table for people, JSON for scripts.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use serde::Serialize;

/// `--output`, where there is a choice.
#[derive(Debug, Args)]
pub(super) struct OutputArg {
    /// For people, or for scripts
    #[arg(
        long,
        short,
        env = "SCIMESH_OUTPUT",
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(super) output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Aligned columns, or sentences
    Table,
    /// One JSON document
    Json,
}

impl Output {
    /// Prints rows, as a table under `head` or as a JSON list.
    pub(super) fn rows<T: Serialize, const N: usize>(
        self,
        rows: &[T],
        head: [&str; N],
        cells: impl Fn(&T) -> [String; N],
    ) -> io::Result<()> {
        match self {
            Output::Json => json(&rows),
            Output::Table => line(&table(head, rows.iter().map(cells))),
        }
    }
}

/// Prints a JSON document.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Prints a line. `println!` panics when the reader has gone.
pub(super) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Other people's words on one line of a terminal: what would move the cursor, or end the line, is spelled out.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => plain.extend(letter.escape_default()),
            false => plain.push(letter),
        }
    }
    plain
}

fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows);
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines = lines.iter().map(|line| {
        let cells = line.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["a".to_owned(), "1".to_owned()],
            ["längst".to_owned(), String::new()],
        ];
        let text = table(["NAME", "USERS"], rows.into_iter());
        assert_eq!(text, "NAME    USERS\na       1\nlängst");
    }
}
