//! Closing the loop: the policies that `kico analyze` writes, read again by `kico verify`, through the command line.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_yaml::Value;

const SAMPLE: [&str; 4] =
    ["testdata/sock-shop/logs", "--snapshot", "testdata/sock-shop/pods.json", "-q"];

/// The program under test, in the repository.
fn kico() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kico"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("LOG_LEVEL");
    command
}

/// Runs `kico verify` over the sample: its JSON (which is YAML too) and exit status.
fn verify(policies: &Path, more: &[&str]) -> (Value, Option<i32>) {
    let output = kico()
        .arg("verify")
        .args(SAMPLE)
        .arg("--policies")
        .arg(policies)
        .args(["-o", "json"])
        .args(more)
        .output()
        .expect("kico can be started");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    (serde_yaml::from_str(&text).expect("JSON"), output.status.code())
}

/// The sample's policies, in a directory of their own.
fn analyze() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a scratch directory can be made");
    let output = format!("netpol={}/", dir.path().display());
    let done = kico().arg("analyze").args(SAMPLE).args(["-o", &output]).status();
    assert!(done.expect("kico can be started").success());
    dir
}

#[test]
fn complete_policies_allow_all_of_their_evidence() {
    let dir = analyze();
    let (report, exit) = verify(&dir.path().join("sock-shop"), &[]);
    assert_eq!(exit, Some(0));
    assert_eq!(report["summary"]["denied"], Value::from(0));
    assert_eq!(report["summary"]["partly"], Value::from(0));
    assert_eq!(report["notes"].as_sequence().map(Vec::len), Some(0));
    let policies = report["policies"].as_sequence().expect("a list");
    assert!(policies.len() >= 11, "{policies:?}");
    let mut by_policy = 0;
    for row in report["verdicts"].as_sequence().expect("a list") {
        let is_named = row["connection"]["client"]["kind"] != "Unknown";
        assert!(row["verdict"] == "allowed" || !is_named, "{row:?}");
        by_policy += row["allowedBy"].as_sequence().map_or(0, Vec::len);
    }
    assert!(by_policy >= 15, "only {by_policy} connections are allowed by a rule");
    // No rule is there without evidence, and none is wider.
    assert_eq!(report["findings"].as_sequence().map(Vec::len), Some(0), "{:?}", report["findings"]);
}

#[test]
fn incomplete_policies_deny_what_they_say_that_they_leave_out_and_nothing_else() {
    let dir = analyze();
    let (report, exit) = verify(dir.path(), &[]);
    assert_eq!(exit, Some(1));
    let rows = report["verdicts"].as_sequence().expect("a list");
    let left_out: Vec<&Value> = rows.iter().filter(|row| row["verdict"] != "allowed").collect();
    assert!(!left_out.is_empty());
    // Whoever applies the directory does not apply these.
    let notes = report["notes"].as_sequence().expect("a list");
    let note = notes.iter().filter_map(Value::as_str).find(|note| note.contains("incomplete"));
    let note = note.expect("a note");
    assert!(note.starts_with("3 policies of "), "{note}");
    assert!(note.contains("/incomplete judged as if applied") && notes.len() == 1, "{notes:?}");
    for row in left_out {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let server = &row["connection"]["server"];
        let (namespace, workload) =
            (text(&server["namespace"]), text(&server["workloads"][0]["name"]));
        let file = format!("incomplete/{namespace}/{workload}-deployment-ingress.yaml");
        let policy = fs::read_to_string(dir.path().join(&file)).expect("an incomplete policy");
        let reasons: Vec<&str> = policy.lines().take_while(|line| line.starts_with('#')).collect();
        let client = text(&row["connection"]["client"]["name"]);
        assert!(
            reasons.iter().any(|line| line.contains(&client)),
            "{client} is not among the reasons of {file}: {reasons:#?}"
        );
    }
}

#[test]
fn verdicts_do_not_depend_on_how_the_log_was_read() {
    let typo = Path::new("testdata/sock-shop/policies/typo.yaml");
    let (whole, _) = verify(typo, &[]);
    assert_eq!(whole["summary"]["denied"], Value::from(1));
    for args in [&["-c", "1"][..], &["--no-mmap"], &["-c", "3"]] {
        assert!(verify(typo, args).0 == whole, "{args:?}");
    }
}
