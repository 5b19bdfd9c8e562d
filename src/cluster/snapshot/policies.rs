//! `--policies FILE|DIR`: NetworkPolicies as people keep them in git, read as a snapshot is. What is no NetworkPolicy is
//! counted; what is one and does not parse, or says no namespace, is an error that names its file: a policy that is
//! passed by would make everything look allowed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::documents::Fault;
use super::{files, read_file, shown};
use crate::cluster::model::NetworkPolicy;
use crate::cluster::objects::{Object, Read};

/// What the files held.
#[derive(Debug, Default)]
pub struct PolicyFiles {
    /// Each with the file that it is from, sorted by namespace and name.
    pub policies: Vec<(NetworkPolicy, String)>,
    /// Objects of other kinds: kind → how many.
    pub skipped: BTreeMap<String, u64>,
    /// Files of a directory that hold no Kubernetes objects: fragments that name them.
    pub ignored: Vec<String>,
}

/// Reads everything that `--policies` names.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<PolicyFiles> {
    let mut found = PolicyFiles::default();
    for path in paths {
        let before = found.policies.len();
        if path.is_dir() {
            for file in files::walk(path).map_err(|error| refuse(path, &error.to_string()))? {
                found.add(&file, true)?;
            }
        } else {
            found.add(path, false)?;
        }
        if found.policies.len() == before {
            bail!(refuse(path, "holds no NetworkPolicy"));
        }
    }
    found.policies.sort_by(|(a, _), (b, _)| key(a).cmp(&key(b)));
    let twins = found.policies.iter().zip(found.policies.iter().skip(1));
    for ((one, file), (two, other)) in twins {
        if key(one) == key(two) {
            let (namespace, name) = key(one);
            bail!(
                "NetworkPolicy {} stands there twice: in {} and in {}; which of them counts?",
                shown(&format!("{namespace}/{name}")),
                shown(file),
                shown(other)
            );
        }
    }
    Ok(found)
}

fn key(policy: &NetworkPolicy) -> (&str, &str) {
    (&policy.meta.namespace, &policy.meta.name)
}

fn refuse(path: &Path, why: &str) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", shown(&path.to_string_lossy()), shown(why))
}

impl PolicyFiles {
    fn add(&mut self, path: &Path, is_walked: bool) -> anyhow::Result<()> {
        let reads = match read_file(path, &[]) {
            Ok(reads) => reads,
            Err(Fault::Foreign(why)) if is_walked => {
                self.ignored.push(shown(&format!("{}: {why}", path.to_string_lossy())));
                return Ok(());
            }
            Err(Fault::Foreign(why) | Fault::Broken(why)) => return Err(refuse(path, &why)),
        };
        for Read { object, broken, .. } in reads.into_iter().flatten() {
            // A broken Deployment is none of our business here.
            let is_ours =
                |what: &&String| what.starts_with("NetworkPolicy ") || what.starts_with("object ");
            if let Some(what) = broken.iter().find(is_ours) {
                return Err(refuse(path, what));
            }
            match object {
                Object::Policy(policy) => self.policy(path, *policy)?,
                Object::Skipped(kind) => *self.skipped.entry(kind).or_default() += 1,
                other => {
                    let kind = word(&other).to_owned();
                    *self.skipped.entry(kind).or_default() += 1;
                }
            }
        }
        Ok(())
    }

    fn policy(&mut self, path: &Path, policy: NetworkPolicy) -> anyhow::Result<()> {
        let name = &policy.meta.name;
        if policy.meta.namespace.is_empty() {
            let why = "it says no namespace, and kubectl would take whatever is set: write metadata.namespace";
            return Err(refuse(path, &format!("NetworkPolicy {name}: {why}")));
        }
        self.policies.push((policy, path.to_string_lossy().into_owned()));
        Ok(())
    }
}

fn word(object: &Object) -> &'static str {
    match object {
        Object::Pod(..) => "Pod",
        Object::Controller(..) => "workload",
        Object::Service(_) => "Service",
        Object::Slice(_) | Object::Endpoints(_) => "EndpointSlice",
        Object::Namespace(_) => "Namespace",
        Object::Node(..) => "Node",
        Object::Corefile(_) | Object::Capture(_) => "ConfigMap",
        Object::Entrance(_) | Object::Gateway(_) | Object::Monitor(_) => "entrance or monitor",
        Object::Nothing | Object::Policy(_) | Object::Skipped(_) => "object",
    }
}
