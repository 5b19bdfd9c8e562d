//! One capture: pods before, logs, all objects after, and the record of what was asked, got and missed. Every file is private, is
//! written beside its place, and is put there when all are whole, `pods.json` last: a capture is there, or it is not.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::api::{Api, Limits};
use super::connect::{self, Target};
use super::dns::{self, DnsPod};
use super::logs::{self, Container, Got};
use super::objects::{self, Item, OTHERS, PODS, Resource};
use super::watch::Pods;
use crate::files::{Beside, private_directory};
use crate::time::{self, SECOND, Time};

/// What to take.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Where the capture goes.
    pub directory: PathBuf,
    /// Which cluster.
    pub target: Target,
    /// `--dns-namespace`; none: the usual ones.
    pub dns_namespaces: Vec<String>,
    /// `-l`
    pub selector: Option<String>,
    /// `--since`: not older than this, from now.
    pub since: Option<Duration>,
    /// `--for`: follow so long.
    pub follow: Option<Duration>,
    /// `--previous`: the logs of containers before their last restart, too.
    pub previous: bool,
    /// `--force`: an earlier capture there is replaced.
    pub force: bool,
}

/// What was taken.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// The log files, as they are named in the directory, with their bytes.
    pub logs: Vec<(String, u64)>,
    /// How many objects there are, by kind.
    pub objects: BTreeMap<String, usize>,
    /// What is not there, and why.
    pub missed: Vec<Missed>,
    /// What the reader should know: windows, gaps.
    pub notes: Vec<String>,
    /// The version that the server gives itself.
    pub version: String,
    /// Where its DNS was found.
    pub dns_namespace: String,
    /// A signal ended it.
    pub interrupted: bool,
}

/// Something that was asked for and not got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// `pods in all namespaces`, `logs/coredns-x.txt`
    pub what: String,
    /// A lower-case fragment.
    pub why: String,
    /// A Role would help.
    pub forbidden: bool,
}

/// How many logs are read at once.
const AT_ONCE: usize = 5;

/// Takes a capture. `said` is called with what is being done now, and how many bytes of it are there.
pub async fn fetch(
    asked: &Asked,
    mut stop: watch::Receiver<bool>,
    said: &dyn Fn(&str, u64),
) -> Result<Captured> {
    let api = Api::new(connect::config(&asked.target).await?, Limits::default()).await;
    let api = api.map_err(|fault| anyhow::anyhow!("{fault}"))?;
    take(&api, asked, &mut stop, said).await
}

/// The same, from a server that is connected to.
pub(crate) async fn take(
    api: &Api,
    asked: &Asked,
    stop: &mut watch::Receiver<bool>,
    said: &dyn Fn(&str, u64),
) -> Result<Captured> {
    check_place(asked)?;
    let found = dns::find(api, &asked.dns_namespaces, asked.selector.as_deref()).await;
    let dns_pods =
        found.map_err(|(namespace, fault)| anyhow::anyhow!("pods in {namespace}: {fault}"))?;
    if dns_pods.is_empty() {
        bail!(
            "no CoreDNS pod found in {}: name its namespace with --dns-namespace NS, and its labels with -l",
            if asked.dns_namespaces.is_empty() {
                "kube-system, openshift-dns".into()
            } else {
                asked.dns_namespaces.join(", ")
            }
        );
    }
    let mut capture = Capture {
        api,
        asked,
        captured: Captured::default(),
        files: Vec::new(),
        logs: Vec::new(),
        before: BTreeMap::new(),
        gone: BTreeMap::new(),
        namespaces: Vec::new(),
        config_maps: BTreeSet::new(),
    };
    if asked.force {
        remove_old(&asked.directory)?;
    }
    private_directory(&asked.directory)?;
    private_directory(&asked.directory.join("logs"))?;
    capture.captured.version = api.version().await;
    capture.captured.dns_namespace = dns_pods
        .iter()
        .flat_map(|pod| &pod.containers)
        .next()
        .map(|c| c.namespace.clone())
        .unwrap_or_default();
    let began = api.now();
    if let Some(time) = asked.follow {
        capture.follow(&dns_pods, time, stop, said).await?;
    } else {
        capture.pods_before().await;
        capture.logs(&dns_pods, stop, said).await?;
    }
    capture.captured.interrupted = *stop.borrow();
    if capture.captured.interrupted && asked.follow.is_none() {
        // What was half taken is nobody's capture.
        return Ok(capture.captured);
    }
    capture.finish(&dns_pods, began, said).await
}

