//! A tally as CSV (SEMANTICS 5): written whole, read strictly. A file without its `#end` row is torn, and refused by name.
//!
//! ```text
//! client,name,answered,failed,outcomes,first_seen,last_seen,path,line
//! 10.9.0.1,db.shop.svc.cluster.local,3,1,A/NOERROR=2;A/NXDOMAIN=1;AAAA/NOERROR=1,2026-…Z,2026-…Z,logs/a.txt,2
//! #answered,db.shop.svc.cluster.local,,,,2026-…Z,2026-…Z,logs/a.txt,5
//! #input,logs/a.txt,3,1,bytes=…;lines=5;queries=4;other=1;fragments=0;state=complete;id=…,2026-…Z,2026-…Z,,
//! #lost,10.9.0.2,0,17,unknown=0;cluster=0;names=16,,,,
//! #bound,,,,known=4096;unknown=4096;crowded=unknown,,,,
//! #end,,4,,,,,,
//! ```
//!
//! An `#answered` row belongs to the row above it, and stands there if its answered records were seen at other times, or
//! first at another place, than all of its records. `#lost` (without a name: all clients beyond the bound) and `#bound`
//! stand there if the bound gave something up; `cluster` counts what of it may have been names of Services and pods.
//! `#end` counts the rows before it. What the rows and `#lost` hold is what the `#input` rows counted: answered, failed and
//! unknown each. A file in which it is not was edited or filtered, and is refused too.
//!
//! Names and paths are cells like any other CSV's of kico. What a cell cannot hold as it is, is percent-encoded in paths
//! and problems; names are printable already.

mod read;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

pub use read::read;
#[cfg(test)]
pub(crate) use tests::counted;

use super::record::Outcome;
use super::tally::{Depth, GivenUp, Lost, Row, Tally};
use super::{Input, Place, Reason};
use crate::text;
use crate::time::{self, Time};

/// The first line: what makes a file a tally.
pub const HEADER: &str = "client,name,answered,failed,outcomes,first_seen,last_seen,path,line";

const COLUMNS: usize = 9;

/// Writes all of it.
pub fn write(tally: &Tally, inputs: &[Input], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{HEADER}")?;
    let mut out = Writer { csv: csv::WriterBuilder::new().from_writer(out), rows: 0 };
    for row in &tally.rows {
        out.row(tally, row)?;
    }
    for input in inputs {
        out.input(input)?;
    }
    for lost in &tally.lost {
        out.lost(lost)?;
    }
    if tally.depth != Depth::default() {
        let outcomes = bound(&tally.depth);
        out.line(Cells { client: "#bound", outcomes: &outcomes, ..Cells::default() })?;
    }
    let rows = out.rows.to_string();
    out.line(Cells { client: "#end", answered: &rows, ..Cells::default() })?;
    out.csv.flush()
}

struct Writer<W: Write> {
    csv: csv::Writer<W>,
    rows: u64,
}

/// One line; what is not given is empty.
#[derive(Default)]
struct Cells<'a> {
    client: &'a str,
    name: &'a str,
    answered: &'a str,
    failed: &'a str,
    outcomes: &'a str,
    seen: Option<(Time, Time)>,
    place: Option<Place>,
}

impl<W: Write> Writer<W> {
    fn line(&mut self, cells: Cells<'_>) -> io::Result<()> {
        let [first, last] = match cells.seen {
            Some((first, last)) => [time::format(first), time::format(last)],
            None => [String::new(), String::new()],
        };
        let path = cells.place.as_ref().map(|place| encode(&place.path, ""));
        let line = cells.place.as_ref().map(|place| place.line.to_string());
        self.rows += 1;
        self.csv.write_record([
            cells.client,
            &text::csv_cell(cells.name),
            cells.answered,
            cells.failed,
            cells.outcomes,
            &first,
            &last,
            &text::csv_cell(path.as_deref().unwrap_or_default()),
            line.as_deref().unwrap_or_default(),
        ])?;
        Ok(())
    }

