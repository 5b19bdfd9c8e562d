//! What holds for every line, however long or broken.

use proptest::prelude::*;

use super::*;

#[test]
fn a_line_in_windows_is_the_line() {
    let each: Vec<String> =
        LINES.iter().flat_map(|(line, ..)| wrappers(line)).map(|w| w.0).collect();
    let noise = [
        "[INFO] plugin/reload: x",
        "{\"a\":[1,{",
        "\\\"",
        "10.0.0.9:1 - 1 \"A IN x",
        " - 7 \"A",
        &"y".repeat(9000),
    ];
    let mut line = Vec::new();
    for (index, piece) in each.iter().enumerate() {
        line.extend(piece.bytes().filter(|b| *b != b'\n'));
        line.extend(noise[index % noise.len()].bytes());
        line.push(b' ');
    }
    let (whole, counts) = scan(&line);
    assert!(whole.records.len() > LINES.len() * 30);
    for size in [16 * 1024, 17 * 1024 + 13, 40_000, 65_536, 100_001] {
        let (parts, part_counts) = in_windows(&line, size);
        assert_eq!(part_counts, counts, "{size}");
        assert_eq!(parts.pairs(), whole.pairs(), "{size}");
    }
}

#[test]
fn a_record_of_more_than_8_kib_is_too_long() {
    let line = |length: usize| {
        format!(
            "[INFO] 10.0.0.7:1 - 2 \"A IN {}. udp 1 false 512\" NOERROR qr 1 0s",
            "a".repeat(length)
        )
    };
    assert_eq!(scan(line(8000).as_bytes()).1.queries, 1);
    assert_eq!(told(&line(8200)), ["! too-long"]);
    assert_eq!(told(&line(100_000)), ["! too-long"]);
    assert_eq!(told(&format!("{} {}", line(9000), LINES[7].0)).len(), 2);
    assert_eq!(in_windows(line(100_000).as_bytes(), 16 * 1024).1, scan(line(100_000).as_bytes()).1);
}

#[test]
fn hostile_lines_cost_as_much_as_they_are_long() {
    let pieces = [
        "\"",
        "[INFO] ",
        "\\",
        "{",
        "[",
        " IN ",
        " - ",
        "A IN ",
        "\\\"A IN ",
        "{\"",
        "\\ ",
        " - 1 \"A IN \\ ",
        "\"A IN x udp 5 ",
        "10.0.0.7:1 - 1 \"A IN x. udp 5 false 5\" ",
        "client_ip {\"plugin\":\"log\",",
        " \0",
        "1",
    ];
    let cost = |line: &str, scan: &dyn Fn(&[u8])| {
        STEPS.set(0);
        scan(line.as_bytes());
        STEPS.get()
    };
    let whole = |line: &[u8]| drop(scan(line));
    let windows = |line: &[u8]| drop(in_windows(line, 16 * 1024));
    for piece in pieces {
        let short = piece.repeat((1 << 15) / piece.len());
        let long = short.repeat(16);
        for scan in [&whole as &dyn Fn(&[u8]), &windows] {
            let (few, many) = (cost(&short, scan), cost(&long, scan));
            // Linear is 16, quadratic is 256.
            assert!(many <= few * 20 + 100, "{piece:?}: {few}, and {many} for 16 times as much");
        }
    }
}

fn general() -> Scanner {
    Scanner::new(None, How::General)
}

/// Lines, wrapped or not, that were hit by something: bytes changed, dropped, and words of the formats in wrong places.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        " ",
        "  ",
        "\"",
        "\\",
        "\\ ",
        " IN ",
        " - ",
        "[INFO] ",
        "udp",
        "NOERROR",
        "-",
        "\0",
        "\x1b[0m",
        "{\"log\":\"",
        "10.0.0.1:53",
        "1",
        "\n",
        "\r",
        "A",
        "µ",
        "2024-06-01T10:00:00Z ",
        "stdout F ",
        "qr",
        ".",
        "false",
        "]",
        "[",
        "%",
        " \"0\"",
        "{",
        "}",
        "\\n\",",
        "\"time\":\"",
        "client_ip",
        ",",
        "s",
        "0.1s",
    ]);
    let edit = (any::<prop::sample::Index>(), 0..4u8, words, any::<u8>());
    let wrapped = LINES.iter().flat_map(|(line, ..)| {
        let bare = ["", "2024-06-01T10:00:00.1+02:00 "].map(|lead| format!("{lead}{line}"));
        wrappers(line).into_iter().map(|wrapped| wrapped.0).chain(bare)
    });
    let base = prop::sample::select(wrapped.collect::<Vec<_>>());
    (base, prop::collection::vec(edit, 0..3)).prop_map(|(base, edits)| {
        let mut line = base.into_bytes();
        for (at, what, word, byte) in edits {
            let at = at.index(line.len() + 1);
            match what {
                0 => drop(line.splice(at..at, word.bytes())),
                1 if at < line.len() => line[at] = byte,
                2 if at < line.len() => line[at] = word.as_bytes()[0],
                _ => drop(line.splice(at..(at + 3).min(line.len()), word.bytes())),
            }
        }
        line
    })
}

