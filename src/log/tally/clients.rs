//! Those who ask, as a growing tally meets them: known by their texts and addresses, and classified once the hands are there.
//! They are waited for as late as can be: until the first record that has a time, or until there is much to classify.

use std::hash::BuildHasher;
use std::net::IpAddr;

use super::bound::Budget;
use super::builder::Builder;
use super::cell::{Asker, Client};
use super::intern::small;
use crate::log::client;

/// Without the hands a builder goes on up to so many clients.
const CLIENTS_WITHOUT_HANDS: usize = 65_536;

impl Builder<'_> {
    /// A client's text that is not remembered. `None`: it is no address.
    #[cold]
    pub(super) fn meet(&mut self, text: &[u8]) -> Option<Asker> {
        let address = client::address(text)?;
        if self.clients.len() >= CLIENTS_WITHOUT_HANDS && self.hands.is_none() {
            self.learn();
        }
        if self.is_full() {
            self.prune();
        }
        let asker = self.client(address);
        if let Asker::Client(id) = asker {
            // One address can be written in many ways.
            if self.texts.len() > 2 * self.clients.len() + CLIENTS_WITHOUT_HANDS {
                self.texts.clear();
            }
            self.texts.insert(text, id);
        }
        Some(asker)
    }

    /// The client of this address, a new one if need be.
    pub(super) fn client(&mut self, address: IpAddr) -> Asker {
        let hash = self.state.hash_one(address);
        let same = |id: &u32| self.clients[*id as usize].address == address;
        if let Some(id) = self.addresses.find(hash, same) {
            return Asker::Client(*id);
        }
        let mut client = Client::new(address);
        if let Some(hands) = self.hands {
            let budget = &mut self.budgets[client.learn(hands)];
            client.beyond = client.rank > budget.client_limit;
            if client.beyond && !client.known {
                return Asker::Beyond(client.budget(hands));
            }
            budget.members += 1;
        }
        self.clients.push(client);
        let id = small(self.clients.len() - 1);
        self.know_address(id);
        Asker::Client(id)
    }

    pub(super) fn know_address(&mut self, id: u32) {
        let hash = |id: &u32| self.state.hash_one(self.clients[*id as usize].address);
        self.addresses.insert_unique(hash(&id), id, hash);
    }

    /// Waits for the hands at the first timed record. Its client may turn out to be another number.
    #[cold]
    pub(super) fn learn_first(&mut self, asker: Asker) -> Asker {
        let address = match asker {
            Asker::Client(id) => self.clients[id as usize].address,
            Asker::Beyond(_) => return asker,
        };
        self.learn();
        self.client(address)
    }

    /// Waits for the hands, and classifies what was counted without them.
    pub(super) fn learn(&mut self) {
        if self.hands.is_some() {
            return;
        }
        let hands = self.late.wait();
        self.hands = Some(hands);
        self.budgets = Budget::pair(self.bound, hands.snapshot);
        for client in &mut self.clients {
            client.capped = 0;
            self.budgets[client.learn(hands)].members += 1;
        }
        for cell in &mut self.cells {
            let client = &mut self.clients[cell.client as usize];
            cell.capped = !client.keeps(|| self.names.get(cell.name), cell.kind, hands);
            if cell.capped {
                self.budgets[client.budget(hands)].count(client);
            }
        }
        if self.is_full() {
            self.prune();
        }
    }

    /// Whether it is time to prune. Without the hands nobody knows what is capped: then it is time to learn.
    pub(super) fn is_full(&mut self) -> bool {
        if self.hands.is_none() && self.budgets[0].is_full() {
            self.learn();
        }
        self.hands.is_some() && self.budgets.iter().any(Budget::is_full)
    }
}
