//! What stands right of a query's class, read strictly up to the closing quote and leniently behind it:
//!
//! ```text
//! NAME udp [SIZE] false BUFSIZE" [RCODE [RFLAGS] [RSIZE] [DURATION]]
//! ```
//!
//! The strict part is what makes a match safe: no other software writes it. A name is complete because a protocol follows
//! it, so that a torn line can never yield half a name.

use super::super::record::Rcode;
use super::quoted::{Reader, Style};

/// A query's core, and how it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Core {
    /// How it went.
    pub rcode: Rcode,
    /// The raw byte behind the record.
    pub end: usize,
    /// Where another record's client may start at the earliest: behind what was torn here, whose digits may be glued to it.
    pub floor: usize,
}

/// Why there is no core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Miss {
    /// Whether a name and a protocol stand there.
    pub core: bool,
    /// As [`Core::floor`].
    pub floor: usize,
}

/// Reads a core from behind the blank that follows the class; its name goes to `name`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    style: Style,
    name: &mut Vec<u8>,
) -> Result<Core, Miss> {
    let named = read_name(reader, name);
    let floor = reader.at;
    if named.is_none() || !matches!(reader.word(&mut [0; 4]), b"udp" | b"tcp") {
        return Err(Miss { core: false, floor });
    }
    let end = sizes(reader, style).map_err(|floor| Miss { core: true, floor })?;
    let tail = read_tail(reader, end);
    if style.bare && !tail.whole {
        return Err(Miss { core: true, floor: tail.core.floor });
    }
    Ok(tail.core)
}

/// The name, up to the first blank that is not escaped; the blank is read.
fn read_name(reader: &mut Reader<'_>, name: &mut Vec<u8>) -> Option<()> {
    name.clear();
    loop {
        match reader.byte()? {
            b' ' => return (!name.is_empty()).then_some(()),
            b'\\' => name.extend([b'\\', reader.byte().filter(|b| *b >= b' ')?]),
            // CoreDNS escapes quotes, and writes control bytes as numbers.
            b'"' | 0..b' ' => return None,
            byte => name.push(byte),
        }
    }
}

/// ` SIZE DO BUFSIZE` and the closing quote. The end, or the floor.
fn sizes(reader: &mut Reader<'_>, style: Style) -> Result<usize, usize> {
    let mut floor = reader.at;
    let mut field = |reader: &mut Reader<'_>, is: fn(&[u8]) -> bool| {
        let before = *reader;
        floor = reader.at + 2;
        let found = reader.take(b' ').is_some() && is(reader.word(&mut [0; 12]));
        if !found {
            reader.back_to(before);
        }
        found
    };
    // CoreDNS 001 to 003 did not log the request's size.
    field(reader, is_number);
    let whole = field(reader, |word| matches!(word, b"true" | b"false"))
        && field(reader, is_number)
        && (style.bare || reader.take(b'"').is_some());
    if whole { Ok(reader.at) } else { Err(floor) }
}

struct Tail {
    core: Core,
    /// Whether all four fields were there.
    whole: bool,
}

/// ` RCODE RFLAGS RSIZE DURATION`, as far as they go. `end` is the end of what stands before them.
fn read_tail(reader: &mut Reader<'_>, mut end: usize) -> Tail {
    let torn = |rcode, end, floor| Tail { core: Core { rcode, end, floor }, whole: false };
    let buffer = &mut [0; 32];

    if reader.take(b' ').is_none() {
        return torn(Rcode::UNKNOWN, end, end);
    }
    let mut floor = reader.at + 1;
    let rcode = read_rcode(reader.word(buffer));
    let code_ends = reader.at;
    if reader.take(b' ').is_none() {
        return match rcode {
            // Whether there was a reply stood in what is missing.
            Some(Rcode::NOERROR) | None => torn(Rcode::UNKNOWN, end, floor),
            Some(rcode) => torn(rcode, code_ends, code_ends),
        };
    }
    let Some(mut rcode) = rcode else { return torn(Rcode::UNKNOWN, end, floor) };
    let unsure = if rcode == Rcode::NOERROR { Rcode::UNKNOWN } else { rcode };
    end = code_ends;

    // The flags, which CoreDNS 001 to 010 did not log: a number there is the size.
    floor = reader.at + 1;
    let before = *reader;
    let flags = reader.word(buffer);
    match flags {
        b"-" => rcode = Rcode::NO_REPLY,
        [b'a'..=b'z', ..] | [] => {}
        _ if is_number(flags) => reader.back_to(before),
        _ if is_duration(flags) => return torn(rcode, end, floor),
        _ => return torn(unsure, end, floor),
    }
    if !is_number(flags) {
        let flags_end = reader.at;
        let empty = flags.is_empty();
        if reader.take(b' ').is_none() {
            return torn(if empty { unsure } else { rcode }, flags_end, floor);
        }
        end = flags_end;
        floor = reader.at + 1;
    }

    if !is_number(reader.word(buffer)) {
        return torn(rcode, end, floor);
    }
    end = reader.at;
    if reader.take(b' ').is_none() {
        return torn(rcode, end, floor);
    }
    floor = reader.at + 1;
    if read_duration(reader).is_none() {
        return torn(rcode, end, floor);
    }
    Tail { core: Core { rcode, end: reader.at, floor: reader.at }, whole: true }
}

