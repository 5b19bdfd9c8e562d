//! When a record that has no date of its own was written: the RFC 3339 time that some wrapper set directly before it, or at
//! the start of its text.

use super::clock::Clock;
use super::head::{colour, ends_in_colour};
use crate::time::Time;

/// The time that begins a line, or the text in a string.
pub(super) fn at_start(text: &[u8], clock: &mut Clock) -> Option<Time> {
    let mut text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    loop {
        let rest = text.trim_ascii_start();
        let nuls = rest.iter().take_while(|b| **b == 0).count();
        let rest = rest.get(nuls + colour(rest.get(nuls..)?)..)?;
        if rest.len() == text.len() {
            break;
        }
        text = rest;
    }
    let text = text.strip_prefix(b"\"").or_else(|| syslog(text)).unwrap_or(text);
    let (time, length) = clock.rfc3339(text)?;
    let ends = text.get(length).is_none_or(|b| !b.is_ascii_alphanumeric() && !b".:-+".contains(b));
    ends.then_some(time)
}

/// What follows the priority and version of an RFC 5424 line, `<30>1 `.
fn syslog(text: &[u8]) -> Option<&[u8]> {
    let (priority, rest) = text.split_at_checked(text.iter().take(6).position(|b| *b == b'>')?)?;
    let digits = priority.strip_prefix(b"<")?;
    rest.strip_prefix(b">1 ").filter(|_| digits.iter().all(u8::is_ascii_digit))
}

/// The time directly before a client, or before its level. `left` is what stands before the client in its text.
pub(super) fn before(left: &[u8], clock: &mut Clock) -> Option<Time> {
    let level = memchr::memmem::rfind(left, b"[INFO]");
    let mut left = level.and_then(|at| left.get(..at)).unwrap_or(left);
    // Azure's word for it.
    left = left.strip_suffix(b"DNS Request: ").unwrap_or(left);
    loop {
        let mut rest = left.trim_ascii_end();
        while ends_in_colour(rest) {
            rest = rest.get(..rest.iter().rposition(|b| *b == 0x1b || *b == b'\\')?)?;
        }
        if rest.len() == left.len() {
            break;
        }
        left = rest;
    }
    for stream in [&b" stdout F"[..], b" stderr F", b" stdout P", b" stderr P"] {
        left = left.strip_suffix(stream).unwrap_or(left);
    }
    let word = |b: &&u8| **b > b' ' && **b != b'"';
    let length = left.iter().rev().take(48).take_while(word).count();
    let mut start = left.len() - length;
    // A colour's end may be glued to it; no time holds an `m`.
    if let Some(m) = left.get(start..)?.iter().rposition(|b| *b == b'm') {
        start = Some(start + m + 1).filter(|end| left.get(..*end).is_some_and(ends_in_colour))?;
    }
    clock.exactly(left.get(start..)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: &str = "2024-06-01T10:00:00.123456789Z";

    #[test]
    fn a_time_directly_before_the_record_is_its_time() {
        let time = crate::time::parse(T);
        for left in [
            format!("{T} "),
            format!("{T} [INFO] "),
            format!("{T} [INFO] payments "),
            format!("{T} stdout F [INFO] "),
            format!("[pod/coredns-1/coredns] {T} [INFO] "),
            format!("coredns-1  | {T} \x1b[36m[INFO]\x1b[0m "),
            format!("# {T}   "),
            format!("\x1b[36mcoredns-1  | \x1b[0m{T} "),
        ] {
            assert_eq!(before(left.as_bytes(), &mut Clock::default()), time, "{left:?}");
        }
        for left in [format!("{T} coredns "), format!("x{T} "), "10:00:00Z ".into(), String::new()]
        {
            assert_eq!(before(left.as_bytes(), &mut Clock::default()), None, "{left:?}");
        }
    }

    #[test]
    fn a_time_at_the_start_counts_behind_what_is_no_text() {
        let time = crate::time::parse(T);
        for lead in ["", "  ", "\u{feff}", "\0\0\0", "\x1b[36m", "\"", " \0 \x1b[0m\t", "<30>1 "] {
            for rest in ["", " node coredns[623]: ", ",\"", "\t", "|"] {
                let text = format!("{lead}{T}{rest}");
                assert_eq!(at_start(text.as_bytes(), &mut Clock::default()), time, "{text:?}");
            }
        }
        for text in [format!("{T}x"), format!("{T}:5"), format!("# {T}"), String::new()] {
            assert_eq!(at_start(text.as_bytes(), &mut Clock::default()), None, "{text:?}");
        }
    }
}
