//! One capture: pods before, logs, all objects after, and the record of what was asked, got and missed. Every file is private, is
//! written beside its place, and is put there when all are whole, `pods.json` last: a capture is there, or it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
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
use super::place;
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
    said: Said<'_>,
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
    said: Said<'_>,
) -> Result<Captured> {
    place::check(asked)?;
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
        config_maps: BTreeSet::new(),
    };
    if asked.force {
        place::remove_old(&asked.directory)?;
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

/// A log, as the record tells of it.
struct Log {
    file: String,
    container: Container,
    previous: bool,
    got: Got,
}

/// How a log is read.
enum How {
    /// As it is.
    Now { since: Option<Time>, previous: bool },
    /// And on, until this says so.
    Until { since: Option<Time>, end: watch::Receiver<bool> },
}

/// Is told what is being taken, and how many bytes of it are there.
type Said<'a> = &'a dyn Fn(&str, u64);

/// One log, into a file that is not yet in its place.
async fn read_log(
    api: &Api,
    directory: &Path,
    container: Container,
    second: bool,
    how: How,
    said: Said<'_>,
) -> Result<(Beside, Log)> {
    let previous = matches!(how, How::Now { previous: true, .. });
    let file = place::file_name(&container, second, previous);
    let path = directory.join(&file);
    let mut out = Beside::create_private(&path)?;
    let mut bytes = 0;
    let mut sink = |line: &[u8]| {
        bytes += line.len() as u64;
        said(&file, bytes);
        out.write_all(line)
    };
    let got = match how {
        How::Now { since, previous } => {
            logs::pull(api, &container, since, previous, &mut sink).await
        }
        How::Until { since, mut end } => {
            logs::follow(api, &container, since, &mut end, &mut sink).await
        }
    };
    let got = got.with_context(|| format!("cannot write {}", path.display()))?;
    Ok((out, Log { file, container, previous, got }))
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
    config_maps: BTreeSet<(String, String)>,
}

impl Capture<'_> {
    fn since(&self) -> Option<Time> {
        let back = i64::try_from(self.asked.since?.as_nanos()).unwrap_or(Time::MAX);
        Some(self.api.now().saturating_sub(back))
    }

    async fn pods_before(&mut self) {
        // What is forbidden now is forbidden afterwards, too, and said then.
        if let Ok(listed) = objects::list(self.api, PODS, None, &mut |_| {}).await {
            self.before = listed.items.into_iter().map(|item| (item.uid, item.json)).collect();
        }
    }

    /// The logs as they are, a few at a time.
    async fn logs(
        &mut self,
        pods: &[DnsPod],
        stop: &mut watch::Receiver<bool>,
        said: Said<'_>,
    ) -> Result<()> {
        let since = self.since();
        let mut wanted = Vec::new();
        for pod in pods {
            for (at, container) in pod.containers.iter().enumerate() {
                let previous = [false, true]
                    .into_iter()
                    .take(1 + usize::from(self.asked.previous && pod.restarted));
                wanted.extend(
                    previous
                        .map(|previous| (container.clone(), at > 0, How::Now { since, previous })),
                );
            }
        }
        let (api, directory) = (self.api, &self.asked.directory);
        let one = |(container, second, how)| read_log(api, directory, container, second, how, said);
        let mut all = futures::stream::iter(wanted).map(one).buffer_unordered(AT_ONCE);
        loop {
            tokio::select! {
                done = all.next() => match done {
                    Some(done) => self.add(done?),
                    None => return Ok(()),
                },
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
        }
    }

    fn add(&mut self, (out, log): (Beside, Log)) {
        self.files.push(out);
        self.logs.push(log);
    }

    /// The logs from now on, and what was there before, of new replicas too; pods are watched beside them.
    async fn follow(
        &mut self,
        pods: &[DnsPod],
        time: Duration,
        stop: &mut watch::Receiver<bool>,
        said: Said<'_>,
    ) -> Result<()> {
        let since = self.since();
        let (api, asked) = (self.api, self.asked);
        let (end_all, end) = watch::channel(false);
        let mut running = FuturesUnordered::new();
        let mut known = BTreeSet::new();
        let one = |container, second, since| {
            let how = How::Until { since, end: end.clone() };
            read_log(api, &asked.directory, container, second, how, said)
        };
        let mut fresh = |pods: &[DnsPod]| -> Vec<(Container, bool)> {
            let all = pods.iter().flat_map(|pod| pod.containers.iter().enumerate());
            let new = all.filter(|(_, container)| known.insert((*container).clone()));
            new.map(|(at, container)| (container.clone(), at > 0)).collect()
        };
        running.extend(
            fresh(pods).into_iter().map(|(container, second)| one(container, second, since)),
        );
        let mut seen = Pods::default();
        {
            let watching = super::watch::pods(api, &mut seen, end.clone());
            let deadline = tokio::time::sleep(time);
            tokio::pin!(watching, deadline);
            let mut look = tokio::time::interval(api.limits.pause * 4);
            let (mut ended, mut watched) = (false, false);
            while !ended || !running.is_empty() || !watched {
                tokio::select! {
                    done = running.next(), if !running.is_empty() => if let Some(done) = done {
                        self.add(done?);
                    },
                    () = &mut watching, if !watched => watched = true,
                    () = &mut deadline, if !ended => { ended = true; end_all.send_replace(true); }
                    _ = stop.wait_for(|stop| *stop), if !ended => { ended = true; end_all.send_replace(true); }
                    _ = look.tick(), if !ended => {
                        // A new one is read from its beginning. If nobody can be asked now, somebody can be later.
                        let now = dns::find(api, &asked.dns_namespaces, asked.selector.as_deref());
                        let now = tokio::time::timeout(api.limits.idle, now).await;
                        let now = now.ok().and_then(Result::ok).unwrap_or_default();
                        running.extend(fresh(&now).into_iter().map(|(container, second)| one(container, second, None)));
                    }
                }
            }
        }
        self.say_watched(&seen);
        self.before = seen.latest;
        self.gone = seen.gone;
        Ok(())
    }

    /// For which time the owner of every address is known, and for which not.
    fn say_watched(&mut self, seen: &Pods) {
        if let Some(fault) = &seen.problem {
            self.captured.missed.push(Missed {
                what: "watch of pods in all namespaces".into(),
                why: fault.to_string(),
                forbidden: fault.is_forbidden(),
            });
        }
        for (from, to) in &seen.lapses {
            let (from, to) = (time::seconds(*from), time::seconds(*to));
            self.captured.notes.push(format!(
                "pods were not watched from {from} to {to}: addresses in between may have no owner"
            ));
        }
        if let Some(from) = seen.from {
            let (from, to) = (time::seconds(from), time::seconds(self.api.now()));
            self.captured.notes.push(format!("pods were watched from {from} to {to}"));
        }
    }

    /// All objects after the logs, the record, and everything into its place.
    async fn finish(mut self, pods: &[DnsPod], began: Time, said: Said<'_>) -> Result<Captured> {
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
        let (after, wide) = self.reachable(PODS, &mut |_| {}).await;
        let when = self.api.now();
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
            let (items, _) = self.reachable(*resource, &mut each).await;
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

    /// All objects of a kind that are ours to see: with those of other namespaces missing, if they are.
    async fn reachable(
        &mut self,
        resource: Resource,
        each: &mut dyn FnMut(&Value),
    ) -> (Vec<Item>, bool) {
        let mut namespaces: BTreeSet<String> =
            self.logs.iter().map(|log| log.container.namespace.clone()).collect();
        namespaces.insert(self.api.namespace().to_owned());
        let (items, fault) = objects::reachable(self.api, resource, &namespaces, each).await;
        let whole = fault.is_none();
        self.captured.missed.extend(fault.map(|fault| Missed {
            what: match items.is_empty() {
                true => resource.name(),
                false => format!("{} of other namespaces", resource.name()),
            },
            why: fault.to_string(),
            forbidden: fault.is_forbidden(),
        }));
        (items, whole)
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
