//! What is private stays private, and what is another's stays as it is: modes, links, full disks, signals, credentials.

use std::cell::Cell;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;

use super::super::api::{Api, Limits};
use super::super::capture::{Asked, Captured, take};
use super::super::connect::{self, Target};
use super::server::{Reply, Server, block, dns_pod, line, list, log_text, pod};
use super::{log_of, record};
use crate::cluster::snapshot;

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

/// One that hangs is not waited for, neither at first nor when its token has run out; and what it said until then stays its own.
#[test]
fn a_credential_plugin_that_hangs_has_a_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let hangs = dir.path().join("hangs");
    let token = r#"{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": "canary", "expirationTimestamp": "2026-01-01T00:00:00Z"}}"#;
    let script = format!(
        "echo canary-err >&2; if [ -e {} ]; then echo canary-out; exec sleep 30; fi; echo '{token}'",
        hangs.display()
    );
    let mut config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    config.auth_info.exec = Some(kube::config::ExecConfig {
        command: Some("sh".into()),
        args: Some(vec!["-c".into(), script]),
        api_version: Some("client.authentication.k8s.io/v1".into()),
        interactive_mode: Some(kube::config::ExecInteractiveMode::Never),
        ..Default::default()
    });
    let wait = Duration::from_millis(500);
    let limits = Limits { plugin: wait, idle: wait, ..Limits::default() };
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = runtime.block_on(async {
        let waiting = Limits { plugin: Duration::from_secs(10), ..limits };
        let api = Api::new(config.clone(), waiting).await.unwrap();
        std::fs::write(&hangs, "").unwrap();
        let first = Api::new(config, limits).await.err().unwrap();
        let request = http::Request::get("/version").body(Vec::new()).unwrap();
        (first, api.json(&request).await.unwrap_err())
    });
    runtime.shutdown_background();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let said = format!("{first} {first:?} {second} {second:?}");
    assert!(first.to_string().contains("plugin of the kubeconfig did not end within"), "{said}");
    assert!(second.to_string().contains("no answer within") && !said.contains("canary"), "{said}");
}

#[test]
fn a_kubeconfig_that_trusts_anybody_is_refused_unless_the_user_does_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubeconfig");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true}}],
        "users": [{"name": "a", "user": {"token": "canary"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    });
    std::fs::write(&path, text.to_string()).unwrap();
    let config = |insecure| {
        block(connect::config(&Target { kubeconfig: Some(path.clone()), context: None, insecure }))
    };
    let refused = config(false).unwrap_err().to_string();
    assert!(refused.contains("insecure-skip-tls-verify") && !refused.contains("canary"));
    assert!(config(true).unwrap().accept_invalid_certs);
    // A capture that was taken so says so.
    let capture = dir.path().join("capture");
    Server::new(|_, _| None).capture(&capture, |asked| asked.target.insecure = true).unwrap();
    assert_eq!(record(&capture).0["asked"]["insecureSkipTlsVerify"], true);
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link() {
    use std::os::unix::fs::symlink;
    let server = Server::new(|_, _| None);
    for name in ["logs", "pods.json"] {
        for is_there in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let (capture, other) = (dir.path().join("capture"), dir.path().join("other"));
            std::fs::create_dir(&capture).unwrap();
            match (is_there, name) {
                (true, "logs") => std::fs::create_dir(&other).unwrap(),
                (true, _) => std::fs::write(&other, "precious").unwrap(),
                (false, _) => {}
            }
            symlink(&other, capture.join(name)).unwrap();
            for force in [false, true] {
                let said = server.capture(&capture, |asked| asked.force = force).unwrap_err();
                assert!(said.to_string().contains("is a link"), "{said:#}");
            }
            match (is_there, name) {
                (true, "logs") => assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0),
                (true, _) => assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious"),
                (false, _) => assert!(!other.exists()),
            }
        }
    }
    // At a log's own place, in a capture that is replaced: the link goes, or stops everything, and what it leads to stays.
    for is_listed in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (capture, other) = (dir.path().join("capture"), dir.path().join("other"));
        std::fs::write(&other, "precious").unwrap();
        server.capture(&capture, |_| ()).unwrap();
        let name = if is_listed { "coredns-a" } else { "coredns-new" };
        let log = capture.join(format!("logs/{name}.txt"));
        let _ = std::fs::remove_file(&log);
        symlink(&other, &log).unwrap();
        let server = Server::new(move |path, _| {
            path.starts_with("/api/v1/namespaces/kube-system/pods?")
                .then(|| list(&[dns_pod(name, 0)], ""))
        });
        let done = server.capture(&capture, |asked| asked.force = true);
        assert_eq!(done.is_ok(), is_listed, "{done:#?}");
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
    }
}

