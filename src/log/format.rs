//! `--log-format`: the `log` directive's own format string, compiled (LOG_FORMATS 1.5). It guesses nothing: a line that
//! does not match the whole format is not of it, and a format that does not tell the client, the name and the type is
//! refused; so is one in which a name, which anybody may choose, can pass for the client.

use std::net::IpAddr;

use memchr::memmem;

use super::client;
use super::record::{Kind, QType, Rcode};

#[cfg(test)]
mod tests;

/// A compiled format: literals, and fields between them.
#[derive(Debug)]
pub struct Format {
    parts: Vec<Part>,
}

/// One match of a format in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// Its first byte, and the one behind it.
    pub place: (usize, usize),
    /// The client's address, as text.
    pub client: &'a [u8],
    /// The name, escapes kept.
    pub name: &'a [u8],
    /// What was asked, and how it went.
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Remote,
    Name,
    Type,
    Rcode,
    Flags,
    Number,
    /// Anything without a blank.
    Word,
    /// Metadata: anything, or nothing.
    Any,
}

const COMMON: &str = "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" \
                      {rcode} {>rflags} {rsize} {duration}";

/// The longest a name is printed, and the longest metadata that is read over.
const NAME: usize = 1100;
const ANY: usize = 300;

/// What CoreDNS writes before every line of its log.
const LEVEL: &[u8] = b"[INFO] ";

impl Format {
    /// Compiles the format as it stands in the Corefile. Refuses one that no connection can come of; the second value is a
    /// warning.
    pub fn compile(text: &str) -> anyhow::Result<(Format, Option<String>)> {
        let text = unquoted(text)
            .replace("{combined}", "{common} \"{>opcode}\"")
            .replace("{common}", COMMON);
        let mut parts: Vec<Part> = Vec::new();
        // Labels whose text somebody else may choose, and which part each of them is.
        let mut free: Vec<(usize, &str)> = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (part, length) = first_part(rest);
            match (parts.last_mut(), part) {
                (Some(Part::Literal(before)), Part::Literal(more)) => before.extend(more),
                (Some(Part::Field(_)), Part::Field(_)) => anyhow::bail!(
                    "two labels of the log format stand side by side, at {:?}: where the first ends, no line tells",
                    rest
                ),
                (_, part) => {
                    if matches!(part, Part::Field(Field::Name | Field::Any)) {
                        free.push((parts.len(), rest.get(1..length - 1).unwrap_or_default()));
                    }
                    parts.push(part);
                }
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        let has = |field| parts.contains(&Part::Field(field));
        if !has(Field::Remote) {
            anyhow::bail!("the log format has no {{remote}}, so that no line tells who asked");
        }
        if !has(Field::Name) {
            anyhow::bail!(
                "the log format has no {{name}}, so that no line tells what was asked for"
            );
        }
        if !has(Field::Type) {
            anyhow::bail!(
                "the log format has no {{type}}, so that no line tells whether an address was asked for, and none would \
                 be a connection"
            );
        }
        let client = parts.iter().rposition(|part| *part == Part::Field(Field::Remote));
        for (at, label) in free.into_iter().filter(|(at, _)| Some(*at) < client) {
            if let Some(Part::Literal(behind)) = parts.get(at + 1)
                && !ends(label, behind)
            {
                anyhow::bail!(
                    "in the log format {{{label}}} stands before {{remote}}, and its text may hold what is between them, \
                     {:?}: whoever chooses a name could pass for another client. A blank behind {{{label}}} would tell",
                    String::from_utf8_lossy(behind)
                );
            }
        }
        let warning = (!has(Field::Rcode)).then(|| {
            "the log format has no {rcode}, so that no line tells whether a lookup was answered"
                .to_owned()
        });
        Ok((Format { parts }, warning))
    }

    /// Every match in the text.
    pub(super) fn all<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = Found<'a>> {
        // CoreDNS writes a level directly before the format; without one, any word may be its first.
        let levels = memmem::find(text, LEVEL).is_some()
            && !matches!(self.parts.first(), Some(Part::Literal(first)) if first.starts_with(LEVEL));
        let mut from = 0;
        std::iter::from_fn(move || {
            let found = self.find(text, from, levels)?;
            from = found.place.1.max(from + 1);
            Some(found)
        })
    }

