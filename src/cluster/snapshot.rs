//! Snapshot files and directories → one [`Snapshot`]. The only part of `cluster` that touches the outside world.

mod documents;
mod files;
mod join;
mod json;
pub mod policies;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::model::{Hidden, Moment, Snapshot};
use super::objects::{CaptureRecord, Object, Read};
use crate::text;
use documents::{Fault, Reads};

/// Reads and joins everything that `--snapshot` names. `dns_namespaces`: `--dns-namespace`, beside the usual two.
/// Refuses what does not parse, and snapshots of different clusters; objects that are broken are named in the result.
pub fn read(paths: &[PathBuf], dns_namespaces: &[String]) -> anyhow::Result<Snapshot> {
    let dns_namespaces = all_dns_namespaces(dns_namespaces);
    let mut takes = Vec::new();
    for path in paths {
        takes.push(take(path, &dns_namespaces)?);
    }
    let mut clusters = takes.iter().flat_map(|take| &take.clusters);
    if let Some((first, uid)) = clusters.next()
        && let Some((other, _)) = clusters.find(|(_, other)| other != uid)
    {
        bail!(
            "{} and {} are of different clusters: the uids of their namespace kube-system differ; \
             give the snapshots of one cluster",
            shown(first),
            shown(other)
        );
    }
    Ok(join::join(takes, dns_namespaces))
}

/// The files that are read for this path: itself, or those of the directory. None of one that cannot be walked.
pub fn files_of(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() { files::walk(path).unwrap_or_default() } else { vec![path.to_owned()] }
}

/// Reads one snapshot that is in memory; `name` stands for it in messages.
#[cfg(feature = "fetch")]
pub fn from_text(name: &str, text: &str, dns_namespaces: &[String]) -> anyhow::Result<Snapshot> {
    let dns_namespaces = all_dns_namespaces(dns_namespaces);
    let moment = Moment { path: name.to_owned(), ..Moment::default() };
    let mut take = Take { moment, ..Take::default() };
    match documents::read(text, &dns_namespaces) {
        Ok(reads) => take.add(name, reads),
        Err(Fault::Foreign(why) | Fault::Broken(why)) => bail!("{name}: {}", shown(&why)),
    }
    take.settle();
    Ok(join::join(vec![take], dns_namespaces))
}

/// The usual two, and those given.
fn all_dns_namespaces(given: &[String]) -> Vec<String> {
    let mut all = [&["kube-system".to_owned(), "openshift-dns".to_owned()], given].concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// One `--snapshot`, read.
#[derive(Default)]
struct Take {
    moment: Moment,
    /// File → uid of the namespace kube-system that it names.
    clusters: Vec<(String, String)>,
    objects: Vec<Object>,
    skipped: BTreeMap<String, u64>,
    broken: Vec<String>,
    hidden: Vec<Hidden>,
    ignored: Vec<String>,
    record: Option<CaptureRecord>,
}

fn take(path: &Path, dns_namespaces: &[String]) -> anyhow::Result<Take> {
    let typed = path.to_string_lossy().into_owned();
    let moment = Moment { path: typed.clone(), ..Moment::default() };
    let mut take = Take { moment, ..Take::default() };
    if !path.is_dir() {
        match read_file(path, dns_namespaces) {
            Ok(reads) => take.add(&typed, reads),
            Err(Fault::Foreign(why) | Fault::Broken(why)) => return refuse(path, &why),
        }
    } else {
        let files = match files::walk(path) {
            Ok(files) => files,
            Err(error) => return refuse(path, &error.to_string()),
        };
        let found = files.len();
        for file in files {
            let name = file.to_string_lossy();
            match read_file(&file, dns_namespaces) {
                Ok(reads) => take.add(&name, reads),
                Err(Fault::Foreign(why)) => take.ignored.push(shown(&format!("{name}: {why}"))),
                Err(Fault::Broken(why)) => return refuse(&file, &why),
            }
        }
        if found == take.ignored.len() {
            return refuse(path, "holds no file of Kubernetes objects");
        }
    }
    take.settle();
    Ok(take)
}

fn read_file(path: &Path, dns_namespaces: &[String]) -> Result<Reads, Fault> {
    documents::read(&files::text(path)?, dns_namespaces)
}

fn refuse<T>(path: &Path, why: &str) -> anyhow::Result<T> {
    let next = match path.as_os_str() == "-" && !path.exists() {
        true => "name a file, or `<(kubectl get pods,services,... -A -o json)`",
        false => "a snapshot is what `kubectl get pods,services,... -A -o json` writes",
    };
    bail!("{}: {}; {next}", shown(&path.to_string_lossy()), shown(why))
}

impl Take {
    /// All files are read: what its capture record says of the whole counts.
    fn settle(&mut self) {
        if let Some(record) = &self.record {
            self.moment.time = record.when.or(self.moment.time);
            self.moment.pods_cluster_wide = record.pods_cluster_wide;
            self.moment.policies_cluster_wide = record.policies_cluster_wide;
        }
        self.moment.cluster = self.clusters.first().map(|(_, uid)| uid.clone());
    }

    /// Adds a file's objects.
    fn add(&mut self, file: &str, reads: Reads) {
        let all: usize = reads.iter().map(Vec::len).sum();
        self.objects.reserve(all);
        for Read { object, broken, hidden } in reads.into_iter().flatten() {
            self.hidden.extend(hidden.map(|hidden| *hidden));
            self.broken.extend(broken.iter().map(|what| shown(&format!("{file}: {what}"))));
            self.moment.time = self.moment.time.max(object.latest());
            match object {
                Object::Skipped(kind) => *self.skipped.entry(kind).or_default() += 1,
                Object::Capture(record) => self.record(file, *record),
                Object::Nothing => {}
                object => {
                    if let Object::Namespace(meta) = &object
                        && meta.name == "kube-system"
                        && !meta.uid.is_empty()
                    {
                        self.clusters.push((file.to_owned(), meta.uid.clone()));
                    }
                    self.objects.push(object);
                }
            }
        }
    }

    /// Of several records the latest counts; what is gone for one is gone for all.
    fn record(&mut self, file: &str, record: CaptureRecord) {
        self.clusters.extend(record.cluster.clone().map(|uid| (file.to_owned(), uid)));
        self.moment.gone.extend(record.gone.clone());
        if self.record.as_ref().is_none_or(|known| known.when <= record.when) {
            self.record = Some(record);
        }
    }
}

fn shown(text: &str) -> String {
    text::terminal(text).into_owned()
}
