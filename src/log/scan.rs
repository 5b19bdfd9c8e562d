//! Whole chunks of log → records, rejects and line counts. (SEMANTICS 2, LOG_FORMATS 7.)

use std::sync::Arc;

use super::format::Format;
use super::record::Record;
use super::{Lines, Reason};

/// What becomes of what a [`Scanner`] finds.
pub trait Sink {
    /// A record on the given line (counted from 0 in the scanned bytes). `false`: the client's text is no IP address,
    /// and the record was not taken; the scanner then accounts for the line.
    fn record(&mut self, line: u64, record: &Record<'_>) -> bool;
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

/// Reads lines. Keeps only caches (the last minute's time, a scratch buffer), so that any split of the same bytes at
/// newlines gives the same records.
#[derive(Debug, Default)]
pub struct Scanner {
    format: Option<Arc<Format>>,
}

impl Scanner {
    /// A scanner for the default formats, and before them for a custom one.
    pub fn new(format: Option<Arc<Format>>) -> Scanner {
        Scanner { format }
    }

    /// Scans bytes that begin at a line's start and end behind a newline or at the input's end.
    pub fn lines(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Lines {
        let _ = (bytes, sink, &self.format);
        todo!()
    }

    /// Scans a window of one line that is longer than a window; `last` if the window ends with the line. Returns how many
    /// bytes are done with: the rest (at most 8 KiB) must begin the next window. Counts the line on its last window.
    pub fn part(
        &mut self,
        window: &[u8],
        last: bool,
        sink: &mut impl Sink,
        lines: &mut Lines,
    ) -> usize {
        let _ = (window, last, sink, lines);
        todo!()
    }
}