#[test]
fn the_fast_path_takes_what_is_common() {
    let line = LINES[7].0;
    for wrapped in [
        line.to_owned(),
        format!("{line}\r"),
        format!("{line} \"0\""),
        format!("{STAMP} {line}"),
        format!("{STAMP} stdout F {line}"),
        serde_json::json!({ "log": format!("{line}\n"), "stream": "stdout", "time": STAMP })
            .to_string(),
        format!("[pod/coredns-7db6d8ff4d-x/coredns] {STAMP} {line}"),
        format!("coredns-7db6d8ff4d-x coredns {line}"),
        format!("Apr 30 20:09:20 host coredns[623]: {line}"),
    ] {
        assert!(fast::read(wrapped.as_bytes(), &mut Clock::default()).is_some(), "{wrapped}");
    }
}

/// Every place of a line that the wide way reads, hit once by every byte that could mean something there.
#[test]
fn one_byte_more_less_or_another_is_read_alike() {
    let line = LINES[7].0;
    let json = |line: &str| serde_json::to_string(&format!("{line}\n")).unwrap();
    for base in [
        line.to_owned(),
        format!("{STAMP} {line}"),
        format!("{STAMP} stdout F {line}"),
        format!("{{\"log\":{},\"stream\":\"stdout\",\"time\":\"{STAMP}\"}}", json(line)),
    ] {
        for at in 0..base.len() {
            for byte in *b"\n \t\r\"\\\0\x7f\xc3.:-09aZ[]{}" {
                for (from, to) in [(at, at), (at, at + 1), (at, (at + 2).min(base.len()))] {
                    let mut text = base.clone().into_bytes();
                    text.splice(from..to, [byte]);
                    text.extend_from_slice(b"\n");
                    text.extend_from_slice(line.as_bytes());
                    text.push(b'\n');
                    let hit = String::from_utf8_lossy(&text);
                    assert_eq!(scan(&text), scan_with(&mut general(), &text), "{hit}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn the_fast_paths_change_nothing(lines in prop::collection::vec(mutated(), 1..4), ends: bool) {
        let mut text = lines.join(&b'\n');
        text.extend(ends.then_some(b'\n'));
        let want = scan_with(&mut general(), &text);
        for how in [How::Fast, How::Portable] {
            prop_assert_eq!(&scan_with(&mut Scanner::new(None, how), &text), &want);
        }
    }

    #[test]
    fn any_bytes_are_accounted_for(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(scan(&bytes), scan_with(&mut general(), &bytes));
    }

    #[test]
    fn any_split_at_newlines_gives_the_same(lines in prop::collection::vec(mutated(), 1..6), at in any::<prop::sample::Index>()) {
        let text = lines.join(&b'\n');
        let cuts: Vec<usize> = memchr::memchr_iter(b'\n', &text).map(|cut| cut + 1).chain([text.len()]).collect();
        let (left, right) = text.split_at(*at.get(&cuts));
        let ((whole, lines), (a, a_lines), (b, b_lines)) = (scan(&text), scan(left), scan(right));
        let mut sum = a_lines;
        sum += b_lines;
        prop_assert_eq!(sum, lines);
        prop_assert_eq!([a.pairs(), b.pairs()].concat(), whole.pairs());
        let times = |seen: &Seen| seen.records.iter().map(|r| r.5).collect::<Vec<_>>();
        prop_assert_eq!([times(&a), times(&b)].concat(), times(&whole));
    }
}
