//! Spelled names, each once → small numbers. A name's number is its place among them.
//!
//! The tables' seeds are random: names are chosen by those who ask, and must not be able to fill one place. No order of
//! these tables ever reaches an output.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::bound::keep;
use super::intern::small;
use super::rank::name_rank;
use super::table::{Slot, Table, fold, keys};
use crate::log::places::soon;

/// A name that is not longer is hashed and compared in one go, with no branch that hangs on its length.
pub(super) const NEAR: usize = 64;

/// A short name, and zeros behind it: one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Near([u8; NEAR]);

type Words = [u64; NEAR / 8];

/// A short name that will be looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct NearName {
    words: Words,
    hash: u64,
}

impl NearName {
    /// With zeros behind it.
    pub(super) fn text(&self) -> [u8; NEAR] {
        let mut bytes = [0; NEAR];
        for (eight, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.words) {
            *eight = word.to_le_bytes();
        }
        bytes
    }
}

/// All names.
#[derive(Debug)]
pub(super) struct Names {
    /// Zeros stand for a long one.
    near: Vec<Near>,
    /// How long a short one is, or [`LONG`].
    lens: Vec<u8>,
    /// As [`name_rank`] has it.
    ranks: Vec<u64>,
    /// Longer than [`NEAR`] or with a zero in them, and their numbers, ascending.
    long: Vec<(u32, Box<str>)>,
    table: Table<Known>,
    /// For the lower and the upper half of each word.
    keys: [Words; 2],
    state: RandomState,
}

const LONG: u8 = u8::MAX;

/// Which name it may be, by half of its hash: others mostly differ in it.
#[derive(Clone, Copy, Debug)]
struct Known {
    tag: u32,
    id: u32,
}

impl Slot for Known {
    const EMPTY: Known = Known { tag: 0, id: u32::MAX };

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.id == u32::MAX
    }
}

impl Default for Names {
    fn default() -> Names {
        Names {
            near: Vec::new(),
            lens: Vec::new(),
            ranks: Vec::new(),
            long: Vec::new(),
            table: Table::default(),
            keys: [keys(), keys()],
            state: RandomState::default(),
        }
    }
}

impl Names {
    /// The name that is the first `len` of these bytes; none of them is zero.
    #[inline(always)]
    pub(super) fn near(&self, bytes: &[u8; NEAR], len: usize) -> NearName {
        let (words, mask) = (words(bytes), mask(len));
        let words = std::array::from_fn(|i| words[i] & mask[i]);
        let hash = self.hash_near(&words);
        self.table.soon(hash);
        NearName { words, hash }
    }

    /// It will be looked up: its slot has come from memory.
    #[inline(always)]
    pub(super) fn soon(&self, name: &NearName) {
        if let Some(id) = self.table.first(name.hash).map(|known| known.id)
            && let Some(near) = self.near.get(id as usize)
        {
            soon(near);
        }
    }

    /// Its number, if it has one.
    #[inline(always)]
    pub(super) fn find_near(&self, name: &NearName) -> Option<u32> {
        self.find_same(name.hash, |id| self.is_near(id, &name.words))
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        match short(name) {
            Some(near) => {
                let words = words(&near.0);
                let is_short = |id: u32| self.lens.get(id as usize) != Some(&LONG);
                let same = |id| self.is_near(id, &words) && is_short(id);
                self.find_same(self.hash_near(&words), same)
            }
            None => self.find_same(self.state.hash_one(name), |id| self.bytes(id) == name),
        }
    }

    #[inline(always)]
    fn find_same(&self, hash: u64, same: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        let at = self.table.find(hash, |known| known.tag == tag && same(known.id))?;
        Some(self.table.slot(at).id)
    }

    #[inline(always)]
    fn is_near(&self, id: u32, with: &Words) -> bool {
        let Some(near) = self.near.get(id as usize) else { return false };
        let words = words(&near.0);
        (0..with.len()).fold(0, |off, i| off | (words[i] ^ with[i])) == 0
    }

