//! Builders and tallies → one tally. Adding is all there is to it: places are put on one scale, cells are added up, and
//! the bound is applied to the sum.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use rayon::ThreadPool;

use super::bound::{self, GivenUp};
use super::builder::Builder;
use super::cell::{Asker, Cell, Origin, Part, Spot};
use super::hot::Index;
use super::intern::small;
use super::{Bound, Depth, KindCounts, Lost, Row, Sighting, Tally};
use crate::log::record::{Kind, Outcome};
use crate::log::{Hands, LateHands, Window};
use crate::threads;
use crate::time::Time;

/// Fewer cells than this are made rows of in less time than a thread takes to begin.
const CELLS_ALONE: usize = 8192;

/// All of it as one tally. `starts` says how many lines stand before a chunk in its input, `paths` where an input
/// stands; the inputs are numbered in the byte order of these. Hands and bound are those of the builders, if any.
pub fn merge<'a>(
    hands: &'a LateHands,
    bound: Bound,
    builders: Vec<Builder<'a>>,
    starts: &dyn Fn(u32, u32) -> u64,
    paths: &[Arc<str>],
    tallies: Vec<Tally>,
) -> Tally {
    debug_assert!(paths.is_sorted(), "inputs are numbered in the order of their paths");
    let files = Files::of(paths, &tallies);
    let mut all = Builder::new(hands, Window::default(), bound);
    all.learn();
    for (n, mut builder) in builders.into_iter().enumerate() {
        builder.settle();
        for origin in &mut builder.origins {
            let base = origin.base.saturating_add(starts(origin.input, origin.chunk));
            let input =
                paths.get(origin.input as usize).map_or(u32::MAX, |path| files.number(path));
            *origin = Origin { input, chunk: 0, base };
        }
        if n == 0 { all = builder } else { all.append(builder) }
    }
    if !tallies.is_empty() {
        all.add_up(None);
        all.renew_tables();
    }
    for tally in tallies {
        all.absorb_tally(&tally, &files);
    }
    all.finish(files)
}

/// Every path that occurs, sorted: what numbers of inputs mean from here on.
struct Files(Vec<Arc<str>>);

impl Files {
    fn of(paths: &[Arc<str>], tallies: &[Tally]) -> Files {
        let mut all = paths.to_vec();
        all.extend(tallies.iter().flat_map(|tally| &tally.paths).map(Arc::clone));
        all.sort_unstable();
        all.dedup();
        Files(all)
    }

    fn number(&self, path: &Arc<str>) -> u32 {
        self.0.binary_search(path).map_or(u32::MAX, small)
    }
}

impl<'a> Builder<'a> {
    /// Takes another builder's cells beside its own: what both have is added up when all are there.
    fn append(&mut self, mut other: Builder<'a>) {
        self.index = Index::default();
        // Not behind the last one: then the rule is applied to everything.
        if self.is_full() {
            self.add_up(None);
            self.prune();
            self.index = Index::default();
        }
        self.absorb_bound(other.depth(), other.budgets.map(|budget| budget.beyond));
        other.drop_tables();
        let mut askers = Vec::with_capacity(other.clients.len());
        for client in &other.clients {
            let asker = self.client(client.address);
            if let Some(lost) = &client.lost {
                self.add_lost(asker, lost);
            }
            askers.push(asker);
        }
        let origins = small(self.origins.len());
        self.origins.append(&mut other.origins);
        let names: Vec<u32> = (0..small(other.names.len()))
            .map(|name| self.names.intern(other.names.get(name)))
            .collect();
        self.cells.reserve_exact(other.cells.len());
        for cell in other.cells {
            match askers[cell.client as usize] {
                Asker::Client(client) => {
                    let (name, spot) = (names[cell.name as usize], cell.spot);
                    let spot = Spot { origin: spot.origin + origins, ..spot };
                    self.put(Cell { client, name, spot, ..cell });
                }
                Asker::Beyond(budget) => {
                    let name = || other.names.get(cell.name);
                    self.budgets[budget].beyond.add(name, cell.kind, cell.total());
                }
            }
        }
    }

    /// Sorts the cells, and makes one of those that count the same.
    fn add_up(&mut self, pool: Option<&ThreadPool>) {
        let key = |cell: &Cell| (cell.client, cell.name, cell.part, cell.kind);
        let mut cells = std::mem::take(&mut self.cells);
        threads::sort(pool, &mut cells, key);
        cells.dedup_by(|cell, before| {
            let is_same = key(cell) == key(before);
            if is_same {
                before.add(cell, self.is_older(cell, before));
            }
            is_same
        });
        self.cells = cells;
    }

