//! Counts the newlines of a file, mapped, with so many threads: what reading it costs at least. `floor FILE THREADS`

use std::io::Write;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let path = arguments.next().unwrap_or_default();
    let threads = arguments.next().and_then(|n| n.to_str()?.parse().ok()).unwrap_or(1_usize).max(1);
    let file = std::fs::File::open(path)?;
    // SAFETY: a measurement: nobody writes to the file meanwhile.
    #[expect(unsafe_code, reason = "kico's own map is guarded; here nothing is at stake")]
    let map = unsafe { memmap2::Mmap::map(&file)? };
    let chunks: Vec<&[u8]> = map.chunks(1 << 20).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let count = || {
        let claim = || chunks.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        std::iter::from_fn(claim).map(|chunk| memchr::memchr_iter(b'\n', chunk).count()).sum()
    };
    let all: usize = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(count)).collect();
        let mine: usize = count();
        mine + others.into_iter().map(|other| other.join().unwrap_or(0)).sum::<usize>()
    });
    writeln!(std::io::stdout(), "{all}")?;
    Ok(())
}
