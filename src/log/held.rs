//! Regular files: opened, mapped or read, and looked at again when they have been scanned. What happened to a file
//! meanwhile is said in its state, and never ends the run.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::State;
use super::cut::Content;
use super::discover::{Stat, why};
use super::ident;
use super::input::Map;

/// A regular file that is being read.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) file: File,
    path: PathBuf,
    /// As it was when it was found.
    stat: Stat,
    /// What its ends held when it was opened.
    content: u64,
    /// Whether it is mapped, or read.
    mapped: bool,
    /// Of the parts that are mapped, the one furthest on.
    map: Mutex<Option<Arc<Map>>>,
    /// From where on a map held only the zeros that stand for what is gone; `u64::MAX` if nothing is.
    gone: AtomicU64,
    /// Where it ended too early while it was read; `u64::MAX` if it did not.
    end: AtomicU64,
    /// The error behind that, if it was one.
    error: Mutex<Option<String>>,
}

/// Smaller files are read: a map costs more than it saves.
const MAPPED: u64 = 1 << 20;
/// A file is mapped in parts of this size. To take a page out of the map costs a third of what it costs to put it in;
/// so all threads share in that, while they read, and what is mapped stays small.
const PART: u64 = if cfg!(test) { 1 << 20 } else { 64 << 20 };
/// So much more is mapped before a part and behind it: the byte before a chunk is looked at, and the end of its last line.
const MARGIN: u64 = if cfg!(test) { 64 << 10 } else { 2 << 20 };

impl Held {
    /// Opens a file.
    pub(crate) fn open(path: &Path, stat: &Stat, map: bool) -> io::Result<Held> {
        let file = File::open(path)?;
        let content = ends(&file, stat.size)?;
        Ok(Held {
            file,
            path: path.to_owned(),
            stat: stat.clone(),
            content,
            mapped: map && stat.size >= MAPPED,
            map: Mutex::default(),
            gone: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(u64::MAX),
            error: Mutex::default(),
        })
    }

    /// The id of the input.
    pub(crate) fn id(&self, path: &str) -> u64 {
        ident::id(path, self.stat.size, self.content)
    }

    /// From where on there were only the zeros that stand for what is gone; `u64::MAX` if nothing is. Known when all that
    /// look at it are done.
    pub(crate) fn gone(&self) -> u64 {
        self.gone.load(Relaxed)
    }

    /// Up to where there was something to read: its size, or less.
    fn end(&self) -> u64 {
        self.end.load(Relaxed).min(self.gone()).min(self.stat.size)
    }

