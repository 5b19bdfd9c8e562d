//! Whole chunks of log → records, rejects and line counts. (SEMANTICS 2, LOG_FORMATS 7.)
//!
//! `fast` reads the default line, in one walk. Whatever that refuses, `general` reads: any generation, in any wrapper, with
//! several records a line, torn or glued. It refuses nothing: what it cannot read, it counts.

mod clock;
mod core;
mod custom;
mod fast;
mod general;
mod head;
mod json;
mod known;
mod quoted;
mod shape;
mod structured;
#[cfg(test)]
mod tests;
mod when;

use std::sync::Arc;

use self::clock::Clock;
use self::general::General;
use self::shape::{PLACES, Shape};
use super::format::Format;
use super::places::{PIECE, Places};
use super::record::Record;
use super::{Lines, Reason};

/// What becomes of what a [`Scanner`] finds.
pub trait Sink {
    /// A record on the given line (counted from 0 in the scanned bytes). `false`: the client's text is no IP address,
    /// and the record was not taken; the scanner then accounts for the line.
    fn record(&mut self, line: u64, record: &Record<'_>) -> bool;
    /// As [`Sink::record`], of a name of at most 64 bytes that begins these: a sink may compare them all at once.
    #[inline]
    fn near(&mut self, line: u64, record: &Record<'_>, _name: &[u8; 64]) -> bool {
        self.record(line, record)
    }
    /// A line that looked like a query and could not be read; or, as a fragment, what was broken beside a record.
    fn reject(&mut self, reject: &Reject<'_>);
}

/// A line, or a fragment of one, that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject<'a> {
    /// The line, counted from 0 in the scanned bytes.
    pub line: u64,
    /// The byte in the scanned bytes at which the line starts.
    pub offset: usize,
    /// Why.
    pub reason: Reason,
    /// Whether the line holds a record beside it.
    pub fragment: bool,
    /// The line, or the part of it that is broken.
    pub text: &'a [u8],
}

/// The most bytes a record may have, from its client to its duration.
const RECORD: usize = 8 * 1024;

/// A line that is longer than this is read in windows: what must be remembered of it is then bounded.
const WINDOW: usize = 1024 * 1024;

#[cfg(test)]
thread_local! {
    /// The steps that scanning took, for the test that says how many there may be.
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Called at every step whose number hangs on the input: a byte read, a blank or a piece of JSON looked at.
#[inline]
fn step() {
    #[cfg(test)]
    STEPS.set(STEPS.get() + 1);
}

/// Reads lines. Keeps only caches (the last minute's time, scratch buffers), so that any split of the same bytes at
/// newlines gives the same records.
#[derive(Debug)]
pub struct Scanner {
    format: Option<Arc<Format>>,
    how: How,
    clock: Clock,
    places: Option<Places>,
    shape: Shape,
    general: General,
    /// Whether a line in several windows is under way.
    long: bool,
}

/// How lines are read. It changes how long that takes, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum How {
    /// As fast as this processor can.
    #[default]
    Fast,
    /// Without instructions that not every processor has.
    Portable,
    /// Every line by the general scanner.
    General,
}

impl Scanner {
    /// A scanner for the default formats, and before them for a custom one.
    pub fn new(format: Option<Arc<Format>>, how: How) -> Scanner {
        let how = if format.is_some() { How::General } else { how };
        Scanner {
            format,
            how,
            clock: Clock::default(),
            places: None,
            shape: Shape::default(),
            general: General::default(),
            long: false,
        }
    }

    /// Scans bytes that begin at a line's start and end behind a newline or at the input's end.
    pub fn lines(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Lines {
        let mut lines = Lines::default();
        let mut offset = 0;
        let mut places = match self.how {
            How::General => None,
            how => Some(self.places.take().unwrap_or_else(|| Places::new(how == How::Fast))),
        };
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            let near = rest.get(..PIECE).unwrap_or(rest);
            offset += match (&mut places, memchr::memrchr(b'\n', near)) {
                (Some(places), Some(end)) => {
                    places.find(near.get(..=end).unwrap_or_default());
                    self.piece(rest, offset, places.all(), &mut lines, sink);
                    end + 1
                }
                _ => {
                    let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                    self.line(rest.get(..length).unwrap_or(rest), offset, &mut lines, sink);
                    length + 1
                }
            };
        }
        self.places = places;
        lines
    }

