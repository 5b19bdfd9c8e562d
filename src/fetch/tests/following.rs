//! `--for`: logs that are followed, pods that are watched.

use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Reply, Server, dns_pod, line, list, log_text, pod, status};
use super::{log_of, record};

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

/// The server has forgotten what happened since: pods are listed again, and what was not watched is named.
#[test]
fn a_watch_that_the_server_has_forgotten_is_a_lapse_with_its_bounds() {
    let forgotten: [fn() -> Reply; 2] = [
        || {
            let status = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}});
            Reply::Pieces(vec![format!("{status}\n")], true)
        },
        || status(410, "too old resource version"),
    ];
    for forgotten in forgotten {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::new(move |path, times| {
            if path.contains("watch=") {
                return (times == 1).then(forgotten);
            }
            (path.starts_with("/api/v1/pods?") && times == 0)
                .then(|| list(&[dns_pod("coredns-a", 0), pod("brief")], ""))
        });
        let captured = server
            .capture(dir.path(), |asked| asked.follow = Some(Duration::from_secs(1)))
            .unwrap();
        let (record, text) = record(dir.path());
        assert!(record["gone"]["uid-brief"].is_string() && text.contains("\"brief\""), "{record}");
        let lapses =
            captured.notes.iter().filter(|note| note.starts_with("pods were not watched from 2"));
        assert_eq!(lapses.count(), 1, "{captured:#?}");
        assert!(captured.notes.iter().any(|note| note.starts_with("pods were watched from 2")));
        assert_eq!(record["notes"], json!(captured.notes));
    }
}

#[test]
fn a_watch_that_is_forbidden_is_said_and_the_logs_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let server =
        Server::new(|path, _| path.contains("watch=").then(|| status(403, "cannot watch pods")));
    let captured = server
        .capture(dir.path(), |asked| asked.follow = Some(Duration::from_millis(500)))
        .unwrap();
    let missed: Vec<_> = captured.missed.iter().map(|m| (m.what.as_str(), m.forbidden)).collect();
    assert_eq!(missed, [("watch of pods in all namespaces", true)]);
    assert_eq!(log_of(dir.path()), log_text());
}
