//! Pod → from when to when it held its addresses, as far as the snapshots know (SEMANTICS 4).
//! It looks at one pod at a time; which of its addresses it had when is for [`super::moves`], and who else held the same
//! address for [`super::addresses`].

use super::model::{Moment, Pod, Snapshot};
use crate::time::Time;

/// When a pod held its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// It may hold them from here on: its startTime, else its creation, else the beginning of time.
    pub may: Time,
    /// It surely holds them from here on: its network was ready, or a container ran.
    pub sure: Option<Time>,
    /// Its network was made then, after a container had run: before, it may have had other addresses.
    pub made_again: Option<Time>,
    /// It no longer holds them. `None`: nothing says so.
    pub end: Option<Time>,
    /// Whether `end` is when its containers ended. Else it was found missing at `end`, and had ended before.
    pub exact: bool,
    /// Of several snapshots, when the first one had it at its addresses.
    pub first_seen: Option<Time>,
    /// When a snapshot last held it.
    pub last_seen: Option<Time>,
    /// Its containers have ended for good.
    pub finished: bool,
}

impl Lifetime {
    /// Whether it is still there, as far as the snapshots know.
    pub fn is_present(&self) -> bool {
        !self.finished && self.end.is_none()
    }
}

/// All pods' lifetimes, in the order of `snapshot.pods`.
pub fn lifetimes(snapshot: &Snapshot) -> Vec<Lifetime> {
    snapshot.pods.iter().map(|pod| lifetime(pod, &snapshot.moments)).collect()
}

fn lifetime(pod: &Pod, moments: &[Moment]) -> Lifetime {
    let sure = pod.network_ready.into_iter().chain(pod.started).min();
    let may = pod.start.or(pod.meta.created).unwrap_or(Time::MIN);
    let may = sure.map_or(may, |sure| may.min(sure));
    let finished = pod.is_finished();
    let gone = gone(pod, moments);
    let exact = if finished { pod.finished.or(pod.last_transition) } else { None };
    let by_then = |seen: Time| gone.map_or(seen, |gone| seen.min(gone));
    Lifetime {
        may,
        sure,
        made_again: made_again(pod),
        end: exact.or(gone).map(|end| end.max(may)),
        exact: exact.is_some(),
        first_seen: pod.seen.map(|(first, _)| by_then(first)),
        last_seen: last_seen(pod, moments).map(by_then),
        finished,
    }
}

/// A pod's network is ready before its first container starts.
pub(super) fn made_again(pod: &Pod) -> Option<Time> {
    pod.network_ready.filter(|ready| pod.started.is_some_and(|started| started < *ready))
}

fn holding<'a>(pod: &'a Pod, moments: &'a [Moment]) -> impl Iterator<Item = &'a Moment> {
    moments.iter().filter(|moment| moment.holds(pod))
}

fn last_seen(pod: &Pod, moments: &[Moment]) -> Option<Time> {
    holding(pod, moments).filter_map(|moment| moment.time).max()
}

/// The time at which the pod was found missing: what a capture record says, or a later snapshot that lacks it though it
/// lists that namespace's pods.
fn gone(pod: &Pod, moments: &[Moment]) -> Option<Time> {
    // Without a uid, another pod of the same name could not be told from this one.
    if pod.meta.uid.is_empty() {
        return None;
    }
    let recorded = moments.iter().filter_map(|moment| moment.gone.get(&pod.meta.uid).copied());
    recorded.chain(missing(pod, moments)).min()
}

