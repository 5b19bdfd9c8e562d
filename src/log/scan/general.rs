//! The scanner for every line: it detects no wrappers. It looks for the core of a query (`TYPE CLASS NAME udp …`) anywhere in a
//! line, reads on from there to both sides, and goes on behind it; a line may hold thousands.
//!
//! One pass over the blanks. What is looked at around a blank is bounded, except for a name, and names do not overlap: so the
//! cost is linear, whatever the line holds.

use super::super::record::{Kind, QType, Record};
use super::super::{Lines, Reason};
use super::clock::Clock;
use super::head::{self, Head};
use super::json::Json;
use super::quoted::{self, Reader};
use super::{RECORD, Reject, Sink, core, known, when};
use crate::time::Time;

/// How far left of a client its time, and its string's beginning, are looked for.
pub(super) const LEFT: usize = 512;

/// What must be seen right of a blank to know whether it matters, unless the line ends.
const AHEAD: usize = 256;

/// How many broken pieces are kept until it is known whether the line holds a record, and how much of each. The rest of
/// them is only counted.
const KEPT: usize = 64;
const TEXT: usize = 300;

/// Reads one line at a time, in one window or in several.
#[derive(Debug, Default)]
pub(super) struct General {
    pub(super) line: Line,
    pub(super) json: Json,
    /// Broken pieces, while there is no record: the reason of each, and its text's end in `texts`.
    broken: Vec<(Reason, usize)>,
    texts: Vec<u8>,
    /// Scratch.
    pub(super) name: Vec<u8>,
    pub(super) client: Vec<u8>,
}

/// The line that is being read. Places are counted from its start.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Its number, and its first byte in what is scanned.
    pub number: u64,
    offset: usize,
    /// Where the window begins.
    base: u64,
    /// Whether the window ends with the line.
    last: bool,
    /// What lies before this was looked at.
    walked: u64,
    /// No client starts before this.
    floor: u64,
    /// The time at its start.
    pub time: Option<Time>,
    pub has_record: bool,
    fragments: u64,
    /// Broken pieces that were not kept.
    unkept: u64,
    /// Whether it looks like a custom format.
    unknown: bool,
}

/// What came of looking at a blank.
enum Step {
    /// Go on here.
    To(usize),
    /// A record that begins here goes on behind the window.
    Wait(usize),
}

impl General {
    /// Begins a line.
    pub(super) fn begin(&mut self, number: u64, offset: usize) {
        self.line = Line { number, offset, ..Line::default() };
        self.json.clear();
        self.broken.clear();
        self.texts.clear();
    }

    /// Reads the line's next window, and says how much of it is done with.
    pub(super) fn window(
        &mut self,
        window: &[u8],
        last: bool,
        clock: &mut Clock,
        sink: &mut impl Sink,
    ) -> usize {
        self.line.last = last;
        if self.line.base == 0 {
            self.line.time = when::at_start(window, clock);
        }
        // What begins behind `stop` is the next window's, which begins at `keep`.
        let oldest = window.len().saturating_sub(RECORD);
        let mut stop = if last { window.len() } else { window.len().saturating_sub(AHEAD) };
        let mut keep = stop.saturating_sub(LEFT);
        if !last || memchr::memmem::find(window, b"client_ip").is_some() {
            self.json.read(window, self.line.base, stop, clock);
        }
        if !last && let Some(open) = self.json.open_since(self.line.there(oldest)) {
            stop = stop.min(self.line.here(open));
            keep = keep.min(stop);
        }

        let mut at = self.line.here(self.line.walked);
        while at < stop {
            let blank = memchr::memchr(b' ', window.get(at..stop).unwrap_or_default());
            let blank = blank.map_or(stop, |blank| at + blank);
            if let Some(query) = self.json.query_in(self.line.there(at)..self.line.there(blank)) {
                self.line.floor = query.place.end;
                at = self.line.here(query.place.end);
                self.structured(window, &query, sink);
                continue;
            }
            if blank == stop {
                at = stop;
                break;
            }
            match self.look(window, blank, clock, sink) {
                Step::To(next) => at = next,
                Step::Wait(start) => {
                    keep = keep.min(start.saturating_sub(LEFT));
                    at = blank;
                    break;
                }
            }
        }

        let line = &mut self.line;
        if !line.has_record && self.broken.is_empty() && !line.unknown {
            line.unknown = known::holds_unknown(window, line.here(line.walked)..stop);
        }
        line.walked = line.there(at);
        let done = if last { window.len() } else { keep.max(oldest) };
        line.base += done as u64;
        if !last {
            self.json.forget(line.base);
        }
        done
    }
}

