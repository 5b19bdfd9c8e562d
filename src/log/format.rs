//! `--log-format`: the `log` directive's own format string, compiled (LOG_FORMATS 1.5).

/// A compiled format.
#[derive(Debug)]
pub struct Format {}

impl Format {
    /// Compiles the format as it stands in the Corefile. Refuses one without `{remote}`; the second value is a warning.
    pub fn compile(text: &str) -> anyhow::Result<(Format, Option<String>)> {
        let _ = text;
        todo!()
    }
}
