//! Inputs → one tally and their coverage: the parallel run over all of it. Work is taken in input order and added up at
//! the end, so that neither the number of threads nor their luck changes a byte of the result.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::bail;

use super::count::{Counted, Worker};
use super::cut::{self, Cutter};
use super::discover::{Source, Stat, Way, why};
use super::format::Format;
use super::gather;
use super::held::Held;
use super::interrupt::Interrupt;
use super::rejects::Rejects;
use super::scan::How;
use super::sniff::{self, Kind};
use super::stream::{Piece, Place, Stream};
use super::tally::{Bound, Tally};
use super::{Input, LateHands, State, Window, tally_csv};
use crate::progress::Progress;
use crate::text::shell_word;
use crate::time::Time;

#[cfg(test)]
mod tests;

/// How to read.
#[derive(Clone, Debug)]
pub struct Options {
    /// At most this many threads.
    pub threads: usize,
    /// Whether plain files may be mapped; the records are the same.
    pub mmap: bool,
    /// `--since`, `--until`.
    pub window: Window,
    /// `--max-names`.
    pub bound: Bound,
    /// `--log-format`.
    pub format: Option<Arc<Format>>,
    /// How lines are read: the records are the same.
    pub how: How,
    /// `--rejects`.
    pub rejects: Option<PathBuf>,
    /// What may end a pipe, or all of it.
    pub interrupt: Interrupt,
}

/// What was read. Paths in the texts stand as they are: print them through `text`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Everything that was counted.
    pub tally: Tally,
    /// Every input, readable or not, sorted by path.
    pub inputs: Vec<Input>,
    /// The first three lines of a format that is not known, escaped.
    pub samples: Vec<String>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Whether a signal ended a pipe.
    pub interrupted: bool,
}

impl Reading {
    /// The first and the last time of all that was counted; `None`: some of it has no time, or nothing was.
    pub fn within(&self) -> Option<(Time, Time)> {
        let times = self.inputs.iter().filter_map(|input| input.seen);
        let is_timed = self.inputs.iter().all(|input| !input.counts_untimed());
        times.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).filter(|_| is_timed)
    }
}

/// Reads all sources, sorted by path as [`super::discover`] gives them. An error is the user's to correct; an input that
/// cannot be read is none. One of the threads does `first` before anything else: what sets the hands, if nobody has yet.
pub fn read(
    sources: Vec<Source>,
    hands: &LateHands,
    options: &Options,
    progress: &Progress,
    first: Option<&(dyn Fn() + Sync)>,
) -> anyhow::Result<Reading> {
    let desks = desks(sources);
    let items = desks.last().map_or(0, |desk| desk.first + u64::from(desk.items));
    // What is small is read in less time than it takes to begin a thread.
    let expected = expected(&desks);
    let is_long = expected.is_none_or(|bytes| bytes > CHUNK);
    let items_at_once = usize::try_from(items).unwrap_or(usize::MAX).min(options.threads);
    let apart = usize::from(is_long && first.is_some());
    let threads = (items_at_once + apart).min(options.threads).max(1);
    let rejects = match &options.rejects {
        Some(path) => Some(Rejects::create(path, threads)?),
        None => None,
    };
    progress.expect(expected);
    let spare = AtomicUsize::new(options.threads.saturating_sub(items_at_once));
    let next = AtomicU64::new(0);
    let run = Run { desks, items, next, spare, rejects, hands, options, progress };
    let counted = run.all(threads, first);
    progress.clear();
    let desks: Vec<_> = run.desks.into_iter().map(Desk::leave).collect();
    for (_, outcome) in &desks {
        if let Outcome::Wrong(problem) = outcome {
            bail!("{problem}");
        }
    }
    if options.interrupt.is_stopped() {
        bail!("stopped before all was read");
    }
    if let Some(rejects) = run.rejects {
        rejects.finish()?;
    }
    gather::gather(desks, counted, hands, options)
}

