//! Whole chunks of log → records, rejects and line counts. (SEMANTICS 2, LOG_FORMATS 7.)
//!
//! `shape` reads the default line at its special bytes' places, `fast` in one walk what that refuses. Whatever both refuse,
//! `general` reads: any generation, in any wrapper, with several records a line, torn or glued. It refuses nothing: what it
//! cannot read, it counts.

mod clock;
mod core;
mod custom;
mod fast;
mod general;
mod head;
mod json;
mod known;
mod lanes;
mod quoted;
mod shape;
mod structured;
#[cfg(test)]
mod tests;
mod when;

use std::sync::Arc;

use self::clock::Clock;
use self::general::General;
use self::shape::{Line, ROOM, Room, Shape};
use super::format::Format;
use super::places::{Marks, PIECE, soon};
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
    marks: Option<Marks>,
    /// Where the last pieces of the bytes are copied to, so that there is room behind them.
    room: Vec<u8>,
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

/// The piece, and room behind it.
#[cold]
fn copied<'s>(piece: &[u8], spare: &'s mut Vec<u8>) -> Option<&'s Room> {
    spare.resize(ROOM, 0);
    spare.get_mut(..piece.len())?.copy_from_slice(piece);
    spare.first_chunk()
}

impl Scanner {
    /// A scanner for the default formats, and before them for a custom one.
    pub fn new(format: Option<Arc<Format>>, how: How) -> Scanner {
        let how = if format.is_some() { How::General } else { how };
        Scanner {
            format,
            how,
            clock: Clock::default(),
            marks: None,
            room: Vec::new(),
            shape: Shape::default(),
            general: General::default(),
            long: false,
        }
    }

    /// Scans bytes that begin at a line's start and end behind a newline or at the input's end.
    pub fn lines(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Lines {
        let mut lines = Lines::default();
        let mut offset = 0;
        let mut marks = match self.how {
            How::General => None,
            how => Some(self.marks.take().unwrap_or_else(|| Marks::new(how == How::Fast))),
        };
        let mut spare = std::mem::take(&mut self.room);
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            let near = rest.get(..PIECE).unwrap_or(rest);
            let found = marks.as_mut().and_then(|marks| Some((marks.find(near)?, marks)));
            offset += match found {
                Some((length, marks)) => {
                    let piece = near.get(..length).unwrap_or_default();
                    if let Some(room) = rest.first_chunk().or_else(|| copied(piece, &mut spare)) {
                        self.piece(room, offset, marks, &mut lines, sink);
                    }
                    length
                }
                None => {
                    let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                    self.line(rest.get(..length).unwrap_or(rest), offset, &mut lines, sink);
                    length + 1
                }
            };
        }
        (self.marks, self.room) = (marks, spare);
        lines
    }

    /// Scans the lines of the piece that begins the room, by its marks. `offset` is where it begins. The last mark is that
    /// of the piece's last newline.
    #[inline(always)]
    fn piece(
        &mut self,
        room: &Room,
        offset: usize,
        marks: &Marks,
        lines: &mut Lines,
        sink: &mut impl Sink,
    ) {
        let (mut start, mut nth) = (0_u16, 0);
        while nth < marks.len() {
            // A line further on there will be another piece; its bytes come from memory while these are read.
            let later = room.get(usize::from(start) + PIECE..).unwrap_or_default();
            for byte in later.iter().take(192).step_by(64) {
                soon(byte);
            }
            if let Some(line) = self.shape.read(room, start, marks, nth, &mut self.clock) {
                let Line { record, name, marks: length } = line;
                let taken = match record.name.len() <= name.len() {
                    true => sink.near(lines.total, &record, name),
                    false => sink.record(lines.total, &record),
                };
                if taken {
                    lines.total += 1;
                    lines.queries += 1;
                    nth += length;
                    start = marks.place(nth - 1).wrapping_add(1);
                    continue;
                }
            }
            let Some(length) = marks.line(nth) else { return };
            let end = marks.place(nth + length);
            let from = usize::from(start);
            let line = room.get(from..usize::from(end)).unwrap_or_default();
            self.line(line, offset + from, lines, sink);
            (start, nth) = (end.wrapping_add(1), nth + length + 1);
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
