//! One thread's growing tally: the innermost loop of the whole program, then what it does with what it has not seen
//! before (`clients` with whom). It keeps what `bound` lets it keep, and never looks at the order of its tables.

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::bound::Budget;
use super::cell::{Asker, Cell, Client, Origin, Part, Spot};
use super::door::Door;
use super::hot::{FULL, Index, Key};
use super::intern::{Texts, small};
use super::names::{NEAR, Names, NearName};
use super::{Bound, Depth, rank};
use crate::log::record::{Kind, Record};
use crate::log::{Hands, LateHands, Window};
use crate::name;
use crate::time::Time;

/// So many records are read before the first of their names is looked up, and so many names before the first record is
/// counted. One of these mostly misses the cache; of many, one right after the other, the processor waits for all at once.
const BATCH: usize = 32;

/// A record that waits to be counted.
#[derive(Clone, Copy, Debug)]
struct Waiting {
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
struct Asked {
    name: NearName,
    client: u32,
    kind: Kind,
    line: u64,
    time: Option<Time>,
}

/// One thread's growing tally.
pub struct Builder<'a> {
    pub(super) late: &'a LateHands,
    /// `None`: not waited for yet. Then nothing is classified, and only untimed records were counted.
    pub(super) hands: Option<&'a Hands>,
    window: Window,
    pub(super) bound: Bound,
    pub(super) budgets: [Budget; 2],
    pub(super) texts: Texts,
    pub(super) clients: Vec<Client<'a>>,
    pub(super) addresses: HashTable<u32>,
    pub(super) names: Names,
    pub(super) cells: Vec<Cell>,
    pub(super) index: Index,
    /// Records whose client is known, on their way to their names.
    asked: Vec<Asked>,
    /// Records whose client and name are known, on their way to their cells.
    waiting: Vec<Waiting>,
    /// There are cells that were not there when the bound was last looked at.
    grew: bool,
    /// Whether the index counts what the cells do not yet.
    unsettled: bool,
    pub(super) origins: Vec<Origin>,
    here: Origin,
    /// Where `here` stands in `origins`, once something was first seen there.
    here_at: Option<u32>,
    pub(super) state: RandomState,
}

