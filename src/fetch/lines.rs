//! What the server sends of a log → lines, none of them twice. A log that is asked for again begins with a second that was
//! seen before (`sinceTime` knows whole seconds); of each line there, as many are dropped as came before. Pure.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::time::{self, SECOND, Time};

/// The state of one log.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// A line whose end has not come.
    part: Vec<u8>,
    /// The lines of the last second, each with how often it came.
    second: HashMap<u64, u32>,
    /// What is still to come again, of those.
    again: HashMap<u64, u32>,
    /// Whether nothing of what must come again has come yet.
    expecting: bool,
    /// From when on it was asked for again: older lines have been taken, whatever the server sends.
    floor: Option<Time>,
    hasher: RandomState,
    /// The time of the first and of the last line.
    pub(crate) first: Option<Time>,
    pub(crate) last: Option<Time>,
    /// Whole lines passed on, and their bytes.
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// New.
    New(Vec<u8>),
    /// New, and the lines between the last one and this one's time did not come: they may be lost.
    Gap(Time, Time, Vec<u8>),
    /// No log, but the kubelet's own words under a 200: it has none to give. Or a line without an end.
    Refusal(String),
}

/// No line is longer: what goes on without an end is no log, and is not kept in memory.
const LONGEST: usize = 16 << 20;

/// How the kubelet says that it has no log, in the place of one.
const REFUSALS: &[&str] = &[
    "unable to retrieve container logs for",
    "failed to try resolving symlinks",
    "failed to watch file",
    "failed to create fsnotify watcher",
    "rpc error: code =",
];

impl Lines {
    /// The log is asked for again, from [`Lines::since`] on.
    pub(crate) fn again(&mut self) {
        self.part.clear();
        self.again = self.second.clone();
        self.floor = self.since();
        self.expecting = !self.again.is_empty();
    }

    /// Another container's log begins, which has nothing of this one's.
    pub(crate) fn anew(&mut self) {
        self.part.clear();
        self.again.clear();
        self.expecting = false;
    }

    /// From when on to ask again: the whole second of the last line.
    pub(crate) fn since(&self) -> Option<Time> {
        self.last.map(|last| last.div_euclid(SECOND) * SECOND)
    }