    /// Looks at the file around a place, from which on it will be read.
    pub(crate) fn at(&self, place: u64) -> Look<'_> {
        Look { held: self, map: if self.mapped { self.map(place / PART * PART) } else { None } }
    }

    /// The part that begins there. Whatever a map fails of, what cannot be mapped can be read.
    fn map(&self, part: u64) -> Option<Arc<Map>> {
        let (from, to) = (part.saturating_sub(MARGIN), part.saturating_add(PART + MARGIN));
        let mut last = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let further = match &*last {
            Some(map) if map.from() == from => return Some(Arc::clone(map)),
            Some(map) => map.from() > from,
            None => false,
        };
        let map = Arc::new(Map::new(&self.file, from, to.min(self.stat.size))?);
        // A thread that is late does not bring a part back.
        let before = if further { None } else { last.replace(Arc::clone(&map)) };
        drop(last);
        // Nobody else need wait for it to be taken apart.
        drop(before);
        Some(map)
    }

    /// Looks at it again, after it has been read.
    pub(crate) fn check(&self) -> (State, Option<String>) {
        let end = self.end();
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = error {
            return (State::Truncated, Some(format!("{error} at byte {end}")));
        }
        let (now, content) = match (self.file.metadata(), ends(&self.file, self.stat.size)) {
            (Ok(meta), Ok(content)) => (Stat::of(&meta), content),
            (Err(err), _) | (_, Err(err)) => return (State::Changed, Some(why(&err))),
        };
        if self.stat.size == 0 && now.size == 0 {
            // Empty, or of /proc, where times say nothing.
            return (State::Complete, None);
        }
        if now.size < self.stat.size {
            return (
                State::Truncated,
                Some(format!("cut to {} bytes while it was read", now.size)),
            );
        }
        if end < self.stat.size {
            return (State::Truncated, Some(format!("cut at byte {end} while it was read")));
        }
        if now.identity != self.stat.identity {
            let problem = "another file took its place before it was read";
            return (State::Changed, Some(problem.into()));
        }
        if content != self.content
            || (now.size == self.stat.size && now.modified != self.stat.modified)
        {
            return (State::Changed, Some("rewritten while it was read".into()));
        }
        if now.size > self.stat.size {
            let more = now.size - self.stat.size;
            return (State::Grew, Some(format!("grew by {more} bytes while it was read")));
        }
        // What was opened was read to its end, wherever its name leads now.
        let there = std::fs::metadata(&self.path).map(|meta| Stat::of(&meta).identity);
        let moved = there.ok() != Some(self.stat.identity);
        (State::Complete, moved.then(|| "renamed, replaced or removed while it was read".into()))
    }

    /// Fills the buffer from a place in the file, as far as there is something.
    fn read<'a>(&self, from: u64, to: u64, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        let wanted = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        if buffer.len() < wanted {
            buffer.resize(wanted, 0);
        }
        let (got, error) = read_at(&self.file, &mut buffer[..wanted], from);
        if got < wanted {
            self.end.fetch_min(from + got as u64, Relaxed);
            if let Some(err) = error {
                let mut slot = self.error.lock().unwrap_or_else(PoisonError::into_inner);
                slot.get_or_insert_with(|| why(&err));
            }
        }
        &buffer[..got]
    }
}

/// A file, as it is looked at from one place.
pub(crate) struct Look<'h> {
    held: &'h Held,
    map: Option<Arc<Map>>,
}

impl Look<'_> {
    fn fault(&self) -> u64 {
        self.map.as_ref().and_then(|map| map.fault()).unwrap_or(u64::MAX)
    }
}

impl Content for Look<'_> {
    fn size(&self) -> u64 {
        self.held.stat.size
    }

    fn bytes<'a>(&'a self, from: u64, to: u64, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        // Beyond a fault there are zeros only, which nobody needs to see.
        let end = self.held.end().min(self.fault());
        let (from, to) = (from.min(end), to.min(end));
        match self.map.as_ref().and_then(|map| map.bytes(from, to)) {
            Some(bytes) => bytes,
            None if from < to => self.held.read(from, to, buffer),
            None => &[],
        }
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.held.gone.fetch_min(self.fault(), Relaxed);
    }
}

/// Hashes the first and the last 64 KiB of a file of this size.
fn ends(file: &File, size: u64) -> io::Result<u64> {
    let end = ident::END as u64;
    let mut first = vec![0; size.min(end) as usize];
    let mut last = first.clone();
    for (part, from) in [(&mut first, 0), (&mut last, size.saturating_sub(end))] {
        let (got, error) = read_at(file, part, from);
        if let Some(err) = error {
            return Err(err);
        }
        part.truncate(got);
    }
    Ok(ident::content(&first, &last))
}

