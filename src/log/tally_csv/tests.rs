use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::log::record::{Kind, QType, Rcode};
use crate::log::tally::{Numbers, Sighting};
use crate::log::{Lines, State};

fn paths() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/.;=%',\"é\n -]{1,8}", Just("-".to_owned()), Just("'x".to_owned())]
}

fn places() -> impl Strategy<Value = Place> {
    (paths(), 1..1_000_000_000_000_u64)
        .prop_map(|(path, line)| Place { path: Arc::from(path), line })
}

fn seen() -> impl Strategy<Value = Option<(Time, Time)>> {
    prop::option::of((any::<Time>(), any::<Time>()).prop_map(|(a, b)| (a.min(b), a.max(b))))
}

/// A row with its name and paths.
type Made = (Row, String, Vec<Arc<str>>);

fn rows() -> impl Strategy<Value = Made> {
    let kinds = (
        prop::sample::select(vec!["A", "AAAA", "NSAP-PTR", "OTHER", "PTR"]),
        prop::sample::select(vec!["NOERROR", "NXDOMAIN", "-", "?", "OTHER"]),
    );
    let kinds = kinds.prop_map(|(qtype, rcode)| Kind {
        qtype: QType::of(qtype.as_bytes()),
        rcode: Rcode::of(rcode.as_bytes()),
    });
    let counts = prop::collection::btree_map(kinds, 1..9999_u64, 1..5);
    let client = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|ip| IpAddr::from(ip).to_canonical()),
    ];
    let name = prop_oneof!["[=+@'*_a-z. \\\\-]{0,12}", Just(".".to_owned())];
    let parts = (client, name, counts, seen(), places(), prop::option::of((seen(), places())));
    parts.prop_map(|(client, name, counts, seen, place, answered)| {
        let name = crate::name::spelling(name.as_bytes()).into_owned();
        let counts = counts.into_iter().collect();
        let mut paths = vec![place.path];
        let sighting = Sighting { seen, path: 0, line: place.line };
        let mut row = Row { client, name: 0, counts, sighting, answered: None };
        let answered = answered.filter(|(when, _)| when.is_some() == seen.is_some());
        row.answered =
            answered.filter(|_| row.count(Outcome::Answered) > 0).map(|(seen, place)| {
                paths.push(place.path);
                Box::new(Sighting { seen, path: 1, line: place.line })
            });
        (row, name, paths)
    })
}

fn tallies() -> impl Strategy<Value = Tally> {
    let lost = (prop::option::of(any::<[u8; 4]>()), any::<[u32; 4]>(), any::<u32>());
    let lost = lost.prop_map(|(client, [answered, failed, unknown, of_cluster], names)| Lost {
        client: client.map(IpAddr::from),
        given_up: GivenUp {
            records: [answered, failed, unknown].map(u64::from),
            of_cluster: of_cluster.into(),
        },
        names: names.into(),
    });
    let depth = (1..=4096_u32, 1..=4096_u32, any::<[bool; 2]>())
        .prop_map(|(known, unknown, crowded)| Depth { known, unknown, crowded });
    let parts = (prop::collection::vec(rows(), 0..6), prop::collection::vec(lost, 0..4), depth);
    parts.prop_map(|(made, mut lost, depth)| {
        let (mut names, mut paths) = (Numbers::default(), Numbers::default());
        let rows = made.into_iter().map(|(mut row, name, of_row)| {
            row.name = names.of(&name);
            let of_row: Vec<u32> = of_row.iter().map(|path| paths.of(path)).collect();
            row.sighting.path = of_row[0];
            if let Some(answered) = &mut row.answered {
                answered.path = of_row[1];
            }
            row
        });
        let mut rows: Vec<Row> = rows.collect();
        let order = |a: &Row, b: &Row| a.order_by(b, |name| names.text(name));
        rows.sort_by(order);
        rows.dedup_by(|a, b| order(a, b).is_eq());
        let tally = Tally::of(rows, names, paths);
        lost.sort_by_key(|lost| (lost.client.is_none(), lost.client));
        lost.dedup_by_key(|lost| lost.client);
        Tally { lost, depth, ..tally }
    })
}

fn inputs() -> impl Strategy<Value = Input> {
    let states = prop::sample::select(vec![State::Complete, State::Grew, State::Interrupted]);
    let problem = prop::option::of("[a-z;=%é ]{0,9}");
    (paths(), any::<[u32; 16]>(), any::<bool>(), states, problem, any::<u64>(), seen()).prop_map(
        |(path, n, is_log, state, problem, id, seen)| {
            let n = n.map(u64::from);
            let mut lines = Lines {
                total: n[0] + n[1],
                queries: n[0],
                other: n[1],
                rejected: [n[2], 0, n[3], 0, n[4]],
                fragments: n[5],
            };
            lines.total += n[2] + n[3] + n[4];
            let (bytes, answered, failed) = (n[6], n[7], n[8]);
            let (unknown, outside, untimed) = (n[9] % 2, n[10], n[11]);
            Input {
                path,
                is_log,
                bytes,
                lines,
                answered,
                failed,
                unknown,
                outside,
                untimed,
                seen,
                state,
                problem,
                id,
            }
        },
    )
}