    /// The name's number, a new one if need be.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        if let Some(id) = self.find(name.as_bytes()) {
            return id;
        }
        let id = small(self.len());
        let near = short(name.as_bytes());
        self.near.push(near.unwrap_or(Near([0; NEAR])));
        self.lens.push(near.map_or(LONG, |_| name.len() as u8));
        self.ranks.push(name_rank(name));
        if near.is_none() {
            self.long.push((id, name.into()));
        }
        self.know(id);
        id
    }

    fn know(&mut self, id: u32) {
        let mut table = std::mem::take(&mut self.table);
        let hash = self.hash(id);
        let hash_of = |known: &Known| if known.id == id { hash } else { self.hash(known.id) };
        table.insert(Known { tag: tag(hash), id }, hash_of);
        self.table = table;
    }

    fn hash(&self, id: u32) -> u64 {
        let name = self.bytes(id);
        match short(name) {
            Some(near) => self.hash_near(&words(&near.0)),
            None => self.state.hash_one(name),
        }
    }

    /// The sum of the products of each word's halves, each of them shifted by a secret: two names that were chosen without
    /// knowing those fall together once in 2³² times. (Black and others: UMAC, 1999.)
    #[inline(always)]
    fn hash_near(&self, words: &Words) -> u64 {
        const HALF: u64 = u32::MAX as u64;
        let [lower, upper] = &self.keys;
        let product = |i: usize| {
            let low = words[i].wrapping_add(lower[i]) & HALF;
            let high = (words[i] >> 32).wrapping_add(upper[i]) & HALF;
            low * high
        };
        let sum = (0..words.len()).fold(0, |sum: u64, i| sum.wrapping_add(product(i)));
        fold(sum, 0x9e37_79b9_7f4a_7c15)
    }

    fn bytes(&self, id: u32) -> &[u8] {
        let (near, len) = match (self.near.get(id as usize), self.lens.get(id as usize)) {
            (Some(near), Some(len)) => (near, *len),
            _ => return &[],
        };
        if len == LONG {
            let at = self.long.binary_search_by_key(&id, |(id, _)| *id);
            return at
                .ok()
                .and_then(|at| self.long.get(at))
                .map_or(&[], |(_, name)| name.as_bytes());
        }
        near.0.get(..usize::from(len)).unwrap_or_default()
    }

    pub(super) fn get(&self, id: u32) -> &str {
        std::str::from_utf8(self.bytes(id)).unwrap_or_default()
    }

    /// What it adds to the rank of its pairs.
    pub(super) fn rank(&self, id: u32) -> u64 {
        self.ranks.get(id as usize).copied().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.near.len()
    }

    /// No name can be found any more: they can still be got.
    pub(super) fn drop_table(&mut self) {
        self.table = Table::default();
    }

    /// Forgets all names but these, in place. What was the first of these is number 0 now, and so on.
    pub(super) fn keep(&mut self, these: &[bool]) {
        self.table.clear();
        let kept = |id: usize| these.get(id) == Some(&true);
        let mut numbers = (0..).zip(these).filter(|(_, kept)| **kept).map(|(old, _)| old);
        let mut old_to_new = (0..).zip(numbers.by_ref());
        self.long.retain(|(id, _)| kept(*id as usize));
        for (id, _) in &mut self.long {
            if let Some((new, _)) = old_to_new.find(|(_, old)| old == id) {
                *id = new;
            }
        }
        keep(&mut self.near, these);
        keep(&mut self.lens, these);
        keep(&mut self.ranks, these);
        for id in 0..self.len() {
            self.know(small(id));
        }
    }
}

/// `None`: it is a long one.
fn short(name: &[u8]) -> Option<Near> {
    let mut near = [0; NEAR];
    near.get_mut(..name.len())?.copy_from_slice(name);
    (!name.contains(&0)).then_some(Near(near))
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[inline(always)]
fn words(bytes: &[u8; NEAR]) -> Words {
    let eights = bytes.as_chunks().0;
    std::array::from_fn(|i| eights.get(i).map_or(0, |eight| u64::from_le_bytes(*eight)))
}

/// All bits of the first `len` bytes.
#[inline(always)]
fn mask(len: usize) -> Words {
    static ALL: [u8; 2 * NEAR] = {
        let mut masks = [0; 2 * NEAR];
        let mut i = 0;
        while i < NEAR {
            masks[i] = 0xff;
            i += 1;
        }
        masks
    };
    ALL[NEAR - len.min(NEAR)..].first_chunk().map_or([0; NEAR / 8], words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_found_by_its_number_and_its_number_by_the_name(
            names in prop::collection::vec("[a-c\\PC\0]{0,3}|[ab]{62,66}", 1..60),
            kept in prop::collection::vec(any::<bool>(), 60),
        ) {
            let mut all = Names::default();
            let mut want: Vec<&str> = Vec::new();
            for name in &names {
                let id = all.intern(name);
                if !want.contains(&&**name) {
                    want.push(name);
                }
                prop_assert_eq!(want.iter().position(|known| known == name), Some(id as usize));
            }
            let check = |all: &Names, want: &[&str]| {
                for (id, name) in (0..).zip(want) {
                    assert_eq!((all.get(id), all.find(name.as_bytes())), (*name, Some(id)));
                    let mut near = [b'x'; NEAR];
                    if !name.is_empty() && short(name.as_bytes()).is_some() {
                        near[..name.len()].copy_from_slice(name.as_bytes());
                        assert_eq!(all.find_near(&all.near(&near, name.len())), Some(id));
                    }
                }
                assert_eq!(all.len(), want.len());
            };
            check(&all, &want);
            let kept = kept.get(..want.len()).unwrap_or_default();
            all.keep(kept);
            let gone = want.iter().zip(kept).filter(|(_, kept)| !**kept);
            for (name, _) in gone {
                prop_assert_eq!(all.find(name.as_bytes()), None);
            }
            let mut keeps = kept.iter();
            want.retain(|_| keeps.next() == Some(&true));
            check(&all, &want);
        }
    }
}
