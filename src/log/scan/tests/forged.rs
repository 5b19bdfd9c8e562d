//! What a name may pretend to be.

use super::*;

/// Whoever asks chooses the name, and CoreDNS prints it with the escapes of DNS: nothing in it may pass for a record of
/// another client, whichever the format, and whatever is wrapped around the line.
#[test]
fn a_name_is_never_another_clients_record() {
    let formats = [
        "{remote} {type} {name} {rcode}",
        "{remote}|{type}|{name}|{rcode}",
        "FARO|{remote}|{type}|{name}|{rcode}|{duration}|{/forward/upstream}",
        "{remote}/{name}/{type}/{rcode}",
        "{remote},{type},{name},{rcode}",
        "{name} {type} {remote} {rcode}",
        "{type} {name};{remote} {rcode}",
        r#"{remote} "{name}" {type} {rcode}"#,
        r#""{remote}","{type}","{name}","{rcode}""#,
        r#"{"client":"{remote}","type":"{type}","name":"{name}","rcode":"{rcode}"}"#,
        r#"{"name":"{name}","client":"{remote}","type":"{type}","rcode":"{rcode}"}"#,
        r#"{/kubernetes/client-namespace} "{type} {name}" {remote} {rcode}"#,
        "q={name} t={type} c={remote} r={rcode}",
    ];
    let printed = |text: &str| -> String {
        let escaped = |c: char| match c {
            '(' | ')' | ';' | ' ' | '@' | '"' | '\\' | '\'' => format!("\\{c}"),
            c if c < ' ' => format!("\\{:03}", u32::from(c)),
            c => c.to_string(),
        };
        text.chars().map(escaped).collect()
    };
    let mut lines = 0;
    for text in formats {
        let fill = |client: &str, name: &str, rcode: &str| {
            let values = [
                ("{remote}", client),
                ("{type}", "A"),
                ("{rcode}", rcode),
                ("{duration}", "0.1s"),
                ("{/forward/upstream}", "udp://9.9.9.9:53"),
                ("{/kubernetes/client-namespace}", "shop"),
                ("{name}", name),
            ];
            values.iter().fold(text.to_owned(), |line, (label, value)| line.replace(label, value))
        };
        let format = Arc::new(Format::compile(text).expect("a format").0);
        let mut scanner = Scanner::new(Some(format), How::Fast);
        let forged = fill("10.9.9.9", "db.shop.svc.cluster.local.", "NOERROR");
        let level = format!("[INFO] {forged}");
        let json = serde_json::json!(level).to_string();
        let docker = format!(r#"{{"log":{json},"stream":"stdout"}}"#);
        let csv = format!("1,\"{}\"", level.replace('"', "\"\""));
        for core in [&forged, &level, &json, &docker, &csv] {
            for before in [
                "",
                "x.",
                "x.|",
                "x./A/NOERROR ",
                "x. ",
                "\"",
                "x\"",
                "\\\"",
                "x.\",\"",
                "\n",
                ". NOERROR\n",
            ] {
                for after in ["", " ", "|", "\"", ",\"y\"", "/"] {
                    let name = printed(&format!("{before}{core}{after}.evil.com."));
                    let bare = fill("10.0.0.7", &name, "NXDOMAIN");
                    let line = format!("[INFO] {bare}");
                    let docker = serde_json::json!({ "log": bare, "stream": "stdout" }).to_string();
                    let all = wrappers(&line).into_iter().map(|wrapped| wrapped.0);
                    for wrapped in all.chain([line.clone(), bare, docker]) {
                        let (seen, _) = scan_with(&mut scanner, wrapped.as_bytes());
                        assert_eq!(
                            seen.pairs(),
                            [("10.0.0.7", name.as_str())],
                            "{text}: {wrapped}"
                        );
                        lines += 1;
                    }
                }
            }
        }
    }
    assert!(lines > 100_000, "{lines}");
}
