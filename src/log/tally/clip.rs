//! `--since` and `--until` on a tally that was read, not counted: a row, and what is counted of an input, stand for
//! records between a first and a last time, and cannot be cut.

use std::fmt;

use super::{GivenUp, Tally};
use crate::log::{Input, Window};
use crate::text;
use crate::time::{self, Time};

/// Something of which some records may be inside the window, some outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StraddleError {
    /// What it is.
    pub what: String,
    /// Its first and last time; `None` where there is no telling.
    pub seen: Option<(Time, Time)>,
}

impl fmt::Display for StraddleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StraddleError { what, seen } = self;
        let seen = seen.map(|(first, last)| [first, last].map(time::format));
        let seen = seen.map(|[first, last]| format!(", {first} to {last},")).unwrap_or_default();
        write!(f, "{what}{seen} lies across the window's edge")
    }
}

impl std::error::Error for StraddleError {}

/// Keeps the rows inside the window, and what was counted of the inputs inside it. What has no time is outside any bounded
/// one, whether it is in a row or was given up.
pub fn clip(tally: &mut Tally, inputs: &mut [Input], window: Window) -> Result<(), StraddleError> {
    if window.is_open() {
        return Ok(());
    }
    for row in &tally.rows {
        inside(row.sighting.seen, window, || format!("a tally's row of {}", row.client))?;
    }
    let mut counted = [0_u64; 3];
    for input in inputs {
        let what = || format!("what it counts of {}", text::terminal(&input.path));
        let is_inside = inside(input.seen, window, what)?;
        if !is_inside {
            let counts = [&mut input.answered, &mut input.failed, &mut input.unknown];
            input.outside += counts.into_iter().map(std::mem::take).sum::<u64>();
            input.seen = None;
        } else if input.counts_untimed() {
            let what = format!("{}, with records without a time", what());
            return Err(StraddleError { what, seen: input.seen });
        }
        counted.iter_mut().zip(input.records()).for_each(|(sum, more)| *sum += more);
    }
    tally.rows.retain(|row| window.holds(row.sighting.seen.map(|(first, _)| first)));
    tally.number();
    clip_lost(tally, counted)
}

/// What the bound gave up has no times. How much of it is inside the window is known from what was counted there and is in no
/// row; whose it is only if it is all, or one client's. Else nobody can say.
fn clip_lost(tally: &mut Tally, counted: [u64; 3]) -> Result<(), StraddleError> {
    if tally.records() == counted {
        return Ok(());
    }
    let mut all = std::mem::take(&mut tally.lost);
    let kept = tally.records();
    if kept == counted {
        return Ok(());
    }
    if let [lost] = all.as_mut_slice() {
        let GivenUp { records, of_cluster } = &mut lost.given_up;
        let inside = counted.iter().zip(kept).map(|(counted, kept)| counted.saturating_sub(kept));
        records.iter_mut().zip(inside).for_each(|(sum, inside)| *sum = inside);
        // As many as there may be.
        *of_cluster = records[0].saturating_add(records[2]).min(*of_cluster);
        lost.names = lost.given_up.sum().min(lost.names);
        tally.lost = all;
        if tally.records() == counted {
            return Ok(());
        }
    }
    Err(StraddleError { what: "what it gave up to --max-names".into(), seen: None })
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
        return Err(StraddleError { what: what(), seen: Some((first, last)) });
    }
    Ok(inside)
}
