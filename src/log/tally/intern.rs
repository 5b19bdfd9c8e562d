//! Texts that come again and again → small numbers. Two tables, both on the way of every record: names, and the
//! clients' texts as they stand in the log.
//!
//! The tables' seeds are random: names are chosen by those who ask, and must not be able to fill one bucket. No order
//! of these tables ever reaches an output.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::table::{Slot, Table, fold, keys};

/// Spelled names, each once, one behind the other in one text. A name's number is its place among them.
#[derive(Debug)]
pub(super) struct Names {
    /// Behind the last one there are [`NEAR`] bytes more.
    text: Vec<u8>,
    /// Where each name ends, and the next one starts.
    ends: Vec<usize>,
    table: Table<Known>,
    keys: [u64; NEAR / 8],
    state: RandomState,
}

/// A name that is not longer is hashed and compared in one go, with no branch that hangs on its length.
pub(super) const NEAR: usize = 64;

/// Where a name stands, and which it is. Most others are told apart by their hash, without a look at their text.
#[derive(Clone, Copy, Debug)]
struct Known {
    start: usize,
    id: u32,
    len: u16,
    hash: u16,
}

impl Slot for Known {
    const EMPTY: Known = Known { start: 0, id: u32::MAX, len: 0, hash: 0 };

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.id == u32::MAX
    }
}

impl Default for Names {
    fn default() -> Names {
        let (table, state) = (Table::default(), RandomState::default());
        Names { text: vec![0; NEAR], ends: Vec::new(), table, keys: keys(), state }
    }
}

impl Names {
    /// The number of the name that is the first `len` of these bytes.
    #[inline(always)]
    pub(super) fn find_near(&self, near: &[u8; NEAR], len: usize) -> Option<u32> {
        let hash = self.hash_near(near, len);
        let at = self.table.find(hash, |known| {
            known.hash == (hash >> 48) as u16
                && usize::from(known.len) == len
                && self.near(known.start).is_some_and(|text| is_same(text, near, len))
        })?;
        Some(self.table.slot(at).id)
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        self.find_hashed(self.hash(name), name)
    }

    fn find_hashed(&self, hash: u64, name: &[u8]) -> Option<u32> {
        let at = self.table.find(hash, |known| {
            known.hash == (hash >> 48) as u16 && self.text.get(self.bytes(known)) == Some(name)
        })?;
        Some(self.table.slot(at).id)
    }

    #[inline(always)]
    fn near(&self, start: usize) -> Option<&[u8; NEAR]> {
        self.text.get(start..)?.first_chunk()
    }

    fn bytes(&self, known: &Known) -> Range<usize> {
        self.span(known.id as usize).unwrap_or_default()
    }

    /// The name's number, a new one if need be.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        let name = name.as_bytes();
        let hash = self.hash(name);
        if let Some(id) = self.find_hashed(hash, name) {
            return id;
        }
        let (start, id) = (self.text.len() - NEAR, small(self.len()));
        self.text.truncate(start);
        self.text.extend_from_slice(name);
        self.ends.push(self.text.len());
        self.text.resize(self.text.len() + NEAR, 0);
        self.know(hash, start, name.len(), id);
        id
    }

    fn know(&mut self, hash: u64, start: usize, len: usize, id: u32) {
        // One that does not fit is found by its hash and its text all the same.
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        let known = Known { start, id, len, hash: (hash >> 48) as u16 };
        let mut table = std::mem::take(&mut self.table);
        table.insert(known, |known| match known.id == id {
            true => hash,
            false => self.hash(self.text.get(self.bytes(known)).unwrap_or_default()),
        });
        self.table = table;
    }

    #[inline(always)]
    fn hash_near(&self, near: &[u8; NEAR], len: usize) -> u64 {
        let mut hash = 0_u64;
        let mask = mask(len);
        for i in 0..NEAR / 16 {
            let word = |i: usize| (word(near, i) & word(mask, i)) ^ self.keys[i];
            hash = hash.wrapping_add(fold(word(2 * i), word(2 * i + 1)));
        }
        hash
    }

    fn hash(&self, name: &[u8]) -> u64 {
        let mut near = [0; NEAR];
        match near.get_mut(..name.len()) {
            Some(begin) => {
                begin.copy_from_slice(name);
                self.hash_near(&near, name.len())
            }
            None => {
                let mut hasher = self.state.build_hasher();
                hasher.write(name);
                hasher.finish()
            }
        }
    }

    pub(super) fn get(&self, id: u32) -> &str {
        let name = self.span(id as usize).and_then(|span| self.text.get(span));
        name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }

    fn span(&self, id: usize) -> Option<Range<usize>> {
        let start = id.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        Some(start..*self.ends.get(id)?)
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// No name can be found any more: they can still be got.
    pub(super) fn drop_table(&mut self) {
        self.table = Table::default();
    }

    /// Forgets all names but these, in place. What was the first of these is number 0 now, and so on.
    pub(super) fn keep(&mut self, these: &[bool]) {
        self.table.clear();
        let (mut old, mut start, mut id) = (0, 0, 0);
        for (nth, keep) in (0..self.ends.len()).zip(these) {
            let end = self.ends[nth];
            if *keep {
                self.text.copy_within(old..end, start);
                start += end - old;
                self.ends[id] = start;
                id += 1;
            }
            old = end;
        }
        self.ends.truncate(id);
        self.text.truncate(start + NEAR);
        for id in 0..id {
            let Some(span) = self.span(id) else { continue };
            let hash = self.hash(self.text.get(span.clone()).unwrap_or_default());
            self.know(hash, span.start, span.len(), small(id));
        }
    }
}

