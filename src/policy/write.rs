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
        files.insert(Path::new(DEFAULT_DENY).join(&path), deny(one)?);
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
mod tests {
    use super::*;
    use crate::cluster::workloads::WorkloadId;
    use crate::policy::Policy;
    use crate::policy::deny::Deny;

    fn policies(complete: &[&str], incomplete: &[&str]) -> Policies {
        let policy = |path: &&str| {
            let (namespace, name) = path.split_once('/').unwrap();
            let mut object = NetworkPolicy::default();
            object.metadata.namespace = Some(namespace.into());
            object.metadata.name = Some(name.into());
            Policy {
                object,
                cilium: None,
                workload: WorkloadId(0),
                comment: vec!["for a test".into()],
                incomplete: Vec::new(),
                peers: Vec::new(),
            }
        };
        Policies {
            complete: complete.iter().map(policy).collect(),
            incomplete: incomplete.iter().map(policy).collect(),
            ..Policies::default()
        }
    }

    /// All files, relative, sorted.
    fn files(dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut waiting = vec![dir.to_path_buf()];
        while let Some(at) = waiting.pop() {
            for entry in fs::read_dir(at).unwrap() {
                let entry = entry.unwrap();
                match entry.file_type().unwrap().is_dir() {
                    true => waiting.push(entry.path()),
                    false => {
                        let path = entry.path();
                        found.push(path.strip_prefix(dir).unwrap().display().to_string());
                    }
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_directory_has_a_kustomization_for_each_choice() {
        let dir = tempfile::tempdir().unwrap();
        let written = directory(&policies(&["shop/b", "shop/a", "web/c"], &["shop/d"]), dir.path());
        assert_eq!(written.unwrap(), Written { policies: 4, denies: 0, removed: 0 });
        assert_eq!(
            files(dir.path()),
            [
                "incomplete/kustomization.yaml",
                "incomplete/shop/d.yaml",
                "kustomization.yaml",
                "shop/a.yaml",
                "shop/b.yaml",
                "web/c.yaml",
            ]
        );
        for (under, resources) in [
            ("", vec!["shop/a.yaml", "shop/b.yaml", "web/c.yaml"]),
            ("incomplete", vec!["shop/d.yaml"]),
        ] {
            let text = fs::read_to_string(dir.path().join(under).join(KUSTOMIZATION)).unwrap();
            let read: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
            let listed: Vec<_> = read["resources"].as_sequence().unwrap().iter().collect();
            assert_eq!(listed, resources);
        }
    }

    fn with_denies(mut policies: Policies, namespaces: &[&str]) -> Policies {
        let deny = |namespace: &&str| {
            let mut object = NetworkPolicy::default();
            object.metadata.namespace = Some((*namespace).into());
            object.metadata.name = Some("default-deny-ingress".into());
            Deny { object, comment: vec!["shut".into()] }
        };
        policies.denies.list = namespaces.iter().map(deny).collect();
        policies.denies.said = vec!["somebody\nis left".into()];
        policies
    }

    #[test]
    fn what_shuts_namespaces_has_a_directory_and_a_kustomization_of_its_own_and_goes_when_it_is_not_wanted()
     {
        let dir = tempfile::tempdir().unwrap();
        // Even with namespaces that are called as the directories are.
        let plain = || policies(&["shop/a", "default-deny/b"], &["default-deny/c"]);
        let all = with_denies(plain(), &["shop", "default-deny", "incomplete"]);
        let written = directory(&all, dir.path()).unwrap();
        assert_eq!(written, Written { policies: 3, denies: 3, removed: 0 });
        let own = [
            "default-deny/b.yaml",
            "default-deny/default-deny/default-deny-ingress.yaml",
            "default-deny/incomplete/default-deny-ingress.yaml",
            "default-deny/kustomization.yaml",
            "default-deny/shop/default-deny-ingress.yaml",
            "incomplete/default-deny/c.yaml",
            "incomplete/kustomization.yaml",
            "kustomization.yaml",
            "shop/a.yaml",
        ];
        assert_eq!(files(dir.path()), own);
        let read = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
        assert!(!read(KUSTOMIZATION).contains("default-deny-ingress"));
        let kustomization = read("default-deny/kustomization.yaml");
        assert!(kustomization.starts_with(&format!("{MARK}\n# somebody\\x0ais left\n")));
        assert_eq!(kustomization.matches("default-deny-ingress.yaml").count(), 3);
        assert_eq!(directory(&plain(), dir.path()).unwrap().removed, 4);
        assert!(!dir.path().join("default-deny/shop").exists());
    }

    #[test]
    fn on_a_stream_what_shuts_namespaces_comes_last_behind_a_comment() {
        let mut out = Vec::new();
        let policies = with_denies(policies(&["shop/a"], &["shop/b"]), &["shop"]);
        stream(&policies, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (before, behind) = text.split_once("\n# default-deny: what follows").unwrap();
        assert_eq!(before.matches("kind: NetworkPolicy").count(), 2);
        assert!(before.ends_with("\n# somebody\\x0ais left"), "{before}");
        assert_eq!(behind.matches("kind: NetworkPolicy").count(), 1);
        assert!(behind.contains("name: default-deny-ingress\n"), "{behind}");
    }

    #[test]
    fn kubectl_finds_every_policy_by_the_kustomization() {
        if !crate::policy::tests::has_kubectl() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        // Even of a namespace that is called as the directory of the incomplete ones is.
        let policies = policies(&["shop/a", "incomplete/b"], &["shop/c", "incomplete/d"]);
        directory(&policies, dir.path()).unwrap();
        for (under, names) in [("", ["a", "b"]), (INCOMPLETE, ["c", "d"])] {
            let mut kubectl = std::process::Command::new("kubectl");
            let output = kubectl.arg("kustomize").arg(dir.path().join(under)).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).unwrap();
            for name in names {
                assert!(text.contains(&format!("name: {name}\n")), "{text}");
            }
            assert_eq!(text.matches("kind: NetworkPolicy").count(), 2);
        }
    }

    #[test]
    fn a_rerun_removes_what_is_kicos_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        directory(&policies(&["shop/a", "old/b"], &["shop/c", "old/d"]), dir.path()).unwrap();
        fs::write(dir.path().join("old/mine.yaml"), "kind: NetworkPolicy\n").unwrap();
        fs::write(dir.path().join("notes.txt"), format!("{MARK}\n")).unwrap();
        let written = directory(&policies(&["shop/a"], &[]), dir.path()).unwrap();
        assert_eq!(written, Written { policies: 1, denies: 0, removed: 4 });
        let left = ["kustomization.yaml", "notes.txt", "old/mine.yaml", "shop/a.yaml"];
        assert_eq!(files(dir.path()), left);
        assert!(!dir.path().join(INCOMPLETE).exists());
    }

    #[test]
    fn without_policies_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policies");
        assert_eq!(directory(&policies(&[], &[]), &path).unwrap(), Written::default());
        assert!(!path.exists());
    }

    #[test]
    fn what_is_not_kicos_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(KUSTOMIZATION), "resources: [mine.yaml]\n").unwrap();
        let error = directory(&policies(&["shop/a"], &[]), dir.path()).unwrap_err();
        assert!(error.to_string().contains("not written by kico"), "{error}");
        assert_eq!(files(dir.path()), [KUSTOMIZATION]);
    }

