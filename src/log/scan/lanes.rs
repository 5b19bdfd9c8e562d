//! Bytes that are compared at once: eight in a word, or sixteen in the instructions that every x86-64 has, and in plain
//! code elsewhere; a test holds the two equal.

/// A one in each byte.
pub(super) const EVERY: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
pub(super) const HIGH: u64 = EVERY * 0x80;

/// The highest bit of each byte that is no decimal digit.
#[inline(always)]
pub(super) fn others(word: u64) -> u64 {
    let word = word ^ (EVERY * b'0' as u64);
    // It was above 0x7f, or adding carries it there.
    (((word & !HIGH) + EVERY * (0x80 - 10)) | word) & HIGH
}

/// Sixteen bytes, or eight numbers of sixteen bits, lowest first.
#[derive(Clone, Copy)]
pub(super) struct Lanes(lanes::Sixteen);

impl Lanes {
    /// These sixteen bytes.
    #[inline(always)]
    pub(super) fn of(bytes: &[u8; 16]) -> Lanes {
        let (words, _) = bytes.as_chunks();
        Lanes::pair(u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]))
    }

    /// Two words.
    #[inline(always)]
    pub(super) fn pair(low: u64, high: u64) -> Lanes {
        Lanes(lanes::pair(low, high))
    }

    /// Each byte is zero if it is a decimal digit.
    #[inline(always)]
    pub(super) fn no_digits(self) -> Lanes {
        Lanes(lanes::over(self.0, b'0', 9))
    }

    /// Each byte is zero if it is another one.
    #[inline(always)]
    pub(super) fn that_are(self, byte: u8) -> Lanes {
        Lanes(lanes::equal(self.0, byte))
    }

    /// How far each number is above these numbers.
    #[inline(always)]
    pub(super) fn above(self, these: Lanes) -> Lanes {
        Lanes(lanes::minus(self.0, these.0))
    }

    /// By how much each number is over its most, or zero.
    #[inline(always)]
    pub(super) fn over(self, most: Lanes) -> Lanes {
        Lanes(lanes::saturating_minus(self.0, most.0))
    }

    #[inline(always)]
    pub(super) fn xor(self, other: Lanes) -> Lanes {
        Lanes(lanes::xor(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn and(self, other: Lanes) -> Lanes {
        Lanes(lanes::and(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn or(self, other: Lanes) -> Lanes {
        Lanes(lanes::or(self.0, other.0))
    }

    /// Whether all of it is zero.
    #[inline(always)]
    pub(super) fn is_zero(self) -> bool {
        lanes::is_zero(self.0)
    }
}

#[cfg(target_arch = "x86_64")]
use crate::log::wide::lanes;
#[cfg(not(target_arch = "x86_64"))]
use plain as lanes;

#[cfg(any(test, not(target_arch = "x86_64")))]
mod plain {
    pub(super) type Sixteen = [u8; 16];

    #[inline(always)]
    pub(super) fn pair(low: u64, high: u64) -> Sixteen {
        (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
    }

    #[inline(always)]
    fn bytes(a: Sixteen, b: Sixteen, each: impl Fn(u8, u8) -> u8) -> Sixteen {
        std::array::from_fn(|i| each(a[i], b[i]))
    }

    #[inline(always)]
    fn numbers(a: Sixteen, b: Sixteen, each: impl Fn(u16, u16) -> u16) -> Sixteen {
        let mut all = a;
        for (a, b) in all.as_chunks_mut().0.iter_mut().zip(b.as_chunks().0) {
            *a = each(u16::from_le_bytes(*a), u16::from_le_bytes(*b)).to_le_bytes();
        }
        all
    }

    #[inline(always)]
    pub(super) fn over(a: Sixteen, least: u8, most: u8) -> Sixteen {
        a.map(|a| a.wrapping_sub(least).saturating_sub(most))
    }

    #[inline(always)]
    pub(super) fn equal(a: Sixteen, byte: u8) -> Sixteen {
        a.map(|a| if a == byte { 0xff } else { 0 })
    }

    #[inline(always)]
    pub(super) fn minus(a: Sixteen, b: Sixteen) -> Sixteen {
        numbers(a, b, u16::wrapping_sub)
    }

    #[inline(always)]
    pub(super) fn saturating_minus(a: Sixteen, b: Sixteen) -> Sixteen {
        numbers(a, b, u16::saturating_sub)
    }

    #[inline(always)]
    pub(super) fn xor(a: Sixteen, b: Sixteen) -> Sixteen {
        bytes(a, b, |a, b| a ^ b)
    }

    #[inline(always)]
    pub(super) fn and(a: Sixteen, b: Sixteen) -> Sixteen {
        bytes(a, b, |a, b| a & b)
    }

    #[inline(always)]
    pub(super) fn or(a: Sixteen, b: Sixteen) -> Sixteen {
        bytes(a, b, |a, b| a | b)
    }

    #[inline(always)]
    pub(super) fn is_zero(a: Sixteen) -> bool {
        a == [0; 16]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{lanes, plain};

    /// What both make of the same words is the same: then their exclusive or with it is zero in both.
    macro_rules! check {
        ($a:expr, $b:expr, $what:ident $(, $more:expr)*) => {{
            let [a, b] = [$a, $b];
            let want = plain::$what(plain::pair(a[0], a[1]) $(, $more(&plain::pair, b))*);
            let got = lanes::$what(lanes::pair(a[0], a[1]) $(, $more(&lanes::pair, b))*);
            let (words, _) = want.as_chunks();
            let want = lanes::pair(u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]));
            prop_assert!(lanes::is_zero(lanes::xor(got, want)), stringify!($what));
        }};
    }

    fn other<T>(pair: &dyn Fn(u64, u64) -> T, words: [u64; 2]) -> T {
        pair(words[0], words[1])
    }

    proptest! {
        #[test]
        fn both_ways_give_the_same(a in any::<[u64; 2]>(), b in any::<[u64; 2]>(), same: bool, low: u8, high: u8) {
            let b = if same { a } else { b };
            check!(a, b, minus, other);
            check!(a, b, saturating_minus, other);
            check!(a, b, xor, other);
            check!(a, b, and, other);
            check!(a, b, or, other);
            check!(a, b, over, |_, _| low, |_, _| high);
            check!(a, b, equal, |_, _| low);
            let (one, two) = (lanes::pair(a[0], a[1]), plain::pair(a[0], a[1]));
            let (b, c) = (lanes::pair(b[0], b[1]), plain::pair(b[0], b[1]));
            let zero = lanes::is_zero(lanes::xor(one, b));
            prop_assert_eq!(zero, plain::is_zero(plain::xor(two, c)));
            prop_assert_eq!(zero, same || a == [0; 2] && zero);
        }
    }
}
