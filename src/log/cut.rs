//! Bytes → whole lines, in windows and chunks. Nothing is scanned twice, except the 8 KiB by which the windows of one
//! long line overlap; and nothing is held but a window. Where a line is cut does not depend on how its bytes came, so
//! that a mapped file, a read file and a pipe give the same records.

use memchr::{memchr, memrchr};

/// A line that, with its newline, is longer than this is scanned in windows of this size.
pub(crate) const WINDOW: usize = 1 << 20;
/// How far beyond a chunk's end the end of its last line is looked for at first.
const AHEAD: u64 = 16 * 1024;

/// What becomes of the lines. Offsets count from the input's beginning.
pub(crate) trait Taker {
    /// Whole lines; only an input's last one may lack its newline.
    fn lines(&mut self, bytes: &[u8], offset: u64);
    /// A window of the long line that starts at `line`. Returns how many bytes are done with.
    fn part(&mut self, window: &[u8], line: u64, last: bool) -> usize;
}

/// Bytes that come in order.
pub(crate) struct Cutter {
    window: Vec<u8>,
    /// Where the window begins in the input.
    offset: u64,
    /// Where the long line starts that the window is in.
    long: Option<u64>,
}

impl Cutter {
    pub(crate) fn new() -> Cutter {
        Cutter { window: Vec::new(), offset: 0, long: None }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, mut bytes: &[u8], taker: &mut impl Taker) {
        while !bytes.is_empty() {
            if self.window.len() >= WINDOW {
                self.cut(taker);
            }
            let (now, later) = bytes.split_at(bytes.len().min(WINDOW - self.window.len()));
            self.window.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Takes the end.
    pub(crate) fn finish(mut self, taker: &mut impl Taker) {
        if let Some(line) = self.long {
            match memchr(b'\n', &self.window) {
                Some(end) => self.end_long(line, end, taker),
                None => {
                    taker.part(&self.window, line, true);
                    return;
                }
            }
        }
        if !self.window.is_empty() {
            taker.lines(&self.window, self.offset);
        }
    }

    /// Makes room in a full window.
    fn cut(&mut self, taker: &mut impl Taker) {
        if self.long.is_none() {
            if let Some(end) = memrchr(b'\n', &self.window) {
                taker.lines(&self.window[..=end], self.offset);
                return self.done(end + 1);
            }
            self.long = Some(self.offset);
        }
        let line = self.long.unwrap_or(self.offset);
        match memchr(b'\n', &self.window) {
            Some(end) => self.end_long(line, end, taker),
            None => {
                let done = taker.part(&self.window, line, false);
                self.done(progress(done, self.window.len()));
            }
        }
    }

    fn end_long(&mut self, line: u64, end: usize, taker: &mut impl Taker) {
        taker.part(&self.window[..=end], line, true);
        self.long = None;
        self.done(end + 1);
    }

    fn done(&mut self, bytes: usize) {
        self.window.drain(..bytes);
        self.offset += bytes as u64;
    }
}

/// A window is never given again whole.
fn progress(done: usize, window: usize) -> usize {
    done.clamp(window / 2, window)
}

/// Bytes of which any may be asked for.
pub(crate) trait Content {
    /// How many there are.
    fn size(&self) -> u64;
    /// Those from `from` to `to`, or fewer: the input ended before its size, or cannot be read any further.
    fn bytes<'a>(&'a self, from: u64, to: u64, buffer: &'a mut Vec<u8>) -> &'a [u8];
}

/// Takes the lines that start in `from..to`, each to its end. A line belongs to the chunk that it starts in, and no
/// other chunk looks at more of it than lies within that chunk.
pub(crate) fn chunk(
    content: &impl Content,
    from: u64,
    to: u64,
    buffer: &mut Vec<u8>,
    taker: &mut impl Taker,
) {
    // The byte before the chunk says whether a line starts with it.
    let base = from.saturating_sub(1);
    let own = usize::try_from(to - base).unwrap_or(usize::MAX);
    let mut ahead = AHEAD;
    loop {
        let until = to.saturating_add(ahead).min(content.size());
        let bytes = content.bytes(base, until, buffer);
        let Some(before_last) = own.min(bytes.len()).checked_sub(1) else { return };
        let start = match from {
            0 => 0,
            _ => match memchr(b'\n', &bytes[..before_last]) {
                Some(newline) => newline + 1,
                None => return,
            },
        };
        let at_end = until == content.size() || ((base + bytes.len() as u64) < until);
        let end = match memchr(b'\n', &bytes[before_last..]) {
            Some(newline) => before_last + newline + 1,
            None if at_end => bytes.len(),
            // Its end is not in sight: it is long, or the next look will find it.
            None if ahead < WINDOW as u64 => {
                ahead = WINDOW as u64;
                continue;
            }
            None => usize::MAX,
        };
        let last = memrchr(b'\n', &bytes[start..before_last]).map_or(start, |at| start + at + 1);
        let is_long = end - last > WINDOW;
        let lines = &bytes[start..if is_long { last } else { end }];
        if !lines.is_empty() {
            taker.lines(lines, base + start as u64);
        }
        if is_long {
            long(content, base + last as u64, buffer, taker);
        }
        return;
    }
}

/// Takes one long line, in windows.
fn long(content: &impl Content, line: u64, buffer: &mut Vec<u8>, taker: &mut impl Taker) {
    let mut at = line;
    loop {
        let until = at.saturating_add(WINDOW as u64).min(content.size());
        let bytes = content.bytes(at, until, buffer);
        if let Some(end) = memchr(b'\n', bytes) {
            taker.part(&bytes[..=end], line, true);
            return;
        }
        if bytes.len() < WINDOW || at + bytes.len() as u64 == content.size() {
            taker.part(bytes, line, true);
            return;
        }
        at += progress(taker.part(bytes, line, false), bytes.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Content for &[u8] {
        fn size(&self) -> u64 {
            self.len() as u64
        }

        fn bytes<'a>(&'a self, from: u64, to: u64, _: &'a mut Vec<u8>) -> &'a [u8] {
            &self[from as usize..to as usize]
        }
    }

    /// Writes down what it is given: (offset, length, long).
    #[derive(Default)]
    struct Seen {
        lines: Vec<(u64, u64, bool)>,
        bytes: usize,
        /// Where the long line's unfinished rest begins.
        rest: Option<u64>,
    }

    const OVERLAP: usize = 8192;

    impl Taker for Seen {
        fn lines(&mut self, bytes: &[u8], offset: u64) {
            let mut at = offset;
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                self.lines.push((at, line.len() as u64, false));
                at += line.len() as u64;
            }
            self.bytes += bytes.len();
        }

        fn part(&mut self, window: &[u8], line: u64, last: bool) -> usize {
            assert!(window.len() <= WINDOW);
            let at = self.rest.unwrap_or(line);
            let done = if last { window.len() } else { window.len() - OVERLAP };
            self.rest = (!last).then_some(at + done as u64);
            if last {
                self.lines.push((line, at + window.len() as u64 - line, true));
            }
            self.bytes += window.len();
            done
        }
    }

    fn expected(bytes: &[u8]) -> Vec<(u64, u64, bool)> {
        let mut at = 0;
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').map(|line| {
            at += line.len() as u64;
            (at - line.len() as u64, line.len() as u64, line.len() > WINDOW)
        });
        lines.collect()
    }

    fn chunked(bytes: &[u8], size: u64) -> Seen {
        let (mut seen, mut from, mut buffer) = (Seen::default(), 0, Vec::new());
        while from < bytes.len() as u64 {
            let to = (from + size).min(bytes.len() as u64);
            chunk(&bytes, from, to, &mut buffer, &mut seen);
            from = to;
        }
        seen
    }

    fn streamed(bytes: &[u8], piece: usize) -> Seen {
        let (mut seen, mut cutter) = (Seen::default(), Cutter::new());
        bytes.chunks(piece).for_each(|piece| cutter.push(piece, &mut seen));
        cutter.finish(&mut seen);
        seen
    }

    /// Lines of these lengths, newline included; the last one without if `open`.
    fn text(lengths: &[usize], open: bool) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        for length in lengths {
            bytes.extend(std::iter::repeat_n(b'x', length - 1));
            bytes.push(b'\n');
        }
        if open {
            bytes.pop();
        }
        bytes
    }

