//! `--since` and `--until` on a tally that was read, not counted: a row, and what is counted of an input, stand for
//! records between a first and a last time, and cannot be cut.

use std::fmt;

use super::Tally;
use crate::log::{Input, Window};
use crate::time::{self, Time};

/// Something of which some records may be inside the window, some outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StraddleError {
    /// What it is.
    pub what: String,
    /// Its first and last time.
    pub seen: (Time, Time),
}

impl fmt::Display for StraddleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StraddleError { what, seen: (first, last) } = self;
        let [first, last] = [first, last].map(|t| time::format(*t));
        write!(f, "{what}, {first} to {last}, lies across the window's edge")
    }
}

impl std::error::Error for StraddleError {}

/// Keeps the rows inside the window, and what was counted of the inputs inside it. Rows without times are outside any
/// bounded one. What the bound gave up has no times either; it stays, so that what may be missing is still said.
pub fn clip(tally: &mut Tally, inputs: &mut [Input], window: Window) -> Result<(), StraddleError> {
    if window.is_open() {
        return Ok(());
    }
    // Those of a tally that was made within a window are counted as outside already.
    let untimed = tally.rows.iter().any(|row| row.sighting.seen.is_none());
    for row in &tally.rows {
        inside(row.sighting.seen, window, || format!("a tally's row of {}", row.client))?;
    }
    for input in inputs {
        let what = || format!("what it counts of {}", input.path);
        let is_inside = inside(input.seen, window, what)?;
        let mixed = untimed && input.untimed > 0;
        match input.seen {
            Some(seen) if is_inside && mixed => {
                let what = format!("what it counts of {}, with records without a time", input.path);
                return Err(StraddleError { what, seen });
            }
            _ if is_inside => {}
            _ => {
                let counts = [&mut input.answered, &mut input.failed, &mut input.unknown];
                input.outside += counts.into_iter().map(std::mem::take).sum::<u64>();
                input.seen = None;
            }
        }
    }
    tally.rows.retain(|row| window.holds(row.sighting.seen.map(|(first, _)| first)));
    tally.number();
    Ok(())
}

/// Whether what was seen then is inside a bounded window, or outside it.
fn inside(
    seen: Option<(Time, Time)>,
    window: Window,
    what: impl FnOnce() -> String,
) -> Result<bool, StraddleError> {
    let Some((first, last)) = seen else { return Ok(false) };
    let before = window.since.is_some_and(|since| last < since);
    let after = window.until.is_some_and(|until| until <= first);
    let inside = window.holds(Some(first)) && window.holds(Some(last));
    if !inside && !before && !after {
        return Err(StraddleError { what: what(), seen: (first, last) });
    }
    Ok(inside)
}
