//! Bytes that come in order: pipes, and files that must be decompressed. A pipe has a thread of its own that reads it, so
//! that Ctrl-C can end one that has nothing to say; a file has one if there is a thread to spare, so that decompressing
//! overlaps with scanning.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::discover::why;
use super::ident::Ends;
use super::interrupt::Interrupt;
use super::sniff::{self, Kind};
use crate::progress::Progress;

/// How much is handed over at once, and how often that may wait: 1 MiB on its way.
const PIECE: usize = 256 * 1024;
const PIECES: usize = 4;

/// Where bytes come from.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Stdin,
    Path(PathBuf),
}

/// A part of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// Nothing could be read at all.
    Refused(String),
    /// What came before is all that could be read.
    Broken(String),
}

/// A stream that is being read.
pub(crate) struct Stream {
    pieces: Pieces,
    ends: Arc<Mutex<Ends>>,
    /// Set for a pipe: what may end it.
    interrupt: Option<Interrupt>,
    /// How many pieces are still taken after an interrupt: those that were read before it.
    last_pieces: usize,
    interrupted: bool,
}

enum Pieces {
    Thread(Receiver<Piece>),
    /// No thread was to be had, or wanted.
    Here(Feed),
}

impl Stream {
    /// Begins to read a pipe.
    pub(crate) fn pipe(place: Place, progress: &Progress, interrupt: &Interrupt) -> Stream {
        Stream::start(Origin::Closed(place), progress, Some(interrupt.clone()))
    }

    /// Begins to read a file: as many bytes as it had when it was found. `apart`: in a thread of its own.
    pub(crate) fn file(file: File, size: u64, apart: bool, progress: &Progress) -> Stream {
        // What says that it is empty may be of /proc, and is read to its end.
        let limit = if size == 0 { u64::MAX } else { size };
        let origin = Origin::Open(Box::new(file.take(limit)));
        Stream::new(if apart { Pieces::start } else { Pieces::Here }, origin, progress, None)
    }

    /// What is in memory already.
    pub(crate) fn memory(bytes: Arc<[u8]>, progress: &Progress) -> Stream {
        let origin = Origin::Open(Box::new(io::Cursor::new(bytes)));
        Stream::new(Pieces::Here, origin, progress, None)
    }

    fn start(origin: Origin, progress: &Progress, interrupt: Option<Interrupt>) -> Stream {
        Stream::new(Pieces::start, origin, progress, interrupt)
    }

    fn new(
        pieces: fn(Feed) -> Pieces,
        origin: Origin,
        progress: &Progress,
        interrupt: Option<Interrupt>,
    ) -> Stream {
        let ends = Arc::default();
        let feed = Feed { origin, ends: Arc::clone(&ends), progress: progress.clone() };
        let pieces = pieces(feed);
        Stream { pieces, ends, interrupt, last_pieces: PIECES + 2, interrupted: false }
    }

    /// The next piece; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        let receiver = match &mut self.pieces {
            Pieces::Thread(receiver) => receiver,
            Pieces::Here(feed) => {
                self.interrupted = self.interrupt.as_ref().is_some_and(Interrupt::ends_pipes);
                return if self.interrupted { None } else { feed.next() };
            }
        };
        let Some(interrupt) = &self.interrupt else { return receiver.recv().ok() };
        loop {
            if interrupt.ends_pipes() {
                self.interrupted = true;
                if self.last_pieces == 0 {
                    return None;
                }
                self.last_pieces -= 1;
            }
            match receiver.recv_timeout(Duration::from_millis(50)) {
                Ok(piece) => return Some(piece),
                Err(RecvTimeoutError::Timeout) if self.interrupted => return None,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // The same Ctrl-C may have ended the writer.
                    self.interrupted = interrupt.ends_pipes();
                    return None;
                }
            }
        }
    }

    /// Whether a signal ended it.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.interrupted
    }

    /// The id of what was read.
    pub(crate) fn id(&self, path: &str) -> u64 {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).id(path)
    }
}

