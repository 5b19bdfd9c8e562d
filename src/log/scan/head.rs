//! What stands left of a query, read backwards from its opening quote:
//!
//! ```text
//! CLIENT[:PORT] - [WHEN] [ID] "
//! ```
//!
//! The client is the longest address that ends there, because wrappers are glued to its left. What must not be glued to it
//! is the torn end of another line: its digits would make another address of it. So the byte before an address must be none
//! that could belong to it, and where another record's head or core was torn, the client must begin behind that.

use super::super::{Reason, client};
use super::clock;
use crate::time::Time;

/// A query's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// The first byte of the client, or of what stands in its place.
    pub start: usize,
    /// The client's text, or why there is none.
    pub client: Result<&'a [u8], Reason>,
    /// The record's own date (CoreDNS before 1.2.6).
    pub when: Option<Time>,
    /// Whether the query has an id.
    pub has_id: bool,
}

/// The longest a client's run is looked at: address, zone, and what a `%` in the zone once did to it.
const CLIENT: usize = 300;

/// Reads the head of the query whose opening quote is at `quote`. The client must not start before `floor`.
pub(super) fn read(line: &[u8], quote: usize, floor: usize) -> Option<Head<'_>> {
    let left = line.get(..quote)?;
    let (left, has_id, when) = fields(left)?;
    if left.len() < floor {
        return None;
    }
    let run = run_before(left);
    let (start, client) = match client_of(run, when.is_some()) {
        Some(client) => (left.len() - client.length, Ok(client.text)),
        None if is_redacted(run) => (left.len() - run.len(), Err(Reason::NoClient)),
        None => (left.len() - run.len(), Err(Reason::BadAddress)),
    };
    let before = line.get(..start).unwrap_or_default();
    let client = client.and_then(|text| {
        let glued = line.get(start) != Some(&b'[') && !is_boundary(before);
        let torn = start < floor || is_other_head(before, when.is_some());
        if glued || torn { Err(Reason::BadAddress) } else { Ok(text) }
    });
    Some(Head { start: start.max(floor), client, when, has_id })
}

/// Whether a query's head goes on behind a blank with `- ID "TYPE`, and where the TYPE begins.
pub(super) fn right_of(line: &[u8], dash: usize) -> Option<usize> {
    let rest = line.get(dash..)?.strip_prefix(b"- ")?;
    let dated = (rest.first() == Some(&b'[')).then(|| rest.split_at_checked(WHEN)).flatten();
    let (when, rest) = match dated {
        Some((when, rest)) if clock::when(when).is_some() => (true, rest.strip_prefix(b" ")?),
        _ => (false, rest),
    };
    let id = rest.iter().take(6).take_while(|b| b.is_ascii_digit()).count();
    let rest = match id {
        0 if when => rest,
        1..=5 => rest.get(id..)?.strip_prefix(b" ")?,
        _ => return None,
    };
    let quote = rest.iter().take(64).position(|b| !matches!(b, b'\\' | b'"'))?;
    let rest = rest.get(quote..)?;
    let rest = rest.strip_prefix(b"u0022").unwrap_or(rest);
    let has_type = quote > 0 && rest.first().is_some_and(u8::is_ascii_uppercase);
    has_type.then(|| line.len() - rest.len())
}

/// The length of `[07/Sep/2018:15:29:11 +0000]`.
const WHEN: usize = 28;

/// Takes ` - [WHEN] ID ` off the end: what is left of it, whether there is an id, and the date.
fn fields(left: &[u8]) -> Option<(&[u8], bool, Option<Time>)> {
    let mut left = left.strip_suffix(b" ")?;
    let id = left.iter().rev().take(6).take_while(|b| b.is_ascii_digit()).count();
    if (1..=5).contains(&id) {
        left = left.get(..left.len() - id)?.strip_suffix(b" ")?;
    }
    let mut when = None;
    if left.ends_with(b"]") {
        let (rest, date) = left.split_at_checked(left.len().checked_sub(WHEN)?)?;
        when = Some(clock::when(date)?);
        left = rest.strip_suffix(b" ")?;
    }
    let left = left.strip_suffix(b"-")?;
    // A line's very start stands for an empty client.
    let left = if left.is_empty() { left } else { left.strip_suffix(b" ")? };
    Some((left, id > 0, when))
}

