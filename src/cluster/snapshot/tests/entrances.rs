//! What leads to Services and what scrapes pods, as kubectl writes it → as the model has it.

use super::kinds::labels;
use super::*;

fn number(port: u16) -> Option<TargetPort> {
    Some(TargetPort::Number(port))
}

fn name(port: &str) -> Option<TargetPort> {
    Some(TargetPort::Name(port.into()))
}

#[track_caller]
fn check_entrance(item: Value, expected: &[(&str, &str, Option<TargetPort>)]) {
    let kind = item["kind"].as_str().unwrap().to_owned();
    for text in [list(std::slice::from_ref(&item)), yaml_list(&[item])] {
        let snapshot = read(&text);
        assert_eq!(snapshot.broken, [""; 0]);
        assert!(snapshot.skipped.is_empty());
        let [entrance] = &*snapshot.entrances else { panic!("{:?}", snapshot.entrances) };
        assert_eq!(entrance.kind, kind);
        let found: Vec<_> = entrance
            .services
            .iter()
            .map(|to| (to.namespace.as_str(), to.name.as_str(), to.port.clone()))
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn an_ingress_leads_to_services_of_its_namespace() {
    let to = |name: &str, port: Value| json!({"service": {"name": name, "port": port}});
    let spec = json!({"defaultBackend": to("all", json!({"number": 80})), "tls": [{"secretName": "x"}], "rules": [
        {"host": "a.example", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": to("web", json!({"name": "http"}))},
            {"path": "/2", "backend": to("web", json!({"name": "http"}))},
            {"path": "/3", "backend": {"resource": {"kind": "Bucket", "name": "x"}}},
            {"path": "/4", "backend": to("web", json!(null))}]}},
        {"host": "b.example", "http": null}]});
    check_entrance(
        object("networking.k8s.io/v1", "Ingress", "a", "i", spec),
        &[("a", "all", number(80)), ("a", "web", None), ("a", "web", name("http"))],
    );
    let old = json!({"backend": {"serviceName": "all", "servicePort": 80}, "rules": [
        {"http": {"paths": [{"backend": {"serviceName": "web", "servicePort": "http"}}]}}]});
    check_entrance(
        object("extensions/v1beta1", "Ingress", "a", "i", old),
        &[("a", "all", number(80)), ("a", "web", name("http"))],
    );
    check_entrance(object("networking.k8s.io/v1", "Ingress", "a", "i", json!(null)), &[]);
}

#[test]
fn every_route_leads_to_services_of_any_namespace() {
    let spec = json!({"parentRefs": [{"name": "edge"}], "rules": [
        {"backendRefs": [
            {"name": "web", "port": 80, "weight": 9},
            {"group": "", "kind": "Service", "name": "api", "namespace": "b", "port": 8080,
             "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "shadow", "port": 1}}}]},
            {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "x"},
            {"group": "multicluster.x-k8s.io", "kind": "Service", "name": "y"}],
         "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "mirror", "port": 2}}},
                     {"type": "RequestRedirect", "requestRedirect": {"port": 443}}]},
        {"backendRefs": null}]});
    let expected = [
        ("a", "mirror", number(2)),
        ("a", "shadow", number(1)),
        ("a", "web", number(80)),
        ("b", "api", number(8080)),
    ];
    for kind in ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"] {
        let route = object("gateway.networking.k8s.io/v1", kind, "a", "r", spec.clone());
        check_entrance(route, &expected);
    }
}

#[test]
fn webhooks_and_api_services_name_the_services_that_the_api_server_calls() {
    let call = |service: Value| json!({"name": "x.example", "clientConfig": {"caBundle": "AAAA", "service": service}});
    for kind in ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"] {
        let mut hooks = object("admissionregistration.k8s.io/v1", kind, "", "gate", json!(null));
        hooks["webhooks"] = json!([
            call(json!({"namespace": "a", "name": "gate", "path": "/x"})),
            call(json!({"namespace": "a", "name": "gate", "port": 8443})),
            {"name": "y.example", "clientConfig": {"url": "https://elsewhere.example"}},
            call(json!(null))]);
        check_entrance(hooks, &[("a", "gate", number(443)), ("a", "gate", number(8443))]);
    }
    let api = |spec: Value| object("apiregistration.k8s.io/v1", "APIService", "", "v1.x", spec);
    let metrics = json!({"group": "metrics.k8s.io", "service": {"namespace": "kube-system", "name": "metrics", "port": 443}});
    check_entrance(api(metrics), &[("kube-system", "metrics", number(443))]);
    check_entrance(api(json!({"group": "apps", "service": null})), &[]);
}

#[test]
fn a_conversion_names_the_service_that_the_api_server_calls() {
    let definition = |conversion: Value| {
        let spec =
            json!({"group": "x.example", "versions": [{"name": "v1"}], "conversion": conversion});
        object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "xs.x.example", spec)
    };
    let to =
        json!({"caBundle": "AAAA", "service": {"namespace": "a", "name": "convert", "path": "/x"}});
    let now = json!({"strategy": "Webhook", "webhook": {"clientConfig": to, "conversionReviewVersions": ["v1"]}});
    check_entrance(definition(now), &[("a", "convert", number(443))]);
    let before = json!({"strategy": "Webhook", "webhookClientConfig": to});
    check_entrance(definition(before), &[("a", "convert", number(443))]);
    let away = json!({"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://elsewhere.example"}}});
    for none in [away, json!({"strategy": "None"}), json!(null)] {
        check_entrance(definition(none), &[]);
    }
}

