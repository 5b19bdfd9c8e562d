//! The wide compares behind [`super::places`] and [`super::scan`], for x86-64: which of them may be used is asked at run
//! time. One of two places in kico with `unsafe`; its twins in safe code stand there, and tests hold them equal.

use std::arch::x86_64::*;

use super::places::{Find, Found, block_by_block, blocks, portable};

/// The best way that this processor has.
#[expect(unsafe_code, reason = "the processor is asked before")]
pub(super) fn best() -> Find {
    if is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the processor has what the function asks for.
        |piece, found| unsafe { avx512(piece, found) }
    } else if is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("popcnt") {
        // SAFETY: as above.
        |piece, found| unsafe { counted(piece, found) }
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
pub(super) fn counted(piece: &[u8], found: &mut Found) -> usize {
    block_by_block(piece, found, special)
}

/// Sixty-four at a time, and their marks written at once.
///
/// What shuffles bytes across a vector, and what compares them, has one port of the processor to itself. So a special byte
/// is told by its sign, after additions: it has it already, or below `#` gets it, or as a backslash.
#[expect(unsafe_code, reason = "loads and stores of whole blocks; each is explained")]
#[target_feature(enable = "avx512bw,avx512vbmi,avx512vbmi2,popcnt")]
pub(super) fn avx512(piece: &[u8], found: &mut Found) -> usize {
    let numbers: [u8; 64] = std::array::from_fn(|i| i as u8);
    // SAFETY: 64 bytes are read from 64 bytes, here and below; the instruction asks for no alignment.
    let (numbers, mut len) = (unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }, 0);
    let mut base = _mm512_setzero_si512();
    blocks(piece, |_, block| {
        // SAFETY: as above.
        let block = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
        let low = _mm512_sub_epi8(block, _mm512_set1_epi8(b'#' as i8));
        let other = _mm512_xor_si512(block, _mm512_set1_epi8(b'\\' as i8));
        let slash = _mm512_sub_epi8(other, _mm512_set1_epi8(1));
        let signs = _mm512_or_si512(_mm512_or_si512(block, low), slash);
        let special = _mm512_movepi8_mask(signs);
        let places = _mm512_maskz_compress_epi8(special, numbers);
        let half = |half| _mm512_add_epi16(_mm512_cvtepu8_epi16(half), base);
        let (at, byte) = found.room(len);
        // SAFETY: 64 bytes, and two times 32 numbers of two bytes, are written where there is room for 64 of each.
        unsafe {
            let (at, byte) = (at.as_mut_ptr(), byte.as_mut_ptr());
            _mm512_storeu_si512(byte.cast(), _mm512_permutexvar_epi8(places, block));
            _mm512_storeu_si512(at.cast(), half(_mm512_castsi512_si256(places)));
            if special.count_ones() > 32 {
                let high = _mm512_extracti64x4_epi64::<1>(places);
                _mm512_storeu_si512(at.add(32).cast(), half(high));
            }
        }
        len += special.count_ones() as usize;
        base = _mm512_add_epi16(base, _mm512_set1_epi16(64));
    });
    len
}

/// A hint that this will be looked at soon: it is fetched meanwhile.
#[expect(unsafe_code, reason = "an instruction without effect, part of x86-64")]
#[inline(always)]
pub(crate) fn soon<T>(value: &T) {
    // SAFETY: SSE is part of every x86-64, and nothing is read.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
}

/// What this processor has beside the best, for the test that holds all ways equal.
#[cfg(test)]
#[expect(unsafe_code, reason = "the processor was asked")]
pub(super) fn others() -> Vec<(&'static str, Find)> {
    match is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("popcnt") {
        // SAFETY: as above.
        true => vec![("counted", |piece, found| unsafe { counted(piece, found) })],
        false => Vec::new(),
    }
}

/// What every x86-64 can do with sixteen bytes, for `scan::lanes`.
#[expect(unsafe_code, reason = "instructions that are part of x86-64")]
pub(super) mod lanes {
    use std::arch::x86_64::*;

    pub(in super::super) type Sixteen = __m128i;

    macro_rules! sse2 {
        ($($name:ident($($it:ident: $type:ty),*) -> $out:ty = $body:expr;)*) => {
            $(#[inline(always)]
            pub(in super::super) fn $name($($it: $type),*) -> $out {
                // SAFETY: SSE2 is part of every x86-64, and these read nothing but the values they are given.
                unsafe { $body }
            })*
        };
    }

    sse2! {
        pair(low: u64, high: u64) -> Sixteen = _mm_set_epi64x(high as i64, low as i64);
        all(byte: u8) -> Sixteen = _mm_set1_epi8(byte as i8);
        over(a: Sixteen, least: u8, most: u8) -> Sixteen =
            _mm_subs_epu8(_mm_sub_epi8(a, all(least)), all(most));
        equal(a: Sixteen, byte: u8) -> Sixteen = _mm_cmpeq_epi8(a, all(byte));
        minus(a: Sixteen, b: Sixteen) -> Sixteen = _mm_sub_epi16(a, b);
        saturating_minus(a: Sixteen, b: Sixteen) -> Sixteen = _mm_subs_epu16(a, b);
        xor(a: Sixteen, b: Sixteen) -> Sixteen = _mm_xor_si128(a, b);
        and(a: Sixteen, b: Sixteen) -> Sixteen = _mm_and_si128(a, b);
        or(a: Sixteen, b: Sixteen) -> Sixteen = _mm_or_si128(a, b);
        is_zero(a: Sixteen) -> bool =
            _mm_movemask_epi8(_mm_cmpeq_epi8(a, _mm_setzero_si128())) == 0xffff;
    }
}
