//! Log bytes → records → [`Tally`](tally::Tally). Knows CoreDNS and what wraps its lines; knows nothing of a cluster, except the
//! plain values in [`Hands`].
//!
//! [`discover`] finds files, [`input`] maps them, [`scan`] cuts lines and reads records, [`tally`] counts them,
//! [`tally_csv`] writes and reads a tally, [`read`] runs them all in parallel. A line never fails the run.

pub mod client;
mod count;
mod cut;
pub mod discover;
pub mod format;
mod gather;
mod held;
mod ident;
pub mod input;
pub mod interrupt;
mod places;
pub mod read;
pub mod record;
pub mod rejects;
pub mod scan;
mod sniff;
mod stream;
pub mod tally;
pub mod tally_csv;
#[cfg(target_arch = "x86_64")]
mod wide;

use std::net::IpAddr;
use std::sync::OnceLock;

use hashbrown::HashMap;

use crate::time::Time;

/// What the log stage must know of the snapshot: plain values, so that it needs no cluster.
/// The default is "no snapshot was given".
#[derive(Clone, Debug, Default)]
pub struct Hands {
    /// Every address that the snapshot knows as a client, with the times, ascending, at which it changes hands. The
    /// tally of an address is split at those times (SEMANTICS 4, 5).
    pub changes: HashMap<IpAddr, Vec<Time>>,
    /// The cluster domains, without dots at their ends; never empty once set.
    pub domains: Vec<String>,
    /// Whether there is a snapshot: without one no client is unknown to it.
    pub snapshot: bool,
}

/// [`Hands`] that another thread is still reading: [`OnceLock::wait`] for them, as late as possible.
pub type LateHands = OnceLock<Hands>;

/// `--since` and `--until`: since ≤ t < until. A record without a time is outside any bounded window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first moment that counts.
    pub since: Option<Time>,
    /// The first moment that no longer counts.
    pub until: Option<Time>,
}

impl Window {
    /// Whether neither end is set.
    pub fn is_open(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Whether a record of this time counts.
    pub fn holds(&self, time: Option<Time>) -> bool {
        match time {
            None => self.is_open(),
            Some(t) => self.since.is_none_or(|s| s <= t) && self.until.is_none_or(|u| t < u),
        }
    }
}

/// Why a line that looked like a query could not be read (SEMANTICS 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The query's core or head is broken.
    Malformed,
    /// The client is empty or redacted.
    NoClient,
    /// What stands where the client should is no IP address.
    BadAddress,
    /// The record is longer than 8 KiB.
    TooLong,
    /// A line of CoreDNS in a format that is not the default, and that was not announced.
    UnknownFormat,
}

impl Reason {
    /// All reasons, in the order in which counts of them are kept and shown.
    pub const ALL: [Reason; 5] = [
        Reason::Malformed,
        Reason::NoClient,
        Reason::BadAddress,
        Reason::TooLong,
        Reason::UnknownFormat,
    ];

    /// The word for it in every output.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::NoClient => "no-client",
            Reason::BadAddress => "bad-address",
            Reason::TooLong => "too-long",
            Reason::UnknownFormat => "unknown-format",
        }
    }
}

/// How many lines were what: `total` = `queries` + `other` + the sum of `rejected`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// All lines; a last one without a newline is one.
    pub total: u64,
    /// Lines that hold at least one record.
    pub queries: u64,
    /// Lines that are no query at all, blank ones included.
    pub other: u64,
    /// Lines that looked like a query and could not be read, by [`Reason::ALL`].
    pub rejected: [u64; 5],
    /// What was broken beside a record on one line. Outside the sum.
    pub fragments: u64,
}

impl std::ops::AddAssign for Lines {
    fn add_assign(&mut self, more: Lines) {
        self.total += more.total;
        self.queries += more.queries;
        self.other += more.other;
        for (mine, theirs) in self.rejected.iter_mut().zip(more.rejected) {
            *mine += theirs;
        }
        self.fragments += more.fragments;
    }
}

/// How an input was when it had been read (SEMANTICS 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Read whole, and the same afterwards as before.
    Complete,
    /// It had grown by the end; what it held at the start was read.
    Grew,
    /// It was rewritten while it was read: its counts are not to be trusted.
    Changed,
    /// It was cut while it was read, or its compressed stream ends too early.
    Truncated,
    /// It could not be opened or read.
    Unreadable,
    /// A pipe that Ctrl-C ended.
    Interrupted,
}

impl State {
    /// The word for it in every output.
    pub fn word(self) -> &'static str {
        match self {
            State::Complete => "complete",
            State::Grew => "grew",
            State::Changed => "changed",
            State::Truncated => "truncated",
            State::Unreadable => "unreadable",
            State::Interrupted => "interrupted",
        }
    }
}

/// What was read of one log: a row of `coverage.inputs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The path as the user typed it (or as the walk of a directory they typed found it); `-` for standard input.
    pub path: String,
    /// `false`: in all of it there was no record; it is listed as `not a query log`.
    pub is_log: bool,
    /// Bytes, decompressed.
    pub bytes: u64,
    /// Its lines.
    pub lines: Lines,
    /// Records inside the window that were answered.
    pub answered: u64,
    /// Records inside the window that failed.
    pub failed: u64,
    /// Records inside the window whose line holds no rcode.
    pub unknown: u64,
    /// Records outside the window.
    pub outside: u64,
    /// Records without a time, inside the window or not.
    pub untimed: u64,
    /// The earliest and the latest time of a record inside the window.
    pub seen: Option<(Time, Time)>,
    /// How it was afterwards.
    pub state: State,
    /// Why it could not be read, or what is odd about it: a lower-case fragment for people.
    pub problem: Option<String>,
    /// Hash of path, size, first and last 64 KiB: the same input is not counted twice.
    pub id: u64,
}

impl Input {
    /// Records inside the window: answered, failed, unknown.
    pub fn records(&self) -> [u64; 3] {
        [self.answered, self.failed, self.unknown]
    }

    /// Whether records without a time are among those inside the window. A bounded one leaves all of them outside.
    pub fn counts_untimed(&self) -> bool {
        self.untimed > self.outside
    }

    /// Whether there is any, inside the window or not.
    pub fn holds_records(&self) -> bool {
        self.outside > 0 || self.records() != [0; 3]
    }
}

/// Where the first record of a row stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The log's path, as in [`Input::path`].
    pub path: std::sync::Arc<str>,
    /// Its line, from 1, in the decompressed input.
    pub line: u64,
}
