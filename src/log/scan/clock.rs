//! Times as logs write them → nanoseconds since 1970. RFC 3339 by position, and the date of the oldest generations.
//! A time without a year or a zone is no time. It never guesses, and never rejects a record for lack of one.

use super::lanes::{EVERY, others};
use crate::time::{SECOND, Time};

/// Reads times. Consecutive lines share date and minute, so those are converted once while their bytes repeat.
#[derive(Debug)]
pub(super) struct Clock {
    /// The bytes `2026-03-14T23:59:` that were converted last.
    minute: [u8; 17],
    /// What they mean, before any zone.
    start: Time,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { minute: *b"1970-01-01T00:00:", start: 0 }
    }
}

impl Clock {
    /// An RFC 3339 time that begins the text, and its length. The zone may lack its colon (`+0200`, as journald
    /// writes it), and a blank may stand for the `T`; without a zone there is no time.
    #[inline]
    pub(super) fn rfc3339(&mut self, text: &[u8]) -> Option<(Time, usize)> {
        let (minute, rest) = text.split_first_chunk::<17>()?;
        if *minute != self.minute {
            self.start = minute_start(minute)?;
            self.minute = *minute;
        }
        let (seconds, mut rest) = rest.split_first_chunk::<2>()?;
        let seconds = number(seconds).filter(|s| *s <= 60)?;
        let mut nanos = 0;
        if let [b'.', decimals @ ..] = rest {
            let mut unit = SECOND;
            let count = decimals.iter().take_while(|b| b.is_ascii_digit()).count();
            for digit in decimals.iter().take(count.min(9)) {
                unit /= 10;
                nanos += unit * Time::from(digit - b'0');
            }
            if count == 0 {
                return None;
            }
            rest = decimals.get(count..)?;
        }
        let (offset, rest) = zone(rest)?;
        let time = self.start + seconds * SECOND + nanos - offset;
        Some((time, text.len() - rest.len()))
    }

    /// RFC 3339 and nothing else.
    #[inline]
    pub(super) fn exactly(&mut self, text: &[u8]) -> Option<Time> {
        if let Some(time) = text.try_into().ok().and_then(|text| self.full(text)) {
            return Some(time);
        }
        self.rfc3339(text).filter(|(_, length)| *length == text.len()).map(|(time, _)| time)
    }

    /// `2026-03-14T23:59:55.039299535Z`, as kubelet and containerd write it, within the minute of the one before.
    #[inline(always)]
    fn full(&self, text: &[u8; 30]) -> Option<Time> {
        let (minute, &[s1, s2, b'.', ref decimals @ .., b'Z']) = text.split_first_chunk::<17>()?
        else {
            return None;
        };
        let (seconds, (eight, &[ninth])) = (number(&[s1, s2])?, decimals.split_first_chunk()?)
        else {
            return None;
        };
        let word = u64::from_le_bytes(*eight);
        if *minute != self.minute || seconds > 60 || others(word) != 0 || !ninth.is_ascii_digit() {
            return None;
        }
        // Each digit and the next one, then each pair and the next one, then both halves.
        let pairs = (word & (EVERY * 0xf)).wrapping_mul(10 << 8 | 1) >> 8;
        let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(100 << 16 | 1) >> 16;
        let whole = (fours & 0x0000_ffff_0000_ffff).wrapping_mul(10_000 << 32 | 1) >> 32;
        let nanos = whole as Time * 10 + Time::from(ninth - b'0');
        Some(self.start + seconds * SECOND + nanos)
    }
}

/// `[07/Sep/2018:15:29:11 +0000]`, brackets included: how CoreDNS dated a query before 1.2.6.
pub(super) fn when(text: &[u8]) -> Option<Time> {
    let text = text.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let &[d1, d2, b'/', m1, m2, m3, b'/', ref rest @ ..] = text else { return None };
    let &[ref year @ .., b':', h1, h2, b':', n1, n2, b':', s1, s2, b' ', z0, z1, z2, z3, z4] = rest
    else {
        return None;
    };
    let month = MONTHS.iter().position(|name| **name == [m1, m2, m3])?;
    let days =
        days(number(year).filter(|_| year.len() == 4)?, month as i64 + 1, number(&[d1, d2])?)?;
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    let (offset, _) = zone(&[z0, z1, z2, z3, z4]).filter(|_| z0 != b'Z')?;
    let fits = hour < 24 && minute < 60 && second <= 60;
    fits.then_some(((days * 24 + hour) * 3600 + minute * 60 + second) * SECOND - offset)
}