/// What ends the text without a blank, a quote or a control byte in it.
pub(super) fn run_before(text: &[u8]) -> &[u8] {
    let length = text.iter().rev().take(CLIENT).take_while(|b| **b > b' ' && **b != b'"').count();
    text.get(text.len() - length..).unwrap_or_default()
}

struct Client<'a> {
    text: &'a [u8],
    /// From its first byte (a bracket is one) to the run's end.
    length: usize,
}

/// The longest client that ends the run: `ipv4[:port]`, `[ipv6%zone]:port`, and a bare `ipv6` where there is a date, because only
/// the generations that have one wrote that, and none of those wrote a port behind it.
fn client_of(run: &[u8], dated: bool) -> Option<Client<'_>> {
    if dated {
        let zone = run.iter().rposition(|b| *b == b'%').unwrap_or(run.len());
        let text = last(run.get(..zone)?, |b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        if client::address(text).is_some() {
            return Some(Client { text, length: text.len() + run.len() - zone });
        }
    }
    let port = last(run, |b| b.is_ascii_digit()).len();
    let host = match run.get(..run.len() - port).unwrap_or_default().strip_suffix(b":") {
        Some(host) if (1..=5).contains(&port) => host,
        _ => run,
    };
    let text = match host.strip_suffix(b"]") {
        Some(inside) => {
            let open = inside.iter().rposition(|b| *b == b'[')?;
            let inside = inside.get(open + 1..)?;
            inside.split(|b| *b == b'%').next()?
        }
        None => last(host, |b| b.is_ascii_digit() || b == b'.'),
    };
    client::address(text)?;
    let length = match host.last() {
        Some(b']') => host.len() - host.iter().rposition(|b| *b == b'[')? + run.len() - host.len(),
        _ => text.len() + run.len() - host.len(),
    };
    Some(Client { text, length })
}

/// The longest end of the text that holds only such bytes.
fn last(text: &[u8], is: impl Fn(u8) -> bool) -> &[u8] {
    let length = text.iter().rev().take_while(|b| is(**b)).count();
    text.get(text.len() - length..).unwrap_or_default()
}

/// Whether an address may begin behind this: nothing that could be a part of it, or of a torn field glued to it.
fn is_boundary(before: &[u8]) -> bool {
    match before.last() {
        None => true,
        Some(b'm') => ends_in_colour(before),
        // An escaped line break in a JSON string.
        Some(b'n' | b'r' | b't') => matches!(before, [.., b'\\', _]),
        Some(b) => !b.is_ascii_alphanumeric() && !b"._:+-/%[\\".contains(b),
    }
}

/// The length of the terminal's colour code that begins the text, or 0.
pub(super) fn colour(text: &[u8]) -> usize {
    let end = text.iter().take(16).position(|b| *b == b'm').map_or(0, |m| m + 1);
    let begins = text.starts_with(b"\x1b[") || text.starts_with(b"\\u001b[");
    if begins && text.get(..end).is_some_and(ends_in_colour) { end } else { 0 }
}

/// Whether the text ends in a terminal's colour code, `ESC[36m`; JSON writes its ESC as a number.
pub(super) fn ends_in_colour(text: &[u8]) -> bool {
    let Some(text) = text.strip_suffix(b"m") else { return false };
    let codes = last(text.get(text.len().saturating_sub(16)..).unwrap_or_default(), |b| {
        b.is_ascii_digit() || b == b';'
    });
    let text = text.get(..text.len() - codes.len()).unwrap_or_default();
    [&b"\x1b["[..], b"u001b[", b"u001B["].iter().any(|escape| text.ends_with(escape))
}

/// Whether the bytes directly before a client are another query's head: that query was torn, and what was left of its id is
/// glued to this client. The level that CoreDNS writes from 1.2.6 on never stands before a date.
fn is_other_head(before: &[u8], dated: bool) -> bool {
    if dated && before.ends_with(b"[INFO] ") {
        return true;
    }
    let Some(before) = before.strip_suffix(b" ") else { return false };
    if before.last() == Some(&b']') {
        let when = before.get(before.len().saturating_sub(WHEN)..).unwrap_or_default();
        return clock::when(when).is_some();
    }
    before.strip_suffix(b" -").is_some_and(|left| client_of(run_before(left), false).is_some())
}

