//! What is counted of a cell since it was last settled: sixteen bytes, found by (client, name, part, kind), so that a
//! record that adds to what is there touches a quarter of a cache line, and one word more where it has a time.

use hashbrown::HashMap;

use super::cell::{Cell, Part};
use super::intern::small;
use super::table::{Slot, Table, hash, keys};
use crate::log::places::soon;
use crate::log::record::Kind;
use crate::time::Time;

/// Which records a cell is of: client, name, and the number of part and kind (`Sorts`), in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(u64);

// So many bits each. Few tallies come near four million clients or sixty-four million names; what does not fit into a key
// is `far`. In tests that is nearly everything.
const NAME: u32 = if cfg!(test) { 4 } else { 26 };
const CLIENT: u32 = if cfg!(test) { 3 } else { 22 };
const SORT: u32 = if cfg!(test) { 3 } else { 16 };

impl Key {
    #[inline(always)]
    fn new(client: u32, name: u32, sort: u32) -> Option<Key> {
        let fits = (client >> CLIENT) | (name >> NAME) | (sort >> SORT) == 0;
        let (client, name, sort) = (u64::from(client), u64::from(name), u64::from(sort));
        fits.then_some(Key((client << NAME | name) << SORT | sort))
    }

    pub(super) fn client(self) -> u32 {
        (self.0 >> (NAME + SORT)) as u32
    }

    pub(super) fn name(self) -> u32 {
        (self.0 >> SORT) as u32 & ((1 << NAME) - 1)
    }
}

/// What came to a cell since it was settled.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
struct Hot {
    key: Key,
    cell: u32,
    counts: [u16; 2],
}

impl Slot for Hot {
    const EMPTY: Hot = Hot { key: Key(0), cell: u32::MAX, counts: [0; 2] };

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.cell == u32::MAX
    }
}

/// Cells by what they are of.
#[derive(Debug)]
pub(super) struct Index {
    table: Table<Hot>,
    /// Cells that no key can stand for: client, name, part and kind.
    far: HashMap<(u32, u32, u64), u32>,
    /// By cell: the last time of its records, or of the first one if none of them has a time.
    last: Vec<Time>,
    /// Whether any has one.
    timed: bool,
    sorts: Sorts,
    keys: [u64; 2],
}

impl Default for Index {
    fn default() -> Index {
        let (table, far, last) = (Table::default(), HashMap::new(), Vec::new());
        Index { table, far, last, timed: false, sorts: Sorts::default(), keys: keys() }
    }
}

/// Where a record was counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Added {
    pub(super) cell: u32,
    /// The hot count was full, and begins again.
    pub(super) full: bool,
}

/// How many records a hot count was, when it is full.
pub(super) const FULL: u64 = 1 << 16;

impl Index {
    /// The key of these records, if they have one.
    #[inline(always)]
    pub(super) fn key(&mut self, client: u32, name: u32, part: Part, kind: Kind) -> Option<Key> {
        Key::new(client, name, self.sorts.of(part, kind))
    }

    #[inline(always)]
    pub(super) fn hash(&self, key: Key) -> u64 {
        hash(key.0, self.keys)
    }

    /// A record of this hash will be counted.
    #[inline(always)]
    pub(super) fn soon(&self, hash: u64) {
        self.table.soon(hash);
    }

    #[inline(always)]
    fn at(&self, hash: u64, key: Key) -> Option<usize> {
        self.table.find(hash, |hot| hot.key == key)
    }

    /// The cell that counts these records.
    pub(super) fn find(&mut self, client: u32, name: u32, part: Part, kind: Kind) -> Option<u32> {
        match self.key(client, name, part, kind) {
            Some(key) => Some(self.table.slot(self.at(self.hash(key), key)?).cell),
            None => self.far.get(&(client, name, sort(part, kind))).copied(),
        }
    }