    fn find<'a>(&self, text: &'a [u8], from: usize, levels: bool) -> Option<Found<'a>> {
        let rest = text.get(from..)?;
        if levels {
            let mut starts = memmem::find_iter(rest, LEVEL).map(|at| from + at + LEVEL.len());
            return starts.find_map(|at| self.at(text, at));
        }
        // Nowhere inside a name: there, blanks and quotes stand behind a backslash.
        let starts = |at: usize| match at.checked_sub(1).and_then(|before| text.get(before)) {
            None => true,
            Some(b' ' | b'"') => !text.get(..at - 1).is_some_and(|left| left.ends_with(b"\\")),
            Some(byte) => *byte < b' ' || !byte.is_ascii(),
        };
        if let Some(Part::Literal(literal)) = self.parts.first() {
            let places = memmem::find_iter(rest, literal).map(|at| from + at);
            return places.filter(|at| starts(*at)).find_map(|at| self.at(text, at));
        }
        (from..text.len()).filter(|at| starts(*at)).find_map(|at| self.at(text, at))
    }

    /// A match that begins exactly there.
    fn at<'a>(&self, text: &'a [u8], start: usize) -> Option<Found<'a>> {
        let mut rest = text.get(start..)?;
        let (mut client, mut name, mut qtype) = (None, None, QType::OTHER);
        let (mut rcode, mut no_reply) = (Rcode::UNKNOWN, false);
        for (index, part) in self.parts.iter().enumerate() {
            let field = match part {
                Part::Literal(literal) => {
                    rest = rest.strip_prefix(literal.as_slice())?;
                    continue;
                }
                Part::Field(field) => *field,
            };
            let behind = match self.parts.get(index + 1) {
                Some(Part::Literal(literal)) => literal.as_slice(),
                _ => b"",
            };
            let length = field.length(rest, behind)?;
            let (value, more) = rest.split_at_checked(length)?;
            match field {
                Field::Remote => client = Some(address(value)?.0),
                Field::Name => name = Some(value),
                Field::Type => qtype = QType::of(value),
                Field::Rcode => rcode = known_rcode(value)?,
                Field::Flags => no_reply = value == b"-",
                Field::Number | Field::Word | Field::Any => {}
            }
            rest = more;
        }
        let kind = Kind { qtype, rcode: if no_reply { Rcode::NO_REPLY } else { rcode } };
        Some(Found { place: (start, text.len() - rest.len()), client: client?, name: name?, kind })
    }
}

impl Field {
    fn of(label: &str) -> Option<Field> {
        Some(match label {
            "remote" => Field::Remote,
            "name" => Field::Name,
            "type" => Field::Type,
            "rcode" => Field::Rcode,
            ">rflags" => Field::Flags,
            "port" | "size" | "rsize" | ">id" | ">opcode" | ">bufsize" => Field::Number,
            "class" | "proto" | "duration" | ">do" => Field::Word,
            // The local address may be empty.
            "local" => Field::Any,
            _ if label.starts_with('/') => Field::Any,
            _ => return None,
        })
    }

    /// How much of the text is this field, where the literal `behind` follows it (at the format's end: nothing).
    fn length(self, text: &[u8], behind: &[u8]) -> Option<usize> {
        let run = |is: &dyn Fn(u8) -> bool| text.iter().take_while(|b| is(**b)).count();
        let until = |most: usize, is: &dyn Fn(u8) -> bool| {
            let text = text.get(..text.len().min(most))?;
            match behind {
                b"" => Some(text.iter().take_while(|b| is(**b)).count()),
                _ => {
                    memmem::find(text, behind).filter(|end| text.iter().take(*end).all(|b| is(*b)))
                }
            }
        };
        let length = match self {
            Field::Remote => address_length(text, behind)?,
            Field::Name => return name_length(text, behind),
            Field::Type | Field::Rcode => run(&|b| b.is_ascii_alphanumeric() || b == b'-'),
            Field::Number if text.starts_with(b"-") => 1,
            Field::Number => run(&|b| b.is_ascii_digit()),
            Field::Flags if text.starts_with(b"-") => 1,
            Field::Flags => return Some(run(&|b| b.is_ascii_lowercase() || b == b',')),
            Field::Word => until(64, &|b| b > b' ' && b != b'"')?,
            Field::Any => {
                let ends = |b| behind.is_empty() && (b == b' ' || b == b'"');
                return until(ANY, &|b| b >= b' ' && !ends(b));
            }
        };
        (length > 0).then_some(length)
    }
}

