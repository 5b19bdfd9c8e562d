//! The line that nearly every log is made of, read in one walk from its start to its end:
//!
//! ```text
//! [INFO] 10.244.0.9:40312 - 4713 "A IN redis.cache.svc.cluster.local. udp 47 false 512" NOERROR qr,aa,rd 104 0.000148532s
//! ```
//!
//! bare, behind an RFC 3339 time (`kubectl logs --timestamps`, and CoreDNS before 1.6.3), behind a CRI prefix, or with the
//! opcode of `{combined}` at its end. It is an optimisation and nothing else: whatever is in any way odd is `None`, and the
//! general scanner reads that line. A property test holds the two equal.
//!
//! The cost model: a line is some 120 bytes and a dozen fields of unforeseeable lengths. What costs is not bytes but
//! mispredicted branches (some 5 ns each) and calls, so a field's end is found by one wide compare and its trailing zeros
//! ([`blank`], [`digits`]), not by a loop that ends somewhere new on each line. Only the newline and the name's end are
//! searched for. Nothing is allocated, nothing is copied.

use super::super::record::{Kind, QType, Rcode, Record};
use super::clock::Clock;

/// Reads the default line. `line` is without its newline.
#[inline]
pub(super) fn read<'a>(line: &'a [u8], clock: &mut Clock) -> Option<Record<'a>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut rest = line;
    let mut time = None;
    if line.first() == Some(&b'2') {
        let (moment, length) = clock.rfc3339(line)?;
        time = Some(moment);
        rest = line.get(length..)?.strip_prefix(b" ")?;
        if rest.starts_with(b"std") {
            rest = rest.strip_prefix(b"stdout F ").or_else(|| rest.strip_prefix(b"stderr F "))?;
        }
    }
    let rest = rest.strip_prefix(b"[INFO] ")?;

    // CLIENT:PORT - ID "
    let (client, rest) = match rest.strip_prefix(b"[") {
        Some(rest) => cut(rest, memchr::memchr(b']', rest.get(..48)?)?, b"]:")?,
        None => cut(rest, first(b':', rest)?, b":")?,
    };
    let rest = cut(rest, digits(rest, 5)?, b" - ")?.1;
    let rest = cut(rest, digits(rest, 5)?, b" \"")?.1;

    // TYPE IN NAME
    let (qtype, rest) = cut(rest, blank(rest)?, b" IN ")?;
    let qtype = QType::of(qtype);
    let (name, rest) = cut(rest, name_end(rest)?, b" ")?;
    if qtype == QType::OTHER || name.is_empty() {
        return None;
    }

    // PROTO SIZE DO BUFSIZE"
    let rest = rest.strip_prefix(b"udp ").or_else(|| rest.strip_prefix(b"tcp "))?;
    let rest = cut(rest, digits(rest, 7)?, b" ")?.1;
    let rest = rest.strip_prefix(b"false ").or_else(|| rest.strip_prefix(b"true "))?;
    let rest = cut(rest, digits(rest, 7)?, b"\" ")?.1;

    // RCODE RFLAGS RSIZE DURATION
    let (rcode, rest) = cut(rest, blank(rest)?, b" ")?;
    let (flags, rest) = cut(rest, flags_end(rest)?, b" ")?;
    let rest = cut(rest, digits(rest, 7)?, b" ")?.1;
    let rcode = match (Rcode::of(rcode), flags.first()) {
        (Rcode::OTHER | Rcode::UNKNOWN, _) => return None,
        (_, Some(b'-')) if flags.len() == 1 => Rcode::NO_REPLY,
        (rcode, None | Some(b'a'..=b'z')) => rcode,
        _ => return None,
    };

    // Nothing may follow that the general scanner would look at, and that all begins at a blank.
    let rest = rest.strip_suffix(b"\"").map_or(Some(rest), |rest| {
        rest.strip_suffix(b" \"0").or_else(|| rest.strip_suffix(b" \"4"))
    })?;
    if rest.is_empty() || rest.len() > 24 || rest.contains(&b' ') || line.len() > super::RECORD {
        return None;
    }
    Some(Record { client, name, kind: Kind { qtype, rcode }, time })
}

/// Splits the text at a field's end, where `behind` must stand, and drops that.
#[inline(always)]
fn cut<'a>(text: &'a [u8], end: usize, behind: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (field, rest) = text.split_at_checked(end)?;
    Some((field, rest.strip_prefix(behind)?))
}

const EVERY: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// How many decimal digits begin the text: 1 to `most`, and `most` is below 8.
#[inline(always)]
fn digits(text: &[u8], most: usize) -> Option<usize> {
    let eight = u64::from_le_bytes(*text.first_chunk()?) ^ (EVERY * b'0' as u64);
    // A byte's high bit is set where that byte is no digit: it was above 0x7f, or adding carries it there.
    let others = (((eight & !HIGH) + EVERY * (0x80 - 10)) | eight) & HIGH;
    let count = others.trailing_zeros() as usize / 8;
    (1..=most).contains(&count).then_some(count)
}

/// Where the first such byte stands, if it is among the first sixteen.
#[inline(always)]
fn first(byte: u8, text: &[u8]) -> Option<usize> {
    let sixteen = u128::from_le_bytes(*text.first_chunk()?);
    let every = u128::from(EVERY) << 64 | u128::from(EVERY);
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
