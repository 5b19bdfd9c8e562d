//! What came out against what must come out. Each function returns complaints; none is a pass.

use serde_json::Value;

/// A secret that stands in the samples' env and annotations. Nothing may ever print it.
const CANARY: &str = "canary-5ecret";

/// What holds for every run, whatever it is about: no control characters, no secret, no path that nobody typed.
pub(crate) fn always(outputs: &[(&str, &Vec<u8>)], scratch: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, bytes) in outputs {
        let text = String::from_utf8_lossy(bytes);
        let odd = |c: &char| {
            (c.is_control() && *c != '\n' && *c != '\t')
                || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
                || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffd}')
        };
        if let Some(c) = text.chars().find(odd) {
            found.push(format!("{name} holds the character {:?}", c.escape_unicode().to_string()));
        }
        if text.contains(CANARY) {
            found.push(format!("{name} holds a secret of the snapshot"));
        }
        if text.contains(scratch) {
            found.push(format!("{name} holds a path that nobody typed"));
        }
        if text.contains("panicked at") {
            found.push(format!("{name} tells of a panic"));
        }
    }
    found
}

/// Each line of `wanted` must occur in some line of the text. Runs of blanks count as one.
pub(crate) fn contains(text: &str, wanted: &str) -> Vec<String> {
    let text = squeezed(text);
    wanted
        .lines()
        .map(squeezed)
        .filter(|line| !line.is_empty() && !text.contains(line.as_str()))
        .map(|line| format!("nowhere: {line}"))
        .collect()
}

/// No line of `unwanted` may occur in the text.
pub(crate) fn lacks(text: &str, unwanted: &str) -> Vec<String> {
    let text = squeezed(text);
    unwanted
        .lines()
        .map(squeezed)
        .filter(|line| !line.is_empty() && text.contains(line.as_str()))
        .map(|line| format!("there, but must not be: {line}"))
        .collect()
}

fn squeezed(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The CSV must hold exactly these rows, in this order; only the columns that `wanted` names are looked at. Rows that
/// begin with `#` (a tally's own) are not.
pub(crate) fn rows(actual: &[u8], wanted: &str) -> Vec<String> {
    let read = |bytes: &[u8]| -> Result<Vec<Vec<String>>, csv::Error> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(bytes)
            .records()
            .map(|record| Ok(record?.iter().map(str::to_owned).collect()))
            .collect()
    };
    let (actual, wanted) = match (read(actual), read(wanted.as_bytes())) {
        (Ok(a), Ok(w)) => (a, w),
        (Err(e), _) | (_, Err(e)) => return vec![format!("not a CSV: {e}")],
    };
    let (Some(header), Some(columns)) = (actual.first(), wanted.first()) else {
        return vec!["an empty CSV".to_owned()];
    };
    let mut indices = Vec::new();
    for column in columns {
        match header.iter().position(|name| name == column) {
            Some(index) => indices.push(index),
            None => return vec![format!("the CSV has no column {column}")],
        }
    }
    let line = |cells: &[String]| cells.join(",");
    let actual: Vec<String> = actual[1..]
        .iter()
        .filter(|row| !row[0].starts_with('#'))
        .map(|row| line(&indices.iter().map(|i| row[*i].clone()).collect::<Vec<_>>()))
        .collect();
    let wanted: Vec<String> = wanted[1..].iter().map(|row| line(row)).collect();
    let mut found: Vec<String> = Vec::new();
    found.extend(wanted.iter().filter(|r| !actual.contains(r)).map(|r| format!("no row: {r}")));
    found.extend(
        actual.iter().filter(|r| !wanted.contains(r)).map(|r| format!("a row too many: {r}")),
    );
    if found.is_empty() && actual != wanted {
        found.push("the rows stand in another order, or some stand twice".to_owned());
    }
    found
}

