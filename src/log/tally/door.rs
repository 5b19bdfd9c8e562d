//! Whether a record may be counted, as far as the bound has come (`bound`): asked of every record of which there is no cell,
//! so it decides by what is cheap first.

use super::bound::Budget;
use super::cell::{Asker, Client};
use super::rank::rank;
use crate::log::Hands;
use crate::log::record::Kind;

/// Where it is decided whether records may be counted.
pub(super) struct Door<'d, 'a> {
    pub(super) clients: &'d mut [Client<'a>],
    pub(super) budgets: &'d mut [Budget; 2],
    pub(super) hands: Option<&'a Hands>,
}

impl Door<'_, '_> {
    /// The client of `n` records for a name of this rank; or `None`, and they are counted as lost.
    pub(super) fn admit<'n>(
        self,
        asker: Asker,
        name_rank: impl FnOnce() -> u64,
        name: impl Fn() -> &'n str,
        kind: Kind,
        n: u64,
    ) -> Option<u32> {
        let id = match asker {
            Asker::Client(id) => id,
            Asker::Beyond(budget) => {
                self.budgets[budget].beyond.add(name, kind, n);
                return None;
            }
        };
        let client = &mut self.clients[id as usize];
        let is_free = client.limit == u64::MAX && !client.beyond;
        let Some(hands) = self.hands.filter(|_| !is_free) else { return Some(id) };
        let ranks = !client.beyond && rank(client.rank, name_rank()) <= client.limit;
        if ranks || client.keeps(&name, kind, hands) {
            return Some(id);
        }
        match client.beyond {
            true => self.budgets[client.budget(hands)].beyond.add(name, kind, n),
            false => client.lost.get_or_insert_default().add(name, kind, n),
        }
        None
    }
}
