//! The line that nearly every log is made of, read at the places where its special bytes stand:
//!
//! ```text
//! [INFO] 10.244.0.9:40312 - 4713 "A IN redis.cache.svc.cluster.local. udp 47 false 512" NOERROR qr,aa,rd 104 0.000148532s
//!       ^                ^ ^    ^^ ^  ^                              ^   ^  ^     ^   ^^       ^        ^   ^            ^
//!       0                1 2   34  5  6                              7   8  9    10  11 12    13       14  15           16
//! ```
//!
//! bare, behind an RFC 3339 time (`kubectl logs --timestamps`), behind a CRI prefix, and in Docker's json-file. It is an
//! optimisation and nothing else: what is in any way odd is `None`, and is read by those behind it. A property test holds
//! all of them equal.
//!
//! The cost model: what costs is instructions and mispredicted branches, not bytes. So no field's end is searched for, and
//! no branch hangs on a length. The marks and the distances between them are compared as a few wide values, what must
//! stand between them as words; whatever differs is gathered in `odd`, and asked for once.

use super::super::places::Marks;
use super::super::record::{Kind, QType, Rcode, Record};
use super::clock::Clock;
use super::lanes::{Lanes, others};

/// Bytes from a piece's start on, so many that whatever place a mark names, the bytes around it are there.
pub(super) type Room = [u8; ROOM];
pub(super) const ROOM: usize = (1 << 16) + 128;

/// A line that was read.
pub(super) struct Line<'a> {
    pub(super) record: Record<'a>,
    /// The name, and what stands behind it.
    pub(super) name: &'a [u8; 64],
    /// How many marks the line has; the last one is its newline.
    pub(super) marks: usize,
}

/// Reads lines; remembers what types and response codes mean.
#[derive(Debug, Default)]
pub(super) struct Shape {
    kinds: Kinds,
}

