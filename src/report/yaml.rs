//! The JSON document as YAML, key for key.

use std::fmt;
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
    let mut text = Text { out, failed: None };
    // One line a string: a fold would hide what is one name.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let written = serde_saphyr::to_fmt_writer_with_options(&mut text, document, options);
    match text.failed {
        Some(error) => Err(error),
        None => written.map_err(io::Error::other),
    }
}

/// Bytes go where text is written to; a [`fmt::Error`] would not say why they cannot.
struct Text<'a> {
    out: &'a mut dyn Write,
    failed: Option<io::Error>,
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.write_all(text.as_bytes()).map_err(|error| {
            self.failed = Some(error);
            fmt::Error
        })
    }
}
