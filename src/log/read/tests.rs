//! The whole run, over files: what must hold whatever the threads and the way of reading.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::log::{Hands, discover};

mod tallies;

/// A line of CRI: query `i`, at second `i`.
fn line(i: usize) -> String {
    let (second, client) = (i % 60, i % 199);
    let (minute, hour) = (i / 60 % 60, i / 3600 % 24);
    let port = 40_000 + i % 9999;
    let rcode = if i.is_multiple_of(7) { "NXDOMAIN" } else { "NOERROR" };
    format!(
        "2026-03-14T{hour:02}:{minute:02}:{second:02}.5Z stdout F [INFO] 10.7.0.{client}:{port} - {i} \
         \"A IN shop-{}.store.svc.cluster.local. udp 54 false 512\" {rcode} qr,aa,rd 106 0.0001s\n",
        i % 31,
    )
}

fn log(lines: usize) -> String {
    (0..lines).map(line).collect()
}

/// A log with everything in it that is no plain query.
fn mixed(lines: usize) -> String {
    let mut log = String::new();
    for i in 0..lines {
        log += &line(i);
        match i % 50 {
            3 => log += "[INFO] plugin/reload: Running configuration SHA512 = 5a\n",
            7 => log += "[INFO] 10.7.0.1:40 - 8 \"A IN broken.example. udp\n",
            11 => log += "\n",
            13 => {
                writeln!(log, "[INFO] 10.7.0.{} asked for shop.example. at {i}", i % 250).unwrap()
            }
            _ => {}
        }
    }
    log
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    fn add(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn read(&self) -> Reading {
        read_with(&[self.path().to_owned()], &options()).unwrap()
    }
}

fn options() -> Options {
    Options {
        threads: 2,
        mmap: true,
        window: Window::default(),
        bound: Bound { names: 262_144 },
        format: None,
        rejects: None,
        how: How::default(),
        interrupt: Interrupt::default(),
    }
}

fn read_with(paths: &[PathBuf], options: &Options) -> anyhow::Result<Reading> {
    let found = discover::discover(paths);
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    let hands = LateHands::new();
    hands.set(Hands { domains: vec!["cluster.local".into()], ..Hands::default() }).unwrap();
    read(found.sources, &hands, options, &Progress::hidden(), None)
}

fn input<'a>(reading: &'a Reading, name: &str) -> &'a Input {
    reading.inputs.iter().find(|input| input.path.ends_with(name)).unwrap()
}

/// Every line is accounted for.
fn accounted(input: &Input) -> bool {
    let lines = &input.lines;
    lines.total == lines.queries + lines.other + lines.rejected.iter().sum::<u64>()
}

#[test]
fn threads_and_maps_change_nothing() {
    let dir = Dir::new();
    let long = log(60_000).replace('\n', " ");
    dir.add("a/small.log", log(10));
    dir.add("a/big.log", mixed(30_000));
    dir.add("a/long.log", format!("{}{long}\n{}", log(3), line(7).trim_end()));
    dir.add("a/packed.gz", [gzip(&mixed(9_000)), gzip(&log(5))].concat());
    dir.add("a/packed.zst", zstd::encode_all(mixed(20_000).as_bytes(), 1).unwrap());
    dir.add("a/empty.log", "");
    let inputs = [dir.path().join("a")];
    let read = |threads, mmap| {
        let rejects = dir.path().join("rejects.csv");
        let options = Options { threads, mmap, rejects: Some(rejects.clone()), ..options() };
        let reading = read_with(&inputs, &options).unwrap();
        (reading, fs::read_to_string(rejects).unwrap())
    };
    let (one, rejects) = read(1, true);
    assert!(one.inputs.iter().all(accounted), "{:#?}", one.inputs);
    assert_eq!(input(&one, "big.log").lines.queries, 30_000);
    assert_eq!(input(&one, "big.log").bytes, mixed(30_000).len() as u64);
    assert_eq!(input(&one, "packed.gz").lines.queries, 9_005);
    assert_eq!(input(&one, "long.log").lines.total, 5);
    let records = |input: &Input| input.answered + input.failed + input.unknown;
    assert_eq!(records(input(&one, "long.log")), 60_004);
    assert_eq!(one.samples.len(), 3);
    let rows: u64 = one.inputs.iter().map(|i| i.lines.rejected.iter().sum::<u64>()).sum();
    let fragments: u64 = one.inputs.iter().map(|i| i.lines.fragments).sum();
    assert_eq!(rejects.lines().count() as u64, 1 + rows + fragments);
    for (threads, mmap) in [(1, false), (2, true), (2, false), (7, true), (7, false)] {
        let (other, other_rejects) = read(threads, mmap);
        assert!(other == one, "{threads} threads, mmap {mmap}");
        assert!(other_rejects == rejects, "rejects of {threads} threads, mmap {mmap}");
    }
}

