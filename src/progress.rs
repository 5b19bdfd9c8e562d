//! The progress bar: bytes read, rate and time left, on a terminal's standard error, once the work is long enough
//! to notice. It counts, and knows nothing of what is counted.

/// A bar that many threads may move. Hidden unless standard error is a terminal.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: indicatif::ProgressBar,
}

impl Progress {
    /// A bar that never shows.
    pub fn hidden() -> Progress {
        Progress { bar: indicatif::ProgressBar::hidden() }
    }

    /// Moves on by this many bytes. Call it once a chunk, not once a line.
    pub fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}
