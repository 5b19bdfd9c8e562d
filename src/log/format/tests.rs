use super::*;

#[track_caller]
fn check(format: &str, line: &str, want: Option<(&str, &str, &str, &str)>) {
    let (format, _) = Format::compile(format).expect("a format");
    let text = |bytes| std::str::from_utf8(bytes).expect("text");
    let got = format.all(line.as_bytes()).next();
    let got = got.map(|found| {
        let Kind { qtype, rcode } = found.kind;
        (text(found.client), text(found.name), qtype.text(), rcode.text())
    });
    assert_eq!(got, want, "{line}");
}

#[test]
fn a_format_is_matched_anywhere_in_a_line() {
    let format = "{remote}:{port} {type} {class} {name} {/kubernetes/client-namespace} {rcode}";
    let want = Some(("10.0.0.7", "a.b.", "A", "NOERROR"));
    for wrapper in
        ["", "[INFO] ", "2024-06-01T10:00:00Z stdout F [INFO] ", "10.9.9.9 pod x | ", "x  "]
    {
        check(format, &format!("{wrapper}10.0.0.7:5 A IN a.b. shop NOERROR"), want);
        check(format, &format!("{wrapper}10.0.0.7:5 A IN a.b.  NOERROR rest"), want);
    }
    check(format, "[INFO] 10.0.0.7:5 A IN a.b. shop", None);
    check(format, "[INFO] 10.0.0.777:5 A IN a.b. shop NOERROR", None);
    check(format, "[INFO] *.*.7.7:5 A IN a.b. shop NOERROR", None);
    check(format, "[INFO] [fd00::7]:5 A IN a.b. - -", Some(("fd00::7", "a.b.", "A", "-")));
}

#[test]
fn literals_separate_fields_and_names_keep_their_escapes() {
    let format = "FARO|{remote}|{type}|{name}|{rcode}|{duration}|{/forward/upstream}";
    let line = r"[INFO] FARO|10.0.0.7|AAAA|my\ p|q\|r.b.|NXDOMAIN|0.01s|udp://9.9.9.9:53";
    check(format, line, None);
    let line = r"[INFO] FARO|10.0.0.7|AAAA|my\ p|q.b.|NXDOMAIN|0.01s|udp://9.9.9.9:53";
    check(format, line, Some(("10.0.0.7", r"my\ p|q.b.", "AAAA", "NXDOMAIN")));
    let want = Some(("fd00::7", "x.", "A", "?"));
    check("{name} {type} {remote}", "x. A fd00::7", want);
    check("{remote}:{port} {type} {name}", "fd00::7:53 A x.", want);
    check("{remote} {when} {type} {name}", "fd00::7 {when} A x.", want);
    check("{remote} {type} {name} {/a}", "fd00::7 A x. b\",\"c", want);
}

#[test]
fn common_and_combined_expand() {
    let line = r#"[INFO] shop 10.0.0.7:5 - 1 "A IN a.b. udp 30 false 512" NOERROR qr 46 0.1s "0""#;
    let want = Some(("10.0.0.7", "a.b.", "A", "NOERROR"));
    check("{/kubernetes/client-namespace} {combined}", line, want);
    check(r#""{/a} {common} \"{>opcode}\"""#, line, want);
    let line = line.replace("NOERROR qr", "NOERROR -");
    check("{/a} {common}", &line, Some(("10.0.0.7", "a.b.", "A", "-")));
}

#[test]
fn a_torn_name_is_none() {
    check("{remote} {type} {name}", "[INFO] 10.0.0.7 A a.b.exam", None);
    check("{remote} {type} {name}", "[INFO] 10.0.0.7 A a.b.\\", None);
}

#[test]
fn a_format_that_cannot_tell_is_refused() {
    let error = |text| Format::compile(text).err().map(|error| error.to_string());
    assert!(error("{type} {name}").is_some_and(|e| e.contains("{remote}")));
    assert!(error("{remote} {type}").is_some_and(|e| e.contains("{name}")));
    assert!(error("{remote} {type}{name}").is_some_and(|e| e.contains("side by side")));
    assert!(error("{remote} {name} {rcode}").is_some_and(|e| e.contains("{type}")));
    let warning = |text| Format::compile(text).expect("a format").1;
    assert!(warning("{remote} {type} {name}").is_some_and(|w| w.contains("{rcode}")));
    assert_eq!(warning("{common}"), None);
}

/// A name may be `x.|10.9.9.9|A`: where it may stand before the client, it must be told where it ends.
#[test]
fn a_format_in_which_a_name_can_pass_for_a_client_is_refused() {
    let refused = |text: &str| {
        let error = Format::compile(text).err().map(|error| error.to_string());
        error.is_some_and(|error| error.contains("pass for another client"))
    };
    for between in ["|", ",", ":", " -"] {
        let is_told = between.contains(' ');
        assert_eq!(refused(&format!("{{name}}{between}{{remote}} {{type}}")), !is_told);
        assert_eq!(refused(&format!("{{/x/y}}{between}{{remote}} {{type}} {{name}}")), !is_told);
        assert!(!refused(&format!("{{remote}}{between}{{type}}{between}{{name}}")));
    }
    for fine in [
        "{name};{remote} {type}",
        "{name}\t{remote} {type}",
        "{name}| {remote} {type}",
        r#"{"name":"{name}","client":"{remote}","type":"{type}"}"#,
        "{/kubernetes/client-namespace}|{remote} {type} {name}",
        "{local}:{remote} {type} {name}",
    ] {
        assert!(!refused(fine), "{fine}");
    }
    for odd in [
        "{type} {name}/{rcode} {remote}",
        "{remote} {type} {name}|{remote}",
        "{/kubernetes/client-namespace}.{remote} {type} {name}",
        "{/kubernetes/service}|{remote} {type} {name}",
        r"{name}\ {remote} {type}",
    ] {
        assert!(refused(odd), "{odd}");
    }
}
