//! What every command begins with: the inputs and the snapshot, read at the same time, and what went wrong said.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};

use super::messages::Messages;
use super::{Exit, window};
use crate::cli;
use crate::cluster::{Cluster, snapshot};
use crate::coverage::plural;
use crate::log::discover::{self, Source};
use crate::log::format::Format;
use crate::log::interrupt::Interrupt;
use crate::log::read::{self, Reading};
use crate::log::scan::How;
use crate::log::tally::Bound;
use crate::log::{Hands, Input, LateHands, Lines, Reason, State, Window};
use crate::progress::Progress;
use crate::threads;

/// What was read, and how well.
pub(super) struct Gathered {
    pub(super) reading: Reading,
    pub(super) cluster: Cluster,
    pub(super) window: Window,
    /// Done, Partial or Interrupted.
    pub(super) exit: Exit,
}

/// Reads the inputs that `keep` keeps, and the snapshot beside them.
pub(super) fn gather(
    inputs: &cli::Inputs,
    args: &cli::Read,
    messages: &Messages,
    keep: impl Fn(&Source) -> bool,
) -> Result<Gathered> {
    if let Some(most) = args.concurrency {
        threads::bound(most);
    }
    let window = window::parse(args.since.as_deref(), args.until.as_deref())?;
    let format = match &args.log_format {
        None => None,
        Some(text) => {
            let (format, warning) = Format::compile(text).context("--log-format")?;
            if let Some(warning) = warning {
                messages.warning(&format!("--log-format: {warning}"));
            }
            Some(Arc::new(format))
        }
    };
    let mut found = discover::discover(&inputs.inputs);
    for note in &found.notes {
        messages.note(note);
    }
    if !found.errors.is_empty() {
        bail!("{}", found.errors.join("\n"));
    }
    found.sources.retain(|source| keep(source));
    let mut snapshots = args.snapshot.clone();
    snapshots.extend(found.snapshots);
    let options = read::Options {
        threads: threads::most(),
        mmap: !args.no_mmap,
        window,
        bound: Bound { names: args.max_names },
        format,
        how: how(),
        rejects: inputs.rejects.clone(),
        interrupt: interrupt()?,
    };
    let progress = if messages.is_quiet() { Progress::hidden() } else { Progress::visible() };
    let (cluster, reading) = read_both(args, &snapshots, found.sources, &options, &progress)?;
    for note in &reading.notes {
        messages.note(note);
    }
    let exit = judge(&reading, &cluster, messages);
    Ok(Gathered { reading, cluster, window, exit })
}

/// How many queries these logs hold.
#[cfg(feature = "fetch")]
pub(super) fn count(logs: &[PathBuf]) -> Result<u64> {
    let options = read::Options {
        threads: threads::most(),
        mmap: true,
        window: Window::default(),
        bound: Bound { names: 0 },
        format: None,
        how: how(),
        rejects: None,
        interrupt: Interrupt::default(),
    };
    let hands = LateHands::new();
    let _ = hands.set(Hands::default());
    let reading =
        read::read(discover::discover(logs).sources, &hands, &options, &Progress::hidden(), None)?;
    Ok(reading.inputs.iter().map(|input| input.answered + input.failed + input.unknown).sum())
}

/// The same from memory: what was fetched, and stands in no file.
#[cfg(feature = "fetch")]
pub(super) fn gather_fetched(
    args: &cli::Read,
    snapshot: &str,
    logs: Vec<(String, Vec<u8>)>,
    messages: &Messages,
) -> Result<Gathered> {
    if let Some(most) = args.concurrency {
        threads::bound(most);
    }
    let window = Window::default();
    let options = read::Options {
        threads: threads::most(),
        mmap: false,
        window,
        bound: Bound { names: args.max_names },
        format: None,
        how: how(),
        rejects: None,
        interrupt: Interrupt::default(),
    };
    let snapshot = snapshot::from_text("the cluster", snapshot, &args.dns_namespace)?;
    let cluster = Cluster::new(snapshot, &args.cluster_domain);
    let hands = LateHands::new();
    let _ = hands.set(cluster.hands());
    let sources = logs.into_iter().map(|(name, bytes)| Source::memory(&name, bytes)).collect();
    let reading = read::read(sources, &hands, &options, &Progress::hidden(), None)?;
    let exit = judge(&reading, &cluster, messages);
    Ok(Gathered { reading, cluster, window, exit })
}

/// `KICO_SCAN=portable` or `general` does without the fast paths. For tests: the same bytes must come out.
fn how() -> How {
    match std::env::var("KICO_SCAN").as_deref() {
        Ok("portable") => How::Portable,
        Ok("general") => How::General,
        _ => How::Fast,
    }
}

/// The one handler of the process, however often a command reads.
fn interrupt() -> Result<Interrupt> {
    static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();
    if let Some(interrupt) = INTERRUPT.get() {
        return Ok(interrupt.clone());
    }
    let interrupt = Interrupt::install().context("cannot watch for Ctrl-C")?;
    Ok(INTERRUPT.get_or_init(|| interrupt).clone())
}

