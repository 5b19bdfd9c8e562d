//! One request to the API server, with deadlines and retries of our own: kube's client has none for a stream that stands
//! still, and repeats no body that was cut. It reads, and writes nothing to any cluster. What it says of a failure holds
//! no token, no header, no URL and no word of a credential plugin.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::{Client, Config};
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};

use super::connect;
use crate::time::Time;

/// How long is waited, and how much is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For the head of an answer, and between two pieces of its body.
    pub(crate) idle: Duration,
    /// For one request, all its repetitions included.
    pub(crate) total: Duration,
    /// Before the first repetition; doubled for each further one.
    pub(crate) pause: Duration,
    /// Bytes of one page of a list.
    pub(crate) page: usize,
    /// Objects of one kind; no cluster has more.
    pub(crate) objects: usize,
    /// For a credential plugin. One that asks a person takes a while; one that hangs must not.
    pub(crate) plugin: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            idle: Duration::from_secs(30),
            total: Duration::from_secs(120),
            pause: Duration::from_millis(500),
            page: 256 << 20,
            objects: 1_000_000,
            plugin: Duration::from_secs(120),
        }
    }
}

/// Why a request came to nothing. `Display` is a lower-case fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server said no: status, and its message.
    Refused(u16, String),
    /// The connection, or the answer, broke.
    Cut(String),
    /// Nothing came in time.
    Late(Duration),
    /// Who we are could not be said.
    Credentials(String),
    /// The answer makes no sense.
    Nonsense(String),
}

impl Fault {
    /// Whether the server knows us and forbids it.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Fault::Refused(403, _))
    }

    /// Whether there is no such thing.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Fault::Refused(404, _))
    }

    /// Whether a list has to begin anew.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self, Fault::Refused(410, _))
    }

    /// Whether the same request may be answered a little later.
    fn is_passing(&self) -> bool {
        match self {
            Fault::Refused(status, _) => matches!(status, 429 | 500 | 502 | 503 | 504),
            Fault::Cut(_) | Fault::Late(_) => true,
            Fault::Credentials(_) | Fault::Nonsense(_) => false,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Refused(401, _) => {
                f.write_str("the API server does not accept these credentials (401)")
            }
            Fault::Refused(status, message) if message.is_empty() => {
                write!(f, "the API server answers {status}")
            }
            Fault::Refused(status, message) => write!(f, "{message} ({status})"),
            Fault::Cut(why) => f.write_str(why),
            Fault::Late(waited) => write!(f, "no answer within {waited:?}"),
            Fault::Credentials(why) | Fault::Nonsense(why) => f.write_str(why),
        }
    }
}

/// The API server of one cluster.
pub(crate) struct Api {
    config: Config,
    client: RefCell<Client>,
    pub(crate) limits: Limits,
    /// Whether anything was ever answered. Before, a failure is final: the address may be wrong.
    reached: Cell<bool>,
    /// Whether the credentials have been asked for a second time.
    renewed: Cell<bool>,
    /// The server's clock less ours, in nanoseconds.
    ahead: Cell<Time>,
    /// What the last answer that said no asked for.
    retry_after: Cell<Option<Duration>>,
}

impl Api {
    /// Credential plugins are run here.
    pub(crate) async fn new(config: Config, limits: Limits) -> Result<Api, Fault> {
        let client = RefCell::new(connect::client(&config, limits.plugin).await?);
        let (reached, renewed) = (Cell::new(false), Cell::new(false));
        let (ahead, retry_after) = (Cell::new(0), Cell::new(None));
        Ok(Api { config, client, limits, reached, renewed, ahead, retry_after })
    }

    /// The namespace of the kubeconfig's context.
    pub(crate) fn namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// The server's address, `10.0.0.1:6443`, and nothing else of its URL.
    pub(crate) fn server(&self) -> String {
        let url = &self.config.cluster_url;
        let host = url.host().unwrap_or_default();
        url.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Now, by the server's clock as far as its answers tell it.
    pub(crate) fn now(&self) -> Time {
        now().saturating_add(self.ahead.get())
    }

    /// A JSON answer, whole. Repeated while that may help.
    pub(crate) async fn json(&self, request: &Request<Vec<u8>>) -> Result<Vec<u8>, Fault> {
        self.patiently(async || {
            let answer = self.once(request).await?;
            let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
                return Err(Fault::Nonsense(
                    "the answer is no JSON: is something between here and the API server (a login page, a proxy)?".into(),
                ));
            }
            self.collect(answer.into_body(), self.limits.page).await
        })
        .await
    }

