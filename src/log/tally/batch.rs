//! The innermost loop of the whole program: a record's way to its cell, in batches. Each step asks memory for what the next
//! one looks at, for many records at once. What is seen for the first time is left to `builder` and `clients`.

use super::builder::Builder;
use super::cell::{Asker, Cell};
use super::hot::{FULL, Key};
use super::names::{NEAR, NearName};
use crate::log::record::{Kind, Record};
use crate::name;
use crate::time::Time;

/// So many records are read before the first of their names is looked up, and so many names before the first record is
/// counted. One of these mostly misses the cache; of many, one right after the other, the processor waits for all at once.
pub(super) const BATCH: usize = 32;

/// A record that waits to be counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    hash: u64,
    key: Key,
    /// Once it is counted.
    cell: u32,
    kind: Kind,
    line: u64,
    time: Option<Time>,
}

/// A record whose name is still to be looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    name: NearName,
    client: u32,
    kind: Kind,
    line: u64,
    time: Option<Time>,
}

impl Builder<'_> {
    /// Counts a record; `line` counts from 0 in the chunk. `false`, and not counted: the client is no address.
    #[inline]
    pub fn record(&mut self, line: u64, record: &Record<'_>) -> bool {
        let client = match self.client_of(line, record) {
            Ok(client) => client,
            Err(taken) => return taken,
        };
        // What came before it must be counted before it.
        self.look_up();
        // A name that is found is spelled as it should be: only spellings are interned.
        let name = self.names.find(name::without_final_dot(record.name));
        let &Record { kind, time, .. } = record;
        if !name.is_some_and(|name| self.wait(client, name, kind, line, time)) {
            return self.rare(line, record);
        }
        if self.waiting.len() >= BATCH {
            self.flush();
        }
        true
    }

    /// As [`Builder::record`], of a name of at most 64 bytes that begins these, without an escape.
    ///
    /// Four probes of memory, each of one cache line: the client's text, which mostly is in the cache, the name's slot, the
    /// name itself, and the cell. They are asked for before they are looked at.
    #[inline(always)]
    pub fn near(&mut self, line: u64, record: &Record<'_>, near: &[u8; NEAR]) -> bool {
        match *record.name {
            [.., last, b'.'] if last != b'.' => {}
            _ => return self.record(line, record),
        }
        let client = match self.client_of(line, record) {
            Ok(client) => client,
            Err(taken) => return taken,
        };
        let name = self.names.near(near, record.name.len() - 1);
        let &Record { kind, time, .. } = record;
        self.asked.push(Asked { name, client, kind, line, time });
        if self.asked.len() >= BATCH {
            self.flush();
        }
        true
    }

    /// For whom a record is to be counted, if he is known; or whether it is counted, or need not be.
    #[inline(always)]
    fn client_of(&mut self, line: u64, record: &Record<'_>) -> Result<u32, bool> {
        let Some(client) = self.texts.find(record.client) else {
            return Err(self.rare(line, record));
        };
        if !self.window.holds(record.time) {
            return Err(true);
        }
        if record.time.is_some() && self.hands.is_none() {
            return Err(self.rare(line, record));
        }
        Ok(client)
    }

    /// Looks up the names that were asked for.
    #[inline(always)]
    fn look_up(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let mut all = std::mem::take(&mut self.asked);
        for asked in &all {
            self.names.soon(&asked.name);
        }
        for asked in &all {
            let &Asked { client, kind, line, time, .. } = asked;
            let name = self.names.find_near(&asked.name);
            if !name.is_some_and(|name| self.wait(client, name, kind, line, time)) {
                self.rare_name(asked);
            }
        }
        all.clear();
        self.asked = all;
    }

    /// A record waits to be counted. `false`: no key stands for it.
    #[inline(always)]
    fn wait(&mut self, client: u32, name: u32, kind: Kind, line: u64, time: Option<Time>) -> bool {
        let part = self.part(client, time);
        let Some(key) = self.index.key(client, name, part, Cell::of(kind).0) else { return false };
        let hash = self.index.hash(key);
        self.index.soon(hash);
        self.waiting.push(Waiting { hash, key, cell: u32::MAX, kind, line, time });
        true
    }

    /// A record of whose name there is none yet. Nothing is renumbered: others are on their way.
    #[cold]
    #[inline(never)]
    fn rare_name(&mut self, asked: &Asked) {
        let &Asked { client, kind, line, time, .. } = asked;
        let text = asked.name.text();
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        self.unseen(Asker::Client(client), &name::spelling(text), kind, line, time);
        self.grew = true;
    }

    /// A record of whose client or name there is none yet.
    #[cold]
    #[inline(never)]
    fn rare(&mut self, line: u64, record: &Record<'_>) -> bool {
        // What follows may renumber what waits.
        self.flush();
        let asker = match self.texts.find(record.client) {
            Some(id) => Asker::Client(id),
            None => match self.meet(record.client) {
                Some(asker) => asker,
                None => return false,
            },
        };
        if !self.window.holds(record.time) {
            return true;
        }
        let asker = match record.time {
            Some(_) if self.hands.is_none() => self.learn_first(asker),
            _ => asker,
        };
        let text = name::spelling(record.name);
        self.unseen(asker, &text, record.kind, line, record.time);
        if self.is_full() {
            self.prune();
        }
        true
    }

    /// Counts what waits.
    #[inline(never)]
    pub(super) fn flush(&mut self) {
        self.look_up();
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut timed = false;
        self.unsettled |= !waiting.is_empty();
        for record in &mut waiting {
            match self.index.add(record.hash, record.key, Cell::of(record.kind).1) {
                Some(added) => {
                    record.cell = added.cell;
                    if added.full {
                        self.add_full(added.cell, record.kind);
                    }
                    if record.time.is_some() {
                        self.index.soon_seen(added.cell);
                        timed = true;
                    }
                }
                None => {
                    self.add_new(record);
                    self.grew = true;
                }
            }
        }
        if timed {
            for record in &waiting {
                let Some(time) = record.time else { continue };
                if record.cell != u32::MAX && self.index.see(record.cell, time) {
                    self.see_first(record.cell, record.line, time);
                }
            }
        }
        waiting.clear();
        self.waiting = waiting;
        if std::mem::take(&mut self.grew) && self.is_full() {
            self.prune();
        }
    }

    #[cold]
    fn add_full(&mut self, cell: u32, kind: Kind) {
        let count = &mut self.cells[cell as usize].counts[Cell::of(kind).1];
        *count = count.saturating_add(FULL);
    }

    #[cold]
    fn add_new(&mut self, record: &Waiting) {
        let Waiting { key, kind, line, time, .. } = *record;
        let (client, name) = (key.client(), key.name());
        if self.admit(Asker::Client(client), name, Cell::of(kind).0, 1).is_some() {
            self.first(client, name, kind, line, time);
        }
    }

    /// A record that may be older than what its cell has.
    #[cold]
    pub(super) fn see_first(&mut self, cell: u32, line: u64, time: Time) {
        let spot = self.spot(line);
        let cell = &mut self.cells[cell as usize];
        if time < cell.first {
            (cell.first, cell.spot) = (time, spot);
        }
    }
}