/// The snapshot is read while the logs are. If it cannot be, the logs are not read to their end.
fn read_both(
    args: &cli::Read,
    snapshots: &[PathBuf],
    sources: Vec<Source>,
    options: &read::Options,
    progress: &Progress,
) -> Result<(Cluster, Reading)> {
    let (hands, cluster) = (LateHands::new(), OnceLock::new());
    if snapshots.is_empty() {
        let cluster = load(args, snapshots)?;
        let _ = hands.set(cluster.hands());
        return Ok((cluster, read::read(sources, &hands, options, progress, None)?));
    }
    let first = || {
        let waiting = Waiting { hands: &hands, interrupt: &options.interrupt };
        let loaded = load(args, snapshots);
        if let Ok(cluster) = &loaded {
            let _ = hands.set(cluster.hands());
        }
        drop(waiting);
        let _ = cluster.set(loaded);
    };
    let reading = read::read(sources, &hands, options, progress, Some(&first));
    // Its error comes before that of the reading, which it ended.
    let cluster = cluster.into_inner().transpose()?;
    let reading = reading?;
    Ok((cluster.context("the snapshot was not read: this is a bug")?, reading))
}

/// Whoever reads logs waits for the hands. If they do not come, whatever the cause, it is to stop.
struct Waiting<'a> {
    hands: &'a LateHands,
    interrupt: &'a Interrupt,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.hands.get().is_none() {
            self.interrupt.stop();
            let _ = self.hands.set(Hands::default());
        }
    }
}

fn load(args: &cli::Read, snapshots: &[PathBuf]) -> Result<Cluster> {
    let snapshot = snapshot::read(snapshots, &args.dns_namespace)?;
    let domains: Vec<String> = args
        .cluster_domain
        .iter()
        .map(|domain| domain.trim_matches('.').to_ascii_lowercase())
        .collect();
    if let Some(at) = domains.iter().position(String::is_empty) {
        bail!("--cluster-domain {:?}: no domain", args.cluster_domain[at]);
    }
    Ok(Cluster::new(snapshot, &domains))
}

/// What the inputs' states mean for the run. Each bad input is named.
fn judge(reading: &Reading, cluster: &Cluster, messages: &Messages) -> Exit {
    let mut exit = if reading.interrupted { Exit::Interrupted } else { Exit::Done };
    for input in &reading.inputs {
        match input.state {
            State::Complete | State::Grew | State::Interrupted => {}
            State::Unreadable | State::Truncated | State::Changed => {
                messages.fault(&format!("{}: {}", input.path, what(input)));
                exit = exit.min(Exit::Partial);
            }
        }
    }
    for undecided in &cluster.snapshot.undecided {
        messages.warning(undecided);
    }
    for broken in &cluster.snapshot.broken {
        messages.fault(broken);
        exit = exit.min(Exit::Partial);
    }
    let lost = reading.tally.lost.len() as u64;
    if lost > 0 {
        messages.fault(&format!(
            "{} asked for more names than --max-names keeps: some of them are in sums only",
            plural(lost, "client", "clients")
        ));
        exit = exit.min(Exit::Partial);
    }
    exit
}

/// How an input is, and why: `truncated: …`; what could not be read at all needs no such word.
fn what(input: &Input) -> String {
    match (&input.problem, input.state) {
        (Some(problem), State::Unreadable) => problem.clone(),
        (Some(problem), state) => format!("{}: {problem}", state.word()),
        (None, state) => state.word().into(),
    }
}

/// A run without one query record, or without one that the window can place, is an error that says what was seen
/// instead, and what to do. Bad inputs have been named already.
pub(super) fn check_something_read(reading: &Reading, window: Window) -> Result<()> {
    let inputs = &reading.inputs;
    let sum = |of: fn(&Input) -> u64| inputs.iter().map(of).sum::<u64>();
    let records = sum(|i| i.answered + i.failed + i.unknown + i.outside);
    if records > 0 && !window.is_open() && sum(|i| i.untimed) == records {
        bail!(
            "--since and --until need times, and no line of these logs has one. kubectl logs --timestamps adds them"
        );
    }
    if records > 0 || !reading.tally.rows.is_empty() {
        return Ok(());
    }
    if inputs.is_empty() {
        bail!("no input: nothing to read in what was named");
    }
    if inputs.iter().all(|input| input.state == State::Unreadable) {
        bail!("no input could be read");
    }
    bail!("no query record in {}: {}", names(inputs), seen_instead(reading))
}

/// The inputs' names: all of a few.
fn names(inputs: &[Input]) -> String {
    let few: Vec<&str> = inputs.iter().take(3).map(|input| input.path.as_str()).collect();
    match inputs.len().saturating_sub(few.len()) {
        0 => few.join(", "),
        more => format!("{} and {more} more", few.join(", ")),
    }
}

fn seen_instead(reading: &Reading) -> String {
    let mut lines = Lines::default();
    for input in &reading.inputs {
        lines += input.lines;
    }
    if lines.total == 0 {
        return "nothing at all. Is this the log of a CoreDNS pod?".into();
    }
    let total = plural(lines.total, "line", "lines");
    let unknown = lines.rejected[Reason::UnknownFormat as usize];
    if unknown > 0 {
        return format!(
            "of {total} {unknown} may be CoreDNS's, but not in its default format:\n  {}\n\
             give kico the format string behind `log` in the Corefile, as in \
             --log-format '{{remote}} {{type}} {{name}} {{rcode}}'",
            reading.samples.join("\n  ")
        );
    }
    let reasons: Vec<String> = Reason::ALL
        .iter()
        .zip(lines.rejected)
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} {}", reason.word()))
        .collect();
    if !reasons.is_empty() {
        let reasons = reasons.join(", ");
        return format!(
            "of {total} some looked like queries and could not be read: {reasons}. --rejects FILE shows them"
        );
    }
    format!(
        "{total} of other text. Is this the log of a CoreDNS pod, and does its Corefile have a line `log`? \
         (kubectl -n kube-system edit configmap coredns; no restart is needed)"
    )
}
