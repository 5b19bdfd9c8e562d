//! What every thread counted → the [`Reading`]: added up, tallies joined, what was read twice named.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Context, bail};

use super::count::{Counted, Counts, SAMPLES};
use super::discover::Source;
use super::read::{Options, Outcome, Reading};
use super::tally::{self, Tally};
use super::{Input, LateHands, State, Window};
use crate::text;

/// Adds everything up. An error is the user's to correct.
pub(crate) fn gather<'a>(
    sources: Vec<(Source, Outcome)>,
    counted: Vec<Counted<'a>>,
    hands: &'a LateHands,
    options: &Options,
) -> anyhow::Result<Reading> {
    let mut counts = vec![Counts::default(); sources.len()];
    let mut chunks = vec![Vec::new(); sources.len()];
    let (mut builders, mut samples) = (Vec::new(), Vec::new());
    for counted in counted {
        for (input, more) in &counted.inputs {
            if let Some(sum) = counts.get_mut(*input as usize) {
                *sum += more;
            }
        }
        for (input, chunk, lines) in counted.chunks {
            if let Some(chunks) = chunks.get_mut(input as usize) {
                chunks.push((chunk, lines));
            }
        }
        samples.extend(counted.samples);
        builders.push(counted.builder);
    }
    chunks.iter_mut().for_each(count_from_the_top);
    samples.sort();

    let paths: Vec<Arc<str>> = sources.iter().map(|(source, _)| Arc::clone(&source.path)).collect();
    let mut reading = Reading::default();
    let mut tallies = Vec::new();
    for ((source, outcome), counts) in sources.into_iter().zip(counts) {
        match outcome {
            Outcome::Tally(read) => tallies.push((source.path, *read)),
            other => reading.inputs.push(input(&source.path, other, counts)),
        }
    }
    let tallies = join(tallies, options.window, &mut reading)?;
    reading.interrupted = reading.inputs.iter().any(|input| input.state == State::Interrupted);
    reading.inputs.sort_by(|a, b| a.path.cmp(&b.path));
    note_overlaps(&mut reading);
    reading.samples = samples.into_iter().take(SAMPLES).map(|(.., text)| text).collect();
    let before = |input: u32, chunk: u32| {
        let chunks = chunks.get(input as usize);
        chunks.and_then(|chunks| chunks.get(chunk as usize)).map_or(0, |(_, before)| *before)
    };
    reading.tally = tally::merge(hands, options.bound, builders, &before, &paths, tallies);
    Ok(reading)
}

/// Turns the lines in each chunk into the lines before it.
fn count_from_the_top(chunks: &mut Vec<(u32, u64)>) {
    chunks.sort_unstable();
    let mut before = 0;
    for (_, lines) in chunks {
        before += std::mem::replace(lines, before);
    }
}

fn input(path: &str, outcome: Outcome, counts: Counts) -> Input {
    let mut input = Input {
        path: path.to_owned(),
        is_log: true,
        bytes: counts.bytes,
        lines: counts.lines,
        answered: counts.answered,
        failed: counts.failed,
        unknown: counts.unknown,
        outside: counts.outside,
        untimed: counts.untimed,
        seen: counts.seen,
        state: State::Complete,
        problem: None,
        id: 0,
    };
    match outcome {
        Outcome::Log { state, problem, id, gone } => {
            // What was read as zeros beyond the end of a file that shrank was not there.
            input.bytes = input.bytes.min(gone);
            (input.state, input.problem, input.id) = (state, problem, id);
            // Nobody knows what the rest would have held.
            let whole = matches!(state, State::Complete | State::Grew | State::Changed);
            input.is_log = input.lines.queries > 0 || !whole;
        }
        Outcome::Foreign(what) => {
            input.is_log = false;
            input.problem = Some(what.into());
        }
        Outcome::Unreadable(problem) => {
            input.state = State::Unreadable;
            input.problem = Some(problem);
        }
        // The one is joined, the other ends the run.
        Outcome::Tally(_) | Outcome::Wrong(_) => {}
    }
    input
}

/// A tally, and the inputs that it was made of.
pub(crate) type Made = (Tally, Vec<Input>);

/// Takes the tallies whose inputs have not been read yet. One that was read in part cannot be taken apart. An input without
/// any record overlaps with nothing, and is listed once: with its records, if another reading (with a format) found some.
fn join(
    tallies: Vec<(Arc<str>, Made)>,
    window: Window,
    reading: &mut Reading,
) -> anyhow::Result<Vec<Tally>> {
    let mut seen = Seen::default();
    seen.add(&reading.inputs);
    let mut taken = Vec::new();
    for (path, (mut tally, mut inputs)) in tallies {
        inputs.retain(|input| input.holds_records() || !seen.holds(input.id));
        let ids = || Seen::ids(&inputs).filter(|input| input.holds_records());
        let twice = ids().find_map(|input| seen.counted.get(&input.id));
        let once = ids().find(|input| !seen.is_counted(input.id));
        match (twice, once) {
            (Some(twice), Some(Input { path: once, .. })) => bail!(
                "{path}: this tally counts {twice}, which is read already, and {once}, which is not; \
                 give the logs themselves, or tallies that share none",
                twice = text::terminal(twice),
                once = text::terminal(once)
            ),
            (Some(_), None) => {
                reading.notes.push(format!("{path}: all that it counts is read already, skipped"));
                // What it could not read is still missing.
                inputs.retain(|input| !input.holds_records());
                seen.add(&inputs);
            }
            (None, _) => {
                seen.add(&inputs);
                reading.inputs.retain(|input| input.holds_records() || !seen.is_counted(input.id));
                tally::clip(&mut tally, &mut inputs, window).with_context(|| {
                    format!("{path}: cannot be cut to --since and --until; give the window to kico tally")
                })?;
                taken.push(tally);
            }
        }
        reading.inputs.extend(inputs);
    }
    Ok(taken)
}

