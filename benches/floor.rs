//! Counts the newlines of a file with so many threads: what reading it costs at least. `floor FILE THREADS`
//!
//! It looks at the file through kico's own guarded map, so that both pay the same for the pages and the ratio is that of
//! the work. A floor that reads into a small buffer needs no map, but hides a copy in the system's time: 4.4 instead of
//! 17.6 ns a line of user time, and 14 % more wall time on one thread.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, anyhow};
use kico::log::input::Map;

/// As much as kico gives to a thread at once.
const CHUNK: u64 = 1 << 20;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().unwrap_or_default();
    let threads = arguments.next().and_then(|n| n.to_str()?.parse().ok()).unwrap_or(1_usize).max(1);
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let map = Map::new(&file, size).context("nothing is mapped here, and no floor to be had")?;
    let next = AtomicU64::new(0);
    let count = || {
        let claim = || Some(next.fetch_add(1, Ordering::Relaxed) * CHUNK).filter(|at| *at < size);
        let lines = |at| memchr::memchr_iter(b'\n', map.bytes(at, at + CHUNK)).count();
        std::iter::from_fn(claim).map(lines).sum::<usize>()
    };
    let all = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(count)).collect();
        let mut all = count();
        for other in others {
            all += other.join().map_err(|_| anyhow!("a thread panicked"))?;
        }
        anyhow::Ok(all)
    })?;
    writeln!(std::io::stdout(), "{all}")?;
    Ok(())
}
