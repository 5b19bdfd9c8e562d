//! The JSON that wraps records: which objects and arrays hold which bytes of a line, the time that each of them states, and
//! the queries that CoreDNS itself writes as JSON. One pass, no recursion, no copy.
//!
//! It reads what is there: junk before an object, objects in strings of objects, torn and glued ones. What is not JSON is
//! text, and text is not its business. A name in a query log can never pose as an object here: CoreDNS escapes the quotes in
//! names, so that they never stand at the depth at which the next object would have to begin.

use super::clock::{self, Clock};
use super::quoted::slashes;
use crate::time::Time;

/// Reads one line, in as many windows as it comes in. All places are counted from the line's start.
#[derive(Debug, Default)]
pub(super) struct Json {
    /// What is read next.
    at: u64,
    /// The objects and arrays that are open, outermost first.
    open: Vec<Open>,
    /// Those that state a time, and those that hold them, in order of their starts.
    timed: Vec<Timed>,
    /// CoreDNS's own JSON, in order.
    pub queries: Vec<Query>,
}

/// One lookup as CoreDNS logs it with `-log-format=json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// Its object.
    pub place: Span,
    /// How many JSON strings its object lies in.
    pub depth: u8,
    /// Its own time.
    pub time: Option<Time>,
    /// Its fields.
    pub fields: Fields,
}

/// The raw values of a [`Query`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    /// Whether `plugin` is `log`.
    log: bool,
    /// `client_ip`
    pub client: Option<Span>,
    /// `qname`
    pub name: Option<Span>,
    /// `qtype`
    pub qtype: Option<Span>,
    /// `rcode`, unless it is `null`.
    pub rcode: Option<Span>,
    /// `rcode` is `null`: there was no reply.
    pub no_reply: bool,
}

/// Bytes of the line, from and to.
pub(super) type Span = std::ops::Range<u64>;

#[derive(Debug)]
struct Open {
    start: u64,
    depth: u8,
    array: bool,
    expect: Expect,
    /// Where the string began that is being read.
    string: Option<u64>,
    key: Key,
    /// The time it states, and the rank of the key that does.
    time: Option<(u8, Time)>,
    fields: Fields,
    timed: usize,
}

#[derive(Debug)]
struct Timed {
    start: u64,
    end: u64,
    parent: Option<usize>,
    time: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    KeyOrEnd,
    Key,
    Colon,
    FirstOrEnd,
    Value,
    CommaOrEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Time(u8),
    Plugin,
    Client,
    Name,
    Type,
    Rcode,
    Other,
}

/// Keys that state a time; where an object has several, the first of these counts.
const TIMES: [&[u8]; 7] = [
    b"time",
    b"timestamp",
    b"@timestamp",
    b"ts",
    b"date",
    b"timeUnixNano",
    b"__REALTIME_TIMESTAMP",
];

/// How many objects may be open at once.
const NESTED: usize = 64;

impl Json {
    /// Forgets the line.
    pub(super) fn clear(&mut self) {
        self.at = 0;
        self.open.clear();
        self.timed.clear();
        self.queries.clear();
    }

    /// Goes on reading up to `until` in a window that begins `base` bytes into the line. Some bytes behind `until` should
    /// be there to look at, unless the line ends.
    pub(super) fn read(&mut self, window: &[u8], base: u64, until: usize, clock: &mut Clock) {
        let mut at = usize::try_from(self.at.saturating_sub(base)).unwrap_or(until);
        while at < until {
            super::step();
            at = match self.open.last() {
                Some(top) if top.string.is_none() => self.structure(window, base, at),
                _ => self.text(window, base, at, until, clock),
            };
        }
        self.at = base + at as u64;
    }

    /// The innermost stated time among the objects and arrays that hold this byte.
    pub(super) fn time_at(&self, place: u64) -> Option<Time> {
        let mut next = self.timed.partition_point(|held| held.start <= place).checked_sub(1);
        while let Some((index, held)) = next.and_then(|i| Some((i, self.timed.get(i)?))) {
            super::step();
            let open = || self.open.iter().find(|open| open.timed == index)?.time;
            let time = held.time.or_else(|| open().map(|(_, time)| time));
            if place < held.end && time.is_some() {
                return time;
            }
            next = held.parent;
        }
        None
    }

    /// The first query that begins there.
    pub(super) fn query_in(&self, place: Span) -> Option<Query> {
        let from = self.queries.partition_point(|query| query.place.start < place.start);
        self.queries.get(from).filter(|query| query.place.start < place.end).cloned()
    }

    /// Where the outermost of the objects began that are still open and began at `since` or later.
    pub(super) fn open_since(&self, since: u64) -> Option<u64> {
        self.open.iter().map(|open| open.start).find(|start| *start >= since)
    }

