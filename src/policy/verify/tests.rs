//! The verdicts of SEMANTICS 8, each from a small cluster. What policies mean is tested in `evaluate`.

mod lookups;

use std::net::IpAddr;

use super::*;
use crate::cluster::backends::{PodPort, Port};
use crate::cluster::model::{Corefile, Node, Pod, Protocol, Service, Snapshot};
use crate::cluster::tests_support::{
    cluster, container, controller, ip, labels, meta, owned, pod, service, until,
};
use crate::connections::lookups::Lookups;
use crate::connections::{Client, Server, ServerKind, Status};
use crate::log::Place;

/// Two web pods and a finished one, two db pods that disagree on a port's number, an agent on the host's network.
fn world() -> Cluster {
    let made = |name: &str, address: &str, set: &str, ports: &str| {
        let pod =
            owned(pod("shop", name, address), "StatefulSet", set, &format!("app={set} pod={name}"));
        Pod { containers: vec![container(ports)], node: "n1".into(), ..pod }
    };
    let alias = |name: &str, target: &str| Service {
        kind: "ExternalName".into(),
        external_name: target.into(),
        ..service("shop", name, "", "")
    };
    let dns =
        owned(pod("kube-system", "dns-0", "10.0.9.9"), "DaemonSet", "dns", "k8s-app=kube-dns");
    cluster(Snapshot {
        pods: vec![
            made("web-0", "10.0.0.1", "web", ""),
            made("web-1", "10.0.0.2", "web", ""),
            until(made("job-0", "10.0.0.3", "job", ""), "10:00:00"),
            made("db-0", "10.0.0.4", "db", "sql:5432"),
            made("db-1", "10.0.0.5", "db", "sql:5433"),
            made("far-0", "10.0.0.6", "far", ""),
            Pod { node: "n2".into(), ..made("far-1", "10.0.0.7", "far", "") },
            Pod { host_network: true, ..made("agent-0", "192.168.0.1", "agent", "http:80") },
            Pod { containers: vec![container("dns:5353/UDP dns-tcp:5353")], ..dns },
        ],
        controllers: ["web", "db", "agent", "idle"]
            .map(|name| controller("StatefulSet", "shop", name, &format!("app={name}")))
            .to_vec(),
        services: vec![
            service("shop", "db", "app=db", "sql:5432:sql"),
            service("shop", "idle", "app=idle", "http:80:80"),
            service("shop", "agent", "app=agent", "http:80:80"),
            alias("alias", "db.shop.svc.cluster.local"),
            alias("alias-gone", "gone.shop.svc.cluster.local"),
            alias("alias-out", "db.example.org"),
            service(
                "kube-system",
                "kube-dns",
                "k8s-app=kube-dns",
                "dns:53:dns/UDP dns-tcp:53:dns-tcp metrics:9153:9153",
            ),
        ],
        namespaces: vec![crate::cluster::model::Meta {
            labels: labels("kubernetes.io/metadata.name=shop"),
            ..meta("", "shop")
        }],
        nodes: vec![
            Node { meta: meta("", "n1"), addresses: vec![ip("192.168.0.1")], ..Node::default() },
            Node { meta: meta("", "n2"), addresses: vec![ip("192.168.0.2")], ..Node::default() },
        ],
        corefiles: vec![Corefile {
            namespace: "kube-system".into(),
            name: "coredns".into(),
            text: ". {\n rewrite name suffix .corp.example .shop.svc.cluster.local\n}".into(),
        }],
        ..Snapshot::default()
    })
}

/// `web`, `web:web-0,web-1`, `Node:192.168.0.2` or `Unknown:10.9.9.9`.
fn client(cluster: &Cluster, text: &str) -> Client {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut client = Client {
        kind: name.into(),
        namespace: String::new(),
        name: rest.into(),
        ips: Vec::new(),
        pods: Vec::new(),
        candidates: Vec::new(),
        workload: None,
    };
    if name.starts_with(char::is_lowercase) {
        let of = |id| cluster.workloads.get(id);
        let mut all = cluster.workloads.iter().map(|(id, _)| id);
        client.workload = all.find(|id| of(*id).name == name);
        (client.kind, client.namespace, client.name) =
            ("StatefulSet".into(), "shop".into(), name.into());
        client.pods = rest.split(',').filter(|pod| !pod.is_empty()).map(Into::into).collect();
    } else {
        client.ips = vec![rest.parse::<IpAddr>().unwrap()];
    }
    client
}

/// The Service of this name, or an external name.
fn server(cluster: &Cluster, name: &str) -> Server {
    let index = cluster.service("shop", name);
    let backends = index.map(|index| &cluster.backends[index]);
    let is_outside = name.contains('.');
    Server {
        kind: if is_outside { ServerKind::External } else { ServerKind::Service },
        namespace: if is_outside { "" } else { "shop" }.into(),
        name: name.into(),
        ports: backends.map_or(&[][..], |b| &b.ports).into(),
        workloads: backends.iter().flat_map(|b| &b.workloads).map(|b| b.workload).collect(),
        in_snapshot: (!is_outside).then_some(index.is_some()),
        service: index,
    }
}