impl Shape {
    /// Reads the line that begins at `start`, with the `nth` mark.
    #[inline(always)]
    pub(super) fn read<'a>(
        &mut self,
        room: &'a Room,
        start: u16,
        marks: &Marks,
        nth: usize,
        clock: &mut Clock,
    ) -> Option<Line<'a>> {
        match room[usize::from(start)] {
            b'[' => self.query::<1>(room, start, marks, nth),
            b'2' => self.stamped(room, start, marks, nth, clock),
            b'{' => self.docker(room, start, marks, nth, clock),
            _ => None,
        }
    }

    /// `TIME [INFO] …` and `TIME stdout F [INFO] …`
    #[inline(always)]
    fn stamped<'a>(
        &mut self,
        room: &'a Room,
        start: u16,
        marks: &Marks,
        nth: usize,
        clock: &mut Clock,
    ) -> Option<Line<'a>> {
        let (at, byte) = marks.some::<3>(nth)?;
        let at = at.map(u16::from_le_bytes);
        let before = match room[usize::from(at[0]) + 1] {
            b's' => {
                let stream = either(word(room, at[0], 1), b"stdout F", b"stderr F");
                if !stream || *byte != *b"   " || at[2].wrapping_sub(at[0]) != 9 {
                    return None;
                }
                3
            }
            _ if byte[0] != b' ' => return None,
            _ => 1,
        };
        let info = at[before - 1].wrapping_add(1);
        let Line { record, name, marks } = self.query::<1>(room, info, marks, nth + before)?;
        let time = clock.exactly(room.get(usize::from(start)..usize::from(at[0]))?)?;
        Some(Line { record: Record { time: Some(time), ..record }, name, marks: before + marks })
    }

    /// `{"log":"[INFO] …\n","stream":"stdout","time":"TIME"}`
    #[inline(always)]
    fn docker<'a>(
        &mut self,
        room: &'a Room,
        start: u16,
        marks: &Marks,
        nth: usize,
        clock: &mut Clock,
    ) -> Option<Line<'a>> {
        // The quotes before the query and behind it, and the newline.
        const BEFORE: usize = 3;
        const BEHIND: usize = 10;
        let mut odd = Odd(0);
        odd.differs(word(room, start, 0), b"{\"log\":\"");
        let query = self.query::<2>(room, start.wrapping_add(8), marks, nth + BEFORE)?;
        let Line { record, name, marks: length } = query;
        let (at, byte) = marks.some::<{ 1 + BEHIND }>(nth + BEFORE + length - 1)?;
        let [end, .., quote, newline] = at.map(u16::from_le_bytes);
        odd.differs(word(room, end, 0), b"\\n\",\"str");
        odd.differs(word(room, end, 8), b"eam\":\"st");
        odd.note(!either(word(room, end, 16), b"dout\",\"t", b"derr\",\"t"));
        odd.differs(word(room, end, 22), b"\"time\":\"");
        odd.differs(word(room, quote, 0), b"\"}\n");
        odd.note(byte[1..] != *b"\"\"\"\"\"\"\"\"\"\n" || newline.wrapping_sub(quote) != 2);
        let length = BEFORE + length + BEHIND;
        odd.note(nth + length > marks.len());
        if odd.0 != 0 {
            return None;
        }
        let time = clock.exactly(room.get(usize::from(end) + 30..usize::from(quote))?)?;
        Some(Line { record: Record { time: Some(time), ..record }, name, marks: length })
    }

    /// The query whose `[INFO]` stands at `info`, without a time. A quote is so many marks: in JSON it is escaped.
    #[inline(always)]
    fn query<'a, const QUOTE: usize>(
        &mut self,
        room: &'a Room,
        info: u16,
        marks: &Marks,
        nth: usize,
    ) -> Option<Line<'a>> {
        let (at, byte) = marks.some::<MOST>(nth)?;
        let form = const { if QUOTE == 1 { &BARE } else { &ESCAPED } };
        let mut off = form.differs(at, byte);
        let at = at.map(u16::from_le_bytes);
        let numbers = |one: usize, two: usize| {
            let numbers = Lanes::pair(word(room, at[one], 1), word(room, at[two], 1));
            let length = |nth: usize| usize::from(at[nth + 1].wrapping_sub(at[nth] + 1) & 15);
            numbers.no_digits().and(Lanes::pair(LOW[length(one)], LOW[length(two)]))
        };
        off = off.or(numbers(2, 7 + QUOTE)).or(numbers(9 + QUOTE, 12 + 2 * QUOTE));
        if !either(word(room, at[6 + QUOTE], 0), b" udp ", b" tcp ")
            || !either(word(room, at[8 + QUOTE], 0), b" false ", b" true ")
        {
            return None;
        }
        let mut odd = Odd(0);
        odd.note(nth + form.marks > marks.len());
        odd.differs(word(room, info, 0), b"[INFO] ");
        odd.differs(word(room, at[1], 0), b" - ");
        odd.differs(word(room, at[4 + QUOTE], 0), b" IN ");

        // The port is read from its end.
        let host = info.wrapping_add(7);
        let behind = others(word(room, at[1].wrapping_sub(8), 0));
        let port = (behind.leading_zeros() / 8) as u16;
        let colon = at[1].wrapping_sub(1 + port);
        odd.note(port.wrapping_sub(1) >= 5 || room[usize::from(colon)] != b':');
        let (from, to) = if room[usize::from(host)] == b'[' {
            odd.note(room[usize::from(colon.wrapping_sub(1))] != b']');
            (host.wrapping_add(1), colon.wrapping_sub(1))
        } else {
            // One without brackets is no IPv6 address. It has 8 to 15 bytes: these are all of it.
            let all = Lanes::pair(word(room, host, 0), word(room, colon.wrapping_sub(8), 0));
            off = off.or(all.that_are(b':'));
            odd.note(colon.wrapping_sub(host) & !7 != 8);
            (host, colon)
        };
        if odd.0 != 0 || !off.is_zero() {
            return None;
        }

        let qtype = masked(room, at[3 + QUOTE], at[4 + QUOTE]);
        let rcode = masked(room, at[10 + 2 * QUOTE], at[11 + 2 * QUOTE]);
        let mut kind = self.kinds.of(qtype, rcode)?;
        let flags = at[11 + 2 * QUOTE];
        match (room[usize::from(flags) + 1], at[12 + 2 * QUOTE].wrapping_sub(flags)) {
            (b'a'..=b'z', _) | (b' ', 1) => {}
            (b'-', 2) => kind.rcode = Rcode::NO_REPLY,
            _ => return None,
        }
        let name = usize::from(at[5 + QUOTE]) + 1;
        let record = Record {
            client: room.get(usize::from(from)..usize::from(to))?,
            name: room.get(name..usize::from(at[6 + QUOTE]))?,
            kind,
            time: None,
        };
        Some(Line { record, name: room[name..].first_chunk()?, marks: form.marks })
    }
}

