//! The tally against the rule as it stands on paper: everything is collected first, then the rule is applied once.
//! However the records are split, and whatever was merged before, the result must be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use proptest::prelude::*;

use super::*;
use crate::log::record::{QType, Rcode, Record};
use crate::log::tally_csv::counted;
use crate::log::{Hands, Input, LateHands, Window, tally_csv};
use crate::name::{self, Shape};

/// One record of a made-up log.
#[derive(Clone, Debug)]
struct Line {
    input: usize,
    client: &'static str,
    name: String,
    kind: Kind,
    time: Option<Time>,
}

const PATHS: [&str; 3] = ["logs/a.txt", "logs/b.txt", "logs/c.txt"];
const CLIENTS: [&str; 12] = [
    "10.9.0.1",
    "10.9.0.2",
    "10.9.0.3",
    "10.9.0.4",
    "fd09::5",
    "172.31.0.6",
    "172.31.0.7",
    "172.31.0.8",
    "fd31::9",
    "::ffff:10.9.0.1",
    "FD09:0::5",
    "172.31.0.10",
];
const ZONE: &str = "svc.cluster.local.";

fn kind(qtype: &str, rcode: &str) -> Kind {
    Kind { qtype: QType::of(qtype.as_bytes()), rcode: Rcode::of(rcode.as_bytes()) }
}

fn hands(snapshot: bool) -> Hands {
    let changes: [(&str, &[Time]); 6] = [
        ("10.9.0.1", &[]),
        ("10.9.0.2", &[10]),
        ("10.9.0.3", &[5, 20, 21]),
        ("10.9.0.4", &[30]),
        ("fd09::5", &[]),
        ("10.9.9.9", &[]),
    ];
    let changes = changes.map(|(address, times)| (address.parse().unwrap(), times.to_vec()));
    let changes = if snapshot { HashMap::from(changes) } else { HashMap::new() };
    Hands { changes, domains: vec!["cluster.local".into()], snapshot }
}

fn late(hands: Hands) -> LateHands {
    LateHands::from(hands)
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let names = prop_oneof![
        (0..6u32).prop_map(|n| format!("db-{n}.shop.{ZONE}")),
        (0..3u32).prop_map(|n| format!("DB-{n}.shop.svc.cluster.local")),
        (0..3u32).prop_map(|n| format!("_sql._tcp.db-{n}.shop.{ZONE}")),
        (0..3u32).prop_map(|n| format!("pod-{n}.db-0.shop.{ZONE}")),
        (0..12u32).prop_map(|n| format!("x{n}.example.")),
        Just("10-9-0-1.shop.pod.cluster.local.".to_owned()),
        Just(r"old\ fax.example.".to_owned()),
        Just(".".to_owned()),
    ];
    let kinds = vec![
        kind("A", "NOERROR"),
        kind("AAAA", "NOERROR"),
        kind("A", "NXDOMAIN"),
        kind("AAAA", "-"),
        kind("SRV", "?"),
    ];
    let time = prop_oneof![1 => Just(None), 3 => (0..40 as Time).prop_map(Some)];
    let line =
        (0..3usize, prop::sample::select(&CLIENTS[..]), names, prop::sample::select(kinds), time);
    let line =
        line.prop_map(|(input, client, name, kind, time)| Line { input, client, name, kind, time });
    prop::collection::vec(line, 0..160)
}

/// How the lines are cut into chunks, these dealt to builders, and the builders merged.
#[derive(Clone, Debug)]
struct Split {
    chunk: usize,
    builders: usize,
    tallies: usize,
    seed: u64,
}

fn splits() -> impl Strategy<Value = Split> {
    (1..30usize, 1..5usize, 0..3usize, any::<u64>())
        .prop_map(|(chunk, builders, tallies, seed)| Split { chunk, builders, tallies, seed })
}

fn number(seed: u64, n: usize) -> usize {
    rank::name_rank(&format!("{seed} {n}")) as usize
}

