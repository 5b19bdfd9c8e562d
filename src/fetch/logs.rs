//! The log of one container: what the kubelet still keeps, or from there on until an end. Reconnects with the second of the last
//! line, so that nothing is lost as long as the server has it, and drops what came before. What is lost is named.

use std::io;

use kube::api::{ListParams, LogParams};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::sleep;

use super::api::{Api, Fault};
use super::lines::{Line, Lines};
use super::objects::PODS;
use crate::time::Time;

/// A container whose log is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Container {
    pub(crate) namespace: String,
    pub(crate) pod: String,
    pub(crate) uid: String,
    pub(crate) name: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Got {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) first: Option<Time>,
    pub(crate) last: Option<Time>,
    /// Between these times lines may be missing.
    pub(crate) gaps: Vec<(Time, Time)>,
    /// Why it is not whole, or not there.
    pub(crate) problem: Option<Fault>,
}

/// Where lines go.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<()>;

/// How often a log is asked for until it is whole.
const ATTEMPTS: u32 = 5;

/// The log as it is. `since`: not before. An error is the sink's.
pub(crate) async fn pull(
    api: &Api,
    container: &Container,
    since: Option<Time>,
    previous: bool,
    sink: Sink<'_>,
) -> io::Result<Got> {
    let mut reader = Reader { api, container, lines: Lines::default(), gaps: Vec::new() };
    let mut problem = None;
    let began = api.now();
    for attempt in 0..ATTEMPTS {
        let before = reader.lines.lines;
        let since = reader.lines.since().or(since);
        match reader.run(since, previous, None, sink).await? {
            Ended::Whole => {
                problem = None;
                // A log that is rotated while it is read ends early, as if it were whole: asked once more, from its last line on, it
                // says so.
                let is_new = reader.lines.lines > before;
                if previous || !is_new || reader.lines.last > Some(began) {
                    break;
                }
                reader.lines.again();
            }
            Ended::Broken(fault) => {
                let hopeless = fault.is_absent()
                    || matches!(fault, Fault::Refused(400..=403, _) | Fault::Credentials(_));
                problem = Some(fault);
                if hopeless || attempt + 1 == ATTEMPTS {
                    break;
                }
                reader.lines.again();
                sleep(api.limits.pause * 2u32.pow(attempt)).await;
            }
        }
    }
    reader.done(problem, sink)
}

/// The log as it is, and on until `end` says so, over rotations, reconnects and restarts, or until the pod is gone.
pub(crate) async fn follow(
    api: &Api,
    container: &Container,
    since: Option<Time>,
    end: &mut watch::Receiver<bool>,
    sink: Sink<'_>,
) -> io::Result<Got> {
    let mut reader = Reader { api, container, lines: Lines::default(), gaps: Vec::new() };
    let mut known = state(api, container).await.ok().flatten().map(|state| state.restarts);
    let mut failures = 0;
    let mut problem = None;
    while !*end.borrow() {
        let before = reader.lines.lines;
        let asked = reader.lines.since().or(since);
        match reader.run(asked, false, Some((&mut *end, known)), sink).await? {
            Ended::Whole => problem = None,
            Ended::Broken(fault) => problem = Some(fault),
        }
        if *end.borrow() {
            problem = None;
            break;
        }
        failures = if reader.lines.lines > before { 0 } else { failures + 1 };
        match state(api, container).await {
            Ok(None) => {
                problem = None;
                break;
            }
            Ok(Some(now)) if known.is_some_and(|known| now.restarts > known) => {
                // What the old container still had to say, then the new one from its beginning.
                reader.lines.again();
                let asked = reader.lines.since().or(since);
                // If that cannot be had, the new one's first line stands behind a gap.
                if let Ended::Whole = reader.run(asked, true, None, sink).await? {
                    reader.lines.anew();
                }
                known = Some(now.restarts);
                continue;
            }
            Ok(Some(now)) => known = Some(now.restarts),
            Err(fault) => problem = Some(fault),
        }
        reader.lines.again();
        let pause = api.limits.pause * 2u32.pow(failures.min(4));
        tokio::select! {
            () = sleep(pause) => {}
            _ = end.changed() => {}
        }
    }
    reader.done(problem, sink)
}

