//! What else a CoreDNS container writes, so that a line in an unannounced custom format can be told from it.

use std::ops::Range;

use super::head::ends_in_colour;
use memchr::memmem;

/// How CoreDNS's and NodeLocal DNSCache's own messages of level INFO begin.
const MESSAGES: [&[u8]; 17] = [
    b"plugin/",
    b"Reloading",
    b"Running configuration",
    b"CoreDNS-",
    b"linux/",
    b"windows/",
    b"darwin/",
    b"maxprocs:",
    b"SIG",
    b"Shutting down",
    b"Starting node-cache",
    b"Using ",
    b"Skipping kube-dns",
    b"Setting up networking",
    b"Added back nodelocaldns",
    b"Updated Corefile",
    b"Tearing down",
];

/// Whether the text inside some wrapper begins there with `[INFO] `, and none of CoreDNS's own messages follows.
pub(super) fn holds_unknown(window: &[u8], place: Range<usize>) -> bool {
    let levels = memmem::find_iter(window.get(place.clone()).unwrap_or_default(), b"[INFO]");
    levels.map(|at| place.start + at).any(|at| {
        let (before, rest) = window.split_at(at);
        let begins = match before.last() {
            Some(b'm') => ends_in_colour(before),
            Some(b) => !b.is_ascii_alphanumeric(),
            None => true,
        };
        begins && text_of(rest).is_some_and(|text| !is_message(text))
    })
}

/// What follows `[INFO] `; a terminal's colour may end before the blank.
fn text_of(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_prefix(b"[INFO]")?;
    let colour = rest.iter().take(16).position(|b| *b == b' ')?;
    let (colour, text) = rest.split_at_checked(colour)?;
    (colour.is_empty() || ends_in_colour(colour)).then(|| text.trim_ascii_start())
}

fn is_message(text: &[u8]) -> bool {
    // The server of 2016: `"DS IN _udp.example.nl." - No such zone at :53 (Remote: …)`
    let refused = || {
        let text = text.get(..text.len().min(1200)).unwrap_or_default();
        text.starts_with(b"\"") && memmem::find(text, b"\" - No such zone").is_some()
    };
    text.is_empty() || MESSAGES.iter().any(|message| text.starts_with(message)) || refused()
}
