//! A NodeLocal DNSCache answers lookups on each pod's own node, before the DNS pods, or does not: no snapshot shows which
//! client asks it, nor where it listens. So lookups pass surely only if both ways are open, and are surely cut only if
//! both are shut; its own way to the DNS pods is a part of the second. Where it listens is assumed as the rule of egress
//! policies assumes it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::ends::{Named, Servers, clients, servers};
use super::judge::Judge;
use super::{Row, Verdict};
use crate::cluster::model::Protocol;
use crate::policy::egress_dns::{cache, caches};
use crate::policy::evaluate::{At, Direction, End, Match, RuleId};

/// Where else one may be told to listen, as its documentation has it.
const ELSEWHERE: [IpNet; 3] = [
    IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::new(169, 254, 0, 0), 16)),
    IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)),
];

const PORTS: [At; 2] =
    [At { port: 53, protocol: Protocol::Tcp }, At { port: 53, protocol: Protocol::Udp }];

impl Judge<'_> {
    /// What becomes of a client's lookups if a cache may answer them. `row`: what becomes of them at the DNS pods; `stuck`:
    /// the clients that reach none of those.
    pub(super) fn through_cache(&mut self, row: &mut Row, stuck: &[End]) {
        let Some(addresses) = cache(self.cluster) else { return };
        let Ok(clients) = clients(&row.connection.client, self.cluster) else { return };
        let Ok(Servers::Inside(dns)) = servers(&row.connection.server, self.cluster) else {
            return;
        };
        let mut rules = BTreeSet::new();
        let mut ways = Vec::new();
        for client in clients {
            let to_cache = self.way_to_cache(client.end, &addresses, &mut rules);
            ways.push((client.end, to_cache.min(self.way_from_cache(client.end, &dns))));
        }
        for rule in &rules {
            self.used.entry(*rule).or_default();
        }
        let is_open = ways.iter().all(|(_, way)| *way == Match::Yes);
        let is_shut = ways.iter().any(|(end, way)| *way == Match::No && stuck.contains(end));
        match row.verdict {
            Verdict::Allowed if is_open => {
                rules.extend(&row.allowed_by);
                row.allowed_by = rules.into_iter().collect();
            }
            Verdict::Denied if is_shut => {}
            Verdict::Unknown => {}
            _ => {
                let text: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
                row.doubt(format!(
                    "the cache node-local-dns may answer on its node, on {} or where it was told to listen: the policies \
                     do not treat that and the DNS pods alike",
                    text.join(", ")
                ));
            }
        }
    }

    /// Whether a client may ask the cache: on all of these addresses, or on none at all. Adds the rules that say so.
    fn way_to_cache(
        &mut self,
        client: End,
        addresses: &BTreeSet<IpAddr>,
        rules: &mut BTreeSet<RuleId>,
    ) -> Match {
        let End::Pod(pod) = client else { return Match::Yes };
        let policies = self.evaluator.isolating(Direction::Egress, pod).to_vec();
        let mut passes = BTreeSet::new();
        for address in addresses {
            for at in PORTS {
                let outcome = self.evaluator.outcome(client, End::Address(*address), at);
                passes.insert(outcome.egress.passes);
                rules.extend(&outcome.egress.rules);
            }
        }
        if passes.iter().all(|one| *one == Match::Yes) {
            return Match::Yes;
        }
        let is_own = |id: &RuleId| {
            id.direction == Direction::Egress && policies.binary_search(&id.policy).is_ok()
        };
        let mut own = self.evaluator.rules().filter(is_own);
        let elsewhere = own.any(|id| {
            let touches =
                |at: &At| ELSEWHERE.iter().any(|net| self.evaluator.touches(id, net, *at));
            PORTS.iter().any(touches)
        });
        if elsewhere || passes.iter().any(|one| *one != Match::No) {
            Match::Maybe
        } else {
            Match::No
        }
    }

    /// Whether the cache on a client's node may ask the DNS pods what it does not know: all of them, or none.
    fn way_from_cache(&mut self, client: End, dns: &[(Named, Vec<At>)]) -> Match {
        let is_isolated = |(named, _): &(Named, Vec<At>)| match named.end {
            End::Pod(pod) => !self.evaluator.isolating(Direction::Ingress, pod).is_empty(),
            End::Address(_) => false,
        };
        if !dns.iter().any(is_isolated) {
            return Match::Yes;
        }
        let cluster = self.cluster;
        let node = |pod: usize| cluster.snapshot.pods.get(pod).map(|pod| pod.node.as_str());
        let all = caches(cluster).flat_map(|id| cluster.workloads.get(id).pods.iter().copied());
        let all: Vec<usize> = all.filter(|pod| cluster.is_present(*pod)).collect();
        let near = |pod: &&usize| matches!(client, End::Pod(own) if node(own) == node(**pod));
        let near: Vec<usize> = all.iter().filter(near).copied().collect();
        let mut passes = BTreeSet::new();
        for cache in if near.is_empty() { all } else { near } {
            for (named, ports) in dns {
                for at in ports {
                    let outcome = self.evaluator.outcome(End::Pod(cache), named.end, *at);
                    passes.insert(outcome.passes());
                }
            }
        }
        match passes.into_iter().collect::<Vec<_>>().as_slice() {
            [one] => *one,
            _ => Match::Maybe,
        }
    }
}