/// So many marks are looked at: a query's, and as many more as are compared at once.
const MOST: usize = 32;

/// The marks of a query, and how far each may be from the one before it.
struct Form {
    marks: usize,
    /// The bytes. Of the last eight only so many bits count.
    bytes: [u8; MOST],
    bits: u64,
    /// The least distances, and how much more there may be.
    least: [[u8; 2]; MOST],
    span: [[u8; 2]; MOST],
}

/// From client and port to the duration: each mark, and its least and most distance from the one before it. A name's keeps
/// the record within [`super::RECORD`].
const QUERY: [(u8, u16, u16); 17] = [
    (b' ', 0, u16::MAX),
    (b' ', 2, 60),
    (b' ', 2, 2),
    (b' ', 2, 6),
    (b'"', 1, 1),
    (b' ', 2, 9),
    (b' ', 3, 3),
    (b' ', 2, 7900),
    (b' ', 4, 4),
    (b' ', 2, 8),
    (b' ', 5, 6),
    (b'"', 2, 8),
    (b' ', 1, 1),
    (b' ', 2, 9),
    (b' ', 1, 25),
    (b' ', 2, 8),
    (b'\n', 2, 25),
];

const BARE: Form = form(false);
/// With a backslash before each quote, and one that begins the newline's escape.
const ESCAPED: Form = form(true);

const fn form(escaped: bool) -> Form {
    let (least, span) = ([[0; 2]; MOST], [[0xff; 2]; MOST]);
    let mut form = Form { marks: 0, bytes: [0; MOST], bits: 0, least, span };
    let mut i = 0;
    while i < QUERY.len() {
        let (byte, least, most) = QUERY[i];
        form = match byte {
            b'"' if escaped => form.and(b'\\', least, most).and(b'"', 1, 1),
            b'\n' if escaped => form.and(b'\\', least, most),
            _ => form.and(byte, least, most),
        };
        i += 1;
    }
    form.bits = (1 << (8 * (form.marks % 8))) - 1;
    form
}

impl Form {
    /// One mark more.
    const fn and(mut self, byte: u8, least: u16, most: u16) -> Form {
        self.bytes[self.marks] = byte;
        if let Some(before) = self.marks.checked_sub(1) {
            self.least[before] = least.to_le_bytes();
            self.span[before] = (most - least).to_le_bytes();
        }
        self.marks += 1;
        self
    }

