//! One connection → its verdict, over all pairs of pods and all possible ports. Also remembers which rules were of use,
//! and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::ends::{Named, Servers, clients, servers};
use super::{Cut, Denial, Row, Verdict, dns};
use crate::cluster::Cluster;
use crate::cluster::model::Protocol;
use crate::connections::lookups::Lookups;
use crate::connections::{Connection, Server};
use crate::policy::evaluate::{At, Direction, End, Evaluator, Match, Miss, Outcome, RuleId};

/// As many pairs are looked at for the nearest miss; all of one row are much alike.
const LOOKED_AT: usize = 64;

/// Judges one connection after the other.
pub(super) struct Judge<'a> {
    pub(super) evaluator: Evaluator<'a>,
    pub(super) cluster: &'a Cluster,
    /// Rule → the pods on its far side that were seen there.
    pub(super) used: BTreeMap<RuleId, BTreeSet<usize>>,
}

/// Ends that no policy can tell apart.
struct Group {
    end: End,
    members: Vec<Named>,
    /// A server's.
    ports: Vec<At>,
}

/// One pair of groups on one port.
struct Try<'g> {
    client: &'g Group,
    server: &'g Group,
    at: At,
    outcome: Rc<Outcome>,
}

impl Row {
    /// It cannot be said, whatever was.
    pub(super) fn doubt(&mut self, why: impl Into<String>) {
        self.verdict = Verdict::Unknown;
        self.unknown = Some(why.into());
    }
}

