//! Logs as they are: cut, late, refused, rotated while they are read.

use super::server::{Reply, Server, dns_pod, line, list, log_text, status};
use super::{log_files, log_of, record};

#[test]
fn a_log_that_is_cut_comes_whole_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, times| {
        let is_log = path.contains("/log?");
        let cut = log_text();
        match times {
            0 if is_log => Some(Reply::Pieces(vec![cut[..cut.len() - 20].into()], false)),
            _ if is_log => {
                // And once it came whole, from its last line on.
                let since = if times == 1 { "02Z" } else { "03Z" };
                assert!(
                    path.contains(&format!("sinceTime=2026-03-14T10%3A00%3A{since}")),
                    "{path}"
                );
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
    assert!(captured.missed[0].why.contains("unable to retrieve"), "{captured:?}");
    // No file that would look like a replica that nobody asked.
    assert_eq!((log_files(dir.path()), captured.logs), (vec![], vec![]));
    assert!(record(dir.path()).0["logs"][0]["file"].is_null());
}

/// One log, as this script gives it: the file, what is missing, and the requests.
fn captured(
    script: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
) -> (String, Vec<String>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let server =
        Server::new(move |path, times| path.contains("/log?").then(|| script(path, times)));
    let captured = server.capture(dir.path(), |_| ()).unwrap();
    let missed = captured.missed.into_iter().map(|missed| missed.why).collect();
    let asked = server.asked().into_iter().filter(|path| path.contains("/log?")).collect();
    (log_of(dir.path()), missed, asked)
}

#[test]
fn a_refusal_that_passes_costs_nothing() {
    let (log, missed, asked) = captured(|_, times| match times {
        0 => Reply::Whole(200, "", "failed to watch file\n".into()),
        1 => status(503, "later"),
        _ => Reply::Whole(200, "", log_text()),
    });
    assert_eq!((log, missed.len(), asked.len()), (log_text(), 0, 4));
}

#[test]
fn a_log_that_stands_still_is_asked_for_from_its_last_line_on() {
    let (log, missed, asked) = captured(|_, times| match times {
        0 => Reply::Stall([line(1, "one"), line(2, "same")].concat()),
        _ => Reply::Whole(200, "", log_text()),
    });
    assert_eq!((log, missed.len()), (log_text(), 0));
    assert!(asked[1].contains("sinceTime=2026-03-14T10%3A00%3A02Z"), "{asked:#?}");
}

/// A rotation ends an answer as if the log were whole, in the middle of a line, too.
#[test]
fn a_log_that_is_rotated_while_it_is_read_goes_on() {
    let (log, missed, _) = captured(|_, times| match times {
        0 => Reply::Pieces(vec![format!("{}2026-03-14T10:00:02.5Z [INF", line(1, "one"))], true),
        1 => Reply::Pieces(vec![line(1, "one"), line(2, "two")], true),
        _ => Reply::Pieces(vec![line(2, "two")], true),
    });
    assert_eq!((log, missed), ([line(1, "one"), line(2, "two")].concat(), vec![]));
    // Where the server has no more what was in between, it is a gap.
    let (log, missed, _) = captured(|_, times| match times {
        0 => Reply::Pieces(vec![line(1, "one")], true),
        _ => Reply::Pieces(vec![line(9, "nine")], true),
    });
    assert_eq!(log, [line(1, "one"), line(9, "nine")].concat());
    assert!(missed[0].contains("between 2026-03-14T10:00:01Z and 2026-03-14T10:00:09Z"));
}

#[test]
fn a_last_line_without_an_end_is_kept_and_ended() {
    let torn = "2026-03-14T10:00:04.5Z [INFO] torn";
    let text = format!("{}{torn}", log_text());
    let (log, missed, _) = captured(move |_, _| Reply::Whole(200, "", text.clone()));
    assert_eq!((log, missed), (format!("{}{torn}\n", log_text()), vec![]));
}

#[test]
fn a_line_that_has_no_end_is_not_kept_in_memory() {
    let (log, missed, _) = captured(|_, times| match times {
        0 => Reply::Whole(200, "", log_text()),
        _ => Reply::Whole(200, "", "x".repeat(17 << 20)),
    });
    assert_eq!(log, log_text());
    assert!(missed[0].contains("more than 16 MiB"), "{missed:?}");
}

#[test]
fn a_log_that_is_not_there_is_named_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, _| {
        if path.starts_with("/api/v1/namespaces/kube-system/pods?") {
            let waits = dns_pod("coredns-waits", 0);
            return Some(list(&[dns_pod("coredns-a", 2), dns_pod("coredns-b", 0), waits], ""));
        }
        match path.split_once("/log?") {
            Some((_, query)) if query.contains("previous=true") => {
                Some(status(400, "previous terminated container \"coredns\" not found"))
            }
            Some((pod, _)) if pod.ends_with("coredns-b") => {
                Some(status(404, "pods \"coredns-b\" not found"))
            }
            Some((pod, _)) if pod.ends_with("waits") => {
                Some(status(400, "container \"coredns\" is waiting to start: ContainerCreating"))
            }
            _ => None,
        }
    });
    let captured = server.capture(dir.path(), |asked| asked.previous = true).unwrap();
    let missed: Vec<_> =
        captured.missed.iter().map(|m| (m.what.as_str(), m.why.as_str())).collect();
    // That nothing ran before is nothing that is missing.
    assert_eq!(
        missed,
        [
            ("logs/coredns-b.txt", "pods \"coredns-b\" not found (404)"),
            (
                "logs/coredns-waits.txt",
                "container \"coredns\" is waiting to start: ContainerCreating (400)"
            )
        ]
    );
    assert_eq!(log_files(dir.path()), ["coredns-a.txt"]);
    let tried = server.asked().iter().filter(|path| path.contains("/log?")).count();
    assert_eq!(tried, 5, "what does not pass is not tried again: {:#?}", server.asked());
}