/// The ids of what was read.
#[derive(Default)]
struct Seen {
    /// Those of inputs with records, and their paths.
    counted: HashMap<u64, String>,
    /// Those of inputs without.
    empty: HashSet<u64>,
}

impl Seen {
    fn holds(&self, id: u64) -> bool {
        self.empty.contains(&id) || self.is_counted(id)
    }

    fn is_counted(&self, id: u64) -> bool {
        self.counted.contains_key(&id)
    }

    /// What was not read has no id.
    fn ids(inputs: &[Input]) -> impl Iterator<Item = &Input> {
        inputs.iter().filter(|input| input.id != 0)
    }

    fn add(&mut self, inputs: &[Input]) {
        for input in Seen::ids(inputs) {
            if input.holds_records() {
                self.counted.insert(input.id, input.path.clone());
            } else {
                self.empty.insert(input.id);
            }
        }
    }
}

/// Lines are not deduplicated: two logs of one pod and one time may hold the same lines twice.
fn note_overlaps(reading: &mut Reading) {
    let mut pods: BTreeMap<String, Vec<&Input>> = BTreeMap::new();
    for input in reading.inputs.iter().filter(|input| input.seen.is_some()) {
        if let Some(pod) = pod_of(&input.path) {
            pods.entry(pod.to_owned()).or_default().push(input);
        }
    }
    for (pod, mut inputs) in pods {
        inputs.sort_by_key(|input| (input.seen, &input.path));
        // Ends that only touch are a rotation.
        let overlap = inputs.windows(2).find_map(|two| match two {
            [a, b] => (b.seen?.0 < a.seen?.1 || a.seen == b.seen).then_some((a, b)),
            _ => None,
        });
        if let Some((a, b)) = overlap {
            let (a, b) = (&a.path, &b.path);
            reading.notes.push(format!(
                "{a} and {b} are of the same pod ({pod}) and the same time: counts may be inflated"
            ));
        }
    }
}

/// The pod that a log's path names: `/var/log/pods/NS_POD_UID/…`, `/var/log/containers/POD_NS_CONTAINER-ID.log`, else
/// the file's name up to its first dot, if it looks like one of a pod. Whether there is such a pod is not for this stage
/// to say.
fn pod_of(path: &str) -> Option<&str> {
    let mut components = path.rsplit(['/', '\\']);
    let file = components.next()?;
    let stem = file.split('.').next().unwrap_or(file);
    let of_directory = components.find_map(|component| {
        let mut words = component.split('_');
        let (pod, uid) = (words.nth(1)?, words.next()?);
        (words.next().is_none() && uid.len() >= 32).then_some(pod)
    });
    let of_container = || {
        let (pod, rest) = stem.split_once('_')?;
        let (_, id) = rest.rsplit_once('-')?;
        (id.len() == 64 && rest.contains('_')).then_some(pod)
    };
    let is_name = |word: &&str| {
        let legal =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        word.trim_matches('-').contains('-') && word.bytes().all(legal)
    };
    of_directory.or_else(of_container).or(Some(stem)).filter(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_pod() {
        for (path, pod) in [
            ("logs/coredns-6f6b679f8f-7xk2p.txt", Some("coredns-6f6b679f8f-7xk2p")),
            ("logs/coredns-6f6b679f8f-7xk2p.previous.txt", Some("coredns-6f6b679f8f-7xk2p")),
            ("openshift-dns_dns-default-8xk2p.txt.gz", Some("openshift-dns_dns-default-8xk2p")),
            (
                "containers/coredns-abcde_kube-system_coredns-3f1d0c5b7a9e8d6c4b2a1f0e9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a3f2e1d0c.log",
                Some("coredns-abcde"),
            ),
            (
                "/var/log/pods/kube-system_coredns-abcde_7d0e0a4e-1c5b-4f6e-9d38-0b7e2a6f1c11/coredns/0.log",
                Some("coredns-abcde"),
            ),
            (
                "/var/log/pods/kube-system_coredns-abcde_7d0e0a4e-1c5b-4f6e-9d38-0b7e2a6f1c11/coredns/0.log.20240601-100000.gz",
                Some("coredns-abcde"),
            ),
            ("query.log", None),
            ("-", None),
            ("dir/0.log", None),
        ] {
            assert_eq!(pod_of(path), pod, "{path}");
        }
    }
}