    #[test]
    fn a_line_is_cut_in_the_same_places_however_its_bytes_come() {
        let w = WINDOW;
        for lengths in [
            &[][..],
            &[1, 1, 5, 1],
            &[w, w, 3],
            &[w - 1, w + 1, 2, w],
            &[7, 3 * w, 9, w + 1, 4],
            &[2 * w, 2 * w + 1],
            &[5, w - 5, w - 5, 10, w + 6],
        ] {
            for open in [false, true] {
                let bytes = text(lengths, open && !lengths.is_empty());
                let expected = expected(&bytes);
                for size in [w as u64, w as u64 / 2 + 3, 100_000] {
                    assert_eq!(chunked(&bytes, size).lines, expected, "{lengths:?} by {size}");
                }
                for piece in [w, 3 * w, 70_001] {
                    assert_eq!(streamed(&bytes, piece).lines, expected, "{lengths:?} by {piece}");
                }
            }
        }
    }

    #[test]
    fn a_long_line_is_taken_once() {
        let bytes = text(&[10, 30 * WINDOW, 10], false);
        let seen = chunked(&bytes, WINDOW as u64);
        assert_eq!(seen.lines, expected(&bytes));
        assert!(seen.bytes < bytes.len() + 40 * OVERLAP, "{} of {}", seen.bytes, bytes.len());
        assert_eq!(streamed(&bytes, 100_000).bytes, seen.bytes);
    }

    proptest! {
        #[test]
        fn every_line_is_in_exactly_one_chunk(
            lengths in proptest::collection::vec(1usize..40, 0..60),
            open: bool,
            size in 1u64..70,
            piece in 1usize..70,
        ) {
            let bytes = text(&lengths, open && !lengths.is_empty());
            prop_assert_eq!(chunked(&bytes, size).lines, expected(&bytes));
            prop_assert_eq!(streamed(&bytes, piece).lines, expected(&bytes));
        }
    }
}