impl Pieces {
    fn start(feed: Feed) -> Pieces {
        // Shared, so that it is not lost if there is no thread for it.
        let feed = Arc::new(Mutex::new(Some(feed)));
        let take =
            |feed: &Mutex<Option<Feed>>| feed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (sender, receiver) = sync_channel(PIECES);
        let theirs = Arc::clone(&feed);
        let thread = std::thread::Builder::new().name("reader".into()).spawn(move || {
            let Some(mut feed) = take(&theirs) else { return };
            while let Some(piece) = feed.next() {
                if sender.send(piece).is_err() {
                    return;
                }
            }
        });
        match thread {
            Ok(_) => Pieces::Thread(receiver),
            Err(_) => take(&feed).map_or(Pieces::Thread(receiver), Pieces::Here),
        }
    }
}

/// The reading end.
struct Feed {
    origin: Origin,
    ends: Arc<Mutex<Ends>>,
    progress: Progress,
}

enum Origin {
    /// Not opened yet: a pipe without a writer waits for one, and must not do so where nobody can end it.
    Closed(Place),
    /// Open, and no byte looked at.
    Open(Box<dyn Read + Send>),
    Ready(Box<dyn Read + Send>, Vec<u8>),
    Done,
}

impl Feed {
    fn next(&mut self) -> Option<Piece> {
        if !matches!(self.origin, Origin::Ready(..)) {
            let begun = match std::mem::replace(&mut self.origin, Origin::Done) {
                Origin::Closed(Place::Stdin) => self.begin(Box::new(io::stdin())),
                Origin::Closed(Place::Path(path)) => match File::open(path) {
                    Ok(file) => self.begin(Box::new(file)),
                    Err(err) => Err(why(&err)),
                },
                Origin::Open(raw) => self.begin(raw),
                Origin::Ready(..) | Origin::Done => return None,
            };
            match begun {
                Ok(reader) => self.origin = Origin::Ready(reader, vec![0; PIECE]),
                Err(problem) => return Some(Piece::Refused(problem)),
            }
        }
        let Origin::Ready(reader, buffer) = &mut self.origin else { return None };
        loop {
            match reader.read(buffer) {
                Ok(0) => return None,
                Ok(n) => return buffer.get(..n).map(|bytes| Piece::Bytes(bytes.to_vec())),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => {
                    self.origin = Origin::Done;
                    return Some(Piece::Broken(broken(&err)));
                }
            }
        }
    }

    /// Looks at the first bytes, and puts the decoder on that they ask for.
    fn begin(&self, raw: Box<dyn Read + Send>) -> Result<Box<dyn Read + Send>, String> {
        let mut raw = Tap { raw, ends: Arc::clone(&self.ends), progress: self.progress.clone() };
        let mut head = Vec::new();
        (&mut raw).take(16).read_to_end(&mut head).map_err(|err| why(&err))?;
        let kind = sniff::magic(&head);
        let whole = io::Cursor::new(head).chain(raw);
        match kind {
            Some(Kind::Gzip) => {
                let input = BufReader::with_capacity(PIECE, whole);
                Ok(Box::new(flate2::bufread::MultiGzDecoder::new(input)))
            }
            Some(Kind::Zstd) => {
                let input = BufReader::with_capacity(PIECE, whole);
                let decoder = zstd::stream::read::Decoder::with_buffer(input);
                Ok(Box::new(decoder.map_err(|err| why(&err))?))
            }
            Some(Kind::Refused(why)) => Err(why.into()),
            _ => Ok(Box::new(whole)),
        }
    }
}

fn broken(err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::UnexpectedEof => "the compressed stream ends too early".into(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            format!("the compressed stream is broken: {}", why(err))
        }
        _ => why(err),
    }
}