#[test]
fn rejects_say_where_in_the_decompressed_input_they_stand() {
    let dir = Dir::new();
    let text = format!("{}[INFO] 10.7.0.1:40 - 8 \"A IN cut.example. udp\n{}", log(2), line(3));
    dir.add("in/a.gz", gzip(&text));
    let rejects = dir.path().join("rejects.csv");
    let options = Options { rejects: Some(rejects.clone()), ..options() };
    read_with(&[dir.path().join("in")], &options).unwrap();
    let rejects = fs::read_to_string(rejects).unwrap();
    let row = rejects.lines().nth(1).unwrap();
    let expected = format!("/in/a.gz,3,{},malformed,", log(2).len());
    assert!(row.contains(&expected), "{row}");
}

#[test]
fn what_holds_no_record_is_no_query_log_and_the_rest_goes_on() {
    let dir = Dir::new();
    dir.add("a.log", log(10));
    dir.add("notes.md", "# What we did\n\nNothing.\n");
    dir.add("pod.yaml", "apiVersion: v1\nkind: Pod\n");
    dir.add("x.xz", b"\xfd7zXZ\0rest");
    dir.add("cut.gz", &gzip(&log(50_000))[..40_000]);
    dir.add("twice.gz", gzip("\x1f\u{8b}"));
    let reading = dir.read();
    let row = |name| {
        let input = input(&reading, name);
        (input.is_log, input.state, input.problem.as_deref())
    };
    assert_eq!(row("a.log"), (true, State::Complete, None));
    assert_eq!(row("notes.md"), (false, State::Complete, None));
    assert_eq!(row("pod.yaml"), (false, State::Complete, Some("a Kubernetes object")));
    assert_eq!(row("x.xz").1, State::Unreadable);
    assert_eq!(
        row("cut.gz"),
        (true, State::Truncated, Some("the compressed stream ends too early"))
    );
    assert!(input(&reading, "cut.gz").lines.queries > 1000);
    assert_eq!(input(&reading, "a.log").lines.queries, 10);
}

#[test]
fn a_window_counts_what_lies_outside_it() {
    let dir = Dir::new();
    dir.add(
        "a.log",
        log(100)
            + "[INFO] 10.7.0.1:4000 - 7 \"A IN a.example. udp 30 false 512\" NOERROR qr 62 0.1s\n",
    );
    let time = |text| crate::time::parse(text).unwrap();
    let window = Window {
        since: Some(time("2026-03-14T00:00:10Z")),
        until: Some(time("2026-03-14T00:00:20Z")),
    };
    let reading = read_with(&[dir.path().to_owned()], &Options { window, ..options() }).unwrap();
    let a = input(&reading, "a.log");
    assert_eq!((a.answered + a.failed, a.outside, a.untimed), (10, 91, 1));
    assert_eq!(a.seen, Some((time("2026-03-14T00:00:10.5Z"), time("2026-03-14T00:00:19.5Z"))));
    assert_eq!(a.lines.queries, 101);
}

