//! One object → one YAML document with its comment above. serde-saphyr writes the values: it quotes what some reader
//! of YAML 1.1 would take for a number, a boolean or null, as kubectl's does. Comments hold one escaped line each.

use std::fmt::Write as _;

use serde::Serialize;

use super::deny::Deny;
use super::{MARK, Policy};
use crate::text;

/// Where a document goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of its own: [`MARK`] comes first.
    File,
    /// A stream: what an incomplete policy leaves out comes first.
    Stream,
}

/// The document, without `---`.
pub fn document(policy: &Policy, place: Place) -> anyhow::Result<String> {
    let mut out = String::new();
    let incomplete = |out: &mut String| {
        for reason in &policy.incomplete {
            comment(out, &format!("INCOMPLETE: {reason}"));
        }
    };
    if place == Place::Stream {
        incomplete(&mut out);
    }
    _ = writeln!(out, "{MARK}");
    if place == Place::File {
        incomplete(&mut out);
    }
    for line in &policy.comment {
        comment(&mut out, line);
    }
    out.push_str(&match &policy.cilium {
        Some(object) => yaml(object)?,
        None => yaml(&policy.object)?,
    });
    Ok(out)
}

/// What shuts a namespace, without `---`.
pub fn deny(deny: &Deny) -> anyhow::Result<String> {
    let mut out = format!("{MARK}\n");
    for line in &deny.comment {
        comment(&mut out, line);
    }
    out.push_str(&yaml(&deny.object)?);
    Ok(out)
}

/// One comment line of untrusted text.
pub(super) fn comment(out: &mut String, line: &str) {
    _ = writeln!(out, "# {}", text::yaml_comment(line));
}

/// Any value as YAML that a reader of 1.1 and one of 1.2 take for the same.
pub(super) fn yaml(value: &impl Serialize) -> anyhow::Result<String> {
    let mut options = serde_saphyr::SerializerOptions::default();
    options.yaml_12 = false;
    Ok(serde_saphyr::to_string_with_options(value, options)?)
}
