//! A file, mapped, behind a guard: one that shrinks while it is mapped costs a `truncated` in the report, never the
//! process. One of two places in kico with `unsafe`.
//!
//! Touching a mapped page that lies beyond the end of its file raises SIGBUS, in whichever thread touches it, whenever
//! someone truncates the file: log rotation does. The handler puts zero pages in place of the rest of that map, notes
//! where, and lets the thread go on; what it reads is zeros. Faults outside kico's maps go to whoever handled
//! them before.
//!
//! Elsewhere than on Linux files are read: there this was never tried.

pub use guard::Map;
pub(crate) use guard::spread;

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a map and the signal handler behind it; each use is explained")]
mod guard {
    use std::fs::File;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

    use libc::{c_int, c_void, siginfo_t};

    /// A part of a file, mapped.
    #[derive(Debug)]
    pub struct Map {
        map: memmap2::Mmap,
        /// Where it begins in the file.
        from: u64,
        range: &'static Range,
    }

    impl Map {
        /// Maps the bytes from `from`, where a page must begin, to `to`. `None`: it cannot be done, and they must be read.
        pub fn new(file: &File, from: u64, to: u64) -> Option<Map> {
            if !installed() {
                return None;
            }
            let range = RANGES.iter().find(|range| range.claim())?;
            let size = usize::try_from(to.saturating_sub(from)).ok();
            // SAFETY: the map is read-only and nobody else's, but others may write to the file. What is read here may
            // thus differ between two looks; all code behind it takes any bytes, checks every index, and keeps no
            // conclusion about bytes beyond their copy. That the file may shrink is what the handler is for.
            let map = size.and_then(|size| unsafe {
                memmap2::MmapOptions::new().offset(from).len(size).map(file).ok()
            });
            let Some(map) = map else {
                range.free();
                return None;
            };
            // A hint; it does not matter whether it is taken.
            let _ = map.advise(memmap2::Advice::Sequential);
            let start = map.as_ptr() as usize;
            range.set(start, start + map.len());
            Some(Map { map, from, range })
        }

        /// The file's bytes from `from` to `to`, if all of them are mapped.
        pub fn bytes(&self, from: u64, to: u64) -> Option<&[u8]> {
            let place = |at: u64| usize::try_from(at.checked_sub(self.from)?).ok();
            self.map.get(place(from)?..place(to)?)
        }

        /// Where it begins in the file.
        pub(crate) fn from(&self) -> u64 {
            self.from
        }

        /// Where the file was found to have ended.
        pub(crate) fn fault(&self) -> Option<u64> {
            match self.range.fault.load(SeqCst) {
                usize::MAX => None,
                address => Some(self.from + (address - self.map.as_ptr() as usize) as u64),
            }
        }
    }

    impl Drop for Map {
        fn drop(&mut self) {
            // Before it is unmapped: afterwards these addresses may be someone else's.
            self.range.free();
        }
    }

    /// Says of memory that nothing is in yet: it will be looked at all over, so large pages are worth while. A hint.
    pub(crate) fn spread<T>(memory: &mut [std::mem::MaybeUninit<T>]) {
        const LARGE: usize = 2 << 20;
        let addresses = memory.as_mut_ptr_range();
        let (from, to) = (addresses.start as usize, addresses.end as usize);
        let (from, to) = (from.next_multiple_of(LARGE), to - to % LARGE);
        if from < to {
            // SAFETY: all of it lies in this memory, which is ours; and the advice changes what a page is, not what it holds.
            unsafe { libc::madvise(from as *mut c_void, to - from, libc::MADV_HUGEPAGE) };
        }
    }

    /// The addresses of a map, for the handler, which must not lock.
    #[derive(Debug)]
    struct Range {
        claimed: AtomicBool,
        /// Odd while start and end are being written: what the handler reads then is no range.
        turn: AtomicUsize,
        start: AtomicUsize,
        end: AtomicUsize,
        /// The first address at which a page was missing.
        fault: AtomicUsize,
    }

    /// More files than this are never mapped at once; one more is read.
    static RANGES: [Range; 128] = [const {
        Range {
            claimed: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            fault: AtomicUsize::new(usize::MAX),
        }
    }; 128];

    impl Range {
        fn claim(&self) -> bool {
            self.claimed.compare_exchange(false, true, SeqCst, SeqCst).is_ok()
        }

        fn set(&self, start: usize, end: usize) {
            self.turn.fetch_add(1, SeqCst);
            self.start.store(start, SeqCst);
            self.end.store(end, SeqCst);
            self.fault.store(usize::MAX, SeqCst);
            self.turn.fetch_add(1, SeqCst);
        }

        fn free(&self) {
            self.set(0, 0);
            self.claimed.store(false, SeqCst);
        }

