//! `fetch` against an API server that lies, cuts and refuses as real ones do.

mod server;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::{Api, Fault, Limits};
use super::objects::{self, OTHERS, PODS};
use crate::cluster::snapshot;
use server::{Reply, Server, block, dns_pod, line, list, log_text, pod, status};

/// Everything in a capture.
fn record(directory: &Path) -> (Value, String) {
    let text = std::fs::read_to_string(directory.join("pods.json")).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let own = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["metadata"]["name"] == "kico-capture")
        .unwrap();
    (serde_json::from_str(own["data"]["record"].as_str().unwrap()).unwrap(), text)
}

fn log_of(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("logs/coredns-a.txt")).unwrap()
}

#[test]
fn a_healthy_cluster_gives_a_private_capture_that_the_snapshot_reads() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("capture");
    let server = Server::new(|_, _| None);
    let captured = server.capture(&place, |_| ()).unwrap();
    assert_eq!(captured.missed, []);
    assert_eq!(log_of(&place), log_text());
    let (record, text) = record(&place);
    assert_eq!(
        (&record["cluster"], &record["podsClusterWide"]),
        (&json!("cluster-uid"), &json!(true))
    );
    assert!(!text.contains("canary"), "{text}");
    let read = snapshot::read(&[place.join("pods.json")], &[]).unwrap();
    assert_eq!((read.pods.len(), read.corefiles.len(), read.broken.len()), (2, 1, 0));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place), mode(&place.join("logs"))), (0o700, 0o700));
        assert_eq!(
            (mode(&place.join("pods.json")), mode(&place.join("logs/coredns-a.txt"))),
            (0o600, 0o600)
        );
    }
    // A second one replaces nothing unless told to, and then only what is kico's.
    let refused = server.capture(&place, |_| ()).unwrap_err().to_string();
    assert!(refused.contains("--force"), "{refused}");
    std::fs::write(place.join("logs/mine.txt"), "mine").unwrap();
    server.capture(&place, |asked| asked.force = true).unwrap();
    assert_eq!(std::fs::read_to_string(place.join("logs/mine.txt")).unwrap(), "mine");
}

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

/// One list of pods under a script.
fn pods(
    script: impl Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static,
) -> (Result<Vec<String>, Fault>, Vec<String>) {
    let server = Server::new(script);
    let items = block(async {
        let api = server.api().await;
        // Something has been answered before: what follows may be repeated.
        api.version().await;
        objects::list(&api, PODS, None, &mut |_| {}).await
    });
    let asked =
        server.asked().into_iter().filter(|path| path.starts_with("/api/v1/pods")).collect();
    (items.map(|listed| listed.items.into_iter().map(|item| item.uid).collect()), asked)
}

#[track_caller]
fn check_pods(
    script: impl Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static,
    expected: &[&str],
    asked: usize,
) {
    let (items, requests) = pods(move |path, times| {
        path.starts_with("/api/v1/pods").then(|| script(path, times)).flatten()
    });
    assert_eq!(items.unwrap(), expected, "{requests:#?}");
    assert_eq!(requests.len(), asked, "{requests:#?}");
}

#[test]
fn a_list_comes_whole_over_faults_that_pass() {
    let whole = || list(&[pod("a")], "");
    for code in [429, 500, 502, 503, 504] {
        check_pods(
            move |_, times| Some(if times < 2 { status(code, "later") } else { whole() }),
            &["uid-a"],
            3,
        );
    }
    check_pods(
        move |_, times| Some(if times == 0 { Reply::Whole(401, "", "{}".into()) } else { whole() }),
        &["uid-a"],
        2,
    );
    check_pods(
        move |_, times| {
            Some(if times == 0 {
                Reply::Pieces(vec!["{\"metadata\":".into()], false)
            } else {
                whole()
            })
        },
        &["uid-a"],
        2,
    );
    check_pods(
        move |_, times| Some(if times == 0 { Reply::Stall("{".into()) } else { whole() }),
        &["uid-a"],
        2,
    );
}

