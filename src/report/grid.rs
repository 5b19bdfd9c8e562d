//! Columns of text, as kubectl draws them: upper-case header, three spaces between, nothing drawn around.

use std::io::{self, Write};

use super::Style;
use crate::text;

const GAP: usize = 3;
/// No column is cut to less than this.
const LEAST: usize = 12;

/// A column: its header, and how its cells stand.
#[derive(Clone, Copy)]
pub(super) struct Column {
    head: &'static str,
    number: bool,
}

/// A column of text.
pub(super) const fn text(head: &'static str) -> Column {
    Column { head, number: false }
}

/// A column of numbers, which stand at its right end and are never cut.
pub(super) const fn number(head: &'static str) -> Column {
    Column { head, number: true }
}

/// Writes a grid. Cells are untrusted text; an empty one is `-`.
pub(super) fn write(
    columns: &[Column],
    rows: Vec<Vec<String>>,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let safe = |cell: String| {
        if cell.is_empty() { "-".into() } else { text::terminal(&cell).into_owned() }
    };
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|row| row.into_iter().map(safe).collect()).collect();
    let widths = widths(columns, &rows, style.width);
    let head: Vec<String> = columns.iter().map(|column| column.head.into()).collect();
    let bold = anstyle::Style::new().bold();
    writeln!(out, "{}", style.paint(bold, line(columns, &widths, &head)))?;
    rows.iter().try_for_each(|row| writeln!(out, "{}", line(columns, &widths, row)))
}

/// As wide as the widest cell; where that is too much for the terminal, the widest columns give way.
fn widths(columns: &[Column], rows: &[Vec<String>], most: Option<usize>) -> Vec<usize> {
    let cell = |row: &Vec<String>, at: usize| row.get(at).map_or(0, String::len);
    let widest = |at: usize| rows.iter().map(|row| cell(row, at)).max().unwrap_or(0);
    let mut widths: Vec<usize> =
        columns.iter().enumerate().map(|(at, column)| widest(at).max(column.head.len())).collect();
    let Some(most) = most else { return widths };
    let mut excess =
        (widths.iter().sum::<usize>() + GAP * columns.len().saturating_sub(1)).saturating_sub(most);
    while excess > 0 {
        let soft = widths
            .iter_mut()
            .zip(columns)
            .filter(|(_, column)| !column.number)
            .map(|(width, _)| width);
        match soft.max_by_key(|width| **width) {
            Some(width) if *width > LEAST => *width -= 1,
            _ => break,
        }
        excess -= 1;
    }
    widths
}

fn line(columns: &[Column], widths: &[usize], cells: &[String]) -> String {
    let mut out = String::new();
    for ((column, &width), cell) in columns.iter().zip(widths).zip(cells) {
        if !out.is_empty() {
            out.push_str(&" ".repeat(GAP));
        }
        let cell = cut(cell, width);
        out.push_str(&if column.number {
            format!("{cell:>width$}")
        } else {
            format!("{cell:width$}")
        });
    }
    out.truncate(out.trim_end().len());
    out
}

/// A cell that is too wide loses its middle: both ends of a name tell something. Cells are ASCII.
fn cut(cell: &str, width: usize) -> String {
    if cell.len() <= width {
        return cell.into();
    }
    let tail = (width - 1) / 2;
    let head = width - 1 - tail;
    let part = |range: std::ops::Range<usize>| cell.get(range).unwrap_or_default();
    format!("{}…{}", part(0..head), part(cell.len() - tail..cell.len()))
}