        /// The end, if the address lies before it and not before the start.
        fn end_around(&self, address: usize) -> Option<usize> {
            let turn = self.turn.load(SeqCst);
            let (start, end) = (self.start.load(SeqCst), self.end.load(SeqCst));
            let whole = turn.is_multiple_of(2) && self.turn.load(SeqCst) == turn;
            (whole && (start..end).contains(&address)).then_some(end)
        }
    }

    /// Who handled SIGBUS before.
    static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();
    static PAGE: AtomicUsize = AtomicUsize::new(0);

    /// Installs the handler, once. `false`: that failed, and nothing may be mapped.
    fn installed() -> bool {
        static DONE: OnceLock<bool> = OnceLock::new();
        *DONE.get_or_init(|| {
            // SAFETY: plain calls into libc with pointers to values that live through them. `sigaction` is plain data,
            // for which zeros are a value. The handler is stored as the type of function that SA_SIGINFO asks for, and
            // what it needs (BEFORE, PAGE) is set before it can run. SA_ONSTACK: a fault may come on a thread whose
            // own stack is at its end; std gives its threads another one.
            unsafe {
                let page = libc::sysconf(libc::_SC_PAGESIZE);
                let mut before: libc::sigaction = std::mem::zeroed();
                if page <= 0 || libc::sigaction(libc::SIGBUS, std::ptr::null(), &mut before) != 0 {
                    return false;
                }
                PAGE.store(page as usize, SeqCst);
                let _ = BEFORE.set(before);
                let mut action: libc::sigaction = std::mem::zeroed();
                let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_fault;
                action.sa_sigaction = handler as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut()) == 0
            }
        })
    }

    /// The handler. It takes no lock and allocates nothing: the thread it interrupts may be anywhere.
    extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the kernel gives a valid siginfo with SA_SIGINFO; for SIGBUS its address field is the fault's.
        let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
        // Any other code is no missing page of a file: a broken memory module, a signal sent by hand.
        if code == libc::BUS_ADRERR && patch(address) {
            return;
        }
        // SAFETY: the same arguments as the kernel gave.
        unsafe { pass_on(signal, info, context) }
    }

    /// Puts zeros from the fault's page to the end of the map that it lies in. `false`: it lies in none.
    fn patch(address: usize) -> bool {
        let found = RANGES.iter().find_map(|range| Some((range, range.end_around(address)?)));
        let Some((range, end)) = found else { return false };
        // A map begins with a page, so this lies in it too.
        let page = address & !(PAGE.load(SeqCst) - 1);
        // First, so that no thread sees zeros without being able to know what they are.
        range.fault.fetch_min(page, SeqCst);
        // SAFETY: the fault proves that this thread is looking at a map, and `end_around` that it is this one; whoever looks
        // at a map keeps it alive, so `page..end` is mapped, by us, until after we return. mmap is a bare system call
        // here; on success it leaves errno alone.
        let zeros = unsafe {
            libc::mmap(
                page as *mut c_void,
                end - page,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        zeros != libc::MAP_FAILED
    }

    /// Does what would have been done without kico's handler.
    ///
    /// # Safety
    /// The arguments are those of a signal handler.
    unsafe fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        let before = BEFORE.get();
        let handler = before.map_or(libc::SIG_DFL, |before| before.sa_sigaction);
        let with_info = before.is_some_and(|before| before.sa_flags & libc::SA_SIGINFO != 0);
        // SAFETY: a handler that was installed is a function of the type that its flags say. The default action is
        // taken when this handler returns: a fault faults again, and a signal that was sent is sent again.
        unsafe {
            if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
                let mut default: libc::sigaction = std::mem::zeroed();
                default.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &default, std::ptr::null_mut());
                libc::raise(signal);
            } else if with_info {
                type WithInfo = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
                std::mem::transmute::<usize, WithInfo>(handler)(signal, info, context);
            } else {
                std::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal);
            }
        }
    }
}

/// Nothing is mapped here.
#[cfg(not(target_os = "linux"))]
mod guard {
    use std::fs::File;

    /// A hint that has no effect here.
    pub(crate) fn spread<T>(_: &mut [std::mem::MaybeUninit<T>]) {}

    /// A part of a file, mapped: none.
    #[derive(Debug)]
    pub enum Map {}

    impl Map {
        /// `None`: the file must be read.
        pub fn new(_: &File, _: u64, _: u64) -> Option<Map> {
            None
        }

        /// The bytes from one place to another.
        pub fn bytes(&self, _: u64, _: u64) -> Option<&[u8]> {
            match *self {}
        }

        pub(crate) fn from(&self) -> u64 {
            match *self {}
        }

        pub(crate) fn fault(&self) -> Option<u64> {
            match *self {}
        }
    }
}
