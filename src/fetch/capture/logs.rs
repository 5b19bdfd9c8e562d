//! The logs of a capture: as they are, a few at a time, or followed with the pods watched beside them; each into a file that is not
//! yet in its place. Says which lines, and which pods' times, are missing.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;

use super::super::api::{Api, Fault};
use super::super::dns::{self, DnsPod};
use super::super::logs::{self, Container, Got};
use super::super::place;
use super::super::watch::{Pods, pods as watch_pods};
use super::{Capture, Missed, Said, Step};
use crate::files::Beside;
use crate::time::{self, Time};

/// How many logs are read at once.
const AT_ONCE: usize = 5;

/// A log, as the record tells of it.
pub(super) struct Log {
    /// `logs/coredns-x.txt`
    pub(super) file: String,
    /// The file, whole and not yet in its place; `None`: there is nothing to put there.
    pub(super) out: Option<Beside>,
    pub(super) container: Container,
    pub(super) previous: bool,
    pub(super) got: Got,
}

/// How a log is read.
enum How {
    /// As it is.
    Now { since: Option<Time>, previous: bool },
    /// And on, until this says so.
    Until { since: Option<Time>, end: watch::Receiver<bool> },
}

/// One log, into a file that is not yet in its place.
async fn read_log(
    api: &Api,
    directory: &Path,
    container: Container,
    second: bool,
    how: How,
    said: Said<'_>,
) -> Result<Log> {
    let previous = matches!(how, How::Now { previous: true, .. });
    let file = place::file_name(&container, second, previous);
    let path = directory.join(&file);
    let mut out = Beside::create_private(&path)?;
    let mut bytes = 0;
    said(Step::Log(&file, bytes));
    let mut sink = |line: &[u8]| {
        bytes += line.len() as u64;
        said(Step::Log(&file, bytes));
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
    said(Step::Done(&file));
    let got = got.with_context(|| format!("cannot write {}", path.display()))?;
    // An empty file would look like a replica that nobody asked.
    let is_there = got.problem.is_none() || got.bytes > 0;
    Ok(Log { file, out: is_there.then_some(out), container, previous, got })
}

impl Capture<'_> {
    fn since(&self) -> Option<Time> {
        let back = i64::try_from(self.asked.since?.as_nanos()).unwrap_or(Time::MAX);
        Some(self.api.now().saturating_sub(back))
    }

    /// The logs as they are, a few at a time.
    pub(super) async fn logs(&mut self, pods: &[DnsPod]) -> Result<()> {
        (self.said)(Step::Now("reading logs"));
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
        let (api, directory, said) = (self.api, &self.asked.directory, self.said);
        let one = |(container, second, how)| read_log(api, directory, container, second, how, said);
        let mut all = futures::stream::iter(wanted).map(one).buffer_unordered(AT_ONCE);
        while let Some(done) = all.next().await {
            self.logs.push(done?);
        }
        Ok(())
    }

    /// The logs from now on, and what was there before, of new replicas too; pods are watched beside them.
    pub(super) async fn follow(
        &mut self,
        pods: &[DnsPod],
        time: Duration,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<()> {
        let since = self.since();
        let (api, asked, said) = (self.api, self.asked, self.said);
        let shown = jiff::SignedDuration::try_from(time).map_or_else(
            |_| "following until Ctrl-C".to_owned(),
            |time| format!("following for {time:#}; Ctrl-C ends it sooner"),
        );
        said(Step::Now(&shown));
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
            let watching = watch_pods(api, &mut seen, end.clone());
            let deadline = tokio::time::sleep(time);
            tokio::pin!(watching, deadline);
            let mut look = tokio::time::interval(api.limits.pause * 4);
            let (mut ended, mut watched) = (false, false);
            while !ended || !running.is_empty() || !watched {
                tokio::select! {
                    done = running.next(), if !running.is_empty() => if let Some(done) = done {
                        self.logs.push(done?);
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

    /// What of the logs is not there.
    pub(super) fn judge_logs(&mut self) {
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
                Some(Fault::Refused(400, _)) if log.previous => {}
                Some(fault) => self.captured.missed.push(Missed {
                    what: log.file.clone(),
                    why: fault.to_string(),
                    forbidden: fault.is_forbidden(),
                }),
                None => {}
            }
        }
    }
}