enum Ended {
    Whole,
    Broken(Fault),
}

struct Reader<'a> {
    api: &'a Api,
    container: &'a Container,
    lines: Lines,
    gaps: Vec<(Time, Time)>,
}

impl Reader<'_> {
    /// One answer to its end. `live`: followed until the receiver says so; with the restarts known, to tell a new container's log.
    async fn run(
        &mut self,
        since: Option<Time>,
        previous: bool,
        mut live: Option<(&mut watch::Receiver<bool>, Option<u64>)>,
        sink: Sink<'_>,
    ) -> io::Result<Ended> {
        let params = LogParams {
            container: Some(self.container.name.clone()),
            follow: live.is_some(),
            previous,
            timestamps: true,
            since_time: since
                .and_then(|time| jiff::Timestamp::from_nanosecond(i128::from(time)).ok()),
            ..LogParams::default()
        };
        let path = PODS.path(Some(&self.container.namespace));
        let request = match kube::core::Request::new(path).logs(&self.container.pod, &params) {
            Ok(request) => request,
            Err(error) => return Ok(Ended::Broken(Fault::Nonsense(error.to_string()))),
        };
        let mut stream = match self.api.open(&request).await {
            Ok(stream) => stream,
            Err(fault) => return Ok(Ended::Broken(fault)),
        };
        loop {
            let piece = match &mut live {
                None => stream.next().await,
                Some((end, _)) => tokio::select! {
                    piece = stream.next() => piece,
                    _ = end.wait_for(|end| *end) => return Ok(Ended::Whole),
                },
            };
            let bytes = match piece {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(Ended::Whole),
                Err(fault) => return Ok(Ended::Broken(fault)),
            };
            if self.lines.is_expecting()
                && let Some((_, Some(known))) = &live
                && let Ok(Some(now)) = state(self.api, self.container).await
                && now.restarts > *known
            {
                // This is another container's log: first what the last one still had to say.
                return Ok(Ended::Whole);
            }
            for line in self.lines.push(&bytes) {
                match line {
                    Line::New(line) => sink(&line)?,
                    Line::Gap(from, to, line) => {
                        self.gaps.push((from, to));
                        sink(&line)?;
                    }
                    Line::Refusal(text) => return Ok(Ended::Broken(Fault::Nonsense(text))),
                }
            }
        }
    }

    fn done(mut self, problem: Option<Fault>, sink: Sink<'_>) -> io::Result<Got> {
        if let Some(Line::New(line) | Line::Gap(_, _, line)) = self.lines.finish() {
            sink(&line)?;
        }
        let Lines { bytes, lines, first, last, .. } = self.lines;
        Ok(Got { bytes, lines, first, last, gaps: self.gaps, problem })
    }
}

/// How often a container was started again; `None`: its pod is gone.
async fn state(api: &Api, container: &Container) -> Result<Option<State>, Fault> {
    let field = format!("metadata.name={}", container.pod);
    let params = ListParams { field_selector: Some(field), ..ListParams::default() };
    let request = kube::core::Request::new(PODS.path(Some(&container.namespace)))
        .list(&params)
        .map_err(|error| Fault::Nonsense(error.to_string()))?;
    let bytes = api.json(&request).await?;
    let list: PodList = serde_json::from_slice(&bytes)
        .map_err(|_| Fault::Nonsense("the list of pods cannot be read".into()))?;
    let own = list.items.into_iter().find(|pod| pod.metadata.uid == container.uid);
    Ok(own.map(|pod| {
        let mut statuses = pod.status.container_statuses.into_iter();
        let restarts = statuses
            .find(|status| status.name == container.name)
            .map_or(0, |status| status.restart_count);
        State { restarts }
    }))
}

#[derive(Clone, Copy, Debug)]
struct State {
    restarts: u64,
}

#[derive(Deserialize)]
struct PodList {
    items: Vec<PodState>,
}

#[derive(Deserialize)]
struct PodState {
    metadata: PodName,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize)]
struct PodName {
    #[serde(default)]
    uid: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStatus {
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(default)]
    restart_count: u64,
}
