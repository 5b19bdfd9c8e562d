//! Tallies that are read: beside logs, of each other's inputs, torn, cut to a window, edited.

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
    let two = dir
        .add("two.csv.gz", gzip(&String::from_utf8(tally_of(std::slice::from_ref(&b))).unwrap()));
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
        let [one, two, none] =
            [("1.csv", one), ("2.csv", two), ("3.csv", none)].map(|(name, csv)| dir.add(name, csv));
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
        let window = Window { since: crate::time::parse("2026-03-14T00:00:01.7Z"), until: None };
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
