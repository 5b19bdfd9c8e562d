//! The progress bar: bytes read, rate and time left, on a terminal's standard error, once the work is long enough
//! to notice. It counts, and knows nothing of what is counted.

#[cfg(feature = "fetch")]
mod tasks;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

#[cfg(feature = "fetch")]
pub use tasks::Tasks;

/// A bar that many threads may move. Hidden unless standard error is a terminal.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// When the work began; `None` in a bar that never shows.
    since: Option<Instant>,
    shown: Arc<OnceLock<()>>,
}

/// Work that is done sooner shows no bar.
const NOTICEABLE: Duration = Duration::from_millis(500);

impl Progress {
    /// A bar that never shows.
    pub fn hidden() -> Progress {
        Progress { bar: ProgressBar::hidden(), since: None, shown: Arc::default() }
    }

    /// A bar that shows itself on standard error if that is a terminal and the work goes on for half a second.
    pub fn visible() -> Progress {
        Progress { since: Some(Instant::now()), ..Progress::hidden() }
    }

    /// Says how many bytes there are; `None` if nobody knows.
    pub fn expect(&self, total: Option<u64>) {
        let (template, total) = match total {
            Some(total) => (
                "{bar:30} {binary_bytes} / {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left",
                Some(total),
            ),
            None => ("{spinner} {binary_bytes}  {binary_bytes_per_sec}", None),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
    }

    /// Moves on by this many bytes. Call it once a chunk, not once a line.
    pub fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
        if self.since.is_some_and(|since| since.elapsed() >= NOTICEABLE) {
            self.shown.get_or_init(|| self.bar.set_draw_target(ProgressDrawTarget::stderr()));
        }
    }

    /// Takes the bar off the screen; it does not come back.
    pub fn clear(&self) {
        self.shown.get_or_init(|| ());
        self.bar.finish_and_clear();
    }
}