#[test]
fn two_logs_of_one_pod_and_one_time_are_named() {
    let dir = Dir::new();
    dir.add("one/coredns-7xk2p.txt", log(10));
    dir.add("two/coredns-7xk2p.txt", log(20));
    dir.add("two/coredns-9abcd.txt", log(20));
    let notes = dir.read().notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("coredns-7xk2p") && notes[0].contains("inflated"), "{notes:?}");
}

#[cfg(unix)]
mod pipes {
    use super::*;

    fn fifo(dir: &Dir) -> PathBuf {
        let path = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        path
    }

    #[test]
    fn a_pipe_gives_what_its_bytes_give_as_a_file() {
        let dir = Dir::new();
        let text = mixed(20_000);
        let path = fifo(&dir);
        let file = dir.add("file.log", &text);
        for packed in [false, true] {
            let bytes = if packed { gzip(&text) } else { text.clone().into_bytes() };
            let into = path.clone();
            let writer = std::thread::spawn(move || fs::write(into, bytes).unwrap());
            let piped = read_with(std::slice::from_ref(&path), &options()).unwrap();
            writer.join().unwrap();
            let read = read_with(std::slice::from_ref(&file), &options()).unwrap();
            assert_eq!(piped.inputs[0].state, State::Complete);
            assert_eq!(piped.inputs[0].lines, read.inputs[0].lines);
            assert_eq!(piped.inputs[0].bytes, read.inputs[0].bytes);
            assert_eq!(piped.samples, read.samples);
            assert_eq!(piped.tally.rows.len(), read.tally.rows.len());
        }
    }

    #[test]
    fn an_interrupt_ends_the_pipe_and_keeps_what_came() {
        let dir = Dir::new();
        let path = fifo(&dir);
        let options = options();
        let (into, interrupt) = (path.clone(), options.interrupt.clone());
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let writer = std::thread::spawn(move || {
            let mut pipe = fs::OpenOptions::new().write(true).open(into).unwrap();
            pipe.write_all(log(5).as_bytes()).unwrap();
            interrupt.ask();
            // The pipe stays open.
            let _ = wait.recv();
        });
        let reading = read_with(&[path], &options).unwrap();
        drop(done);
        writer.join().unwrap();
        assert!(reading.interrupted);
        assert_eq!(reading.inputs[0].state, State::Interrupted);
        assert_eq!(reading.inputs[0].lines.queries, 5);
    }

    #[test]
    fn what_is_stopped_reads_nothing_to_its_end_and_writes_no_rejects() {
        let dir = Dir::new();
        // Of these one never ends, and the others would wait for the hands.
        let inputs = [fifo(&dir), dir.add("a.log", mixed(9_000)), dir.add("b.gz", gzip(&log(9)))];
        let path = dir.path().join("rejects.csv");
        for threads in 1..=4 {
            let options = Options { threads, rejects: Some(path.clone()), ..options() };
            let hands = LateHands::new();
            let first = || {
                options.interrupt.stop();
                let _ = hands.set(Hands::default());
            };
            let sources = discover::discover(&inputs).sources;
            assert_eq!(sources.len(), 3);
            let stopped = read(sources, &hands, &options, &Progress::hidden(), Some(&first));
            assert!(stopped.is_err(), "{stopped:?}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn an_object_in_a_pipe_is_an_error_that_names_the_flag() {
        let dir = Dir::new();
        let path = fifo(&dir);
        let into = path.clone();
        let writer = std::thread::spawn(move || {
            fs::write(into, "{\"apiVersion\": \"v1\", \"items\": []}\n").unwrap();
        });
        let failed = read_with(&[path], &options()).unwrap_err();
        writer.join().unwrap();
        assert!(failed.to_string().contains("--snapshot"), "{failed}");
    }
}
