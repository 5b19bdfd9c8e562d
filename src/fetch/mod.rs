//! Kubernetes cluster → capture: CoreDNS's logs, and the objects that `analyze` needs. The only code that opens a socket
//! (cargo feature `fetch`). It reads: list, and get of `pods/log`; with `--for`, watch of pods. It writes files, beside their places and
//! renamed when all are whole, and knows nothing of what is in a log.

pub mod advice;
mod api;
mod capture;
mod connect;
mod dns;
mod lines;
mod live;
mod logs;
mod objects;
mod place;
mod prune;
#[cfg(test)]
mod tests;
mod watch;

pub use capture::{Asked, Captured, Missed, Step, fetch};
pub use connect::Target;
pub use live::{Live, Seen, Verdict, live};
