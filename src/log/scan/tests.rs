//! The scanner against lines: a table that anyone can extend (`testdata/lines`), and the properties that hold for all.

mod forged;
mod properties;

use super::*;
use crate::log::client;

/// Line, client, name, type, rcode, time.
type Row = (u64, String, String, &'static str, &'static str, Option<i64>);

/// What came of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    records: Vec<Row>,
    /// Line, reason, whether a fragment.
    rejects: Vec<(u64, Reason, bool)>,
}

impl Sink for Seen {
    fn record(&mut self, line: u64, record: &Record<'_>) -> bool {
        let Some(client) = client::address(record.client) else { return false };
        let name = String::from_utf8_lossy(record.name).into_owned();
        let (qtype, rcode) = (record.kind.qtype.text(), record.kind.rcode.text());
        self.records.push((line, client.to_string(), name, qtype, rcode, record.time));
        true
    }

    fn reject(&mut self, reject: &Reject<'_>) {
        self.rejects.push((reject.line, reject.reason, reject.fragment));
    }
}

impl Seen {
    /// Clients and names.
    fn pairs(&self) -> Vec<(&str, &str)> {
        self.records.iter().map(|r| (r.1.as_str(), r.2.as_str())).collect()
    }
}

fn scan(bytes: &[u8]) -> (Seen, Lines) {
    scan_with(&mut Scanner::new(None, How::Fast), bytes)
}

fn scan_with(scanner: &mut Scanner, bytes: &[u8]) -> (Seen, Lines) {
    let mut seen = Seen::default();
    let lines = scanner.lines(bytes, &mut seen);
    let rejected: u64 = lines.rejected.iter().sum();
    assert_eq!(lines.total, lines.queries + lines.other + rejected);
    (seen, lines)
}

fn in_windows(line: &[u8], size: usize) -> (Seen, Lines) {
    let (mut scanner, mut seen, mut lines) =
        (Scanner::new(None, How::Fast), Seen::default(), Lines::default());
    let mut rest = line;
    while rest.len() > size {
        let done = scanner.part(&rest[..size], false, &mut seen, &mut lines);
        assert!(size - done <= RECORD && done > 0, "{done} of {size}");
        rest = &rest[done..];
    }
    assert_eq!(lines, Lines::default());
    assert_eq!(scanner.part(rest, true, &mut seen, &mut lines), rest.len());
    (seen, lines)
}

