use super::super::model::{Controller, EndpointPort, Meta, Protocol};
use super::super::tests_support::*;
use super::*;
use crate::cluster::Cluster;

/// A pod of shop, with an address, a Deployment, labels and declared ports.
fn of(name: &str, address: &str, workload: &str, pairs: &str, ports: &str) -> Pod {
    let pod = owned(pod("shop", name, address), "Deployment", workload, pairs);
    Pod { containers: vec![container(ports)], ..pod }
}

fn template(kind: &str, name: &str, pairs: &str, ports: &str) -> Controller {
    Controller {
        template_containers: vec![container(ports)],
        ..controller(kind, "shop", name, pairs)
    }
}

fn ports(ports: &[Port]) -> String {
    let one = |port: &Port| {
        let number = match &port.port {
            PodPort::Number(number) => number.to_string(),
            PodPort::Name(name) => name.clone(),
        };
        let protocol = port.protocol.text();
        let name = if port.name.is_empty() { String::new() } else { format!("={}", port.name) };
        format!(" {number}/{protocol}{name}")
    };
    ports.iter().map(one).collect()
}

/// The last Service's backends, one line each, then the ports of all, how they were found, and what is foreign.
fn words(cluster: &Cluster) -> Vec<String> {
    let backends = cluster.backends.last().unwrap();
    let mut lines = Vec::new();
    for backend in &backends.workloads {
        let pods: Vec<&str> =
            backend.pods.iter().map(|i| cluster.snapshot.pods[*i].meta.name.as_str()).collect();
        let word = cluster.word(backend.workload);
        lines.push(format!("{word} [{}]{}", pods.join(" "), ports(&backend.ports)));
    }
    lines.push(format!("{:?}{}", backends.source, ports(&backends.ports)));
    lines.extend(backends.foreign.iter().map(|text| format!("foreign {text}")));
    lines
}

#[track_caller]
fn check(service: Service, slices: Vec<EndpointSlice>, pods: Vec<Pod>, expected: &[&str]) {
    check_with(service, slices, pods, vec![], expected);
}

#[track_caller]
fn check_with(
    service: Service,
    slices: Vec<EndpointSlice>,
    pods: Vec<Pod>,
    controllers: Vec<Controller>,
    expected: &[&str],
) {
    let services = vec![service];
    let snapshot = Snapshot { services, slices, pods, controllers, ..Snapshot::default() };
    assert_eq!(words(&cluster(snapshot)), expected);
}

fn web() -> Service {
    service("shop", "web", "app=web", "http:80:http")
}

#[test]
fn the_pods_in_the_slices_are_behind_a_service_and_the_slices_numbers_are_its_ports() {
    check(
        web(),
        vec![slice("shop", "web", "http:8080", &[("10.0.0.1", "a"), ("10.0.0.2", "b")])],
        vec![
            of("a", "10.0.0.1", "blue", "app=web", ""),
            of("b", "10.0.0.2", "green", "app=web", ""),
            // Its labels match, but no slice has it.
            of("c", "10.0.0.3", "grey", "app=web", ""),
        ],
        &[
            "shop/Deployment/blue [a] 8080/TCP=http",
            "shop/Deployment/green [b] 8080/TCP=http",
            "EndpointSlice 8080/TCP=http",
        ],
    );
}

