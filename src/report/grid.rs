//! Columns of text, as kubectl draws them: upper-case header, three spaces between, nothing drawn around.

use std::io::{self, Write};

use super::Style;
use crate::text;

/// Blanks between columns, and on a terminal that is too narrow for that.
const GAPS: [usize; 2] = [3, 2];
/// No column is cut to less than this.
const LEAST: usize = 12;
/// As much of a name is worth reading.
const NAME: usize = 6;

/// A column: its header, and how its cells stand.
#[derive(Clone, Copy)]
pub(super) struct Column {
    head: &'static str,
    kind: Kind,
}

/// What a column holds, in the order in which columns give way on a narrow terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Name,
    Number,
}

/// A column of text.
pub(super) const fn text(head: &'static str) -> Column {
    Column { head, kind: Kind::Text }
}

/// A column of names, which are cut only when cutting all other text was not enough.
pub(super) const fn name(head: &'static str) -> Column {
    Column { head, kind: Kind::Name }
}

/// A column of numbers, which stand at its right end and are never cut.
pub(super) const fn number(head: &'static str) -> Column {
    Column { head, kind: Kind::Number }
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
    let (widths, gap) = widths(columns, &rows, style.width);
    let head: Vec<String> = columns.iter().map(|column| column.head.into()).collect();
    let bold = anstyle::Style::new().bold();
    writeln!(out, "{}", style.paint(bold, line(columns, &widths, gap, &head)))?;
    rows.iter().try_for_each(|row| writeln!(out, "{}", line(columns, &widths, gap, row)))
}

/// As wide as the widest cell, and the blanks between; where that is too much for the terminal, the blanks and then the
/// widest columns give way, names last.
fn widths(columns: &[Column], rows: &[Vec<String>], most: Option<usize>) -> (Vec<usize>, usize) {
    let cell = |row: &Vec<String>, at: usize| row.get(at).map_or(0, String::len);
    let widest = |at: usize| rows.iter().map(|row| cell(row, at)).max().unwrap_or(0);
    let mut widths: Vec<usize> =
        columns.iter().enumerate().map(|(at, column)| widest(at).max(column.head.len())).collect();
    let [gap, narrow] = GAPS;
    let total = |gap| widths.iter().sum::<usize>() + gap * columns.len().saturating_sub(1);
    let Some(most) = most.filter(|most| total(gap) > *most) else { return (widths, gap) };
    let mut excess = total(narrow).saturating_sub(most);
    for kind in [Kind::Text, Kind::Name] {
        while excess > 0 {
            let soft = widths.iter_mut().zip(columns).filter(|(_, column)| column.kind == kind);
            match soft.map(|(width, _)| width).max_by_key(|width| **width) {
                Some(width) if *width > LEAST => *width -= 1,
                _ => break,
            }
            excess -= 1;
        }
    }
    (widths, narrow)
}

fn line(columns: &[Column], widths: &[usize], gap: usize, cells: &[String]) -> String {
    let mut out = String::new();
    for ((column, &width), cell) in columns.iter().zip(widths).zip(cells) {
        if !out.is_empty() {
            out.push_str(&" ".repeat(gap));
        }
        let cell = cut(cell, width);
        out.push_str(&if column.kind == Kind::Number {
            format!("{cell:>width$}")
        } else {
            format!("{cell:width$}")
        });
    }
    out.truncate(out.trim_end().len());
    out
}

/// A cell that is too wide loses its middle: both ends of a name tell something. What it is, in parentheses, stays if
/// there is room. Cells are ASCII.
fn cut(cell: &str, width: usize) -> String {
    if cell.len() <= width {
        return cell.into();
    }
    if let Some((name, kind)) = cell.rfind(" (").and_then(|at| cell.split_at_checked(at))
        && kind.len() + NAME <= width
    {
        return cut(name, width - kind.len()) + kind;
    }
    let tail = (width - 1) / 2;
    let head = width - 1 - tail;
    let part = |range: std::ops::Range<usize>| cell.get(range).unwrap_or_default();
    format!("{}…{}", part(0..head), part(cell.len() - tail..cell.len()))
}
