//! A scripted API server on the loopback, which lies, cuts and refuses as real ones do; left alone it is a small healthy cluster.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::super::api::{Api, Limits};
use super::super::capture::{Asked, Captured, take};

/// What the server answers.
pub(super) enum Reply {
    /// Status, further headers, body.
    Whole(u16, &'static str, String),
    /// A chunked body of these pieces, ended as it should be, or not.
    Pieces(Vec<String>, bool),
    /// A head, a piece, and then nothing more for a long time.
    Stall(String),
}

type Script = dyn Fn(&str, usize) -> Option<Reply> + Send + Sync;

/// The server: its address, and what it was asked for, `path?query` in order.
pub(super) struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `script` is asked first, with the request and how often that path was asked for before; what it leaves, a small healthy cluster answers.
    pub(super) fn new(
        script: impl Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, &*script, &log));
            }
        });
        Server { address, asked }
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) async fn api(&self) -> Api {
        let mut config = kube::Config::new(self.address.parse().unwrap());
        config.default_retry = false;
        let limits = Limits {
            // Long enough for a busy machine, and shorter than a stall.
            idle: Duration::from_secs(1),
            total: Duration::from_secs(4),
            pause: Duration::from_millis(10),
            page: 1 << 20,
            objects: 3000,
            plugin: Duration::from_secs(10),
        };
        Api::new(config, limits).await.unwrap()
    }

    /// A capture of it.
    pub(super) fn capture(
        &self,
        directory: &Path,
        change: impl FnOnce(&mut Asked),
    ) -> anyhow::Result<Captured> {
        let mut asked = Asked { directory: directory.to_owned(), ..Asked::default() };
        change(&mut asked);
        block(async {
            let (_stop, mut stopped) = watch::channel(false);
            take(&self.api().await, &asked, &mut stopped, &|_| ()).await
        })
    }
}

pub(super) fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn serve(stream: TcpStream, script: &Script, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut out = stream;
    out.set_nodelay(true).unwrap();
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default().replace("?&", "?");
        assert!(head.starts_with("GET "), "only read: {head}");
        let times = {
            let mut log = log.lock().unwrap();
            let same = |asked: &&String| asked.split('?').next() == path.split('?').next();
            let times = log.iter().filter(same).count();
            log.push(path.clone());
            times
        };
        let json = "Content-Type: application/json\r\n";
        let done = match script(&path, times).unwrap_or_else(|| healthy(&path)) {
            Reply::Whole(status, headers, body) => {
                let kind = if headers.contains("Content-Type") { "" } else { json };
                let length = body.len();
                write!(
                    out,
                    "HTTP/1.1 {status} X\r\n{kind}{headers}Content-Length: {length}\r\n\r\n{body}"
                )
            }
            Reply::Pieces(pieces, ends) => {
                let mut text =
                    format!("HTTP/1.1 200 OK\r\n{json}Transfer-Encoding: chunked\r\n\r\n");
                for piece in pieces {
                    text.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
                }
                text.push_str(if ends { "0\r\n\r\n" } else { "" });
                let done = out.write_all(text.as_bytes());
                if !ends {
                    return;
                }
                done
            }
            Reply::Stall(piece) => {
                let _ =
                    write!(out, "HTTP/1.1 200 OK\r\n{json}Content-Length: 100000\r\n\r\n{piece}");
                std::thread::sleep(Duration::from_secs(3));
                return;
            }
        };
        if done.is_err() {
            return;
        }
    }
}

pub(super) fn dns_pod(name: &str, restarts: u64) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "kube-system", "uid": format!("uid-{name}"), "labels": {"k8s-app": "kube-dns"}},
        "spec": {"containers": [{"name": "coredns", "env": [{"name": "SECRET", "value": "canary"}]}],
            "volumes": [{"configMap": {"name": "coredns"}}]},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.1.0.2"}],
            "containerStatuses": [{"name": "coredns", "restartCount": restarts}]},
    })
}

pub(super) fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")}, "spec": {}, "status": {"podIPs": [{"ip": "10.1.0.9"}]}})
}

pub(super) fn list(items: &[Value], token: &str) -> Reply {
    Reply::Whole(
        200,
        "",
        json!({"metadata": {"resourceVersion": "7", "continue": token}, "items": items})
            .to_string(),
    )
}

pub(super) fn status(code: u16, message: &str) -> Reply {
    Reply::Whole(code, "", json!({"kind": "Status", "message": message, "code": code}).to_string())
}

pub(super) fn line(second: u32, text: &str) -> String {
    format!("2026-03-14T10:00:{second:02}.5Z [INFO] {text}\n")
}

pub(super) fn log_text() -> String {
    [line(1, "one"), line(2, "same"), line(2, "same"), line(3, "three")].concat()
}

/// One CoreDNS pod, one other, a namespace.
fn healthy(path: &str) -> Reply {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    match path {
        _ if path.ends_with("/log") => {
            Reply::Whole(200, "Content-Type: text/plain\r\n", log_text())
        }
        "/version" => Reply::Whole(200, "", r#"{"gitVersion":"v1.33.0"}"#.into()),
        "/api/v1/namespaces/openshift-dns/pods" => list(&[], ""),
        "/api/v1/namespaces/kube-system/pods" => list(&[dns_pod("coredns-a", 0)], ""),
        "/api/v1/pods" if query.contains("watch=") => Reply::Pieces(vec![], true),
        "/api/v1/pods" => list(&[dns_pod("coredns-a", 0), pod("web")], ""),
        "/api/v1/namespaces" => {
            list(&[json!({"metadata": {"name": "kube-system", "uid": "cluster-uid"}})], "")
        }
        "/api/v1/namespaces/kube-system/configmaps/coredns" => {
            let map = json!({"metadata": {"name": "coredns", "namespace": "kube-system", "uid": "m"}, "data": {"Corefile": ".:53 {\n log\n kubernetes cluster.local\n}\n"}});
            Reply::Whole(200, "", map.to_string())
        }
        _ => status(404, "the server could not find the requested resource"),
    }
}
