//! Two sides → what appeared, what vanished, and what is asked for ten times as often or as rarely (SEMANTICS 8).
//! Pure. It never says more than both sides can: clients without a workload are one row a server, and if one side knows
//! no workloads, servers alone are compared, pods by their addresses. What makes an absence doubtful is said in `cautions`.

mod cautions;
mod document;
pub mod filter;
mod pods;
pub mod side;
#[cfg(test)]
mod tests;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::backends::Port;
use crate::connections::ServerKind;
use crate::time::{SECOND, Time};
pub use document::{is_report, read};
use filter::Words;
use pods::Pods;

/// What has changed its rate: from this factor on.
const FACTOR: u128 = 10;

/// Who asked, as far as both sides can tell. All text here is safe to print: a report holds it so, and the two sides
/// must spell alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// Anyone at all: one side knows no workloads.
    Anyone,
    /// Unknown, Ambiguous, Node, DNSCache, Loopback: nobody who could be found again on the other side.
    Unresolved,
    /// A workload.
    #[expect(missing_docs, reason = "the glossary says it")]
    Workload { namespace: String, kind: String, name: String },
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Which of the three.
    pub kind: ServerKind,
    /// Empty for External.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A connection as one side saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// What rates are made of.
    pub lookups: u64,
    /// Answered records.
    pub queries: u64,
    /// First and last time.
    pub seen: Option<(Time, Time)>,
    /// The names asked for.
    pub names: BTreeSet<String>,
    /// The server's ports, as the pods have them.
    pub ports: BTreeSet<Port>,
    /// The workloads behind the server: kind, name.
    pub behind: BTreeSet<(String, String)>,
    /// The client's pods.
    pub pods: BTreeSet<String>,
    /// Of a row that stands for several clients: each one's kind, namespace, name.
    pub clients: BTreeSet<(String, String, String)>,
    /// Where the first record stands: path, line.
    pub place: (String, u64),
}

impl Sighting {
    /// Two clients that are one row.
    fn add(&mut self, more: Sighting) {
        let order = |of: &Sighting| (of.seen.is_none(), of.seen.map(|s| s.0), of.place.clone());
        if order(&more) < order(self) {
            self.place.clone_from(&more.place);
        }
        self.lookups = self.lookups.saturating_add(more.lookups);
        self.queries = self.queries.saturating_add(more.queries);
        self.seen = match (self.seen, more.seen) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        self.names.extend(more.names);
        self.ports.extend(more.ports);
        self.behind.extend(more.behind);
        self.pods.extend(more.pods);
        self.clients.extend(more.clients);
    }
}

/// Everything about a side but its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// As it was typed; safe to print.
    pub path: String,
    /// Read from a report, not from logs.
    pub is_report: bool,
    /// Whether it knows workloads.
    pub snapshot: bool,
    /// Whether all of it could be read.
    pub whole: bool,
    /// The first and the last time of a record.
    pub seen: Option<(Time, Time)>,
    /// Records, and how many of them have no time.
    pub records: u64,
    /// See `records`.
    pub untimed: u64,
    /// How many of those inside the window do not say whether they were answered.
    pub unsaid: u64,
    /// How many of them are outside `--since` and `--until`, those without a time among them.
    pub outside: u64,
    /// Connections by workload, filters aside.
    pub connections: u64,
    /// Lookups of all of them.
    pub lookups: u64,
    /// Clients that are no workload.
    pub unresolved: u64,
    /// What its coverage warns of; safe to print.
    pub warnings: Vec<String>,
}

impl About {
    /// The seconds that it covers; `None`: it says nothing by the hour. A few records without a time do not matter to
    /// an order of magnitude.
    pub fn window(&self) -> Option<u64> {
        let (first, last) = self.seen?;
        let seconds = last.div_euclid(SECOND).saturating_sub(first.div_euclid(SECOND));
        u64::try_from(seconds).ok().filter(|seconds| *seconds > 0 && self.is_timed())
    }

    pub(super) fn is_timed(&self) -> bool {
        u128::from(self.untimed) * FACTOR <= u128::from(self.records)
    }

    /// Whether it would list such a server if it was asked for there: where no query says whether it was answered, only what
    /// a snapshot has is listed.
    fn would_list(&self, server: &Server) -> bool {
        let is_said = self.unsaid == 0 || self.unsaid < self.records.saturating_sub(self.outside);
        is_said || (self.snapshot && server.kind != ServerKind::External)
    }