/// Nothing is overwritten unless the user says so, and nothing is written through a link.
fn check_place(asked: &Asked) -> Result<()> {
    for name in ["pods.json", "logs"] {
        let path = asked.directory.join(name);
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_symlink() {
            bail!("{}: is a link: a capture is not written through it", path.display());
        }
        if !asked.force {
            bail!(
                "{}: is there already: name another directory, or replace an earlier capture with --force",
                path.display()
            );
        }
    }
    Ok(())
}

/// Removes what an earlier capture's record lists, and its `pods.json`.
fn remove_old(directory: &Path) -> Result<()> {
    let path = directory.join("pods.json");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let list: Value = serde_json::from_str(&text).unwrap_or_default();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let own = items.iter().find(|item| {
        item["metadata"]["name"] == "kico-capture" && item["metadata"]["uid"].is_null()
    });
    let record: Value = own
        .and_then(|item| serde_json::from_str(item["data"]["record"].as_str()?).ok())
        .unwrap_or_default();
    if record.is_null() {
        bail!(
            "{}: is no capture of kico's: it is not replaced; name another directory",
            path.display()
        );
    }
    for log in record["logs"].as_array().into_iter().flatten() {
        let name =
            log["file"].as_str().and_then(|file| file.strip_prefix("logs/")).unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain) {
            let path = directory.join("logs").join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
    }
    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
}

/// A log, as the record tells of it.
struct Log {
    file: String,
    container: Container,
    previous: bool,
    got: Got,
}

struct Capture<'a> {
    api: &'a Api,
    asked: &'a Asked,
    captured: Captured,
    /// Whole, and not yet in their places.
    files: Vec<Beside>,
    logs: Vec<Log>,
    /// Pods before the logs: uid → object.
    before: BTreeMap<String, String>,
    gone: BTreeMap<String, Time>,
    /// Where pods were listed, if not everywhere.
    namespaces: Vec<String>,
    config_maps: BTreeSet<(String, String)>,
}