    fn absorb_tally(&mut self, tally: &Tally, files: &Files) {
        self.absorb_bound(tally.depth, [GivenUp::default(); 2]);
        for lost in &tally.lost {
            let unknown = usize::from(self.hands.is_some_and(|hands| hands.snapshot));
            let asker = match lost.client {
                Some(client) => self.client(client),
                None => Asker::Beyond(unknown),
            };
            self.add_lost(asker, &lost.given_up);
        }
        let files: Vec<u32> = tally.paths.iter().map(|path| files.number(path)).collect();
        let mut origins = HashMap::new();
        for row in &tally.rows {
            let asker = self.client(row.client);
            let [answered, all] = [row.evidence(), &row.sighting].map(|sighting| {
                let file = files.get(sighting.path as usize).copied().unwrap_or(u32::MAX);
                (sighting.seen, self.spot_of(file, sighting.line, &mut origins))
            });
            for (kind, count) in &row.counts {
                let answered_kind = kind.rcode.outcome() == Outcome::Answered;
                let sighting = if answered_kind { answered } else { all };
                self.add_counted(asker, tally.name(row), (*kind, *count), sighting);
            }
            if self.is_full() {
                self.prune();
                origins.clear();
            }
        }
    }

    /// A line, from 1, of a tally's place as a spot. `known`: the origins of this tally's places, so that each is there
    /// once.
    fn spot_of(&mut self, input: u32, line: u64, known: &mut HashMap<(u32, u64), u32>) -> Spot {
        let line = line.saturating_sub(1);
        let base = line & !0xffff_ffff;
        let origin = *known.entry((input, base)).or_insert_with(|| {
            self.origins.push(Origin { input, chunk: 0, base });
            small(self.origins.len() - 1)
        });
        Spot { origin, line: (line & 0xffff_ffff) as u32 }
    }

    fn add_counted(
        &mut self,
        asker: Asker,
        name: &str,
        (kind, count): (Kind, u64),
        (seen, spot): (Option<(Time, Time)>, Spot),
    ) {
        let Some(client) = self.admit_new(asker, name, kind, count) else { return };
        let part = self.span(client, seen);
        let capped = self.is_capped(client, || name, kind);
        let name = self.names.intern(name);
        let (first, last) = seen.unwrap_or((0, 0));
        let (kind, which) = Cell::of(kind);
        let mut counts = [0; 2];
        counts[which] = count;
        self.add(Cell { client, name, part, kind, capped, counts, first, last, spot });
    }

    fn absorb_bound(&mut self, depth: Depth, beyond: [GivenUp; 2]) {
        for (i, more) in [depth.known, depth.unknown].into_iter().enumerate() {
            let budget = &mut self.budgets[i];
            budget.depth = budget.depth.min(more.max(1));
            budget.crowded |= depth.crowded[i];
            budget.beyond.add_all(&beyond[i]);
        }
    }

    fn add_lost(&mut self, asker: Asker, given_up: &GivenUp) {
        match asker {
            Asker::Client(id) => {
                let lost = self.clients[id as usize].lost.get_or_insert_default();
                lost.add_all(given_up);
            }
            Asker::Beyond(budget) => self.budgets[budget].beyond.add_all(given_up),
        }
    }

    /// Adds a cell whose place is on the common scale.
    fn add(&mut self, cell: Cell) {
        let Some(at) = self.find(&cell) else { return self.push(cell) };
        let is_older = self.is_older(&cell, &self.cells[at]);
        self.cells[at].add(&cell, is_older);
    }

    /// By (time, path, line).
    fn is_older(&self, a: &Cell, b: &Cell) -> bool {
        (a.first, self.line(a.spot)) < (b.first, self.line(b.spot))
    }

    fn line(&self, spot: Spot) -> (u32, u64) {
        let origin = self.origins[spot.origin as usize];
        (origin.input, origin.base.saturating_add(u64::from(spot.line)))
    }

    fn is_over(&self) -> bool {
        self.budgets.iter().any(bound::Budget::is_over)
    }

    /// The rule, applied once to everything; then rows.
    fn finish(mut self, files: Files) -> Tally {
        let Some(hands) = self.hands else { return Tally::default() };
        let lossless = self.depth() == Depth::default()
            && !self.is_over()
            && self.clients.iter().all(|client| client.lost.is_none());
        let survives = if lossless { Vec::new() } else { self.choose(hands) };
        let depth = self.depth();
        let lost = self.lost(hands);
        self.drop_tables();
        bound::keep(&mut self.cells, &survives);
        let (names, rows) = self.rows();
        let mut tally = Tally { names, paths: files.0, rows, lost, depth };
        tally.number();
        tally
    }

