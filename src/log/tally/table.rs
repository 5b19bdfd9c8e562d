//! An open hash table of small slots, for the three look-ups that every record costs. Slots stand where their hash says, or
//! right behind: a look-up is one cache line and mostly one comparison. Nothing is ever removed.

use crate::log::input::spread;
use crate::log::places::soon;

/// What a table is made of.
pub(super) trait Slot: Copy {
    /// A slot that holds nothing.
    const EMPTY: Self;
    /// Whether it holds nothing.
    fn is_empty(&self) -> bool;
}

/// Slots by their hash. The hash must be seeded: what is looked up here is chosen by those who ask.
#[derive(Debug)]
pub(super) struct Table<S> {
    /// Empty, or a power of two of them.
    slots: Vec<S>,
    used: usize,
}

impl<S> Default for Table<S> {
    fn default() -> Table<S> {
        Table { slots: Vec::new(), used: 0 }
    }
}

impl<S: Slot> Table<S> {
    /// How many slots are used.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// The place of the slot of this hash that is the same.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, same: impl Fn(&S) -> bool) -> Option<usize> {
        let slots = self.slots.as_slice();
        if slots.is_empty() {
            return None;
        }
        // There is always an empty slot, so this ends.
        let mut at = hash as usize & (slots.len() - 1);
        loop {
            let slot = &slots[at];
            if same(slot) && !slot.is_empty() {
                return Some(at);
            }
            if slot.is_empty() {
                return None;
            }
            at = (at + 1) & (slots.len() - 1);
        }
    }

    /// A look-up of this hash will follow.
    #[inline(always)]
    pub(super) fn soon(&self, hash: u64) {
        if let Some(slot) = self.first(hash) {
            soon(slot);
        }
    }

    /// The slot where a look-up of this hash begins.
    #[inline(always)]
    pub(super) fn first(&self, hash: u64) -> Option<&S> {
        self.slots.get(hash as usize & self.slots.len().wrapping_sub(1))
    }

    /// The slot at a place.
    #[inline(always)]
    pub(super) fn slot(&self, at: usize) -> &S {
        &self.slots[at]
    }

    /// The slot at a place.
    #[inline(always)]
    pub(super) fn slot_mut(&mut self, at: usize) -> &mut S {
        &mut self.slots[at]
    }

    /// All, so many at a time, and those among them that hold nothing.
    pub(super) fn chunks_mut(&mut self, many: usize) -> impl Iterator<Item = &mut [S]> {
        self.slots.chunks_mut(many)
    }

    /// Adds one that is not there yet; `rehash` gives the hash of any.
    pub(super) fn insert(&mut self, slot: S, rehash: impl Fn(&S) -> u64) {
        // At most five of eight are used.
        if (self.used + 1) * 8 > self.slots.len() * 5 {
            let mut bigger = Vec::new();
            let slots = (self.slots.len() * 2).max(16);
            bigger.reserve_exact(slots);
            spread(bigger.spare_capacity_mut());
            bigger.resize(slots, S::EMPTY);
            for slot in std::mem::replace(&mut self.slots, bigger) {
                if !slot.is_empty() {
                    self.put(slot, rehash(&slot));
                }
            }
        }
        self.put(slot, rehash(&slot));
        self.used += 1;
    }

    fn put(&mut self, slot: S, hash: u64) {
        let last = self.slots.len() - 1;
        let mut at = hash as usize & last;
        while !self.slots[at].is_empty() {
            at = (at + 1) & last;
        }
        self.slots[at] = slot;
    }

    /// Forgets all, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.slots.fill(S::EMPTY);
        self.used = 0;
    }
}

/// Two words → one that hangs on all their bits. The keys are random and secret.
#[inline(always)]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// A word that somebody else may have chosen → its hash. The keys are random and secret.
#[inline(always)]
pub(super) fn hash(word: u64, keys: [u64; 2]) -> u64 {
    fold(word ^ keys[0], keys[1])
}

/// Random numbers for hashes, new in each run.
pub(super) fn keys<const N: usize>() -> [u64; N] {
    use std::hash::{BuildHasher, RandomState};
    let state = RandomState::new();
    std::array::from_fn(|n| state.hash_one(n))
}
