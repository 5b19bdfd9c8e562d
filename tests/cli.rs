//! Black-box tests over the built program: every directory of `testdata/cases`, every console block of README.md, and
//! what needs a shell, a signal or another program. Expectations are rewritten with `UPDATE_EXPECT=1 cargo test`.

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;
use std::sync::Mutex;

use support::case::{self, Case};
use support::{bash, blessing, checks, have, kico, readme, root, scratch};

/// The sample, as its makers would type it.
const SAMPLE: &str = "testdata/sock-shop/logs/*.txt --snapshot testdata/sock-shop/pods.json";

#[test]
fn every_case_holds() {
    let cases = case::all();
    assert!(cases.len() >= 140, "only {} cases were found", cases.len());
    let (queue, failures) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = { queue.lock().expect("no case panics").next() } {
                    if let Some(failure) = failure(case) {
                        failures.lock().expect("no case panics").push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no case panics");
    failures.sort();
    let (failed, all) = (failures.len(), cases.len());
    assert!(failures.is_empty(), "{failed} of {all} cases fail\n{}", failures.join("\n"));
}

/// What is wrong with a case. Blessing rewrites what a case may bless, never what it says by hand.
fn failure(case: &Case) -> Option<String> {
    let complaints = match case.run() {
        Err(error) => vec![error],
        Ok(ran) => {
            if blessing() {
                case.bless(&ran).expect("a case can be rewritten");
            }
            case.complaints(&ran, !blessing())
        }
    };
    let text = complaints.iter().map(|line| format!("\n    {line}")).collect::<String>();
    (!complaints.is_empty()).then(|| format!("testdata/cases/{}{text}", case.name))
}

#[test]
fn the_readme_shows_what_the_program_does() {
    let path = root().join("README.md");
    let text = std::fs::read_to_string(&path).expect("README.md can be read");
    let checked = readme::check(&text);
    assert!(checked.commands >= 4, "only {} commands were found", checked.commands);
    if blessing() {
        std::fs::write(&path, checked.rewritten).expect("README.md can be written");
    } else {
        assert!(checked.complaints.is_empty(), "README.md\n{}", checked.complaints.join("\n"));
    }
}

/// A flag that the README does not list is not found; one that the help does not list does not exist.
#[test]
fn the_readme_lists_every_flag() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("README.md can be read");
    let flags = |text: &str| -> BTreeSet<String> {
        let is_part = |c: char| c.is_ascii_lowercase() || c == '-';
        text.split(|c| !is_part(c))
            .filter(|word| word.len() > 3 && word.starts_with("--") && !word.starts_with("---"))
            .map(str::to_owned)
            .collect()
    };
    let table: String = text.lines().filter(|line| line.starts_with("| `-")).collect();
    let mut helps = String::new();
    for command in ["analyze", "verify", "tally", "diff", "fetch", "pod", "completions", "man"] {
        let output = kico(&root()).args([command, "--help"]).output().expect("help is printed");
        let help = String::from_utf8_lossy(&output.stdout);
        // Not the examples, which show kubectl's flags too.
        helps.extend(help.lines().filter(|line| line.trim_start().starts_with('-')));
    }
    let mut helps = flags(&helps);
    helps.remove("--help");
    helps.remove("--version");
    assert_eq!(flags(&table), helps);
}

/// Whoever asks for it is told each time; nothing of the kubeconfig is.
#[cfg(feature = "fetch")]
#[test]
fn a_certificate_that_is_not_verified_is_said() {
    let dir = scratch();
    let kubeconfig = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true}}],
        "users": [{"name": "a", "user": {"token": "canary"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]}"#;
    std::fs::write(dir.path().join("kc"), kubeconfig).expect("a kubeconfig can be written");
    for command in ["kico fetch capture", "kico web-0"] {
        let command = format!("LOG_LEVEL=trace RUST_LOG=trace {command} --kubeconfig kc");
        let (refused, exit) = bash(&command, dir.path());
        assert_eq!(exit, Some(2), "{refused}");
        assert!(refused.contains("give --insecure-skip-tls-verify here too"), "{refused}");
        let (said, exit) = bash(&format!("{command} --insecure-skip-tls-verify"), dir.path());
        assert_eq!(exit, Some(2), "{said}");
        assert!(said.contains("the API server's certificate is not verified"), "{said}");
        assert!(said.contains("127.0.0.1:1: cannot connect"), "{said}");
        assert!(!(refused + &said).contains("canary"));
    }
    assert!(!dir.path().join("capture").exists());
}