/// A source, while it is worked on.
struct Desk {
    source: Source,
    /// The number of its first work item among all, and how many it has: its chunks; a whole stream is one.
    first: u64,
    items: u32,
    /// How many are not done yet.
    left: AtomicU32,
    slot: Mutex<Slot>,
    outcome: Mutex<Outcome>,
}

/// The file of a source that is read in chunks: open from its first chunk to its last.
enum Slot {
    Closed,
    Open(Arc<Held>),
}

/// What became of a source.
pub(crate) enum Outcome {
    /// It was read. From `gone` on there were only zeros that stand for what a file lost.
    Log { state: State, problem: Option<String>, id: u64, gone: u64 },
    /// It is something else.
    Foreign(&'static str),
    /// It could not be read.
    Unreadable(String),
    /// It is a tally.
    Tally(Box<gather::Made>),
    /// The user must correct it.
    Wrong(String),
}

/// The bytes of a chunk, but for its last line's end.
const CHUNK: u64 = 1 << 20;

fn desks(sources: Vec<Source>) -> Vec<Desk> {
    let mut first = 0;
    let desk = |source: Source| {
        let (items, outcome) = match &source.way {
            Way::Chunks(stat) => match u32::try_from(stat.size.div_ceil(CHUNK)) {
                Ok(chunks) => (chunks, None),
                Err(_) => (0, Some(Outcome::Unreadable("too large".into()))),
            },
            Way::Whole(_) | Way::Pipe | Way::Memory(_) => (1, None),
            Way::Foreign(what) => (0, Some(Outcome::Foreign(what))),
            Way::Unreadable(problem) => (0, Some(Outcome::Unreadable(problem.clone()))),
        };
        let never = || Outcome::Unreadable("not read".into());
        let desk = Desk {
            source,
            first,
            items,
            left: AtomicU32::new(items),
            slot: Mutex::new(Slot::Closed),
            outcome: Mutex::new(outcome.unwrap_or_else(never)),
        };
        first += u64::from(items);
        desk
    };
    sources.into_iter().map(desk).collect()
}

/// How many bytes there are, as stored, if all of them are in files.
fn expected(desks: &[Desk]) -> Option<u64> {
    let size = |desk: &Desk| match &desk.source.way {
        Way::Chunks(stat) | Way::Whole(stat) => Some(stat.size),
        Way::Pipe => None,
        Way::Memory(bytes) => Some(bytes.len() as u64),
        Way::Foreign(_) | Way::Unreadable(_) => Some(0),
    };
    desks.iter().map(size).sum()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn decide(&self, outcome: Outcome) {
        *lock(&self.outcome) = outcome;
    }

    fn leave(self) -> (Source, Outcome) {
        (self.source, self.outcome.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The file, opened by whoever comes first. `None`: it cannot be opened.
    fn open(&self, stat: &Stat, mmap: bool) -> Option<Arc<Held>> {
        let Place::Path(path) = &self.source.place else { return None };
        let mut slot = lock(&self.slot);
        if let Slot::Open(held) = &*slot {
            return Some(Arc::clone(held));
        }
        match Held::open(path, stat, mmap) {
            Ok(held) => {
                let held = Arc::new(held);
                *slot = Slot::Open(Arc::clone(&held));
                Some(held)
            }
            Err(err) => {
                self.decide(Outcome::Unreadable(why(&err)));
                None
            }
        }
    }

    /// A chunk is done; the last one closes the file.
    fn chunk_done(&self) {
        if self.left.fetch_sub(1, SeqCst) != 1 {
            return;
        }
        if let Slot::Open(held) = std::mem::replace(&mut *lock(&self.slot), Slot::Closed) {
            self.decide(log_of(&held, &self.source.path));
        }
    }
}

/// A file that has been read.
fn log_of(held: &Held, path: &str) -> Outcome {
    let (state, problem) = held.check();
    Outcome::Log { state, problem, id: held.id(path), gone: held.gone() }
}

/// All of the work.
struct Run<'a> {
    desks: Vec<Desk>,
    items: u64,
    next: AtomicU64,
    /// How many threads may still be begun, to decompress in.
    spare: AtomicUsize,
    rejects: Option<Rejects>,
    hands: &'a LateHands,
    options: &'a Options,
    progress: &'a Progress,
}

impl<'a> Run<'a> {
    fn all(&self, threads: usize, first: Option<&(dyn Fn() + Sync)>) -> Vec<Counted<'a>> {
        std::thread::scope(|scope| {
            // If there are no more threads to be had, there are fewer.
            let begin = |_| std::thread::Builder::new().spawn_scoped(scope, || self.work()).ok();
            let others: Vec<_> = (1..threads).filter_map(begin).collect();
            // In the thread that is there already: its memory grows in larger steps than that of others.
            if let Some(first) = first {
                first();
            }
            let mut all = vec![self.work()];
            for other in others {
                all.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            all
        })
    }

    /// What one thread does until there is nothing left to do.
    fn work(&self) -> Counted<'a> {
        let _alarm = Alarm(self.rejects.as_ref());
        let mut worker = Worker::new(self.options, self.hands, self.rejects.as_ref());
        while let Some(item) = self.claim() {
            let at = self.desks.partition_point(|desk| desk.first <= item);
            // Sources without items share their first with the next one, and stand before it.
            let Some((input, desk)) = at.checked_sub(1).and_then(|i| Some((i, self.desks.get(i)?)))
            else {
                break;
            };
            let input = u32::try_from(input).unwrap_or(u32::MAX);
            let chunk = u32::try_from(item - desk.first).unwrap_or(u32::MAX);
            worker.begin(item, input, chunk, &desk.source.path);
            match &desk.source.way {
                Way::Chunks(stat) => self.chunk(desk, stat, chunk, &mut worker),
                Way::Whole(stat) => self.whole(desk, stat, &mut worker),
                Way::Memory(bytes) => {
                    let mut stream = Stream::memory(Arc::clone(bytes), self.progress);
                    desk.decide(self.stream(desk, &mut stream, &mut worker));
                }
                _ => self.pipe(desk, &mut worker),
            }
            worker.end();
        }
        worker.counted.builder.settle();
        worker.counted
    }

    fn claim(&self) -> Option<u64> {
        if self.options.interrupt.is_stopped() {
            return None;
        }
        let item = self.next.fetch_add(1, SeqCst);
        let may_begin = || self.rejects.as_ref().is_none_or(|rejects| rejects.may_begin(item));
        (item < self.items && may_begin()).then_some(item)
    }

    fn chunk(&self, desk: &Desk, stat: &Stat, chunk: u32, worker: &mut Worker<'_, '_>) {
        if let Some(held) = desk.open(stat, self.options.mmap) {
            let from = u64::from(chunk) * CHUNK;
            let to = (from + CHUNK).min(stat.size);
            let mut buffer = std::mem::take(&mut worker.buffer);
            cut::chunk(&held.at(from), from, to, &mut buffer, worker);
            worker.buffer = buffer;
            self.progress.add(to - from);
        }
        desk.chunk_done();
    }

    fn whole(&self, desk: &Desk, stat: &Stat, worker: &mut Worker<'_, '_>) {
        let Place::Path(path) = &desk.source.place else { return };
        let held =
            Held::open(path, stat, false).and_then(|held| Ok((held.file.try_clone()?, held)));
        let (file, held) = match held {
            Ok(held) => held,
            Err(err) => return desk.decide(Outcome::Unreadable(why(&err))),
        };
        let one_less = |spare: usize| spare.checked_sub(1);
        let apart = self.spare.fetch_update(SeqCst, SeqCst, one_less).is_ok();
        let mut stream = Stream::file(file, stat.size, apart, self.progress);
        let mut outcome = self.stream(desk, &mut stream, worker);
        if let Outcome::Log { state, problem, id, .. } = &mut outcome {
            let (after, what) = held.check();
            // What happened to the file explains what happened to its stream.
            if *state == State::Complete || after > State::Grew {
                (*state, *problem) = (after, what);
            }
            *id = held.id(&desk.source.path);
        }
        self.spare.fetch_add(usize::from(apart), SeqCst);
        desk.decide(outcome);
    }

    fn pipe(&self, desk: &Desk, worker: &mut Worker<'_, '_>) {
        let interrupt = &self.options.interrupt;
        let _open = interrupt.pipe();
        let mut stream = Stream::pipe(desk.source.place.clone(), self.progress, interrupt);
        let mut outcome = self.stream(desk, &mut stream, worker);
        if let Outcome::Log { state, .. } = &mut outcome
            && stream.was_interrupted()
        {
            *state = State::Interrupted;
        }
        desk.decide(outcome);
    }

    /// The next piece of a stream, unless there is no use in going on.
    fn next(&self, stream: &mut Stream) -> Option<Piece> {
        if self.options.interrupt.is_stopped() { None } else { stream.next() }
    }

    /// Reads a stream from its beginning to its end.
    fn stream(&self, desk: &Desk, stream: &mut Stream, worker: &mut Worker<'_, '_>) -> Outcome {
        let source = &desk.source;
        let (mut head, mut broken) = (Vec::new(), None);
        while head.len() < sniff::PEEK {
            match stream.next() {
                Some(Piece::Bytes(bytes)) => head.extend(bytes),
                Some(Piece::Refused(problem)) => return Outcome::Unreadable(problem),
                Some(Piece::Broken(problem)) => broken = Some(problem),
                None => break,
            }
        }
        match sniff::kind(&head) {
            Kind::Log => {}
            Kind::Tally => return self.tally(&source.path, head, broken, stream),
            Kind::Kubernetes if source.named => {
                self.options.interrupt.stop();
                let path = &source.path;
                return Outcome::Wrong(format!(
                    "{path}: a Kubernetes object, not a log; give it with --snapshot {}",
                    shell_word(path)
                ));
            }
            Kind::Kubernetes => return Outcome::Foreign("a Kubernetes object"),
            Kind::Gzip | Kind::Zstd => return Outcome::Unreadable("compressed twice".into()),
            Kind::Refused(why) => return Outcome::Unreadable(why.into()),
        }
        let mut cutter = Cutter::new();
        cutter.push(&head, worker);
        drop(head);
        while let Some(piece) = self.next(stream) {
            match piece {
                Piece::Bytes(bytes) => cutter.push(&bytes, worker),
                Piece::Refused(problem) | Piece::Broken(problem) => broken = Some(problem),
            }
        }
        cutter.finish(worker);
        let state = if broken.is_some() { State::Truncated } else { State::Complete };
        Outcome::Log { state, problem: broken, id: stream.id(&source.path), gone: u64::MAX }
    }

    fn tally(
        &self,
        path: &str,
        mut bytes: Vec<u8>,
        mut broken: Option<String>,
        stream: &mut Stream,
    ) -> Outcome {
        while let Some(piece) = self.next(stream) {
            match piece {
                Piece::Bytes(more) => bytes.extend(more),
                Piece::Refused(problem) | Piece::Broken(problem) => broken = Some(problem),
            }
        }
        if let Some(problem) = broken {
            return Outcome::Unreadable(problem);
        }
        match tally_csv::read(&bytes, path) {
            Ok(read) => Outcome::Tally(Box::new(read)),
            Err(err) => Outcome::Unreadable(format!("{err:#}")),
        }
    }
}

/// Lets nobody wait for the rejects of a thread that has died: its panic is to be seen, not a standstill.
struct Alarm<'a>(Option<&'a Rejects>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if let Some(rejects) = self.0
            && std::thread::panicking()
        {
            rejects.abandon();
        }
    }
}
