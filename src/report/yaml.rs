//! The JSON document as YAML, key for key.

use std::io::{self, Write};

use serde::Serialize;

use crate::cluster::Cluster;
use crate::connections::Report;

/// Writes the YAML.
pub fn write(report: &Report, cluster: &Cluster, out: &mut dyn Write) -> io::Result<()> {
    serialize(&super::json::document(report, cluster), out)
}

/// Writes a document.
pub(super) fn serialize(document: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    // One line a string: a fold would hide what is one name.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_fmt_writer_with_options(&mut text, document, options)
        .map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}
