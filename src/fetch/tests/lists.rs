//! Lists: pages, faults that pass and those that do not.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::super::api::{Api, Fault, Limits};
use super::super::objects::{self, PODS};
use super::server::{Reply, Server, block, list, pod, status};

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
    let endless = fails(|_, times| {
        let pods: Vec<_> = (0..500).map(|number| pod(&format!("p{times}-{number}"))).collect();
        list(&pods, &format!("t{times}"))
    });
    assert!(endless.contains("more than 3000 pods"), "{endless}");
    let page = fails(|_, _| Reply::Whole(200, "Content-Type: text/html\r\n", "<html>login".into()));
    assert!(page.contains("no JSON"), "{page}");
    assert!(fails(|_, _| Reply::Whole(200, "", "x".repeat(2 << 20))).contains("more than 1 MiB"));
    let zipped =
        fails(|_, _| Reply::Whole(200, "Content-Encoding: gzip\r\n", "\u{1f}\u{8b}\u{8}".into()));
    assert!(zipped.contains("cannot be read"), "{zipped}");
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
fn the_pause_that_the_server_asks_for_is_kept() {
    let began = Instant::now();
    check_pods(
        |_, times| {
            Some(match times {
                0 => Reply::Whole(429, "Retry-After: 1\r\n", "{}".into()),
                _ => list(&[pod("a")], ""),
            })
        },
        &["uid-a"],
        2,
    );
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

/// A limit that is not kept, a page without objects, a token that is empty: still one whole list.
#[test]
fn pages_of_any_size_are_taken() {
    let many: Vec<_> = (0..1200).map(|number| pod(&format!("p{number}"))).collect();
    let (items, asked) =
        pods(move |path, _| path.starts_with("/api/v1/pods").then(|| list(&many, "")));
    assert_eq!((items.unwrap().len(), asked.len()), (1200, 1));
    check_pods(
        |path, _| {
            Some(match path.contains("continue=t") {
                true => list(&[pod("b")], ""),
                false => list(&[], "t"),
            })
        },
        &["uid-b"],
        2,
    );
}