fn run(lines: &[Line], hands: &LateHands, window: Window, bound: Bound, split: &Split) -> Tally {
    let mut builders: Vec<Builder<'_>> =
        (0..split.builders).map(|_| Builder::new(hands, window, bound)).collect();
    for (input, _) in PATHS.iter().enumerate() {
        let of_input: Vec<&Line> = lines.iter().filter(|line| line.input == input).collect();
        for (chunk, lines) in of_input.chunks(split.chunk).enumerate() {
            let builder = number(split.seed, input * 1000 + chunk) % split.builders;
            let builder = &mut builders[builder];
            builder.at(input as u32, chunk as u32);
            for (n, line) in lines.iter().enumerate() {
                let Line { client, name, kind, time, .. } = line;
                let (client, name) = (client.as_bytes(), name.as_bytes());
                assert!(
                    builder.record(n as u64, &Record { client, name, kind: *kind, time: *time })
                );
            }
        }
    }
    let paths = PATHS.map(Arc::from);
    let starts = |_, chunk: u32| u64::from(chunk) * split.chunk as u64;
    let mut tallies = Vec::new();
    for n in 0..split.tallies {
        let at = number(split.seed, 7000 + n) % (builders.len() + 1);
        let rest = builders.split_off(at);
        let part = merge(hands, bound, rest, &starts, &paths, std::mem::take(&mut tallies));
        tallies.push(through_csv(part));
    }
    if split.seed.is_multiple_of(2) {
        builders.reverse();
    }
    merge(hands, bound, builders, &starts, &paths, tallies)
}

fn through_csv(tally: Tally) -> Tally {
    let (mut bytes, inputs) = (Vec::new(), [counted(tally.records())]);
    tally_csv::write(&tally, &inputs, &mut bytes).unwrap();
    let (read, inputs_read) = tally_csv::read(&bytes, "part.csv").unwrap();
    assert_eq!(read, tally);
    assert_eq!(inputs_read, inputs);
    read
}

