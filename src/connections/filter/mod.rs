//! Filters: which rows a report shows, and whose policies are written (SEMANTICS 6). They never touch evidence.
//! A name that the snapshot does not have is an error that names its neighbours, not an empty report.

mod find;

use std::collections::BTreeSet;

use anyhow::bail;
use find::Finder;
pub(crate) use find::full_kind;

use super::{Client, Connection, FailedLookup, ServerKind};
use crate::cluster::Cluster;
use crate::cluster::workloads::WorkloadId;
use crate::name::{Shape, shape};
use crate::text;

/// What was asked for on the command line. Values of one flag are alternatives, different flags must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// `-n`: the server's namespace.
    pub namespaces: Vec<String>,
    /// `--pod`: the server is that pod, or a Service that it is behind.
    pub pods: Vec<String>,
    /// `--service`: the server is a Service of that name.
    pub services: Vec<String>,
    /// `--workload KIND/NAME`: the server has that workload behind it.
    pub workloads: Vec<String>,
    /// `--from NS[/NAME]`: the client's namespace, and the name of its workload or pod.
    pub from: Vec<String>,
    /// `--to NS[/NAME]`: the server's namespace, and the name of the Service, pod or workload.
    pub to: Vec<String>,
    /// `--exclude-namespace`: here only so that a misspelt one is found; it works in the join.
    pub exclude_namespaces: Vec<String>,
}

impl Filters {
    /// The flags given that mean nothing where no snapshot says which pods there are; the others work by what names say.
    pub(crate) fn need_snapshot(&self) -> Vec<&'static str> {
        let flags = [
            ("--pod", &self.pods),
            ("--workload", &self.workloads),
            ("--from", &self.from),
            ("--exclude-namespace", &self.exclude_namespaces),
        ];
        flags.iter().filter(|(_, values)| !values.is_empty()).map(|(flag, _)| *flag).collect()
    }
}

/// As typed, for messages; safe to print.
impl std::fmt::Display for Filters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let flags = [
            ("-n", &self.namespaces),
            ("--pod", &self.pods),
            ("--service", &self.services),
            ("--workload", &self.workloads),
            ("--from", &self.from),
            ("--to", &self.to),
            ("--exclude-namespace", &self.exclude_namespaces),
        ];
        let words = flags.iter().flat_map(|(flag, values)| {
            values.iter().map(move |value| format!("{flag} {}", text::terminal(value)))
        });
        f.write_str(&words.collect::<Vec<_>>().join(" "))
    }
}

/// The filters, looked up in the cluster. The default chooses everything.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    domains: Vec<String>,
    namespaces: Vec<String>,
    /// One for each of `--pod`, `--service`, `--workload`, `--to` that was given.
    servers: Vec<Servers>,
    from: Option<Ends>,
    /// Workloads that are subjects of ingress policies; `None`: all.
    subjects: Option<BTreeSet<WorkloadId>>,
    /// Workloads that are subjects of egress policies; `None`: all.
    clients: Option<BTreeSet<WorkloadId>>,
}

/// The servers that one flag chooses.
#[derive(Clone, Debug, Default)]
struct Servers {
    /// (namespace, name) of Services, in the snapshot or not; an empty namespace is any.
    services: BTreeSet<(String, String)>,
    /// (namespace, name) of pods.
    pods: BTreeSet<(String, String)>,
    /// Workloads; `by_workload`: a Service is chosen as soon as one of them is behind it.
    workloads: BTreeSet<WorkloadId>,
    by_workload: bool,
    /// Whole namespaces.
    namespaces: BTreeSet<String>,
}

/// The clients that `--from` chooses.
#[derive(Clone, Debug, Default)]
struct Ends {
    namespaces: BTreeSet<String>,
    workloads: BTreeSet<WorkloadId>,
    /// (namespace, name)
    pods: BTreeSet<(String, String)>,
}