#[test]
fn an_endpoint_counts_only_if_its_pod_is_in_the_namespace_holds_the_address_and_matches() {
    let mut foreign = slice(
        "shop",
        "web",
        "http:8080",
        &[
            ("10.0.0.1", "a"),
            ("10.0.0.2", "b"),
            ("10.0.0.4", "gone"),
            ("10.0.0.5", "done"),
            ("10.0.0.9", "a"),
            ("10.0.0.7", ""),
        ],
    );
    let mut elsewhere = foreign.endpoints[0].clone();
    elsewhere.addresses = vec![ip("10.0.0.3")];
    elsewhere.pod = Some(("bank".into(), "vault".into(), "bank/vault".into()));
    foreign.endpoints.push(elsewhere);
    let mut vault = of("vault", "10.0.0.3", "vault", "app=web", "");
    vault.meta =
        Meta { owner: vault.meta.owner, labels: vault.meta.labels, ..meta("bank", "vault") };
    let done = until(of("done", "10.0.0.5", "web", "app=web", ""), "10:00:00");
    check(
        web(),
        vec![foreign],
        vec![
            of("a", "10.0.0.1", "web", "app=web", ""),
            of("b", "10.0.0.2", "db", "app=db", ""),
            vault,
            done,
        ],
        &[
            "shop/Deployment/web [a] 8080/TCP=http",
            "EndpointSlice 8080/TCP=http",
            "foreign 10.0.0.2 (pod shop/b)",
            "foreign 10.0.0.3 (pod bank/vault)",
            "foreign 10.0.0.4 (pod shop/gone)",
            "foreign 10.0.0.5 (pod shop/done)",
            "foreign 10.0.0.7 (no pod)",
            "foreign 10.0.0.9 (pod shop/a)",
        ],
    );
}

#[test]
fn an_endpoint_without_a_target_means_who_holds_its_address_and_a_pod_made_again_is_another() {
    let mut by_hand = slice("shop", "web", "http:8080", &[("10.0.0.1", ""), ("10.0.0.2", "b")]);
    by_hand.endpoints[1].pod.as_mut().unwrap().2 = "an earlier b".into();
    check(
        web(),
        vec![by_hand],
        vec![of("a", "10.0.0.1", "web", "app=web", ""), of("b", "10.0.0.2", "web", "app=web", "")],
        &[
            "shop/Deployment/web [a] 8080/TCP=http",
            "EndpointSlice 8080/TCP=http",
            "foreign 10.0.0.2 (pod shop/b)",
        ],
    );
}

#[test]
fn where_a_uid_is_missing_namespace_and_name_say_which_pod_an_endpoint_means() {
    let target = |namespace: &str, name: &str| {
        let mut slice = slice("shop", "web", "http:8080", &[("10.0.0.1", "a")]);
        slice.endpoints[0].pod = Some((namespace.into(), name.into(), String::new()));
        vec![slice]
    };
    let pods = || vec![of("a", "10.0.0.1", "web", "app=web", "http:8080")];
    check(
        web(),
        target("shop", "a"),
        pods(),
        &["shop/Deployment/web [a] 8080/TCP=http", "EndpointSlice 8080/TCP=http"],
    );
    for (namespace, name) in [("bank", "a"), ("shop", "b")] {
        check(
            web(),
            target(namespace, name),
            pods(),
            &[
                "shop/Deployment/web [a] 8080/TCP=http",
                "TargetPort 8080/TCP=http",
                &format!("foreign 10.0.0.1 (pod {namespace}/{name})"),
            ],
        );
    }
}

#[test]
fn a_slice_of_another_namespace_or_service_says_nothing() {
    check(
        web(),
        vec![
            slice("bank", "web", "http:1", &[("10.0.0.2", "")]),
            slice("shop", "api", "http:2", &[("10.0.0.2", "")]),
        ],
        vec![of("a", "10.0.0.1", "web", "app=web", "http:8080")],
        &["shop/Deployment/web [a] 8080/TCP=http", "TargetPort 8080/TCP=http"],
    );
}

#[test]
fn without_slices_the_selector_matches_pods_and_templates_but_no_finished_pod() {
    check_with(
        web(),
        vec![],
        vec![
            of("a", "10.0.0.1", "web", "app=web tier=x", "http:8080"),
            until(of("old", "10.0.0.2", "old", "app=web", "http:1"), "10:00:00"),
            of("other", "10.0.0.3", "other", "app=other", "http:2"),
            until(owned(pod("shop", "j", ""), "Job", "once", "app=web"), "10:00:00"),
        ],
        vec![
            template("Deployment", "web", "app=web", "http:8080"),
            template("Deployment", "idle", "app=web", "http:8080"),
            template("CronJob", "nightly", "app=web", "http:8080"),
            // It ran, and runs no more.
            template("Job", "once", "app=web", "http:3"),
            template("Deployment", "unlike", "app=unlike", "http:4"),
        ],
        &[
            "shop/CronJob/nightly [] 8080/TCP=http",
            "shop/Deployment/idle [] 8080/TCP=http",
            "shop/Deployment/web [a] 8080/TCP=http",
            "TargetPort 8080/TCP=http",
        ],
    );
}

