//! What each stage costs, on one thread, over 16 MiB of generated log: `cargo bench`. Criterion prints time and MiB/s; the
//! floor's name says how many lines the bare log has.
//!
//! - `floor`: counting newlines, which nobody can do without.
//! - `fields`: the scanner, into a sink that only looks: in every wrapper, and without its fast paths.
//! - `tally`: the scanner into a growing tally.
//! - `whole`: the file → the finished tally, as `kico analyze` reads it.

#[path = "generate/log.rs"]
mod log;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kico::log::record::Record;
use kico::log::scan::{How, Reject, Scanner, Sink};
use kico::log::tally::{Bound, Builder};
use kico::log::{Hands, LateHands, Window, discover, interrupt, read};
use kico::progress::Progress;

use self::log::{Log, Wrap};

fn bytes(wrap: Wrap) -> Vec<u8> {
    let mut out = Vec::new();
    let seed = 1;
    let log = Log {
        bytes: 16 << 20,
        pods: 4_900,
        services: 300,
        connections: 4_300,
        unique: 0,
        wrap,
        seed,
    };
    log.write(&mut out).expect("memory takes all");
    out
}

const BOUND: Bound = Bound { names: 262_144 };

fn hands() -> LateHands {
    let hands = LateHands::new();
    let _ = hands.set(Hands::default());
    hands
}

/// Looks, and does nothing.
struct Looks;

impl Sink for Looks {
    fn record(&mut self, _: u64, record: &Record<'_>) -> bool {
        black_box(record);
        true
    }

    fn reject(&mut self, _: &Reject<'_>) {}
}

struct Tallies<'a>(Builder<'a>);

impl Sink for Tallies<'_> {
    #[inline]
    fn record(&mut self, line: u64, record: &Record<'_>) -> bool {
        self.0.record(line, record)
    }

    #[inline]
    fn near(&mut self, line: u64, record: &Record<'_>, name: &[u8; 64]) -> bool {
        self.0.near(line, record, name)
    }

    fn reject(&mut self, _: &Reject<'_>) {}
}

fn stages(criterion: &mut Criterion) {
    let bare = bytes(Wrap::Bare);
    let lines = memchr::memchr_iter(b'\n', &bare).count();

    let mut group = criterion.benchmark_group(format!("floor/{lines} lines"));
    group.throughput(Throughput::Bytes(bare.len() as u64)).sample_size(20);
    group.bench_function("newlines", |b| b.iter(|| memchr::memchr_iter(b'\n', &bare).count()));
    group.finish();

    for (wrap, name) in [
        (Wrap::Bare, "bare"),
        (Wrap::Timestamps, "timestamps"),
        (Wrap::Cri, "cri"),
        (Wrap::Docker, "docker"),
    ] {
        let log = bytes(wrap);
        let mut group = criterion.benchmark_group(format!("fields/{name}"));
        group.throughput(Throughput::Bytes(log.len() as u64)).sample_size(20);
        for how in [How::Fast, How::Portable, How::General] {
            let mut scanner = Scanner::new(None, how);
            group
                .bench_function(format!("{how:?}"), |b| b.iter(|| scanner.lines(&log, &mut Looks)));
        }
        group.finish();
    }

    let mut group = criterion.benchmark_group("tally");
    group.throughput(Throughput::Bytes(bare.len() as u64)).sample_size(20);
    let hands = hands();
    group.bench_function("bare", |b| {
        let mut scanner = Scanner::new(None, How::Fast);
        b.iter(|| {
            let mut tally = Tallies(Builder::new(&hands, Window::default(), BOUND));
            scanner.lines(&bare, &mut tally)
        });
    });
    group.finish();

    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("big.log");
    std::fs::write(&path, &bare).expect("room for 16 MiB");
    let options = read::Options {
        threads: 1,
        mmap: true,
        window: Window::default(),
        bound: BOUND,
        format: None,
        how: How::Fast,
        rejects: None,
        interrupt: interrupt::Interrupt::default(),
    };
    let mut group = criterion.benchmark_group("whole");
    group.throughput(Throughput::Bytes(bare.len() as u64)).sample_size(20);
    group.bench_function("one thread", |b| {
        b.iter(|| {
            let found = discover::discover(std::slice::from_ref(&path));
            read::read(found.sources, &hands, &options, &Progress::hidden(), None).expect("a log")
        });
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
