//! YAML → JSON, object by object, so that everything else reads one thing only. A number stays a number: a label
//! `1.10` without quotes is refused like by the API, not turned into a text.
//!
//! serde_yaml builds a document whole before it gives anything of it, at some 25 MB/s. So `---` documents, and the
//! items of kubectl's own list, are cut out of the text and parsed one by one, in parallel.

use super::documents::{self, Fault, Reads};
use super::json::to_json;
use crate::cluster::objects::{Object, Read, is_known};

/// The most that serde_yaml is given at once: it takes twenty times that in memory.
const LARGEST: usize = 64 << 20;

/// The most brackets in one piece that may nest: libyaml's time grows with the square of their depth, to a second here.
const MOST_BRACKETS: usize = 10_000;

/// All objects of a YAML text.
pub(super) fn read(text: &str, dns_namespaces: &[String]) -> Result<Reads, Fault> {
    if !documents::holds(text, "apiVersion") {
        return Err(Fault::Foreign("is neither JSON nor YAML of Kubernetes objects".to_owned()));
    }
    let mut units = Vec::new();
    for document in split(text) {
        match cut(document) {
            List::Cut(items) => {
                units.extend(items.into_iter().map(|text| Unit { text, is_item: true }));
            }
            List::Other => units.push(Unit { text: document, is_item: false }),
            List::Torn => {
                let why = "ends before its list does: is the file cut?";
                return Err(Fault::Broken(why.to_owned()));
            }
        }
    }
    if units.is_empty() {
        return Err(Fault::Foreign("holds no Kubernetes object".to_owned()));
    }
    let read = |piece: &[Unit<'_>]| {
        let mut all = Vec::with_capacity(piece.len());
        for unit in piece {
            let objects = one(unit, dns_namespaces);
            all.extend(objects.map_err(|fault| locate(fault, text, unit.text))?);
        }
        Ok(all)
    };
    documents::parallel(&units, read).into_iter().collect()
}

/// A text that the parser is given whole.
struct Unit<'a> {
    text: &'a str,
    /// An item of a list, with its `- `: a list of one.
    is_item: bool,
}

fn one(unit: &Unit<'_>, dns_namespaces: &[String]) -> Result<Vec<Read>, Fault> {
    if let Some(kind) = unit.kind().filter(|kind| !is_known(kind)) {
        return Ok(vec![Read {
            object: Object::Skipped(kind.to_owned()),
            broken: Vec::new(),
            hidden: None,
        }]);
    }
    if unit.text.len() > LARGEST {
        let why = "is YAML of more than 64 MiB in one piece: get it with `-o json`";
        return Err(Fault::Broken(why.to_owned()));
    }
    if brackets(unit.text) > MOST_BRACKETS {
        let why = "is YAML that nests too deep, or too many brackets: get it with `-o json`";
        return Err(Fault::Broken(why.to_owned()));
    }
    let json = to_json(unit.text).map_err(|error| Fault::Broken(format!("is no YAML: {error}")))?;
    if json == "null" {
        return Ok(Vec::new());
    }
    let items = documents::items(&json)?;
    items.iter().map(|item| documents::object(item, dns_namespaces)).collect()
}

/// Whether a text is more than the parser is given in one piece.
pub(super) fn is_too_much(text: &str) -> bool {
    text.len() > LARGEST || brackets(text) > MOST_BRACKETS
}

/// How many brackets may nest. One that its like closes on the same line, with only plain words between, nests nothing,
/// whether it stands in a text or not.
fn brackets(yaml: &str) -> usize {
    let bytes = yaml.as_bytes();
    let nests = |at: &usize| {
        let (open, rest) = (bytes.get(*at), bytes.get(at + 1..).unwrap_or_default());
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" ,._/:-".contains(byte);
        let close = if open == Some(&b'[') { b']' } else { b'}' };
        rest.iter().find(|byte| !plain(byte)) != Some(&close)
    };
    memchr::memchr2_iter(b'[', b'{', bytes).filter(nests).count()
}

impl<'a> Unit<'a> {
    /// The kind of an item of kubectl's, whose keys all stand two columns in, and nothing else there does. So a Secret is
    /// passed by without being parsed.
    fn kind(&self) -> Option<&'a str> {
        let kind = |line: &'a str| line.strip_prefix("  kind: ").or(line.strip_prefix("- kind: "));
        let kind = self.text.lines().filter(|_| self.is_item).find_map(kind)?;
        kind.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(kind)
    }
}

/// Says in which part of the text it is, if that is not its beginning: serde_yaml counts lines from the part's first.
fn locate(fault: Fault, text: &str, part: &str) -> Fault {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    let before = text.as_bytes().get(..start).unwrap_or_default();
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    match fault {
        Fault::Broken(why) if line > 1 => {
            Fault::Broken(format!("in the part that begins at line {line}, {why}"))
        }
        other => other,
    }
}

/// The documents of a stream. `---` and `...` in the first column end one wherever they stand, in block texts too.
fn split(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let rest = line.strip_prefix("---").or(line.strip_prefix("..."));
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])) {
            documents.push(text.get(start..at).unwrap_or_default());
            start = at + 3;
        }
        at += line.len();
    }
    documents.push(text.get(start..).unwrap_or_default());
    let says_nothing = |line: &str| {
        let line = line.trim_ascii();
        line.is_empty() || line.starts_with('#') || line.starts_with('%')
    };
    documents.retain(|document| !document.lines().all(says_nothing));
    documents
}

enum List<'a> {
    /// kubectl's list: its items.
    Cut(Vec<&'a str>),
    /// kubectl's list without its end.
    Torn,
    /// Some other YAML.
    Other,
}

/// kubectl's own list: `apiVersion`, then `items` with each `- ` in the first column, then `kind: List`. What does not
/// look exactly so is left to the parser.
fn cut(document: &str) -> List<'_> {
    let trimmed = document.trim_start_matches(['\r', '\n']);
    let Some(body) = trimmed.strip_prefix("apiVersion: v1\nitems:\n") else { return List::Other };
    if !body.starts_with("- ") {
        return List::Other;
    }
    let bytes = body.as_bytes();
    let (mut items, mut start) = (Vec::new(), 0);
    for newline in memchr::memchr_iter(b'\n', bytes) {
        let at = newline + 1;
        match bytes.get(at) {
            Some(b' ' | b'\n') => continue,
            Some(b'-') if bytes.get(at + 1) == Some(&b' ') => {
                items.push(body.get(start..at).unwrap_or_default());
                start = at;
            }
            None => break,
            Some(_) => {
                items.push(body.get(start..at).unwrap_or_default());
                let tail = body.get(at..).unwrap_or_default();
                return match tail.strip_prefix("kind: List") {
                    Some(rest) if rest.len() < 4096 && is_end(rest) => List::Cut(items),
                    _ if "kind: List\n".starts_with(tail) => List::Torn,
                    _ => List::Other,
                };
            }
        }
    }
    List::Torn
}

/// Nothing, or the list's own empty metadata.
fn is_end(rest: &str) -> bool {
    let mut lines = rest.lines();
    lines.next().is_some_and(str::is_empty)
        && lines.all(|line| line.is_empty() || line == "metadata:" || line.starts_with("  "))
}