    /// Zero if these are the marks.
    #[inline(always)]
    fn differs(&self, at: &[[u8; 2]; MOST], byte: &[u8; MOST]) -> Lanes {
        let bytes = |bytes: &[u8; MOST]| -> (Lanes, u64) {
            let [one, two, three, _] = bytes.as_chunks().0 else { unreachable!("32 bytes") };
            let [one, two, three] = [one, two, three].map(|eight| u64::from_le_bytes(*eight));
            (Lanes::pair(one, two), three & self.bits)
        };
        let ((first, last), (want, rest)) = (bytes(byte), bytes(&self.bytes));
        let mut differs = first.xor(want).or(Lanes::pair(last ^ rest, 0));
        // Behind the last mark there is anything.
        for nth in (0..self.marks - 1).step_by(8) {
            let eight = |all: &[[u8; 2]; MOST], nth: usize| {
                let sixteen = all.as_flattened()[2 * nth..].first_chunk();
                Lanes::of(sixteen.expect("more than a query's marks"))
            };
            let far = eight(at, nth + 1).above(eight(at, nth)).above(eight(&self.least, nth));
            differs = differs.or(far.over(eight(&self.span, nth)));
        }
        differs
    }
}

/// Whether anything is not as it should be: not zero.
struct Odd(u64);

impl Odd {
    #[inline(always)]
    fn note(&mut self, odd: bool) {
        self.0 |= u64::from(odd);
    }

    /// The word must begin with this text.
    #[inline(always)]
    fn differs<const N: usize>(&mut self, word: u64, want: &[u8; N]) {
        self.0 |= off(word, want);
    }
}

/// All bits of a word's first bytes.
const LOW: [u64; 16] = {
    let mut masks = [u64::MAX; 16];
    let mut i = 0;
    while i < 8 {
        masks[i] = (1 << (8 * i)) - 1;
        i += 1;
    }
    masks
};

/// Eight bytes from so far behind a place.
#[inline(always)]
fn word(room: &Room, at: u16, behind: usize) -> u64 {
    let at = usize::from(at) + behind;
    u64::from_le_bytes(*room[at..].first_chunk().expect("a room has eight bytes around any place"))
}

/// The text of at most eight bytes between two places.
#[inline(always)]
fn masked(room: &Room, before: u16, behind: u16) -> u64 {
    let length = behind.wrapping_sub(before).wrapping_sub(1);
    word(room, before, 1) & LOW[usize::from(length & 15)]
}

/// Zero if the word begins with this text.
#[inline(always)]
fn off<const N: usize>(word: u64, text: &[u8; N]) -> u64 {
    let mut want = [0; 8];
    want[..N].copy_from_slice(text);
    (word ^ u64::from_le_bytes(want)) << (64 - 8 * N)
}

/// Whether the word begins with one of these; mostly it is the first.
#[inline(always)]
fn either<const N: usize, const M: usize>(word: u64, first: &[u8; N], other: &[u8; M]) -> bool {
    off(word, first) == 0 || off(word, other) == 0
}

/// What pairs of type and response code mean, by their texts. Only those that kico has words for.
#[derive(Debug)]
struct Kinds([(u64, u64, Kind); 64]);

impl Default for Kinds {
    fn default() -> Kinds {
        Kinds([(0, 0, Kind { qtype: QType::OTHER, rcode: Rcode::OTHER }); 64])
    }
}

impl Kinds {
    #[inline(always)]
    fn of(&mut self, qtype: u64, rcode: u64) -> Option<Kind> {
        let known = &mut self.0[slot(qtype, rcode)];
        if ((known.0 ^ qtype) | (known.1 ^ rcode)) != 0 {
            *known = (qtype, rcode, kind(qtype, rcode)?);
        }
        Some(known.2)
    }
}

