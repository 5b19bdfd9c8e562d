//! Where a capture goes: what may stand there already, what of it `--force` removes, and how logs are called.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::capture::Asked;
use super::logs::Container;
use crate::files::private_directory;

/// Nothing is overwritten unless the user says so, and nothing is written through a link.
pub(super) fn check(asked: &Asked) -> Result<()> {
    for name in ["pods.json", "logs"] {
        let path = asked.directory.join(name);
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_symlink() {
            bail!("{}: is a link: a capture is not written through it", path.display());
        }
        if !asked.force {
            bail!(
                "{}: is there already: name another directory, or replace an earlier capture with --force",
                path.display()
            );
        }
    }
    Ok(())
}

/// The directories of a capture, private. Dropped, it takes away again those that it made and that nothing was put into.
pub(super) struct Directories(Vec<PathBuf>);

impl Directories {
    pub(super) fn make(directory: &Path) -> Result<Directories> {
        let mut made = Directories(Vec::new());
        for path in [directory.to_owned(), directory.join("logs")] {
            let is_new = !path.exists();
            private_directory(&path)?;
            if is_new {
                made.0.push(path);
            }
        }
        Ok(made)
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // One that holds something stays.
            let _ = fs::remove_dir(path);
        }
    }
}

/// Removes what an earlier capture's record lists, and its `pods.json`.
pub(super) fn remove_old(directory: &Path) -> Result<()> {
    let path = directory.join("pods.json");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let list: Value = serde_json::from_str(&text).unwrap_or_default();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let own = items.iter().find(|item| {
        item["metadata"]["name"] == "kico-capture" && item["metadata"]["uid"].is_null()
    });
    let record: Value = own
        .and_then(|item| serde_json::from_str(item["data"]["record"].as_str()?).ok())
        .unwrap_or_default();
    if record.is_null() {
        bail!(
            "{}: is no capture of kico's: it is not replaced; name another directory",
            path.display()
        );
    }
    for log in record["logs"].as_array().into_iter().flatten() {
        let name =
            log["file"].as_str().and_then(|file| file.strip_prefix("logs/")).unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain) {
            let path = directory.join("logs").join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
    }
    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
}

/// `logs/<pod>.txt`, with the namespace before it outside kube-system, and the container behind it if it is not the first.
pub(super) fn file_name(container: &Container, second: bool, previous: bool) -> String {
    let namespace = match container.namespace.as_str() {
        "kube-system" => String::new(),
        namespace => format!("{namespace}_"),
    };
    let own = if second { format!("_{}", container.name) } else { String::new() };
    let previous = if previous { ".previous" } else { "" };
    // The API server lets no other names be; whoever it is that answers, none leads out of the directory.
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') { c } else { '-' };
    let name: String =
        format!("{namespace}{}{own}{previous}", container.pod).chars().map(plain).collect();
    let name = name.trim_start_matches('.');
    match name.len() > 200 {
        true => format!("logs/{}-{}.txt", &name[..180], crate::text::short_hash(name)),
        false => format!("logs/{name}.txt"),
    }
}