/// The rule on paper.
fn expected(lines: &[Line], hands: &Hands, window: Window, bound: Bound) -> Tally {
    type Moment = (Option<Time>, usize, u64);
    struct One {
        client: IpAddr,
        name: String,
        part: Option<usize>,
        kind: Kind,
        capped: bool,
        moment: Moment,
    }
    let mut line_of = [0; 3];
    let mut all = Vec::new();
    for line in lines {
        line_of[line.input] += 1;
        if !window.holds(line.time) {
            continue;
        }
        let client = line.client.parse::<IpAddr>().unwrap().to_canonical();
        let name = name::spelling(line.name.as_bytes()).into_owned();
        let changes = hands.changes.get(&client);
        let before = |time| changes.map_or(0, |c| c.iter().filter(|c| **c <= time).count());
        let service = matches!(
            name::shape(&name, &hands.domains),
            Shape::Service { .. } | Shape::Srv { .. } | Shape::Endpoint { .. }
        );
        let kept = changes.is_some() && service && line.kind.rcode == Rcode::NOERROR;
        let moment = (line.time, line.input, line_of[line.input]);
        let (part, kind) = (line.time.map(before), line.kind);
        all.push(One { client, name, part, kind, capped: !kept, moment });
    }

    let mut survivors: BTreeSet<(IpAddr, String)> = BTreeSet::new();
    let mut lost: BTreeMap<IpAddr, Lost> = BTreeMap::new();
    let mut beyond = Lost { client: None, given_up: GivenUp::default(), names: 0 };
    let mut depths = [4096, 4096];
    let mut crowded = [false; 2];
    for budget in 0..2 {
        let mine = |one: &&One| {
            let unknown = hands.snapshot && !hands.changes.contains_key(&one.client);
            one.capped && usize::from(unknown) == budget
        };
        let most = if budget == 0 { bound.names } else { (bound.names / 4).max(1) };
        let mut pairs: BTreeMap<(u64, IpAddr), BTreeSet<(u64, &str)>> = BTreeMap::new();
        for one in all.iter().filter(mine) {
            let client = (rank::client_rank(one.client), one.client);
            let rank = rank::rank(client.0, rank::name_rank(&one.name));
            pairs.entry(client).or_default().insert((rank, &one.name));
        }
        let mut depth = 4096;
        if pairs.len() > most {
            let last = *pairs.keys().nth(most - 1).unwrap();
            let gone = pairs.split_off(&(last.0, last.1));
            let (_, names) = gone.into_iter().next().unwrap();
            pairs.insert(last, names);
            let gone =
                |one: &&One| !pairs.contains_key(&(rank::client_rank(one.client), one.client));
            for one in all.iter().filter(mine).filter(gone) {
                beyond.given_up.add(|| &one.name, one.kind, 1);
            }
            beyond.names += bound::others(most as u32, last.0);
            crowded[budget] = true;
            depth = 1;
        }
        let kept = |depth: usize| pairs.values().map(|names| names.len().min(depth)).sum::<usize>();
        while kept(depth) > most {
            depth -= 1;
        }
        depths[budget] = depth as u32;
        for ((_, client), names) in &pairs {
            let kept: Vec<_> = names.iter().take(depth).collect();
            survivors.extend(kept.iter().map(|(_, name)| (*client, (*name).to_owned())));
            if names.len() > depth {
                let mut given_up = GivenUp::default();
                for one in all.iter().filter(mine).filter(|one| one.client == *client) {
                    if !kept.iter().any(|(_, name)| *name == one.name) {
                        given_up.add(|| &one.name, one.kind, 1);
                    }
                }
                let names = bound::others(depth as u32, kept[depth - 1].0).min(given_up.sum());
                lost.insert(*client, Lost { client: Some(*client), given_up, names });
            }
        }
    }
    all.retain(|one| !one.capped || survivors.contains(&(one.client, one.name.clone())));

    let mut groups: BTreeMap<(IpAddr, &str, Option<usize>), Vec<&One>> = BTreeMap::new();
    for one in &all {
        groups.entry((one.client, &one.name, one.part)).or_default().push(one);
    }
    let (mut names, mut paths) = (Numbers::default(), Numbers::default());
    let mut sighting = |moments: &[Moment]| {
        let (time, input, line) = *moments.iter().min()?;
        let seen = time.zip(moments.iter().filter_map(|m| m.0).max());
        Some(Sighting { seen, path: paths.of(PATHS[input]), line })
    };
    let mut row = |((client, name, _), ones): (&(IpAddr, &str, Option<usize>), &Vec<&One>)| {
        let mut counts: BTreeMap<Kind, u64> = BTreeMap::new();
        for one in ones {
            *counts.entry(one.kind).or_default() += 1;
        }
        let moments: Vec<Moment> = ones.iter().map(|one| one.moment).collect();
        let answered = ones.iter().filter(|one| one.kind.rcode == Rcode::NOERROR);
        let answered: Vec<Moment> = answered.map(|one| one.moment).collect();
        let whole = sighting(&moments).unwrap();
        let answered = sighting(&answered).filter(|answered| *answered != whole).map(Box::new);
        let (name, counts) = (names.of(name), counts.into_iter().collect());
        Row { client: *client, name, counts, sighting: whole, answered }
    };
    let rows: Vec<Row> = groups.iter().map(&mut row).collect();
    let mut lost: Vec<Lost> = lost.into_values().collect();
    if beyond.given_up != GivenUp::default() {
        beyond.names = beyond.names.min(beyond.given_up.sum());
        lost.push(beyond);
    }
    let depth = Depth { known: depths[0], unknown: depths[1], crowded };
    Tally { lost, depth, ..Tally::of(rows, names, paths) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn any_split_gives_what_the_rule_says(
        lines in lines(),
        snapshot: bool,
        names in prop_oneof![4..64usize, Just(100_000usize)],
        window in prop_oneof![
            3 => Just((None, None)),
            1 => (0..40 as Time, 0..40 as Time).prop_map(|(s, u)| (Some(s), Some(u))),
        ],
        split in splits(),
    ) {
        let window = Window { since: window.0, until: window.1 };
        let bound = Bound { names };
        let hands = hands(snapshot);
        let expected = expected(&lines, &hands, window, bound);
        let tally = run(&lines, &late(hands), window, bound, &split);
        prop_assert_eq!(&tally.depth, &expected.depth);
        prop_assert_eq!(&tally.lost, &expected.lost);
        prop_assert_eq!(&tally.names, &expected.names);
        prop_assert_eq!(&tally.paths, &expected.paths);
        for (row, expected) in tally.rows.iter().zip(&expected.rows) {
            prop_assert_eq!(row, expected);
        }
        prop_assert_eq!(tally.rows.len(), expected.rows.len());
        let mut records = [0; 3];
        for line in lines.iter().filter(|line| window.holds(line.time)) {
            records[line.kind.rcode.outcome() as usize] += 1;
        }
        prop_assert_eq!(tally.records(), records);
    }
}

/// One client, one builder, untimed: each name once.
fn flood(names: impl Iterator<Item = String>, hands: &LateHands, bound: Bound) -> Tally {
    let mut builder = Builder::new(hands, Window::default(), bound);
    builder.at(0, 0);
    let kind = kind("A", "NXDOMAIN");
    for (line, name) in (0..).zip(names) {
        let record = Record { client: b"10.9.0.1", name: name.as_bytes(), kind, time: None };
        assert!(builder.record(line, &record));
        assert!(builder.cells.len() < 80_000, "it must not grow with the log");
    }
    merge(hands, bound, vec![builder], &|_, _| 0, &[PATHS[0].into()], vec![])
}

#[test]
fn a_flood_of_names_is_bounded_and_counted() {
    let hands = late(hands(true));
    let bound = Bound { names: 262_144 };
    let tally = flood((0..200_000).map(|n| format!("x{n}.example.")), &hands, bound);
    assert_eq!(tally.rows.len(), 4096);
    let [lost] = &tally.lost[..] else { panic!("{:?}", tally.lost) };
    assert_eq!(lost.client, Some(IpAddr::from([10, 9, 0, 1])));
    assert_eq!(lost.given_up.records, [0, 200_000 - 4096, 0]);
    assert!((180_000..=195_904).contains(&lost.names), "{}", lost.names);
}

#[test]
fn spoofed_clients_are_bounded_and_counted() {
    let hands = late(hands(true));
    let bound = Bound { names: 4096 };
    let mut builder = Builder::new(&hands, Window::default(), bound);
    for n in 0..50_000_u32 {
        let client = IpAddr::from(n.to_be_bytes()).to_string();
        let kind = kind("A", "NOERROR");
        let record = Record { client: client.as_bytes(), name: b"x.example.", kind, time: Some(3) };
        assert!(builder.record(n.into(), &record));
        assert!(builder.clients.len() < 2100, "it must not grow with the log");
    }
    let tally = merge(&hands, bound, vec![builder], &|_, _| 0, &[PATHS[0].into()], vec![]);
    assert_eq!(tally.rows.len(), 1024);
    let [lost] = &tally.lost[..] else { panic!("{:?}", tally.lost) };
    assert_eq!((lost.client, lost.given_up.records), (None, [50_000 - 1024, 0, 0]));
    assert!((44_000..=48_976).contains(&lost.names), "{}", lost.names);
}

#[test]
fn text_that_is_no_address_is_not_taken() {
    let hands = late(hands(false));
    let window = Window { since: Some(50), until: None };
    let mut builder = Builder::new(&hands, window, Bound { names: 8 });
    for client in ["", "x", "10.9.0", "10.9.0.1:53", "[fd09::5]", "10.9.0.1 and much more text"] {
        let kind = kind("A", "NOERROR");
        let record = Record { client: client.as_bytes(), name: b"x.", kind, time: Some(1) };
        assert!(!builder.record(0, &record), "{client}");
    }
}

#[test]
fn only_times_and_crowds_wait_for_the_snapshot() {
    let nobody = LateHands::new();
    let mut builder = Builder::new(&nobody, Window::default(), Bound { names: 100 });
    let kind = kind("A", "NOERROR");
    for (line, client) in CLIENTS.iter().enumerate() {
        let record = Record { client: client.as_bytes(), name: b"x.", kind, time: None };
        assert!(builder.record(line as u64, &record));
    }
    assert!(nobody.set(hands(true)).is_ok());
    assert!(builder.record(99, &Record { client: b"10.9.0.2", name: b"x.", kind, time: Some(3) }));
    let bound = Bound { names: 100 };
    let tally = merge(&nobody, bound, vec![builder], &|_, _| 0, &[PATHS[0].into()], vec![]);
    assert_eq!(tally.rows.len(), 11);
}

/// A tally of one row.
fn one(seen: Option<(Time, Time)>) -> Tally {
    let counts = [(kind("A", "NOERROR"), 2)].into_iter().collect();
    let sighting = Sighting { seen, path: 0, line: 1 };
    let row = Row { client: [10, 9, 0, 3].into(), name: 0, counts, sighting, answered: None };
    let (names, paths) = (vec!["x".into()], vec![PATHS[0].into()]);
    Tally { names, paths, rows: vec![row], ..Tally::default() }
}

#[test]
fn a_row_across_a_change_of_hands_stays_a_row_of_its_own() {
    let hands = late(hands(true));
    let tallies = [(0, 4), (1, 2), (3, 7), (4, 6), (6, 6)].map(|seen| one(Some(seen))).to_vec();
    let all = merge(&hands, Bound { names: 99 }, vec![], &|_, _| 0, &[], tallies);
    let rows = all.rows.iter().map(|row| (row.sighting.seen.unwrap(), row.counts[0].1));
    assert_eq!(rows.collect::<Vec<_>>(), [((0, 4), 4), ((3, 7), 4), ((6, 6), 2)]);
}

#[test]
fn a_window_takes_whole_rows_or_is_refused() {
    let window = Window { since: Some(10), until: Some(20) };
    for (seen, expected) in [
        (Some((10, 19)), Some(1)),
        (Some((0, 9)), Some(0)),
        (Some((20, 30)), Some(0)),
        (None, Some(0)),
        (Some((9, 10)), None),
        (Some((19, 20)), None),
        (Some((0, 30)), None),
    ] {
        let mut tally = one(seen);
        let mut inputs = [Input { seen, ..counted([2, 0, 0]) }];
        let clipped = clip(&mut tally, &mut inputs, window);
        assert_eq!(clipped.ok().map(|()| tally.rows.len()), expected, "{seen:?}");
    }
    let mut tally = one(None);
    clip(&mut tally, &mut [], Window::default()).unwrap();
    assert_eq!(tally.rows.len(), 1);
}

#[test]
fn what_was_given_up_is_cut_to_the_window_or_nobody_can_say_whose_is_left() {
    let window = Window { since: Some(10), until: Some(20) };
    let (inside, outside) = (Some((10, 19)), Some((0, 9)));
    // When the row and each input were seen, how much of the first input has no time; what is left of what one client gave
    // up, and of what two did.
    let check = |row,
                 [one_seen, other_seen]: [Option<(Time, Time)>; 2],
                 untimed,
                 expected: [Option<u64>; 2]| {
        let clients: [&[u8]; 2] = [&[3], &[3, 4]];
        for (clients, expected) in clients.into_iter().zip(expected) {
            let of = |client: &u8| {
                let failed = if *client == 3 { 8 - clients.len() as u64 } else { 1 };
                let given_up = GivenUp { records: [0, failed, 0], of_cluster: 0 };
                Lost { client: Some([10, 9, 0, *client].into()), given_up, names: 6 }
            };
            let mut tally = Tally { lost: clients.iter().map(of).collect(), ..one(row) };
            let mut inputs = [
                Input { seen: one_seen, untimed, ..counted([2, 3, 0]) },
                Input { seen: other_seen, ..counted([0, 4, 0]) },
            ];
            let clipped = clip(&mut tally, &mut inputs, window);
            let left =
                clipped.ok().map(|()| tally.lost.iter().map(|l| l.given_up.sum()).sum::<u64>());
            assert_eq!(left, expected, "{row:?} {one_seen:?} {other_seen:?} {untimed} {clients:?}");
            if let ([lost], Some(left)) = (&tally.lost[..], left) {
                assert_eq!(lost.names, left.min(6));
            }
        }
    };
    check(inside, [inside, inside], 0, [Some(7), Some(7)]);
    check(outside, [outside, outside], 0, [Some(0), Some(0)]);
    check(None, [None, None], 5, [Some(0), Some(0)]);
    check(None, [None, outside], 5, [Some(0), Some(0)]);
    check(inside, [inside, None], 0, [Some(3), None]);
    check(outside, [outside, inside], 0, [Some(4), None]);
    // All rows that are left have times, and some of what was given up has none.
    check(inside, [inside, inside], 2, [None, None]);
}

#[test]
fn what_is_left_of_the_given_up_may_all_have_been_of_the_cluster() {
    let given_up = GivenUp { records: [5, 1, 2], of_cluster: 6 };
    let lost = vec![Lost { client: None, given_up, names: 3 }];
    let mut tally = Tally { lost, rows: vec![], ..one(None) };
    let mut inputs = [
        Input { seen: Some((10, 19)), ..counted([1, 1, 1]) },
        Input { seen: Some((0, 9)), ..counted([4, 0, 1]) },
    ];
    let window = Window { since: Some(10), until: None };
    clip(&mut tally, &mut inputs, window).unwrap();
    let given_up = GivenUp { records: [1, 1, 1], of_cluster: 2 };
    assert_eq!(tally.lost, [Lost { client: None, given_up, names: 3 }]);
}
