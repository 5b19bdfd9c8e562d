//! Untrusted text → terminal, shell word, CSV, Markdown, YAML comment, file name. Whatever came out of a log or a cluster is
//! printed through here only. It never drops text silently: what a sink cannot hold is escaped, visibly. It never
//! unescapes: a backslash that a DNS name brings along stays as it is, one.

use std::borrow::Cow;
use std::fmt::Write as _;

/// For a terminal, and for messages: printable ASCII as it stands, everything else as `\xNN` or `\u{…}`.
pub fn terminal(text: &str) -> Cow<'_, str> {
    // Nearly all are: to look at all of it at once is quicker than to stop at the first that is not.
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push(&mut out, c);
    }
    Cow::Owned(out)
}

/// [`terminal`] for bytes that need not be UTF-8.
pub fn terminal_bytes(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        out.push_str(&terminal(chunk.valid()));
        for byte in chunk.invalid() {
            push_byte(&mut out, *byte);
        }
    }
    out
}

/// For a command that somebody may copy into a shell: one word, whatever the text holds. What no terminal shows is escaped
/// as [`terminal`] escapes it: that word then names nothing, and does nothing.
pub fn shell_word(text: &str) -> Cow<'_, str> {
    let word = terminal(text);
    let means_nothing = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@%+,".contains(&b);
    if !word.is_empty() && word.bytes().all(means_nothing) {
        return word;
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// A CSV cell's content (the csv crate quotes it): escaped as for a terminal, and defused: one leading `'` if a
/// spreadsheet would take it for a formula.
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    let cell = terminal(text);
    // Tab, line ends, NUL and the full-width forms of these signs already begin with a backslash. A cell's own `'`
    // gets one more, so that taking one away is always right.
    if cell.starts_with(['=', '+', '-', '@', '\'']) { Cow::Owned(format!("'{cell}")) } else { cell }
}

/// Undoes exactly the one `'` that [`csv_cell`] sets: how a tally is read back.
pub fn csv_undo(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell)
}

/// For a Markdown table cell: a code span, in which no renderer finds a link or somebody to notify. What would end
/// the span or the cell, or be a tag to a careless renderer, is escaped as a terminal escapes.
pub fn markdown(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('`');
    for c in text.chars() {
        match c {
            '`' | '|' | '<' | '>' | '&' => push_byte(&mut out, c as u8),
            _ => push(&mut out, c),
        }
    }
    out.push('`');
    out
}

/// For a YAML comment: one line, whatever the text holds.
pub fn yaml_comment(text: &str) -> Cow<'_, str> {
    // No line end of YAML 1.1 (NEL, LS, PS) or 1.2 survives a terminal's escapes.
    terminal(text)
}

/// A file name made of a Kubernetes name: `[a-z0-9.-]` only, never hidden, never `.` or `..`, at most 200 bytes; cut
/// and hashed when longer. `None` if the text is no legal name.
pub fn file_name(text: &str) -> Option<String> {
    let legal = |label: &str| {
        let (first, last) = (label.bytes().next(), label.bytes().next_back());
        let ends = [first, last].iter().all(|b| b.is_some_and(|b| b != b'-'));
        ends && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if !text.split('.').all(legal) {
        return None;
    }
    // Legal for Kubernetes, devices on Windows, whatever the extension.
    let stem = text.split('.').next().unwrap_or(text);
    let device = match stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt")) {
        Some(rest) => matches!(rest.as_bytes(), [b'0'..=b'9']),
        None => matches!(stem, "con" | "prn" | "aux" | "nul"),
    };
    if device {
        return Some(format!("device-{}-{}", cut(text), short_hash(text)));
    }
    Some(if text.len() <= 200 {
        text.into()
    } else {
        format!("{}-{}", cut(text), short_hash(text))
    })
}

/// Ten hex digits that stand for a text that had to be cut: FNV-1a, the same on every machine. A label, not a proof:
/// whoever writes files still refuses to write the same name twice.
pub fn short_hash(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    format!("{:010x}", hash & 0xff_ffff_ffff)
}

/// The part of a long file name that is kept; the text is ASCII.
fn cut(text: &str) -> &str {
    text.get(..180).unwrap_or(text)
}