fn verdicts(specs: &[&str], seen: &[(&str, &str)]) -> Verdicts {
    verdicts_in(&world(), specs, seen)
}

/// Each client's lookups are two queries, of which one failed.
fn verdicts_in(cluster: &Cluster, specs: &[&str], seen: &[(&str, &str)]) -> Verdicts {
    let connection = |(from, to): &(&str, &str)| Connection {
        client: client(cluster, from).into(),
        server: server(cluster, to).into(),
        names: [(*to).into()].into(),
        queries: 2,
        lookups: 1,
        failed: 0,
        attempts: 0,
        seen: None,
        status: vec![Status::Ok],
        proof: None,
        place: Place { path: "log".into(), line: 1 },
    };
    let policies: Vec<NetworkPolicy> = specs
        .iter()
        .map(|text| {
            let (namespace, text) = match text.strip_prefix("kube-system ") {
                Some(text) => ("kube-system", text),
                None => ("shop", *text),
            };
            NetworkPolicy { meta: meta(namespace, "p"), spec: serde_yaml::from_str(text).unwrap() }
        })
        .collect();
    let report = Report { connections: seen.iter().map(connection).collect(), ..Report::default() };
    let lookups = |(from, _): &(&str, &str)| Lookups {
        client: client(cluster, from),
        queries: 1,
        failed: 1,
        lookups: 1,
        seen: None,
        place: None,
        lower_bound: false,
    };
    let lookups: Vec<Lookups> = seen.iter().map(lookups).collect();
    verify(&report, &lookups, cluster, &policies)
}

/// The verdict of one connection, and after `; ` why it is not known.
#[track_caller]
fn check(specs: &[&str], from: &str, to: &str, expected: &str) {
    let found = verdicts(specs, &[(from, to)]);
    let row = found.rows.iter().find(|row| !row.is_dns).unwrap();
    let why = row.unknown.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
    assert_eq!(format!("{}{why}", row.verdict.word()), expected);
}

const TO_DB: &str = "podSelector: {matchLabels: {app: db}}";

#[test]
fn allowed_is_every_pair_on_every_port_and_denied_one_client_pod_without_any() {
    let from = |pods: &str| {
        format!("{{{TO_DB}, ingress: [{{from: [{{podSelector: {{matchLabels: {{{pods}}}}}}}]}}]}}")
    };
    check(&[], "web:web-0", "db", "allowed");
    check(&[&from("app: web")], "web:web-0,web-1", "db", "allowed");
    check(&[&from("app: wbe")], "web:web-0,web-1", "db", "denied");
    // Only one of the two pods that were seen gets in: the other is denied.
    check(&[&from("pod: web-0")], "web:web-0,web-1", "db", "denied");
    // The other one was not seen.
    check(&[&from("pod: web-0")], "web:web-0", "db", "allowed");
    // None of those seen is there: the workload's present pods stand for them.
    check(&[&from("app: web")], "web:web-gone", "db", "allowed");
    check(&[&from("pod: web-0")], "web:web-gone", "db", "denied");
    // A finished pod that was seen still has its labels.
    check(&[&from("app: job")], "job:job-0", "db", "allowed");
    check(&[], "job:job-9", "db", "unknown; the snapshot has no pod of the client");
}

#[test]
fn partly_names_the_pods_and_ports_that_are_cut_off() {
    let one = format!("{{{TO_DB}, ingress: [{{ports: [{{port: 5432}}]}}]}}");
    let found = verdicts(&[&one], &[("web:web-0", "db")]);
    let row = &found.rows[0];
    assert_eq!(row.verdict, Verdict::Partly);
    let cut = Cut {
        port: "5433/TCP".into(),
        clients: vec!["web-0".into()],
        servers: vec!["db-1".into()],
    };
    assert_eq!(row.cut, [cut]);
    assert_eq!(row.denials[0].why, "ports 5432/TCP: the server has 5433/TCP");
    // The name is each pod's own number.
    check(&[&one.replace("5432", "sql")], "web:web-0", "db", "allowed");
}

#[test]
fn a_pods_way_to_itself_makes_no_denied_connection_partly() {
    let none = format!("{{{TO_DB}}}");
    check(&[&none], "db:db-0,db-1", "db", "denied");
    check(&[&none], "db:db-0", "db", "denied");
    check(&[], "db:db-0", "db", "allowed");
}

#[test]
fn unknown_if_an_end_cannot_be_named_or_has_no_pods() {
    check(&[], "Unknown:10.9.9.9", "db", "unknown; the snapshot does not know the client");
    check(
        &[],
        "DNSCache:10.9.9.9",
        "db",
        "unknown; a DNS cache asked: the pods behind it are not known",
    );
    check(&[], "web:web-0", "idle", "unknown; the snapshot has no pod behind the server");
    check(&[], "web:web-0", "lost", "unknown; the snapshot does not have the server");
}

