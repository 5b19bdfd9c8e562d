//! What was read, and what was not: the part of a report that says how far the rest can be trusted (DESIGN 4).
//! Built from counts alone; it judges nothing but says what a reader must know, the worst first.

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::cluster::model::Pod;
use crate::connections::Totals;
use crate::log::tally::Lost;
use crate::log::{Input, Lines, Reason, State};
use crate::name::is_label;
use crate::text::terminal;
use crate::time::{Time, seconds};

/// What was read, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The inputs, sorted by path.
    pub inputs: Vec<Input>,
    /// All their lines.
    pub lines: Lines,
    /// Records inside the window: answered, failed, unknown.
    pub queries: [u64; 3],
    /// Records outside the window.
    pub outside: u64,
    /// Records without a time.
    pub untimed: u64,
    /// The first and last time of a record inside the window.
    pub seen: Option<(Time, Time)>,
    /// Whether a snapshot was given.
    pub snapshot: bool,
    /// The CoreDNS replicas; `None`: not known, because no input's path names one.
    pub replicas: Option<Replicas>,
    /// What the bound on unbounded names gave up.
    pub lost: Gone,
    /// Objects of a kind that kico does not read: kind → how many.
    pub skipped: BTreeMap<String, u64>,
    /// Objects that could not be read.
    pub broken: Vec<String>,
    /// What changes how the report must be read, for people, the worst first. Safe to print.
    pub warnings: Vec<String>,
    /// What is good to know. Safe to print.
    pub notes: Vec<String>,
}

/// CoreDNS pods of the snapshot, by whether an input's path names them; sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// Some input's path names them.
    pub logged: Vec<String>,
    /// None does.
    pub missing: Vec<String>,
}

/// What the bound gave up, over all clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Clients that lost names; those beyond the bound on clients count as one.
    pub clients: u64,
    /// Records: answered, failed, unknown.
    pub records: [u64; 3],
    /// Distinct names, roughly.
    pub names: u64,
}

/// Sums up what was read. `totals` are those of the join of the same tally and cluster.
pub fn cover(inputs: &[Input], totals: &Totals, lost: &[Lost], cluster: &Cluster) -> Coverage {
    let mut all = Coverage {
        inputs: inputs.to_vec(),
        snapshot: cluster.snapshot.given,
        skipped: cluster.snapshot.skipped.clone(),
        broken: cluster.snapshot.broken.clone(),
        ..Coverage::default()
    };
    all.inputs.sort_by(|a, b| a.path.cmp(&b.path));
    for input in &all.inputs {
        all.lines += input.lines;
        for (sum, more) in all.queries.iter_mut().zip(input.records()) {
            *sum += more;
        }
        all.outside += input.outside;
        all.untimed += input.untimed;
        all.seen = match (all.seen, input.seen) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
    }
    for lost in lost {
        all.lost.clients += 1;
        all.lost.names += lost.names;
        for (sum, more) in all.lost.records.iter_mut().zip(lost.given_up.records) {
            *sum += more;
        }
    }
    let dns: Vec<&Pod> = dns_pods(cluster);
    all.replicas = replicas(&all.inputs, &dns);
    all.warnings = warnings(&all, totals, &dns);
    all.notes = notes(&all, totals);
    all
}