/// Breaks a line of printable ASCII between words, so that none is wider than `width`; what follows is indented by two.
/// A word that is too long stays whole, and so does a line that begins with a blank: a command to copy, or a sample. A
/// number and its `%` are one word.
pub fn wrap(line: &str, width: usize) -> String {
    if line.starts_with(' ') {
        return line.to_owned();
    }
    let mut out = String::with_capacity(line.len() + 16);
    let mut room = width;
    let mut words: Vec<&str> = Vec::new();
    let mut begin = 0;
    for (at, _) in line.match_indices(' ') {
        let (word, next) = (line.get(begin..at), line.get(at + 1..).unwrap_or_default());
        if !next.starts_with('%') {
            words.extend(word);
            begin = at + 1;
        }
    }
    words.extend(line.get(begin..));
    for (at, word) in words.into_iter().enumerate() {
        let need = word.len() + usize::from(at > 0);
        if need <= room || at == 0 {
            out.push_str(if at > 0 { " " } else { "" });
            room = room.saturating_sub(need);
        } else {
            out.push_str("\n  ");
            room = width.saturating_sub(word.len() + 2);
        }
        out.push_str(word);
    }
    out
}

fn is_plain(byte: u8) -> bool {
    (0x20..=0x7e).contains(&byte)
}

fn push(out: &mut String, c: char) {
    match u8::try_from(c) {
        Ok(byte) if is_plain(byte) => out.push(c),
        Ok(byte) if byte.is_ascii() => push_byte(out, byte),
        // Not `\xNN` from 0x80 on: that is a byte, this is a character.
        _ => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
    }
}

