//! The pods of sides of which one knows none: by their addresses, which names that were asked for hold. It never tells how
//! often each was asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::side::by_address;
use super::{Client, Server, Sighting};

/// Pods as a side without a snapshot knows them, by their addresses. Which of several was asked for how often a side that
/// knows the pod does not tell: so they are one on both sides, which stands under the first of them.
#[derive(Default)]
pub(super) struct Pods {
    /// Address → one before it that is the same pod's.
    before: BTreeMap<Server, Server>,
}

impl Pods {
    /// Takes the addresses of one connection's pod for the same.
    pub(super) fn learn(&mut self, (_, server, sighting): &(Client, Server, Sighting)) {
        let addresses = by_address(server, sighting.names.iter().map(String::as_str));
        let mut firsts: BTreeSet<Server> =
            addresses.into_keys().map(|one| self.first(one)).collect();
        if let Some(first) = firsts.pop_first() {
            self.before.extend(firsts.into_iter().map(|other| (other, first.clone())));
        }
    }

    fn first(&self, mut address: Server) -> Server {
        while let Some(before) = self.before.get(&address) {
            address.clone_from(before);
        }
        address
    }

    /// What stands for the pod that was asked for. `None`: it is none.
    pub(super) fn of(&self, server: &Server, sighting: &Sighting) -> Option<Server> {
        let addresses = by_address(server, sighting.names.iter().map(String::as_str));
        addresses.into_keys().next().map(|one| self.first(one))
    }
}
