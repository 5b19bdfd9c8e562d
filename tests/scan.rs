//! The fast paths are an optimisation and nothing else: without them, and without instructions that not every processor
//! has, the same bytes come out.

use std::path::{Path, PathBuf};
use std::process::Command;

fn kico(scan: &str, arguments: &[&str]) -> (Vec<u8>, Option<i32>) {
    let run = Command::new(env!("CARGO_BIN_EXE_kico"))
        .args(arguments)
        .env("KICO_SCAN", scan)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("kico runs");
    (run.stdout, run.status.code())
}

/// Every log of the test data, whatever it is.
fn logs(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        match path.extension().and_then(|end| end.to_str()) {
            _ if path.is_dir() => logs(&path, found),
            Some("log" | "txt" | "gz") => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn every_way_of_scanning_gives_the_same_bytes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    logs(&root.join("testdata"), &mut paths);
    paths.sort();
    assert!(paths.len() > 50, "{} logs", paths.len());
    let paths: Vec<&str> =
        paths.iter().filter_map(|path| path.strip_prefix(root).ok()?.to_str()).collect();
    for arguments in [
        [&["tally"][..], &paths].concat(),
        [&["analyze", "-q", "-o", "json", "-S", "testdata/sock-shop/pods.json"][..], &paths]
            .concat(),
    ] {
        let fast = kico("", &arguments);
        assert!(fast.0.len() > 10_000, "{} bytes", fast.0.len());
        for scan in ["portable", "general"] {
            assert!(kico(scan, &arguments) == fast, "{scan}: {}", arguments[0]);
        }
    }
}
