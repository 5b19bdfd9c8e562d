//! (client, name) → counts. Merging two tallies is addition: order, chunks and threads do not matter. Memory is bounded
//! by a rule that needs no order (SEMANTICS 5; `bound` holds it). It knows no cluster beside [`super::Hands`].

mod batch;
mod bound;
mod builder;
mod cell;
mod clients;
mod clip;
mod door;
mod hot;
mod intern;
mod merge;
mod names;
mod rank;
mod table;
#[cfg(test)]
mod tests;
mod texts;

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

pub use bound::{Depth, GivenUp};
pub use builder::Builder;
pub use clip::{StraddleError, clip};
pub use merge::merge;
pub use texts::Numbers;

use smallvec::SmallVec;

use super::Place;
use super::record::{Kind, Outcome};
use crate::time::Time;

/// The finished tally: sorted, owned, the same whatever the split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The names of the rows, each once, sorted.
    pub names: Vec<Arc<str>>,
    /// The logs' paths, as in [`super::Input::path`], of the rows' records: each once, sorted.
    pub paths: Vec<Arc<str>>,
    /// Sorted by client, name, first time (untimed last).
    pub rows: Vec<Row>,
    /// What the bound on unbounded names gave up, sorted by client; `None`, the clients beyond the bound, last.
    pub lost: Vec<Lost>,
    /// How many capped pairs a client could keep. Merging needs it.
    pub depth: Depth,
}

/// How often each kind was seen. Mostly there are A and AAAA of one outcome: then they stand in the row itself.
pub type KindCounts = SmallVec<[(Kind, u64); 2]>;

/// One (client, name, part).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The client's address.
    pub client: IpAddr,
    /// Which of [`Tally::names`]: its one spelling, without the final dot.
    pub name: u32,
    /// How often each kind was seen, sorted by the kinds' text.
    pub counts: KindCounts,
    /// When and where its records were seen.
    pub sighting: Sighting,
    /// When and where its answered records were seen, if some were, and if that is not the same.
    pub answered: Option<Box<Sighting>>,
}

/// When and where records were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// First and last time; `None` in the part of the records without a time.
    pub seen: Option<(Time, Time)>,
    /// In which of [`Tally::paths`] the record with the smallest (time, path, line) stands.
    pub path: u32,
    /// Its line, from 1, in the decompressed input.
    pub line: u64,
}

impl Tally {
    /// A tally of these rows, whose names and paths are numbered so. No two of them may be equal in [`Row::order`].
    pub fn of(rows: Vec<Row>, names: Numbers, paths: Numbers) -> Tally {
        let (names, paths) = (names.into_texts(), paths.into_texts());
        let mut tally = Tally { names, paths, rows, ..Tally::default() };
        tally.number();
        tally.rows.sort_by(Row::order);
        tally
    }

    /// The name of one of its rows.
    pub fn name(&self, row: &Row) -> &str {
        self.names.get(row.name as usize).map_or("", |name| name)
    }

    /// Where one of its rows was seen.
    pub fn place(&self, sighting: &Sighting) -> Place {
        let path = self.paths.get(sighting.path as usize).cloned().unwrap_or_default();
        Place { path, line: sighting.line }
    }

    /// All records that it counts, those that were given up among them: answered, failed, unknown.
    pub fn records(&self) -> [u64; 3] {
        let mut all = [0_u64; 3];
        let mut add = |which: usize, n: u64| {
            if let Some(sum) = all.get_mut(which) {
                *sum = sum.saturating_add(n);
            }
        };
        for (kind, n) in self.rows.iter().flat_map(|row| &row.counts) {
            add(kind.rcode.outcome() as usize, *n);
        }
        for lost in &self.lost {
            lost.given_up.records.iter().enumerate().for_each(|(which, n)| add(which, *n));
        }
        all
    }

    /// Puts names and paths in order, each once and none that no row has, whatever they were; rows keep theirs, by new
    /// numbers. The rows' own order is not touched.
    pub(super) fn number(&mut self) {
        texts::number(&mut self.names, &mut self.rows, |row| [Some(&mut row.name), None]);
        texts::number(&mut self.paths, &mut self.rows, |row| {
            let answered = row.answered.as_deref_mut().map(|answered| &mut answered.path);
            [Some(&mut row.sighting.path), answered]
        });
    }
}

impl Sighting {
    /// What was seen first stands first, by (time, path, line); what has no time, last.
    pub(crate) fn order(&self) -> impl Ord + use<> {
        (self.seen.is_none(), self.seen.map(|(first, _)| first), self.path, self.line)
    }
}

impl Row {
    /// How many records went so.
    pub fn count(&self, outcome: Outcome) -> u64 {
        let of = |(kind, _): &&(Kind, u64)| kind.rcode.outcome() == outcome;
        self.counts.iter().filter(of).fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// When and where the answered records were seen: what stands behind a connection. Of a row without any, when and
    /// where the others were.
    pub fn evidence(&self) -> &Sighting {
        self.answered.as_deref().unwrap_or(&self.sighting)
    }

    /// The order of a tally's rows. No two rows of one tally are equal in it.
    pub fn order(&self, other: &Row) -> Ordering {
        self.order_by(other, |name| name)
    }

    /// The same while names are not numbered in their order: by what their numbers stand for.
    pub(super) fn order_by<T: Ord>(&self, other: &Row, name: impl Fn(u32) -> T) -> Ordering {
        let key = |row: &Row| (row.sighting.seen.is_none(), row.sighting.seen);
        let names = || name(self.name).cmp(&name(other.name));
        self.client.cmp(&other.client).then_with(names).then_with(|| key(self).cmp(&key(other)))
    }
}

/// What a client lost to the bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The client; `None` for all those beyond the bound on clients together.
    pub client: Option<IpAddr>,
    /// Its records that are in no row.
    pub given_up: GivenUp,
    /// Of how many distinct names, roughly. For `None`: of how many clients, roughly, each of which asked for at
    /// least one name.
    pub names: u64,
}

/// How much a tally may hold of what is not bounded by the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// `--max-names`: pairs of all clients together.
    pub names: usize,
}
