//! Untrusted text → terminal, CSV, Markdown, YAML comment, file name. Whatever came out of a log or a cluster is
//! printed through here only. It never drops text silently: what a sink cannot hold is escaped, visibly.

use std::borrow::Cow;

/// For a terminal, and for messages: printable ASCII as it stands, everything else as `\xNN` or `\u{…}`.
pub fn terminal(text: &str) -> Cow<'_, str> {
    let _ = text;
    todo!()
}

/// [`terminal`] for bytes that need not be UTF-8.
pub fn terminal_bytes(text: &[u8]) -> String {
    let _ = text;
    todo!()
}

/// A CSV cell's content (the csv crate quotes it): escaped as for a terminal, and defused: one leading `'` if a
/// spreadsheet would take it for a formula.
pub fn csv_cell(text: &str) -> Cow<'_, str> {
    let _ = text;
    todo!()
}

/// Undoes exactly the one `'` that [`csv_cell`] sets: how a tally is read back.
pub fn csv_undo(cell: &str) -> &str {
    let _ = cell;
    todo!()
}

/// For a Markdown table cell.
pub fn markdown(text: &str) -> String {
    let _ = text;
    todo!()
}

/// For a YAML comment: one line, whatever the text holds.
pub fn yaml_comment(text: &str) -> Cow<'_, str> {
    let _ = text;
    todo!()
}

/// A file name made of a Kubernetes name: `[a-z0-9.-]` only, never hidden, never `.` or `..`, at most 200 bytes; cut
/// and hashed when longer. `None` if the text is no legal name.
pub fn file_name(text: &str) -> Option<String> {
    let _ = text;
    todo!()
}
