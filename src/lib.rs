//! kico reads CoreDNS query logs, offline, joins them with a snapshot of a Kubernetes cluster, and says which
//! workload asked for which Service: connection reports, and the NetworkPolicies that would allow exactly that.
//!
//! ```text
//!  logs ──> log (input → lines → query → tally) ──┐
//!                                                 ├──> connections ──> report/{table,csv,json,…} <─┐
//!  pods.json ──> cluster (snapshot, addresses,    │                ├─> policy/{build, yaml}        │
//!                workload, names) ────────────────┘                ├─> policy/{evaluate, verify} ──┤
//!                                                                  └─> diff (OLD × NEW) ───────────┘
//!  Kubernetes API ──> fetch ──> logs/ and pods.json on disk (nothing else meets fetch)
//!
//!  cli → commands/* calls the stages, and is the only one to print
//! ```
//!
//! A stage uses only what stands left of it. Six small modules serve all: [`name`] (what a DNS name says by its
//! labels alone), [`time`], [`text`] (untrusted text → terminal, CSV, YAML comment, file name), [`files`] (written whole
//! or not at all), [`threads`] (how many) and [`progress`].
//!
//! # Invariants
//!
//! - Only `log` (where it opens inputs), `cluster::snapshot` (reading), [`files`] (writing), `fetch` and `commands` touch
//!   the outside world. The middle is pure: bytes and values in, values out.
//! - A log line never fails the run. Every line is accounted for: queries + rejected + other = lines.
//! - Text from logs and clusters is untrusted: only [`text`] prints it. A name is never unescaped.
//! - Never claim more than the evidence: ambiguous is said, not guessed; a policy is refused rather than widened.
//! - The same bytes in give the same bytes out, with any number of threads, on any day.
//! - `unsafe` stands in `log/input.rs` and `log/wide.rs`, explained. Only `fetch` (a cargo feature) opens a
//!   socket; `analyze` opens none.
//!
//! # Glossary
//!
//! One word for each thing, everywhere:
//!
//! - *query*: one lookup as CoreDNS logged it. *record*: what kico read of it. A line holds zero or more records.
//! - *reject*: a line that looked like a query and could not be read, with its reason.
//! - *tally*: (client address, name) → counts, first and last time, and where the first was seen.
//! - *client*, *server*: the two ends of a connection. *workload*: the controller that owns a pod (Deployment,
//!   CronJob, …), or the bare pod. *service*: a Kubernetes Service.
//! - *connection*: a client workload asked for a server, and was answered.
//! - *evidence*: the records behind a connection.
//! - *snapshot*: Kubernetes objects at one time, as `kubectl get -o json` gives them. *capture*: logs and a
//!   snapshot taken together.
//! - *coverage*: what was read, and what was not. *blind spot*: what DNS cannot show.

pub mod cli;
pub mod cluster;
pub mod commands;
pub mod connections;
pub mod coverage;
pub mod diff;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod files;
pub mod log;
pub mod name;
pub mod policy;
pub mod progress;
pub mod report;
pub mod text;
pub mod threads;
pub mod time;