/// Reads until the buffer is full, the file ends, or an error comes.
fn read_at(file: &File, buffer: &mut [u8], from: u64) -> (usize, Option<io::Error>) {
    #[cfg(unix)]
    use std::os::unix::fs::FileExt;
    let mut got = 0;
    while got < buffer.len() {
        #[cfg(unix)]
        let read = file.read_at(&mut buffer[got..], from + got as u64);
        #[cfg(windows)]
        let read =
            std::os::windows::fs::FileExt::seek_read(file, &mut buffer[got..], from + got as u64);
        match read {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return (got, Some(err)),
        }
    }
    (got, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom, Write};

    const SIZE: u64 = 3 << 20;

    struct Case {
        _dir: tempfile::TempDir,
        path: PathBuf,
        held: Held,
    }

    fn case(map: bool) -> Case {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let bytes: Vec<u8> = (0..SIZE).map(|i| (i % 97) as u8 + 1).collect();
        std::fs::write(&path, bytes).unwrap();
        // Older than any change to come, on file systems that count time in ticks.
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        let stat = Stat::of(&std::fs::metadata(&path).unwrap());
        let held = Held::open(&path, &stat, map).unwrap();
        assert_eq!(held.at(0).map.is_some(), map && cfg!(target_os = "linux"));
        Case { _dir: dir, path, held }
    }

    impl Case {
        fn write(&self, at: u64, bytes: &[u8]) {
            let mut file = File::options().write(true).open(&self.path).unwrap();
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(bytes).unwrap();
        }

        fn resize(&self, size: u64) {
            File::options().write(true).open(&self.path).unwrap().set_len(size).unwrap();
        }

        /// Reads all of it, as often as wanted, and sums it up.
        fn sum(&self) -> u64 {
            let mut buffer = Vec::new();
            let mut sum = 0;
            for from in (0..SIZE).step_by(1 << 20) {
                let look = self.held.at(from);
                let bytes = look.bytes(from, (from + (1 << 20)).min(SIZE), &mut buffer);
                sum += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            }
            sum
        }

        #[track_caller]
        fn check(&self, state: State, problem: Option<&str>) {
            let (is, why) = self.held.check();
            assert_eq!(is, state, "{why:?}");
            match problem {
                Some(problem) => {
                    assert!(why.as_deref().is_some_and(|w| w.contains(problem)), "{why:?}")
                }
                None => assert_eq!(why, None),
            }
        }
    }

    #[test]
    fn an_untouched_file_is_complete() {
        let (mapped, read) = (case(true), case(false));
        assert_eq!(mapped.sum(), read.sum());
        mapped.check(State::Complete, None);
        read.check(State::Complete, None);
        assert_eq!(mapped.held.id("a"), read.held.id("a"));
    }

    #[test]
    fn a_file_that_is_cut_is_truncated_and_the_process_lives() {
        for map in [true, false] {
            let case = case(map);
            let whole = case.sum();
            case.resize(10_000);
            assert!(case.sum() < whole);
            case.check(State::Truncated, Some("cut to 10000 bytes"));
            assert!(case.held.end() < SIZE);
        }
    }

    #[test]
    fn a_file_that_is_cut_in_many_threads_is_truncated_once() {
        let case = case(true);
        case.resize(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| case.sum());
            }
        });
        assert_eq!(case.sum(), 0);
        case.check(State::Truncated, Some("cut to 0 bytes"));
    }

    #[test]
    fn a_file_that_is_cut_and_grows_again_is_not_complete() {
        for map in [true, false] {
            let case = case(map);
            case.resize(1 << 20);
            case.sum();
            case.resize(SIZE);
            case.check(State::Truncated, Some("cut at byte 1048576"));
        }
    }

    #[test]
    fn a_file_that_is_rewritten_in_place_is_changed() {
        for map in [true, false] {
            let case = case(map);
            case.sum();
            case.write(SIZE / 2, b"in the middle, where no end is looked at");
            case.check(State::Changed, Some("rewritten"));
        }
    }

    #[test]
    fn a_file_that_grows_has_grown_unless_its_ends_are_others() {
        let case = case(true);
        case.write(SIZE, b"one more line\n");
        case.check(State::Grew, Some("grew by 14 bytes"));
        case.write(SIZE - 5, b"other");
        case.check(State::Changed, Some("rewritten"));
    }

    #[test]
    fn a_file_that_is_rotated_is_read_to_its_end() {
        let case = case(true);
        std::fs::remove_file(&case.path).unwrap();
        std::fs::write(&case.path, "new").unwrap();
        assert!(case.sum() > 0);
        case.check(State::Complete, Some("renamed, replaced or removed"));
    }

    #[test]
    fn another_file_at_the_same_path_is_changed() {
        let case = case(true);
        let stat = case.held.stat.clone();
        std::fs::rename(&case.path, case.path.with_extension("1")).unwrap();
        std::fs::copy(case.path.with_extension("1"), &case.path).unwrap();
        let held = Held::open(&case.path, &stat, true).unwrap();
        assert_eq!(held.check().0, State::Changed);
    }
}
