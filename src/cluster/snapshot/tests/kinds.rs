//! Each kind, as kubectl writes it → as the model has it.

use super::*;

fn ips(all: &[&str]) -> Vec<std::net::IpAddr> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}

pub(super) fn labels(all: &[(&str, &str)]) -> Labels {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn time(text: &str) -> Option<crate::time::Time> {
    Some(crate::time::parse(text).unwrap())
}

#[test]
fn a_pod() {
    let text = r#"{"apiVersion": "v1", "kind": "Pod",
      "metadata": {"name": "web-0", "namespace": "shop", "uid": "u", "labels": {"app": "web", "n": "1"},
        "annotations": {"prometheus.io/scrape": "true", "x": 1}, "creationTimestamp": "2026-03-14T10:00:00Z",
        "deletionTimestamp": "2026-03-14T11:00:00Z", "generateName": null,
        "ownerReferences": [{"kind": "X", "name": "other", "uid": "1"},
          {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "2", "controller": true}]},
      "spec": {"hostNetwork": true, "nodeName": "n1", "dnsPolicy": "None", "hostname": "web-0", "subdomain": "web",
        "dnsConfig": {"nameservers": ["10.9.9.9"], "searches": ["corp.example"], "options": null},
        "containers": [
          {"name": "main", "ports": [{"containerPort": 8080, "name": "http", "hostPort": 0}, {"containerPort": 53, "protocol": "UDP"}]},
          {"name": "quiet", "ports": null, "env": null}],
        "initContainers": [
          {"name": "once", "ports": [{"containerPort": 1}]},
          {"name": "proxy", "restartPolicy": "Always", "ports": [{"containerPort": 15090, "protocol": "TCP"}],
           "env": [{"name": "ISTIO_META_DNS_CAPTURE", "value": "true"}]}],
        "affinity": null},
      "status": {"phase": "Succeeded", "hostIP": "192.0.2.1", "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {"ip": "::ffff:10.0.0.3"}, {"ip": "10.0.0.1"}],
        "startTime": "2026-03-14T10:00:01Z",
        "conditions": [
          {"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": "2026-03-14T10:00:03Z"},
          {"type": "Ready", "status": "False", "lastTransitionTime": "2026-03-14T10:30:00Z", "lastProbeTime": null},
          {"type": "X", "status": "True", "lastTransitionTime": "0001-01-01T00:00:00Z"}],
        "initContainerStatuses": [{"state": {"terminated": {"startedAt": "2026-03-14T10:00:04Z", "finishedAt": "2026-03-14T10:00:05Z"}}}],
        "containerStatuses": [
          {"lastState": {"terminated": {"startedAt": "2026-03-14T10:00:06Z", "finishedAt": "2026-03-14T10:10:00Z"}},
           "state": {"terminated": {"startedAt": "2026-03-14T10:10:01Z", "finishedAt": "2026-03-14T10:29:00Z"}}},
          {"lastState": {}, "state": {"waiting": {"reason": "x"}}},
          {"lastState": null, "state": {"terminated": {"startedAt": null, "finishedAt": null}}}]}}"#;
    let port = |name: &str, port, protocol| ContainerPort {
        name: name.to_owned(),
        port,
        protocol,
        host_port: None,
    };
    let container = |name: &str, ports: &[ContainerPort]| Container {
        name: name.to_owned(),
        ports: ports.to_vec(),
    };
    let (kind, name, uid) = ("StatefulSet".into(), "web".into(), "2".into());
    let owner = Owner { kind, name, uid, ..Owner::default() };
    let expected = Pod {
        meta: Meta {
            namespace: "shop".into(),
            name: "web-0".into(),
            uid: "u".into(),
            labels: labels(&[("app", "web"), ("n", "1")]),
            annotations: labels(&[("prometheus.io/scrape", "true")]),
            created: time("2026-03-14T10:00:00Z"),
            deleted: time("2026-03-14T11:00:00Z"),
            owner: Some(owner),
        },
        node: "n1".into(),
        host_network: true,
        dns_policy: "None".into(),
        searches: vec!["corp.example".into()],
        hostname: "web-0".into(),
        subdomain: "web".into(),
        containers: vec![
            container("main", &[port("http", 8080, Protocol::Tcp), port("", 53, Protocol::Udp)]),
            container("quiet", &[]),
            container("proxy", &[port("", 15090, Protocol::Tcp)]),
        ],
        phase: "Succeeded".into(),
        addresses: ips(&["10.0.0.1", "fd00::1", "10.0.0.3"]),
        start: time("2026-03-14T10:00:01Z"),
        started: time("2026-03-14T10:00:04Z"),
        finished: time("2026-03-14T10:29:00Z"),
        network_ready: time("2026-03-14T10:00:03Z"),
        last_transition: time("2026-03-14T10:30:00Z"),
        istio_dns: true,
        seen: None,
        former: vec![],
    };
    assert_eq!(read(text).pods, [expected]);
}