fn push_byte(out: &mut String, byte: u8) {
    _ = write!(out, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every code point, alone, in front and inside, through a sink.
    fn every_char(sink: impl Fn(&str) -> String, check: impl Fn(char, &str)) {
        for c in '\0'..=char::MAX {
            for text in [format!("{c}"), format!("{c}ab"), format!("a{c}b")] {
                let out = sink(&text);
                assert!(out.bytes().all(is_plain), "{text:?} became {out:?}");
                check(c, &out);
            }
        }
    }

    #[test]
    fn a_terminal_sees_printable_ascii_only() {
        every_char(|text| terminal(text).into_owned(), |_, _| {});
        let check = |text: &str, shown: &str| assert_eq!(terminal(text), shown);
        check("user-db.sock-shop", "user-db.sock-shop");
        check(r"a\032b\.c", r"a\032b\.c");
        check("\u{1b}[31mred", r"\x1b[31mred");
        check("a\rb\u{7f}", r"a\x0db\x7f");
        check("\u{85}\u{202e}ü", r"\u{85}\u{202e}\u{fc}");
    }

    #[test]
    fn every_byte_and_pair_of_bytes_is_plain_on_a_terminal() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                assert!(terminal_bytes(&[a, b]).bytes().all(is_plain), "{a} {b}");
            }
        }
        assert_eq!(terminal_bytes(b"a\xff\xc2\x80z"), r"a\xff\u{80}z");
        // Cut in the middle of a character.
        assert_eq!(terminal_bytes(b"\xe2\x80"), r"\xe2\x80");
    }

    #[test]
    fn a_word_of_a_command_stays_one_word() {
        let check = |text: &str, word: &str| assert_eq!(shell_word(text), word);
        check("logs/a_1.txt", "logs/a_1.txt");
        check("", "''");
        check("a b", "'a b'");
        check("$(rm -rf ~)", "'$(rm -rf ~)'");
        check("a;b`c`", "'a;b`c`'");
        check("it's", r"'it'\''s'");
        check("~", "'~'");
        check("a\nb", r"'a\x0ab'");
        // As a shell takes its quotes off; what stands outside of them must mean nothing.
        let unquoted = |word: &str| {
            let (mut out, mut inside, mut chars) = (String::new(), false, word.chars());
            while let Some(c) = chars.next() {
                match c {
                    '\'' => inside = !inside,
                    '\\' if !inside => out.extend(chars.next()),
                    _ => {
                        assert!(
                            inside || c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c),
                            "{word}"
                        );
                        out.push(c);
                    }
                }
            }
            assert!(!inside, "{word}");
            out
        };
        for c in '\0'..=char::MAX {
            let text = format!("a{c}b{c}");
            assert_eq!(unquoted(&shell_word(&text)), terminal(&text));
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        every_char(
            |text| csv_cell(text).into_owned(),
            |_, out| {
                assert!(!out.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0']), "{out:?}")
            },
        );
        let check = |text: &str, cell: &str| assert_eq!(csv_cell(text), cell);
        check("=1+1", "'=1+1");
        check("-", "'-");
        check("a=1", "a=1");
        check("*.example.org", "*.example.org");
        check("\t=1", r"\x09=1");
        check("\u{ff1d}1", r"\u{ff1d}1");
        check("'tis", "''tis");
    }

    #[test]
    fn a_long_line_breaks_between_words_only() {
        let check = |line: &str, expected: &str| assert_eq!(wrap(line, 10), expected);
        check("", "");
        check("short", "short");
        check("one two three four", "one two\n  three\n  four");
        check("ten chars. more", "ten chars.\n  more");
        check("  kubectl get pods -A", "  kubectl get pods -A");
        check("see /a/very/long/path now", "see\n  /a/very/long/path\n  now");
        check("one 98.2 %", "one 98.2 %");
        check("all 98.2 % of it", "all 98.2 %\n  of it");
        check("alle 98.2 % of", "alle\n  98.2 %\n  of");
        check("%", "%");
    }

    #[test]
    fn a_comment_stays_one_line() {
        every_char(|text| yaml_comment(text).into_owned(), |_, _| {});
    }

    #[test]
    fn a_markdown_cell_is_one_closed_code_span() {
        every_char(markdown, |_, out| {
            assert!(out.starts_with('`') && out.ends_with('`') && out.len() > 2, "{out}");
            assert_eq!(out.matches(['`', '|', '<', '>', '&']).count(), 2, "{out}");
        });
        assert_eq!(markdown("a|b`c<script>@all"), r"`a\x7cb\x60c\x3cscript\x3e@all`");
        assert_eq!(markdown(""), "");
    }

    #[test]
    fn a_file_name_is_a_legal_name_that_no_system_misreads() {
        let check = |text: &str, name: Option<&str>| assert_eq!(file_name(text).as_deref(), name);
        check("user-db", Some("user-db"));
        check("my.app-1", Some("my.app-1"));
        for text in [
            "", ".", "..", ".a", "a.", "-a", "a-", "a..b", "a/b", "a\\b", "A", "a_b", "ä", "a b",
            "a\0",
        ] {
            check(text, None);
        }
        for text in ["con", "nul.conf", "com1", "lpt9.x.y"] {
            let name = file_name(text).unwrap();
            assert!(name.starts_with("device-") && name.contains(text), "{name}");
        }
        check("com", Some("com"));
        check("console", Some("console"));
        check("com10", Some("com10"));
        let (long, other) = ("a".repeat(253), "a".repeat(252));
        assert!(file_name(&long).unwrap().len() <= 200);
        assert_ne!(file_name(&long), file_name(&other));
        for c in '\0'..=char::MAX {
            let taken = file_name(&format!("a{c}b")).is_some();
            assert_eq!(
                taken,
                c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.',
                "{c:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn undoing_a_cell_gives_the_text_as_escaped(text in any::<String>()) {
            prop_assert_eq!(csv_undo(&csv_cell(&text)).to_owned(), terminal(&text).into_owned());
        }

        #[test]
        fn a_cell_of_plain_text_reads_back_the_same(text in "[=+@'\\\\a-c -]{0,6}") {
            prop_assert_eq!(csv_undo(&csv_cell(&text)).to_owned(), text);
        }

        #[test]
        fn escaping_twice_is_escaping_once(text in any::<String>()) {
            let once = terminal(&text).into_owned();
            prop_assert_eq!(terminal(&once).into_owned(), once.clone());
        }

        #[test]
        fn text_and_its_bytes_look_the_same(text in any::<String>()) {
            prop_assert_eq!(terminal_bytes(text.as_bytes()), terminal(&text).into_owned());
        }

        #[test]
        fn a_file_name_is_safe_whatever_the_text(text in "[a-c.-]{0,230}") {
            if let Some(name) = file_name(&text) {
                prop_assert!(name.len() <= 200 && !name.starts_with(['.', '-']));
            }
        }
    }
}
