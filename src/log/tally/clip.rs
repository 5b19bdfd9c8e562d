//! `--since` and `--until` on a tally that was read, not counted: a row stands for records between its first and its
//! last time, and cannot be cut.

use std::fmt;
use std::net::IpAddr;

use super::Tally;
use crate::log::Window;
use crate::time::{self, Time};

/// A row of which some records may be inside the window, some outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StraddleError {
    /// The row's client.
    pub client: IpAddr,
    /// The row's first and last time.
    pub seen: (Time, Time),
}

impl fmt::Display for StraddleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StraddleError { client, seen: (first, last) } = self;
        let [first, last] = [first, last].map(|t| time::format(*t));
        write!(f, "a tally's row of {client}, {first} to {last}, lies across the window's edge")
    }
}

impl std::error::Error for StraddleError {}

/// Keeps the rows inside the window. Rows without times are outside any bounded one. What the bound gave up has no
/// times either; it stays, so that what may be missing is still said.
pub fn clip(mut tally: Tally, window: Window) -> Result<Tally, StraddleError> {
    let mut straddles = None;
    tally.rows.retain(|row| {
        let Some((first, last)) = row.seen else { return window.is_open() };
        let before = window.since.is_some_and(|since| last < since);
        let after = window.until.is_some_and(|until| until <= first);
        let inside = window.holds(Some(first)) && window.holds(Some(last));
        if !inside && !before && !after {
            straddles.get_or_insert(StraddleError { client: row.client, seen: (first, last) });
        }
        inside
    });
    match straddles {
        Some(error) => Err(error),
        None => Ok(tally),
    }
}
