//! Each way in, and who is not behind it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::super::model::*;
use super::super::tests_support::*;
use super::*;

/// `api`, behind the Service `api`, and `db`, behind the Service `db`; the same again in the namespace `other`.
fn world() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for namespace in ["shop", "other"] {
        for (name, ports) in [("api", "http:80:8080 grpc:90:9090"), ("db", ":5432:5432")] {
            let labels = format!("app={name}");
            let pod = pod(namespace, &format!("{name}-1"), "");
            snapshot.pods.push(owned(pod, "StatefulSet", name, &labels));
            snapshot.controllers.push(controller("StatefulSet", namespace, name, &labels));
            let mut service = service(namespace, name, &labels, ports);
            service.meta.labels = labels_of(name);
            snapshot.services.push(service);
        }
    }
    snapshot
}

fn labels_of(name: &str) -> Labels {
    labels(&format!("app={name} tier=web"))
}

/// `workload: kind: why object; needs`, without the namespace's name where it is `shop`.
#[track_caller]
fn check(snapshot: Snapshot, expected: &[&str]) {
    let cluster = cluster(snapshot);
    let lines = exposed(&cluster).into_iter().flat_map(|(id, all)| {
        let who = cluster.word(id).replace("shop/StatefulSet/", "");
        all.into_iter()
            .map(|e| format!("{who}: {}: {} {}; {}", e.kind, e.why, e.object, e.needs))
            .collect::<Vec<_>>()
    });
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

fn to(namespace: &str, name: &str, port: Option<TargetPort>) -> ServiceRef {
    ServiceRef { namespace: namespace.into(), name: name.into(), port }
}

fn entrance(kind: &str, namespace: &str, services: &[ServiceRef]) -> Entrance {
    Entrance { kind: kind.into(), meta: meta(namespace, "x"), services: services.to_vec() }
}

#[test]
fn nothing_is_exposed_by_being_there() {
    check(world(), &[]);
    check(Snapshot::default(), &[]);
}

#[test]
fn an_ingress_or_a_route_exposes_the_backends_of_its_services_and_no_others() {
    for kind in ["Ingress", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"] {
        for (port, on) in [
            (Some(TargetPort::Number(80)), "8080/TCP"),
            (Some(TargetPort::Name("grpc".into())), "9090/TCP"),
            (None, "8080/TCP, 9090/TCP"),
            // What the Service does not have may still be meant.
            (Some(TargetPort::Number(1)), "8080/TCP, 9090/TCP"),
        ] {
            let mut snapshot = world();
            let services = [to("shop", "api", port), to("shop", "nowhere", None)];
            snapshot.entrances = vec![entrance(kind, "edge", &services)];
            let expected = format!(
                "api: {kind}: traffic comes in through {kind} edge/x; from the pods that carry it, on {on}"
            );
            check(snapshot, &[&expected]);
        }
    }
}

#[test]
fn webhooks_and_api_services_expose_what_the_api_server_calls() {
    for kind in [
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
        "APIService",
        "CustomResourceDefinition",
    ] {
        let mut snapshot = world();
        let services = [to("shop", "db", Some(TargetPort::Number(5432)))];
        snapshot.entrances = vec![entrance(kind, "", &services)];
        let expected = format!(
            "db: {kind}: the API server calls it, by {kind} x; from the API server, on 5432/TCP"
        );
        check(snapshot.clone(), &[&expected]);
        let cluster = cluster(snapshot);
        let called = called_by_the_api_server(&cluster);
        assert_eq!(called, BTreeMap::from([("shop", BTreeSet::from([format!("{kind} x")]))]));
    }
    let mut snapshot = world();
    snapshot.entrances = vec![entrance("Ingress", "shop", &[to("shop", "db", None)])];
    assert!(called_by_the_api_server(&cluster(snapshot)).is_empty());
}

#[test]
fn a_service_of_a_type_that_opens_it_exposes_its_backends() {
    let change = |change: fn(&mut Service)| {
        let mut snapshot = world();
        change(&mut snapshot.services[1]);
        snapshot
    };
    let line = |kind: &str, how: &str| {
        format!(
            "db: {kind}: it is reached from outside, by {how} of Service shop/db; from outside the cluster, on 5432/TCP"
        )
    };
    for kind in ["LoadBalancer", "NodePort"] {
        let mut snapshot = world();
        snapshot.services[1].kind = kind.into();
        check(snapshot, &[&line(kind, &format!("type {kind}"))]);
    }
    let addresses = change(|service| service.external_ips = vec!["203.0.113.7".into()]);
    check(addresses, &[&line("externalIPs", "externalIPs")]);
    check(change(|service| service.headless = true), &[]);
    // A name for what is elsewhere opens nothing here.
    check(change(|service| service.kind = "ExternalName".into()), &[]);
}

#[test]
fn a_scrape_annotation_counts_on_pod_template_and_service() {
    let scrape = |value: &str, port: &str| {
        let port = if port.is_empty() { "".into() } else { format!(" prometheus.io/port={port}") };
        labels(&format!("prometheus.io/scrape={value}{port}"))
    };
    let why = "scrape annotation: it is scraped, by the annotation prometheus.io/scrape of";
    for (value, is_scraped) in [("true", true), ("True", true), ("false", false), ("yes", false)] {
        let mut on_pod = world();
        on_pod.pods[1].meta.annotations = scrape(value, "9102");
        let mut on_template = world();
        on_template.controllers[1].template_annotations = scrape(value, "9102");
        let mut on_service = world();
        on_service.services[1].meta.annotations = scrape(value, "");
        let own = format!("db: {why} StatefulSet shop/db; from Prometheus, on 9102");
        let service = format!("db: {why} Service shop/db; from Prometheus");
        for (snapshot, line) in [(on_pod, &own), (on_template, &own), (on_service, &service)] {
            let expected = [line.as_str()];
            check(snapshot, if is_scraped { &expected } else { &[] });
        }
    }
    // One that has ended is scraped no more.
    let mut ended = world();
    ended.pods[1].meta.annotations = scrape("true", "");
    ended.pods[1] = until(ended.pods[1].clone(), "10:00:00");
    check(ended, &[]);
}

fn monitor(kind: &str, selector: &str, namespaces: Watched) -> Monitor {
    let match_labels = Some(labels(selector).to_map()).filter(|labels| !labels.is_empty());
    Monitor {
        kind: kind.into(),
        meta: meta("shop", "m"),
        selector: LabelSelector { match_labels, match_expressions: None },
        namespaces,
        ports: vec![TargetPort::Number(9102), TargetPort::Name("metrics".into())],
    }
}

#[test]
fn a_monitor_exposes_what_it_selects_where_it_looks() {
    let names = |names: &[&str]| Watched::Named(names.iter().map(ToString::to_string).collect());
    let elsewhere = ["other/StatefulSet/api", "other/StatefulSet/db"];
    for (kind, selector, namespaces, expected) in [
        ("ServiceMonitor", "app=api", Watched::Own, vec!["api"]),
        // Of Services, not of pods; and the other way round.
        ("ServiceMonitor", "app=api tier=web", Watched::Own, vec!["api"]),
        ("PodMonitor", "app=api tier=web", Watched::Own, vec![]),
        ("PodMonitor", "app=api", Watched::Own, vec!["api"]),
        ("PodMonitor", "app=api", names(&["other"]), vec![elsewhere[0]]),
        ("ServiceMonitor", "app=api", names(&["nowhere"]), vec![]),
        ("ServiceMonitor", "app=db", Watched::All, vec![elsewhere[1], "db"]),
        // An empty selector selects all.
        ("PodMonitor", "", Watched::Own, vec!["api", "db"]),
        ("ServiceMonitor", "", names(&["other"]), elsewhere.to_vec()),
    ] {
        let mut snapshot = world();
        snapshot.monitors = vec![monitor(kind, selector, namespaces)];
        let line = |who: &&str| {
            format!(
                "{who}: {kind}: it is scraped, by {kind} shop/m; from Prometheus, on 9102, metrics"
            )
        };
        let expected: Vec<String> = expected.iter().map(line).collect();
        check(snapshot, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn the_pods_that_a_gateway_runs_in_are_exposed() {
    let mut snapshot = world();
    let name = Gateway { meta: meta("shop", "edge"), ports: vec![80, 443] };
    snapshot.gateways = vec![name];
    check(snapshot.clone(), &[]);
    for at in [1, 3] {
        let label = (GATEWAY_NAME.to_owned(), "edge".to_owned());
        let labels = &mut snapshot.pods[at].meta.labels;
        *labels = labels.to_map().into_iter().chain([label]).collect();
    }
    check(
        snapshot,
        &[
            "db: Gateway: it carries the traffic of Gateway shop/edge; from outside the cluster, as it listens, on 443, 80",
        ],
    );
}

#[test]
fn host_network_is_an_exposure_of_its_own() {
    let line = "db: hostNetwork: its pods use hostNetwork, and are reached by their node's address: \
                StatefulSet shop/db; nothing: no policy has an effect";
    let mut snapshot = world();
    snapshot.pods[1].host_network = true;
    check(snapshot, &[line]);
    let mut snapshot = world();
    snapshot.controllers[1].template_host_network = true;
    check(snapshot, &[line]);
}

#[test]
fn kinds_of_which_the_snapshot_holds_none_were_not_looked_for() {
    let (some, none) = kinds(&cluster(Snapshot::default()));
    assert_eq!((some.len(), none.len()), (0, 13));
    let mut snapshot = world();
    snapshot.entrances = vec![entrance("APIService", "", &[]), entrance("Ingress", "a", &[])];
    snapshot.monitors = vec![monitor("PodMonitor", "", Watched::Own)];
    let (some, none) = kinds(&cluster(snapshot));
    assert_eq!(some, ["Service", "Ingress", "PodMonitor", "APIService"]);
    assert_eq!(none.len(), 9);
}

#[test]
fn what_an_alias_leads_to_is_behind_it() {
    let mut snapshot = world();
    snapshot.services.push(Service {
        kind: "ExternalName".into(),
        external_name: "db.other.svc.cluster.local".into(),
        ..service("shop", "alias", "", "")
    });
    snapshot.entrances.push(entrance("Ingress", "shop", &[to("shop", "alias", None)]));
    check(
        snapshot,
        &[
            "other/StatefulSet/db: Ingress: traffic comes in through Ingress shop/x; from the pods that carry it, on 5432/TCP",
        ],
    );
}

#[test]
fn names_that_the_corefile_rewrites_to_it_are_not_seen() {
    let mut snapshot = world();
    snapshot.corefiles.push(Corefile {
        namespace: "kube-system".into(),
        name: "coredns".into(),
        text: ".:53 {\n rewrite stop {\n  name regex (.*)\\.corp\\.example {1}.other.svc.cluster.local\n }\n rewrite name \
               a.example db.shop.svc.cluster.local\n rewrite name b.example c.example\n kubernetes cluster.local\n}"
            .into(),
    });
    let line = |who: &str, on: &str| {
        format!(
            "{who}: rewrite: names outside the cluster are rewritten to it, by the Corefile of ConfigMap kube-system/coredns; from whoever asks for those, on {on}"
        )
    };
    check(
        snapshot,
        &[
            &line("other/StatefulSet/api", "8080/TCP, 9090/TCP"),
            &line("other/StatefulSet/db", "5432/TCP"),
            &line("db", "5432/TCP"),
        ],
    );
}

#[test]
fn a_host_port_exposes_its_pods_and_those_that_a_template_will_make() {
    let container = |host_port| Container {
        name: "main".into(),
        ports: vec![ContainerPort { port: 8080, host_port, ..ContainerPort::default() }],
    };
    let expected = [
        "api: hostPort: nodes listen for it, on the hostPort of StatefulSet shop/api; from outside the cluster, on 8080",
    ];
    let mut snapshot = world();
    snapshot.pods[0].containers = vec![container(Some(80))];
    check(snapshot, &expected);
    let mut snapshot = world();
    snapshot.controllers[0].template_containers = vec![container(Some(80))];
    check(snapshot, &expected);
    let mut snapshot = world();
    snapshot.pods[0].containers = vec![container(None)];
    check(snapshot, &[]);
}

#[test]
fn pods_that_a_service_does_not_select_are_exposed_where_its_slices_list_them() {
    let mut snapshot = world();
    let front = snapshot.services.iter_mut().find(|service| service.meta.name == "api").unwrap();
    front.kind = "LoadBalancer".into();
    let foreign = pod("shop", "yy-1", "10.0.0.9");
    snapshot.pods.push(owned(foreign, "StatefulSet", "yy", "app=yy"));
    snapshot.slices = vec![slice("shop", "api", "http:8080", &[("10.0.0.9", "yy-1")])];
    let why = "LoadBalancer: it is reached from outside, by type LoadBalancer of Service shop/api; from outside the cluster";
    check(
        snapshot,
        &[
            &format!("api: {why}, on 8080/TCP, 9090/TCP"),
            &format!("yy: {why}, on 8080/TCP, 9090/TCP"),
        ],
    );
}