    /// Forgets what ended before this.
    pub(super) fn forget(&mut self, before: u64) {
        self.queries.retain(|query| query.place.end > before);
        let mut moved = vec![None; self.timed.len()];
        let (mut from, mut to) = (0, 0);
        self.timed.retain_mut(|held| {
            super::step();
            let keep = held.end > before;
            if keep {
                // A parent ends later than its child, so it was kept too.
                held.parent = held.parent.and_then(|parent| moved.get(parent).copied().flatten());
                if let Some(slot) = moved.get_mut(from) {
                    *slot = Some(to);
                }
                to += 1;
            }
            from += 1;
            keep
        });
        for open in &mut self.open {
            open.timed = moved.get(open.timed).copied().flatten().unwrap_or(usize::MAX);
        }
    }

    /// Outside of objects, and in strings: on to the next object that begins, or to the string's end.
    fn text(
        &mut self,
        window: &[u8],
        base: u64,
        at: usize,
        until: usize,
        clock: &mut Clock,
    ) -> usize {
        let rest = window.get(at..until).unwrap_or_default();
        let depth = self.open.last().map(|top| top.depth);
        let found = match depth {
            None => memchr::memchr2(b'{', b'[', rest),
            Some(_) => memchr::memchr3(b'"', b'{', b'[', rest),
        };
        let Some(at) = found.map(|found| at + found) else { return until };
        match (window.get(at), depth) {
            (Some(b'"'), Some(depth)) => {
                let level = level(window, at);
                if level == depth {
                    let end = (at + 1).saturating_sub(1 << depth);
                    self.string_ends(window, base, end, clock);
                } else if level < depth {
                    // The string that holds this object ends here, and so it is torn.
                    self.tear(base + at as u64, |open| open.depth > level);
                    return at;
                }
            }
            (Some(byte), _) => {
                let inner = depth.map_or(0, |depth| depth + 1);
                if self.open.len() < NESTED && begins(window, at, inner) {
                    self.push(base + at as u64, inner, *byte == b'[');
                }
            }
            _ => {}
        }
        at + 1
    }

