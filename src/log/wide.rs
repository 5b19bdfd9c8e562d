//! The wide compares behind [`super::places`], for x86-64: which of them may be used is asked at run time. One of two
//! places in kico with `unsafe`; its twins in safe code stand there, and a test holds them equal.

use std::arch::x86_64::*;

use super::places::{Find, PIECE, block_by_block, blocks, portable, room};

/// The best way that this processor has.
#[expect(unsafe_code, reason = "the processor is asked before")]
pub(super) fn best() -> Find {
    if is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the processor has what the function asks for.
        |piece, places| unsafe { avx512(piece, places) }
    } else if is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("popcnt") {
        // SAFETY: as above.
        |piece, places| unsafe { counted(piece, places) }
    } else {
        portable
    }
}

/// A bit for each special byte: sixteen at a time, which every x86-64 can.
#[expect(unsafe_code, reason = "instructions that are part of x86-64")]
#[inline(always)]
pub(super) fn special(block: &[u8; 64]) -> u64 {
    // SAFETY: SSE2 is part of every x86-64. 16 bytes are read from 16 bytes; the instruction asks for no alignment.
    let bits = block.as_chunks::<16>().0.iter().map(|bytes| unsafe {
        let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
        let low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(b'#' as i8));
        let slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        _mm_movemask_epi8(_mm_or_si128(low, slash)) as u64
    });
    bits.rev().fold(0, |all, sixteen| all << 16 | sixteen)
}

/// The same with the instructions that count bits.
#[target_feature(enable = "bmi1,popcnt")]
pub(super) fn counted(piece: &[u8], places: &mut [u16; PIECE + 64]) -> usize {
    block_by_block(piece, places, special)
}

/// Sixty-four at a time, and their places written at once.
#[expect(unsafe_code, reason = "loads and stores of whole blocks; each is explained")]
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
/// What this processor has beside the best, for the test that holds all ways equal.
#[cfg(test)]
#[expect(unsafe_code, reason = "the processor was asked")]
pub(super) fn others() -> Vec<(&'static str, Find)> {
    match is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("popcnt") {
        // SAFETY: as above.
        true => vec![("counted", |piece, places| unsafe { counted(piece, places) })],
        false => Vec::new(),
    }
}
