//! Where the bytes stand that a line is cut at, and which they are. 64 bytes are compared at once where the processor can
//! do that, which is asked at run time; else sixteen or eight at a time, by twins in safe code that give the same marks.
//!
//! A byte is *special* if it is below `#` (blanks, newlines, quotes and all control bytes), a backslash, or above 0x7f.

/// At most so many bytes are looked at in one go.
pub(crate) const PIECE: usize = 4 * 1024;

/// How many marks a piece can have, and a block more.
pub(super) const MOST: usize = PIECE + 64;

/// The special bytes of one piece, in order.
#[derive(Debug)]
pub(crate) struct Marks {
    found: Box<Found>,
    len: usize,
    find: Find,
}

/// The special bytes' places, and they themselves.
#[derive(Debug)]
pub(super) struct Found {
    /// Little-endian, so that several can be read at once.
    pub(super) at: [[u8; 2]; MOST],
    pub(super) byte: [u8; MOST],
}

/// Writes the marks behind one another, and says how many there are.
pub(super) type Find = fn(&[u8], &mut Found) -> usize;

impl Marks {
    /// None yet. `wide`: whether wide compares may be used, if the processor has them.
    pub(crate) fn new(wide: bool) -> Marks {
        let find = if wide { best() } else { portable };
        Marks { found: Box::new(Found { at: [[0; 2]; MOST], byte: [0; MOST] }), len: 0, find }
    }

    /// Finds those of another piece, which is cut at [`PIECE`] bytes, up to its last newline. How many bytes these lines
    /// have; `None`: there is no newline.
    ///
    /// The newline is looked for among the marks: to look for it in the piece, from its end, would be to wait for bytes that
    /// are the last to come from memory.
    pub(crate) fn find(&mut self, piece: &[u8]) -> Option<usize> {
        let found = (self.find)(piece.get(..PIECE).unwrap_or(piece), &mut self.found);
        self.len = memchr::memrchr(b'\n', self.found.byte.get(..found)?).map_or(0, |last| last + 1);
        Some(usize::from(self.place(self.len.checked_sub(1)?)) + 1)
    }

    /// How many there are.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where the `nth` stands.
    #[inline(always)]
    pub(crate) fn place(&self, nth: usize) -> u16 {
        self.found.at.get(nth).map_or(0, |at| u16::from_le_bytes(*at))
    }

    /// How many marks there are from the `nth` to the next newline.
    #[inline]
    pub(crate) fn line(&self, nth: usize) -> Option<usize> {
        memchr::memchr(b'\n', self.found.byte.get(nth..self.len)?)
    }

    /// `N` of them from the `nth` on: where they stand, and which they are. Behind the last one there is anything.
    #[inline(always)]
    pub(crate) fn some<const N: usize>(&self, nth: usize) -> Option<(&[[u8; 2]; N], &[u8; N])> {
        let at = self.found.at.get(nth..)?.first_chunk()?;
        Some((at, self.found.byte.get(nth..)?.first_chunk()?))
    }
}

/// The piece in blocks of 64; what fills up the last one is not special.
#[inline(always)]
pub(super) fn blocks(piece: &[u8], mut each: impl FnMut(usize, &[u8; 64])) {
    let (blocks, rest) = piece.as_chunks();
    for (nth, block) in blocks.iter().enumerate() {
        each(nth * 64, block);
    }
    if !rest.is_empty() {
        let mut last = [b'x'; 64];
        last[..rest.len()].copy_from_slice(rest);
        each(blocks.len() * 64, &last);
    }
}

impl Found {
    /// The marks that follow so many. There is always room for a block's: a piece has no more marks than bytes.
    #[inline(always)]
    pub(super) fn room(&mut self, len: usize) -> (&mut [[u8; 2]; 64], &mut [u8; 64]) {
        let room = "room for a block behind a piece's marks";
        let at = self.at[len..].first_chunk_mut().expect(room);
        (at, self.byte[len..].first_chunk_mut().expect(room))
    }
}