#[test]
fn a_pod_of_which_little_is_known() {
    let text = r#"{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x", "labels": null, "ownerReferences": null},
                   "spec": null, "status": {"podIP": "10.0.0.1", "podIPs": [], "conditions": null}}"#;
    let meta = Meta { name: "x".into(), ..Meta::default() };
    let expected = Pod { meta, addresses: ips(&["10.0.0.1"]), ..Pod::default() };
    let snapshot = read(text);
    assert_eq!(snapshot.pods, [expected]);
    // Without a uid nobody can say whether a later snapshot lacks it.
    assert!(!snapshot.moments[0].holds(&snapshot.pods[0]));
}

#[test]
fn services() {
    let check = |spec: Value, check: fn(&Service)| {
        let snapshot = read(&list(&[object("v1", "Service", "a", "s", spec)]));
        assert_eq!(snapshot.broken, [""; 0]);
        check(&snapshot.services[0]);
    };
    let ports = json!({"type": "NodePort", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::5"],
        "selector": {"app": "web"}, "externalIPs": ["203.0.113.1"], "ports": [
        {"port": 80, "targetPort": 8080, "name": "http", "protocol": "TCP", "nodePort": 30080},
        {"port": 81, "targetPort": "metrics"}, {"port": 82}, {"port": 83, "targetPort": 0},
        {"port": 53, "protocol": "UDP", "targetPort": ""}]});
    check(ports, |service| {
        assert_eq!(service.kind, "NodePort");
        assert_eq!(service.selector, labels(&[("app", "web")]));
        assert_eq!(service.cluster_ips, ips(&["10.96.0.1", "fd00::5"]));
        assert_eq!(service.external_ips, ["203.0.113.1"]);
        assert!(!service.headless);
        let number = |port: &ServicePort| (port.port, port.target.clone());
        let found: Vec<_> = service.ports.iter().map(number).collect();
        let expected = [
            (80, TargetPort::Number(8080)),
            (81, TargetPort::Name("metrics".into())),
            (82, TargetPort::Number(82)),
            (83, TargetPort::Number(83)),
            (53, TargetPort::Number(53)),
        ];
        assert_eq!(found, expected);
        assert_eq!(service.ports[0].name, "http");
        assert_eq!(service.ports[4].protocol, Protocol::Udp);
    });
    check(json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": null}), |service| {
        assert_eq!(service.kind, "ClusterIP");
        assert!(service.headless && service.cluster_ips.is_empty() && service.ports.is_empty());
    });
    check(json!({"clusterIP": "10.96.0.9", "externalName": "stale.example"}), |service| {
        assert_eq!(service.cluster_ips, ips(&["10.96.0.9"]));
        assert_eq!(service.external_name, "");
    });
    check(json!({"type": "ExternalName", "externalName": "db.example"}), |service| {
        assert_eq!(service.external_name, "db.example");
    });
    check(json!(null), |service| assert!(service.selector.is_empty() && !service.headless));
}

fn slice(name: &str, service: &str) -> Value {
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "namespace": "a", "labels": {"kubernetes.io/service-name": service}},
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "hostname": "web-0",
             "targetRef": {"kind": "Pod", "name": "web-0", "namespace": "a", "uid": "u"}},
            {"addresses": ["10.0.0.2"], "targetRef": {"kind": "Node", "name": "n"}},
            {"addresses": ["10.0.0.3"], "targetRef": {"kind": "Pod", "name": "web-1"}}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "", "port": null, "protocol": null}]})
}