/// A share in percent, for people: `98.2 %`; never 100 unless it is all, never 0 unless it is none.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part >= whole {
        return "100 %".into();
    }
    if part == 0 {
        return "0 %".into();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    let tenths = tenths.clamp(1, 999);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// A count with thousands set apart: `104,332`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + 6);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 query`, `2 queries`.
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// CoreDNS's pods that have not finished; not the caches in front of it, which are read instead of it.
fn dns_pods(cluster: &Cluster) -> Vec<&Pod> {
    let pods = cluster.snapshot.pods.iter().enumerate();
    let is_replica = |(at, pod): &(usize, &Pod)| {
        let cache = pod.meta.labels.get("k8s-app").is_some_and(|app| app == "node-local-dns");
        cluster.is_dns_pod(*at) && !cache && !pod.is_finished()
    };
    pods.filter(is_replica).map(|(_, pod)| pod).collect()
}

/// Whether a path names a pod: the name as a whole, in a file's or a directory's name.
fn names(path: &str, pod: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    path.match_indices(pod).any(|(at, _)| {
        let before = path.get(..at).and_then(|text| text.chars().next_back());
        let after = path.get(at + pod.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn replicas(inputs: &[Input], dns: &[&Pod]) -> Option<Replicas> {
    let is_logged = |pod: &&&Pod| inputs.iter().any(|input| names(&input.path, &pod.meta.name));
    let (logged, missing): (Vec<&Pod>, Vec<&Pod>) = dns.iter().partition(|pod| is_logged(pod));
    let listed = |pods: Vec<&Pod>| pods.into_iter().map(|pod| pod.meta.name.clone()).collect();
    (!logged.is_empty()).then(|| Replicas { logged: listed(logged), missing: listed(missing) })
}

fn warnings(all: &Coverage, totals: &Totals, dns: &[&Pod]) -> Vec<String> {
    let mut out = Vec::new();
    if all.snapshot && totals.addresses > 0 && totals.addresses_known * 20 < totals.addresses {
        out.push(format!(
            "logs and snapshot may be of different clusters: of {} {} in the snapshot",
            plural(totals.addresses, "client address", "client addresses"),
            match totals.addresses_known {
                0 => "none is".into(),
                1 => "only 1 is".into(),
                some => format!("only {} are", count(some)),
            },
        ));
    }
    let [answered, failed, _] = all.queries;
    if answered == 0 && failed > 0 {
        out.push(format!(
            "no lookup succeeded ({} failed): `class error` or `class denial` in the Corefile's log block makes CoreDNS \
             write failures only; a bare `log` writes all",
            count(failed),
        ));
    }
    out.extend(other_domains(&totals.other_domains));
    for input in &all.inputs {
        let reason =
            input.problem.as_deref().map(|p| format!(" ({})", terminal(p))).unwrap_or_default();
        let what = match input.state {
            State::Complete | State::Grew => continue,
            State::Changed => ", rewritten while it was read: its counts are not to be trusted",
            State::Truncated => ": what follows is missing",
            State::Unreadable => ": nothing of it is in this report",
            State::Interrupted => ": what followed is missing",
        };
        out.push(format!("{} is {}{what}{reason}", terminal(&input.path), input.state.word()));
    }
    if let Some(missing) =
        all.replicas.as_ref().map(|r| &r.missing).filter(|missing| !missing.is_empty())
    {
        out.push(format!(
            "{} without a log among the inputs, and what was asked there is not in this report: {}",
            plural(missing.len() as u64, "CoreDNS replica", "CoreDNS replicas"),
            terminal(&missing.join(", ")),
        ));
    }
    for pod in dns {
        out.extend(overlap(&all.inputs, &pod.meta.name));
    }
    if totals.cache_queries > 0 {
        out.push(format!(
            "{} from NodeLocal DNSCaches, which hide the pods behind them: read the logs of the node-local-dns pods \
             instead of CoreDNS's",
            plural(totals.cache_queries, "query is", "queries are"),
        ));
    }
    // Of what is no query log at all, nobody expects CoreDNS's format.
    let logs = all.inputs.iter().filter(|input| input.is_log);
    let unknown_format: u64 =
        logs.filter_map(|input| input.lines.rejected.get(Reason::UnknownFormat as usize)).sum();
    if unknown_format > 0 {
        out.push(format!(
            "{} in a format of the Corefile's own: give it with --log-format",
            plural(unknown_format, "line of CoreDNS is", "lines of CoreDNS are"),
        ));
    }
    if all.lost.clients > 0 {
        let records: u64 = all.lost.records.iter().sum();
        out.push(format!(
            "{} asked for more names than --max-names keeps: {} of about {} in sums only{}",
            plural(all.lost.clients, "client", "clients"),
            plural(records, "query is", "queries are"),
            plural(all.lost.names, "name", "names"),
            clients(&totals.lost_clients),
        ));
    }
    if !all.broken.is_empty() {
        let number = all.broken.len() as u64;
        let list =
            all.broken.iter().take(3).map(|what| terminal(what)).collect::<Vec<_>>().join("; ");
        let more = if number > 3 { format!("; +{}", number - 3) } else { String::new() };
        let objects = plural(number, "object of the snapshot", "objects of the snapshot");
        out.push(format!("{objects} could not be read: {list}{more}"));
    }
    out
}

/// How many other cluster domains are named.
const DOMAINS: usize = 3;

/// What to do about `kubernetes.default.svc.X`. Whoever owns a wildcard domain chooses X: only what can be a cluster's
/// domain, and means nothing to a shell, stands in a command to copy.
fn other_domains(domains: &[String]) -> Vec<String> {
    let is_legal = |domain: &&String| domain.split('.').all(is_label);
    let (legal, odd): (Vec<&String>, Vec<&String>) = domains.iter().partition(is_legal);
    let mut out: Vec<String> = (legal.iter().take(DOMAINS))
        .map(|domain| {
            format!(
                "kubernetes.default.svc.{domain} was answered: if {domain} is this cluster's domain, say so with \
                 --cluster-domain {domain}"
            )
        })
        .collect();
    if let Some(more @ 1..) = legal.len().checked_sub(DOMAINS) {
        out.push(format!(
            "kubernetes.default.svc.X was answered for {}",
            plural(more as u64, "more domain", "more domains")
        ));
    }
    if let Some(first) = odd.first() {
        let more = match odd.len() - 1 {
            0 => String::new(),
            more => format!(", and {} more like it", count(more as u64)),
        };
        out.push(format!(
            "kubernetes.default.svc.X was answered for an X that can be no cluster's domain: {}{more}",
            terminal(first)
        ));
    }
    out
}

fn clients(shown: &[String]) -> String {
    let list: Vec<_> = shown.iter().take(5).map(|client| terminal(client)).collect();
    match shown.len() {
        0 => String::new(),
        number if number > 5 => format!(" ({}, +{})", list.join(", "), number - 5),
        _ => format!(" ({})", list.join(", ")),
    }
}

/// Two logs of one pod whose times overlap hold the same lines twice, as likely as not.
fn overlap(inputs: &[Input], pod: &str) -> Option<String> {
    let of_pod = inputs.iter().filter(|input| names(&input.path, pod));
    let mut logs: Vec<((Time, Time), &str)> =
        of_pod.filter_map(|input| Some((input.seen?, input.path.as_str()))).collect();
    logs.sort_unstable();
    let mut latest: Option<((Time, Time), &str)> = None;
    for (seen, path) in logs {
        if let Some((other, first)) = latest
            && seen.0 < other.1
        {
            return Some(format!(
                "{} and {} are both of {}, over the same time: lines in both count twice, and counts may be inflated",
                terminal(first),
                terminal(path),
                terminal(pod),
            ));
        }
        latest = Some((seen, path));
    }
    None
}

fn notes(all: &Coverage, totals: &Totals) -> Vec<String> {
    let mut out = vec![read(all)];
    match all.seen {
        Some((first, last)) if all.untimed > 0 => out.push(format!(
            "From {} to {}; {} no time",
            seconds(first),
            seconds(last),
            plural(all.untimed, "query has", "queries have"),
        )),
        Some((first, last)) => out.push(format!("From {} to {}", seconds(first), seconds(last))),
        None if all.queries != [0; 3] => out.push(
            "The logs have no times (`kubectl logs --timestamps` adds them): an address is whoever ever held it"
                .into(),
        ),
        None => {}
    }
    if all.outside > 0 {
        let outside = plural(all.outside, "query is", "queries are");
        out.push(format!("{outside} outside --since and --until, or without a time"));
    }
    if all.snapshot && totals.connected > 0 {
        out.push(format!(
            "Client known for {} of the queries behind all connections, server for {}; {} of {} in the snapshot",
            percent(totals.client_resolved, totals.connected),
            percent(totals.server_resolved, totals.connected),
            count(totals.addresses_known),
            plural(totals.addresses, "client address", "client addresses"),
        ));
    }
    if !all.snapshot {
        out.push("No --snapshot: clients are shown by their addresses".into());
    }
    if totals.node_queries > 0 {
        let queries = plural(totals.node_queries, "query is", "queries are");
        out.push(format!(
            "{queries} from nodes: hostNetwork pods, or pods whose address was translated"
        ));
    }
    if totals.ambiguous_queries > 0 {
        let queries = plural(totals.ambiguous_queries, "query fits", "queries fit");
        out.push(format!("{queries} several workloads: Ambiguous"));
    }
    if all.snapshot && all.replicas.is_none() {
        out.push(
            "CoreDNS replicas: not known (no input's path names a CoreDNS pod of the snapshot)"
                .into(),
        );
    }
    let others =
        all.inputs.iter().filter(|input| !input.is_log && input.state != State::Unreadable);
    let others: Vec<_> = others.map(|input| terminal(&input.path)).collect();
    if let Some(first) = others.first() {
        let more = if others.len() > 1 {
            format!(" and {} more", others.len() - 1)
        } else {
            String::new()
        };
        out.push(format!("Not a query log: {first}{more}"));
    }
    if !all.skipped.is_empty() {
        let list: Vec<String> =
            all.skipped.iter().map(|(kind, n)| format!("{} {n}", terminal(kind))).collect();
        let shown = list.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        let more = if list.len() > 8 { ", ..." } else { "" };
        out.push(format!("Objects that kico does not read: {shown}{more}"));
    }
    out
}

/// `Read 2 logs (10.1 MiB): 104,332 lines, 104,000 with queries, 320 other, 12 rejected (malformed 12)`
fn read(all: &Coverage) -> String {
    let lines = &all.lines;
    let is_read = |input: &&Input| input.is_log && input.state != State::Unreadable;
    let logs = all.inputs.iter().filter(is_read).count() as u64;
    let bytes = all.inputs.iter().map(|input| input.bytes).sum();
    let rejected: u64 = lines.rejected.iter().sum();
    let reasons: Vec<String> = (Reason::ALL.iter().zip(lines.rejected))
        .filter(|(_, number)| *number > 0)
        .map(|(reason, number)| format!("{} {}", reason.word(), count(number)))
        .collect();
    let reasons = if rejected > 0 { format!(" ({})", reasons.join(", ")) } else { String::new() };
    format!(
        "Read {} ({}): {}, {} with queries, {} other, {} rejected{reasons}",
        plural(logs, "log", "logs"),
        size(bytes),
        plural(lines.total, "line", "lines"),
        count(lines.queries),
        count(lines.other),
        count(rejected),
    )
}

/// Bytes for people: `812 B`, `10.1 MiB`.
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut whole = u128::from(bytes) * 10;
    let mut unit = None;
    for name in units {
        if whole < 10_240 {
            break;
        }
        whole /= 1024;
        unit = Some(name);
    }
    unit.map_or_else(
        || format!("{bytes} B"),
        |unit| format!("{}.{} {unit}", whole / 10, whole % 10),
    )
}

#[cfg(test)]
mod tests;