#[inline(always)]
fn slot(qtype: u64, rcode: u64) -> usize {
    ((qtype ^ rcode.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
}

#[cold]
fn kind(qtype: u64, rcode: u64) -> Option<Kind> {
    let [qtype, rcode] = [qtype, rcode].map(u64::to_le_bytes);
    let text = |word: &'_ [u8; 8]| word.iter().position(|b| *b == 0).unwrap_or(8);
    let qtype = QType::of(&qtype[..text(&qtype)]);
    let rcode = Rcode::of(&rcode[..text(&rcode)]);
    let known = qtype != QType::OTHER && rcode != Rcode::OTHER && rcode != Rcode::UNKNOWN;
    known.then_some(Kind { qtype, rcode })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of the line.
    fn told(line: &str) -> Option<String> {
        let mut marks = Marks::new(false);
        marks.find(line.as_bytes());
        let mut room = [0; ROOM];
        room[..line.len()].copy_from_slice(line.as_bytes());
        let read = Shape::default().read(&room, 0, &marks, 0, &mut Clock::default())?;
        assert_eq!((read.marks, &read.name[..4]), (marks.len(), &read.record.name[..4]), "{line}");
        let Record { client, name, kind: Kind { qtype, rcode }, time } = read.record;
        let [client, name] = [client, name].map(|text| std::str::from_utf8(text).unwrap());
        let time = time.map(crate::time::format).unwrap_or_default();
        Some(format!("{client} {name} {} {} {time}", qtype.text(), rcode.text()))
    }

    const CORE: &str = "[INFO] 10.244.0.9:40312 - 4713 \"A IN web.shop. udp 47 false 512\" NOERROR qr,aa,rd 104 0.000148532s";
    const TIME: &str = "2026-03-12T00:00:00.168657352Z";

    #[test]
    fn the_lines_that_it_is_for_are_read() {
        let bare = "10.244.0.9 web.shop. A NOERROR ";
        let timed = format!("{bare}{TIME}");
        let json = format!("{}\\n", CORE.replace('"', "\\\""));
        for (line, want) in [
            (format!("{CORE}\n"), bare),
            (format!("{TIME} {CORE}\n"), &timed),
            (format!("{TIME} stdout F {CORE}\n"), &timed),
            (format!("{TIME} stderr F {CORE}\n"), &timed),
            (format!("{{\"log\":\"{json}\",\"stream\":\"stdout\",\"time\":\"{TIME}\"}}\n"), &timed),
            (format!("{{\"log\":\"{json}\",\"stream\":\"stderr\",\"time\":\"{TIME}\"}}\n"), &timed),
            (
                format!("{}\n", CORE.replace("10.244.0.9", "[fd00::9]")),
                "fd00::9 web.shop. A NOERROR ",
            ),
            (format!("{}\n", CORE.replace("qr,aa,rd 104", "- 0")), "10.244.0.9 web.shop. A - "),
            (format!("{}\n", CORE.replace(" udp 47 false", " tcp 47 true")), bare),
        ] {
            assert_eq!(told(&line).as_deref(), Some(want), "{line}");
            // One mark of the next line is not there: the last of this one is.
            assert_eq!(told(line.trim_end()), None, "{line}");
        }
    }

    #[test]
    fn a_line_ends_where_it_ends() {
        for between in ["\n", "\t", "\r\n", " \n", "\n "] {
            assert_eq!(told(&format!("{TIME}{between}{CORE}\n")), None, "{between:?}");
        }
        for (at, byte) in CORE.char_indices().filter(|(_, byte)| *byte == ' ') {
            let (left, right) = CORE.split_at(at);
            let line = format!("{left}\n{}\n", right.strip_prefix(byte).unwrap());
            assert_eq!((told(&line), told(&format!("{TIME} {line}"))), (None, None), "{line}");
        }
    }

    #[test]
    fn the_kinds_of_nearly_every_line_fall_apart() {
        let word = |text: &str| {
            let mut word = [0; 8];
            word[..text.len()].copy_from_slice(text.as_bytes());
            u64::from_le_bytes(word)
        };
        let mut seen = [false; 64];
        for rcode in ["NOERROR", "NXDOMAIN"] {
            for qtype in ["A", "AAAA", "PTR", "SRV", "HTTPS"] {
                let slot = slot(word(qtype), word(rcode));
                assert!(!std::mem::replace(&mut seen[slot], true), "{qtype} {rcode}");
            }
        }
    }
}
