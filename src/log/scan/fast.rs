//! The default line once more, read in one walk from its start to its end: what [`super::shape`] does not read, because
//! something stands before it, a time has a zone, or a field is longer than it should be:
//!
//! ```text
//! [INFO] 10.244.0.9:40312 - 4713 "A IN redis.cache.svc.cluster.local. udp 47 false 512" NOERROR qr,aa,rd 104 0.000148532s
//! ```
//!
//! bare, behind an RFC 3339 time (`kubectl logs --timestamps`, and CoreDNS before 1.6.3), behind a CRI prefix, in Docker's
//! json-file, or behind a prefix that holds nothing of a query. It is an optimisation and nothing else: whatever is in any
//! way odd is `None`, and the general scanner reads that line. A property test holds the two equal.
//!
//! The cost model: a line is some 120 bytes and a dozen fields of unforeseeable lengths. What costs is not bytes but
//! mispredicted branches (some 5 ns each) and calls, so a field's end is found by one wide compare and its trailing zeros
//! ([`blank`], [`digits`]), not by a loop that ends somewhere new on each line. Only the newline and the name's end are
//! searched for. Nothing is allocated, nothing is copied.

use super::super::record::{Kind, QType, Rcode, Record};
use super::clock::Clock;
use super::lanes::{EVERY, HIGH, others};
use super::{RECORD, when};

/// Reads the default line. `line` is without its newline.
#[inline]
pub(super) fn read<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Record<'a>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > RECORD {
        return None;
    }
    if let Some(rest) = line.strip_prefix(b"[INFO] ") {
        let (record, rest) = query(rest, b"\"")?;
        return ends(rest).then_some(record);
    }
    match line.first()? {
        b'2' => stamped(line, clock).or_else(|| prefixed(line, clock)),
        b'{' => docker(line, clock),
        _ => prefixed(line, clock),
    }
}

/// `TIME [INFO] …` and `TIME stdout F [INFO] …`
fn stamped<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Record<'a>> {
    let (time, length) = clock.rfc3339(line)?;
    let mut rest = line.get(length..)?.strip_prefix(b" ")?;
    if rest.starts_with(b"std") {
        rest = rest.strip_prefix(b"stdout F ").or_else(|| rest.strip_prefix(b"stderr F "))?;
    }
    let (record, rest) = query(rest.strip_prefix(b"[INFO] ")?, b"\"")?;
    ends(rest).then_some(Record { time: Some(time), ..record })
}

/// `{"log":"[INFO] …\n","stream":"stdout","time":"TIME"}`
fn docker<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Record<'a>> {
    let (record, rest) = query(line.strip_prefix(b"{\"log\":\"[INFO] ")?, b"\\\"")?;
    let (duration, rest) = cut(rest, first(b'\\', rest)?, b"\\n\",\"stream\":\"std")?;
    // As many quotes as above: another one would end the string earlier.
    let quotes = memchr::memchr_iter(b'"', line.get(..line.len() - rest.len())?).count();
    let rest = rest.strip_prefix(b"out").or_else(|| rest.strip_prefix(b"err"))?;
    let time = rest.strip_prefix(b"\",\"time\":\"")?.strip_suffix(b"\"}")?;
    let time = Some(clock.exactly(time)?);
    (ends(duration) && quotes == 9).then_some(Record { time, ..record })
}

/// Behind what `kubectl --prefix`, stern, compose or syslog write. A blank in it must not be one that the general scanner
/// would look at.
fn prefixed<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Record<'a>> {
    let near = line.get(..line.len().min(160))?;
    let is_level = |at: &usize| line.get(*at..).is_some_and(|rest| rest.starts_with(b"[INFO] "));
    let (left, rest) = line.split_at_checked(memchr::memchr_iter(b'[', near).find(is_level)?)?;
    let (record, rest) = query(rest.strip_prefix(b"[INFO] ")?, b"\"")?;
    let odd = |pair: &[u8]| matches!(pair, [b' ', b'-' | b'I' | b'C' | b'H' | b'N' | b'A']);
    // An object may be one of CoreDNS's own.
    if !ends(rest) || left.contains(&b'{') || left.windows(2).any(odd) {
        return None;
    }
    let time = when::before(left, clock).or_else(|| when::at_start(line, clock));
    Some(Record { time, ..record })
}