/// All bits of the first `len` bytes.
#[inline(always)]
fn mask(len: usize) -> &'static [u8; NEAR] {
    const MASKS: [u8; 2 * NEAR] = {
        let mut masks = [0; 2 * NEAR];
        let mut i = 0;
        while i < NEAR {
            masks[i] = 0xff;
            i += 1;
        }
        masks
    };
    static ALL: [u8; 2 * NEAR] = MASKS;
    ALL[NEAR - len.min(NEAR)..].first_chunk().unwrap_or(&[0; NEAR])
}

#[inline(always)]
fn word(bytes: &[u8; NEAR], nth: usize) -> u64 {
    bytes.as_chunks().0.get(nth).map_or(0, |word| u64::from_le_bytes(*word))
}

#[inline(always)]
fn is_same(a: &[u8; NEAR], b: &[u8; NEAR], len: usize) -> bool {
    let mask = mask(len);
    (0..NEAR / 8).fold(0, |off, i| off | ((word(a, i) ^ word(b, i)) & word(mask, i))) == 0
}

/// Counts of things in memory fit: a tally of four thousand million rows would not.
pub(super) fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Clients' texts → numbers. A cache: it may be emptied at any time.
#[derive(Debug)]
pub(super) struct Texts {
    short: Table<Text>,
    long: HashMap<Box<[u8]>, u32, RandomState>,
    keys: [u64; 2],
}

/// A short text and its client.
#[derive(Clone, Copy, Debug)]
struct Text {
    short: Short,
    id: u32,
}

impl Slot for Text {
    const EMPTY: Text = Text { short: Short { first: 0, last: 0, len: 0 }, id: u32::MAX };

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.id == u32::MAX
    }
}

impl Default for Texts {
    fn default() -> Texts {
        Texts { short: Table::default(), long: HashMap::default(), keys: keys() }
    }
}

/// A text of 4 to 16 bytes, which every IPv4 address is, read as two numbers that overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Short {
    first: u64,
    last: u64,
    len: u32,
}

impl Short {
    #[inline]
    fn of(text: &[u8]) -> Option<Short> {
        let len = text.len() as u32;
        match len {
            8..=16 => {
                let first = u64::from_le_bytes(*text.first_chunk()?);
                Some(Short { first, last: u64::from_le_bytes(*text.last_chunk()?), len })
            }
            4..=7 => {
                let first = u32::from_le_bytes(*text.first_chunk()?).into();
                Some(Short { first, last: u32::from_le_bytes(*text.last_chunk()?).into(), len })
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn hash(self, keys: [u64; 2]) -> u64 {
        fold(self.first ^ keys[0], self.last ^ keys[1])
    }
}

impl Texts {
    #[inline(always)]
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        match Short::of(text) {
            Some(short) => {
                let at = self.short.find(short.hash(self.keys), |known| known.short == short)?;
                Some(self.short.slot(at).id)
            }
            None => self.long.get(text).copied(),
        }
    }

    /// Remembers a text that was not found.
    pub(super) fn insert(&mut self, text: &[u8], id: u32) {
        match Short::of(text) {
            Some(short) => {
                self.short.insert(Text { short, id }, |known| known.short.hash(self.keys));
            }
            None => _ = self.long.insert(text.into(), id),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }

    pub(super) fn clear(&mut self) {
        self.short.clear();
        self.long.clear();
    }
}
