//! How many threads kico may use (`-c`): one number for every stage that works in parallel. It changes how long things
//! take, and no byte of what comes out.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use rayon::ThreadPool;
use rayon::prelude::*;

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
pub(crate) fn pool(threads: usize) -> Option<ThreadPool> {
    (threads > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok())?
}

/// Maps a list, in its order, by the pool's threads if there is a pool.
pub(crate) fn map<T: Send, U: Send>(
    pool: Option<&ThreadPool>,
    list: Vec<T>,
    of: impl Fn(T) -> U + Send + Sync,
) -> Vec<U> {
    match pool {
        Some(pool) => pool.install(|| list.into_par_iter().map(of).collect()),
        None => list.into_iter().map(of).collect(),
    }
}

/// Sorts a list, by the pool's threads if there is a pool. Equals may change places.
pub(crate) fn sort<T: Send, K: Ord>(
    pool: Option<&ThreadPool>,
    list: &mut [T],
    key: impl Fn(&T) -> K + Send + Sync,
) {
    match pool {
        Some(pool) => pool.install(|| list.par_sort_unstable_by_key(key)),
        None => list.sort_unstable_by_key(key),
    }
}