/// The first literal or label of the text, and its length. A label that CoreDNS does not know it prints as it stands.
fn first_part(text: &str) -> (Part, usize) {
    if let Some(inside) = text.strip_prefix('{')
        && let Some(end) = inside.find('}')
        && let Some(field) = inside.get(..end).and_then(Field::of)
    {
        return (Part::Field(field), end + 2);
    }
    let length =
        text.char_indices().skip(1).find(|(_, c)| *c == '{').map_or(text.len(), |(at, _)| at);
    (Part::Literal(text.as_bytes().iter().take(length).copied().collect()), length)
}

/// Whether this literal tells where the label's text before it ends: a byte of it cannot stand in that text, but behind a
/// backslash.
fn ends(label: &str, literal: &[u8]) -> bool {
    let may_hold = |byte: u8| match label {
        // The server's own address.
        "local" => false,
        // Names and labels of pods and namespaces.
        _ if label.starts_with("/kubernetes/client-") => {
            byte.is_ascii_alphanumeric() || b"-_./".contains(&byte)
        }
        // A name, or metadata that may be part of one.
        _ => byte.is_ascii_graphic() && !b"();@\"".contains(&byte),
    };
    let plain = literal.iter().position(|byte| *byte == b'\\').unwrap_or(literal.len());
    literal.iter().take(plain).any(|byte| !may_hold(*byte))
}

/// Without the quotes that the Corefile needs around a format with blanks, and their escapes inside.
fn unquoted(text: &str) -> String {
    let inside = text.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let plain = |text: &&str| !text.replace("\\\"", "").contains('"');
    inside.filter(plain).unwrap_or(text).replace("\\\"", "\"")
}

/// The address in `ADDRESS`, `[ADDRESS]` or `ADDRESS%zone`.
fn address(value: &[u8]) -> Option<(&[u8], IpAddr)> {
    let inside =
        value.strip_prefix(b"[").and_then(|value| value.strip_suffix(b"]")).unwrap_or(value);
    let text = inside.split(|b| *b == b'%').next()?;
    Some((text, client::address(text)?))
}

/// The length of the address that begins the text, brackets and zone included.
fn address_length(text: &[u8], behind: &[u8]) -> Option<usize> {
    if text.starts_with(b"[") {
        return text.iter().take(300).position(|b| *b == b']').map(|end| end + 1);
    }
    let run = |is: fn(&&u8) -> bool| text.iter().take(64).take_while(is).count();
    let dotted = run(|b| b.is_ascii_digit() || **b == b'.');
    if text.get(..dotted).and_then(client::address).is_some() {
        return Some(dotted);
    }
    let mut long = run(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
    if behind.starts_with(b":") {
        long = text.iter().take(long).rposition(|b| *b == b':')?;
    }
    match text.get(long..)?.first() {
        Some(b'%') => {
            Some(long + text.get(long..)?.iter().take_while(|b| **b > b' ' && **b != b':').count())
        }
        _ => Some(long),
    }
}

/// The length of the name that begins the text: its escapes are DNS's, and it ends in a dot, as CoreDNS prints it; so the
/// name in a torn line is none, unless it was torn right behind a label. Where a name may hold what stands behind it, the
/// last such place is its end: what is printed behind that nobody chooses.
fn name_length(text: &[u8], behind: &[u8]) -> Option<usize> {
    let is_told = behind.is_empty() || ends("name", behind);
    let (mut at, mut dot, mut end) = (0, false, None);
    while at < NAME {
        let rest = text.get(at..)?;
        let is_end = match behind {
            b"" => rest.first().is_none_or(|b| *b <= b' ' || *b == b'"'),
            _ => rest.starts_with(behind),
        };
        if dot && is_end {
            end = Some(at);
            if is_told {
                break;
            }
        }
        let length = match rest {
            [b'\\', a, b, c, ..] if [a, b, c].iter().all(|d| d.is_ascii_digit()) => 4,
            [b'\\', escaped, ..] if b".();@\"\\' ".contains(escaped) => 2,
            [0..=b' ' | b'"' | b'\\', ..] | [] => break,
            _ => 1,
        };
        dot = rest.first() == Some(&b'.');
        at += length;
    }
    end
}

fn known_rcode(text: &[u8]) -> Option<Rcode> {
    match Rcode::of(text) {
        Rcode::UNKNOWN => None,
        Rcode::OTHER => text.iter().all(u8::is_ascii_digit).then_some(Rcode::OTHER),
        rcode => Some(rcode),
    }
}
