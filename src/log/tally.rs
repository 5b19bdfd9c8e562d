//! (client, name) → counts. Merging two tallies is addition: order, chunks and threads do not matter. Memory is bounded
//! by a rule that needs no order (SEMANTICS 5).

use std::net::IpAddr;

use super::record::{Kind, Record};
use super::{LateHands, Place, Window};
use crate::time::Time;

/// The finished tally: sorted, owned, the same whatever the split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sorted by client, name, first time (untimed last).
    pub rows: Vec<Row>,
    /// What the bound on unbounded names gave up, sorted by client; `None`, the clients beyond the bound, last.
    pub lost: Vec<Lost>,
}

/// One (client, name, part).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The client's address.
    pub client: IpAddr,
    /// The name's one spelling, without the final dot.
    pub name: Box<str>,
    /// How often each kind was seen, sorted by the kinds' text.
    pub counts: Vec<(Kind, u64)>,
    /// First and last time; `None` in the part of the records without a time.
    pub seen: Option<(Time, Time)>,
    /// Where the record with the smallest (time, path, line) stands.
    pub place: Place,
}

/// What a client lost to the bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The client; `None` for all those beyond the bound on clients together.
    pub client: Option<IpAddr>,
    /// Records that were given up: answered, failed, unknown.
    pub records: [u64; 3],
    /// Of how many distinct names, roughly.
    pub names: u64,
}

/// How much a tally may hold of what is not bounded by the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// `--max-names`: pairs of all clients together.
    pub names: usize,
}

/// One thread's growing tally.
pub struct Builder<'a> {
    hands: &'a LateHands,
    window: Window,
    bound: Bound,
}

impl<'a> Builder<'a> {
    /// An empty one.
    pub fn new(hands: &'a LateHands, window: Window, bound: Bound) -> Builder<'a> {
        Builder { hands, window, bound }
    }

    /// Says which chunk of which input the records come from that follow. (input, chunk) never falls within one builder.
    pub fn at(&mut self, input: u32, chunk: u32) {
        let _ = (input, chunk);
        todo!()
    }

    /// Counts a record; `line` counts from 0 in the chunk. `false`, and not counted: the client is no address.
    pub fn record(&mut self, line: u64, record: &Record<'_>) -> bool {
        let _ = (line, record, self.hands, self.window, self.bound);
        todo!()
    }
}
