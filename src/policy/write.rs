//! Policies → a stream, or a directory that `kubectl apply -k` takes. It replaces and removes only files that bear
//! kico's mark, follows no link inside the directory, and never leaves half a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde::Serialize;

use super::yaml::{Place, comment, deny, document, yaml};
use super::{MARK, Policies};
use crate::files::write_beside;
use crate::text;

/// Where incomplete policies go, with a kustomization of their own: applying them is a choice.
const INCOMPLETE: &str = "incomplete";
/// Where that goes which shuts namespaces: it is applied last, or not at all.
const DEFAULT_DENY: &str = "default-deny";
const KUSTOMIZATION: &str = "kustomization.yaml";

/// What [`directory`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Policies written.
    pub policies: usize,
    /// Namespaces that are shut.
    pub denies: usize,
    /// Files of an earlier run that were removed.
    pub removed: usize,
}

/// All documents on one stream, the complete ones first; what was refused, and what must be known, as comments behind
/// them; last what shuts namespaces.
pub fn stream(policies: &Policies, out: &mut dyn Write) -> anyhow::Result<()> {
    for policy in policies.complete.iter().chain(&policies.incomplete) {
        writeln!(out, "---")?;
        out.write_all(document(policy, Place::Stream)?.as_bytes())?;
    }
    out.write_all(remarks(policies).as_bytes())?;
    out.write_all(said(policies).as_bytes())?;
    if !policies.denies.list.is_empty() {
        writeln!(out, "# default-deny: what follows shuts namespaces; apply it last")?;
    }
    for one in &policies.denies.list {
        writeln!(out, "---")?;
        out.write_all(deny(one)?.as_bytes())?;
    }
    Ok(())
}

/// What was refused, and the notes, as comment lines.
fn remarks(policies: &Policies) -> String {
    let mut out = String::new();
    for refusal in &policies.refused {
        comment(&mut out, &format!("refused: {}: {}", refusal.object, refusal.reason));
    }
    for note in &policies.notes {
        comment(&mut out, &format!("note: {note}"));
    }
    out
}

/// What must be known of what is shut, and of what is not, as comment lines.
fn said(policies: &Policies) -> String {
    let mut out = String::new();
    for line in &policies.denies.said {
        comment(&mut out, line);
    }
    out
}

/// `<namespace>/<name>.yaml` and `kustomization.yaml`; the incomplete ones likewise in `incomplete/`, and what shuts
/// namespaces in `default-deny/`. Nothing is written if something that is not kico's stands where a file must go.
pub fn directory(policies: &Policies, dir: &Path) -> anyhow::Result<Written> {
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (list, under) in [(&policies.complete, ""), (&policies.incomplete, INCOMPLETE)] {
        let mut resources = Vec::new();
        for policy in list {
            let path = file(&policy.object)?;
            let document = document(policy, Place::File)?;
            if files.insert(Path::new(under).join(&path), document).is_some() {
                bail!("two policies would both be {}", text::terminal(&path));
            }
            resources.push(path);
        }
        if !resources.is_empty() {
            let path = Path::new(under).join(KUSTOMIZATION);
            files.insert(path, kustomization(resources, &remarks(policies))?);
        }
    }
    let mut resources = Vec::new();
    for one in &policies.denies.list {
        let path = file(&one.object)?;
        if files.insert(Path::new(DEFAULT_DENY).join(&path), deny(one)?).is_some() {
            bail!("two policies would both be {DEFAULT_DENY}/{}", text::terminal(&path));
        }
        resources.push(path);
    }
    if !resources.is_empty() {
        let path = Path::new(DEFAULT_DENY).join(KUSTOMIZATION);
        files.insert(path, kustomization(resources, &said(policies))?);
    }
    let old = own_files(dir)?;
    for path in files.keys() {
        check_free(dir, path, &old)?;
    }
    // Kustomizations last: at no moment do they name a file that is not there.
    let is_last = |path: &&PathBuf| path.ends_with(KUSTOMIZATION);
    let first = files.keys().filter(|path| !is_last(path));
    for path in first.chain(files.keys().filter(is_last)) {
        write_file(&dir.join(path), &files[path])?;
    }
    let mut written = Written {
        policies: policies.complete.len() + policies.incomplete.len(),
        denies: policies.denies.list.len(),
        removed: 0,
    };
    for path in old.iter().filter(|path| !files.contains_key(*path)) {
        let full = dir.join(path);
        fs::remove_file(&full).with_context(|| format!("remove {}", shown(&full)))?;
        written.removed += 1;
        // Directories that this left empty go too; one that holds anything stays.
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            if fs::remove_dir(dir.join(parent)).is_err() {
                break;
            }
        }
    }
    Ok(written)
}

