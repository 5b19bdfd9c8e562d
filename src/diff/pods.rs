//! The pods of sides of which one knows none: by their addresses, which names that were asked for hold. It never tells how
//! often each was asked for, and takes two pods that had an address in turn for two.

use std::collections::{BTreeMap, BTreeSet};

use super::side::by_address;
use super::{Client, Server, Sighting};

/// Pods as a side without a snapshot knows them, by their addresses. Which of several was asked for how often a side that
/// knows the pod does not tell: so they are one on both sides, which stands under the first of them. An address that was
/// several pods' is none of these, and stands for itself.
#[derive(Default)]
pub(super) struct Pods {
    /// Address that is one pod's alone → another such of that pod, the first of them.
    firsts: BTreeMap<Server, Server>,
    /// What stands for a pod that was asked for by more than one of these: how often each was is not known.
    uncounted: BTreeSet<Server>,
}

impl Pods {
    /// Learns the pods of one side.
    pub(super) fn learn(&mut self, connections: &[(Client, Server, Sighting)]) {
        let mut pods: BTreeMap<&Server, BTreeSet<Server>> = BTreeMap::new();
        let mut owners: BTreeMap<Server, BTreeSet<&Server>> = BTreeMap::new();
        for (_, server, sighting) in connections {
            for address in addresses(server, sighting).into_keys() {
                owners.entry(address.clone()).or_default().insert(server);
                pods.entry(server).or_default().insert(address);
            }
        }
        for all in pods.values() {
            let is_own = |one: &&Server| owners.get(*one).is_some_and(|of| of.len() == 1);
            let mut own = all.iter().filter(is_own);
            if let Some(first) = own.next() {
                self.firsts.extend(own.map(|other| (other.clone(), first.clone())));
            }
        }
        for (_, server, sighting) in connections {
            let names = self.of(server, sighting);
            if names.len() > 1 {
                self.uncounted.extend(names.into_keys());
            }
        }
    }

    /// What stands for the pod that was asked for, each with the names that are its. Empty: it is none.
    pub(super) fn of(
        &self,
        server: &Server,
        sighting: &Sighting,
    ) -> BTreeMap<Server, BTreeSet<String>> {
        let mut all: BTreeMap<Server, BTreeSet<String>> = BTreeMap::new();
        for (address, names) in addresses(server, sighting) {
            let first = self.firsts.get(&address).cloned().unwrap_or(address);
            all.entry(first).or_default().extend(names);
        }
        all
    }

    /// Whether it is not known how often this was asked for.
    pub(super) fn is_uncounted(&self, server: &Server) -> bool {
        self.uncounted.contains(server)
    }
}

fn addresses(server: &Server, sighting: &Sighting) -> BTreeMap<Server, BTreeSet<String>> {
    by_address(server, sighting.names.iter().map(String::as_str))
}
