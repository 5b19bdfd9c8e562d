//! The bound on memory (SEMANTICS 5), which needs no order. Kept cells are bounded by the cluster. Of the capped ones
//! each client keeps the `depth` pairs with the smallest rank, a hash of (client, name) with a fixed seed.
//!
//! Why the order does not matter: the more was seen, the higher a pair's rank stands among its client's pairs, and the
//! smaller the depth. So a pair that is among the survivors of everything was among the survivors of every share of it,
//! was never dropped, and its counts are exact. The same holds for the clients themselves, of which a budget holds those
//! with the smallest hash; once there are more, depth falls to what serves all of them, so that no client that comes or
//! goes can raise it again.

use std::cmp::Ordering;

use super::Bound;
use super::builder::Builder;
use super::cell::{Cell, Client};
use super::intern::small;
use super::rank::rank;
use crate::log::Hands;
use crate::log::record::{Kind, Outcome};
use crate::name;

/// The most pairs that a client may keep.
const DEEPEST: u32 = 4096;
/// The most clients that are unknown to the snapshot.
const UNKNOWN_CLIENTS: usize = 65_536;

/// How many capped pairs each client could keep: K of SEMANTICS 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Clients that the snapshot knows; without one, all.
    pub known: u32,
    /// Clients that it does not know.
    pub unknown: u32,
    /// Whether there were more clients than a tally holds: such that the snapshot knows, such that it does not.
    pub crowded: [bool; 2],
}

impl Default for Depth {
    fn default() -> Depth {
        Depth { known: DEEPEST, unknown: DEEPEST, crowded: [false; 2] }
    }
}

/// Records that the bound gave up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// Answered, failed, unknown.
    pub records: [u64; 3],
    /// Those of them that did not fail, and whose names may be a Service's or a pod's in a cluster of whatever domain: what
    /// the snapshot of this run does not keep, the one of a later run may want.
    pub of_cluster: u64,
}

/// The bound on one sort of clients, and how far it is used. A pair has at least one cell, so cells stand for pairs
/// until it is time to look closely.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pairs: usize,
    clients: usize,
    pub(super) depth: u32,
    /// Whether there were more clients than that.
    pub(super) crowded: bool,
    /// Clients that rank above it are beyond the bound.
    pub(super) client_limit: u64,
    /// Records of the clients beyond the bound.
    pub(super) beyond: GivenUp,
    cells: usize,
    /// Cells of clients beyond the first `depth` of each.
    excess: usize,
    pub(super) members: usize,
    /// At so many cells, so much excess, so many members it is worth while to prune: twice the bound, or a quarter more for
    /// what one client has too many, so that each prune is paid for by what came since the last one.
    worth: [usize; 3],
}

impl Budget {
    /// Those of the known and of the unknown clients.
    pub(super) fn pair(bound: Bound, snapshot: bool) -> [Budget; 2] {
        let known = bound.names.max(1);
        let unknown = (bound.names / 4).max(1);
        let clients = if snapshot { unknown.min(UNKNOWN_CLIENTS) } else { unknown };
        [Budget::new(known, known), Budget::new(unknown, clients)]
    }

    fn new(pairs: usize, clients: usize) -> Budget {
        let mut budget = Budget {
            pairs,
            clients,
            depth: DEEPEST,
            crowded: false,
            client_limit: u64::MAX,
            beyond: GivenUp::default(),
            cells: 0,
            excess: 0,
            members: 0,
            worth: [0; 3],
        };
        budget.settle();
        budget
    }

    /// Counts a new capped cell of this client.
    pub(super) fn count(&mut self, client: &mut Client<'_>) {
        self.cells += 1;
        client.capped = client.capped.saturating_add(1);
        if client.capped > self.depth {
            self.excess += 1;
        }
    }

    /// Whether a prune is worth while.
    pub(super) fn is_full(&self) -> bool {
        let [cells, excess, members] = self.worth;
        self.cells > cells || self.excess > excess || self.members > members
    }

    /// Whether anything may be over the bound.
    pub(super) fn is_over(&self) -> bool {
        self.cells > self.pairs || self.excess > 0 || self.members > self.clients
    }

    /// How many clients are beyond the bound, roughly.
    pub(super) fn clients_beyond(&self) -> u64 {
        others(small(self.clients), self.client_limit)
    }

    /// Sets out from what there is now.
    fn settle(&mut self) {
        let more = |used: usize, of: usize| 2 * used.max(of) + 1;
        self.worth = [
            more(self.cells, self.pairs),
            self.excess + (self.pairs / 4).max(self.excess / 4) + 1,
            more(self.members, self.clients),
        ];
    }
}

/// One capped cell on its way through [`Builder::choose`].
#[derive(Clone, Copy, Default)]
struct Ranked {
    client: u32,
    name: u32,
    rank: u64,
    cell: u32,
}

