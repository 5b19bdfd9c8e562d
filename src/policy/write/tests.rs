//! What a directory of policies holds after one run, and after the next.

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
fn two_policies_of_one_file_are_refused_and_none_is_written() {
    let dir = tempfile::tempdir().unwrap();
    // What the directory of a namespace is called whose own name is a device's on Windows.
    let other = text::file_name("con").unwrap();
    let error = |policies: &Policies| directory(policies, dir.path()).unwrap_err().to_string();
    let twice = policies(&["con/a", &format!("{other}/a")], &[]);
    assert_eq!(error(&twice), format!("two policies would both be {other}/a.yaml"));
    let shut = with_denies(policies(&[], &[]), &["con", &other]);
    let path = format!("default-deny/{other}/default-deny-ingress.yaml");
    assert_eq!(error(&shut), format!("two policies would both be {path}"));
    assert_eq!(files(dir.path()), [""; 0]);
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