#[test]
fn pages_make_one_list_and_none_is_mixed_of_two() {
    let next = |path: &str| path.contains("continue=t");
    check_pods(
        move |path, _| {
            Some(if next(path) { list(&[pod("b")], "") } else { list(&[pod("a")], "t") })
        },
        &["uid-a", "uid-b"],
        2,
    );
    // What expires is begun anew, and the second time asked for whole.
    check_pods(
        move |path, times| {
            Some(match (next(path), times) {
                (true, 0..=1) => status(410, "expired"),
                (true, _) => list(&[pod("c")], ""),
                (false, 0) => list(&[pod("a")], "t"),
                (false, _) => list(&[pod("b")], "t"),
            })
        },
        &["uid-b", "uid-c"],
        4,
    );
    check_pods(
        move |path, _| {
            Some(match (next(path), path.contains("limit=")) {
                (true, _) => status(410, "expired"),
                (false, true) => list(&[pod("a")], "t"),
                (false, false) => list(&[pod("whole")], ""),
            })
        },
        &["uid-whole"],
        5,
    );
    check_pods(|_, _| Some(list(&[pod("a"), pod("a")], "")), &["uid-a"], 1);
}

#[test]
fn what_makes_no_sense_is_an_error_and_no_empty_list() {
    let fails = |script: fn(&str, usize) -> Reply| {
        let (items, _) =
            pods(move |path, times| path.starts_with("/api/v1/pods").then(|| script(path, times)));
        items.unwrap_err().to_string()
    };
    assert!(fails(|_, _| list(&[pod("a")], "t")).contains("repeats itself"));
    let page = fails(|_, _| Reply::Whole(200, "Content-Type: text/html\r\n", "<html>login".into()));
    assert!(page.contains("no JSON"), "{page}");
    assert!(fails(|_, _| Reply::Whole(200, "", "x".repeat(2 << 20))).contains("more than 1 MiB"));
    assert!(fails(|_, _| Reply::Whole(401, "", "{}".into())).contains("credentials"));
    let began = Instant::now();
    assert!(fails(|_, _| status(503, "overloaded")).contains("overloaded"));
    let asked =
        fails(|_, _| Reply::Whole(429, "Retry-After: 900\r\n", r#"{"message":"slow"}"#.into()));
    assert!(asked.contains("slow") && began.elapsed() < Duration::from_secs(8), "{asked}");
}

#[test]
fn nobody_there_is_said_at_once() {
    let began = Instant::now();
    let fault = block(async {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let api = Api::new(
            kube::Config::new(format!("http://{free}").parse().unwrap()),
            Limits::default(),
        )
        .await
        .unwrap();
        objects::list(&api, PODS, None, &mut |_| {}).await.unwrap_err().to_string()
    });
    assert!(fault.contains("cannot connect"), "{fault}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_log_that_is_cut_comes_whole_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, times| {
        let is_log = path.contains("/log?");
        let cut = log_text();
        match times {
            0 if is_log => Some(Reply::Pieces(vec![cut[..cut.len() - 20].into()], false)),
            _ if is_log => {
                assert!(path.contains("sinceTime=2026-03-14T10%3A00%3A02Z"), "{path}");
                Some(Reply::Whole(
                    200,
                    "",
                    [line(2, "same"), line(2, "same"), line(3, "three")].concat(),
                ))
            }
            _ => None,
        }
    });
    let captured = server.capture(dir.path(), |_| ()).unwrap();
    assert_eq!((captured.missed.len(), log_of(dir.path())), (0, log_text()));
}

#[test]
fn the_kubelets_refusal_under_a_200_is_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let text = "unable to retrieve container logs for containerd://abc\n";
    let server = Server::new(move |path, _| {
        path.contains("/log?").then(|| Reply::Whole(200, "", text.into()))
    });
    let captured = server.capture(dir.path(), |_| ()).unwrap();
    assert_eq!(log_of(dir.path()), "");
    assert!(captured.missed[0].why.contains("unable to retrieve"), "{captured:?}");
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
fn a_followed_log_goes_on_over_ends_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, times| {
        let restarts = u64::from(times > 2);
        if path.starts_with("/api/v1/namespaces/kube-system/pods?") {
            return Some(list(&[dns_pod("coredns-a", restarts)], ""));
        }
        path.contains("/log?").then(|| {
            let lines = match (path.contains("previous=true"), times) {
                (true, _) => [line(2, "two"), line(3, "last words")].concat(),
                (false, 0) => [line(1, "one"), line(2, "two")].concat(),
                (false, _) if path.contains("10%3A00%3A02Z") => line(2, "two"),
                (false, _) => [line(7, "anew"), line(8, "and on")].concat(),
            };
            Reply::Pieces(vec![lines], true)
        })
    });
    let captured =
        server.capture(dir.path(), |asked| asked.follow = Some(Duration::from_secs(2))).unwrap();
    let expected =
        [line(1, "one"), line(2, "two"), line(3, "last words"), line(7, "anew"), line(8, "and on")];
    assert_eq!(log_of(dir.path()), expected.concat(), "{:#?}", server.asked());
    assert_eq!(captured.missed, []);
}