/// Whether somebody removed the address on purpose, or there never was one.
pub(super) fn is_redacted(run: &[u8]) -> bool {
    let host = run.strip_suffix(last(run, |b| b.is_ascii_digit())).unwrap_or_default();
    let host = if host.ends_with(b":") { host } else { run };
    let host = host.strip_suffix(b":").unwrap_or(host);
    let word = host.to_ascii_lowercase();
    host.is_empty()
        || matches!(host, b"[]" | b"[INFO]" | b"-")
        || host.iter().any(|b| b"*xX<#?".contains(b) || !b.is_ascii())
        || memchr::memmem::find(&word, b"redact").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, want: Result<&str, Reason>) {
        let head = read(head.as_bytes(), head.len(), 0).expect("a head");
        assert_eq!(head.client.map(|text| std::str::from_utf8(text).unwrap()), want);
    }

    #[test]
    fn every_generation_of_client_is_read() {
        check("10.0.0.7 - [23/Feb/2017:14:49:44 +0000] ", Ok("10.0.0.7"));
        check("fd00::7 - [23/Feb/2017:14:49:44 +0000] ", Ok("fd00::7"));
        check("::1 - [23/Feb/2017:14:49:44 +0000] 7 ", Ok("::1"));
        check("fe80::1%eth0 - [23/Feb/2017:14:49:44 +0000] 7 ", Ok("fe80::1"));
        check("10.0.0.7:53 - [23/Feb/2017:14:49:44 +0000] 65535 ", Ok("10.0.0.7"));
        check("[fd00::7]:53 - [23/Feb/2017:14:49:44 +0000] 1 ", Ok("fd00::7"));
        check("[INFO] 10.0.0.7:53 - 1 ", Ok("10.0.0.7"));
        check("[INFO] [fe80::7%!l(MISSING)an0]:53 - 1 ", Ok("fe80::7"));
        check("[INFO] 10.0.0.7:53 - ", Ok("10.0.0.7"));
    }

    #[test]
    fn a_wrapper_may_be_glued_to_the_client() {
        for wrapper in
            ["", "log=", "{\"log\":\"", "\x1b[0m", "a\\n", "\\u001b[0m", "│", "x ", "\0\0"]
        {
            check(&format!("{wrapper}10.0.0.7:53 - 1 "), Ok("10.0.0.7"));
        }
        check("0.01s[::1]:53 - 1 ", Ok("::1"));
    }

    #[test]
    fn a_torn_line_must_not_make_another_address() {
        let bad = Err(Reason::BadAddress);
        for torn in ["0.00011", "x", "10.0.0.9:1", "+", "[07/Sep/2018:15:29:1", "5m", "[1", "er\\1"]
        {
            check(&format!("{torn}10.0.0.7:53 - 1 "), bad);
        }
        check("10.0.0.9:53 - 110.0.0.7:53 - 1 ", bad);
        check("[INFO] [::1]:53 - 110.0.0.7:53 - 1 ", bad);
        check("10.0.0.9 - [23/Feb/2017:14:49:44 +0000] 110.0.0.7:53 - 1 ", bad);
        check("[INFO] 110.0.0.7 - [23/Feb/2017:14:49:44 +0000] 1 ", bad);
    }

    #[test]
    fn no_client_and_bad_address_are_told_apart() {
        for none in [
            "[INFO] :44321",
            "[INFO] x.x.x.x:53",
            "[INFO] *.*.7.9:53",
            "",
            "[INFO]",
            "<ip>:53",
            "10.0.x.7:53",
        ] {
            check(&format!("{none} - 1 "), Err(Reason::NoClient));
        }
        for bad in [
            "300.1.2.3:53",
            "10.0.0:53",
            "fd00::7:53",
            "coredns:53",
            "10.0.0.7:123456",
            "[fg::1]:53",
        ] {
            check(&format!("[INFO] {bad} - 1 "), Err(Reason::BadAddress));
        }
    }

    #[test]
    fn without_the_dash_there_is_no_head() {
        for text in [
            "10.0.0.7:53 1 ",
            "10.0.0.7:53 - 1",
            "10.0.0.7:53 - 123456 ",
            "10.0.0.7- 1 ",
            "] - [x] 1 ",
        ] {
            assert_eq!(read(text.as_bytes(), text.len(), 0), None, "{text}");
        }
    }
}