    /// Between the strings of an object.
    fn structure(&mut self, window: &[u8], base: u64, at: usize) -> usize {
        let full = self.open.len() >= NESTED;
        let rest = window.get(at..).unwrap_or_default();
        let (Some(top), Some(byte)) = (self.open.last_mut(), rest.first()) else { return at + 1 };
        let depth = top.depth;
        let place = base + at as u64;
        match (byte, top.expect) {
            (b' ' | b'\t' | b'\r', _) => return at + 1,
            (b'\\', _) if depth > 0 => {
                let slashes = rest.iter().take_while(|b| **b == b'\\').count();
                let escape = matches!(rest.get(slashes), Some(b'n' | b'r' | b't'));
                return at + slashes + usize::from(escape);
            }
            (b'"', expect) => {
                let level = level(window, at);
                if level < depth {
                    self.tear(place, |open| open.depth > level);
                    return at;
                }
                if level == depth && !matches!(expect, Expect::Colon | Expect::CommaOrEnd) {
                    top.string = Some(place + 1);
                    return at + 1;
                }
            }
            (b'{' | b'[', Expect::Value | Expect::FirstOrEnd) if !full => {
                self.push(place, depth, *byte == b'[');
                return at + 1;
            }
            (b'}', Expect::KeyOrEnd | Expect::CommaOrEnd) if !top.array => {
                self.close(place + 1, true);
                return at + 1;
            }
            (b']', Expect::FirstOrEnd | Expect::CommaOrEnd) if top.array => {
                self.close(place + 1, true);
                return at + 1;
            }
            (b',', Expect::CommaOrEnd) => {
                top.expect = if top.array { Expect::Value } else { Expect::Key };
                return at + 1;
            }
            (b':', Expect::Colon) => {
                top.expect = Expect::Value;
                return at + 1;
            }
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', Expect::Value | Expect::FirstOrEnd) => {
                let is = |b: &&u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
                let literal = rest.iter().take_while(is).count();
                let literal = rest.get(..literal).unwrap_or_default();
                match (top.key, top.array) {
                    (Key::Rcode, false) if literal == b"null" => top.fields.no_reply = true,
                    _ => top.state(clock::epoch(literal)),
                }
                top.expect = Expect::CommaOrEnd;
                return at + literal.len();
            }
            _ => {}
        }
        // No JSON after all: text, from here on.
        self.tear(place, |open| open.depth >= depth);
        at
    }

    fn string_ends(&mut self, window: &[u8], base: u64, end: usize, clock: &mut Clock) {
        let Some(top) = self.open.last_mut() else { return };
        let Some(start) = top.string.take() else { return };
        let span = start..base + end as u64;
        // A string that began before this window is no key and no time.
        let from = start.checked_sub(base).and_then(|from| usize::try_from(from).ok());
        let text = from.and_then(|from| window.get(from..end)).unwrap_or_default();
        let value = !matches!(top.expect, Expect::KeyOrEnd | Expect::Key);
        top.expect = if value { Expect::CommaOrEnd } else { Expect::Colon };
        if !value {
            top.key = Key::of(text);
            return;
        }
        match top.key {
            _ if top.array => top.state(clock::epoch(text)),
            Key::Time(_) => top.state(clock.exactly(text).or_else(|| clock::epoch(text))),
            Key::Plugin => top.fields.log = text == b"log",
            Key::Client => top.fields.client = Some(span),
            Key::Name => top.fields.name = Some(span),
            Key::Type => top.fields.qtype = Some(span),
            Key::Rcode => top.fields.rcode = Some(span),
            Key::Other => {}
        }
    }

    fn push(&mut self, start: u64, depth: u8, array: bool) {
        let mut parent = None;
        if let Some(top) = self.open.last_mut() {
            parent = Some(top.timed);
            if top.string.is_none() {
                top.expect = Expect::CommaOrEnd;
                // Only an array's first value can be its time.
                top.key = Key::Other;
            }
        }
        self.timed.push(Timed { start, end: u64::MAX, parent, time: None });
        self.open.push(Open {
            start,
            depth,
            array,
            expect: if array { Expect::FirstOrEnd } else { Expect::KeyOrEnd },
            string: None,
            key: if array { Key::Time(0) } else { Key::Other },
            time: None,
            fields: Fields::default(),
            timed: self.timed.len() - 1,
        });
    }

    fn close(&mut self, end: u64, whole: bool) {
        let Some(open) = self.open.pop() else { return };
        let time = open.time.map(|(_, time)| time);
        if let Some(held) = self.timed.get_mut(open.timed) {
            held.end = end;
            held.time = time;
            // What states no time and holds nothing that does, nobody will ask for.
            if time.is_none() && open.timed + 1 == self.timed.len() {
                self.timed.pop();
            }
        }
        let short = end - open.start <= super::RECORD as u64;
        if whole && short && open.fields.log && open.fields.client.is_some() {
            // A collector may keep the original beside the fields it parsed out of it.
            while self.queries.pop_if(|inner| inner.place.start > open.start).is_some() {}
            let place = open.start..end;
            self.queries.push(Query { place, depth: open.depth, time, fields: open.fields });
        }
    }

    /// Ends the innermost objects, as far as they are such, without their being complete.
    fn tear(&mut self, end: u64, torn: impl Fn(&Open) -> bool) {
        while self.open.last().is_some_and(&torn) {
            self.close(end, false);
        }
    }
}

impl Open {
    /// States a time, if the key is one for that and no better one has.
    fn state(&mut self, time: Option<Time>) {
        if let (Key::Time(rank), Some(time)) = (self.key, time)
            && self.time.is_none_or(|(best, _)| rank < best)
        {
            self.time = Some((rank, time));
        }
        self.key = Key::Other;
    }
}

impl Key {
    fn of(text: &[u8]) -> Key {
        if let Some(rank) = TIMES.iter().position(|key| *key == text) {
            return Key::Time(rank as u8);
        }
        match text {
            b"plugin" => Key::Plugin,
            b"client_ip" => Key::Client,
            b"qname" => Key::Name,
            b"qtype" => Key::Type,
            b"rcode" => Key::Rcode,
            _ => Key::Other,
        }
    }
}

/// How many JSON strings deep this quote delimits: the backslashes before it, read as a binary number, end in as many ones.
fn level(window: &[u8], quote: usize) -> u8 {
    slashes(window.get(..quote).unwrap_or_default()).trailing_ones() as u8
}

/// Whether an object or array of this depth begins here: the next quote must be of that depth, and only what may
/// stand before an object's first key or an array's first string may stand before it.
fn begins(window: &[u8], at: usize, depth: u8) -> bool {
    if depth > super::quoted::DEEPEST {
        return false;
    }
    let rest = window.get(at..).unwrap_or_default();
    let lead = |b: &&u8| matches!(b, b'{' | b'[' | b' ' | b'0'..=b'9' | b'.' | b',');
    let lead = rest.iter().take(32).take_while(lead).count();
    let rest = rest.get(lead..).unwrap_or_default();
    let slashes = rest.iter().take(64).take_while(|b| **b == b'\\').count();
    slashes + 1 == 1 << depth && rest.get(slashes) == Some(&b'"')
}

#[cfg(test)]
mod tests;