    fn row(&mut self, tally: &Tally, row: &Row) -> io::Result<()> {
        let name = tally.name(row);
        let [answered, failed] =
            [Outcome::Answered, Outcome::Failed].map(|outcome| row.count(outcome).to_string());
        let outcomes = row.counts.iter().map(|(kind, n)| {
            let (qtype, rcode) = (kind.qtype.text(), kind.rcode.text());
            format!("{qtype}/{rcode}={n}")
        });
        let outcomes = outcomes.collect::<Vec<_>>().join(";");
        self.line(Cells {
            client: &row.client.to_string(),
            name,
            answered: &answered,
            failed: &failed,
            outcomes: &outcomes,
            seen: row.sighting.seen,
            place: Some(tally.place(&row.sighting)),
        })?;
        if let Some(answered) = &row.answered {
            let (seen, place) = (answered.seen, Some(tally.place(answered)));
            self.line(Cells { client: "#answered", name, seen, place, ..Cells::default() })?;
        }
        Ok(())
    }

    fn input(&mut self, input: &Input) -> io::Result<()> {
        self.line(Cells {
            client: "#input",
            name: &encode(&input.path, ""),
            answered: &input.answered.to_string(),
            failed: &input.failed.to_string(),
            outcomes: &facts(input),
            seen: input.seen,
            place: None,
        })
    }

    fn lost(&mut self, lost: &Lost) -> io::Result<()> {
        let GivenUp { records: [answered, failed, unknown], of_cluster } = lost.given_up;
        self.line(Cells {
            client: "#lost",
            name: &lost.client.map(|client| client.to_string()).unwrap_or_default(),
            answered: &answered.to_string(),
            failed: &failed.to_string(),
            outcomes: &format!("unknown={unknown};cluster={of_cluster};names={}", lost.names),
            ..Cells::default()
        })
    }
}

/// What else is known of an input. What is seldom there stands last, and only if it is there.
fn facts(input: &Input) -> String {
    let Input { bytes, lines, .. } = input;
    let mut text = format!("bytes={bytes};lines={}", lines.total);
    let mut fact = |key: &str, value: &dyn std::fmt::Display| _ = write!(text, ";{key}={value}");
    fact("queries", &lines.queries);
    fact("other", &lines.other);
    for (reason, n) in Reason::ALL.iter().zip(lines.rejected) {
        if n > 0 {
            fact(&format!("rejected.{}", reason.word()), &n);
        }
    }
    fact("fragments", &lines.fragments);
    fact("state", &input.state.word());
    fact("id", &format_args!("{:016x}", input.id));
    for (key, n) in
        [("unknown", input.unknown), ("outside", input.outside), ("untimed", input.untimed)]
    {
        if n > 0 {
            fact(key, &n);
        }
    }
    if !input.is_log {
        fact("log", &"no");
    }
    if let Some(problem) = &input.problem {
        fact("problem", &encode(problem, ";"));
    }
    text
}

fn bound(depth: &Depth) -> String {
    let mut text = format!("known={};unknown={}", depth.known, depth.unknown);
    match depth.crowded {
        [false, false] => {}
        [true, false] => text.push_str(";crowded=known"),
        [false, true] => text.push_str(";crowded=unknown"),
        [true, true] => text.push_str(";crowded=both"),
    }
    text
}

/// What no cell can hold as it is, and the given characters, as `%XX`; so is a first `'`, which reading would strip.
fn encode<'a>(text: &'a str, more: &str) -> Cow<'a, str> {
    let plain = |c: char| matches!(c, ' '..='~') && c != '%' && !more.contains(c);
    if text.chars().all(plain) && !text.starts_with('\'') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if plain(c) && !(c == '\'' && out.is_empty()) {
            out.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            _ = write!(out, "%{byte:02X}");
        }
    }
    Cow::Owned(out)
}
