//! One thread's share of the reading: its scanner, its growing tally, and what it counts of each input.

use std::sync::Arc;

use super::cut::Taker;
use super::read::Options;
use super::record::{Outcome, Record};
use super::rejects::{self, Batch, Rejects};
use super::scan::{Reject, Scanner, Sink};
use super::tally::Builder;
use super::{LateHands, Lines, Reason, Window};
use crate::time::Time;

/// What is counted of an input. Adding is all that is ever done with it, so that it does not matter who counts what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub bytes: u64,
    pub lines: Lines,
    pub answered: u64,
    pub failed: u64,
    pub unknown: u64,
    pub outside: u64,
    pub untimed: u64,
    pub seen: Option<(Time, Time)>,
}

impl std::ops::AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, more: &Counts) {
        self.bytes += more.bytes;
        self.lines += more.lines;
        self.answered += more.answered;
        self.failed += more.failed;
        self.unknown += more.unknown;
        self.outside += more.outside;
        self.untimed += more.untimed;
        if let Some((first, last)) = more.seen {
            self.see(first);
            self.see(last);
        }
    }
}

impl Counts {
    #[inline]
    fn see(&mut self, time: Time) {
        self.seen = Some(match self.seen {
            None => (time, time),
            Some((first, last)) => (first.min(time), last.max(time)),
        });
    }

    #[inline]
    fn record(&mut self, record: &Record<'_>, window: &Window) {
        self.untimed += u64::from(record.time.is_none());
        if !window.holds(record.time) {
            self.outside += 1;
            return;
        }
        match record.kind.rcode.outcome() {
            Outcome::Answered => self.answered += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Unknown => self.unknown += 1,
        }
        if let Some(time) = record.time {
            self.see(time);
        }
    }
}

/// How many lines of an unknown format are shown.
pub(crate) const SAMPLES: usize = 3;

/// A line of an unknown format: input, chunk and line, by which samples are sorted, and its text.
pub(crate) type Sample = (u32, u32, u64, String);

/// What one thread does.
pub(crate) struct Worker<'r, 'a> {
    scanner: Scanner,
    rejects: Option<&'r Rejects>,
    window: Window,
    item: Item,
    pub(crate) counted: Counted<'a>,
    /// For what must be read into memory.
    pub(crate) buffer: Vec<u8>,
}

/// What comes out of it.
pub(crate) struct Counted<'a> {
    pub(crate) builder: Builder<'a>,
    /// By input, ascending.
    pub(crate) inputs: Vec<(u32, Counts)>,
    /// How many lines each chunk held: input, chunk, lines.
    pub(crate) chunks: Vec<(u32, u32, u64)>,
    /// The first ones.
    pub(crate) samples: Vec<Sample>,
}

/// What is being read.
#[derive(Default)]
struct Item {
    input: u32,
    chunk: u32,
    counts: Counts,
    batch: Option<Batch>,
}

impl<'r, 'a> Worker<'r, 'a> {
    pub(crate) fn new(
        options: &Options,
        hands: &'a LateHands,
        rejects: Option<&'r Rejects>,
    ) -> Worker<'r, 'a> {
        Worker {
            scanner: Scanner::new(options.format.clone(), options.how),
            rejects,
            window: options.window,
            item: Item::default(),
            counted: Counted {
                builder: Builder::new(hands, options.window, options.bound),
                inputs: Vec::new(),
                chunks: Vec::new(),
                samples: Vec::new(),
            },
            buffer: Vec::new(),
        }
    }

    /// Begins the `item`th item of all: a chunk of an input. (input, chunk) only rises.
    pub(crate) fn begin(&mut self, item: u64, input: u32, chunk: u32, path: &Arc<str>) {
        self.counted.builder.at(input, chunk);
        let batch = self.rejects.map(|_| Batch::new(item, path));
        self.item = Item { input, chunk, counts: Counts::default(), batch };
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        let Item { input, chunk, counts, batch } = std::mem::take(&mut self.item);
        self.counted.chunks.push((input, chunk, counts.lines.total));
        if let (Some(rejects), Some(batch)) = (self.rejects, batch) {
            rejects.done(batch, counts.lines.total);
        }
        match self.counted.inputs.last_mut() {
            Some((last, sum)) if *last == input => *sum += &counts,
            _ => self.counted.inputs.push((input, counts)),
        }
    }

    /// Scans something of the item. `line`: where the one long line starts that is being scanned.
    fn scan(
        &mut self,
        bytes: usize,
        offset: u64,
        line: Option<u64>,
        scan: impl FnOnce(&mut Scanner, &mut Counting<'_, 'a>) -> (Lines, usize),
    ) -> usize {
        let mut sink = Counting {
            before: self.item.counts.lines.total,
            offset,
            line,
            window: self.window,
            rejects: self.rejects,
            item: &mut self.item,
            counted: &mut self.counted,
        };
        let (lines, done) = scan(&mut self.scanner, &mut sink);
        self.item.counts.lines += lines;
        self.item.counts.bytes += done.min(bytes) as u64;
        done
    }
}

impl Taker for Worker<'_, '_> {
    fn lines(&mut self, bytes: &[u8], offset: u64) {
        self.scan(bytes.len(), offset, None, |scanner, sink| {
            (scanner.lines(bytes, sink), bytes.len())
        });
    }

    fn part(&mut self, window: &[u8], line: u64, last: bool) -> usize {
        self.scan(window.len(), line, Some(line), |scanner, sink| {
            let mut lines = Lines::default();
            let done = scanner.part(window, last, sink, &mut lines);
            (lines, if last { window.len() } else { done })
        })
    }
}

/// Takes what the scanner finds.
struct Counting<'s, 'a> {
    /// Lines of this item before the scanned bytes.
    before: u64,
    /// Where the scanned bytes begin in the input.
    offset: u64,
    /// Where the long line starts that they are of.
    line: Option<u64>,
    window: Window,
    rejects: Option<&'s Rejects>,
    item: &'s mut Item,
    counted: &'s mut Counted<'a>,
}

impl Sink for Counting<'_, '_> {
    #[inline]
    fn record(&mut self, line: u64, record: &Record<'_>) -> bool {
        if !self.counted.builder.record(self.before + line, record) {
            return false;
        }
        self.item.counts.record(record, &self.window);
        true
    }

    #[inline(always)]
    fn near(&mut self, line: u64, record: &Record<'_>, name: &[u8; 64]) -> bool {
        if !self.counted.builder.near(self.before + line, record, name) {
            return false;
        }
        self.item.counts.record(record, &self.window);
        true
    }

    fn reject(&mut self, reject: &Reject<'_>) {
        let line = self.before + reject.line;
        let samples = &mut self.counted.samples;
        if reject.reason == Reason::UnknownFormat && samples.len() < SAMPLES {
            let text = rejects::shown(reject.text);
            samples.push((self.item.input, self.item.chunk, line, text));
        }
        if let (Some(batch), Some(rejects)) = (&mut self.item.batch, self.rejects) {
            let offset = self.line.unwrap_or(self.offset + reject.offset as u64);
            batch.add(line, offset, reject.reason, reject.text);
            if batch.is_full() {
                rejects.part(batch);
            }
        }
    }
}
