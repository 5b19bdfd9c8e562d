//! Where the bytes stand that a line is cut at. Each 64 bytes are compared at once where the processor can do that, which
//! is asked at run time; else eight at a time, by a twin in safe code that gives the same places.
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
type Find = fn(&[u8], &mut [u16; PIECE + 64]) -> usize;

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
fn blocks(piece: &[u8], mut each: impl FnMut(usize, &[u8; 64])) {
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
fn room(places: &mut [u16; PIECE + 64], len: usize) -> &mut [u16; 64] {
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

/// The way for every processor.
fn portable(piece: &[u8], places: &mut [u16; PIECE + 64]) -> usize {
    const EVERY: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = EVERY * 0x80;
    let mut len = 0;
    blocks(piece, |base, block| {
        let mut special = 0;
        for (nth, eight) in block.as_chunks().0.iter().enumerate() {
            let word = u64::from_le_bytes(*eight);
            let not_low = (word & !HIGH) + EVERY * (0x80 - b'#' as u64);
            let off = word ^ (EVERY * b'\\' as u64);
            let not_slash = ((off & !HIGH) + EVERY * 0x7f) | off;
            let marks = (!(not_low & not_slash) | word) & HIGH;
            // Eight high bits, one behind the other.
            special |= ((marks >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * nth);
        }
        len += write(special, base, room(places, len));
    });
    len
}

#[cfg(not(target_arch = "x86_64"))]
fn best() -> Find {
    portable
}

#[cfg(target_arch = "x86_64")]
use x86::best;

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "functions for processors that have been asked; each use is explained"
)]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Find, PIECE, blocks, portable, room, write};

    /// The best way that this processor has.
    pub(super) fn best() -> Find {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vbmi2") {
            // SAFETY: the processor has what the function asks for.
            |piece, places| unsafe { avx512(piece, places) }
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") {
            // SAFETY: as above.
            |piece, places| unsafe { avx2(piece, places) }
        } else {
            portable
        }
    }

    #[target_feature(enable = "avx512bw,avx512vbmi2,popcnt")]
    pub(super) fn avx512(piece: &[u8], places: &mut [u16; PIECE + 64]) -> usize {
        let numbers: [u8; 64] = std::array::from_fn(|i| i as u8);
        // SAFETY: 64 bytes are read from 64 bytes, here and below; the instruction asks for no alignment.
        let (numbers, mut len) = (unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }, 0);
        blocks(piece, |base, block| {
            // SAFETY: as above.
            let block = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
            let low = _mm512_cmplt_epi8_mask(block, _mm512_set1_epi8(b'#' as i8));
            let special = low | _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(b'\\' as i8));
            let found = _mm512_maskz_compress_epi8(special, numbers);
            let (room, base) = (room(places, len), _mm512_set1_epi16(base as i16));
            let half = |half| _mm512_add_epi16(_mm512_cvtepu8_epi16(half), base);
            // SAFETY: two times 32 numbers of two bytes are written where there is room for 64.
            unsafe {
                let room = room.as_mut_ptr();
                _mm512_storeu_si512(room.cast(), half(_mm512_castsi512_si256(found)));
                if special.count_ones() > 32 {
                    let high = _mm512_extracti64x4_epi64::<1>(found);
                    _mm512_storeu_si512(room.add(32).cast(), half(high));
                }
            }
            len += special.count_ones() as usize;
        });
        len
    }

    #[target_feature(enable = "avx2,bmi1,popcnt")]
    pub(super) fn avx2(piece: &[u8], places: &mut [u16; PIECE + 64]) -> usize {
        let mut len = 0;
        blocks(piece, |base, block| {
            let half = |half: &[u8]| {
                // SAFETY: each half has 32 bytes; the instruction asks for no alignment.
                let half = unsafe { _mm256_loadu_si256(half.as_ptr().cast()) };
                let low = _mm256_cmpgt_epi8(_mm256_set1_epi8(b'#' as i8), half);
                let slash = _mm256_cmpeq_epi8(half, _mm256_set1_epi8(b'\\' as i8));
                u64::from(_mm256_movemask_epi8(_mm256_or_si256(low, slash)) as u32)
            };
            let special = half(&block[..32]) | half(&block[32..]) << 32;
            len += write(special, base, room(places, len));
        });
        len
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(piece: &[u8]) {
        let is = |b: &u8| *b < b'#' || *b == b'\\' || *b > 0x7f;
        let want: Vec<u16> = (0..).zip(piece).filter_map(|(at, b)| is(b).then_some(at)).collect();
        let mut ways: Vec<(&str, Find)> = vec![("portable", portable)];
        #[cfg(target_arch = "x86_64")]
        {
            ways.push(("best", best()));
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") {
                #[expect(unsafe_code, reason = "the processor was asked")]
                ways.push(("avx2", |piece, places| unsafe { x86::avx2(piece, places) }));
            }
        }
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