/// Passes bytes on as they are stored, and remembers their ends for the input's id.
struct Tap {
    raw: Box<dyn Read + Send>,
    ends: Arc<Mutex<Ends>>,
    progress: Progress,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.raw.read(buffer)?;
        if let Some(bytes) = buffer.get(..n) {
            self.ends.lock().unwrap_or_else(PoisonError::into_inner).pass(bytes);
        }
        self.progress.add(n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn log(lines: usize) -> Vec<u8> {
        let line = |i| format!("[INFO] 10.1.{}.9:4000 - {i} \"A IN shop.example. udp\"\n", i % 250);
        (0..lines).map(line).collect::<String>().into_bytes()
    }

    /// Everything that a stream of these bytes gives, and the problem that ended it.
    fn read(bytes: &[u8]) -> (Vec<u8>, Option<Piece>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut other = file.try_clone().unwrap();
        let apart = drain(&mut Stream::file(file, bytes.len() as u64, true, &Progress::hidden()));
        io::Seek::rewind(&mut other).unwrap();
        let here = drain(&mut Stream::file(other, bytes.len() as u64, false, &Progress::hidden()));
        assert_eq!(apart, here);
        here
    }

    fn drain(stream: &mut Stream) -> (Vec<u8>, Option<Piece>) {
        let (mut all, mut problem) = (Vec::new(), None);
        while let Some(piece) = stream.next() {
            match piece {
                Piece::Bytes(bytes) => all.extend(bytes),
                other => problem = Some(other),
            }
        }
        (all, problem)
    }

    #[test]
    fn all_members_of_a_gzip_file_and_all_frames_of_a_zstd_file_are_read() {
        let (one, two) = (log(3000), log(2));
        let both = [&one[..], &two[..]].concat();
        assert_eq!(read(&both), (both.clone(), None));
        assert_eq!(read(&[gzip(&one), gzip(b""), gzip(&two)].concat()), (both.clone(), None));
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        assert_eq!(read(&[zstd(&one), zstd(&two)].concat()), (both, None));
        assert_eq!(read(b""), (vec![], None));
    }

    #[test]
    fn what_was_decoded_before_the_damage_is_kept() {
        let plain = log(20_000);
        let packed = gzip(&plain);
        let cut = &packed[..packed.len() / 2];
        let mut bad_crc = packed.clone();
        let at = bad_crc.len() - 8;
        bad_crc[at] ^= 1;
        let trailing = [&packed[..], b"and some text"].concat();
        let zstd = zstd::encode_all(&plain[..], 1).unwrap();
        let cases =
            [(cut, false), (&bad_crc, true), (&trailing, true), (&zstd[..zstd.len() / 2], false)];
        for (bytes, whole) in cases {
            let (read, problem) = read(bytes);
            assert!(matches!(problem, Some(Piece::Broken(_))), "{problem:?}");
            assert!(plain.starts_with(&read));
            assert!(read.len() > plain.len() / 4, "{} of {}", read.len(), plain.len());
            assert_eq!(read.len() == plain.len(), whole);
        }
    }

    #[test]
    fn what_is_refused_gives_no_byte() {
        let (bytes, problem) = read(b"\xfd7zXZ\0 and so on and so on");
        assert!(bytes.is_empty());
        assert!(matches!(problem, Some(Piece::Refused(why)) if why.contains("xz")));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_that_stays_open_ends_when_asked_and_keeps_what_came() {
        use std::os::fd::OwnedFd;
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"short\n").unwrap();
        writer.write_all(&log(3)).unwrap();
        let interrupt = Interrupt::default();
        let raw = Box::new(File::from(OwnedFd::from(reader)));
        let mut stream =
            Stream::start(Origin::Open(raw), &Progress::hidden(), Some(interrupt.clone()));
        let Some(Piece::Bytes(mut all)) = stream.next() else { panic!("no piece") };
        interrupt.ask();
        all.extend(drain(&mut stream).0);
        assert!(stream.was_interrupted());
        assert_eq!(all, [&b"short\n"[..], &log(3)].concat());
        drop(writer);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_without_a_writer_can_be_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let interrupt = Interrupt::default();
        interrupt.ask();
        let mut stream = Stream::pipe(Place::Path(path), &Progress::hidden(), &interrupt);
        assert_eq!(stream.next(), None);
        assert!(stream.was_interrupted());
    }
}