impl General {
    /// Looks at what stands around a blank.
    fn look(
        &mut self,
        window: &[u8],
        blank: usize,
        clock: &mut Clock,
        sink: &mut impl Sink,
    ) -> Step {
        super::step();
        let next = Step::To(blank + 1);
        match window.get(blank + 1) {
            Some(b'-') => {
                let torn =
                    head::right_of(window, blank + 1).filter(|start| !is_typed(window, *start));
                if let Some(start) = torn {
                    let from = blank - head::run_before(&window[..blank]).len();
                    self.broken(Reason::Malformed, window, from, start, sink);
                }
                next
            }
            Some(b'I' | b'C' | b'H' | b'N' | b'A') => match class_end(window, blank + 1) {
                Some(end) => self.candidate(window, blank, end, clock, sink).unwrap_or(next),
                None => next,
            },
            _ => next,
        }
    }

    /// Reads the query whose class stands behind this blank, if it is one. `right` is behind the class and its blank.
    fn candidate(
        &mut self,
        window: &[u8],
        blank: usize,
        right: usize,
        clock: &mut Clock,
        sink: &mut impl Sink,
    ) -> Option<Step> {
        let qtype = type_before(window, blank)?;
        let (mut style, quote) = quoted::opening(window, blank - qtype.len());
        if style.bare {
            style.depth = depth_of_text(window, quote);
        }
        let head = head::read(window, quote, self.line.here(self.line.floor));
        let start = head.map_or(quote, |head| head.start);

        let limit = start + RECORD;
        let mut reader = Reader::new(window, right, limit, style);
        let core = core::read(&mut reader, style, &mut self.name);
        if reader.limited && limit > window.len() && !self.line.last {
            return Some(Step::Wait(start));
        }

        let is_head = head.is_some_and(|head| !style.bare && (head.has_id || head.when.is_some()));
        let is_core = core.map_or_else(|miss| miss.core, |_| true);
        if !is_head && !is_core {
            return None;
        }
        let (end, floor) = match core {
            Ok(core) => (core.end, core.floor),
            Err(miss) => (blank + 1, miss.floor),
        };
        let last_end = self.line.here(self.line.floor);
        self.line.floor = self.line.there(floor);
        let wrong = match (head, core) {
            _ if reader.limited && limit <= window.len() => Reason::TooLong,
            (Some(head), Ok(core)) if head.has_id || !style.bare => match head.client {
                Ok(client) => {
                    let time = self.time(window, &head, style.depth, last_end, clock);
                    let kind = Kind { qtype: QType::of(qtype), rcode: core.rcode };
                    let record = Record { client, name: &self.name, kind, time };
                    if sink.record(self.line.number, &record) {
                        self.found(sink);
                        return Some(Step::To(end));
                    }
                    Reason::BadAddress
                }
                Err(reason) => reason,
            },
            _ => Reason::Malformed,
        };
        self.broken(wrong, window, start, end.max(reader.at), sink);
        Some(Step::To(end))
    }

    /// The record's time: its own, else one that stands before it, else one that the JSON around it states. `floor` is
    /// where the last record ended.
    fn time(
        &mut self,
        window: &[u8],
        head: &Head<'_>,
        depth: u8,
        floor: usize,
        clock: &mut Clock,
    ) -> Option<Time> {
        if head.when.is_some() {
            return head.when;
        }
        let mut left = window.get(floor.max(head.start.saturating_sub(LEFT))..head.start)?;
        let mut begins = None;
        if depth > 0 {
            let quote = memchr::memrchr(b'"', left).map(|quote| quote + 1);
            let line = memchr::memmem::rfind(left, b"\\n").map(|escape| escape + 2);
            begins = quote.max(line).and_then(|begins| left.get(begins..));
            left = begins.unwrap_or(left);
        }
        let before = when::before(left, clock)
            .or_else(|| begins.and_then(|text| when::at_start(text, clock)))
            .or_else(|| self.line.time.filter(|_| !self.line.has_record));
        if before.is_some() || depth == 0 {
            return before;
        }
        if self.line.last {
            self.json.read(window, self.line.base, window.len(), clock);
        }
        self.json.time_at(self.line.there(head.start))
    }