#[test]
fn slices_without_one_endpoint_that_counts_leave_it_to_the_selector() {
    for (endpoints, foreign) in
        [(&[][..], &[][..]), (&[("10.0.0.9", "")][..], &["foreign 10.0.0.9 (no pod)"][..])]
    {
        let mut expected = vec!["shop/Deployment/web [] 8080/TCP=http", "TargetPort 8080/TCP=http"];
        expected.extend(foreign);
        check_with(
            web(),
            vec![slice("shop", "web", "http:9", endpoints)],
            vec![],
            vec![template("Deployment", "web", "app=web", "http:8080")],
            &expected,
        );
    }
}

#[test]
fn a_target_port_is_a_number_or_a_containers_port_of_that_name_and_protocol() {
    for (port, declared, expected) in [
        ("http:80:8080", "", " 8080/TCP=http"),
        // Unset: the Service's own.
        ("http:80:0", "", " 80/TCP=http"),
        ("http:80:web", "other:1 web:8080", " 8080/TCP=http"),
        ("dns:53:dns/UDP", "dns:1053 dns:5353/UDP", " 5353/UDP=dns"),
        (":80:8080 m:81:9090", "", " 8080/TCP 9090/TCP=m"),
        // Nothing declares it: it leads nowhere.
        ("http:80:web", "other:1", ""),
    ] {
        check(
            service("shop", "web", "app=web", port),
            vec![],
            vec![of("a", "10.0.0.1", "web", "app=web", declared)],
            &[&format!("shop/Deployment/web [a]{expected}"), &format!("TargetPort{expected}")],
        );
    }
}

#[test]
fn a_pod_that_no_slice_lists_yet_keeps_the_name_of_a_port_that_it_has_elsewhere() {
    let slices = || vec![slice("shop", "web", "http:8080", &[("10.0.0.1", "a")])];
    let pods = |number: &str| {
        let old = of("a", "10.0.0.1", "blue", "app=web", "http:8080");
        vec![old, of("b", "10.0.0.2", "blue", "app=web", number)]
    };
    let named = || service("shop", "web", "app=web", "http:80:http");
    for (declared, expected) in [("http:9090", "http/TCP=http"), ("http:8080", "8080/TCP=http")] {
        let rows =
            [format!("shop/Deployment/blue [a] {expected}"), format!("EndpointSlice {expected}")];
        check(named(), slices(), pods(declared), &[&rows[0], &rows[1]]);
    }
}

#[test]
fn a_forged_slice_adds_no_port_that_the_service_does_not_mean() {
    let forged = |ports: &str| {
        let own = slice("shop", "web", "http:8080", &[("10.0.0.1", "a")]);
        vec![own, slice("shop", "web", ports, &[("10.0.0.1", "a")])]
    };
    let pods = |ports: &str| vec![of("a", "10.0.0.1", "blue", "app=web", ports)];
    let number = || service("shop", "web", "app=web", "http:80:8080");
    let expected = ["shop/Deployment/blue [a] 8080/TCP=http", "EndpointSlice 8080/TCP=http"];
    check(number(), forged("http:22"), pods(""), &expected);
    check(
        web(),
        forged("http:22"),
        pods("http:8080"),
        &["shop/Deployment/blue [a] http/TCP=http", "EndpointSlice http/TCP=http"],
    );
    // Nothing confirms the number: it is the Service's own word.
    check(
        number(),
        vec![slice("shop", "web", "http:22", &[("10.0.0.1", "a")])],
        pods(""),
        &["shop/Deployment/blue [a] 8080/TCP=http", "TargetPort 8080/TCP=http"],
    );
}