/// A count since 1970 in seconds (decimals allowed), milli-, micro- or nanoseconds; which of them, its size tells: the
/// four do not overlap between 2001 and 2286.
pub(super) fn epoch(text: &[u8]) -> Option<Time> {
    let (whole, decimals) = match memchr::memchr(b'.', text) {
        Some(dot) => (text.get(..dot)?, text.get(dot + 1..)?),
        None => (text, &[][..]),
    };
    let unit = match whole.len() {
        10 => SECOND,
        13 => SECOND / 1_000,
        16 => SECOND / 1_000_000,
        19 => 1,
        _ => return None,
    };
    let mut time = number(whole)?.checked_mul(unit)?;
    let mut place = unit;
    for digit in decimals {
        if !digit.is_ascii_digit() {
            return None;
        }
        place /= 10;
        time = time.checked_add(place * Time::from(digit - b'0'))?;
    }
    (whole.first() != Some(&b'0')).then_some(time)
}

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// `2026-03-14T23:59:` → the start of that minute, as if it were UTC.
#[cold]
fn minute_start(text: &[u8; 17]) -> Option<Time> {
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T' | b't' | b' ',
        h1,
        h2,
        b':',
        ref rest @ ..,
    ] = text
    else {
        return None;
    };
    let &[n1, n2, b':'] = rest else { return None };
    let days = days(number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?)?;
    let (hour, minute) = (number(&[h1, h2])?, number(&[n1, n2])?);
    (hour < 24 && minute < 60).then_some(((days * 24 + hour) * 60 + minute) * 60 * SECOND)
}

/// `Z`, `+02:00` or `-0700` → nanoseconds east of UTC, and what stands behind.
fn zone(text: &[u8]) -> Option<(Time, &[u8])> {
    let (sign, hours, minutes, rest) = match *text {
        [b'Z' | b'z', ref rest @ ..] => return Some((0, rest)),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2, ref rest @ ..]
        | [sign @ (b'+' | b'-'), h1, h2, m1, m2, ref rest @ ..] => {
            (sign, number(&[h1, h2])?, number(&[m1, m2])?, rest)
        }
        _ => return None,
    };
    let offset = (hours * 60 + minutes) * 60 * SECOND;
    (hours < 24 && minutes < 60).then_some((if sign == b'-' { -offset } else { offset }, rest))
}

fn number(digits: &[u8]) -> Option<i64> {
    let mut value: i64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
    }
    (!digits.is_empty()).then_some(value)
}

/// Days since 1970-01-01, of a date between 1970 and 2261: those fit into nanoseconds with any zone.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1970..=2261).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March put the leap day last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    Some(y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_3339_is_read_as_jiff_reads_it() {
        let mut clock = Clock::default();
        for text in [
            "1970-01-01T00:00:00.000000000Z",
            "1970-01-01T00:00:59.987654321Z",
            "1970-01-01T00:00:09.999999999Z",
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59.5Z",
            "2024-02-29T23:59:59.999999999Z",
            "2024-03-01T00:00:00.000000001-07:00",
            "2026-03-14T23:59:55.039299535+02:00",
            "2026-03-14T23:59:56+14:00",
            "2100-12-31T12:00:00.35Z",
        ] {
            assert_eq!(clock.exactly(text.as_bytes()), crate::time::parse(text), "{text}");
        }
    }

    #[test]
    fn no_zone_no_such_day_no_time() {
        let mut clock = Clock::default();
        for text in [
            "2024-06-01T10:00:00",
            "2024-06-01T10:00:00.Z",
            "2023-02-29T10:00:00Z",
            "2024-13-01T10:00:00Z",
            "2024-06-01T24:00:00Z",
            "2024-06-01T10:00:00+2:00",
            "1969-12-31T23:59:59Z",
            "2024-06-01X10:00:00Z",
            "",
        ] {
            assert_eq!(clock.rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_zone_may_lack_its_colon_and_more_than_nine_decimals_are_cut() {
        let mut clock = Clock::default();
        let want = crate::time::parse("2024-06-01T08:00:00.123456789Z");
        assert_eq!(clock.exactly(b"2024-06-01T10:00:00.1234567891+0200"), want);
        assert_eq!(clock.exactly(b"2024-06-01 10:00:00.123456789+02:00"), want);
    }

    #[test]
    fn the_old_date_is_read() {
        assert_eq!(
            when(b"[07/Sep/2018:15:29:11 +0000]"),
            crate::time::parse("2018-09-07T15:29:11Z")
        );
        assert_eq!(
            when(b"[31/May/2017:10:41:37 +0200]"),
            crate::time::parse("2017-05-31T08:41:37Z")
        );
        assert_eq!(when(b"[31/Jun/2017:10:41:37 +0200]"), None);
        assert_eq!(when(b"[31/May/2017:10:41:37]"), None);
    }

    proptest! {
        #[test]
        fn the_full_form_is_read_as_any_other(
            text in "1970-01-01T00:00:[0-7][0-9:][.][0-9]{8}[0-9a/]Z|1970-01-01T00:00:[0-9]{2}[.,][0-9a:]{9}[Zz]",
        ) {
            let (mut one, mut two) = (Clock::default(), Clock::default());
            let whole = two.rfc3339(text.as_bytes()).filter(|(_, length)| *length == text.len());
            prop_assert_eq!(one.exactly(text.as_bytes()), whole.map(|(time, _)| time));
            let full = one.full(text.as_bytes().try_into().unwrap());
            prop_assert!(full.is_none() || full == whole.map(|(time, _)| time));
        }
    }

    #[test]
    fn an_epoch_tells_its_unit_by_its_size() {
        let want = crate::time::parse("2024-06-01T10:00:00.123Z");
        assert_eq!(epoch(b"1717236000.123"), want);
        assert_eq!(epoch(b"1717236000123"), want);
        assert_eq!(epoch(b"1717236000123000"), want);
        assert_eq!(epoch(b"1717236000123000000"), want);
        assert_eq!(epoch(b"623"), None);
        assert_eq!(epoch(b"9999999999999999999"), None);
    }
}