/// `truth.csv` is not blessed: the sample's maker counted it while it told its story.
#[test]
fn the_sample_is_read_as_its_maker_says() {
    let dir = scratch();
    for (snapshot, truth) in [("pods.json", "truth.csv"), ("pods-alone.json", "truth-alone.csv")] {
        let output = kico(dir.path())
            .args(["analyze", "-q", "testdata/sock-shop/logs", "-o", "csv", "--snapshot"])
            .arg(format!("testdata/sock-shop/{snapshot}"))
            .output()
            .expect("kico can be started");
        let wanted = root().join("testdata/sock-shop").join(truth);
        let wanted = std::fs::read_to_string(wanted).expect("the truth can be read");
        let complaints = checks::rows(&output.stdout, &wanted);
        assert!(complaints.is_empty(), "{snapshot}\n{}", complaints.join("\n"));
    }
}

#[test]
fn threads_and_ways_to_read_change_nothing() {
    let dir = scratch();
    let formats = "-o csv=D/c.csv -o json=D/r.json -o markdown=D/m.md -o netpol=D/policies/";
    let mut first = None;
    for more in ["-c 1", "-c 2", "-c 7", "--no-mmap", ""] {
        let (output, exit) = bash(
            &format!(
                "rm -rf out && mkdir out && kico analyze {SAMPLE} {more} {} && \
                 find out -type f | sort | xargs sha256sum",
                formats.replace("D/", "out/")
            ),
            dir.path(),
        );
        assert!(exit == Some(0) && output.lines().count() > 4, "{output}");
        match &first {
            None => first = Some(output),
            Some(first) => assert_eq!(first, &output, "with {more:?}"),
        }
    }
}

#[test]
fn a_pipe_is_read_like_a_file() {
    let dir = scratch();
    let (direct, _) = bash(&format!("kico analyze -q {SAMPLE} -o csv"), dir.path());
    let ways = [
        "kico analyze -q <(cat testdata/sock-shop/logs/*.txt) -S testdata/sock-shop/pods.json -o csv",
        "cat testdata/sock-shop/logs/*.txt | kico analyze -q - -S testdata/sock-shop/pods.json -o csv",
        "kico analyze -q /dev/stdin -S testdata/sock-shop/pods.json -o csv < <(cat testdata/sock-shop/logs/*.txt)",
        "mkfifo f && (cat testdata/sock-shop/logs/*.txt > f &) && kico analyze -q f -S testdata/sock-shop/pods.json -o csv",
    ];
    assert!(direct.lines().count() > 20, "{direct}");
    for way in ways {
        assert_eq!(bash(way, dir.path()), (direct.clone(), Some(0)), "{way}");
    }
}