    fn lost(&self, hands: &Hands) -> Vec<Lost> {
        let mut all = Vec::new();
        for client in &self.clients {
            if let Some(given_up) = client.lost.as_deref().copied() {
                let names = bound::others(self.budgets[client.budget(hands)].depth, client.limit);
                let names = names.min(given_up.sum());
                all.push(Lost { client: Some(client.address), given_up, names });
            }
        }
        all.sort_unstable_by_key(|lost| lost.client);
        let mut given_up = GivenUp::default();
        let mut names: u64 = 0;
        for budget in &self.budgets {
            given_up.add_all(&budget.beyond);
            let clients = if budget.crowded { budget.clients_beyond() } else { 0 };
            names = names.saturating_add(clients);
        }
        if given_up != GivenUp::default() {
            all.push(Lost { client: None, given_up, names: names.min(given_up.sum()) });
        }
        all
    }

    /// A row for each client, name and part, in their order; and the names, in theirs.
    fn rows(mut self) -> (Vec<Arc<str>>, Vec<Row>) {
        let (clients, names) = self.number_in_order();
        let threads = if self.cells.len() > CELLS_ALONE { threads::most() } else { 1 };
        let pool = threads::pool(threads);
        let pool = pool.as_ref();
        self.add_up(pool);
        let cells = std::mem::take(&mut self.cells);
        let key = |cell: &Cell| (cell.client, cell.name, cell.part);
        let runs: Vec<(&Cell, &[Cell])> =
            cells.chunk_by(|a, b| key(a) == key(b)).filter_map(<[Cell]>::split_first).collect();
        let pair = |run: &(&Cell, &[Cell])| (run.0.client, run.0.name);
        let parted = runs.windows(2).any(|two| two.first().map(pair) == two.last().map(pair));
        let row = |(first, more)| self.row(first, more, &clients);
        let mut rows = threads::map(pool, runs, row);
        if parted {
            // The numbers of parts that lie over several are not quite in the order of their times.
            rows.sort_by(Row::order);
        }
        (names, rows)
    }

    /// Gives clients and names in their cells numbers in the order of addresses and names; what these then stand for.
    fn number_in_order(&mut self) -> (Vec<IpAddr>, Vec<Arc<str>>) {
        let address = |id: &u32| self.clients[*id as usize].address;
        let mut clients: Vec<u32> = (0..small(self.clients.len())).collect();
        clients.sort_unstable_by_key(address);
        let mut names: Vec<u32> = (0..small(self.names.len())).collect();
        names.sort_unstable_by_key(|id| self.names.get(*id));
        let found = |ids: &[u32]| {
            let mut places = vec![0; ids.len()];
            for (place, id) in (0..).zip(ids) {
                places[*id as usize] = place;
            }
            places
        };
        let (client, name): (Vec<u32>, Vec<u32>) = (found(&clients), found(&names));
        for cell in &mut self.cells {
            cell.client = client[cell.client as usize];
            cell.name = name[cell.name as usize];
        }
        let text = |id: &u32| self.names.get(*id).into();
        (clients.iter().map(address).collect(), names.iter().map(text).collect())
    }

    /// The cells of one row.
    fn row(&self, first: &Cell, more: &[Cell], clients: &[IpAddr]) -> Row {
        let cells = || std::iter::once(first).chain(more);
        let mut answered = cells().filter(|cell| cell.kind.rcode.outcome() == Outcome::Answered);
        let sighting = self.sighting(first, more.iter());
        let answered = answered.next().map(|first| self.sighting(first, answered));
        let answered = answered.filter(|answered| *answered != sighting).map(Box::new);
        let mut counts: KindCounts = cells().flat_map(Cell::kinds).collect();
        counts.sort_unstable_by_key(|(kind, _)| *kind);
        let client = clients[first.client as usize];
        Row { client, name: first.name, counts, sighting, answered }
    }

    fn sighting<'c>(&self, first: &'c Cell, more: impl Iterator<Item = &'c Cell>) -> Sighting {
        let (mut oldest, mut last) = (first, first.last);
        for cell in more {
            last = last.max(cell.last);
            if self.is_older(cell, oldest) {
                oldest = cell;
            }
        }
        let seen = (oldest.part != Part::UNTIMED).then_some((oldest.first, last));
        let (path, line) = self.line(oldest.spot);
        Sighting { seen, path, line: line.saturating_add(1) }
    }
}