/// A rcode, whole: a word that CoreDNS knows, or a number for one that it does not.
fn read_rcode(text: &[u8]) -> Option<Rcode> {
    match Rcode::of(text) {
        Rcode::UNKNOWN => None,
        Rcode::OTHER => is_number(text).then_some(Rcode::OTHER),
        rcode => Some(rcode),
    }
}

fn is_number(text: &[u8]) -> bool {
    (1..=11).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// Go's durations: `98.1µs`, `1m3.2s`, `0.000133232s`. What is glued behind one is not its own.
fn read_duration(reader: &mut Reader<'_>) -> Option<()> {
    let mut some = None;
    loop {
        let before = *reader;
        let number = skip(reader, |b| b.is_ascii_digit() || b == b'.');
        if number == 0 || skip(reader, is_unit) == 0 {
            reader.back_to(before);
            return some;
        }
        some = Some(());
    }
}

/// A letter of a unit; the micro sign may have come in any encoding.
fn is_unit(byte: u8) -> bool {
    b"nsumh?".contains(&byte) || !byte.is_ascii()
}

/// Reads on while the bytes are such, and counts them.
fn skip(reader: &mut Reader<'_>, is: impl Fn(u8) -> bool) -> usize {
    let mut count = 0;
    loop {
        let before = *reader;
        if !reader.byte().is_some_and(&is) {
            reader.back_to(before);
            return count;
        }
        count += 1;
    }
}

fn is_duration(word: &[u8]) -> bool {
    let style = Style { depth: 0, csv: false, bare: false };
    let mut reader = Reader::new(word, 0, word.len(), style);
    read_duration(&mut reader).is_some() && reader.at == word.len()
}

#[cfg(test)]
mod tests {
    use super::super::quoted::Reader;
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<(&str, &str)>) {
        let style = Style { depth: 0, csv: false, bare: false };
        let mut name = Vec::new();
        let mut reader = Reader::new(text.as_bytes(), 0, usize::MAX, style);
        let core = read(&mut reader, style, &mut name).ok();
        let name = String::from_utf8(name).unwrap();
        let got = core.map(|core| (name.as_str(), core.rcode.text()));
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn a_tail_says_how_it_went() {
        for (tail, rcode) in [
            (" NOERROR qr,aa,rd 106 0.000148532s", "NOERROR"),
            (" NOERROR qr,aa,rd 106 0.000148532s \"0\"", "NOERROR"),
            (" NOERROR  106 0.1s", "NOERROR"),
            (" NOERROR 107 544.188µs", "NOERROR"),
            (" NOERROR 0.1s", "NOERROR"),
            (" NOERROR - 0 2.0s", "-"),
            (" SERVFAIL - 0 2.0s", "-"),
            (" - - 0 2.0s", "-"),
            (" 3841 qr,rd 40 0.1s", "OTHER"),
            (" NXDOMAIN", "NXDOMAIN"),
            (" -", "-"),
            // Torn: the rcode is there, but not whether there was a reply.
            (" NOERROR", "?"),
            (" NOERROR ", "?"),
            (" NOERROR [INFO] 10.0.0.1:5", "?"),
            (" NOERR", "?"),
            (" NOERROR\"", "?"),
            (" NOERROR q", "NOERROR"),
            (" NOERROR -", "-"),
            (" OTHER qr 5 0.1s", "?"),
            (" ? qr 5 0.1s", "?"),
            ("", "?"),
            (" ", "?"),
        ] {
            check(&format!("a.b. udp 41 false 512\"{tail}"), Some(("a.b.", rcode)));
        }
    }

    #[test]
    fn a_name_ends_at_the_first_blank_that_is_not_escaped() {
        check(r#"my\ printer. udp 41 false 512""#, Some((r"my\ printer.", "?")));
        check(r#"back\\slash\\\ x. udp 41 false 512""#, Some((r"back\\slash\\\ x.", "?")));
        check(r#"we\"ird. tcp false 512""#, Some((r#"we\"ird."#, "?")));
        check(r#"back\\ udp 41 false 512""#, Some((r"back\\", "?")));
    }

    #[test]
    fn nothing_but_the_whole_core_is_a_core() {
        check("a.b. udp 41 false 512", None);
        check("a.b. udp 41 false\"", None);
        check("a.b. udp 41 false 5x\"", None);
        check("a.b. udp 41 no 512\"", None);
        check("a.b. udpx 41 false 512\"", None);
        check("a.b. ud", None);
        check("a.b.", None);
        check(" udp 41 false 512\"", None);
        check("a\"b. udp 41 false 512\"", None);
    }
}