/// One line of each generation and shape, with its client and name.
const LINES: [(&str, &str, &str); 16] = [
    (
        r#"10.0.0.7 - [23/Feb/2017:14:49:44 +0000] "A IN g1.shop.svc.cluster.local. udp false 512" NOERROR 246 149.791162ms"#,
        "10.0.0.7",
        "g1.shop.svc.cluster.local.",
    ),
    (
        r#"10.0.0.7 - [23/Feb/2017:14:49:44 +0000] "AAAA IN g2.shop.svc.cluster.local. udp 54 false 512" NOERROR 107 544.188µs"#,
        "10.0.0.7",
        "g2.shop.svc.cluster.local.",
    ),
    (
        r#"fd00::7 - [21/Dec/2017:18:07:48 +0100] "A IN g3.shop. udp 66 false 4096" NXDOMAIN qr,aa,rd,ra 82 116.92µs"#,
        "fd00::7",
        "g3.shop.",
    ),
    (
        r#"10.0.0.7 - [26/Jan/2018:10:00:01 +0000] 4711 "A IN g4.shop. udp 47 false 512" NOERROR qr,aa,rd,ra 92 98.1µs"#,
        "10.0.0.7",
        "g4.shop.",
    ),
    (
        r#"[fd00::7]:40112 - [14/Mar/2018:10:00:01 +0000] 4713 "SRV IN g5.shop. udp 47 false 512" NOERROR qr 104 1m3.2s"#,
        "fd00::7",
        "g5.shop.",
    ),
    (
        r#"10.0.0.7:41675 - [07/Sep/2018:15:29:11 +0000] 59925 "A IN g6.shop. tcp 54 false 65535" NOERROR qr,rd 106 0.000066649s"#,
        "10.0.0.7",
        "g6.shop.",
    ),
    (
        r#"2019-03-18T22:13:36.289-07:00 [INFO] [::1]:57413 - 14639 "A IN g7.shop. udp 42 true 4096" NOERROR qr,rd,ra 188 0.020948545s"#,
        "::1",
        "g7.shop.",
    ),
    (
        r#"[INFO] 10.0.0.7:40312 - 4713 "A IN g8.shop.svc.cluster.local. udp 47 false 512" NOERROR qr,aa,rd 104 0.000148532s"#,
        "10.0.0.7",
        "g8.shop.svc.cluster.local.",
    ),
    (
        r#"[INFO] [fd00::7]:40312 - 4713 "TYPE65 IN g8.shop. udp 47 false 512" SERVFAIL - 0 2.000814s"#,
        "fd00::7",
        "g8.shop.",
    ),
    (
        r#"[INFO] 10.0.0.7:1 - 2 "A IN g8c.shop. udp 47 false 512" NOERROR  104 0s "0""#,
        "10.0.0.7",
        "g8c.shop.",
    ),
    (
        r#"[INFO] 10.0.0.7:1 - 2 "ANY CLASS255 g8.other. udp 47 false 512" 3841 qr 104 0.1s"#,
        "10.0.0.7",
        "g8.other.",
    ),
    (
        r#"[INFO] 10.0.0.7:1 - 2 "PTR IN my\ pr\"i\\nt\\\ er\195\169\;._ipp._tcp.local. udp 47 false 512" NXDOMAIN qr 104 0.1s"#,
        "10.0.0.7",
        r#"my\ pr\"i\\nt\\\ er\195\169\;._ipp._tcp.local."#,
    ),
    (
        r#"[INFO] 10.0.0.7:1 - 2 "A IN <a>&b'{}[]=,:/*.shop. udp 47 false 512" - - 0 0.1s"#,
        "10.0.0.7",
        "<a>&b'{}[]=,:/*.shop.",
    ),
    (
        r#"[INFO] 10.0.0.7:1 - 2 "NS IN . udp 17 false 512" NOERROR qr,rd,ra 228 0.0001s"#,
        "10.0.0.7",
        ".",
    ),
    (
        r#"[INFO] payments 10.0.0.7:1 - 2 "A IN metadata.shop. udp 17 false 512" NOERROR qr,rd,ra 228 0.0001s api"#,
        "10.0.0.7",
        "metadata.shop.",
    ),
    (
        r#"DNS Request: 10.0.0.7:60137 - 46023 A IN azure.shop. udp 63 false 512 NOERROR qr,rd,ra 313 0.009424664s"#,
        "10.0.0.7",
        "azure.shop.",
    ),
];

const STAMP: &str = "2024-06-01T10:00:00.123456789Z";

