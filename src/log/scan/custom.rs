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
    let mut some = false;
    // A CSV field doubles its quotes, and means backslashes as they stand.
    if depth == 0 {
        for (from, to) in csv_fields(text) {
            let style = Style { depth: 0, csv: true, bare: false };
            let field = unquoted(text, from, to, style);
            some |= any(format, &field, 1, start.or(outer), clock, taken);
        }
        if some {
            return true;
        }
    }
    let found: Vec<Found<'_>> = format.all(text).collect();
    let quotes = || memchr::memchr_iter(b'"', text).filter(|at| is_outer(text, *at));
    let mut json = Json::default();
    // Strings first: in the raw text their escapes would pass for the name's own.
    if depth < DEEPEST && quotes().nth(1).is_some() {
        json.read(text, 0, text.len(), clock);
        for (from, to) in quotes().zip(quotes().skip(1)) {
            // The quotes are the format's own: what is between them is a name, say, and nobody's record.
            let before = found.partition_point(|found| found.place.0 <= from);
            let within = before.checked_sub(1).and_then(|at| found.get(at));
            if within.is_some_and(|found| from < found.place.1) {
                continue;
            }
            let content = text.get(from + 1..to).unwrap_or_default();
            let style = Style { depth: u8::from(is_json(content)), csv: false, bare: false };
            let inside = unquoted(text, from + 1, to, style);
            let outer = start.or_else(|| json.time_at(from as u64)).or(outer);
            some |= any(format, &inside, depth + 1, outer, clock, taken);
        }
        if some {
            return true;
        }
    }
    let mut end = 0;
    for found in found {
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

/// The quoted fields of a line of CSV, if that is what the whole line is, and one of them doubles a quote: without that, it
/// is like any other string. The last field may go on in the next line.
fn csv_fields(line: &[u8]) -> Vec<(usize, usize)> {
    let mut fields = Vec::new();
    let (mut at, mut doubled) = (0, false);
    // Lines without a doubled quote are most, and need not be looked at.
    if memchr::memmem::find(line, b"\"\"").is_none() {
        return fields;
    }
    let is_separator = |byte: &u8| matches!(byte, b',' | b';' | b'\t');
    loop {
        let rest = line.get(at..).unwrap_or_default();
        if rest.first() == Some(&b'"') {
            let from = at + 1;
            at = from;
            loop {
                let rest = line.get(at..).unwrap_or_default();
                match memchr::memchr(b'"', rest) {
                    None => at = line.len(),
                    Some(quote) if rest.get(quote + 1) == Some(&b'"') => {
                        doubled = true;
                        at += quote + 2;
                        continue;
                    }
                    Some(quote) => at += quote,
                }
                break;
            }
            fields.push((from, at));
            at += 1;
        } else {
            let length =
                rest.iter().take_while(|byte| !is_separator(byte) && **byte != b'"').count();
            at += length;
        }
        match line.get(at) {
            None => break,
            Some(byte) if is_separator(byte) => at += 1,
            Some(_) => return Vec::new(),
        }
    }
    if doubled { fields } else { Vec::new() }
}

/// Whether every escape in this string is one of JSON's. A name's own, as in `my\ printer`, are not: such a string was only
/// put in quotes, and its backslashes are the name's.
fn is_json(content: &[u8]) -> bool {
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        match rest.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u') => {}
            _ => return false,
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    true
}

fn unquoted(text: &[u8], from: usize, to: usize, style: Style) -> Vec<u8> {
    let mut reader = Reader::new(text, from, to, style);
    std::iter::from_fn(|| reader.byte()).collect()
}

/// Whether this quote delimits an outermost string.
fn is_outer(text: &[u8], quote: usize) -> bool {
    slashes(text.get(..quote).unwrap_or_default()).is_multiple_of(2)
}