#[test]
fn a_node_is_allowed_to_its_own_pods_and_else_by_its_address() {
    let none = format!("{{{TO_DB}}}");
    check(&[&none], "Node:192.168.0.1", "db", "allowed");
    check(&[&none], "Node:192.168.0.2", "db", "denied");
    let block =
        format!("{{{TO_DB}, ingress: [{{from: [{{ipBlock: {{cidr: 192.168.0.2/32}}}}]}}]}}");
    check(&[&block], "Node:192.168.0.2", "db", "allowed");
    let all = format!("{{{TO_DB}, ingress: [{{from: [{{namespaceSelector: {{}}}}]}}]}}");
    check(&[&all], "Node:192.168.0.2", "db", "denied");
}

#[test]
fn the_ingress_end_of_a_host_network_server_is_allowed() {
    check(&["{podSelector: {matchLabels: {app: agent}}}"], "web:web-0", "agent", "allowed");
}

#[test]
fn pods_that_are_alike_on_another_node_are_not_alike_to_a_node() {
    let none = "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}";
    check(&[none], "web:web-0", "agent", "allowed");
    check(&[none], "far:far-0,far-1", "agent", "allowed");
    check(&[&none.replace("web", "far")], "far:far-0,far-1", "agent", "denied");
    check(&[&none.replace("web", "far")], "far:far-0", "agent", "allowed");
}

#[test]
fn outside_is_allowed_by_a_rule_for_everybody_and_denied_without_any_block() {
    let egress = |rules: &str| format!("{{policyTypes: [Egress], egress: [{rules}]}}");
    let out = "api.example.com";
    let maybe = "unknown; rules allow some addresses or ports: which ones this name has, the log does not say";
    check(&[], "web:web-0", out, "allowed");
    check(&["{policyTypes: [Ingress]}"], "web:web-0", out, "allowed");
    check(&[&egress("{}")], "web:web-0", out, "allowed");
    check(&[&egress("{to: [{namespaceSelector: {}}]}")], "web:web-0", out, "denied");
    check(&[&egress("{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}")], "web:web-0", out, maybe);
    check(&[&egress("{ports: [{port: 443}]}")], "web:web-0", out, maybe);
}

#[test]
fn an_alias_is_what_it_leads_to() {
    let from = |app: &str| {
        format!(
            "{{{TO_DB}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: {app}}}}}}}]}}]}}"
        )
    };
    check(&[&from("web")], "web:web-0", "alias", "allowed");
    check(&[&from("job")], "web:web-0", "alias", "denied");
    let one = format!("{{{TO_DB}, ingress: [{{ports: [{{port: 5432}}]}}]}}");
    check(&[&one], "web:web-0", "alias", "partly");
    // Out of the cluster only an address would lead, and this one is not there.
    let to_db =
        "{policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}";
    check(&[to_db], "web:web-0", "alias", "allowed");
    check(&[to_db], "web:web-0", "alias-out", "denied");
    let gone = "unknown; the snapshot does not have what this ExternalName leads to";
    check(&[], "web:web-0", "alias-gone", gone);
}

#[test]
fn a_name_that_the_corefile_rewrites_into_the_cluster_is_not_allowed_unseen() {
    let why = "unknown; the Corefile may rewrite this name into the cluster, and who is asked there the log does not say";
    check(&[], "web:web-0", "db.corp.example", why);
    check(&[], "web:web-0", "db.example", "allowed");
    check(&["{policyTypes: [Egress]}"], "web:web-0", "db.corp.example", "denied");
}

#[test]
fn findings_say_nothing_of_replicas_and_of_workloads_that_have_no_pod_yet() {
    let kinds = |spec: &str| -> Vec<&'static str> {
        let found = verdicts(&[spec], &[("web:web-0", "db")]);
        found.findings.iter().map(|finding| finding.kind.word()).collect()
    };
    let from = |peers: &str| format!("{{{TO_DB}, ingress: [{{from: [{peers}]}}]}}");
    let web = "{podSelector: {matchLabels: {app: web}}}";
    assert_eq!(kinds(&from(web)), [""; 0]);
    assert_eq!(kinds(&from("{podSelector: {}}")), ["widerThanSeen"]);
    assert_eq!(kinds("{podSelector: {matchLabels: {app: idle}}}"), [""; 0]);
    assert_eq!(kinds("{podSelector: {matchLabels: {app: none}}}"), ["selectsNoPod"]);
    assert_eq!(kinds("{podSelector: {matchLabels: {app: agent}}}"), ["hostNetwork"]);
    assert_eq!(kinds(&from("{podSelector: {matchLabels: {app: wbe}}}")), ["peerSelectsNoPod"]);
    assert_eq!(
        kinds(&from(&format!("{web}, {{podSelector: {{matchLabels: {{app: idle}}}}}}"))),
        [""; 0]
    );
    assert_eq!(
        kinds(&from(&format!("{web}, {{namespaceSelector: {{matchLabels: {{a: b}}}}}}"))),
        ["splitPeer"]
    );
}