impl Builder<'_> {
    /// Gives up what is over the bound, and shrinks to what is left.
    pub(super) fn prune(&mut self) {
        if let Some(hands) = self.hands {
            self.index.settle(&mut self.cells);
            let survives = self.choose(hands);
            self.rebuild(&survives);
            self.recount(hands);
        }
    }

    /// Applies the rule to what there is: sets depth and limits, counts what is lost. Which cells survive.
    pub(super) fn choose(&mut self, hands: &Hands) -> Vec<bool> {
        let ranked = self.ranked();
        let mut pairs = vec![0_u32; self.clients.len()];
        for first in ranked.chunk_by(Ranked::is_same_pair).filter_map(<[_]>::first) {
            pairs[first.client as usize] += 1;
        }
        for which in 0..self.budgets.len() {
            self.choose_clients(which, &pairs, hands);
            let held = |(client, n): (&Client<'_>, &u32)| {
                (client.budget(hands) == which && !client.beyond).then_some(*n)
            };
            let counts: Vec<u32> = self.clients.iter().zip(&pairs).filter_map(held).collect();
            let budget = &mut self.budgets[which];
            budget.depth = deepest(&counts, budget.pairs, budget.depth);
        }
        let mut survives = vec![true; self.cells.len()];
        for cells in ranked.chunk_by(|a, b| a.client == b.client) {
            let Some(first) = cells.first() else { continue };
            let client = &mut self.clients[first.client as usize];
            let depth = self.budgets[client.budget(hands)].depth;
            client.limit = u64::MAX;
            for (nth, pair) in (1..).zip(cells.chunk_by(Ranked::is_same_pair)) {
                if nth == depth {
                    client.limit = pair.first().map_or(u64::MAX, |cell| cell.rank);
                }
                if nth <= depth && !client.beyond {
                    continue;
                }
                for ranked in pair {
                    let cell = &self.cells[ranked.cell as usize];
                    let lost = client.lost.get_or_insert_default();
                    lost.add(|| self.names.get(cell.name), cell.kind, cell.total());
                    survives[ranked.cell as usize] = false;
                }
            }
        }
        for client in self.clients.iter_mut().filter(|client| client.beyond) {
            client.limit = u64::MAX;
            if let Some(lost) = client.lost.take() {
                self.budgets[client.budget(hands)].beyond.add_all(&lost);
            }
        }
        survives
    }

    /// All capped cells, by client and rank; those of one pair stand together.
    fn ranked(&self) -> Vec<Ranked> {
        let capped = || (0..).zip(&self.cells).filter(|(_, cell)| cell.capped);
        // Where each client's begin, and the end.
        let mut starts = vec![0; self.clients.len() + 1];
        capped().for_each(|(_, cell)| starts[cell.client as usize + 1] += 1);
        for client in 1..starts.len() {
            starts[client] += starts[client - 1];
        }
        let mut ranked = vec![Ranked::default(); starts[self.clients.len()]];
        let mut next = starts.clone();
        for (at, cell) in capped() {
            let Cell { client, name, .. } = *cell;
            let rank = rank(self.clients[client as usize].rank, self.names.rank(name));
            let place = &mut next[client as usize];
            ranked[*place] = Ranked { client, name, rank, cell: at };
            *place += 1;
        }
        // Two names may have one rank. Then the names decide.
        let names = |a: &Ranked, b: &Ranked| match a.name == b.name {
            true => Ordering::Equal,
            false => self.names.get(a.name).cmp(self.names.get(b.name)),
        };
        for range in starts.windows(2) {
            ranked[range[0]..range[1]]
                .sort_unstable_by(|a, b| a.rank.cmp(&b.rank).then_with(|| names(a, b)));
        }
        ranked
    }

    /// Finds the clients beyond the bound: of those with pairs, all but the ones with the smallest hash.
    fn choose_clients(&mut self, which: usize, pairs: &[u32], hands: &Hands) {
        let budget = &mut self.budgets[which];
        let mut held = Vec::new();
        for (at, client) in self.clients.iter_mut().enumerate() {
            if client.budget(hands) == which {
                client.beyond = client.rank > budget.client_limit;
                if pairs[at] > 0 {
                    held.push((client.rank, client.address, at));
                }
            }
        }
        budget.crowded |= held.len() > budget.clients;
        if !budget.crowded {
            return;
        }
        held.sort_unstable();
        for (_, _, at) in held.drain(budget.clients.min(held.len())..) {
            self.clients[at].beyond = true;
        }
        // While a crowded tally is being added there may be fewer of them.
        if held.len() == budget.clients
            && let Some((rank, ..)) = held.last()
        {
            budget.client_limit = *rank;
        }
        let share = u32::try_from(budget.pairs / budget.clients).unwrap_or(u32::MAX);
        budget.depth = budget.depth.min(share);
        for client in self.clients.iter_mut().filter(|client| client.budget(hands) == which) {
            client.beyond |= client.rank > budget.client_limit;
        }
    }

    /// Keeps what survives, and nothing else, in place: names, clients and origins that nothing needs are gone.
    /// Memory is used again, not given back: there is soon as much again, and what is given back in pieces is lost.
    fn rebuild(&mut self, survives: &[bool]) {
        keep(&mut self.cells, survives);
        let mut clients: Vec<bool> = self.clients.iter().map(|c| c.lost.is_some()).collect();
        let mut names = vec![false; self.names.len()];
        let mut origins = vec![false; self.origins.len()];
        for cell in &self.cells {
            clients[cell.client as usize] = true;
            names[cell.name as usize] = true;
            origins[cell.spot.origin as usize] = true;
        }
        keep(&mut self.clients, &clients);
        keep(&mut self.origins, &origins);
        self.names.keep(&names);
        let [clients, names, origins] = [clients, names, origins].map(|kept| numbers(&kept));
        for cell in &mut self.cells {
            cell.client = clients[cell.client as usize];
            cell.name = names[cell.name as usize];
            cell.spot.origin = origins[cell.spot.origin as usize];
        }
        self.renew_tables();
    }

    /// Counts again what the budgets count.
    fn recount(&mut self, hands: &Hands) {
        for budget in &mut self.budgets {
            (budget.cells, budget.excess, budget.members) = (0, 0, 0);
        }
        for client in &mut self.clients {
            client.capped = 0;
            self.budgets[client.budget(hands)].members += 1;
        }
        for cell in self.cells.iter().filter(|cell| cell.capped) {
            let client = &mut self.clients[cell.client as usize];
            self.budgets[client.budget(hands)].count(client);
        }
        self.budgets.iter_mut().for_each(Budget::settle);
    }
}