impl Capture<'_> {
    fn since(&self) -> Option<Time> {
        let back = i64::try_from(self.asked.since?.as_nanos()).unwrap_or(Time::MAX);
        Some(self.api.now().saturating_sub(back))
    }

    async fn pods_before(&mut self) {
        // What is forbidden now is forbidden afterwards, too, and said then.
        if let Ok(items) = objects::list(self.api, PODS, None, &mut |_| {}).await {
            self.before = items.into_iter().map(|item| (item.uid, item.json)).collect();
        }
    }

    /// The logs as they are, a few at a time.
    async fn logs(
        &mut self,
        pods: &[DnsPod],
        stop: &mut watch::Receiver<bool>,
        said: &dyn Fn(&str, u64),
    ) -> Result<()> {
        let since = self.since();
        let mut wanted = Vec::new();
        for pod in pods {
            for (at, container) in pod.containers.iter().enumerate() {
                wanted.push((container, at > 0, false));
                if self.asked.previous && pod.restarted {
                    wanted.push((container, at > 0, true));
                }
            }
        }
        let (api, directory) = (self.api, &self.asked.directory);
        let one = |(container, second, previous): (&Container, bool, bool)| {
            let (container, file) = (container.clone(), file_name(container, second, previous));
            async move {
                let mut out = Beside::create_private(&directory.join(&file))?;
                let mut bytes = 0;
                let mut sink = |line: &[u8]| {
                    bytes += line.len() as u64;
                    said(&file, bytes);
                    out.write_all(line)
                };
                let got = logs::pull(api, &container, since, previous, &mut sink).await;
                let got = got
                    .with_context(|| format!("cannot write {}", directory.join(&file).display()))?;
                anyhow::Ok((out, Log { file, container, previous, got }))
            }
        };
        let mut all = futures::stream::iter(wanted).map(one).buffer_unordered(AT_ONCE);
        loop {
            tokio::select! {
                done = all.next() => match done {
                    Some(done) => {
                        let (out, log) = done?;
                        self.files.push(out);
                        self.logs.push(log);
                    }
                    None => return Ok(()),
                },
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
        }
    }

    /// The logs from now on, and what was there before; pods are watched beside them.
    async fn follow(
        &mut self,
        pods: &[DnsPod],
        time: Duration,
        stop: &mut watch::Receiver<bool>,
        said: &dyn Fn(&str, u64),
    ) -> Result<()> {
        let since = self.since();
        let (api, directory) = (self.api, &self.asked.directory);
        let (end_all, end) = watch::channel(false);
        let known: BTreeSet<String> = pods
            .iter()
            .flat_map(|pod| &pod.containers)
            .map(|container| container.uid.clone())
            .collect();
        let namespaces: BTreeSet<String> = pods
            .iter()
            .flat_map(|pod| &pod.containers)
            .map(|container| container.namespace.clone())
            .collect();
        let labels = dns_labels(pods, self.asked);
        let is_dns = |pod: &Value| {
            let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
            namespaces.contains(namespace)
                && labels.iter().any(|(key, value)| match value {
                    Some(values) => {
                        values.iter().any(|value| pod["metadata"]["labels"][key] == value.as_str())
                    }
                    None => !pod["metadata"]["labels"][key].is_null(),
                })
        };
        let fresh: Rc<RefCell<Vec<DnsPod>>> = Rc::default();
        let seen = RefCell::new(known);
        let found_fresh = Rc::clone(&fresh);
        let mut found = move |pod: DnsPod| {
            let uid =
                pod.containers.first().map(|container| container.uid.clone()).unwrap_or_default();
            if seen.borrow_mut().insert(uid) {
                found_fresh.borrow_mut().push(pod);
            }
        };
        let one = |container: Container, second: bool, since: Option<Time>| {
            let file = file_name(&container, second, false);
            let mut end = end.clone();
            async move {
                let mut out = Beside::create_private(&directory.join(&file))?;
                let mut bytes = 0;
                let mut sink = |line: &[u8]| {
                    bytes += line.len() as u64;
                    said(&file, bytes);
                    out.write_all(line)
                };
                let got = logs::follow(api, &container, since, &mut end, &mut sink).await;
                let got = got
                    .with_context(|| format!("cannot write {}", directory.join(&file).display()))?;
                anyhow::Ok((out, Log { file, container, previous: false, got }))
            }
        };
        let mut running = FuturesUnordered::new();
        for pod in pods {
            for (at, container) in pod.containers.iter().enumerate() {
                running.push(one(container.clone(), at > 0, since));
            }
        }
        let mut seen_pods = Pods::default();
        {
            let watching =
                super::watch::pods(api, &mut seen_pods, end.clone(), &is_dns, &mut found);
            tokio::pin!(watching);
            let deadline = tokio::time::sleep(time);
            tokio::pin!(deadline);
            let mut look = tokio::time::interval(Duration::from_millis(500));
            let (mut ended, mut watched) = (false, false);
            while !ended || !running.is_empty() {
                tokio::select! {
                    done = running.next(), if !running.is_empty() => if let Some(done) = done {
                        let (out, log) = done?;
                        self.files.push(out);
                        self.logs.push(log);
                    },
                    () = &mut watching, if !watched => watched = true,
                    () = &mut deadline, if !ended => { ended = true; end_all.send_replace(true); }
                    _ = stop.wait_for(|stop| *stop), if !ended => { ended = true; end_all.send_replace(true); }
                    _ = look.tick() => {}
                }
                for pod in fresh.borrow_mut().drain(..) {
                    for (at, container) in pod.containers.iter().enumerate() {
                        running.push(one(container.clone(), at > 0, None));
                    }
                }
            }
            if !watched {
                watching.await;
            }
        }
        if let Some(fault) = &seen_pods.problem {
            self.captured.missed.push(Missed {
                what: "watch of pods in all namespaces".into(),
                why: fault.to_string(),
                forbidden: fault.is_forbidden(),
            });
        }
        for (from, to) in &seen_pods.lapses {
            let (from, to) = (time::seconds(*from), time::seconds(*to));
            self.captured.notes.push(format!(
                "pods were not watched from {from} to {to}: addresses in between may have no owner"
            ));
        }
        if let Some(from) = seen_pods.from {
            let (from, to) = (time::seconds(from), time::seconds(api.now()));
            self.captured.notes.push(format!("pods were watched from {from} to {to}"));
        }
        self.before = seen_pods.latest;
        self.gone = seen_pods.gone;
        Ok(())
    }

    /// All objects after the logs, the record, and everything into its place.
    async fn finish(
        mut self,
        pods: &[DnsPod],
        began: Time,
        said: &dyn Fn(&str, u64),
    ) -> Result<Captured> {
        self.judge_logs();
        let path = self.asked.directory.join("pods.json");
        let mut out = Beside::create_private(&path)?;
        let mut lines = 0u64;
        let mut cluster = None;
        let write = |item: &str, out: &mut Beside, lines: &mut u64| -> Result<()> {
            let before: &[u8] = if *lines == 0 {
                b"{\"apiVersion\":\"v1\",\"kind\":\"List\",\"metadata\":{},\"items\":[\n"
            } else {
                b",\n"
            };
            *lines += 1;
            out.write_all(before)
                .and_then(|()| out.write_all(item.as_bytes()))
                .context("cannot write pods.json")
        };
        // Pods first: what changes hands most is asked for as near to the logs as can be.
        let after = self.everywhere(PODS, &mut |_| {}).await;
        let when = self.api.now();
        let wide = after.is_some() && self.namespaces.is_empty();
        let after = after.unwrap_or_default();
        let present: BTreeSet<&str> = after.iter().map(|item| item.uid.as_str()).collect();
        if wide {
            for uid in self.before.keys().filter(|uid| !present.contains(uid.as_str())) {
                self.gone.entry(uid.clone()).or_insert(when);
            }
        }
        // What is there is not gone, whatever was said before.
        self.gone.retain(|uid, _| !present.contains(uid.as_str()));
        *self.captured.objects.entry("Pod".into()).or_default() += after.len();
        for item in &after {
            write(&item.json, &mut out, &mut lines)?;
        }
        for (_, json) in self.before.iter().filter(|(uid, _)| !present.contains(uid.as_str())) {
            write(json, &mut out, &mut lines)?;
        }
        for resource in OTHERS {
            said(resource.plural, 0);
            let mut each = |object: &Value| {
                if resource.kind == "Namespace" && object["metadata"]["name"] == "kube-system" {
                    cluster = object["metadata"]["uid"].as_str().map(str::to_owned);
                }
            };
            let Some(items) = self.everywhere(*resource, &mut each).await else { continue };
            *self.captured.objects.entry(resource.kind.into()).or_default() += items.len();
            for item in items {
                write(&item.json, &mut out, &mut lines)?;
            }
        }
        for pod in pods {
            let namespace = pod
                .containers
                .first()
                .map(|container| container.namespace.clone())
                .unwrap_or_default();
            self.config_maps
                .extend(pod.config_maps.iter().map(|name| (namespace.clone(), name.clone())));
        }
        for (namespace, name) in self.config_maps.clone() {
            match dns::config_map(self.api, &namespace, &name).await {
                Ok(item) => {
                    *self.captured.objects.entry("ConfigMap".into()).or_default() += 1;
                    write(&item.json, &mut out, &mut lines)?;
                }
                // Mounted as optional.
                Err(fault) if fault.is_absent() => {}
                Err(fault) => self.captured.missed.push(Missed {
                    what: format!("configmap {name} in {namespace}"),
                    why: fault.to_string(),
                    forbidden: fault.is_forbidden(),
                }),
            }
        }
        self.logs.sort_by(|a, b| a.file.cmp(&b.file));
        let record = self.record(when, began, wide, cluster);
        let item = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "kico-capture", "namespace": "kube-system"},
            "data": {"record": record.to_string()},
        });
        write(&item.to_string(), &mut out, &mut lines)?;
        out.write_all(b"\n]}\n").context("cannot write pods.json")?;
        for file in self.files {
            file.commit()?;
        }
        out.commit()?;
        self.captured.logs =
            self.logs.iter().map(|log| (log.file.clone(), log.got.bytes)).collect();
        Ok(self.captured)
    }

    /// All objects of a kind; if they are not ours to see everywhere, those of the namespaces that matter most. `None`: none could be
    /// listed, which is noted.
    async fn everywhere(
        &mut self,
        resource: Resource,
        each: &mut dyn FnMut(&Value),
    ) -> Option<Vec<Item>> {
        let fault = match objects::list(self.api, resource, None, each).await {
            Ok(items) => return Some(items),
            // Not installed.
            Err(fault) if fault.is_absent() => return None,
            Err(fault) => fault,
        };
        let mut items = None;
        if fault.is_forbidden() && resource.namespaced {
            let mut namespaces: BTreeSet<String> =
                self.logs.iter().map(|log| log.container.namespace.clone()).collect();
            namespaces.insert(self.api.namespace().to_owned());
            for namespace in namespaces {
                if let Ok(some) = objects::list(self.api, resource, Some(&namespace), each).await {
                    items.get_or_insert_with(Vec::new).extend(some);
                    if resource == PODS {
                        self.namespaces.push(namespace);
                    }
                }
            }
        }
        let what = match &items {
            Some(_) => format!("{} of other namespaces", resource.name()),
            None => resource.name(),
        };
        let forbidden = fault.is_forbidden();
        self.captured.missed.push(Missed { what, why: fault.to_string(), forbidden });
        items
    }

    fn judge_logs(&mut self) {
        for log in &self.logs {
            for (from, to) in &log.got.gaps {
                let (from, to) = (time::seconds(*from), time::seconds(*to));
                let why = format!(
                    "lines between {from} and {to} may be missing: the server no longer had them"
                );
                self.captured.missed.push(Missed { what: log.file.clone(), why, forbidden: false });
            }
            match &log.got.problem {
                // No container ran before.
                Some(super::api::Fault::Refused(400, _)) if log.previous => {}
                Some(fault) => self.captured.missed.push(Missed {
                    what: log.file.clone(),
                    why: fault.to_string(),
                    forbidden: fault.is_forbidden(),
                }),
                None => {}
            }
        }
    }

    /// What was asked, got and missed.
    fn record(&self, when: Time, began: Time, wide: bool, cluster: Option<String>) -> Value {
        let shown = |time: Option<Time>| time.map(time::format);
        let logs = self.logs.iter().map(|log| {
            json!({
                "file": log.file, "namespace": log.container.namespace, "pod": log.container.pod,
                "container": log.container.name, "previous": log.previous, "bytes": log.got.bytes, "lines": log.got.lines,
                "first": shown(log.got.first), "last": shown(log.got.last),
                "gaps": log.got.gaps.iter().map(|(from, to)| json!([time::format(*from), time::format(*to)])).collect::<Vec<_>>(),
                "problem": log.got.problem.as_ref().map(ToString::to_string),
            })
        });
        let missed = self
            .captured
            .missed
            .iter()
            .map(|missed| json!({"what": missed.what, "why": missed.why}));
        let gone: BTreeMap<&String, String> =
            self.gone.iter().map(|(uid, time)| (uid, time::format(*time))).collect();
        json!({
            "when": time::seconds(when / SECOND * SECOND), "began": time::seconds(began), "cluster": cluster,
            "podsClusterWide": wide, "gone": gone,
            "asked": {
                "since": self.asked.since.map(|time| time.as_secs()), "for": self.asked.follow.map(|time| time.as_secs()),
                "previous": self.asked.previous, "dnsNamespaces": self.asked.dns_namespaces, "selector": self.asked.selector,
                "insecureSkipTlsVerify": self.asked.target.insecure,
            },
            "logs": logs.collect::<Vec<_>>(), "objects": self.captured.objects, "missed": missed.collect::<Vec<_>>(),
            "notes": self.captured.notes,
        })
    }
}