    /// There is a record on this line: what was broken before it is a fragment.
    pub(super) fn found(&mut self, sink: &mut impl Sink) {
        if std::mem::replace(&mut self.line.has_record, true) {
            return;
        }
        let mut from = 0;
        self.line.fragments = self.line.unkept;
        for (reason, to) in self.broken.drain(..) {
            let text = self.texts.get(from..to).unwrap_or_default();
            sink.reject(&self.line.reject(reason, true, text));
            self.line.fragments += 1;
            from = to;
        }
    }

    /// Something here is broken.
    pub(super) fn broken(
        &mut self,
        reason: Reason,
        window: &[u8],
        from: usize,
        to: usize,
        sink: &mut impl Sink,
    ) {
        let text = window.get(from..to.min(from + TEXT)).unwrap_or_default();
        if self.line.has_record {
            self.line.fragments += 1;
            sink.reject(&self.line.reject(reason, true, text));
        } else if self.broken.len() < KEPT {
            self.texts.extend_from_slice(text);
            self.broken.push((reason, self.texts.len()));
        } else {
            self.line.unkept += 1;
        }
    }

    /// Ends the line, and counts it. `whole` is its text, if that is at hand.
    pub(super) fn finish(&mut self, whole: Option<&[u8]>, lines: &mut Lines, sink: &mut impl Sink) {
        lines.total += 1;
        lines.fragments += self.line.fragments;
        if self.line.has_record {
            lines.queries += 1;
            return;
        }
        let first = self.broken.first();
        let reason = first.map(|(reason, _)| *reason);
        let Some(reason) = reason.or(self.line.unknown.then_some(Reason::UnknownFormat)) else {
            lines.other += 1;
            return;
        };
        if let Some(count) = lines.rejected.get_mut(reason as usize) {
            *count += 1;
        }
        let piece = first.and_then(|(_, end)| self.texts.get(..*end)).unwrap_or_default();
        sink.reject(&self.line.reject(reason, false, whole.unwrap_or(piece)));
    }
}

impl Line {
    fn there(&self, at: usize) -> u64 {
        self.base + at as u64
    }

    /// Where in the window a place in the line lies.
    pub(super) fn here(&self, place: u64) -> usize {
        usize::try_from(place.saturating_sub(self.base)).unwrap_or(usize::MAX)
    }

    fn reject<'a>(&self, reason: Reason, fragment: bool, text: &'a [u8]) -> Reject<'a> {
        Reject { line: self.number, offset: self.offset, reason, fragment, text }
    }
}

/// The text of the type before this blank.
fn type_before(window: &[u8], blank: usize) -> Option<&[u8]> {
    let left = window.get(..blank)?;
    let is = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'-';
    let length = left.iter().rev().take(TYPE + 1).take_while(is).count();
    let (before, mut qtype) = left.split_at_checked(blank - length)?;
    if before.ends_with(b"\\") {
        // The quote before it may be written by its number.
        qtype = qtype.strip_prefix(b"u0022").unwrap_or(qtype);
    }
    (length <= TYPE && qtype.first()?.is_ascii_uppercase()).then_some(qtype)
}

/// The longest text of a type, and then some.
const TYPE: usize = 20;

/// The end of the class, and of the blank behind it, if one begins here.
fn class_end(window: &[u8], at: usize) -> Option<usize> {
    let rest = window.get(at..window.len().min(at + 12))?;
    let (class, _) = rest.split_at(memchr::memchr(b' ', rest)?);
    let known = match class {
        b"IN" | b"CH" | b"HS" | b"CS" | b"NONE" | b"ANY" => true,
        [b'C', b'L', b'A', b'S', b'S', number @ ..] => {
            !number.is_empty() && number.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    known.then_some(at + class.len() + 1)
}

/// Whether a type stands here, and a class behind it.
fn is_typed(window: &[u8], at: usize) -> bool {
    let end = at + TYPE + 1;
    let rest = window.get(at..window.len().min(end)).unwrap_or_default();
    let blank = memchr::memchr(b' ', rest).map(|blank| at + blank);
    blank.is_some_and(|blank| {
        type_before(window, blank).is_some_and(|qtype| qtype.len() == blank - at)
            && class_end(window, blank + 1).is_some()
    })
}

/// How many JSON strings a text without quotes of its own lies in: the last quote before it began the innermost.
fn depth_of_text(window: &[u8], at: usize) -> u8 {
    let left = window.get(at.saturating_sub(LEFT)..at).unwrap_or_default();
    memchr::memrchr(b'"', left).map_or(0, |quote| {
        let slashes = quoted::slashes(left.get(..quote).unwrap_or_default());
        slashes.trailing_ones() as u8 + 1
    })
}