#[test]
fn lines_that_the_server_has_no_more_are_a_gap_with_its_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, times| {
        path.contains("/log?").then(|| {
            Reply::Pieces(vec![if times == 0 { line(1, "one") } else { line(9, "nine") }], true)
        })
    });
    let captured =
        server.capture(dir.path(), |asked| asked.follow = Some(Duration::from_secs(1))).unwrap();
    let why = &captured.missed[0].why;
    assert!(why.contains("between 2026-03-14T10:00:01Z and 2026-03-14T10:00:09Z"), "{captured:?}");
    assert_eq!(log_of(dir.path()), [line(1, "one"), line(9, "nine")].concat());
}

#[test]
fn new_replicas_are_followed_and_pods_that_end_are_seen_by_the_watch() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, times| {
        let event =
            |kind: &str, object: Value| format!("{}\n", json!({"type": kind, "object": object}));
        if path.starts_with("/api/v1/namespaces/kube-system/pods?") && times > 0 {
            return Some(list(&[dns_pod("coredns-a", 0), dns_pod("coredns-b", 0)], ""));
        }
        (path.contains("watch=") && times == 1).then(|| {
            let pieces = vec![
                event("ADDED", dns_pod("coredns-b", 0)),
                event("ADDED", pod("brief")),
                event("DELETED", pod("brief")),
            ];
            Reply::Pieces(pieces, true)
        })
    });
    server.capture(dir.path(), |asked| asked.follow = Some(Duration::from_secs(2))).unwrap();
    let (record, text) = record(dir.path());
    assert_eq!(std::fs::read_to_string(dir.path().join("logs/coredns-b.txt")).unwrap(), log_text());
    assert!(record["gone"]["uid-brief"].is_string() && text.contains("\"brief\""), "{record}");
}

/// The Role of the README is what is asked for, and nothing more.
#[test]
fn the_role_grants_exactly_what_is_asked_for() {
    let text = include_str!("../../deploy/fetch-role.yaml");
    let mut granted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let role: Value = serde::Deserialize::deserialize(document).unwrap();
        let all = |value: &Value| -> Vec<String> {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|text| Some(text.as_str()?.to_owned()))
                .collect()
        };
        for rule in role["rules"].as_array().into_iter().flatten() {
            for group in all(&rule["apiGroups"]) {
                for resource in all(&rule["resources"]) {
                    let name =
                        if group.is_empty() { resource } else { format!("{resource}.{group}") };
                    granted.entry(name).or_default().extend(all(&rule["verbs"]));
                }
            }
        }
    }
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for resource in OTHERS.iter().chain([&PODS]) {
        used.entry(resource.name()).or_default().insert("list".into());
    }
    used.entry("pods".into()).or_default().insert("watch".into());
    used.entry("pods/log".into()).or_default().insert("get".into());
    used.entry("configmaps".into()).or_default().insert("get".into());
    assert_eq!(granted, used);
}

#[test]
fn no_word_of_a_credential_plugin_gets_out() {
    let said = Cell::new(String::new());
    let exec = kube::config::ExecConfig {
        command: Some("sh".into()),
        args: Some(vec!["-c".into(), "echo canary-out; echo canary-err >&2; exit 3".into()]),
        env: Some(vec![
            [("name", "AWS_SECRET"), ("value", "canary-env")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
        ]),
        api_version: Some("client.authentication.k8s.io/v1".into()),
        interactive_mode: Some(kube::config::ExecInteractiveMode::Never),
        ..Default::default()
    };
    block(async {
        let mut config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        config.auth_info.exec = Some(exec);
        let fault = Api::new(config, Limits::default()).await.err().unwrap();
        said.set(format!("{fault} {fault:?}"));
    });
    let said = said.take();
    assert!(said.contains("credential plugin") && !said.contains("canary"), "{said}");
}