/// The inputs, of which the last counted what the others did not: all of them together, what the tally holds.
fn balanced(tally: &Tally, mut inputs: Vec<Input>) -> Vec<Input> {
    let [answered, failed, unknown] = tally.records();
    for input in &mut inputs {
        (input.answered, input.failed, input.unknown) = (0, 0, 0);
    }
    match inputs.last_mut() {
        Some(last) => (last.answered, last.failed, last.unknown) = (answered, failed, unknown),
        None => inputs.push(Input { answered, failed, unknown, ..counted([0; 3]) }),
    }
    inputs
}

/// An input with so many answered, failed and unknown records.
pub(crate) fn counted([answered, failed, unknown]: [u64; 3]) -> Input {
    Input {
        path: "a.txt".into(),
        is_log: true,
        bytes: 0,
        lines: Lines::default(),
        answered,
        failed,
        unknown,
        outside: 0,
        untimed: 0,
        seen: None,
        state: State::Complete,
        problem: None,
        id: 0,
    }
}

fn written(tally: &Tally, inputs: &[Input]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(tally, inputs, &mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn what_was_written_is_read(tally in tallies(), inputs in prop::collection::vec(inputs(), 0..3)) {
        let inputs = balanced(&tally, inputs);
        let bytes = written(&tally, &inputs);
        let (read, inputs_read) = read(&bytes, "t.csv").unwrap();
        prop_assert_eq!(read, tally);
        prop_assert_eq!(inputs_read, inputs);
    }

    #[test]
    fn a_torn_file_is_refused_wherever_it_was_torn(tally in tallies(), input in inputs(), at in 0.0..1.0) {
        let bytes = written(&tally, &balanced(&tally, vec![input]));
        // All but the last newline says something.
        let at = ((bytes.len() - 1) as f64 * at) as usize;
        prop_assert!(read(&bytes[..at], "t.csv").is_err());
    }

    #[test]
    fn what_was_edited_is_refused(
        tally in tallies(), more in prop::collection::vec(inputs(), 0..3), at in any::<prop::sample::Index>(), how in 0..4,
    ) {
        let (mut edited, mut inputs) = (tally.clone(), balanced(&tally, more));
        match how {
            0 if !tally.rows.is_empty() => _ = edited.rows.remove(at.index(tally.rows.len())),
            1 if !tally.rows.is_empty() => edited.rows[at.index(tally.rows.len())].counts[0].1 += 1,
            2 => inputs.retain(|input| input.records() == [0; 3]),
            _ => edited.lost.clear(),
        }
        let refused = read(&written(&edited, &inputs), "t.csv").is_err();
        prop_assert_eq!(refused, edited.records() != tally.records() || how == 2 && tally.records() != [0; 3]);
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(tally in tallies(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = written(&tally, &balanced(&tally, Vec::new()));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok((tally, inputs)) = read(&bytes, "t.csv") {
            written(&tally, &inputs);
        }
    }
}

const ROW: &str = "10.9.0.1,=x.example,2,1,A/-=1;A/NOERROR=2,2026-03-01T00:00:01.5Z,2026-03-01T00:00:02Z,a.txt,3\n";

/// What counted them.
const INPUT: &str = "#input,a.txt,2,1,bytes=9;lines=3;queries=3;other=0;fragments=0;state=complete;id=00000000000000ff,,,,\n";

#[track_caller]
fn check(rows: &str, end: &str, expected: &str) {
    let text = format!("{HEADER}\n{rows}{end}");
    let error = match read(text.as_bytes(), "logs/\u{7}t.csv") {
        Ok(_) => "fine".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    assert!(error.ends_with(expected), "{error}");
    assert!(
        expected == "fine" || error.starts_with(r"logs/\x07t.csv: read as a tally: "),
        "{error}"
    );
}

#[test]
fn what_was_not_written_so_is_refused_with_the_row_and_the_reason() {
    let end = "#end,,1,,,,,,\n";
    check(&format!("{ROW}{INPUT}"), "#end,,2,,,,,,\n", "fine");
    check(ROW, "", "torn: no #end row; make it again");
    check("", end, "torn: the #end row counts 1 rows, here are 0");
    check(ROW, "#end,,2,,,,,,\n", "torn: the #end row counts 2 rows, here are 1");
    check(ROW, "#end,,1,,,,,,\n#end,,1,,,,,,\n", "row 4: it stands behind the #end row");
    check(&ROW.repeat(2), end, "row 3 (line 3): it is out of order");
    for (from, to, expected) in [
        ("10.9.0.1", "10.9.0.01", "`10.9.0.01` is no address"),
        ("10.9.0.1", "::ffff:10.9.0.1", "`::ffff:10.9.0.1` is no address"),
        ("10.9.0.1", "#hash", "this version knows no `#hash` row"),
        ("=x.example", "X.example", "the name is not spelled as kico does"),
        ("=x.example", "x.example.", "the name is not spelled as kico does"),
        (",2,1,", ",3,1,", "its counts do not add up"),
        (",2,1,", ",2,,", "`` is no count"),
        (",2,1,", ",+2,1,", "`+2` is no count"),
        ("A/-=1;A/NOERROR=2", "A/NOERROR=2;A/-=1", "outcomes out of order"),
        ("A/-=1", "A/-=0", "an outcome that was never seen"),
        ("A/-=1", "B/-=1", "`B/-=1` is no outcome"),
        ("A/-=1;A/NOERROR=2", "", "an outcome without `=`"),
        ("A/-=1", "A/-=99999999999999999999", "`99999999999999999999` is no count"),
        ("A/-=1", "A/-=1125899906842624", "more records than any log holds"),
        ("2026-03-01T00:00:02Z", "", "`` is no time"),
        (
            "2026-03-01T00:00:02Z",
            "2026-02-01T00:00:02Z",
            "it was last seen before it was first seen",
        ),
        ("a.txt", "a%2.txt", "a `%` that encodes nothing"),
        (",3\n", ",0\n", "lines count from 1"),
        (",3\n", "\n", "8 cells instead of 9"),
    ] {
        let row = ROW.replacen(from, to, 1);
        assert_ne!(row, ROW);
        check(&row, end, &format!("row 2 (line 2): {expected}"));
    }
    let input = INPUT.replace(",2,1,", ",0,0,").replace("queries=3;other=0", "queries=2;other=1");
    check(&input, end, "fine");
    for (from, to, expected) in [
        ("lines=3", "lines=4", "its lines do not add up"),
        ("id=00", "id=", "a broken id"),
        ("complete", "finished", "an unknown state"),
        ("bytes=9;", "", "no `bytes`"),
        ("bytes=9;", "bytes=9;shoes=2;", "`shoes` is not understood"),
    ] {
        let input = input.replacen(from, to, 1);
        check(&input, end, &format!("row 2 (line 2): {expected}"));
    }
    let many = input.replace("bytes=9", "bytes=1125899906842624").repeat(2);
    check(&many, "#end,,2,,,,,,\n", "row 3 (line 3): more than any logs hold");
}

#[test]
fn cells_are_defused_and_lines_end_in_lf() {
    let text = format!("{HEADER}\n{ROW}{INPUT}#end,,2,,,,,,\n");
    let (tally, inputs) = read(text.as_bytes(), "t.csv").unwrap();
    assert_eq!(tally.name(&tally.rows[0]), "=x.example");
    let bytes = String::from_utf8(written(&tally, &inputs)).unwrap();
    assert_eq!(bytes, text.replace("=x.", "'=x."));
}

#[test]
fn what_does_not_add_up_is_refused_with_both_figures() {
    let lost = "#lost,10.9.0.2,0,4,unknown=1;cluster=0;names=3,,,,\n";
    let counted =
        |n: &str, more: &str| INPUT.replace(",2,1,", n).replace(",,,,\n", &format!("{more},,,,\n"));
    let end = "#end,,3,,,,,,\n";
    check(&format!("{ROW}{}{lost}", counted(",2,5,", ";unknown=1")), end, "fine");
    let apart = counted(",2,0,", "");
    check(
        &format!("{ROW}{apart}{}{lost}", counted(",0,5,", ";unknown=1")),
        "#end,,4,,,,,,\n",
        "fine",
    );
    for (n, more, expected) in [
        (
            ",3,5,",
            ";unknown=1",
            "edited: of answered queries its rows hold 2, its #input rows count 3; make it again",
        ),
        (
            ",2,4,",
            ";unknown=1",
            "edited: of failed queries its rows hold 5, its #input rows count 4; make it again",
        ),
        (
            ",2,5,",
            "",
            "edited: of unknown queries its rows hold 1, its #input rows count 0; make it again",
        ),
    ] {
        check(&format!("{ROW}{}{lost}", counted(n, more)), end, expected);
    }
    let none =
        "edited: of answered queries its rows hold 2, its #input rows count 0; make it again";
    check(ROW, "#end,,1,,,,,,\n", none);
}
