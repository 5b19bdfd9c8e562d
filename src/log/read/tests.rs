//! The whole run, over files: what must hold whatever the threads and the way of reading.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::log::{Hands, discover};

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

mod tallies {
    use super::*;

    fn tally_of(paths: &[PathBuf]) -> Vec<u8> {
        let reading = read_with(paths, &options()).unwrap();
        let mut csv = Vec::new();
        tally_csv::write(&reading.tally, &reading.inputs, &mut csv).unwrap();
        csv
    }

    #[test]
    fn tallies_of_parts_give_what_all_logs_give() {
        let dir = Dir::new();
        let (a, b) = (dir.add("a.log", mixed(4000)), dir.add("b.log", mixed(3000)));
        let whole = read_with(&[a.clone(), b.clone()], &options()).unwrap();
        let one = dir.add("one.csv", tally_of(std::slice::from_ref(&a)));
        let two = dir.add(
            "two.csv.gz",
            gzip(&String::from_utf8(tally_of(std::slice::from_ref(&b))).unwrap()),
        );
        for inputs in [[&one, &two], [&a, &two], [&one, &b]] {
            let read = read_with(&inputs.map(PathBuf::clone), &options()).unwrap();
            assert_eq!(read.tally, whole.tally);
            let ids = |reading: &Reading| -> Vec<(String, u64, u64)> {
                reading.inputs.iter().map(|i| (i.path.clone(), i.id, i.lines.queries)).collect()
            };
            assert_eq!(ids(&read), ids(&whole));
        }
    }

    #[test]
    fn a_tally_of_what_is_read_anyway_counts_once_and_one_of_a_part_is_refused() {
        let dir = Dir::new();
        let (a, b) = (dir.add("a.log", log(10)), dir.add("b.log", log(20)));
        let both = dir.add("both.csv", tally_of(&[a.clone(), b.clone()]));
        let alone = read_with(&[a.clone(), b.clone()], &options()).unwrap();
        let read = read_with(&[a.clone(), b, both.clone()], &options()).unwrap();
        assert_eq!(read.tally, alone.tally);
        assert_eq!(read.inputs, alone.inputs);
        assert!(read.notes.iter().any(|note| note.contains("both.csv")), "{:?}", read.notes);
        let refused = read_with(&[a, both], &options()).unwrap_err().to_string();
        assert!(refused.contains("both.csv") && refused.contains("b.log"), "{refused}");
    }

    #[test]
    fn tallies_that_share_only_what_holds_no_record_do_not_overlap() {
        let dir = Dir::new();
        let (a, b) = (dir.add("a.log", log(10)), dir.add("b.log", log(20)));
        for nothing in ["", "nothing\n", "[INFO] 10.7.0.1:40 - 8 \"A IN broken.example. udp\n"] {
            let empty = dir.add("empty.log", nothing);
            let [one, two, none] = [[&a, &empty], [&b, &empty], [&empty, &empty]]
                .map(|logs| tally_of(&logs.map(PathBuf::clone)));
            let [one, two, none] = [("1.csv", one), ("2.csv", two), ("3.csv", none)]
                .map(|(name, csv)| dir.add(name, csv));
            let logs = read_with(&[a.clone(), b.clone(), empty.clone()], &options()).unwrap();
            for inputs in [
                &[&one, &two][..],
                &[&one, &two, &none],
                &[&one, &two, &empty],
                &[&a, &two],
                &[&none, &a, &two],
                &[&one, &a, &two],
                // Of a tally that is skipped, what nobody else has read is still listed.
                &[&a, &b, &one],
            ] {
                let inputs: Vec<PathBuf> = inputs.iter().map(|path| (*path).clone()).collect();
                let read = read_with(&inputs, &options()).unwrap();
                assert_eq!((&read.tally, &read.inputs), (&logs.tally, &logs.inputs), "{inputs:?}");
            }
        }
    }

    #[test]
    fn a_torn_tally_is_named_and_the_rest_goes_on() {
        let dir = Dir::new();
        let a = dir.add("a.log", log(10));
        let csv = tally_of(std::slice::from_ref(&a));
        let torn = dir.add("torn.csv", &csv[..csv.len() - 20]);
        let read = read_with(&[a, torn], &options()).unwrap();
        assert_eq!(input(&read, "torn.csv").state, State::Unreadable);
        assert_eq!(input(&read, "a.log").lines.queries, 10);
    }

    #[test]
    fn a_tally_cut_to_a_window_is_covered_as_its_logs_are() {
        let dir = Dir::new();
        let untimed: String = log(40).replace("2026-03-14T", "x");
        let logs = [
            dir.add("early.log", log(10)),
            dir.add("late.log", line(100) + &line(3700)),
            dir.add("untimed.log", &untimed),
        ];
        let tallies = logs.clone().map(|log| {
            let name = log.with_extension("csv");
            dir.add(name.file_name().unwrap().to_str().unwrap(), tally_of(&[log]))
        });
        let time = crate::time::parse;
        for window in [
            Window { since: None, until: time("2026-03-14T00:01:00Z") },
            Window { since: time("2026-03-14T00:01:00Z"), until: None },
            Window { since: time("2026-03-15T00:00:00Z"), until: None },
        ] {
            let options = Options { window, ..options() };
            let (once, twice) =
                (read_with(&logs, &options).unwrap(), read_with(&tallies, &options).unwrap());
            assert_eq!(once, twice);
            assert!(once.inputs.iter().any(|input| input.outside > 0));
        }
    }