impl<'a> Builder<'a> {
    /// An empty one.
    pub fn new(hands: &'a LateHands, window: Window, bound: Bound) -> Builder<'a> {
        Builder {
            late: hands,
            hands: None,
            window,
            bound,
            budgets: Budget::pair(bound, false),
            texts: Texts::default(),
            clients: Vec::new(),
            addresses: HashTable::new(),
            names: Names::default(),
            cells: Vec::new(),
            index: Index::default(),
            asked: Vec::new(),
            waiting: Vec::new(),
            grew: false,
            unsettled: false,
            origins: Vec::new(),
            here: Origin::default(),
            here_at: None,
            state: RandomState::default(),
        }
    }

    /// Says which chunk of which input the records come from that follow. (input, chunk) never falls within one builder,
    /// nor does the line within a chunk; inputs are numbered in the byte order of their paths. So what was seen first
    /// stands first, and nothing is compared.
    pub fn at(&mut self, input: u32, chunk: u32) {
        self.flush();
        debug_assert!((self.here.input, self.here.chunk) <= (input, chunk), "chunks in order");
        self.here = Origin { input, chunk, base: 0 };
        self.here_at = None;
    }

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
    fn see_first(&mut self, cell: u32, line: u64, time: Time) {
        let spot = self.spot(line);
        let cell = &mut self.cells[cell as usize];
        if time < cell.first {
            (cell.first, cell.spot) = (time, spot);
        }
    }

    /// Adds what was counted to the cells, and classifies them, for which it may have to wait for the hands. Merging does so
    /// too; it is quicker in each thread.
    pub fn settle(&mut self) {
        self.flush();
        self.learn();
        if std::mem::take(&mut self.unsettled) {
            self.index.settle(&mut self.cells);
        }
    }

    #[inline]
    pub(super) fn part(&self, client: u32, time: Option<Time>) -> Part {
        match time {
            None => Part::UNTIMED,
            Some(time) => Part::of(time, self.clients[client as usize].changes),
        }
    }

    /// The part of a row of another tally, which may lie over several.
    pub(super) fn span(&self, client: u32, seen: Option<(Time, Time)>) -> Part {
        let first = self.part(client, seen.map(|(first, _)| first));
        first.up_to(self.part(client, seen.map(|(_, last)| last)))
    }

    /// The cell of the same client, name, part and kind.
    pub(super) fn find(&mut self, cell: &Cell) -> Option<usize> {
        let Cell { client, name, part, kind, .. } = *cell;
        Some(self.index.find(client, name, part, kind)? as usize)
    }

    /// A record of which there may be no cell.
    #[cold]
    fn unseen(&mut self, asker: Asker, name: &str, kind: Kind, line: u64, time: Option<Time>) {
        let (first, which) = Cell::of(kind);
        let Some(client) = self.admit_new(asker, name, first, 1) else {
            return;
        };
        let id = self.names.intern(name);
        let part = self.part(client, time);
        let Some(at) = self.index.find(client, id, part, first) else {
            return self.first(client, id, kind, line, time);
        };
        let cell = &mut self.cells[at as usize];
        cell.counts[which] = cell.counts[which].saturating_add(1);
        if let Some(time) = time {
            cell.last = cell.last.max(time);
            self.see_first(at, line, time);
        }
    }

    /// The first record of a cell that is admitted.
    fn first(&mut self, client: u32, name: u32, kind: Kind, line: u64, time: Option<Time>) {
        let (kind, which) = Cell::of(kind);
        let mut counts = [0; 2];
        counts[which] = 1;
        let capped = self.is_capped(client, || self.names.get(name), kind);
        let (part, spot) = (self.part(client, time), self.spot(line));
        let (first, last) = (time.unwrap_or(0), time.unwrap_or(0));
        self.push(Cell { client, name, part, kind, capped, counts, first, last, spot });
    }

    /// The client of these records, or `None` if the bound gives them up: then they are counted as lost.
    pub(super) fn admit(&mut self, asker: Asker, name: u32, kind: Kind, n: u64) -> Option<u32> {
        let Builder { names, clients, budgets, hands, .. } = self;
        let (rank, text) = (|| names.rank(name), || names.get(name));
        Door { clients, budgets, hands: *hands }.admit(asker, rank, text, kind, n)
    }

    /// As [`Builder::admit`], of a name that may not be there.
    pub(super) fn admit_new(
        &mut self,
        asker: Asker,
        name: &str,
        kind: Kind,
        n: u64,
    ) -> Option<u32> {
        let Builder { clients, budgets, hands, .. } = self;
        let (rank, text) = (|| rank::name_rank(name), || name);
        Door { clients, budgets, hands: *hands }.admit(asker, rank, text, kind, n)
    }

    /// Without the hands everything is, until they are there.
    pub(super) fn is_capped<'n>(
        &self,
        client: u32,
        name: impl FnOnce() -> &'n str,
        kind: Kind,
    ) -> bool {
        !self.hands.is_some_and(|hands| self.clients[client as usize].keeps(name, kind, hands))
    }

    /// A cell of which there is none yet.
    pub(super) fn push(&mut self, cell: Cell) {
        self.index.know(&cell);
        self.put(cell);
    }

    /// A cell that nobody looks for.
    pub(super) fn put(&mut self, cell: Cell) {
        if cell.capped {
            let client = &mut self.clients[cell.client as usize];
            let budget = self.hands.map_or(0, |hands| client.budget(hands));
            self.budgets[budget].count(client);
        }
        self.cells.push(cell);
    }

    /// Here, remembered among the origins.
    fn spot(&mut self, line: u64) -> Spot {
        let line = match u32::try_from(line.saturating_sub(self.here.base)) {
            Ok(line) => line,
            Err(_) => {
                self.here.base = line;
                self.here_at = None;
                0
            }
        };
        let origin = *self.here_at.get_or_insert_with(|| {
            self.origins.push(self.here);
            small(self.origins.len() - 1)
        });
        Spot { origin, line }
    }

    /// The depth that this builder has pruned with.
    pub(super) fn depth(&self) -> Depth {
        let [known, unknown] = self.budgets.map(|budget| budget.depth);
        Depth { known, unknown, crowded: self.budgets.map(|budget| budget.crowded) }
    }

    /// Frees the tables of a builder that takes no more records.
    pub(super) fn drop_tables(&mut self) {
        self.texts = Texts::default();
        self.addresses = HashTable::new();
        self.index = Index::default();
        self.names.drop_table();
    }

    /// Finds everything again after it was renumbered.
    pub(super) fn renew_tables(&mut self) {
        self.here_at = None;
        self.texts.clear();
        self.addresses.clear();
        self.index.clear();
        for id in 0..self.clients.len() {
            self.know_address(small(id));
        }
        for cells in self.cells.chunks(BATCH) {
            cells.iter().for_each(|cell| self.index.soon_known(cell));
            cells.iter().for_each(|cell| self.index.know(cell));
        }
    }
}
