//! Snapshot files and directories → one [`Snapshot`]. The only part of `cluster` that touches the outside world.

use std::path::PathBuf;

use super::model::Snapshot;

/// Reads and joins everything that `--snapshot` names. `dns_namespaces`: `--dns-namespace`, beside the usual two.
/// Refuses what does not parse, and snapshots of different clusters; objects that are broken are named in the result.
pub fn read(paths: &[PathBuf], dns_namespaces: &[String]) -> anyhow::Result<Snapshot> {
    let _ = (paths, dns_namespaces);
    todo!()
}
