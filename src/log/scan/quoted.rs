//! The layers of quoting that wrappers lay around a line: JSON strings, JSON in JSON, CSV. Reads through them byte by
//! byte, so that nothing is unescaped that is not looked at. The escapes of DNS are not its business.

/// How the query's own quotes look from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// How many JSON strings the text lies in.
    pub depth: u8,
    /// Whether all of that lies in a CSV field.
    pub csv: bool,
    /// Azure writes the query without quotes around it.
    pub bare: bool,
}

/// Strings in strings in strings: deeper is not looked at.
pub(super) const DEEPEST: u8 = 6;

/// The style of the quote that ends at `end`, and where that quote (with what escapes it) starts.
/// Bare if there is no quote.
pub(super) fn opening(line: &[u8], end: usize) -> (Style, usize) {
    let head = line.get(..end).unwrap_or_default();
    let plain = Style { depth: 0, csv: false, bare: false };
    // Some encoders, .NET's for one, write a quote by its number.
    if let Some(head) = head.strip_suffix(b"u0022") {
        let slashes = slashes(head);
        if slashes.is_power_of_two() && slashes < 1 << DEEPEST {
            let depth = slashes.trailing_zeros() as u8 + 1;
            return (Style { depth, ..plain }, head.len() - slashes);
        }
    }
    let Some(head) = head.strip_suffix(b"\"") else { return (Style { bare: true, ..plain }, end) };
    let (csv, head) = match head.strip_suffix(b"\"") {
        Some(head) => (true, head),
        None => (false, head),
    };
    let slashes = slashes(head);
    match (slashes + 1).is_power_of_two() && slashes < 1 << DEEPEST {
        true => {
            let depth = (slashes + 1).trailing_zeros() as u8;
            (Style { depth, csv, bare: false }, head.len() - slashes)
        }
        false => (Style { bare: true, ..plain }, end),
    }
}

/// How many backslashes end the text, counted up to 255.
pub(super) fn slashes(text: &[u8]) -> usize {
    text.iter().rev().take(255).take_while(|b| **b == b'\\').count()
}

/// Reads a text through its layers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    line: &'a [u8],
    style: Style,
    /// The raw byte that is read next.
    pub at: usize,
    /// No raw byte from here on is read.
    pub limit: usize,
    /// Whether `limit` was run into.
    pub limited: bool,
}

impl<'a> Reader<'a> {
    /// Reads from `at` to `limit`.
    pub(super) fn new(line: &'a [u8], at: usize, limit: usize, style: Style) -> Reader<'a> {
        Reader { line, style, at, limit: limit.min(line.len()), limited: false }
    }

    /// The next byte of the text. `None` at its end: of the line, or of the innermost string.
    #[inline]
    pub(super) fn byte(&mut self) -> Option<u8> {
        super::step();
        match self.line.get(self.at) {
            // Most bytes mean themselves in every layer.
            Some(byte) if !matches!(byte, b'\\' | b'"') && self.at < self.limit => {
                self.at += 1;
                Some(*byte)
            }
            _ => self.layer(self.style.depth),
        }
    }

    /// Reads this byte, or nothing.
    pub(super) fn take(&mut self, want: u8) -> Option<()> {
        let before = *self;
        if self.byte() == Some(want) {
            return Some(());
        }
        self.back_to(before);
        None
    }

    /// Unreads, but remembers that the limit was met.
    pub(super) fn back_to(&mut self, before: Reader<'a>) {
        *self = Reader { limited: self.limited, ..before };
    }

    /// Reads a word into the buffer: up to a blank, a quote, a control byte, or the text's end. A word that is longer than
    /// the buffer is read to the buffer's end.
    pub(super) fn word<'b>(&mut self, buffer: &'b mut [u8]) -> &'b [u8] {
        let mut length = 0;
        for slot in buffer.iter_mut() {
            let before = *self;
            match self.byte() {
                Some(byte) if byte > b' ' && byte != b'"' => {
                    *slot = byte;
                    length += 1;
                }
                _ => {
                    self.back_to(before);
                    break;
                }
            }
        }
        buffer.get(..length).unwrap_or_default()
    }

    /// One byte as it stands `depth` layers deep.
    fn layer(&mut self, depth: u8) -> Option<u8> {
        let Some(outer) = depth.checked_sub(1) else {
            let byte = self.raw()?;
            if byte == b'"' && self.style.csv {
                return self.raw().filter(|second| *second == b'"');
            }
            return Some(byte);
        };
        match self.layer(outer)? {
            b'"' => None,
            b'\\' => match self.layer(outer)? {
                b'n' => Some(b'\n'),
                b't' => Some(b'\t'),
                b'r' => Some(b'\r'),
                b'b' | b'f' => Some(b' ' - 1),
                b'u' => {
                    let mut code = 0;
                    for _ in 0..4 {
                        code = code * 16 + char::from(self.layer(outer)?).to_digit(16)?;
                    }
                    // What is not ASCII only ever stands in a duration's unit.
                    Some(u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(b'?'))
                }
                byte => Some(byte),
            },
            byte => Some(byte),
        }
    }

    fn raw(&mut self) -> Option<u8> {
        if self.at >= self.limit {
            self.limited = true;
            return None;
        }
        let byte = self.line.get(self.at).copied();
        self.at += 1;
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, depth: u8, csv: bool, text: &str) {
        let style = Style { depth, csv, bare: false };
        let mut reader = Reader::new(raw.as_bytes(), 0, usize::MAX, style);
        let mut read = Vec::new();
        while let Some(byte) = reader.byte() {
            read.push(byte);
        }
        assert_eq!(String::from_utf8_lossy(&read), text);
    }

    #[test]
    fn each_layer_is_undone_and_the_innermost_string_ends_the_text() {
        check(r#"a "b\" c"#, 0, false, r#"a "b\" c"#);
        check(r#"a \"b\\\\c\" \u003c\n","time":"#, 1, false, "a \"b\\\\c\" <\n");
        check(r#"a \\\"b\\\\c\\\" \\u0026\\n\",\"time"#, 2, false, "a \"b\\c\" &\n");
        check(r#"a ""b"" c",d"#, 0, true, r#"a "b" c"#);
        check(r#"a \""b\"" c"",""d"#, 1, true, r#"a "b" c"#);
        check(r#"a \u0022b\u0022","c"#, 1, false, r#"a "b""#);
    }

    #[test]
    fn a_quote_tells_its_depth() {
        let style = |text: &str| opening(text.as_bytes(), text.len());
        let at = |depth, csv| Style { depth, csv, bare: false };
        assert_eq!(style(r#"7 ""#), (at(0, false), 2));
        assert_eq!(style(r#"7 \""#), (at(1, false), 2));
        assert_eq!(style(r#"7 \\\""#), (at(2, false), 2));
        assert_eq!(style(r#"7 """#), (at(0, true), 2));
        assert_eq!(style(r#"7 \"""#), (at(1, true), 2));
        assert_eq!(style(r"7 \u0022"), (at(1, false), 2));
        assert_eq!(style(r"7 \\u0022"), (at(2, false), 2));
        assert!(style(r#"7 \\""#).0.bare);
        assert!(style("7 ").0.bare);
    }
}
