//! A format that the user has announced, in whatever is wrapped around the line: the line as it stands, the JSON strings in
//! it, and the strings in those.

use super::super::format::{Format, Found};
use super::super::record::Record;
use super::Sink;
use super::clock::Clock;
use super::json::Json;
use super::quoted::{Reader, Style, slashes};
use super::when;
use crate::time::Time;

/// Strings in strings, and how many of them.
const DEEPEST: u8 = 3;

/// Hands over every record of this format on the line; says whether there was one.
pub(super) fn records(
    format: &Format,
    line: &[u8],
    number: u64,
    clock: &mut Clock,
    sink: &mut impl Sink,
) -> bool {
    let mut taken = |found: &Found<'_>, time| {
        let Found { client, name, kind, .. } = *found;
        sink.record(number, &Record { client, name, kind, time })
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    any(format, line, 0, None, clock, &mut taken)
}

/// In this text or in its strings; `outer` is the time of what holds the text.
fn any(
    format: &Format,
    text: &[u8],
    depth: u8,
    outer: Option<Time>,
    clock: &mut Clock,
    taken: &mut dyn FnMut(&Found<'_>, Option<Time>) -> bool,
) -> bool {
    let start = when::at_start(text, clock);
    let quotes = || memchr::memchr_iter(b'"', text).filter(|at| is_outer(text, *at));
    let mut json = Json::default();
    let mut some = false;
    // Strings first: in the raw text their escapes would pass for the name's own.
    if depth < DEEPEST && quotes().nth(1).is_some() {
        json.read(text, 0, text.len(), clock);
        for (from, to) in quotes().zip(quotes().skip(1)) {
            let style = Style { depth: 1, csv: false, bare: false };
            let inside = unquoted(text, from + 1, to, style);
            let outer = start.or_else(|| json.time_at(from as u64)).or(outer);
            some |= any(format, &inside, depth + 1, outer, clock, taken);
        }
        // A CSV field doubles its quotes.
        if !some && depth == 0 && memchr::memmem::find(text, b"\"\"").is_some() {
            let style = Style { depth: 0, csv: true, bare: false };
            let from = memchr::memchr(b'"', text).map_or(0, |quote| quote + 1);
            let field = unquoted(text, from, text.len(), style);
            some = any(format, &field, DEEPEST, outer, clock, taken);
        }
        if some {
            return true;
        }
    }
    let mut end = 0;
    for found in format.all(text) {
        let left = text.get(end..found.place.0).unwrap_or_default();
        let time = when::before(left, clock)
            .or(start.filter(|_| end == 0))
            .or_else(|| json.time_at(found.place.0 as u64))
            .or(outer);
        some |= taken(&found, time);
        end = found.place.1;
    }
    some
}

fn unquoted(text: &[u8], from: usize, to: usize, style: Style) -> Vec<u8> {
    let mut reader = Reader::new(text, from, to, style);
    std::iter::from_fn(|| reader.byte()).collect()
}

/// Whether this quote delimits an outermost string.
fn is_outer(text: &[u8], quote: usize) -> bool {
    slashes(text.get(..quote).unwrap_or_default()).is_multiple_of(2)
}