#[test]
fn endpoint_slices() {
    let snapshot = read(&list(&[slice("web-x", "web")]));
    let [slice] = &*snapshot.slices else { panic!("{:?}", snapshot.broken) };
    assert_eq!(slice.service, "web");
    let pods: Vec<_> = slice.endpoints.iter().map(|endpoint| endpoint.pod.clone()).collect();
    let pod = |name: &str, uid: &str| Some(("a".to_owned(), name.to_owned(), uid.to_owned()));
    assert_eq!(pods, [pod("web-0", "u"), None, pod("web-1", "")]);
    assert_eq!(slice.endpoints[0].addresses, ips(&["10.0.0.1"]));
    assert_eq!(slice.endpoints[0].hostname, "web-0");
    let ports: Vec<_> = slice.ports.iter().map(|port| (port.name.as_str(), port.port)).collect();
    assert_eq!(ports, [("http", Some(8080)), ("", None)]);
    assert!(
        read(&list(&[json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "x"}, "endpoints": null, "ports": null})]))
        .broken
        .is_empty()
    );
}

#[test]
fn legacy_endpoints_count_only_where_no_slice_does() {
    let endpoints = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name, "namespace": "a"},
            "subsets": [{"addresses": [{"ip": "10.0.0.7", "targetRef": {"kind": "Pod", "name": "p"}}],
                         "notReadyAddresses": [{"ip": "10.0.0.8"}], "ports": [{"port": 80}]}]})
    };
    let snapshot = read(&list(&[endpoints("web"), endpoints("db"), slice("web-x", "web")]));
    let found: Vec<_> = snapshot
        .slices
        .iter()
        .map(|slice| (slice.service.as_str(), slice.endpoints.len(), slice.ports[0].port))
        .collect();
    assert_eq!(found, [("db", 2, Some(80)), ("web", 3, Some(8080))]);
    let none = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "x"}, "subsets": null});
    assert!(read(&list(&[none])).slices.is_empty());
}

#[test]
fn nodes() {
    let mut node = object(
        "v1",
        "Node",
        "",
        "n1",
        json!({"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00::/64"]}),
    );
    node["metadata"]["annotations"] = json!({
        "projectcalico.org/IPv4IPIPTunnelAddr": "10.1.0.1", "projectcalico.org/IPv4Address": "192.0.2.1/24",
        "flannel.alpha.coreos.com/public-ip": "192.0.2.1", "flannel.alpha.coreos.com/backend-data": "x"});
    node["status"] = json!({"addresses": [{"type": "InternalIP", "address": "192.0.2.1"},
        {"type": "Hostname", "address": "n1"}, {"type": "ExternalIP", "address": ""}]});
    let snapshot = read(&list(&[node]));
    let node = &snapshot.nodes[0];
    assert_eq!(node.addresses, ips(&["192.0.2.1"]));
    assert_eq!(node.pod_cidrs, ["10.1.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()]);
    let expected = [
        ("flannel.alpha.coreos.com/public-ip", "192.0.2.1"),
        ("projectcalico.org/IPv4IPIPTunnelAddr", "10.1.0.1"),
    ];
    assert_eq!(node.meta.annotations, labels(&expected));
    assert_eq!(snapshot.broken, [""; 0]);
}

#[test]
fn controllers() {
    let template = json!({"metadata": {"creationTimestamp": null, "labels": {"app": "web"},
        "annotations": {"prometheus.io/port": "9102", "x": "y"}}, "spec": {
        "hostNetwork": true, "containers": [{"name": "c", "ports": [{"containerPort": 1, "protocol": "SCTP"}]}]}});
    let selector = json!({"matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}, {"key": "k", "operator": "Exists", "values": null}]});
    let spec = json!({"selector": selector, "template": template});
    let kinds = ["Deployment", "DaemonSet", "ReplicaSet", "StatefulSet"];
    let mut items: Vec<Value> =
        kinds.iter().map(|kind| object("apps/v1", kind, "a", "web", spec.clone())).collect();
    items.push(object("batch/v1", "Job", "a", "web", spec.clone()));
    let cron = json!({"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": template}}});
    items.push(object("batch/v1", "CronJob", "a", "web", cron));

    let snapshot = read(&list(&items));
    let found: Vec<_> = snapshot.controllers.iter().map(|c| c.kind.as_str()).collect();
    assert_eq!(found, ["CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"]);
    for controller in &snapshot.controllers {
        assert_eq!(controller.template_labels, labels(&[("app", "web")]));
        assert_eq!(controller.template_annotations, labels(&[("prometheus.io/port", "9102")]));
        assert_eq!(controller.template_containers[0].ports[0].protocol, Protocol::Sctp);
        assert!(controller.template_host_network);
        let is_cron = controller.kind == "CronJob";
        assert_eq!(controller.schedule, if is_cron { "*/5 * * * *" } else { "" });
        assert_eq!(controller.selector.is_none(), is_cron);
    }
    let selector = snapshot.controllers[1].selector.clone().unwrap();
    assert_eq!(selector.match_labels, Some(labels(&[("app", "web")]).to_map()));
    let expressions = selector.match_expressions.unwrap();
    assert_eq!(expressions[0].values, Some(vec!["x".to_owned()]));
    assert_eq!((expressions[1].operator.as_str(), &expressions[1].values), ("Exists", &None));
}

#[test]
fn network_policies_are_the_apis_own() {
    let spec = json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [
        {"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "x"}}}], "ports": [{"port": "http"}, {"port": 1, "endPort": 9}]},
        {}]});
    let policy = object("networking.k8s.io/v1", "NetworkPolicy", "a", "p", spec.clone());
    let snapshot = read(&yaml_list(&[policy]));
    assert_eq!(snapshot.broken, [""; 0]);
    assert_eq!(serde_json::to_value(&snapshot.policies[0].spec).unwrap(), spec);
}