/// Everything that is known to be wrapped around a line; the second tells whether it states [`STAMP`].
fn wrappers(line: &str) -> Vec<(String, bool)> {
    let text = serde_json::json!(line).to_string();
    let ended = serde_json::json!(format!("{line}\n")).to_string();
    let docker = format!(r#"{{"log":{ended},"stream":"stdout","time":"{STAMP}"}}"#);
    let quoted = serde_json::json!(docker).to_string();
    let twice = serde_json::json!({ "message": docker }).to_string();
    let cri = serde_json::json!(format!("{STAMP} stdout F {line}")).to_string();
    let doubled = line.replace('"', "\"\"");
    let numbered = text[1..text.len() - 1].replace("\\\"", "\\u0022");
    vec![
        (format!("    {line}   "), false),
        (format!("{STAMP} {line}"), true),
        (format!("[pod/coredns-7db6d8ff4d-x/coredns] {line}"), false),
        (format!("[pod/coredns-7db6d8ff4d-x/coredns] {STAMP} {line}"), true),
        (format!("coredns-7db6d8ff4d-x coredns {line}"), false),
        (format!("kube-system coredns-7db6d8ff4d-x coredns {STAMP} {line}"), true),
        (format!("[coredns-7db6d8ff4d-x coredns] {line}"), false),
        (format!("kube-system/coredns-7db6d8ff4d-x[coredns]: {line}"), false),
        (format!("│ {line}          │"), false),
        (format!("coredns_1      | {line}"), false),
        (format!("\x1b[36mcoredns-1  | \x1b[0m{line}\x1b[0m"), false),
        (docker.clone(), true),
        (format!("     * {docker}"), true),
        (
            format!(r#"{{"log":{ended},"attrs":{{"a":"b"}},"stream":"stdout","time":"{STAMP}"}}"#),
            true,
        ),
        (format!("{STAMP} stdout F {line}"), true),
        (format!("{STAMP} stderr F {line}"), true),
        (format!(r#"{{"date":1600000000.1,"log":{cri},"kubernetes":{{"host":"n"}}}}"#), true),
        (
            format!(
                r#"{{"@timestamp":"{STAMP}","message":{text},"stream":"stdout","kubernetes":{{"time":"2020-01-01T00:00:00Z"}}}}"#
            ),
            true,
        ),
        (
            format!(
                r#"{{"resourceLogs":[{{"logRecords":[{{"timeUnixNano":"1717236000123456789","body":{{"stringValue":{text}}}}}]}}]}}"#
            ),
            true,
        ),
        (
            format!(r#"{{"textPayload":{text},"resource":{{"type":"x"}},"timestamp":"{STAMP}"}}"#),
            true,
        ),
        (format!("Apr 30 20:09:20 host coredns[623]: {line}"), false),
        (format!("2026-05-05 19:49:40.015 host hassio_dns[531]: {line}"), false),
        (format!("2024-06-01T10:00:00.123456789+0000 host coredns[623]: {line}"), true),
        (format!("<30>1 {STAMP} host coredns 623 - - {line}"), true),
        (format!(r#"{{"__REALTIME_TIMESTAMP":"1717236000123456789","MESSAGE":{text}}}"#), true),
        (format!(r#"{STAMP} {{app="coredns", pod="x"}} {line}"#), true),
        (format!(r#"{{"labels":{{"app":"coredns"}},"line":{text},"timestamp":"{STAMP}"}}"#), true),
        (
            format!(r#"{{"values":[["1600000000123456789","x"],["1717236000123456789",{text}]]}}"#),
            true,
        ),
        (twice, true),
        (format!(r#"{{"records":[{{"body":{quoted}}}]}}"#), true),
        (format!("2024-06-01 10:00:00.123,\"{doubled}\""), false),
        (format!(r#"{{"log":"{numbered}"}}"#), false),
        (format!("2024/06/01 10:00:00 {line}"), false),
        (format!("# {line}"), false),
        (format!("- Error: {line}"), false),
        (format!("[2024-09-05 16:00:01] {line}"), false),
        (format!("\u{feff}{line}\r"), false),
        (format!("\0\0\0\0{line}"), false),
    ]
}

#[test]
fn every_wrapper_gives_the_bare_lines_record() {
    let stamp = crate::time::parse(STAMP);
    for (line, client, name) in LINES {
        let (bare, lines) = scan(line.as_bytes());
        assert_eq!(bare.pairs(), [(client, name)], "{line}");
        assert_eq!((lines.queries, lines.fragments), (1, 0), "{line}");
        let own = bare.records[0].5;
        for (wrapped, stated) in wrappers(line) {
            let (mut seen, lines) = scan(wrapped.as_bytes());
            assert_eq!((lines.queries, lines.fragments), (1, 0), "{wrapped}");
            assert_eq!(seen.records.len(), 1, "{wrapped}");
            let time = std::mem::replace(&mut seen.records[0].5, own);
            assert_eq!(seen, bare, "{wrapped}");
            assert_eq!(time, own.or(if stated { stamp } else { None }), "{wrapped}");
        }
    }
}

#[test]
fn a_torn_line_never_yields_part_of_a_name() {
    for (line, client, name) in LINES {
        for line in std::iter::once(line.to_owned()).chain(wrappers(line).into_iter().map(|w| w.0))
        {
            for end in 0..line.len() {
                let (seen, _) = scan(&line.as_bytes()[..end]);
                for pair in seen.pairs() {
                    assert_eq!(
                        pair,
                        (client, name),
                        "{:?}",
                        String::from_utf8_lossy(&line.as_bytes()[..end])
                    );
                }
            }
        }
    }
}

/// The older half asks from another address, so that the clients differ.
fn other(line: &str) -> String {
    line.replace("10.0.0.7", "10.9.8.6").replace("::7", "::6").replace("shop", "else")
}

#[test]
fn two_lines_glued_together_give_both_or_one_and_a_fragment() {
    for (first, client, name) in LINES {
        for (second, ..) in LINES {
            let second = other(second);
            let (other, _) = scan(second.as_bytes());
            let other = other.pairs()[0];
            let (seen, lines) = scan(format!("{first}{second}").as_bytes());
            let both = seen.pairs() == [(client, name), other];
            let one = seen.pairs() == [(client, name)] && lines.fragments >= 1;
            assert!(both || one, "{first}{second}: {seen:?}");
        }
    }
}

#[test]
fn a_torn_line_glued_to_another_never_lends_it_a_client() {
    for (first, client, name) in LINES {
        for (second, ..) in LINES {
            let second = other(second);
            let (other, _) = scan(second.as_bytes());
            let other = other.pairs()[0];
            for end in 0..first.len() {
                let torn = &first.as_bytes()[..end];
                let line = [torn, second.as_bytes()].concat();
                let (seen, _) = scan(&line);
                // Where the client itself is torn and the other line begins with one, what comes of it is a legal line.
                let legal = first.find(" - ").is_some_and(|head| end <= head)
                    && torn.last().is_some_and(|b| b.is_ascii_hexdigit() || b".:".contains(b))
                    && !second.starts_with('[');
                for pair in seen.pairs() {
                    let known = pair == (client, name) || pair == other;
                    assert!(known || legal, "{}: {seen:?}", String::from_utf8_lossy(&line));
                }
            }
        }
    }
}

#[test]
fn the_table_of_lines_holds() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/lines");
    let mut cases = 0;
    for file in std::fs::read_dir(directory).expect("testdata/lines") {
        let path = file.expect("an entry").path();
        let table = std::fs::read_to_string(&path).expect("a table");
        let mut blocks = table.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).peekable();
        while let Some(head) = blocks.next() {
            let line = head.strip_prefix("= ").unwrap_or_else(|| panic!("{path:?}: {head}"));
            let line = line.replace('␛', "\x1b").replace('␀', "\0").replace('␍', "\r");
            let mut want = Vec::new();
            while let Some(result) = blocks.next_if(|l| !l.starts_with("= ")) {
                want.push(result.trim().to_owned());
            }
            assert_eq!(told(&line), want, "{path:?}: {line}");
            cases += 1;
        }
    }
    assert!(cases > 0);
}

/// A line's results, as `testdata/lines` writes them.
fn told(line: &str) -> Vec<String> {
    let (seen, lines) = scan(format!("{line}\n").as_bytes());
    let mut told = Vec::new();
    for (_, client, name, qtype, rcode, time) in &seen.records {
        let time = time.map_or("-".to_owned(), crate::time::format);
        told.push(format!("> {client} {qtype} {rcode} {time} {name}"));
    }
    for (_, reason, fragment) in &seen.rejects {
        told.push(format!("{} {}", if *fragment { "~" } else { "!" }, reason.word()));
    }
    if lines.other == 1 {
        told.push("other".to_owned());
    }
    told
}

#[test]
fn an_announced_format_is_read_in_every_wrapper_and_the_default_behind_it() {
    let stamp = crate::time::parse(STAMP);
    let formats = [
        ("{remote}:{port} {type} {name} {rcode}", r"[INFO] 10.0.0.7:5 A my\ a\\b.shop. NOERROR"),
        (
            r#"{"q": "{type} {class} {name}", "client": "{remote}", "rcode": "{rcode}"}"#,
            r#"[INFO] {"q": "A IN my\ a\\b.shop.", "client": "10.0.0.7", "rcode": "NOERROR"}"#,
        ),
        (
            r#"{/kubernetes/client-namespace} "{type} {class} {name}" {remote} {rcode}"#,
            r#"[INFO] shop "A IN my\ a\\b.shop." 10.0.0.7 NOERROR"#,
        ),
    ];
    for (format, line) in formats {
        let format = Arc::new(Format::compile(format).expect("a format").0);
        let mut scanner = Scanner::new(Some(format), How::Fast);
        for (wrapped, stated) in wrappers(line).into_iter().filter(|w| !w.0.contains("u0022")) {
            let (seen, lines) = scan_with(&mut scanner, wrapped.as_bytes());
            assert_eq!(seen.pairs(), [("10.0.0.7", r"my\ a\\b.shop.")], "{wrapped}");
            assert_eq!(lines.queries, 1, "{wrapped}");
            assert_eq!((seen.records[0].3, seen.records[0].4), ("A", "NOERROR"), "{wrapped}");
            assert_eq!(seen.records[0].5, stamp.filter(|_| stated), "{wrapped}");
        }
        for (default, client, name) in LINES {
            let (seen, _) = scan_with(&mut scanner, default.as_bytes());
            assert_eq!(seen.pairs(), [(client, name)], "{default}");
        }
    }
}
