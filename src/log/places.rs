//! Where the bytes stand that a line is cut at. 64 bytes are compared at once where the processor can do that, which is
//! asked at run time; else sixteen or eight at a time, by twins in safe code that give the same places.
//!
//! A byte is *special* if it is below `#` (blanks, newlines, quotes and all control bytes), a backslash, or above 0x7f.

/// At most so many bytes are looked at in one go.
pub(crate) const PIECE: usize = 16 * 1024;

/// The places of the special bytes of one piece, ascending.
#[derive(Debug)]
pub(crate) struct Places {
    all: Box<[u16; PIECE + 64]>,
    len: usize,
    find: Find,
}

/// Writes the places behind one another, and says how many there are.
pub(super) type Find = fn(&[u8], &mut [u16; PIECE + 64]) -> usize;

impl Places {
    /// None yet. `wide`: whether wide compares may be used, if the processor has them.
    pub(crate) fn new(wide: bool) -> Places {
        let find = if wide { best() } else { portable };
        Places { all: Box::new([0; PIECE + 64]), len: 0, find }
    }

    /// Finds those of another piece, which is cut at [`PIECE`] bytes.
    pub(crate) fn find(&mut self, piece: &[u8]) {
        self.len = (self.find)(piece.get(..PIECE).unwrap_or(piece), &mut self.all);
    }

    /// All of them.
    #[inline]
    pub(crate) fn all(&self) -> &[u16] {
        self.all.get(..self.len).unwrap_or_default()
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

/// The places that follow. There is always room for a block's: a piece has no more places than bytes.
#[inline(always)]
pub(super) fn room(places: &mut [u16; PIECE + 64], len: usize) -> &mut [u16; 64] {
    places[len..].first_chunk_mut().expect("room for a block behind a piece's places")
}

/// Writes the places that a block's bits stand for. Mostly there are fewer than twelve: no branch then hangs on how many.
#[inline(always)]
fn write(mut special: u64, base: usize, room: &mut [u16; 64]) -> usize {
    let count = special.count_ones() as usize;
    let mut put = |place: &mut u16| {
        *place = base as u16 + special.trailing_zeros() as u16;
        special &= special.wrapping_sub(1);
    };
    room[..12].iter_mut().for_each(&mut put);
    if count > 12 {
        room[12..count].iter_mut().for_each(put);
    }
    count
}

/// The way for every processor of this kind.
pub(super) fn portable(piece: &[u8], places: &mut [u16; PIECE + 64]) -> usize {
    block_by_block(piece, places, special)
}

#[inline(always)]
pub(super) fn block_by_block(
    piece: &[u8],
    places: &mut [u16; PIECE + 64],
    special: fn(&[u8; 64]) -> u64,
) -> usize {
    let mut len = 0;
    blocks(piece, |base, block| len += write(special(block), base, room(places, len)));
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

#[cfg(target_arch = "x86_64")]
use super::wide::{best, special};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(piece: &[u8]) {
        let is = |b: &u8| *b < b'#' || *b == b'\\' || *b > 0x7f;
        let want: Vec<u16> = (0..).zip(piece).filter_map(|(at, b)| is(b).then_some(at)).collect();
        let eights: Find = |piece, places| block_by_block(piece, places, special_by_eight);
        let mut ways = vec![("portable", portable as Find), ("eights", eights), ("best", best())];
        #[cfg(target_arch = "x86_64")]
        ways.extend(crate::log::wide::others());
        for (way, find) in ways {
            let mut places = Places { find, ..Places::new(false) };
            places.find(piece);
            assert_eq!(places.all(), want, "{way}");
        }
    }

    #[test]
    fn every_byte_is_judged_alike_and_a_piece_may_be_full_of_them() {
        check(&(0..=255).collect::<Vec<u8>>());
        for byte in [b' ', 0, 0x7f, 0x80, 0xff, b'\\', b'#', b'x'] {
            for len in [0, 1, 63, 64, 65, PIECE - 1, PIECE] {
                check(&vec![byte; len]);
            }
        }
    }

    proptest! {
        #[test]
        fn all_ways_find_the_same_places(
            piece in prop::collection::vec(prop_oneof![8 => b'!'..=b'~', 1 => any::<u8>(), 2 => Just(b' ')], 0..400),
        ) {
            check(&piece);
        }
    }
}
