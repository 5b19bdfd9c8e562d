//! `fetch` against an API server that lies, cuts and refuses as real ones do. One file a matter; FAULTS are scripted in each.

mod following;
mod lists;
mod logs;
mod objects;
mod role;
mod safety;
mod server;

use std::path::Path;

use serde_json::Value;

/// A capture's record, and all of its pods.json.
fn record(directory: &Path) -> (Value, String) {
    let text = std::fs::read_to_string(directory.join("pods.json")).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let own = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["metadata"]["name"] == "kico-capture")
        .unwrap();
    (serde_json::from_str(own["data"]["record"].as_str().unwrap()).unwrap(), text)
}

fn log_of(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("logs/coredns-a.txt")).unwrap()
}

/// The log files that are there.
fn log_files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join("logs")).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
