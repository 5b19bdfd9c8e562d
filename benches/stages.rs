//! What each stage costs, on one thread, over 16 MiB of generated log: `cargo bench`. Criterion prints time, nanoseconds a
//! line and MiB/s.
//!
//! - `scan`: counting newlines, which nobody can do without: the floor.
//! - `fields`: the scanner, into a sink that only looks: in every wrapper, and without its fast paths.
//! - `tally`: the scanner into a growing tally.
//! - `whole`: the file → the finished tally, as `kico analyze` reads it.

#[path = "generate/log.rs"]
mod log;

use std::hint::black_box;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
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

/// Wall time, shown as nanoseconds a line where criterion shows elements a second.
struct PerLine;

impl Measurement for PerLine {
    type Intermediate = <WallTime as Measurement>::Intermediate;
    type Value = <WallTime as Measurement>::Value;

    fn start(&self) -> Self::Intermediate {
        WallTime.start()
    }

    fn end(&self, start: Self::Intermediate) -> Self::Value {
        WallTime.end(start)
    }

    fn add(&self, a: &Self::Value, b: &Self::Value) -> Self::Value {
        WallTime.add(a, b)
    }

    fn zero(&self) -> Self::Value {
        WallTime.zero()
    }

    fn to_f64(&self, value: &Self::Value) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

impl ValueFormatter for PerLine {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(&self, typical: f64, of: &Throughput, values: &mut [f64]) -> &'static str {
        let Throughput::Elements(lines) = of else {
            return WallTime.formatter().scale_throughputs(typical, of, values);
        };
        values.iter_mut().for_each(|ns| *ns /= *lines as f64);
        "ns/line"
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}

/// How much there is of a log.
fn throughput(log: &[u8]) -> Throughput {
    let lines = memchr::memchr_iter(b'\n', log).count() as u64;
    Throughput::ElementsAndBytes { elements: lines, bytes: log.len() as u64 }
}

fn stages(criterion: &mut Criterion<PerLine>) {
    let bare = bytes(Wrap::Bare);

    let mut group = criterion.benchmark_group("scan");
    group.throughput(throughput(&bare)).sample_size(20);
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
        group.throughput(throughput(&log)).sample_size(20);
        for how in [How::Fast, How::Portable, How::General] {
            let mut scanner = Scanner::new(None, how);
            group
                .bench_function(format!("{how:?}"), |b| b.iter(|| scanner.lines(&log, &mut Looks)));
        }
        group.finish();
    }

    let mut group = criterion.benchmark_group("tally");
    group.throughput(throughput(&bare)).sample_size(20);
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
    group.throughput(throughput(&bare)).sample_size(20);
    group.bench_function("one thread", |b| {
        b.iter(|| {
            let found = discover::discover(std::slice::from_ref(&path));
            read::read(found.sources, &hands, &options, &Progress::hidden(), None).expect("a log")
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(PerLine);
    targets = stages
}
criterion_main!(benches);
