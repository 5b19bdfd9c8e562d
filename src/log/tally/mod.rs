//! (client, name) → counts. Merging two tallies is addition: order, chunks and threads do not matter. Memory is bounded
//! by a rule that needs no order (SEMANTICS 5; `bound` holds it). It knows no cluster beside [`super::Hands`].

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

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

pub use bound::Depth;
pub use builder::Builder;
pub use clip::{StraddleError, clip};
pub use merge::merge;

use smallvec::SmallVec;

use super::Place;
use super::record::{Kind, Outcome};
use crate::time::Time;

/// The finished tally: sorted, owned, the same whatever the split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
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
    /// The name's one spelling, without the final dot.
    pub name: Arc<str>,
    /// How often each kind was seen, sorted by the kinds' text.
    pub counts: KindCounts,
    /// First and last time; `None` in the part of the records without a time.
    pub seen: Option<(Time, Time)>,
    /// Where the record with the smallest (time, path, line) stands.
    pub place: Place,
    /// When and where its answered records were seen, if some were, and if that is not as in `seen` and `place`.
    pub answered: Option<Box<Sighting>>,
}

/// When and where records were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// As in [`Row::seen`].
    pub seen: Option<(Time, Time)>,
    /// As in [`Row::place`].
    pub place: Place,
}

impl Row {
    /// How many records went so.
    pub fn count(&self, outcome: Outcome) -> u64 {
        let of = |(kind, _): &&(Kind, u64)| kind.rcode.outcome() == outcome;
        self.counts.iter().filter(of).fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// When and where the answered records were seen: what stands behind a connection. Of a row without any, when and
    /// where the others were.
    pub fn evidence(&self) -> (Option<(Time, Time)>, &Place) {
        match &self.answered {
            Some(answered) => (answered.seen, &answered.place),
            None => (self.seen, &self.place),
        }
    }

    /// The order of a tally's rows. No two rows of one tally are equal in it.
    pub(super) fn order(&self, other: &Row) -> Ordering {
        let key = |row: &Row| (row.seen.is_none(), row.seen);
        let names = || self.name.cmp(&other.name);
        self.client.cmp(&other.client).then_with(names).then_with(|| key(self).cmp(&key(other)))
    }
}

/// What a client lost to the bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The client; `None` for all those beyond the bound on clients together.
    pub client: Option<IpAddr>,
    /// Records that were given up: answered, failed, unknown.
    pub records: [u64; 3],
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