/// How a new replica is told among the pods that are watched: a label with any of these values, or with any at all.
fn dns_labels(_pods: &[DnsPod], asked: &Asked) -> Vec<(String, Option<Vec<String>>)> {
    let own = |key: &str, values: &[&str]| {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        (key.to_owned(), (!values.is_empty()).then_some(values))
    };
    match asked.selector.as_deref().and_then(|selector| selector.split_once('=')) {
        Some((key, value)) => {
            vec![own(key.trim_end_matches('='), &[value.trim_start_matches('=')])]
        }
        None => vec![
            own("k8s-app", &["kube-dns", "coredns", "node-local-dns"]),
            own("app.kubernetes.io/name", &["coredns"]),
            own("dns.operator.openshift.io/daemonset-dns", &[]),
        ],
    }
}

/// `logs/<pod>.txt`, with the namespace before it outside kube-system, and the container behind it if it is not the first.
fn file_name(container: &Container, second: bool, previous: bool) -> String {
    let namespace = match container.namespace.as_str() {
        "kube-system" => String::new(),
        namespace => format!("{namespace}_"),
    };
    let own = if second { format!("_{}", container.name) } else { String::new() };
    let previous = if previous { ".previous" } else { "" };
    // The API server lets no other names be; whoever it is that answers, none leads out of the directory.
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') { c } else { '-' };
    let name: String =
        format!("{namespace}{}{own}{previous}", container.pod).chars().map(plain).collect();
    let name = name.trim_start_matches('.');
    match name.len() > 200 {
        true => format!("logs/{}-{}.txt", &name[..180], crate::text::short_hash(name)),
        false => format!("logs/{name}.txt"),
    }
}