/// `POINTER = JSON`, `len POINTER = N`, or `absent POINTER`, one a line: RFC 6901 pointers into the document.
pub(crate) fn json(actual: &[u8], wanted: &str) -> Vec<String> {
    let document: Value = match serde_json::from_slice(actual) {
        Ok(document) => document,
        Err(e) => return vec![format!("not JSON: {e}")],
    };
    let mut found = Vec::new();
    for line in wanted.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        if let Some(pointer) = line.strip_prefix("absent ") {
            if let Some(value) = document.pointer(pointer.trim()) {
                found.push(format!("{line}: it is {value}"));
            }
            continue;
        }
        let Some((left, right)) = line.split_once(" = ") else {
            found.push(format!("not an expectation: {line}"));
            continue;
        };
        let actual = match left.strip_prefix("len ") {
            Some(pointer) => document.pointer(pointer).and_then(length),
            None => document.pointer(left).cloned(),
        };
        match serde_json::from_str::<Value>(right) {
            Err(e) => found.push(format!("not an expectation: {line}: {e}")),
            Ok(value) if actual.as_ref() == Some(&value) => {}
            Ok(_) => found.push(format!("{line}: it is {}", actual.unwrap_or(Value::Null))),
        }
    }
    found
}

fn length(value: &Value) -> Option<Value> {
    let length = value.as_array().map(Vec::len).or_else(|| value.as_object().map(|o| o.len()))?;
    Some(Value::from(length))
}

/// Byte for byte; the complaint shows the first line that differs.
pub(crate) fn same(name: &str, expected: &[u8], actual: &[u8]) -> Vec<String> {
    if expected == actual {
        return Vec::new();
    }
    let (expected, actual) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(actual));
    let (mut old, mut new) = (expected.lines(), actual.lines());
    for line in 1.. {
        match (old.next(), new.next()) {
            (Some(a), Some(b)) if a == b => {}
            (None, None) => break,
            (a, b) => {
                let or_end = |l: Option<&str>| l.map_or("(the end)".to_owned(), str::to_owned);
                return vec![format!(
                    "{name} differs at line {line}\n      expected: {}\n      actual:   {}",
                    or_end(a),
                    or_end(b)
                )];
            }
        }
    }
    vec![format!("{name} differs in its line ends")]
}

/// A check that cannot fail is worth nothing.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_line_is_found_and_blanks_are_squeezed() {
        assert_eq!(contains("a   b\nc", "a b\n\n"), Vec::<String>::new());
        assert_eq!(contains("a b", "a c").len(), 1);
        assert_eq!(lacks("a  b", "a b").len(), 1);
        assert!(lacks("a b", "c").is_empty());
    }

    #[test]
    fn rows_are_compared_by_the_named_columns_and_nothing_may_be_left_over() {
        let actual = b"a,b,c\n1,2,3\n4,5,6\n#input,x,y\n";
        assert!(rows(actual, "a,c\n1,3\n4,6\n").is_empty());
        assert_eq!(rows(actual, "a,c\n1,3\n").len(), 1);
        assert_eq!(rows(actual, "c,a\n3,1\n6,5\n").len(), 2);
        assert_eq!(rows(actual, "a\n4\n1\n").len(), 1, "order counts");
        assert_eq!(rows(actual, "d\n").len(), 1);
        assert_eq!(rows(b"", "a\n").len(), 1);
    }

    #[test]
    fn json_expectations_are_checked() {
        let actual = br#"{"a": [{"b": 1}, null], "c": "x"}"#;
        assert!(
            json(actual, "/a/0/b = 1\nlen /a = 2\n/c = \"x\"\nabsent /d\n/a/1 = null").is_empty()
        );
        assert_eq!(json(actual, "/a/0/b = 2\nlen /a = 3\nabsent /c\n/d = null\nnonsense").len(), 5);
        assert_eq!(json(b"{", "").len(), 1);
    }

    #[test]
    fn secrets_controls_and_paths_are_found() {
        let text = b"\x1b[31m canary-5ecret /tmp/x".to_vec();
        assert_eq!(always(&[("stdout", &text)], "/tmp/x").len(), 3);
        assert!(always(&[("stdout", &b"fine\t\n".to_vec())], "/tmp/x").is_empty());
    }

    #[test]
    fn outputs_are_compared_to_the_byte() {
        assert!(same("stdout", b"a\nb\n", b"a\nb\n").is_empty());
        assert_eq!(same("stdout", b"a\nb\n", b"a\nb").len(), 1);
        assert!(same("stdout", b"a\nb\n", b"a\nc\n")[0].contains("line 2"));
    }
}