/// `CLIENT:PORT - ID "TYPE IN NAME PROTO SIZE DO BUFSIZE" RCODE RFLAGS RSIZE `, without a time; and what stands behind.
#[inline(always)]
fn query<'a>(text: &'a [u8], quote: &[u8]) -> Option<(Record<'a>, &'a [u8])> {
    let (client, rest) = match text.strip_prefix(b"[") {
        Some(rest) => cut(rest, memchr::memchr(b']', rest.get(..48)?)?, b"]:")?,
        None => cut(text, first(b':', text)?, b":")?,
    };
    let rest = cut(rest, digits(rest, 5)?, b" - ")?.1;
    let rest = cut(rest, digits(rest, 5)?, b" ")?.1.strip_prefix(quote)?;

    let (qtype, rest) = cut(rest, blank(rest)?, b" IN ")?;
    let qtype = QType::of(qtype);
    let (name, rest) = cut(rest, name_end(rest)?, b" ")?;
    if qtype == QType::OTHER || name.is_empty() {
        return None;
    }

    let rest = rest.strip_prefix(b"udp ").or_else(|| rest.strip_prefix(b"tcp "))?;
    let rest = cut(rest, digits(rest, 7)?, b" ")?.1;
    let rest = rest.strip_prefix(b"false ").or_else(|| rest.strip_prefix(b"true "))?;
    let rest = cut(rest, digits(rest, 7)?, quote)?.1.strip_prefix(b" ")?;

    let (rcode, rest) = cut(rest, blank(rest)?, b" ")?;
    let (flags, rest) = cut(rest, flags_end(rest)?, b" ")?;
    let rest = cut(rest, digits(rest, 7)?, b" ")?.1;
    let rcode = match (Rcode::of(rcode), flags.first()) {
        (Rcode::OTHER | Rcode::UNKNOWN, _) => return None,
        (_, Some(b'-')) if flags.len() == 1 => Rcode::NO_REPLY,
        (rcode, None | Some(b'a'..=b'z')) => rcode,
        _ => return None,
    };
    Some((Record { client, name, kind: Kind { qtype, rcode }, time: None }, rest))
}

/// Whether only a duration follows, and at most the opcode of `{combined}`: nothing that the general scanner would look at,
/// and all of that begins at a blank.
#[inline(always)]
fn ends(rest: &[u8]) -> bool {
    let rest = rest.strip_suffix(b" \"0\"").unwrap_or(rest);
    (1..=24).contains(&rest.len()) && !rest.contains(&b' ')
}

/// Splits the text at a field's end, where `behind` must stand, and drops that.
#[inline(always)]
fn cut<'a>(text: &'a [u8], end: usize, behind: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (field, rest) = text.split_at_checked(end)?;
    Some((field, rest.strip_prefix(behind)?))
}

/// How many decimal digits begin the text: 1 to `most`, and `most` is below 8.
#[inline(always)]
fn digits(text: &[u8], most: usize) -> Option<usize> {
    let others = others(u64::from_le_bytes(*text.first_chunk()?));
    let count = others.trailing_zeros() as usize / 8;
    (1..=most).contains(&count).then_some(count)
}

/// Where the first such byte stands, if it is among the first sixteen.
#[inline(always)]
fn first(byte: u8, text: &[u8]) -> Option<usize> {
    let sixteen = u128::from_le_bytes(*text.first_chunk()?);
    let every = (u128::from(EVERY) << 64) | u128::from(EVERY);
    let off = sixteen ^ (every * u128::from(byte));
    // Exact for the lowest zero byte, which is the one that is asked for.
    let zeros = off.wrapping_sub(every) & !off & (every << 7);
    (zeros != 0).then_some(zeros.trailing_zeros() as usize / 8)
}

#[inline(always)]
fn blank(text: &[u8]) -> Option<usize> {
    first(b' ', text)
}

/// As [`blank`], for the longest set of flags as well, and where fewer than sixteen bytes remain.
#[inline(always)]
fn flags_end(text: &[u8]) -> Option<usize> {
    blank(text).or_else(|| text.iter().take(24).position(|b| *b == b' '))
}

/// Where the blank behind a name stands, if nothing in the name is escaped, quoted or a control byte.
#[inline(always)]
fn name_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let eight = u64::from_le_bytes(*text.get(at..)?.first_chunk()?);
        let zero = |off: u64| off.wrapping_sub(EVERY) & !off;
        let low = eight.wrapping_sub(EVERY * 0x21) & !eight;
        let odd = zero(eight ^ (EVERY * b'"' as u64)) | zero(eight ^ (EVERY * b'\\' as u64));
        let stops = (low | odd | eight) & HIGH;
        if stops != 0 {
            at += stops.trailing_zeros() as usize / 8;
            return (text.get(at) == Some(&b' ')).then_some(at);
        }
        at += 8;
    }
}