/// What [`directory`] put apart there, for which `kubectl apply -k` of the whole does nothing.
pub fn apart(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let all = [INCOMPLETE, DEFAULT_DENY].map(|under| dir.join(under));
    all.into_iter().filter(|under| under.join(KUSTOMIZATION).is_file())
}

/// `<namespace>/<name>.yaml`
fn file(object: &NetworkPolicy) -> anyhow::Result<String> {
    let meta = &object.metadata;
    let part = |text: &Option<String>| {
        let text = text.as_deref().unwrap_or_default();
        text::file_name(text).with_context(|| format!("no file name for {}", text::terminal(text)))
    };
    Ok(format!("{}/{}.yaml", part(&meta.namespace)?, part(&meta.name)?))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Kustomization {
    api_version: &'static str,
    kind: &'static str,
    resources: Vec<String>,
}

fn kustomization(mut resources: Vec<String>, comments: &str) -> anyhow::Result<String> {
    resources.sort();
    let object = Kustomization {
        api_version: "kustomize.config.k8s.io/v1beta1",
        kind: "Kustomization",
        resources,
    };
    Ok(format!("{MARK}\n{comments}{}", yaml(&object)?))
}

/// The files of an earlier run, relative to `dir`.
fn own_files(dir: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    // `incomplete/<namespace>/<name>.yaml` is the deepest.
    let mut waiting = vec![(PathBuf::new(), 3)];
    while let Some((under, depth)) = waiting.pop() {
        let full = dir.join(&under);
        let entries = match fs::read_dir(&full) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("read {}", shown(&full))),
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("read {}", shown(&full)))?;
            let path = under.join(entry.file_name());
            // Of the entry itself: a link is neither.
            let kind = entry.file_type().with_context(|| format!("read {}", shown(&full)))?;
            if kind.is_dir() && depth > 1 {
                waiting.push((path, depth - 1));
            } else if kind.is_file()
                && path.extension().is_some_and(|extension| extension == "yaml")
                && is_own(&dir.join(&path))
            {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

/// Whether a file begins with kico's mark. One that cannot be read is not kico's.
fn is_own(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    let mut start = Vec::new();
    let line = format!("{MARK}\n");
    file.take(line.len() as u64).read_to_end(&mut start).is_ok() && start == line.as_bytes()
}

/// Whether a file may be written there: no link on the way, and nothing that is not kico's.
fn check_free(dir: &Path, path: &Path, own: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let mut here = dir.to_path_buf();
    for part in path.parent().into_iter().flat_map(Path::components) {
        here.push(part);
        match fs::symlink_metadata(&here) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => bail!("{} is no directory; nothing was written", shown(&here)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("read {}", shown(&here))),
        }
    }
    let full = dir.join(path);
    if !own.contains(path) && fs::symlink_metadata(&full).is_ok() {
        bail!(
            "{} was not written by kico and stands in the way; nothing was written",
            shown(&full)
        );
    }
    Ok(())
}

fn write_file(path: &Path, content: &str) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("create {}", shown(parent)))?;
    }
    write_beside(path, |out| out.write_all(content.as_bytes()))
}

fn shown(path: &Path) -> String {
    text::terminal_bytes(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests;