    /// The version that the server gives itself, such as `v1.33.1+k3s1`; empty if it does not say.
    pub(crate) async fn version(&self) -> String {
        let Ok(request) = Request::get("/version").body(Vec::new()) else { return String::new() };
        // Good to know, and not worth waiting for.
        let said = match self.once(&request).await {
            Ok(answer) => self.collect(answer.into_body(), 64 << 10).await.unwrap_or_default(),
            Err(_) => return String::new(),
        };
        serde_json::from_slice::<Version>(&said).unwrap_or_default().git_version
    }

    /// An answer whose body is taken piece by piece. Repeated, while that may help, until it begins.
    pub(crate) async fn open(&self, request: &Request<Vec<u8>>) -> Result<Stream, Fault> {
        let answer = self.patiently(async || self.once(request).await).await?;
        Ok(Stream { body: answer.into_body(), idle: self.limits.idle })
    }

    /// Repeats what fails for now, with growing pauses or those that the server asks for, until all the time is used up.
    async fn patiently<T>(&self, attempt: impl AsyncFn() -> Result<T, Fault>) -> Result<T, Fault> {
        let end = Instant::now() + self.limits.total;
        let mut pause = self.limits.pause;
        loop {
            let fault = match timeout(end - Instant::now(), attempt()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(fault)) => fault,
                Err(_) => return Err(Fault::Late(self.limits.total)),
            };
            if fault == Fault::Refused(401, String::new()) && !self.renewed.replace(true) {
                // A token may have run out; a plugin gives another one. Once.
                *self.client.borrow_mut() =
                    connect::client(&self.config, self.limits.plugin).await?;
                continue;
            }
            let asked = self.retry_after.take();
            let wait = asked.unwrap_or_else(|| jittered(pause));
            if !fault.is_passing() || !self.reached.get() || Instant::now() + wait >= end {
                return Err(fault);
            }
            sleep(wait).await;
            pause = (pause * 2).min(Duration::from_secs(16));
        }
    }

    /// One attempt: the head of an answer that says yes.
    async fn once(&self, request: &Request<Vec<u8>>) -> Result<http::Response<Body>, Fault> {
        let client = self.client.borrow().clone();
        let request = request.clone().map(Body::from);
        let answer = match timeout(self.limits.idle, client.send(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(connect::fault(&error)),
            Err(_) => return Err(Fault::Late(self.limits.idle)),
        };
        self.reached.set(true);
        if let Some(date) = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok())
            && let Ok(date) = jiff::fmt::rfc2822::parse(date)
        {
            let there = i64::try_from(date.timestamp().as_nanosecond()).unwrap_or(0);
            let ahead = there - now();
            // Dates are whole seconds: less than two is no difference.
            self.ahead.set(if ahead.abs() < 2 * crate::time::SECOND { 0 } else { ahead });
        }
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let seconds = answer
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        self.retry_after.set(seconds.map(Duration::from_secs));
        if status == StatusCode::UNAUTHORIZED {
            // What stands there may repeat what we sent.
            return Err(Fault::Refused(401, String::new()));
        }
        let body = self.collect(answer.into_body(), 64 << 10).await.unwrap_or_default();
        let said: Said = serde_json::from_slice(&body).unwrap_or_default();
        Err(Fault::Refused(status.as_u16(), said.message.chars().take(500).collect()))
    }

    async fn collect(&self, body: Body, most: usize) -> Result<Vec<u8>, Fault> {
        let mut stream = Stream { body, idle: self.limits.idle };
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > most {
                return Err(Fault::Nonsense(format!("an answer of more than {} MiB", most >> 20)));
            }
        }
        Ok(bytes)
    }
}

/// What the server says when it refuses (`metav1.Status`).
#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
}

#[derive(Default, Deserialize)]
struct Version {
    #[serde(rename = "gitVersion", default)]
    git_version: String,
}

/// A body that is being read.
pub(crate) struct Stream {
    body: Body,
    idle: Duration,
}

impl Stream {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        loop {
            match timeout(self.idle, self.body.frame()).await {
                Err(_) => return Err(Fault::Late(self.idle)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Fault::Cut("the answer was cut".into())),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data.to_vec()));
                    }
                }
            }
        }
    }
}

/// Between half of it and all of it, so that many clients do not come back at the same moment.
fn jittered(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let chance = u32::try_from(RandomState::new().hash_one(0u8) % 1000).unwrap_or(0);
    pause / 2 + pause / 2000 * chance
}

fn now() -> Time {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(Time::MAX)
}
