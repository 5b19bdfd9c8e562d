//! The id of an input: what tells that the same input is given twice, as a log and in a tally. The same on every
//! machine and in every version.

/// How much of an input's beginning and end is hashed.
pub(crate) const END: usize = 64 * 1024;

/// FNV-1a's offset and prime.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The id of an input: its path as given, its size, and what [`content`] says of its bytes as stored.
pub(crate) fn id(path: &str, size: u64, content: u64) -> u64 {
    let hash = text(OFFSET, path.as_bytes());
    word(word(hash, size), content)
}

/// Hashes the first and the last 64 KiB; both are the whole input if it is no longer.
pub(crate) fn content(first: &[u8], last: &[u8]) -> u64 {
    text(text(OFFSET, first), last)
}

/// FNV-1a over eight bytes a step, with a shift that brings high bits down; then the length, so that a tail of zeros
/// counts.
fn text(mut hash: u64, bytes: &[u8]) -> u64 {
    for chunk in bytes.chunks(8) {
        let mut eight = [0; 8];
        eight[..chunk.len()].copy_from_slice(chunk);
        hash = word(hash, u64::from_le_bytes(eight));
    }
    word(hash, bytes.len() as u64)
}

fn word(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(PRIME);
    hash ^ (hash >> 29)
}

/// Remembers the first and the last 64 KiB of what passes, and counts it.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    size: u64,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Ends {
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        let room = END - self.first.len();
        self.first.extend_from_slice(&bytes[..room.min(bytes.len())]);
        let tail = &bytes[bytes.len().saturating_sub(END)..];
        // Cut only now and then, so that a pipe of single bytes moves none of them often.
        if self.last.len() + tail.len() > 4 * END {
            let kept = self.last.len() - (END - tail.len()).min(self.last.len());
            self.last.drain(..kept);
        }
        self.last.extend_from_slice(tail);
    }

    /// The id of what has passed.
    pub(crate) fn id(&self, path: &str) -> u64 {
        let last = &self.last[self.last.len().saturating_sub(END)..];
        id(path, self.size, content(&self.first, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_on_every_machine() {
        assert_eq!(id("logs/a.txt", 5, content(b"first", b"first")), 0x236d_14af_eec1_b573);
    }

    #[test]
    fn ids_of_similar_paths_spread_evenly() {
        let mut shards = [0; 5];
        for i in 0..1000 {
            shards[(id(&format!("logs/coredns-{i}.txt"), 0, 0) % 5) as usize] += 1;
        }
        assert!(shards.iter().all(|count| (150..250).contains(count)), "{shards:?}");
    }

    #[test]
    fn path_size_and_either_end_make_the_id() {
        let one = id("a", 5, content(b"abc", b"def"));
        for other in [
            id("b", 5, content(b"abc", b"def")),
            id("a", 6, content(b"abc", b"def")),
            id("a", 5, content(b"abd", b"def")),
            id("a", 5, content(b"abc", b"deg")),
            id("a", 5, content(b"abcd", b"ef")),
            id("a", 5, content(b"abc\0", b"def")),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_pipe_has_the_id_of_its_bytes_however_they_arrive() {
        let bytes: Vec<u8> = (0..700_000u32).map(|i| (i * 7 % 251) as u8).collect();
        for size in [0, 1, 100, END, END + 1, 3 * END, bytes.len()] {
            let bytes = &bytes[..size];
            let (first, last) = (&bytes[..size.min(END)], &bytes[size.saturating_sub(END)..]);
            let expected = id("-", size as u64, content(first, last));
            for piece in [1, 7, 4096, END, END + 3, 5 * END] {
                let mut ends = Ends::default();
                bytes.chunks(piece).for_each(|piece| ends.pass(piece));
                assert_eq!(ends.id("-"), expected, "{size} in pieces of {piece}");
            }
        }
    }
}
