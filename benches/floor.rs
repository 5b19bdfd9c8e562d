//! What the work costs at least, with so many threads.
//!
//! - `floor newlines THREADS FILE` counts the newlines of a file. It looks at the file through kico's own guarded map, so
//!   that both pay the same for the pages and the ratio is that of the work. A floor that reads into a small buffer needs
//!   no map, but hides a copy in the system's time: 4.4 instead of 17.6 ns a line of user time, and 14 % more wall time on
//!   one thread.
//! - `floor inflate THREADS FILE...` counts the bytes in gzip files, each in one thread, with the library that kico
//!   inflates with, as kico calls it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, anyhow, bail};
use flate2::bufread::MultiGzDecoder;
use kico::log::input::Map;

/// As much as kico maps at once.
const PART: u64 = 64 << 20;

/// As much as kico reads of a compressed file at once, and inflates at once.
const PIECE: usize = 256 * 1024;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [what, threads, files @ ..] = arguments.as_slice() else {
        bail!("floor newlines|inflate THREADS FILE...");
    };
    let threads = threads.to_str().and_then(|n| n.parse().ok()).context("how many threads?")?;
    let all = match (what.to_str(), files) {
        (Some("newlines"), [file]) => newlines(file, threads)?,
        (Some("inflate"), files) => inflate(files, threads)?,
        _ => bail!("newlines of one file, or inflate"),
    };
    writeln!(std::io::stdout(), "{all}")?;
    Ok(())
}

fn newlines(path: &OsString, threads: usize) -> anyhow::Result<u64> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let next = AtomicU64::new(0);
    on(threads, || {
        let claim = || Some(next.fetch_add(1, Ordering::Relaxed) * PART).filter(|at| *at < size);
        let lines = |from: u64| {
            let to = (from + PART).min(size);
            let map = Map::new(&file, from, to).context("nothing is mapped here: no floor")?;
            let bytes = map.bytes(from, to).context("it is not mapped")?;
            Ok(memchr::memchr_iter(b'\n', bytes).count() as u64)
        };
        std::iter::from_fn(claim).map(lines).sum()
    })
}

fn inflate(files: &[OsString], threads: usize) -> anyhow::Result<u64> {
    let next = AtomicUsize::new(0);
    on(threads, || {
        let (mut all, mut buffer) = (0, vec![0; PIECE]);
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut bytes = MultiGzDecoder::new(BufReader::with_capacity(PIECE, File::open(path)?));
            loop {
                match bytes.read(&mut buffer)? {
                    0 => break,
                    n => all += n as u64,
                }
            }
        }
        Ok(all)
    })
}

/// The sum of what so many threads count.
fn on(threads: usize, count: impl Fn() -> anyhow::Result<u64> + Sync) -> anyhow::Result<u64> {
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(&count)).collect();
        let mut all = count()?;
        for other in others {
            all += other.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        Ok(all)
    })
}
