//! What is counted of a cell since it was last settled: half a cache line, found by (client, name, part, kind), so that
//! a record that adds to what is there touches nothing else.

use super::cell::{Cell, Part};
use super::table::{Slot, Table, fold, keys};
use crate::log::places::soon;
use crate::log::record::Kind;
use crate::time::Time;

/// Which records a cell is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pair: u64,
    sort: u64,
}

impl Key {
    #[inline(always)]
    pub(super) fn new(client: u32, name: u32, part: Part, kind: Kind) -> Key {
        let pair = u64::from(client) << 32 | u64::from(name);
        Key { pair, sort: u64::from(part.number()) << 16 | u64::from(kind.number()) }
    }

    pub(super) fn of(cell: &Cell) -> Key {
        Key::new(cell.client, cell.name, cell.part, cell.kind)
    }

    pub(super) fn client(self) -> u32 {
        (self.pair >> 32) as u32
    }

    pub(super) fn name(self) -> u32 {
        self.pair as u32
    }
}

/// What came to a cell since it was settled.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Hot {
    key: Key,
    pub(super) cell: u32,
    counts: [u16; 2],
    last: Time,
}

impl Slot for Hot {
    const EMPTY: Hot =
        Hot { key: Key { pair: 0, sort: 0 }, cell: u32::MAX, counts: [0; 2], last: 0 };

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.cell == u32::MAX
    }
}

/// Cells by what they are of.
#[derive(Debug)]
pub(super) struct Index {
    table: Table<Hot>,
    keys: [u64; 2],
}

impl Default for Index {
    fn default() -> Index {
        Index { table: Table::default(), keys: keys() }
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It was counted.
    Plainly,
    /// It was not: there is no such cell.
    Nowhere,
    /// It was counted, and may be older than all that its cell has; or its hot count was `full`, and begins again.
    Oddly { cell: u32, full: bool },
}

/// How many records a hot count was, when it is full.
pub(super) const FULL: u64 = 1 << 16;

impl Index {
    #[inline(always)]
    pub(super) fn hash(&self, key: Key) -> u64 {
        fold(key.pair ^ self.keys[0], key.sort ^ self.keys[1])
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

    /// The cell of this key.
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        Some(self.table.slot(self.at(self.hash(key), key)?).cell)
    }

    /// Counts one more.
    #[inline(always)]
    pub(super) fn add(&mut self, hash: u64, key: Key, which: usize, time: Time) -> Added {
        let Some(at) = self.at(hash, key) else { return Added::Nowhere };
        let hot = self.table.slot_mut(at);
        let count = &mut hot.counts[which & 1];
        *count = count.wrapping_add(1);
        let (full, older) = (*count == 0, time < hot.last);
        if full | older {
            hot.last = hot.last.max(time);
            return Added::Oddly { cell: hot.cell, full };
        }
        hot.last = time;
        Added::Plainly
    }

    /// Knows a cell that is not there yet.
    pub(super) fn know(&mut self, cell: &Cell, at: u32) {
        let hot = Hot { key: Key::of(cell), cell: at, counts: [0; 2], last: cell.last };
        let keys = self.keys;
        self.table.insert(hot, |hot| fold(hot.key.pair ^ keys[0], hot.key.sort ^ keys[1]));
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
                cell.last = cell.last.max(hot.last);
            }
        }
    }

    /// Forgets all cells.
    pub(super) fn clear(&mut self) {
        self.table.clear();
    }
}
