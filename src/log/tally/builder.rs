//! One thread's growing tally: what it is made of, and what it does with what it has not seen before (`clients` with whom;
//! `batch` is the loop that brings it). It keeps what `bound` lets it keep, and never looks at the order of its tables.

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::batch::{Asked, BATCH, Waiting};
use super::bound::Budget;
use super::cell::{Asker, Cell, Client, Origin, Part, Spot};
use super::door::Door;
use super::hot::Index;
use super::intern::{Texts, small};
use super::names::Names;
use super::{Bound, Depth, rank};
use crate::log::record::Kind;
use crate::log::{Hands, LateHands, Window};
use crate::time::Time;

/// One thread's growing tally.
pub struct Builder<'a> {
    pub(super) late: &'a LateHands,
    /// `None`: not waited for yet. Then nothing is classified, and only untimed records were counted.
    pub(super) hands: Option<&'a Hands>,
    pub(super) window: Window,
    pub(super) bound: Bound,
    pub(super) budgets: [Budget; 2],
    pub(super) texts: Texts,
    pub(super) clients: Vec<Client<'a>>,
    pub(super) addresses: HashTable<u32>,
    pub(super) names: Names,
    pub(super) cells: Vec<Cell>,
    pub(super) index: Index,
    /// Records whose client is known, on their way to their names.
    pub(super) asked: Vec<Asked>,
    /// Records whose client and name are known, on their way to their cells.
    pub(super) waiting: Vec<Waiting>,
    /// There are cells that were not there when the bound was last looked at.
    pub(super) grew: bool,
    /// Whether the index counts what the cells do not yet.
    pub(super) unsettled: bool,
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
    pub(super) fn unseen(
        &mut self,
        asker: Asker,
        name: &str,
        kind: Kind,
        line: u64,
        time: Option<Time>,
    ) {
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
    pub(super) fn first(
        &mut self,
        client: u32,
        name: u32,
        kind: Kind,
        line: u64,
        time: Option<Time>,
    ) {
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
    pub(super) fn spot(&mut self, line: u64) -> Spot {
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
