//! What a growing tally is made of: clients, and one cell for each sort of record. Plain values, joined by numbers.

use std::net::IpAddr;

use super::bound::GivenUp;
use super::rank;
use crate::log::Hands;
use crate::log::record::{Kind, Outcome, QType};
use crate::name::{self, Shape};
use crate::time::Time;

/// A client, and how it stands with the bound.
#[derive(Debug)]
pub(super) struct Client<'a> {
    pub(super) address: IpAddr,
    /// Where it stands among all.
    pub(super) rank: u64,
    /// When the address changes hands.
    pub(super) changes: &'a [Time],
    /// Whether the snapshot knows it.
    pub(super) known: bool,
    /// Whether it is beyond the bound on clients: what it asked and is not kept is counted with all such clients.
    pub(super) beyond: bool,
    /// Its capped cells.
    pub(super) capped: u32,
    /// A capped pair whose rank is above this is lost.
    pub(super) limit: u64,
    /// Records that it lost.
    pub(super) lost: Option<Box<GivenUp>>,
}

/// The records of one kind, by one client, for one name, in one part. A and AAAA are asked together, and share a cell:
/// so half the memory is touched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) client: u32,
    pub(super) name: u32,
    pub(super) part: Part,
    /// A stands for AAAA too.
    pub(super) kind: Kind,
    /// Under the bound, or kept whatever it says.
    pub(super) capped: bool,
    /// Of the kind, and of AAAA.
    pub(super) counts: [u64; 2],
    /// Both 0 when untimed.
    pub(super) first: Time,
    pub(super) last: Time,
    pub(super) spot: Spot,
}

impl Cell {
    /// Which cell counts a kind, and which of its counts.
    #[inline]
    pub(super) fn of(kind: Kind) -> (Kind, usize) {
        match kind.qtype {
            QType::AAAA => (Kind { qtype: QType::A, ..kind }, 1),
            _ => (kind, 0),
        }
    }

    /// What it counts.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (Kind, u64)> {
        let aaaa = Kind { qtype: QType::AAAA, ..self.kind };
        let both = [(self.kind, self.counts[0]), (aaaa, self.counts[1])];
        both.into_iter().filter(|(_, n)| *n > 0)
    }

    /// Adds another one that counts the same.
    pub(super) fn add(&mut self, more: &Cell, is_older: bool) {
        for (count, more) in self.counts.iter_mut().zip(more.counts) {
            *count = count.saturating_add(more);
        }
        self.last = self.last.max(more.last);
        if is_older {
            (self.first, self.spot) = (more.first, more.spot);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.counts[0].saturating_add(self.counts[1])
    }
}

/// Between which changes of hands: from the part of the first to the part of the last record. Records have one part;
/// a row of a tally that was made with other snapshots may lie over several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    from: u16,
    to: u16,
}

impl Part {
    /// After all others.
    pub(super) const UNTIMED: Part = Part { from: u16::MAX, to: u16::MAX };

    /// After so many changes of hands an address stays in its last part: then more of it is ambiguous, not less.
    pub(super) fn of(time: Time, changes: &[Time]) -> Part {
        let passed = changes.partition_point(|change| *change <= time);
        let part = u16::try_from(passed).unwrap_or(u16::MAX).min(u16::MAX - 1);
        Part { from: part, to: part }
    }

    pub(super) fn up_to(self, last: Part) -> Part {
        Part { from: self.from, to: last.to }
    }

    /// A number for it, to be hashed.
    pub(super) fn number(self) -> u32 {
        u32::from(self.from) << 16 | u32::from(self.to)
    }
}

/// A line, from 0, behind an origin's base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) origin: u32,
    pub(super) line: u32,
}

/// From where a spot counts its lines: an input's chunk, and a line in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) input: u32,
    pub(super) chunk: u32,
    pub(super) base: u64,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Client(u32),
    /// Beyond the bound on clients, and not remembered: the index of its budget.
    Beyond(usize),
}

impl<'a> Client<'a> {
    pub(super) fn new(address: IpAddr) -> Client<'a> {
        let (changes, lost) = (&[][..], None);
        let (known, beyond) = (false, false);
        let rank = rank::client_rank(address);
        Client { address, rank, changes, known, beyond, capped: 0, limit: u64::MAX, lost }
    }

    /// Looks itself up. The index of its budget.
    pub(super) fn learn(&mut self, hands: &'a Hands) -> usize {
        if let Some(changes) = hands.changes.get(&self.address) {
            self.known = true;
            self.changes = changes;
        }
        self.budget(hands)
    }

    /// Without a snapshot nobody is unknown to it.
    pub(super) fn budget(&self, hands: &Hands) -> usize {
        usize::from(hands.snapshot && !self.known)
    }

    /// What is bounded by the cluster, and kept: answered records of Service, endpoint and SRV names by clients in the
    /// snapshot.
    pub(super) fn keeps<'n>(
        &self,
        name: impl FnOnce() -> &'n str,
        kind: Kind,
        hands: &Hands,
    ) -> bool {
        let in_cluster = |shape| {
            matches!(shape, Shape::Service { .. } | Shape::Endpoint { .. } | Shape::Srv { .. })
        };
        self.known
            && kind.rcode.outcome() == Outcome::Answered
            && in_cluster(name::shape(name(), &hands.domains))
    }
}