    /// Scans the lines of a piece, by its special bytes' places. `rest` begins with the piece, `offset` is where. The last
    /// place is that of the piece's last newline.
    #[inline]
    fn piece(
        &mut self,
        rest: &[u8],
        offset: usize,
        mut places: &[u16],
        lines: &mut Lines,
        sink: &mut impl Sink,
    ) {
        let mut start = 0;
        while !places.is_empty() {
            if let Some(at) = places.first_chunk::<PLACES>()
                && let Some((record, name)) = self.shape.read(rest, start, at)
            {
                let near = rest.get(name..).and_then(<[u8]>::first_chunk);
                let taken = match near {
                    Some(near) if record.name.len() <= near.len() => {
                        sink.near(lines.total, &record, near)
                    }
                    _ => sink.record(lines.total, &record),
                };
                if taken {
                    lines.total += 1;
                    lines.queries += 1;
                    start = usize::from(at[PLACES - 1]) + 1;
                    places = places.get(PLACES..).unwrap_or_default();
                    continue;
                }
            }
            let is_end = |place: &u16| rest.get(usize::from(*place)) == Some(&b'\n');
            let Some(end) = places.iter().position(is_end) else { return };
            let (mine, later) = places.split_at(end + 1);
            let end = mine.last().map_or(start, |end| usize::from(*end));
            self.line(rest.get(start..end).unwrap_or_default(), offset + start, lines, sink);
            (start, places) = (end + 1, later);
        }
    }

    /// Scans a window of one line that is longer than a window; `last` if the window ends with the line. Returns how many
    /// bytes are done with: the rest (at most 8 KiB) must begin the next window. Counts the line on its last window.
    ///
    /// A window should be 16 KiB or longer. The records and counts are those that [`Scanner::lines`] gives for the whole
    /// line; only a time may be missing, where a JSON object that states it ends more than 8 KiB behind the record. A custom
    /// format is not looked for. Rejects carry line 0 and offset 0: the caller knows where the line stands.
    pub fn part(
        &mut self,
        window: &[u8],
        last: bool,
        sink: &mut impl Sink,
        lines: &mut Lines,
    ) -> usize {
        if !self.long {
            self.general.begin(0, 0);
        }
        self.long = !last;
        let done = self.general.window(window, last, &mut self.clock, sink);
        if last {
            self.general.finish(None, lines, sink);
        }
        done
    }

    /// A line of another shape.
    fn line(&mut self, line: &[u8], offset: usize, lines: &mut Lines, sink: &mut impl Sink) {
        if self.how != How::General
            && let Some(record) = fast::read(line, &mut self.clock)
            && sink.record(lines.total, &record)
        {
            lines.total += 1;
            lines.queries += 1;
        } else {
            self.odd_line(line, offset, lines, sink);
        }
    }

    #[cold]
    fn odd_line(&mut self, line: &[u8], offset: usize, lines: &mut Lines, sink: &mut impl Sink) {
        let number = lines.total;
        if let Some(format) = self.format.clone()
            && line.len() <= WINDOW
            && custom::records(&format, line, number, &mut self.clock, sink)
        {
            lines.total += 1;
            lines.queries += 1;
            return;
        }
        self.general.begin(number, offset);
        let mut rest = line;
        while rest.len() > WINDOW {
            let (window, _) = rest.split_at(WINDOW);
            let done = self.general.window(window, false, &mut self.clock, sink);
            rest = rest.get(done..).unwrap_or_default();
        }
        self.general.window(rest, true, &mut self.clock, sink);
        self.general.finish(Some(line), lines, sink);
    }
}
