//! How many threads kico may use (`-c`): one number for every stage that works in parallel. It changes how long things
//! take, and no byte of what comes out.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

static MOST: OnceLock<NonZeroUsize> = OnceLock::new();

/// Bounds every stage from here on. The first bound stands.
pub fn bound(most: NonZeroUsize) {
    MOST.get_or_init(|| most);
}

/// How many a stage may use: as many as there are cores, unless bounded.
pub fn most() -> usize {
    let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    MOST.get().copied().unwrap_or_else(cores).get()
}

/// A pool of so many. `None`: one is enough, or there are no more to be had.
pub(crate) fn pool(threads: usize) -> Option<rayon::ThreadPool> {
    (threads > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok())?
}