/// Writes the marks that a block's bits stand for. Mostly there are fewer than twelve: no branch then hangs on how many.
#[inline(always)]
fn write(mut special: u64, base: usize, block: &[u8; 64], found: &mut Found, len: usize) -> usize {
    let count = special.count_ones() as usize;
    let (at, byte) = found.room(len);
    let mut put = |(at, byte): (&mut [u8; 2], &mut u8)| {
        let place = special.trailing_zeros() as usize & 63;
        (*at, *byte) = (((base + place) as u16).to_le_bytes(), block[place]);
        special &= special.wrapping_sub(1);
    };
    let (mut at, mut byte) = (at.iter_mut(), byte.iter_mut());
    at.by_ref().zip(byte.by_ref()).take(12).for_each(&mut put);
    if count > 12 {
        at.zip(byte).take(count - 12).for_each(put);
    }
    count
}

/// The way for every processor of this kind.
pub(super) fn portable(piece: &[u8], found: &mut Found) -> usize {
    block_by_block(piece, found, special)
}

#[inline(always)]
pub(super) fn block_by_block(
    piece: &[u8],
    found: &mut Found,
    special: fn(&[u8; 64]) -> u64,
) -> usize {
    let mut len = 0;
    blocks(piece, |base, block| len += write(special(block), base, block, found, len));
    len
}

/// A bit for each special byte, in code for any processor.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn special_by_eight(block: &[u8; 64]) -> u64 {
    const EVERY: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = EVERY * 0x80;
    let bits = block.as_chunks().0.iter().map(|eight| {
        let word = u64::from_le_bytes(*eight);
        let not_low = (word & !HIGH) + EVERY * (0x80 - b'#' as u64);
        let off = word ^ (EVERY * b'\\' as u64);
        let not_slash = ((off & !HIGH) + EVERY * 0x7f) | off;
        let marks = (!(not_low & not_slash) | word) & HIGH;
        // Eight high bits, one behind the other.
        (marks >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    });
    bits.rev().fold(0, |all, eight| all << 8 | eight)
}

#[cfg(not(target_arch = "x86_64"))]
use special_by_eight as special;

#[cfg(not(target_arch = "x86_64"))]
fn best() -> Find {
    portable
}

/// A hint that this will be looked at soon. Here it has no effect.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn soon<T>(_: &T) {}

#[cfg(target_arch = "x86_64")]
pub(crate) use super::wide::soon;
#[cfg(target_arch = "x86_64")]
use super::wide::{best, special};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(piece: &[u8]) {
        let is = |b: &u8| *b < b'#' || *b == b'\\' || *b > 0x7f;
        let want: Vec<(u16, u8)> =
            (0..).zip(piece.iter().copied()).filter(|(_, b)| is(b)).collect();
        let eights: Find = |piece, found| block_by_block(piece, found, special_by_eight);
        let mut ways = vec![("portable", portable as Find), ("eights", eights), ("best", best())];
        #[cfg(target_arch = "x86_64")]
        ways.extend(crate::log::wide::others());
        for (way, find) in ways {
            let mut marks = Marks { find, ..Marks::new(false) };
            let lines = marks.find(piece);
            assert_eq!(
                lines,
                piece.iter().rposition(|b| *b == b'\n').map(|last| last + 1),
                "{way}"
            );
            let want = want.iter().filter(|(at, _)| usize::from(*at) < lines.unwrap_or(0)).copied();
            let want: Vec<_> = want.collect();
            let bytes = marks.found.byte.iter().copied();
            let places = (0..marks.len()).map(|nth| marks.place(nth));
            let found: Vec<_> = places.zip(bytes).collect();
            assert_eq!(found, want, "{way}");
        }
    }

    #[test]
    fn every_byte_is_judged_alike_and_a_piece_may_be_full_of_them() {
        check(&(0..=255).chain([b'\n']).collect::<Vec<u8>>());
        for byte in [b' ', 0, 0x7f, 0x80, 0xff, b'\\', b'#', b'x'] {
            for len in [0, 1, 63, 64, 65, PIECE - 1, PIECE] {
                check(&vec![byte; len]);
                check(&[&vec![byte; len.saturating_sub(1)][..], b"\n"].concat());
            }
        }
    }

    proptest! {
        #[test]
        fn all_ways_find_the_same_marks(
            piece in prop::collection::vec(prop_oneof![8 => b'!'..=b'~', 1 => any::<u8>(), 2 => Just(b' ')], 0..400),
        ) {
            check(&[&piece[..], b"\n"].concat());
        }
    }
}