impl<'a> Judge<'a> {
    pub(super) fn new(evaluator: Evaluator<'a>, cluster: &'a Cluster) -> Judge<'a> {
        Judge { evaluator, cluster, used: BTreeMap::new() }
    }

    /// One client's lookups, to whatever may answer them; `None`: nothing is known that may.
    pub(super) fn lookups(&mut self, of: &Lookups, dns: &[Arc<Server>]) -> Option<Row> {
        let judge = |server| self.judge(dns::connection(of, server), true);
        let all: Vec<(Row, Vec<End>)> = dns.iter().map(judge).collect();
        let first = all.first()?.0.verdict;
        let agree = all.iter().all(|(row, _)| row.verdict == first);
        let (mut row, stuck) = all.into_iter().min_by_key(|(row, _)| row.verdict)?;
        if !agree {
            row.doubt(
                "which of the cluster's DNS Services it asks is not known, and the policies do not treat them alike",
            );
        }
        self.through_cache(&mut row, &stuck);
        Some(row)
    }

    pub(super) fn row(&mut self, connection: Connection, is_dns: bool) -> Row {
        self.judge(connection, is_dns).0
    }

    /// Also the clients that reach no backing pod on any possible port.
    fn judge(&mut self, connection: Connection, is_dns: bool) -> (Row, Vec<End>) {
        let mut stuck = Vec::new();
        let mut row = Row {
            connection,
            is_dns,
            verdict: Verdict::Unknown,
            allowed_by: Vec::new(),
            denials: Vec::new(),
            cut: Vec::new(),
            unknown: None,
        };
        let clients = clients(&row.connection.client, self.cluster);
        match (clients, servers(&row.connection.server, self.cluster)) {
            (Err(why), _) | (_, Err(why)) => row.unknown = Some(why),
            (Ok(clients), Ok(Servers::Outside)) => self.outside(&clients, &mut row),
            (Ok(clients), Ok(Servers::Inside(servers))) => {
                stuck = self.inside(clients, servers, &mut row);
            }
        }
        (row, stuck)
    }

    /// The clients that reach nothing.
    fn inside(
        &mut self,
        clients: Vec<Named>,
        servers: Vec<(Named, Vec<At>)>,
        row: &mut Row,
    ) -> Vec<End> {
        // Where the other side's node counts, so does each pod's own.
        let has_class = |end: End| self.evaluator.class(end).is_some();
        let groups_clients = servers.iter().all(|(named, _)| has_class(named.end));
        let groups_servers = clients.iter().all(|named| has_class(named.end));
        let clients = clients.into_iter().map(|client| (client, Vec::new()));
        let clients = self.groups(clients, groups_clients);
        let servers = self.groups(servers.into_iter(), groups_servers);
        let mut tries = Vec::new();
        for client in &clients {
            for server in &servers {
                // A pod's way to itself says nothing, unless there is no other.
                let alone = clients.len() + servers.len() == 2
                    && client.members.len() + server.members.len() == 2;
                let (a, b) = match pair(client, server) {
                    Some(pair) => pair,
                    None if alone => (client.end, server.end),
                    None => continue,
                };
                for &at in &server.ports {
                    let outcome = self.evaluator.outcome(a, b, at);
                    self.remember(client, server, &outcome);
                    tries.push(Try { client, server, at, outcome });
                }
            }
        }
        let passes = |wanted: Match| move |t: &&Try<'_>| t.outcome.passes() == wanted;
        let is_stuck = |client: &&Group| {
            let mut own = tries.iter().filter(|t| std::ptr::eq(t.client, *client)).peekable();
            own.peek().is_some() && own.all(|t| t.outcome.passes() == Match::No)
        };
        let stuck: Vec<End> = (clients.iter().filter(is_stuck))
            .flat_map(|client| client.members.iter().map(|member| member.end))
            .collect();
        let (cut, open) = (
            tries.iter().any(|t| t.outcome.passes() == Match::No),
            tries.iter().any(|t| t.outcome.passes() == Match::Yes),
        );
        row.verdict = if !stuck.is_empty() {
            Verdict::Denied
        } else if cut && open {
            Verdict::Partly
        } else if tries.iter().all(|t| t.outcome.passes() == Match::Yes) {
            Verdict::Allowed
        } else {
            Verdict::Unknown
        };
        if row.verdict == Verdict::Unknown {
            let why = "a rule may match it: what selectors do with hostNetwork pods is up to the network plugin, and \
                       labels of namespaces that the snapshot lacks are not known";
            row.unknown = Some(why.to_owned());
        }
        let rules: BTreeSet<RuleId> = tries
            .iter()
            .filter(passes(Match::Yes))
            .flat_map(|t| t.outcome.egress.rules.iter().chain(&t.outcome.ingress.rules))
            .copied()
            .collect();
        row.allowed_by = rules.into_iter().collect();
        let denied: Vec<&Try<'_>> = tries.iter().filter(passes(Match::No)).collect();
        row.cut = cuts(&denied);
        row.denials = self.denials(&denied);
        stuck
    }

    /// SEMANTICS 8, External: which port is not known, so a rule that lists ports says neither yes nor no.
    fn outside(&mut self, clients: &[Named], row: &mut Row) {
        let mut worst = Match::Yes;
        let mut rules = BTreeSet::new();
        let mut isolating = BTreeSet::new();
        for client in clients {
            let End::Pod(pod) = client.end else { continue };
            let policies: BTreeSet<usize> =
                self.evaluator.isolating(Direction::Egress, pod).iter().copied().collect();
            if policies.is_empty() {
                continue;
            }
            let mut passes = Match::No;
            let egress =
                |id: &RuleId| id.direction == Direction::Egress && policies.contains(&id.policy);
            for id in self.evaluator.rules().filter(egress).collect::<Vec<_>>() {
                let everywhere = self.evaluator.is_for_all(id);
                if everywhere && !self.evaluator.has_ports(id) {
                    passes = Match::Yes;
                    rules.insert(id);
                    self.used.entry(id).or_default();
                } else if everywhere || self.evaluator.has_block(id) {
                    passes = passes.max(Match::Maybe);
                    self.used.entry(id).or_default();
                }
            }
            worst = worst.min(passes);
            if passes == Match::No {
                isolating.extend(policies);
            }
        }
        row.allowed_by = rules.into_iter().collect();
        match worst {
            Match::Yes if self.may_lead_in(&row.connection) => {
                let why = "the Corefile may rewrite this name into the cluster, and who is asked there the log does not say";
                row.unknown = Some(why.to_owned());
            }
            Match::Yes => row.verdict = Verdict::Allowed,
            Match::Maybe => {
                let why = "rules allow some addresses or ports: which ones this name has, the log does not say";
                row.unknown = Some(why.to_owned());
            }
            Match::No => {
                row.verdict = Verdict::Denied;
                row.denials = vec![Denial {
                    direction: Direction::Egress,
                    isolated_by: isolating.into_iter().collect(),
                    nearest: None,
                    why: "no egress rule is for anything outside the cluster".to_owned(),
                }];
            }
        }
    }

    /// Whether some name of it may be another for something in the cluster.
    fn may_lead_in(&self, connection: &Connection) -> bool {
        let names =
            || connection.names.iter().map(|name| &**name).chain([connection.server.name.as_str()]);
        self.cluster.rewrites.iter().any(|rewrite| names().any(|name| rewrite.may_match(name)))
    }

    fn groups(&self, ends: impl Iterator<Item = (Named, Vec<At>)>, by_class: bool) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: BTreeMap<(u32, Vec<At>), usize> = BTreeMap::new();
        for (named, ports) in ends {
            let class = self.evaluator.class(named.end).filter(|_| by_class);
            let at = class.and_then(|class| known.get(&(class, ports.clone())).copied());
            match at.and_then(|at| groups.get_mut(at)) {
                Some(group) => group.members.push(named),
                None => {
                    if let Some(class) = class {
                        known.insert((class, ports.clone()), groups.len());
                    }
                    groups.push(Group { end: named.end, members: vec![named], ports });
                }
            }
        }
        groups
    }

    fn remember(&mut self, client: &Group, server: &Group, outcome: &Outcome) {
        for (side, far) in [(&outcome.egress, server), (&outcome.ingress, client)] {
            for rule in &side.rules {
                let used = self.used.entry(*rule).or_default();
                used.extend(far.members.iter().filter_map(|member| match member.end {
                    End::Pod(pod) => Some(pod),
                    End::Address(_) => None,
                }));
            }
        }
    }

    /// Of all pairs that do not pass, each side's nearest miss.
    fn denials(&self, denied: &[&Try<'_>]) -> Vec<Denial> {
        let mut denials = Vec::new();
        for direction in [Direction::Egress, Direction::Ingress] {
            let mut nearest: Option<(Miss, usize)> = None;
            for one in denied.iter().take(LOOKED_AT) {
                let side = match direction {
                    Direction::Egress => &one.outcome.egress,
                    Direction::Ingress => &one.outcome.ingress,
                };
                let (client, server) =
                    pair(one.client, one.server).unwrap_or((one.client.end, one.server.end));
                let subject = if direction == Direction::Egress { client } else { server };
                let End::Pod(pod) = subject else { continue };
                if side.passes == Match::No
                    && let Some(miss) = self.evaluator.nearest(direction, client, server, one.at)
                    && nearest.as_ref().is_none_or(|(best, _)| miss.distance < best.distance)
                {
                    nearest = Some((miss, pod));
                }
            }
            denials.extend(nearest.map(|(miss, pod)| Denial {
                direction,
                isolated_by: self.evaluator.isolating(direction, pod).to_vec(),
                nearest: miss.rule,
                why: miss.why,
            }));
        }
        denials
    }
}

/// One of each, not the same pod twice.
fn pair(client: &Group, server: &Group) -> Option<(End, End)> {
    let other = server.members.iter().find(|member| member.end != client.end);
    other.map(|other| (client.end, other.end)).or_else(|| {
        let other = client.members.iter().find(|member| member.end != server.end)?;
        Some((other.end, server.end))
    })
}

fn cuts(denied: &[&Try<'_>]) -> Vec<Cut> {
    let names = |group: &Group| group.members.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
    // Protocol, port, clients.
    type Key = (Protocol, u16, Vec<String>);
    let mut all: BTreeMap<Key, BTreeSet<String>> = BTreeMap::new();
    for one in denied {
        let key = (one.at.protocol, one.at.port, names(one.client));
        all.entry(key).or_default().extend(names(one.server));
    }
    let cut = |((protocol, port, clients), servers): (Key, BTreeSet<String>)| Cut {
        port: format!("{port}/{}", protocol.text()),
        clients,
        servers: servers.into_iter().collect(),
    };
    all.into_iter().map(cut).collect()
}
