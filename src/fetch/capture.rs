//! One capture: pods before, logs, all objects after, and the record of what was asked, got and missed. Every file is private, is
//! written beside its place, and is put there when all are whole, `pods.json` last: a capture is there, or it is not.

mod logs;
mod objects;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::watch;

use super::api::{Api, Limits};
use super::connect::{self, Target};
use super::dns::{self, DnsPod};
use super::place::{self, Directories};
use crate::time::Time;
use logs::Log;
use objects::Old;

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

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// In a few words.
    Now(&'a str),
    /// A log is taken: its file, and how many bytes of it are there.
    Log(&'a str, u64),
    /// Nothing more comes of this log.
    Done(&'a str),
}

/// Is told of every step.
type Said<'a> = &'a dyn Fn(Step<'_>);

/// Takes a capture. `said` is called with every step.
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
    said(Step::Now("looking for CoreDNS"));
    let found = dns::find(api, &asked.dns_namespaces, asked.selector.as_deref()).await;
    let pods = found.map_err(|(namespace, fault)| dns::not_found(api, &namespace, &fault))?;
    let Some(first) = pods.iter().flat_map(|pod| &pod.containers).next() else {
        bail!(
            "no CoreDNS pod found in {}: name its namespace with --dns-namespace NS, and its labels with -l",
            if asked.dns_namespaces.is_empty() {
                "kube-system, openshift-dns".into()
            } else {
                asked.dns_namespaces.join(", ")
            }
        );
    };
    if asked.force {
        place::remove_old(&asked.directory)?;
    }
    let _directories = Directories::make(&asked.directory)?;
    let mut capture = Capture {
        api,
        asked,
        said,
        began: api.now(),
        captured: Captured::default(),
        logs: Vec::new(),
        before: BTreeMap::new(),
        services: Vec::new(),
        gone: BTreeMap::new(),
        vanished: BTreeSet::new(),
    };
    capture.captured.version = api.version().await;
    capture.captured.dns_namespace = first.namespace.clone();
    if let Some(time) = asked.follow {
        return capture.followed(&pods, time, stop).await;
    }
    tokio::select! {
        done = capture.at_once(&pods) => done,
        // What was half taken is nobody's capture.
        Ok(_) = stop.wait_for(|stop| *stop) => Ok(Captured { interrupted: true, ..Captured::default() }),
    }
}

struct Capture<'a> {
    api: &'a Api,
    asked: &'a Asked,
    said: Said<'a>,
    began: Time,
    captured: Captured,
    logs: Vec<Log>,
    /// Pods before the logs: uid → object.
    before: BTreeMap<String, String>,
    /// Services before the logs, with their EndpointSlices.
    services: Vec<Old>,
    /// Pods that are there no more: uid → since when at the latest.
    gone: BTreeMap<String, Time>,
    /// `shop/web`: Services that are there no more.
    vanished: BTreeSet<String>,
}

impl Capture<'_> {
    /// What there is now.
    async fn at_once(mut self, pods: &[DnsPod]) -> Result<Captured> {
        self.pods_before().await;
        self.services_before().await;
        self.logs(pods).await?;
        self.finish(pods).await
    }

    /// And what comes, for a time, or until a signal.
    async fn followed(
        mut self,
        pods: &[DnsPod],
        time: Duration,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Captured> {
        self.services_before().await;
        self.follow(pods, time, stop).await?;
        self.captured.interrupted = *stop.borrow();
        self.finish(pods).await
    }
}