    /// Takes what came; gives the lines that end in it and are new.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.part.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.part);
                lines.extend(self.line(line));
            } else if self.part.len() > LONGEST {
                self.part.clear();
                lines.push(Line::Refusal(format!("a line of more than {} MiB", LONGEST >> 20)));
            }
        }
        lines
    }

    /// The log has ended for good: a line without an end is kept, and ended.
    pub(crate) fn finish(&mut self) -> Option<Line> {
        if self.part.is_empty() {
            return None;
        }
        let mut line = std::mem::take(&mut self.part);
        line.push(b'\n');
        self.line(line)
    }

    fn line(&mut self, line: Vec<u8>) -> Option<Line> {
        let stamp =
            line.split(|byte| *byte == b' ').next().and_then(|word| std::str::from_utf8(word).ok());
        let time = stamp.and_then(time::parse);
        if time.is_none()
            && let Some(text) = std::str::from_utf8(&line).ok()
            && REFUSALS.iter().any(|refusal| text.starts_with(refusal))
        {
            return Some(Line::Refusal(text.trim_end().to_owned()));
        }
        if time.is_some_and(|time| self.floor.is_some_and(|floor| time < floor)) {
            return None;
        }
        let hash = self.hasher.hash_one(&line);
        if let Some(left) = self.again.get_mut(&hash)
            && *left > 0
        {
            *left -= 1;
            self.expecting = false;
            return None;
        }
        let gap = if std::mem::take(&mut self.expecting) { self.last.zip(time) } else { None };
        if let Some(time) = time {
            let second = |time: Time| time.div_euclid(SECOND);
            if self.last.is_none_or(|last| second(time) > second(last)) {
                self.second.clear();
                self.again.clear();
            }
            if self.last.is_none_or(|last| second(time) >= second(last)) {
                *self.second.entry(hash).or_default() += 1;
            }
            self.first = self.first.or(Some(time));
            self.last = self.last.max(Some(time));
        }
        self.lines += 1;
        self.bytes += line.len() as u64;
        Some(match gap {
            Some((from, to)) if to > from => Line::Gap(from, to, line),
            _ => Line::New(line),
        })
    }

    /// Whether the last line seen has not come again: before anything new is taken, it is worth a look why.
    pub(crate) fn is_expecting(&self) -> bool {
        self.expecting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(second: u32, text: &str) -> String {
        format!("2026-03-14T10:00:{second:02}.5Z {text}\n")
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        let text = |line| match line {
            Line::New(line) => String::from_utf8(line).unwrap(),
            Line::Gap(_, _, line) => format!("GAP {}", String::from_utf8(line).unwrap()),
            Line::Refusal(text) => format!("REFUSAL {text}"),
        };
        lines.into_iter().map(text).collect()
    }

    #[test]
    fn lines_that_come_again_are_dropped_as_often_as_they_came() {
        let mut lines = Lines::default();
        let (one, two) = (stamped(1, "one"), stamped(2, "same"));
        let all = format!("{one}{two}{two}");
        assert_eq!(texts(lines.push(all.as_bytes())).len(), 3);
        lines.again();
        let more = format!("{two}{two}{two}{}", stamped(3, "new"));
        assert_eq!(texts(lines.push(more.as_bytes())), [two, stamped(3, "new")]);
        assert_eq!(lines.lines, 5);
    }

    #[test]
    fn a_log_that_does_not_begin_where_it_ended_has_a_gap() {
        let mut lines = Lines::default();
        lines.push(stamped(1, "one").as_bytes());
        lines.again();
        assert!(lines.is_expecting());
        let came = lines.push(stamped(7, "late").as_bytes());
        let at = |text| time::parse(text).unwrap();
        assert_eq!(
            came,
            [Line::Gap(
                at("2026-03-14T10:00:01.5Z"),
                at("2026-03-14T10:00:07.5Z"),
                stamped(7, "late").into_bytes()
            )]
        );
        lines.anew();
        assert_eq!(texts(lines.push(stamped(9, "on").as_bytes())), [stamped(9, "on")]);
    }

    #[test]
    fn a_line_cut_in_the_middle_is_taken_once_and_whole() {
        let mut lines = Lines::default();
        let (one, two) = (stamped(1, "one"), stamped(1, "two"));
        let came = lines.push(format!("{one}{}", &two[..20]).as_bytes());
        assert_eq!(texts(came), std::slice::from_ref(&one));
        lines.again();
        assert_eq!(texts(lines.push(format!("{one}{two}").as_bytes())), [two]);
        assert_eq!(lines.finish(), None);
        lines.push(b"2026-03-14T10:00:05Z torn");
        assert_eq!(texts(lines.finish().into_iter().collect()), ["2026-03-14T10:00:05Z torn\n"]);
    }

    #[test]
    fn the_kubelets_own_words_are_no_log() {
        let mut lines = Lines::default();
        let text = "unable to retrieve container logs for containerd://abc";
        assert_eq!(lines.push(format!("{text}\n").as_bytes()), [Line::Refusal(text.into())]);
        let quoted = stamped(1, "unable to retrieve container logs for x");
        assert_eq!(texts(lines.push(quoted.as_bytes())), [quoted]);
    }

    proptest::proptest! {
        /// However a log is cut and asked for again, its lines come once, in order.
        #[test]
        fn any_cuts_give_the_log(seconds in proptest::collection::vec(0u32..4, 1..40), cuts in proptest::collection::vec(0usize..2000, 0..6)) {
            let mut second = 0;
            let log: Vec<(u32, String)> = seconds.iter().map(|step| {
                second += step / 2;
                (second, stamped(second % 60, ["a", "b", "a"][*step as usize % 3]))
            }).filter(|(second, _)| *second < 60).collect();
            let whole: String = log.iter().map(|(_, line)| line.as_str()).collect();
            let mut lines = Lines::default();
            let mut out = String::new();
            for cut in cuts.into_iter().map(Some).chain([None]) {
                let since = lines.since();
                let from: String = log.iter().map(|(_, line)| line.as_str())
                    .filter(|line| since.is_none_or(|since| time::parse(&line[..22]).unwrap() >= since)).collect();
                lines.again();
                let bytes = &from.as_bytes()[..cut.unwrap_or(from.len()).min(from.len())];
                out.extend(texts(lines.push(bytes)));
            }
            proptest::prop_assert_eq!(out, whole);
        }
    }
}