#[test]
fn gateways_and_monitors() {
    let gateway = json!({"gatewayClassName": "x", "listeners": [
        {"name": "tls", "port": 443, "protocol": "HTTPS"}, {"name": "web", "port": 80}, {"name": "two", "port": 80}]});
    let selector = json!({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]});
    let service = json!({"selector": selector, "namespaceSelector": {"matchNames": ["a", "b"]},
        "endpoints": [{"port": "metrics", "interval": "30s", "basicAuth": {"password": {"name": "x", "key": "y"}}},
                      {"targetPort": 9090}, {"targetPort": "admin"}, {}]});
    let pods = json!({"namespaceSelector": {"any": true},
        "podMetricsEndpoints": [{"port": "metrics"}, {"portNumber": 15090}]});
    let monitoring = "monitoring.coreos.com/v1";
    let snapshot = read(&list(&[
        object("gateway.networking.k8s.io/v1", "Gateway", "a", "edge", gateway),
        object("networking.istio.io/v1", "Gateway", "a", "istio", json!({"servers": 1})),
        object(monitoring, "ServiceMonitor", "m", "web", service),
        object(monitoring, "PodMonitor", "m", "pods", pods),
        object(monitoring, "PodMonitor", "m", "own", json!({"namespaceSelector": {"any": false}})),
    ]));
    assert_eq!(snapshot.broken, [""; 0]);
    assert!(snapshot.skipped.contains_key("Gateway.networking.istio.io"));
    assert_eq!(snapshot.gateways[0].ports, [80, 443]);
    assert_eq!(snapshot.gateways.len(), 1);
    let [own, pods, service] = &*snapshot.monitors else { panic!("{:?}", snapshot.monitors) };
    assert_eq!((&own.namespaces, own.kind.as_str()), (&Watched::Own, "PodMonitor"));
    assert_eq!(pods.namespaces, Watched::All);
    assert_eq!(pods.selector, Default::default());
    assert_eq!(pods.ports, [number(15090), name("metrics")].map(Option::unwrap));
    assert_eq!(service.namespaces, Watched::Named(vec!["a".into(), "b".into()]));
    assert_eq!(service.selector.match_labels, Some(labels(&[("app", "web")]).to_map()));
    assert_eq!(service.selector.match_expressions.as_ref().unwrap()[0].operator, "Exists");
    assert_eq!(service.ports, [number(9090), name("admin"), name("metrics")].map(Option::unwrap));
}

#[test]
fn a_malformed_entrance_is_named_and_costs_nothing_else() {
    let mut hooks = object(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "",
        "gate",
        json!(null),
    );
    hooks["webhooks"] = json!({"clientConfig": "canary-5ecret"});
    let ingress = |spec: Value| object("networking.k8s.io/v1", "Ingress", "a", "i", spec);
    for (item, named) in [
        (hooks, "ValidatingWebhookConfiguration gate: webhooks: "),
        (ingress(json!({"rules": "canary-5ecret"})), "Ingress a/i: spec: "),
        (ingress(json!(["canary-5ecret"])), "Ingress a/i: spec: "),
        (
            ingress(json!({"defaultBackend": {"service": {"port": {"number": 70_000}}}})),
            "Ingress a/i: spec: ",
        ),
        (
            object(
                "gateway.networking.k8s.io/v1",
                "Gateway",
                "a",
                "g",
                json!({"listeners": [{"port": "x"}]}),
            ),
            "Gateway a/g: spec: ",
        ),
        (
            object("gateway.networking.k8s.io/v1", "HTTPRoute", "a", "r", json!({"rules": [1]})),
            "HTTPRoute a/r: spec: ",
        ),
        (
            object(
                "monitoring.coreos.com/v1",
                "ServiceMonitor",
                "a",
                "m",
                json!({"selector": {"matchLabels": {"a": 1}}}),
            ),
            "ServiceMonitor a/m: spec: ",
        ),
        (
            object(
                "apiregistration.k8s.io/v1",
                "APIService",
                "",
                "v",
                json!({"service": "canary-5ecret"}),
            ),
            "APIService v: spec: ",
        ),
    ] {
        let snapshot = read(&list(&[item, pod("a", "web", "10.0.0.1")]));
        let [broken] = &*snapshot.broken else { panic!("{named}: {:?}", snapshot.broken) };
        assert!(broken.contains(named) && !broken.contains("5ecret"), "{broken}");
        assert!(
            snapshot.entrances.is_empty()
                && snapshot.gateways.is_empty()
                && snapshot.monitors.is_empty()
        );
        assert_eq!(names(&snapshot), ["web"]);
    }
    // Of two keys of one name neither is believed.
    let twice = r#"{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
        "spec": {"defaultBackend": null, "defaultBackend": null}}"#;
    assert_eq!(read(twice).broken.len(), 1);
}