    /// `--since` and `--until` left nothing of it, and not for want of times.
    pub fn is_emptied(&self) -> bool {
        self.seen.is_none() && self.outside > self.untimed
    }
}

/// One side: what was seen there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Everything else.
    pub about: About,
    /// Who asked for what. In any order; the same twice is added up.
    pub connections: Vec<(Client, Server, Sighting)>,
}

/// What a rate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Lookups per hour; these are the seconds that the sides cover.
    PerHour([u64; 2]),
    /// The share of all lookups, because a side has no times; these are the sides' lookups.
    Share([u64; 2]),
}

impl Rate {
    fn of(old: &About, new: &About) -> Rate {
        match (old.window(), new.window()) {
            (Some(old), Some(new)) => Rate::PerHour([old, new]),
            _ => Rate::Share([old.lookups, new.lookups]),
        }
    }

    fn whole(self) -> [u64; 2] {
        match self {
            Rate::PerHour(whole) | Rate::Share(whole) => whole,
        }
    }

    /// The rate of so many lookups, on each side.
    pub fn rates(self, lookups: [u64; 2]) -> [f64; 2] {
        let [old, new] = self.whole();
        let [a, b] = lookups;
        let unit = if matches!(self, Rate::PerHour(_)) { 3600.0 } else { 1.0 };
        [a as f64 * unit / old.max(1) as f64, b as f64 * unit / new.max(1) as f64]
    }

    /// Whether the two differ by an order of magnitude. Without lookups there is no rate.
    fn is_changed(self, [old, new]: [u64; 2]) -> bool {
        let [whole_old, whole_new] = self.whole();
        let a = u128::from(old).saturating_mul(u128::from(whole_new));
        let b = u128::from(new).saturating_mul(u128::from(whole_old));
        old > 0 && new > 0 && (a >= b.saturating_mul(FACTOR) || b >= a.saturating_mul(FACTOR))
    }
}

/// A connection of one side or of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who asked.
    pub client: Client,
    /// For what.
    pub server: Server,
    /// As OLD saw it.
    pub old: Option<Sighting>,
    /// As NEW saw it.
    pub new: Option<Sighting>,
    /// Only one side has it, and the other has that server with a client that may be the same: one of the two has no
    /// workload.
    pub doubtful: bool,
}

impl Row {
    /// The later sighting.
    pub fn latest(&self) -> Option<&Sighting> {
        self.new.as_ref().or(self.old.as_ref())
    }

    /// Lookups on each side.
    pub fn lookups(&self) -> [u64; 2] {
        [&self.old, &self.new].map(|side| side.as_ref().map_or(0, |sighting| sighting.lookups))
    }
}

/// What is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// The side before.
    pub old: About,
    /// The side after.
    pub new: About,
    /// Servers alone were compared.
    pub by_server: bool,
    /// What the rates are.
    pub rate: Rate,
    /// Rows that only NEW has. All rows are sorted by client, then server.
    pub appeared: Vec<Row>,
    /// Rows that only OLD has.
    pub vanished: Vec<Row>,
    /// Rows whose rate changed by an order of magnitude.
    pub changed: Vec<Row>,
    /// Rows of both sides that did not.
    pub unchanged: u64,
    /// Rows that only one side has, not compared: nothing says that they were answered, and a side without a snapshot lists
    /// no such connection.
    pub unanswered: u64,
    /// Rows that only the other side has, not compared: OLD, NEW would not list them, whether they were asked for or not.
    pub unlisted: [u64; 2],
    /// Rows whose lookups are an upper bound, and whose rates are not compared: addresses of a pod that was asked for by
    /// several, of which one was another pod's too.
    pub uncounted: u64,
    /// What could not be compared, and why an absence may prove nothing. Safe to print.
    pub cautions: Vec<String>,
}

impl Diff {
    /// Whether a connection appeared or vanished.
    pub fn found(&self) -> bool {
        !(self.appeared.is_empty() && self.vanished.is_empty())
    }
}