#[test]
fn a_corefile_counts_only_where_the_clusters_dns_is() {
    let corefile = |namespace: &str| config(namespace, "coredns", "Corefile", namespace);
    let items = ["kube-system", "openshift-dns", "dns", "tenant"].map(corefile);
    let snapshot = read(&list(&items));
    let found: Vec<_> = snapshot.corefiles.iter().map(|file| file.text.as_str()).collect();
    assert_eq!(found, ["dns", "kube-system", "openshift-dns"]);
    assert_eq!(snapshot.dns_namespaces, ["dns", "kube-system", "openshift-dns"]);
}

#[test]
fn an_endpoint_slice_of_names_is_passed_by_without_a_word() {
    let slice = |kind: &str, address: &str| {
        format!(
            r#"{{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "{kind}",
                "metadata": {{"name": "x", "namespace": "a"}}, "endpoints": [{{"addresses": ["{address}"]}}]}}"#
        )
    };
    let names = read(&slice("FQDN", "db.example.com"));
    assert_eq!((names.slices.len(), names.broken.len(), names.hidden.len()), (0, 0, 0));
    let addresses = read(&slice("IPv4", "db.example.com"));
    assert_eq!((addresses.slices.len(), addresses.broken.len()), (1, 1));
}

#[test]
fn an_owner_of_another_group_is_another_kind() {
    for (api, kind, expected) in [
        (Some("apps/v1"), "StatefulSet", "StatefulSet "),
        (Some("apps/v1beta2"), "StatefulSet", "StatefulSet "),
        (Some("extensions/v1beta1"), "ReplicaSet", "ReplicaSet "),
        (Some("batch/v1"), "Job", "Job "),
        (Some("v1"), "Node", "Node "),
        (Some("argoproj.io/v1alpha1"), "Rollout", "Rollout "),
        // By hand, or cut down.
        (None, "StatefulSet", "StatefulSet "),
        (Some(""), "Rollout", "Rollout "),
        (Some("apps/v1"), "Job", "Job "),
        (Some("v1"), "Deployment", "Deployment "),
        (Some("apps.kruise.io/v1beta1"), "StatefulSet", "StatefulSet.apps.kruise.io "),
        (Some("batch.volcano.sh/v1alpha1"), "Job", "Job.batch.volcano.sh "),
        (Some("rollouts.kruise.io/v1"), "Rollout", "Rollout.rollouts.kruise.io "),
        (Some("kafka.strimzi.io/v1"), "Kafka", "Kafka kafka.strimzi.io"),
        (Some("v1"), "ReplicationController", "ReplicationController "),
        (None, "Kafka", "Kafka "),
    ] {
        let mut reference = json!({"kind": kind, "name": "x", "uid": "u", "controller": true});
        reference["apiVersion"] = json!(api);
        let mut owned = pod("a", "web", "10.0.0.1");
        owned["metadata"]["ownerReferences"] = json!([reference]);
        for text in [list(&[owned.clone()]), yaml_list(&[owned])] {
            let owner = read(&text).pods[0].meta.owner.clone().unwrap();
            assert_eq!(format!("{} {}", owner.kind, owner.group), expected, "{api:?}");
        }
    }
}
