//! What a capture holds, and what it says is missing.

use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Reply, Server, dns_pod, list, log_text, pod, status};
use super::{log_of, record};
use crate::cluster::snapshot;

#[test]
fn what_is_forbidden_is_named_and_the_rest_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, _| {
        path.starts_with("/api/v1/nodes").then(|| status(403, "nodes is forbidden"))
    });
    let captured = server.capture(dir.path(), |_| ()).unwrap();
    let missed: Vec<_> = captured.missed.iter().map(|m| (m.what.as_str(), m.forbidden)).collect();
    assert_eq!(missed, [("nodes", true)]);
    assert_eq!(log_of(dir.path()), log_text());
}

#[test]
fn a_pod_that_goes_meanwhile_is_kept_and_said_to_be_gone() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, times| {
        let is_list = path.starts_with("/api/v1/pods?");
        (is_list && times == 0)
            .then(|| list(&[dns_pod("coredns-a", 0), pod("web"), pod("gone")], ""))
    });
    server.capture(dir.path(), |_| ()).unwrap();
    let (record, _) = record(dir.path());
    assert!(record["gone"]["uid-gone"].is_string(), "{record}");
    let read = snapshot::read(&[dir.path().join("pods.json")], &[]).unwrap();
    assert_eq!(read.pods.len(), 3);
}

#[test]
fn what_one_namespace_shows_is_taken_if_the_cluster_is_forbidden() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, _| {
        (path.starts_with("/api/v1/pods?") || path.starts_with("/api/v1/services?"))
            .then(|| status(403, "only by namespace"))
    });
    let captured = server.capture(dir.path(), |_| ()).unwrap();
    let missed: Vec<_> = captured.missed.iter().map(|m| (m.what.as_str(), m.forbidden)).collect();
    assert_eq!(missed, [("pods of other namespaces", true), ("services", true)]);
    let (record, _) = record(dir.path());
    assert_eq!(record["podsClusterWide"], false);
    assert_eq!(record["objects"]["Pod"], 1, "{record}");
}

#[test]
fn credentials_that_run_out_end_nothing_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, times| {
        let is_late = path.starts_with("/api/v1/pods?") && times > 0;
        let is_other = !path.starts_with("/api/v1/") && path != "/version";
        (is_late || is_other).then(|| Reply::Whole(401, "", "{}".into()))
    });
    let captured = server.capture(dir.path(), |_| ()).unwrap();
    assert_eq!(log_of(dir.path()), log_text());
    let pods = &captured.missed[0];
    assert!(pods.what == "pods" && pods.why.contains("credentials"), "{captured:#?}");
    // What was seen before is there, and not said to be gone.
    let (record, text) = record(dir.path());
    assert!(text.contains("uid-web") && record["gone"] == json!({}), "{record}");
}

#[test]
fn a_cluster_without_a_dns_that_is_known_is_an_error_that_names_the_flags() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, _| path.contains("/pods?").then(|| list(&[], "")));
    let place = dir.path().join("capture");
    let said = server.capture(&place, |_| ()).unwrap_err().to_string();
    assert!(said.contains("kube-system, openshift-dns") && said.contains("-l"), "{said}");
    let said = server.capture(&place, |asked| asked.dns_namespaces = vec!["net".into()]);
    let said = said.unwrap_err().to_string();
    assert!(said.contains("no CoreDNS pod found in net"), "{said}");
    assert!(!place.exists());
}

fn service(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("s-{name}")}, "spec": {"clusterIP": "10.2.0.1"}})
}

fn slice(name: &str, service: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("e-{name}"),
        "labels": {"kubernetes.io/service-name": service}}, "addressType": "IPv4", "endpoints": []})
}

/// Who asked for it named it: without the Service nobody could tell what was meant.
#[test]
fn a_service_that_is_deleted_meanwhile_is_kept_with_what_stood_behind_it() {
    for follow in [None, Some(Duration::from_millis(300))] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::new(|path, times| {
            if path.starts_with("/api/v1/services?") {
                let gone = (times == 0).then(|| service("gone"));
                return Some(list(
                    &gone.into_iter().chain([service("web")]).collect::<Vec<_>>(),
                    "",
                ));
            }
            path.starts_with("/apis/discovery.k8s.io/v1/endpointslices?").then(|| match times {
                0 => list(&[slice("gone-1", "gone"), slice("web-1", "web")], ""),
                _ => list(&[slice("web-2", "web")], ""),
            })
        });
        let captured = server.capture(dir.path(), |asked| asked.follow = follow).unwrap();
        assert_eq!(record(dir.path()).0["vanished"], json!(["shop/gone"]));
        let said = captured.notes.iter().any(|note| note.contains("deleted meanwhile: 1 Service"));
        assert!(said, "{captured:#?}");
        let read = snapshot::read(&[dir.path().join("pods.json")], &[]).unwrap();
        let names: Vec<_> = read.services.iter().map(|s| s.meta.name.as_str()).collect();
        assert_eq!(names, ["gone", "web"]);
        let names: Vec<_> = read.slices.iter().map(|s| s.meta.name.as_str()).collect();
        // What stood behind one that is still there is as it is now.
        assert_eq!(names, ["gone-1", "web-2"]);
    }
}

/// Gateway API is installed in releases that serve other versions: an older one is not the same as none.
#[test]
fn routes_are_found_in_the_version_that_the_server_has() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, _| {
        let route = |name: &str| {
            let rules = json!([{"backendRefs": [{"name": "web", "port": 80}]}]);
            json!({"metadata": {"name": name, "namespace": "shop", "uid": name}, "spec": {"rules": rules}})
        };
        let group = path.strip_prefix("/apis/gateway.networking.k8s.io/")?;
        match group.split('?').next()? {
            "v1/httproutes" => Some(list(&[route("http")], "")),
            "v1alpha3/tlsroutes" => Some(list(&[route("tls")], "")),
            "v1alpha2/tlsroutes" => panic!("the newer one has them"),
            "v1alpha2/tcproutes" => Some(list(&[route("tcp")], "")),
            "v1/udproutes" => Some(status(403, "forbidden")),
            "v1alpha2/udproutes" => panic!("forbidden is not absent"),
            _ => None,
        }
    });
    let captured = server.capture(dir.path(), |_| ()).unwrap();
    let missed: Vec<_> = captured.missed.iter().map(|missed| missed.what.as_str()).collect();
    assert_eq!(missed, ["udproutes.gateway.networking.k8s.io"]);
    let read = snapshot::read(&[dir.path().join("pods.json")], &[]).unwrap();
    assert_eq!(read.broken, Vec::<String>::new());
    let mut found: Vec<_> = read.entrances.iter().map(|e| e.kind.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, ["HTTPRoute", "TCPRoute", "TLSRoute"]);
}
