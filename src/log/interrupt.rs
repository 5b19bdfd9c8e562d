//! Ctrl-C and SIGTERM (SEMANTICS 1): the first one ends a pipe that is being read, and the report goes on; any other
//! ends the process at once with 130, temporaries removed. Nothing is handled until [`Interrupt::install`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// How often a signal is looked for.
#[cfg(unix)]
const LOOK: std::time::Duration = std::time::Duration::from_millis(20);

/// Whether the user asked for the end, or nobody wants the result any more. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
    pipes: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Begins to handle the signals. Call it once, before anything is read. On an error they do what they do anyway.
    pub fn install() -> std::io::Result<Interrupt> {
        let interrupt = Interrupt::default();
        #[cfg(unix)]
        interrupt.listen()?;
        Ok(interrupt)
    }

    /// The thread comes first: without one nothing may be handled, or Ctrl-C would do nothing at all. It looks every few
    /// milliseconds instead of waiting on a pipe to itself, which would be a socket: an analysis opens none.
    #[cfg(unix)]
    fn listen(&self) -> std::io::Result<()> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let news = Arc::new(AtomicBool::new(false));
        let (pipes, came) = (Arc::clone(&self.pipes), Arc::clone(&news));
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            let mut first = true;
            loop {
                std::thread::sleep(LOOK);
                if !came.swap(false, SeqCst) {
                    continue;
                }
                if first && pipes.load(SeqCst) > 0 {
                    first = false;
                } else {
                    crate::files::exit_clean(130);
                }
            }
        })?;
        for signal in [SIGINT, SIGTERM] {
            // Set in the handler itself: when the same Ctrl-C also ends the pipe's writer, the pipe's end must not be
            // seen before the wish.
            signal_hook::flag::register(signal, Arc::clone(&self.asked))?;
            signal_hook::flag::register(signal, Arc::clone(&news))?;
        }
        Ok(())
    }

    /// Whether a signal came.
    pub fn asked(&self) -> bool {
        self.asked.load(SeqCst)
    }

    /// Says that nobody wants what is being read any more: nothing more is begun, and pipes end.
    pub fn stop(&self) {
        self.stopped.store(true, SeqCst);
    }

    /// Whether nobody does.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(SeqCst)
    }

    /// Whether a pipe ends here.
    pub(crate) fn ends_pipes(&self) -> bool {
        self.asked() || self.is_stopped()
    }

    /// While what this returns lives, a pipe is being read.
    pub(crate) fn pipe(&self) -> OpenPipe {
        self.pipes.fetch_add(1, SeqCst);
        OpenPipe { interrupt: self.clone() }
    }

    /// What a signal does, without one.
    #[cfg(test)]
    pub(crate) fn ask(&self) {
        self.asked.store(true, SeqCst);
    }
}

/// A pipe that is being read.
#[derive(Debug)]
pub(crate) struct OpenPipe {
    interrupt: Interrupt,
}

impl Drop for OpenPipe {
    fn drop(&mut self) {
        // A pipe that a signal ended counts for good: the listener may not have woken up yet, and would end the
        // process instead of the pipe.
        if !self.interrupt.asked() {
            self.interrupt.pipes.fetch_sub(1, SeqCst);
        }
    }
}