/// Runs this very test again as a process of its own, under a shell script that ends in `exec "$@"`, with `shell` as what runs that.
/// In that process, gives the directory to work in.
#[cfg(unix)]
fn alone(test: &str, shell: &[&str], script: &str) -> Option<std::path::PathBuf> {
    const PLACE: &str = "KICO_TEST_ALONE_IN";
    if let Some(place) = std::env::var_os(PLACE) {
        return Some(place.into());
    }
    let dir = tempfile::tempdir().unwrap();
    let ran = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-euc", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(PLACE, dir.path())
        .output()
        .unwrap_or_else(|error| panic!("this test wants {shell:?}: {error}"));
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(ran.status.success() && said[0].contains("1 passed"), "{}", said.concat());
    None
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing_half_true() {
    // Some systems give no namespaces to their users. In CI there must be some.
    let mut namespace = Command::new("unshare");
    if !namespace.args(["-rm", "true"]).output().is_ok_and(|ran| ran.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "a full disk wants `unshare -rm`");
        eprintln!("not tested: a full disk, for want of `unshare -rm`");
        return;
    }
    let test = "fetch::tests::safety::a_full_disk_is_an_error_and_leaves_nothing_half_true";
    let script = r#"mount -t tmpfs -o size=96k none "$KICO_TEST_ALONE_IN"; exec "$@""#;
    let Some(disk) = alone(test, &["unshare", "-rm", "sh"], script) else { return };
    let place = disk.join("capture");
    let full = |server: Server, what: &str| {
        let said = format!("{:#}", server.capture(&place, |_| ()).unwrap_err());
        assert!(said.contains("No space left") && said.contains(what), "{said}");
        assert_eq!(std::fs::read_dir(&disk).unwrap().count(), 0, "nothing is left behind");
    };
    full(
        Server::new(|path, _| {
            let log = || (0..4000).map(|_| line(1, "of four thousand")).collect();
            path.contains("/log?").then(|| Reply::Whole(200, "", log()))
        }),
        "cannot write",
    );
    full(
        Server::new(|path, _| {
            let pods = || (0..2000).map(|number| pod(&format!("p{number}"))).collect::<Vec<_>>();
            path.starts_with("/api/v1/pods?").then(|| list(&pods(), ""))
        }),
        "pods.json",
    );
    Server::new(|_, _| None).capture(&place, |_| ()).expect("what fits is there");
}

/// 0700 and 0600, whatever the umask lets through or takes away.
#[cfg(unix)]
#[test]
fn the_umask_makes_no_difference() {
    use std::os::unix::fs::PermissionsExt;
    let test = "fetch::tests::safety::the_umask_makes_no_difference";
    let all = ["umask 000; exec \"$@\"", "umask 077; exec \"$@\"", "umask 022; exec \"$@\""];
    let place = all.map(|script| alone(test, &["sh"], script)).into_iter().flatten().next();
    let Some(place) = place.map(|place| place.join("a/capture")) else { return };
    Server::new(|_, _| None).capture(&place, |_| ()).unwrap();
    let mode = |name: &str| {
        std::fs::symlink_metadata(place.join(name)).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!(["..", ".", "logs"].map(mode), [0o700; 3]);
    assert_eq!(["pods.json", "logs/coredns-a.txt"].map(mode), [0o600; 2]);
}

/// Final names are there when all is whole, or not at all.
#[cfg(unix)]
#[test]
fn a_fetch_that_is_killed_leaves_no_file_that_has_a_name() {
    let test = "fetch::tests::safety::a_fetch_that_is_killed_leaves_no_file_that_has_a_name";
    let script = r#"if "$@"; then exit 1; fi
        begun=$(find "$KICO_TEST_ALONE_IN" -type f -name '.kico-*')
        named=$(find "$KICO_TEST_ALONE_IN" -type f ! -name '.kico-*')
        [ -n "$begun" ] && [ -z "$named" ] && echo "1 passed""#;
    let Some(place) = alone(test, &["sh"], script) else { return };
    let server = Server::new(|path, _| {
        if path.contains("/configmaps/") {
            let own = std::process::id().to_string();
            Command::new("kill").args(["-9", &own]).status().unwrap();
        }
        None
    });
    let _ = server.capture(&place.join("capture"), |_| ());
}

/// A capture that is told to stop as soon as something has been asked for.
fn stopped(
    server: &Server,
    directory: &Path,
    at: &str,
    change: impl FnOnce(&mut Asked),
) -> Captured {
    let mut asked = Asked { directory: directory.to_owned(), ..Asked::default() };
    change(&mut asked);
    block(async {
        let (stop, mut stopped) = watch::channel(false);
        let api = server.api().await;
        let signal = async {
            while !server.asked().iter().any(|path| path.contains(at)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            stop.send_replace(true);
        };
        let taken = async { take(&api, &asked, &mut stopped, &|_| ()).await.unwrap() };
        futures::join!(taken, signal).0
    })
}

#[test]
fn a_signal_ends_a_plain_fetch_at_once_and_nothing_half_true_is_there() {
    for at in ["/log?", "/api/v1/services?", "/apis/apps/v1/deployments?", "/configmaps/"] {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("capture");
        let server = Server::new(move |path, _| {
            path.contains(at).then(|| Reply::Stall(line(1, "half of it")))
        });
        let began = Instant::now();
        let captured = stopped(&server, &place, at, |_| ());
        assert!(captured.interrupted && captured.logs.is_empty(), "{captured:#?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{at} {:?}", began.elapsed());
        assert!(!place.exists(), "{at}");
    }
}

#[test]
fn a_signal_ends_for_sooner_with_a_capture_that_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::new(|path, _| path.contains("/log?").then(|| Reply::Stall(log_text())));
    let captured = stopped(&server, dir.path(), "/log?", |asked| {
        asked.follow = Some(Duration::from_secs(3600));
    });
    assert!(captured.interrupted && captured.missed.is_empty(), "{captured:#?}");
    assert_eq!(log_of(dir.path()), log_text());
    let read = snapshot::read(&[dir.path().join("pods.json")], &[]).unwrap();
    assert_eq!((read.pods.len(), read.broken.len()), (2, 0));
}