    #[cfg(unix)]
    #[test]
    fn links_inside_the_directory_are_not_followed() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("a.yaml"), format!("{MARK}\nprecious\n")).unwrap();

        let dir = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("shop")).unwrap();
        assert!(directory(&policies(&["shop/a"], &[]), dir.path()).is_err());
        // Nor is what they lead to removed.
        directory(&policies(&["web/b"], &[]), dir.path()).unwrap();

        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("shop")).unwrap();
        symlink(outside.path().join("a.yaml"), dir.path().join("shop/a.yaml")).unwrap();
        assert!(directory(&policies(&["shop/a"], &[]), dir.path()).is_err());
        let text = fs::read_to_string(outside.path().join("a.yaml")).unwrap();
        assert!(text.ends_with("precious\n"));
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["../x", "shop/../x", "shop/..", "shop/", ".hidden/x", "shop/a\n"] {
            assert!(directory(&policies(&[path], &[]), &dir.path().join("out")).is_err(), "{path}");
        }
        assert_eq!(files(dir.path()), [""; 0]);
    }

    #[test]
    fn a_stream_is_documents_and_then_remarks() {
        let mut policies = policies(&["shop/a"], &["shop/b"]);
        policies.incomplete[0].incomplete = vec!["somebody\nelse".into()];
        policies.notes = vec!["a note".into()];
        let mut out = Vec::new();
        stream(&policies, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(&format!("---\n{MARK}\n")), "{text}");
        assert!(text.contains("\n---\n# INCOMPLETE: somebody\\x0aelse\n"), "{text}");
        assert!(text.ends_with("\n# note: a note\n"), "{text}");
        use serde::Deserialize;
        for document in serde_yaml::Deserializer::from_str(&text) {
            assert_eq!(serde_yaml::Value::deserialize(document).unwrap()["kind"], "NetworkPolicy");
        }
    }
}
