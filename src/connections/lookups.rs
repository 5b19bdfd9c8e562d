//! Tally × Cluster → all that each client asked, whatever became of it: of types that make no connection (PTR, TXT, …),
//! and names that only failed, too. Each of these lookups went to the cluster's DNS, which a policy may cut off.

use std::iter::zip;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::clients::{Finder, Interner, Key, join_times};
use super::{Client, GroupBy, askers, group};
use crate::cluster::Cluster;
use crate::log::Place;
use crate::log::record::Outcome;
use crate::log::tally::{Row, Sighting, Tally};
use crate::time::Time;

/// What one client asked in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookups {
    /// Who asked, with all addresses and pods that did.
    pub client: Client,
    /// Records that did not fail: answered, or the log does not say.
    pub queries: u64,
    /// Records that failed.
    pub failed: u64,
    /// As in [`super::Connection::lookups`], of every type.
    pub lookups: u64,
    /// First and last time of any of them.
    pub seen: Option<(Time, Time)>,
    /// Where the first one stands; `None`: all were given up.
    pub place: Option<Place>,
    /// The client lost names to the bound on memory. What was given up is counted, unless the address changed hands.
    pub lower_bound: bool,
}

/// Of every client by workload, sorted by its namespace, kind, name. `exclude`: the namespaces whose clients are no
/// evidence. `within`: as in [`super::Options`].
pub fn lookups(
    tally: &Tally,
    cluster: &Cluster,
    exclude: &[String],
    within: Option<(Time, Time)>,
) -> Vec<Lookups> {
    let askers = askers(tally, &Finder::new(tally, cluster, exclude, within), None);
    let mut keys = Interner::new();
    let of_asker: Vec<Option<u32>> = (askers.list.iter())
        .map(|asker| (!asker.excluded).then(|| keys.id(Key::of(asker, GroupBy::Workload, cluster))))
        .collect();
    let mut all: Vec<Asked> = keys.list.iter().map(|key| Asked::by(key.client(cluster))).collect();
    // Whose an address is, if it is one client's throughout.
    let mut owners: HashMap<IpAddr, Option<u32>> = HashMap::new();
    for (asker, id) in zip(&askers.list, &of_asker) {
        let owner = owners.entry(asker.ip).or_insert(*id);
        *owner = owner.filter(|owner| Some(*owner) == *id);
        if let Some(asked) = find(&mut all, *id) {
            asked.of.lower_bound |= asker.lost;
            if !asker.guess {
                asked.of.client.ips.push(asker.ip);
                asked.pods.extend(asker.pods());
            }
        }
    }
    for (row, asker) in zip(&tally.rows, &askers.of_row) {
        let id = of_asker.get(*asker as usize).copied().flatten();
        if let Some(asked) = find(&mut all, id) {
            asked.add(row);
        }
    }
    for lost in &tally.lost {
        let owner = lost.client.and_then(|ip| owners.get(&ip).copied().flatten());
        if let Some(asked) = find(&mut all, owner) {
            let [answered, failed, unknown] = lost.given_up.records;
            asked.of.queries = asked.of.queries.saturating_add(answered).saturating_add(unknown);
            asked.of.failed = asked.of.failed.saturating_add(failed);
        }
    }
    // Who may have asked for what was given up, and has asked for nothing that is known, has not been seen to ask.
    all.retain(|asked| asked.of.queries > 0 || asked.of.failed > 0);
    let mut all: Vec<Lookups> = all.into_iter().map(|asked| asked.finish(tally, cluster)).collect();
    all.sort_by(|a, b| a.order().cmp(&b.order()));
    all
}

impl Lookups {
    fn order(&self) -> (&str, &str, &str) {
        (&self.client.namespace, &self.client.kind, &self.client.name)
    }
}

fn find(all: &mut [Asked], id: Option<u32>) -> Option<&mut Asked> {
    all.get_mut(id? as usize)
}

/// While the rows are added up.
struct Asked {
    of: Lookups,
    /// Indices in `snapshot.pods`.
    pods: Vec<usize>,
    first: Option<Sighting>,
}

impl Asked {
    fn by(client: Client) -> Asked {
        let of = Lookups {
            client,
            queries: 0,
            failed: 0,
            lookups: 0,
            seen: None,
            place: None,
            lower_bound: false,
        };
        Asked { of, pods: Vec::new(), first: None }
    }

    fn add(&mut self, row: &Row) {
        let of = &mut self.of;
        let (counts, others) = group::counts(row);
        of.queries = of.queries.saturating_add(row.count(Outcome::Answered));
        of.queries = of.queries.saturating_add(row.count(Outcome::Unknown));
        of.failed = of.failed.saturating_add(row.count(Outcome::Failed));
        of.lookups = of.lookups.saturating_add(counts.lookups).saturating_add(others);
        of.seen = join_times(of.seen, row.sighting.seen);
        if self.first.is_none_or(|first| row.sighting.order() < first.order()) {
            self.first = Some(row.sighting);
        }
    }

    fn finish(mut self, tally: &Tally, cluster: &Cluster) -> Lookups {
        let client = &mut self.of.client;
        client.ips.sort();
        client.ips.dedup();
        let pods = self.pods.iter().filter_map(|pod| cluster.snapshot.pods.get(*pod));
        client.pods = pods.map(|pod| pod.meta.name.clone()).collect();
        client.pods.sort();
        client.pods.dedup();
        let place = self.first.map(|sighting| tally.place(&sighting));
        Lookups { place, ..self.of }
    }
}
