//! The line that nearly every log is made of, read at the places where its special bytes stand:
//!
//! ```text
//! [INFO] 10.244.0.9:40312 - 4713 "A IN redis.cache.svc.cluster.local. udp 47 false 512" NOERROR qr,aa,rd 104 0.000148532s
//!       ^                ^ ^    ^^ ^  ^                              ^   ^  ^     ^   ^^       ^        ^   ^            ^
//!       0                1 2   34  5  6                              7   8  9    10  11 12    13       14  15           16
//! ```
//!
//! It is an optimisation and nothing else: what is in any way odd is `None`, and is read by those behind it. A property
//! test holds all of them equal.
//!
//! The cost model: no field's end is searched for, so that no field waits for the one before it, and no branch hangs on a
//! length. What must stand at a place is compared as a word; whatever differs is gathered in `odd`, and asked for once.

use std::ops::Range;

use super::super::record::{Kind, QType, Rcode, Record};
use super::RECORD;

/// How many special bytes the line has.
pub(super) const PLACES: usize = 17;

/// Reads types and response codes; remembers the last ones by their bytes.
#[derive(Debug)]
pub(super) struct Shape {
    qtypes: Words<QType>,
    rcodes: Words<Rcode>,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { qtypes: Words([(0, QType::OTHER); 16]), rcodes: Words([(0, Rcode::OTHER); 16]) }
    }
}

impl Shape {
    /// Reads the line whose `[INFO]` is at `info`; `at` are the places of its special bytes. Gives the record, without a
    /// time, and where its name begins.
    #[inline(always)]
    pub(super) fn read<'a>(
        &mut self,
        bytes: &'a [u8],
        info: usize,
        at: &[u16; PLACES],
    ) -> Option<(Record<'a>, usize)> {
        let at = at.map(usize::from);
        let mut odd = Odd(0);
        odd.differs(word(bytes, info)?, b"[INFO] ");
        odd.differs(word(bytes, at[1])?, b" - ");
        odd.differs(word(bytes, at[3])?, b" \"");
        odd.differs(word(bytes, at[5])?, b" IN ");
        let protocol = word(bytes, at[7])?;
        odd.note(!begins(protocol, b" udp ") & !begins(protocol, b" tcp "));
        let dnssec = word(bytes, at[9])?;
        odd.note(!begins(dnssec, b" false ") & !begins(dnssec, b" true "));
        odd.differs(word(bytes, at[11])?, b"\" ");
        let [a, b, c, d] = [at[13], at[14], at[15], at[16]].map(|at| bytes.get(at).copied());
        odd.note((a != Some(b' ')) | (b != Some(b' ')) | (c != Some(b' ')) | (d != Some(b'\n')));

        odd.number(bytes, at[2], at[3], 5)?;
        odd.number(bytes, at[8], at[9], 7)?;
        odd.number(bytes, at[10], at[11], 7)?;
        odd.number(bytes, at[14], at[15], 7)?;
        odd.note((at[16] - info > RECORD) | !(2..=25).contains(&(at[16] - at[15])));

        let host = info + 7;
        let (client, colon) = match bytes.get(host)? {
            b'[' => {
                let close = host + memchr::memchr(b']', bytes.get(host..at[1])?)?;
                odd.note(bytes.get(close + 1) != Some(&b':'));
                (bytes.get(host + 1..close)?, close + 1)
            }
            _ => {
                let colon = host + super::fast::first(b':', bytes.get(host..)?)?;
                (bytes.get(host..colon)?, colon)
            }
        };
        odd.number(bytes, colon, at[1], 5)?;
        let name = at[6] + 1;
        odd.note(name == at[7]);
        if odd.0 != 0 {
            return None;
        }

        let qtype = self.qtypes.of(bytes, at[4] + 1..at[5], QType::of)?;
        let mut rcode = self.rcodes.of(bytes, at[12] + 1..at[13], Rcode::of)?;
        let flags = bytes.get(at[13] + 1..at[14])?;
        match flags.first() {
            Some(b'-') if flags.len() == 1 => rcode = Rcode::NO_REPLY,
            None | Some(b'a'..=b'z') if flags.len() <= 24 => {}
            _ => return None,
        }
        if qtype == QType::OTHER || rcode == Rcode::OTHER || rcode == Rcode::UNKNOWN {
            return None;
        }
        let kind = Kind { qtype, rcode };
        Some((Record { client, name: bytes.get(name..at[7])?, kind, time: None }, name))
    }
}

/// Whether anything is not as it should be: not zero.
struct Odd(u64);

impl Odd {
    #[inline(always)]
    fn note(&mut self, odd: bool) {
        self.0 |= u64::from(odd);
    }

    /// The word must begin with this text.
    #[inline(always)]
    fn differs<const N: usize>(&mut self, word: u64, want: &[u8; N]) {
        self.note(!begins(word, want));
    }

    /// Between these two places a decimal must stand, of at most so many digits, and `most` is below 8.
    #[inline(always)]
    fn number(&mut self, bytes: &[u8], before: usize, behind: usize, most: usize) -> Option<()> {
        const EVERY: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = EVERY * 0x80;
        let eight = word(bytes, behind.checked_sub(8)?)? ^ (EVERY * b'0' as u64);
        // A byte's high bit is set where that byte is no digit: it was above 0x7f, or adding carries it there.
        let others = (((eight & !HIGH) + EVERY * (0x80 - 10)) | eight) & HIGH;
        let length = behind.wrapping_sub(before + 1);
        self.note(length.wrapping_sub(1) >= most);
        // Of a length that is noted as odd no more is asked.
        self.0 |= others >> (64_usize.wrapping_sub(length.wrapping_mul(8)) & 63);
        Some(())
    }
}

/// Eight bytes from there.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Whether the word begins with this text.
#[inline(always)]
fn begins<const N: usize>(word: u64, text: &[u8; N]) -> bool {
    let mut want = [0; 8];
    want[..N].copy_from_slice(text);
    (word ^ u64::from_le_bytes(want)) << (64 - 8 * N) == 0
}

/// Short texts and what they mean. A text's first eight bytes say where it is remembered.
#[derive(Debug)]
struct Words<T>([(u64, T); 16]);

impl<T: Copy> Words<T> {
    #[inline(always)]
    fn of(&mut self, bytes: &[u8], at: Range<usize>, read: fn(&[u8]) -> T) -> Option<T> {
        let length = at.end - at.start;
        if !(1..=8).contains(&length) {
            return Some(read(bytes.get(at)?));
        }
        let word = word(bytes, at.start)? << (64 - 8 * length);
        // A and AAAA, NOERROR and NXDOMAIN fall apart: a test says so.
        let known = self.0.get_mut((word.wrapping_mul(SPREAD) >> 60) as usize)?;
        if known.0 != word {
            *known = (word, read(bytes.get(at)?));
        }
        Some(known.1)
    }
}

const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_nearly_every_line_fall_apart() {
        let place = |text: &[u8]| {
            let mut word = [0; 8];
            word[8 - text.len()..].copy_from_slice(text);
            u64::from_le_bytes(word).wrapping_mul(SPREAD) >> 60
        };
        assert_ne!(place(b"A"), place(b"AAAA"));
        assert_ne!(place(b"NOERROR"), place(b"NXDOMAIN"));
    }
}