/// Files of /proc say that they are empty. They are not.
#[test]
fn a_file_without_a_size_is_read() {
    let (output, exit) = bash(
        "L='[INFO] 10.1.0.7:40000 - 1 \"A IN db.shop.svc.cluster.local. udp 47 false 512\" NOERROR qr,aa,rd 92 0.1s' \
         kico tally -q /proc/self/environ",
        scratch().path(),
    );
    assert_eq!(exit, Some(0), "{output}");
    assert!(output.contains("\n10.1.0.7,db.shop.svc.cluster.local,1,0,A/NOERROR=1,"), "{output}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let script = format!("kico analyze -q {SAMPLE} -o csv | head -n 1; echo ${{PIPESTATUS[0]}}");
    let (output, _) = bash(&script, scratch().path());
    assert!(output.starts_with("client_kind,") && output.ends_with("\n0\n"), "{output}");
}

#[test]
fn a_full_disk_is_an_error() {
    for output in ["-o csv > /dev/full", "-o csv=no/such/place.csv"] {
        let (text, exit) = bash(&format!("kico analyze {SAMPLE} {output}"), scratch().path());
        assert_eq!(exit, Some(2), "{output}: {text}");
    }
}

#[test]
fn a_report_that_could_not_be_written_leaves_the_old_one() {
    let dir = scratch();
    let script = format!(
        "mkdir old && echo precious > old/c.csv; \
         (ulimit -f 0; trap '' XFSZ; kico analyze {SAMPLE} -o csv=old/c.csv); echo $?; cat old/c.csv; ls -A old"
    );
    let (output, _) = bash(&script, dir.path());
    assert!(output.ends_with("2\nprecious\nc.csv\n"), "{output}");
}

/// Not one byte of what is read changes, whichever command it is that somebody lets write there.
#[test]
fn what_is_read_is_never_written_over() {
    let sample = "cp testdata/sock-shop/logs/coredns-b96499967-mjdrn.txt in.log; cp testdata/sock-shop/pods.json .; \
                  mkdir p; kico analyze -q in.log -S pods.json -o netpol=p/n.yaml -o json=old.json; \
                  ln in.log hard.log; ln -s in.log soft.log; sha256sum in.log pods.json p/n.yaml old.json > sums;";
    for (command, said) in [
        ("analyze in.log -o csv=in.log", "-o csv=in.log: would overwrite the input in.log"),
        ("analyze - -o csv=in.log < in.log", "-o csv=in.log: would overwrite the input -"),
        ("analyze in.log -o csv=hard.log", "-o csv=hard.log: would overwrite the input in.log"),
        (
            "analyze in.log --rejects soft.log",
            "--rejects soft.log: would overwrite the input in.log",
        ),
        ("analyze in.log -S pods.json -o csv=./pods.json", "would overwrite --snapshot pods.json"),
        ("analyze . -o csv=pods.json", "would overwrite the snapshot ./pods.json"),
        ("analyze in.log -o csv=out -o json=./out", "-o csv=out and -o json=./out are one place"),
        ("tally in.log -o in.log", "-o in.log: would overwrite the input in.log"),
        ("tally in.log -o t.csv --rejects ./t.csv", "--rejects ./t.csv and -o t.csv are one place"),
        (
            "verify in.log -S pods.json --policies p -o json=p/n.yaml",
            "would overwrite --policies p/n.yaml",
        ),
        ("diff old.json in.log -o json=old.json", "would overwrite the input old.json"),
        (
            "diff in.log hard.log --new-snapshot pods.json -o json=pods.json",
            "overwrite --new-snapshot pods.json",
        ),
    ] {
        let script = format!("{sample} kico {command}; echo $?; sha256sum --quiet -c sums; ls");
        let (output, _) = bash(&script, scratch().path());
        assert!(output.contains(said), "{command}: {output}");
        let after = "\n2\nhard.log\nin.log\nold.json\np\npods.json\nsoft.log\nsums\ntestdata\n";
        assert!(output.ends_with(after), "{command}: {output}");
    }
    let again = "kico analyze -q . -o csv=c.csv -o json=r.json --rejects=x.csv && \
                 kico analyze -q . -o csv=c.csv -o json=r.json --rejects=x.csv && \
                 kico analyze -q in.log -o csv=/dev/null -o json=/dev/null --rejects /dev/null && \
                 kico analyze -q in.log -S pods.json -o csv=/dev/stdout | cmp - c.csv && kico tally -q in.log -o /dev/stdout > /dev/null";
    let (output, exit) = bash(&format!("{sample} {again}"), scratch().path());
    assert_eq!((output.as_str(), exit), ("", Some(0)));
}

/// Windows programs put a byte order mark in front of a CSV that they save.
#[test]
fn a_tally_with_a_byte_order_mark_is_a_tally() {
    let (output, exit) = bash(
        "kico tally -q testdata/sock-shop/logs/*.txt > one.csv && (printf '\\xef\\xbb\\xbf'; cat one.csv) > bom.csv && \
         kico analyze -q one.csv -o csv > one && kico analyze -q bom.csv -o csv > bom && cmp one bom && wc -l < bom",
        scratch().path(),
    );
    assert_eq!(exit, Some(0), "{output}");
    assert!(output.trim().parse::<u64>().is_ok_and(|rows| rows > 10), "{output}");
}

#[test]
fn links_to_one_file_count_once() {
    let dir = scratch();
    let (output, exit) = bash(
        "cp testdata/sock-shop/logs/coredns-b96499967-mjdrn.txt a.txt && ln a.txt b.txt && ln -s a.txt c.txt && \
         kico tally -q a.txt > one.csv && kico tally -q a.txt b.txt c.txt > three.csv && \
         grep -v '^#' one.csv > 1 && grep -v '^#' three.csv > 3 && cmp 1 3 && wc -l < 3",
        dir.path(),
    );
    assert_eq!(exit, Some(0), "{output}");
    assert_ne!(output.trim(), "0");
}

#[test]
fn what_cannot_be_opened_is_named_and_the_rest_is_read() {
    let dir = scratch();
    let (output, exit) = bash(
        "ln -s nowhere dangling.txt; ln -s loop.txt loop.txt; \
         kico analyze dangling.txt loop.txt testdata/sock-shop/logs/*.txt -S testdata/sock-shop/pods.json -o csv",
        dir.path(),
    );
    assert_eq!(exit, Some(3), "{output}");
    for part in ["dangling.txt", "loop.txt", "user-db"] {
        assert!(output.contains(part), "{part} is nowhere in {output}");
    }
}

/// A file name is text from outside, too.
#[test]
fn a_file_name_cannot_speak_to_the_terminal() {
    let (output, exit) =
        bash("kico analyze $'\\e[31mred\\u202e.txt' $'raw\\xff.txt'", scratch().path());
    assert_eq!(exit, Some(2), "{output}");
    assert!(
        output.is_ascii() && !output.contains('\x1b') && output.contains("[31mred"),
        "{output}"
    );
}

/// What is to be copied into a shell is one word there, whoever named the file.
#[test]
fn a_file_name_in_a_command_is_quoted() {
    let (output, exit) = bash(
        "cp testdata/sock-shop/pods.json 'a;id #.json'; kico analyze 'a;id #.json'; kico 'a;id #.json'",
        scratch().path(),
    );
    assert_eq!(exit, Some(2), "{output}");
    for hint in ["give it with --snapshot 'a;id #.json'", "to read it, kico analyze 'a;id #.json'"]
    {
        assert!(output.contains(hint), "{output}");
    }
}

/// What was written to the pipe is more than it holds, so that the program has begun to read when the signal comes.
#[test]
fn ctrl_c_ends_a_pipe_and_the_report_is_written() {
    let dir = scratch();
    let mut child = kico(dir.path())
        .args(["analyze", "-q", "-", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kico can be started");
    let line = b"[INFO] 10.1.0.7:40000 - 1 \"A IN db.shop.svc.cluster.local. udp 47 false 512\" NOERROR qr,aa,rd 92 0.0001s\n";
    let mut stdin = child.stdin.take().expect("it has a standard input");
    stdin.write_all(&line.repeat(40_000)).expect("it reads");
    let (output, _) = bash(&format!("kill -INT {}", child.id()), dir.path());
    assert_eq!(output, "");
    let done = child.wait_with_output().expect("it ends");
    drop(stdin);
    assert_eq!(done.status.code(), Some(130));
    let wanted = "/coverage/inputs/0/state = \"interrupted\"\n/connections/0/server/name = \"db\"";
    assert_eq!(checks::json(&done.stdout, wanted), Vec::<String>::new());
}

#[test]
fn the_table_and_the_policies_of_the_one_liner_are_yaml() {
    if !have("kubectl") {
        return;
    }
    let script = format!(
        "kico analyze -q {SAMPLE} --pod user-db-b8dfb847c-wvkgf -n sock-shop -s 2>&1 | \
         kubectl label --local -f - x=y -o name"
    );
    let (output, exit) = bash(&script, scratch().path());
    assert_eq!(exit, Some(0), "{output}");
    assert!(
        output.contains("networkpolicy.networking.k8s.io/user-db-deployment-ingress"),
        "{output}"
    );
}

#[test]
fn one_thread_is_one_and_little_work_needs_no_more() {
    if !have("strace") {
        return;
    }
    let script = "set -- testdata/sock-shop/logs/*.txt; head -n 10 $1 > ten.log; for i in $(seq 200); do cat $1; done | gzip -1 > packed; \
         count() { strace -f -qq -o trace -e trace=clone,clone3 kico analyze -q -o csv=c.csv \"$@\" && grep -c 'clone3*(' trace; }; \
         count ten.log; count ten.log -S testdata/sock-shop/pods.json; count packed -c 1 -S testdata/sock-shop/pods.json";
    let (output, _) = bash(script, scratch().path());
    // The one that is begun waits for Ctrl-C.
    assert_eq!(output, "1\n1\n1\n");
}

#[test]
fn analyze_opens_no_socket_and_starts_no_program() {
    if !have("strace") {
        return;
    }
    let script = format!(
        "strace -f -qq -o trace -e trace=network,execve,execveat kico analyze {SAMPLE} -o csv=c.csv -o netpol=p/ && test -s c.csv && \
         grep -vc -e '+++' -e ' execve(\"[^\"]*kico\"' -e SIGCHLD trace"
    );
    let (output, _) = bash(&script, scratch().path());
    assert_eq!(output.lines().last(), Some("0"), "{output}");
}