    #[test]
    fn counts_that_no_window_can_take_apart_are_refused() {
        let dir = Dir::new();
        // No row lies across the edge, but the log does; or some of its records have no time.
        let rows = line(1) + &line(2);
        let mixed = line(1) + &line(2).replace("2026-03-14T", "x");
        for log in [rows, mixed] {
            let tally = dir.add("t.csv", tally_of(&[dir.add("a.log", log)]));
            let window =
                Window { since: crate::time::parse("2026-03-14T00:00:01.7Z"), until: None };
            let late = read_with(std::slice::from_ref(&tally), &Options { window, ..options() });
            let window = Window { since: None, until: window.since };
            let early = read_with(&[tally], &Options { window, ..options() });
            assert!(late.is_err() || early.is_err());
        }
    }

    /// A log of these records: second, or no time; client, name, whether it failed.
    fn made(records: &[(Option<usize>, u8, u8, bool)]) -> String {
        let mut log = String::new();
        for (second, client, name, failed) in records {
            if let Some(second) = second {
                write!(log, "2026-03-14T00:00:{second:02}Z ").unwrap();
            }
            let rcode = if *failed { "NXDOMAIN" } else { "NOERROR" };
            let line =
                format!("\"A IN x{name}.example. udp 54 false 512\" {rcode} qr,aa,rd 106 0.0001s");
            writeln!(log, "[INFO] 10.7.0.{client}:4000 - 5 {line}").unwrap();
        }
        log
    }

    /// A log in one of three stretches of time, with times, without, or both.
    fn logs() -> impl Strategy<Value = String> {
        let record = (any::<u16>(), 0..100_u8, 0..4_u8, 0..20_u8, any::<bool>());
        let records = prop::collection::vec(record, 0..40);
        let untimed = prop_oneof![6 => Just(0_u8), 1 => Just(100), 1 => Just(10)];
        (0..3_usize, untimed, records).prop_map(|(stretch, untimed, records)| {
            let record = |(second, chance, client, name, failed): &(u16, u8, u8, u8, bool)| {
                let second = stretch * 20 + usize::from(*second) % 20;
                ((*chance >= untimed).then_some(second), *client, *name, *failed)
            };
            made(&records.iter().map(record).collect::<Vec<_>>())
        })
    }

    /// Mostly such that no stretch lies across its edges.
    fn windows() -> impl Strategy<Value = Window> {
        let second = prop_oneof![4 => (0..4_i64).prop_map(|n| n * 20), 1 => 0..60_i64];
        let edge = || prop::option::of(second.clone());
        let start = crate::time::parse("2026-03-14T00:00:00Z").unwrap();
        let at = move |second: i64| start + second * crate::time::SECOND;
        (edge(), edge())
            .prop_map(move |(since, until)| Window { since: since.map(at), until: until.map(at) })
    }

    fn records(reading: &Reading) -> Vec<(String, [u64; 3])> {
        reading.inputs.iter().map(|input| (input.path.clone(), input.records())).collect()
    }

    /// Writes it, and reads what was written.
    fn again(
        dir: &Dir,
        name: &str,
        reading: &Reading,
        options: &Options,
    ) -> anyhow::Result<(PathBuf, Reading)> {
        let mut csv = Vec::new();
        tally_csv::write(&reading.tally, &reading.inputs, &mut csv)?;
        let path = dir.add(name, csv);
        let read = read_with(std::slice::from_ref(&path), options)?;
        Ok((path, read))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_tally_adds_up_whatever_it_was_made_of_and_cut_to(
            logs in prop::collection::vec(logs(), 1..4), [made_in, cut_to] in [windows(), windows()],
            names in prop_oneof![1..30_usize, Just(262_144)],
        ) {
            let dir = Dir::new();
            let bound = Bound { names };
            let all = Options { bound, ..options() };
            let made = Options { window: made_in, ..all.clone() };
            let cut = Options { window: cut_to, ..all.clone() };
            let logs: Vec<PathBuf> = (0..).zip(logs).map(|(n, log)| dir.add(&format!("{n}.log"), log)).collect();
            let mut tallies = Vec::new();
            for log in &logs {
                let once = read_with(std::slice::from_ref(log), &made).unwrap();
                let name = log.with_extension("csv");
                let (path, read) = again(&dir, name.file_name().unwrap().to_str().unwrap(), &once, &all).unwrap();
                prop_assert_eq!(&read.inputs, &once.inputs);
                tallies.push(path);
            }
            let merged = read_with(&tallies, &all).unwrap();
            let (path, read) = again(&dir, "merged.csv", &merged, &all).unwrap();
            prop_assert_eq!(&read.inputs, &merged.inputs);
            prop_assert_eq!(records(&read), records(&read_with(&logs, &made).unwrap()));

            let both = Window {
                since: made_in.since.max(cut_to.since),
                until: made_in.until.into_iter().chain(cut_to.until).min(),
            };
            let direct = read_with(&logs, &Options { window: both, ..all.clone() }).unwrap();
            for inputs in [&tallies[..], std::slice::from_ref(&path)] {
                let Ok(read) = read_with(inputs, &cut) else { continue };
                prop_assert_eq!(records(&read), records(&direct));
                let (_, read_again) = again(&dir, "cut.csv", &read, &all).unwrap();
                prop_assert_eq!(&read_again.inputs, &read.inputs);
                prop_assert_eq!(&read_again.tally, &read.tally);
            }
        }
    }

    #[test]
    fn a_row_across_the_windows_edge_is_refused_with_the_way_out() {
        let dir = Dir::new();
        let a = dir.add("a.csv", tally_of(&[dir.add("a.log", log(7000))]));
        let since = crate::time::parse("2026-03-14T00:00:10Z");
        let window = Window { since, until: None };
        let refused = read_with(&[a], &Options { window, ..options() }).unwrap_err();
        assert!(format!("{refused:#}").contains("give the window to kico tally"), "{refused:#}");
    }
}