#[test]
fn where_the_pods_disagree_the_name_is_kept() {
    let pods = vec![
        of("a", "10.0.0.1", "blue", "app=web", "http:8080"),
        of("b", "10.0.0.2", "green", "app=web", "http:9090"),
        of("c", "10.0.0.3", "green", "app=web", "http:9091"),
        // It has no such port, and so no say.
        of("d", "10.0.0.4", "blue", "app=web", ""),
    ];
    let by_target = [
        "shop/Deployment/blue [a d] 8080/TCP=http",
        "shop/Deployment/green [b c] http/TCP=http",
        "TargetPort http/TCP=http",
    ];
    check(web(), vec![], pods.clone(), &by_target);
    let slices = vec![
        slice("shop", "web", "http:8080", &[("10.0.0.1", "a")]),
        slice("shop", "web", "http:9090", &[("10.0.0.2", "b")]),
        slice("shop", "web", "http:9091", &[("10.0.0.3", "c")]),
    ];
    check(
        web(),
        slices,
        pods,
        &[
            "shop/Deployment/blue [a] 8080/TCP=http",
            "shop/Deployment/green [b c] http/TCP=http",
            "EndpointSlice http/TCP=http",
        ],
    );
}

#[test]
fn a_pod_in_two_slices_is_one_pod() {
    let two = |ip6: &str| slice("shop", "web", "http:8080", &[(ip6, "a")]);
    check(
        web(),
        vec![two("10.0.0.1"), two("fd00::1")],
        vec![of("a", "10.0.0.1 fd00::1", "web", "app=web", "")],
        &["shop/Deployment/web [a] 8080/TCP=http", "EndpointSlice 8080/TCP=http"],
    );
}

#[test]
fn a_service_that_declares_no_ports_has_its_containers() {
    let headless = || Service { headless: true, ..service("shop", "web", "app=web", "") };
    let pods = |a: &str, b: &str| {
        vec![of("a", "10.0.0.1", "web", "app=web", a), of("b", "10.0.0.2", "web", "app=web", b)]
    };
    let endpoints = [("10.0.0.1", "a"), ("10.0.0.2", "b")];
    check(
        headless(),
        vec![slice("shop", "web", "", &endpoints)],
        pods("x:1 y:2/UDP", "x:3"),
        &["shop/Deployment/web [a b] 1/TCP 2/UDP 3/TCP", "Containers 1/TCP 2/UDP 3/TCP"],
    );
    check(headless(), vec![], pods("", ""), &["shop/Deployment/web [a b]", "None"]);
}

#[test]
fn a_service_without_a_selector_has_no_workloads_and_the_ports_of_its_slices() {
    let by_hand = || service("shop", "legacy", "", "sql:5432:5432");
    let pods = || vec![of("a", "10.0.0.1", "web", "app=web", "sql:5432")];
    check(by_hand(), vec![], pods(), &["None"]);
    let mut written = slice("shop", "legacy", "sql:6432", &[("10.0.0.1", "a"), ("192.0.2.1", "")]);
    written.ports.push(EndpointPort { name: "all".into(), port: None, protocol: Protocol::Tcp });
    check(
        by_hand(),
        vec![written],
        pods(),
        &[
            "EndpointSlice 6432/TCP=sql",
            "foreign 10.0.0.1 (pod shop/a)",
            "foreign 192.0.2.1 (no pod)",
        ],
    );
}

#[test]
fn an_external_name_has_nothing_behind_it() {
    let external = Service { kind: "ExternalName".into(), ..web() };
    check(external, vec![], vec![of("a", "10.0.0.1", "web", "app=web", "http:1")], &["None"]);
}

#[test]
fn a_pod_that_a_later_snapshot_lacks_is_behind_nothing() {
    let (old, new) = (
        of("old", "10.0.0.1", "old", "app=web", "http:1"),
        of("new", "10.0.0.2", "new", "app=web", "http:2"),
    );
    let moments = vec![moment("10:00:00", &[&old]), moment("11:00:00", &[&new])];
    let services = vec![web()];
    let made = cluster(Snapshot { services, moments, pods: vec![old, new], ..Snapshot::default() });
    assert_eq!(words(&made), ["shop/Deployment/new [new] 2/TCP=http", "TargetPort 2/TCP=http"]);
}