/// Keeps these; what they say nothing of, too.
pub(super) fn keep<T>(all: &mut Vec<T>, these: &[bool]) {
    let mut these = these.iter();
    all.retain(|_| these.next().copied().unwrap_or(true));
}

/// What number each one has among those that are kept.
fn numbers(kept: &[bool]) -> Vec<u32> {
    let mut next = 0;
    let number = |kept: &bool| {
        let number = next;
        next += u32::from(*kept);
        number
    };
    kept.iter().map(number).collect()
}

impl Ranked {
    fn is_same_pair(&self, other: &Ranked) -> bool {
        (self.client, self.name) == (other.client, other.name)
    }
}

/// The largest depth, at most `most`, at which clients with so many pairs keep no more than `bound` together.
fn deepest(pairs: &[u32], bound: usize, most: u32) -> u32 {
    let mut at_least = vec![0_usize; most as usize + 2];
    for n in pairs {
        at_least[(*n).min(most) as usize] += 1;
    }
    for n in (1..=most as usize).rev() {
        at_least[n] += at_least[n + 1];
    }
    let mut kept = 0;
    let fits = |n: &u32| {
        kept += at_least[*n as usize];
        kept <= bound
    };
    (1..=most).take_while(fits).last().unwrap_or(1)
}

/// How many others there were, if `kept` have the smallest hashes, up to `last`. At least one.
pub(super) fn others(kept: u32, last: u64) -> u64 {
    let kept = u64::from(kept);
    let all = (u128::from(kept.saturating_sub(1).max(1)) << 64) / (u128::from(last) + 1);
    u64::try_from(all).unwrap_or(u64::MAX).saturating_sub(kept).max(1)
}

impl GivenUp {
    /// Counts `n` records of a name. Of one outcome.
    pub(super) fn add<'n>(&mut self, name: impl FnOnce() -> &'n str, kind: Kind, n: u64) {
        let which = match kind.rcode.outcome() {
            Outcome::Answered => 0,
            Outcome::Failed => 1,
            Outcome::Unknown => 2,
        };
        self.records[which] = self.records[which].saturating_add(n);
        if which != 1 && name::may_be_of_a_cluster(name()) {
            self.of_cluster = self.of_cluster.saturating_add(n);
        }
    }

    pub(super) fn add_all(&mut self, more: &GivenUp) {
        for (mine, theirs) in self.records.iter_mut().zip(more.records) {
            *mine = mine.saturating_add(theirs);
        }
        self.of_cluster = self.of_cluster.saturating_add(more.of_cluster);
    }

    /// All of them.
    pub fn sum(&self) -> u64 {
        self.records.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::log::tally::rank::{client_rank, name_rank};

    #[test]
    fn depth_is_the_largest_that_fits() {
        for (pairs, bound, most, expected) in [
            (&[][..], 1, 4096, 4096),
            (&[5, 5], 10, 4096, 4096),
            (&[5, 5], 9, 4096, 4),
            (&[1, 1, 9], 6, 4096, 4),
            (&[1, 1, 9], 6, 3, 3),
            (&[9, 9, 9], 3, 4096, 1),
        ] {
            assert_eq!(deepest(pairs, bound, most), expected, "{pairs:?} {bound} {most}");
        }
    }

    #[test]
    fn names_are_estimated_roughly() {
        let client = client_rank(IpAddr::from([10, 1, 2, 3]));
        let mut ranks: Vec<u64> =
            (0..50_000).map(|n| rank(client, name_rank(&format!("x{n}.example")))).collect();
        ranks.sort_unstable();
        let others = others(4096, ranks[4095]);
        assert!((43_000..49_000).contains(&others), "{others}");
    }
}
