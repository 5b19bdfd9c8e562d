//! A pod that several snapshots have at different addresses → from when to when it held each. A node that starts again
//! gives its pods new ones, and each pod keeps its uid and its start.
//! An address was the pod's when a snapshot says so, from its beginning if no earlier snapshot has it elsewhere, and maybe
//! until the pod is known to have another one.

use std::net::IpAddr;

use super::lifetimes::{Lifetime, made_again};
use super::model::Pod;
use crate::time::Time;

/// Every address that the pod is known to have had, and when it had it: more than once, if it came back to it. `life` is
/// the whole pod's.
pub fn holds(pod: &Pod, life: &Lifetime) -> Vec<(IpAddr, Lifetime)> {
    if pod.former.is_empty() {
        return pod.addresses.iter().map(|address| (address.to_canonical(), *life)).collect();
    }
    let states: Vec<&Pod> = pod.former.iter().chain([pod]).collect();
    let all = states.iter().flat_map(|state| &state.addresses).map(IpAddr::to_canonical);
    let mut addresses: Vec<IpAddr> = all.collect();
    addresses.sort_unstable();
    addresses.dedup();
    let Some(seen) = ascending(&states) else {
        // Which state came first is not known.
        let ever = Lifetime { may: Time::MIN, sure: None, exact: false, first_seen: None, ..*life };
        return addresses.into_iter().map(|address| (address, ever)).collect();
    };
    let moves = Moves { states: &states, seen: &seen, life };
    addresses.iter().flat_map(|address| moves.of(*address)).collect()
}

/// When each state was first and last seen, if one was before the other.
fn ascending(states: &[&Pod]) -> Option<Vec<(Time, Time)>> {
    let seen: Vec<(Time, Time)> = states.iter().map(|state| state.seen).collect::<Option<_>>()?;
    seen.is_sorted_by(|(_, last), (first, _)| last < first).then_some(seen)
}

struct Moves<'a> {
    /// Oldest first.
    states: &'a [&'a Pod],
    seen: &'a [(Time, Time)],
    life: &'a Lifetime,
}

impl Moves<'_> {
    /// When the pod had this address: once for each row of states that have it.
    fn of(&self, address: IpAddr) -> Vec<(IpAddr, Lifetime)> {
        let has = |state: &Pod| state.addresses.iter().any(|a| a.to_canonical() == address);
        let mut from = 0;
        let mut held = Vec::new();
        for row in self.states.chunk_by(|a, b| has(a) == has(b)) {
            let to = from + row.len();
            if row.first().is_some_and(|state| has(state)) {
                held.extend(self.hold(from, to).map(|life| (address, life)));
            }
            from = to;
        }
        held
    }

    /// From when to when the pod had what these states have, and those around them have not.
    fn hold(&self, from: usize, to: usize) -> Option<Lifetime> {
        let Lifetime { may: started, end, exact, finished, .. } = *self.life;
        let by_then = |seen: Time| end.map_or(seen, |end| seen.min(end));
        let (first, _) = *self.seen.get(from)?;
        let (_, last) = *self.seen.get(to.checked_sub(1)?)?;
        let (may, sure) = match from.checked_sub(1).and_then(|before| self.seen.get(before)) {
            None => {
                let oldest = self.states.first()?;
                let signs = [oldest.network_ready, oldest.started, Some(by_then(first))];
                let sure = signs.into_iter().flatten().min();
                // One without a uid may have been made again since.
                let start = oldest.start.or(oldest.meta.created).unwrap_or(started);
                (sure.map_or(start, |sure| start.min(sure)), sure)
            }
            Some((_, elsewhere)) => (started.max(*elsewhere), self.moved(from)),
        };
        let (end, exact, finished) = match self.moved(to) {
            // It moved before it ended.
            Some(moved) if end.is_none_or(|end| moved < end) => (Some(moved), false, false),
            _ => (end, exact, finished),
        };
        let (first_seen, last_seen) = (Some(by_then(first)), Some(by_then(last)));
        let made_again = self.states.get(from).and_then(|state| made_again(state));
        Some(Lifetime { may, sure, made_again, end, exact, first_seen, last_seen, finished })
    }

    /// Since when the pod surely had what this state has, and the one before has not: its network was made after that one
    /// was seen, or else this one was seen.
    fn moved(&self, state: usize) -> Option<Time> {
        let (_, before) = *self.seen.get(state.checked_sub(1)?)?;
        let (by, _) = *self.seen.get(state)?;
        let ready = self.states.get(state)?.network_ready;
        Some(ready.filter(|ready| *ready > before && *ready < by).unwrap_or(by))
    }
}

#[cfg(test)]
mod tests;
