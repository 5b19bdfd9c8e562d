//! The pods that claim one address → the spans of time in which each is a candidate (SEMANTICS 4).
//! A span holds its begin and not its end, so that a record at a change stands behind it.

use smallvec::{SmallVec, smallvec};

use super::lifetimes::Lifetime;
use super::workloads::WorkloadId;
use crate::time::{SECOND, Time};

/// How far clocks may differ: each end of a hold is extended by so much.
const CLOCKS: Time = 5 * SECOND;

/// A pod that had the address at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Index in `snapshot.pods`.
    pub pod: usize,
    /// Its workload.
    pub workload: WorkloadId,
    /// When it had its addresses.
    pub life: Lifetime,
}

/// A stretch of time in which a pod is a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index in `snapshot.pods`.
    pub pod: usize,
    /// Its workload.
    pub workload: WorkloadId,
    /// The first moment; `Time::MIN` if it has none.
    pub begin: Time,
    /// The first moment no more; `Time::MAX` if it has none.
    pub end: Time,
    /// Whether the pod still holds the address, as far as the snapshots know.
    pub running: bool,
    /// Whether the pod Succeeded or Failed.
    pub finished: bool,
}

/// From when to when a pod holds. Nearly always in one piece.
type Hold = SmallVec<[(Time, Time); 1]>;

/// All claims to one address, each cut where others surely hold it. Every pod keeps at least one span. The work is
/// quadratic, and an address has few claims: a pod network hands an address out again last of all.
pub fn spans(claims: &[Claim]) -> Vec<Span> {
    let claims: SmallVec<[Claim; 1]> =
        claims.iter().map(|claim| seen_later(claim, claims)).collect();
    let holds: SmallVec<[Hold; 1]> = claims.iter().map(|claim| hold(claim, &claims)).collect();
    let sure: SmallVec<[Option<(Time, Time)>; 1]> =
        claims.iter().zip(&holds).map(|(claim, hold)| surely(claim, hold)).collect();
    let mut spans = Vec::with_capacity(claims.len());
    for (index, (claim, hold)) in claims.iter().zip(&holds).enumerate() {
        let still = hold.last().is_some_and(|(_, end)| *end == Time::MAX);
        for &(begin, end) in hold {
            let others = sure.iter().enumerate().filter(|(other, _)| *other != index);
            let (begin, end) = extended(begin, end, others.filter_map(|(_, sure)| *sure));
            spans.push(Span {
                pod: claim.pod,
                workload: claim.workload,
                begin,
                end,
                running: still && !claim.life.finished,
                finished: claim.life.finished,
            });
        }
    }
    spans
}

/// A snapshot has another pod at the address, and only a later one has this one there: it came after that, whatever it says
/// of its start; and if its network was made again since, it surely had it only then.
fn seen_later(claim: &Claim, claims: &[Claim]) -> Claim {
    let mut claim = *claim;
    let life = &mut claim.life;
    let Some(first) = life.first_seen.filter(|_| !life.exact) else { return claim };
    let others = claims.iter().map(|other| &other.life).filter(|other| !other.exact);
    let seen = others.filter_map(|other| other.first_seen.and(other.last_seen));
    if let Some(before) = seen.filter(|seen| *seen < first).max() {
        life.may = life.may.max(before);
        let sure = life.made_again.or(life.sure).filter(|sure| *sure > before);
        life.sure = Some(sure.unwrap_or(first));
    }
    claim
}

/// From when to when a pod holds, before any extension. A pod whose end nobody saw ends where the next one surely
/// holds; if it was seen after that one had finished, it only came later than it seems to (its sandbox was made anew, with
/// another address), and holds again from there on.
fn hold(claim: &Claim, claims: &[Claim]) -> Hold {
    let life = &claim.life;
    let (mut begin, end) = (life.may, life.end.unwrap_or(Time::MAX));
    let from = life.sure.unwrap_or(life.may);
    // Without any start the next one cannot be told from the last one.
    if life.exact || from == Time::MIN {
        return smallvec![(begin, end)];
    }
    let mut next: Vec<(Time, &Lifetime)> = claims
        .iter()
        .filter_map(|other| Some((other.life.sure?, &other.life)))
        .filter(|(sure, _)| *sure > from && *sure < end)
        .collect();
    next.sort_by_key(|(sure, other)| (*sure, other.end));
    let mut pieces = Hold::new();
    for (sure, other) in next {
        let over = other.end.filter(|over| other.exact && life.last_seen >= Some(*over));
        if sure > begin {
            pieces.push((begin, sure));
        }
        match over {
            Some(over) => begin = begin.max(over),
            None => return pieces,
        }
    }
    if begin < end || pieces.is_empty() {
        pieces.push((begin, end));
    }
    pieces
}

/// The stretch in which nobody but this pod can have held the address. One that was found missing, or elsewhere, surely
/// held it until it was last seen there.
fn surely(claim: &Claim, hold: &[(Time, Time)]) -> Option<(Time, Time)> {
    let (_, end) = *hold.first()?;
    let is_found = claim.life.end.is_some() && !claim.life.exact;
    let end = claim.life.last_seen.filter(|_| is_found).map_or(end, |seen| seen.min(end));
    claim.life.sure.filter(|sure| *sure < end).map(|sure| (sure, end))
}

/// Both ends extended, but not into a stretch that is surely another pod's.
fn extended(begin: Time, end: Time, others: impl Iterator<Item = (Time, Time)>) -> (Time, Time) {
    let mut early = begin.saturating_sub(CLOCKS);
    // The last moment of the extension counts.
    let mut late = end.saturating_add(CLOCKS).saturating_add(1);
    for (from, to) in others {
        if from < begin && to > early {
            early = to.min(begin);
        }
        if from < late && to > end {
            late = from.max(end);
        }
    }
    (early, late)
}