/// Looks the filters up. Without a snapshot there is nothing to look up: servers' namespaces and Services are taken at
/// their word, and whatever is about pods and clients is refused.
pub fn choose(filters: &Filters, cluster: &Cluster) -> anyhow::Result<Choice> {
    let finder = Finder { cluster, namespaces: &filters.namespaces };
    let lacking = filters.need_snapshot();
    if !cluster.snapshot.given && !lacking.is_empty() {
        let flags = lacking.join(" and ");
        let s = if lacking.len() == 1 { "s" } else { "" };
        bail!("{flags} need{s} --snapshot: logs know addresses and names, no pods");
    }
    for namespace in filters.namespaces.iter().chain(&filters.exclude_namespaces) {
        finder.namespace(namespace)?;
    }
    let mut servers = Vec::new();
    let find: [(&Vec<String>, Find<'_>); 4] = [
        (&filters.pods, &|value, flag| finder.pod(value, flag)),
        (&filters.services, &|value, flag| finder.service(value, flag)),
        (&filters.workloads, &|value, flag| finder.workload(value, flag)),
        (&filters.to, &|value, flag| finder.to(value, flag)),
    ];
    for (values, find) in find {
        let mut flag = Servers::default();
        for value in values {
            find(value, &mut flag)?;
        }
        if !values.is_empty() {
            servers.push(flag);
        }
    }
    let mut from = None;
    for value in &filters.from {
        finder.from(value, from.get_or_insert_default())?;
    }
    let subjects = finder.subjects(&servers);
    let clients = finder.clients(from.as_ref());
    let namespaces = filters.namespaces.clone();
    Ok(Choice { domains: cluster.domains.clone(), namespaces, servers, from, subjects, clients })
}

impl Choice {
    /// Whether a report shows this connection (by workload).
    pub fn connection(&self, connection: &Connection) -> bool {
        let server = &connection.server;
        let named = |set: &BTreeSet<(String, String)>| {
            let has = |namespace: &str| set.contains(&(namespace.to_owned(), server.name.clone()));
            has(&server.namespace) || has("")
        };
        let fits = |flag: &Servers| {
            let by_name = match server.kind {
                ServerKind::Service => named(&flag.services),
                ServerKind::Pod => named(&flag.pods),
                ServerKind::External | ServerKind::Namespace => false,
            };
            // What a Service that the snapshot lacks is inferred to be counts as what is behind it.
            let by_workload = flag.by_workload
                || (server.kind == ServerKind::Service && server.service.is_none());
            by_name
                || flag.namespaces.contains(&server.namespace)
                || (by_workload && server.workloads.iter().any(|id| flag.workloads.contains(id)))
        };
        (self.namespaces.is_empty() || self.namespaces.contains(&server.namespace))
            && self.servers.iter().all(fits)
            && self.is_from(&connection.client)
    }

    /// Whether a report shows this failed lookup (by workload): by what its name says.
    pub fn failed(&self, lookup: &FailedLookup) -> bool {
        if self.namespaces.is_empty() && self.servers.is_empty() {
            return self.is_from(&lookup.client);
        }
        let (namespace, service) = match shape(&lookup.name, &self.domains) {
            Shape::Service { service, namespace }
            | Shape::Srv { service, namespace, .. }
            | Shape::Endpoint { service, namespace, .. } => (namespace, service),
            Shape::Pod { namespace, .. } => (namespace, ""),
            _ => return false,
        };
        let fits = |flag: &Servers| {
            let has = |namespace: &str| {
                flag.services.contains(&(namespace.to_owned(), service.to_owned()))
            };
            has(namespace) || has("") || flag.namespaces.contains(namespace)
        };
        (self.namespaces.is_empty() || self.namespaces.iter().any(|n| n == namespace))
            && self.servers.iter().all(fits)
            && self.is_from(&lookup.client)
    }

    /// The Services and pods that it chooses by name: (namespace, name), asked for or not.
    pub(crate) fn servers(&self) -> impl Iterator<Item = (ServerKind, &(String, String))> {
        self.servers.iter().flat_map(|flag| {
            let services = flag.services.iter().map(|name| (ServerKind::Service, name));
            services.chain(flag.pods.iter().map(|name| (ServerKind::Pod, name)))
        })
    }

    /// Whether this workload's ingress policy is written. `--from` does not bear on it.
    pub fn subject(&self, workload: WorkloadId) -> bool {
        self.subjects.as_ref().is_none_or(|subjects| subjects.contains(&workload))
    }

    /// Whether this workload's egress policy is written: `-n` and `--from` choose it, by where the client is.
    pub fn client(&self, workload: WorkloadId) -> bool {
        self.clients.as_ref().is_none_or(|clients| clients.contains(&workload))
    }

    fn is_from(&self, client: &Client) -> bool {
        let Some(from) = &self.from else { return true };
        let pod = |name: &String| from.pods.contains(&(client.namespace.clone(), name.clone()));
        let mut workloads = client.workload.iter().chain(&client.candidates);
        (!client.namespace.is_empty() && from.namespaces.contains(&client.namespace))
            || workloads.any(|id| from.workloads.contains(id))
            || client.pods.iter().any(pod)
    }
}

/// Looks one value of one flag up.
type Find<'f> = &'f dyn Fn(&str, &mut Servers) -> anyhow::Result<()>;