/// Compares two sides, and keeps the rows that `words` choose.
pub fn compare(old: Side, new: Side, words: &Words) -> Diff {
    let by_server = compares_servers(&old.about, &new.about);
    let rate = Rate::of(&old.about, &new.about);
    let mut pods = Pods::default();
    if by_server {
        pods.learn(&old.connections);
        pods.learn(&new.connections);
    }
    let by_server_of = by_server.then_some(&pods);
    let [before, after] = [old.connections, new.connections].map(|all| rows(all, by_server_of));
    let one_knows = old.about.snapshot != new.about.snapshot;
    let twins = [Twins::of(&before), Twins::of(&after)];
    let mut diff = Diff {
        old: old.about,
        new: new.about,
        by_server,
        rate,
        appeared: Vec::new(),
        vanished: Vec::new(),
        changed: Vec::new(),
        unchanged: 0,
        unanswered: 0,
        unlisted: [0, 0],
        uncounted: 0,
        cautions: Vec::new(),
    };
    let [old_twins, new_twins] = &twins;
    for (key, (old, new)) in joined(before, after) {
        let other = match (&old, &new) {
            (None, _) => Some(old_twins),
            (_, None) => Some(new_twins),
            _ => None,
        };
        let doubtful = other.is_some_and(|other| other.may_be(&key));
        let (client, server) = key;
        let row = Row { client, server, old, new, doubtful };
        if !words.choose(&row) {
            continue;
        }
        let is_uncounted = pods.is_uncounted(&row.server);
        diff.uncounted += u64::from(is_uncounted);
        match (&row.old, &row.new) {
            (None, Some(one)) | (Some(one), None) if one_knows && one.queries == 0 => {
                diff.unanswered += 1;
            }
            (None, _) if !diff.old.would_list(&row.server) => diff.unlisted[0] += 1,
            (_, None) if !diff.new.would_list(&row.server) => diff.unlisted[1] += 1,
            (None, _) => diff.appeared.push(row),
            (_, None) => diff.vanished.push(row),
            _ if is_uncounted => {}
            _ if rate.is_changed(row.lookups()) => diff.changed.push(row),
            _ => diff.unchanged += 1,
        }
    }
    diff.cautions = cautions::of(&diff);
    diff
}

/// Whether clients cannot be compared: not both sides know workloads.
pub fn compares_servers(old: &About, new: &About) -> bool {
    !(old.snapshot && new.snapshot)
}

type Key = (Client, Server);

/// The rows of one side; `pods`: servers alone are compared.
fn rows(
    connections: Vec<(Client, Server, Sighting)>,
    pods: Option<&Pods>,
) -> BTreeMap<Key, Sighting> {
    let mut rows: BTreeMap<Key, Sighting> = BTreeMap::new();
    let mut add = |key: Key, sighting: Sighting| match rows.entry(key) {
        Entry::Vacant(entry) => _ = entry.insert(sighting),
        Entry::Occupied(mut entry) => entry.get_mut().add(sighting),
    };
    for (client, server, mut sighting) in connections {
        let Some(pods) = pods else {
            add((client, server), sighting);
            continue;
        };
        if let Client::Workload { namespace, kind, name } = client {
            sighting.clients.insert((kind, namespace, name));
        }
        let addresses = pods.of(&server, &sighting);
        if addresses.is_empty() {
            add((Client::Anyone, server), sighting);
            continue;
        }
        for (address, names) in addresses {
            add((Client::Anyone, address), Sighting { names, ..sighting.clone() });
        }
    }
    rows
}

fn joined(
    old: BTreeMap<Key, Sighting>,
    new: BTreeMap<Key, Sighting>,
) -> BTreeMap<Key, (Option<Sighting>, Option<Sighting>)> {
    let mut both: BTreeMap<Key, (Option<Sighting>, Option<Sighting>)> = BTreeMap::new();
    for (key, sighting) in old {
        both.entry(key).or_default().0 = Some(sighting);
    }
    for (key, sighting) in new {
        both.entry(key).or_default().1 = Some(sighting);
    }
    both
}

/// The servers of one side, by whether somebody without a workload asked for them, or somebody with one.
#[derive(Default)]
struct Twins {
    unresolved: BTreeSet<Server>,
    resolved: BTreeSet<Server>,
}

impl Twins {
    fn of(rows: &BTreeMap<Key, Sighting>) -> Twins {
        let mut twins = Twins::default();
        for (client, server) in rows.keys() {
            match client {
                Client::Workload { .. } => twins.resolved.insert(server.clone()),
                Client::Unresolved | Client::Anyone => twins.unresolved.insert(server.clone()),
            };
        }
        twins
    }

    /// Whether a row of the other side may be one of these under another client.
    fn may_be(&self, (client, server): &Key) -> bool {
        match client {
            Client::Workload { .. } => self.unresolved.contains(server),
            Client::Unresolved => self.resolved.contains(server),
            Client::Anyone => false,
        }
    }
}