fn missing(pod: &Pod, moments: &[Moment]) -> Option<Time> {
    // Found in one, missing in another.
    if moments.len() < 2 {
        return None;
    }
    // A snapshot without a time may be the latest of all.
    if holding(pod, moments).any(|moment| moment.time.is_none()) {
        return None;
    }
    let seen = last_seen(pod, moments)?;
    let would_list_it = |moment: &&Moment| {
        moment.pods_cluster_wide || moment.namespaces.contains(&pod.meta.namespace)
    };
    moments.iter().filter(would_list_it).filter_map(|m| m.time).filter(|time| *time > seen).min()
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::*;
    use super::*;

    fn of(pod: &Pod, moments: Vec<Moment>) -> Lifetime {
        lifetime(pod, &moments)
    }

    #[test]
    fn a_pod_may_hold_from_its_start_and_surely_holds_from_the_first_sign_of_its_network() {
        let mut pod = pod("shop", "web", "10.0.0.1");
        assert_eq!((of(&pod, vec![]).may, of(&pod, vec![]).sure), (Time::MIN, None));
        pod.meta.created = Some(at("10:00:00"));
        assert_eq!(of(&pod, vec![]).may, at("10:00:00"));
        pod.start = Some(at("10:00:01"));
        assert_eq!(of(&pod, vec![]).may, at("10:00:01"));
        pod.started = Some(at("10:00:09"));
        assert_eq!(of(&pod, vec![]).sure, Some(at("10:00:09")));
        pod.network_ready = Some(at("10:00:03"));
        assert_eq!(of(&pod, vec![]).sure, Some(at("10:00:03")));
    }

    #[test]
    fn a_finished_pod_ends_with_its_last_container_or_its_last_transition() {
        let mut pod = until(since(pod("shop", "dump", "10.0.0.1"), "10:00:00"), "10:05:00");
        assert_eq!(of(&pod, vec![]).end, Some(at("10:05:00")));
        pod.last_transition = Some(at("10:06:00"));
        assert_eq!(of(&pod, vec![]).end, Some(at("10:05:00")));
        pod.finished = None;
        assert_eq!(of(&pod, vec![]).end, Some(at("10:06:00")));
        pod.phase = "Running".into();
        assert_eq!(of(&pod, vec![]).end, None, "a container that ended is not the pod");
    }

    #[test]
    fn a_pod_that_a_later_snapshot_lacks_ended_at_that_time_if_that_one_lists_its_namespace() {
        let mine = pod("shop", "web", "10.0.0.1");
        let neighbour = pod("shop", "api", "10.0.0.2");
        let stranger = pod("bank", "api", "10.0.0.3");
        let first = || moment("10:00:00", &[&mine]);
        let end = |later: Moment| of(&mine, vec![first(), later]).end;
        assert_eq!(end(moment("11:00:00", &[&neighbour])), Some(at("11:00:00")));
        assert_eq!(end(moment("11:00:00", &[&stranger])), None);
        let wide = Moment { pods_cluster_wide: true, ..moment("11:00:00", &[&stranger]) };
        assert_eq!(end(wide), Some(at("11:00:00")));
        assert_eq!(end(moment("10:00:00", &[&neighbour])), None, "not later");
        assert_eq!(end(moment("11:00:00", &[&mine, &neighbour])), None);
        assert_eq!(end(Moment { time: None, ..moment("11:00:00", &[&neighbour]) }), None);
        let back = vec![
            first(),
            moment("11:00:00", &[&neighbour]),
            moment("12:00:00", &[&mine]),
            moment("13:00:00", &[&neighbour]),
        ];
        assert_eq!(of(&mine, back).end, Some(at("13:00:00")), "later than the last that holds it");
        let undated = Moment { time: None, ..first() };
        assert_eq!(of(&mine, vec![undated, moment("11:00:00", &[&neighbour])]).end, None);
        let nameless = Pod {
            meta: crate::cluster::model::Meta { uid: String::new(), ..mine.meta.clone() },
            ..mine.clone()
        };
        assert_eq!(of(&nameless, vec![moment("11:00:00", &[&neighbour])]).end, None);
    }

    #[test]
    fn a_capture_record_says_when_a_pod_was_gone() {
        let mine = pod("shop", "web", "10.0.0.1");
        let mut capture = moment("11:00:00", &[&mine]);
        capture.gone.insert(mine.meta.uid.clone(), at("10:50:00"));
        let life = of(&mine, vec![capture]);
        assert_eq!((life.end, life.exact, life.is_present()), (Some(at("10:50:00")), false, false));
        assert_eq!(
            life.last_seen,
            Some(at("10:50:00")),
            "the capture lists it, but it was gone by then"
        );
    }
}