    /// Counts one more. `None`: there is no such cell.
    #[inline(always)]
    pub(super) fn add(&mut self, hash: u64, key: Key, which: usize) -> Option<Added> {
        let at = self.at(hash, key)?;
        let hot = self.table.slot_mut(at);
        let count = &mut hot.counts[which & 1];
        *count = count.wrapping_add(1);
        Some(Added { cell: hot.cell, full: *count == 0 })
    }

    /// A record of this cell will be seen.
    #[inline(always)]
    pub(super) fn soon_seen(&self, cell: u32) {
        if let Some(last) = self.last.get(cell as usize) {
            soon(last);
        }
    }

    /// Sees a record of a cell. Whether it may be older than all others.
    #[inline(always)]
    pub(super) fn see(&mut self, cell: u32, time: Time) -> bool {
        let Some(last) = self.last.get_mut(cell as usize) else { return true };
        let may_be_first = time < *last;
        *last = time.max(*last);
        may_be_first
    }

    /// A cell's slot will be made.
    pub(super) fn soon_known(&mut self, cell: &Cell) {
        if let Some(key) = self.key(cell.client, cell.name, cell.part, cell.kind) {
            self.soon(self.hash(key));
        }
    }

    /// Knows the next cell, which is not there yet.
    pub(super) fn know(&mut self, cell: &Cell) {
        let at = small(self.last.len());
        self.last.push(cell.last);
        self.timed |= cell.part != Part::UNTIMED;
        match self.key(cell.client, cell.name, cell.part, cell.kind) {
            Some(key) => {
                let (hot, keys) = (Hot { key, cell: at, counts: [0; 2] }, self.keys);
                self.table.insert(hot, |hot| hash(hot.key.0, keys));
            }
            None => _ = self.far.insert((cell.client, cell.name, sort(cell.part, cell.kind)), at),
        }
    }

    /// Adds what came since the last time to the cells themselves.
    pub(super) fn settle(&mut self, cells: &mut [Cell]) {
        // So many at once, because cells do not stand in the order of their slots: all of them come from memory meanwhile.
        const AT_ONCE: usize = 16;
        for hots in self.table.chunks_mut(AT_ONCE) {
            hots.iter().filter_map(|hot| cells.get(hot.cell as usize)).for_each(soon);
            for hot in hots {
                let Some(cell) = cells.get_mut(hot.cell as usize) else { continue };
                for (count, more) in cell.counts.iter_mut().zip(std::mem::take(&mut hot.counts)) {
                    *count = count.saturating_add(u64::from(more));
                }
            }
        }
        if self.timed {
            let each = cells.iter_mut().zip(&self.last);
            each.for_each(|(cell, last)| cell.last = cell.last.max(*last));
        }
    }

    /// Forgets all cells.
    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.far.clear();
        self.last.clear();
        self.timed = false;
    }
}

fn sort(part: Part, kind: Kind) -> u64 {
    u64::from(part.number()) << 16 | u64::from(kind.number())
}

/// Parts and kinds → small numbers. There are few of them.
#[derive(Debug)]
struct Sorts {
    known: HashMap<u64, u32>,
    /// The last one of each place.
    recent: [(u64, u32); 64],
}

impl Default for Sorts {
    fn default() -> Sorts {
        Sorts { known: HashMap::new(), recent: [(u64::MAX, 0); 64] }
    }
}

impl Sorts {
    #[inline(always)]
    fn of(&mut self, part: Part, kind: Kind) -> u32 {
        let sort = sort(part, kind);
        let recent = &self.recent[place(sort)];
        if recent.0 == sort { recent.1 } else { self.seek(sort) }
    }

    #[cold]
    fn seek(&mut self, sort: u64) -> u32 {
        let next = small(self.known.len());
        let number = *self.known.entry(sort).or_insert(next);
        self.recent[place(sort)] = (sort, number);
        number
    }
}

/// Where a sort stands among the recent ones.
#[inline(always)]
fn place(sort: u64) -> usize {
    (sort.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
}
