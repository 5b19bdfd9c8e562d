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

    /// Hands over every record of this format on the line; whether there was one.
    pub(super) fn records(
        &self,
        line: &[u8],
        record: &mut dyn FnMut(&super::record::Record<'_>) -> bool,
    ) -> bool {
        let _ = (line, record);
        todo!()
    }
}
