//! `--rejects FILE`: every line that looked like a query and could not be read, as CSV, in input order, however many
//! threads found them. It holds two work items a thread; who is further ahead waits.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Context;

use super::Reason;
use crate::{files, text};

/// The header.
pub const COLUMNS: [&str; 5] = ["path", "line", "offset", "reason", "text"];

/// A text is cut behind this many bytes.
const TEXT: usize = 300;
/// So many rejects are held before a long item waits for its turn.
const HELD: usize = 4096;

/// The file.
pub(crate) struct Rejects {
    state: Mutex<State>,
    turned: Condvar,
    /// How far ahead of the oldest unfinished item another one may begin.
    ahead: u64,
}

struct State {
    writer: csv::Writer<files::Beside>,
    /// The oldest item that is not finished.
    turn: u64,
    /// Finished items that wait for an older one.
    waiting: BTreeMap<u64, Batch>,
    /// The input whose items are being written, and the lines of those that are.
    input: Option<Arc<str>>,
    lines: u64,
    failed: Option<csv::Error>,
    /// A worker died: nobody may wait for its item.
    abandoned: bool,
}

/// The rejects of one work item.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Its place in the order of all items.
    item: u64,
    path: Arc<str>,
    rows: Vec<Row>,
    /// How many lines the item held, once it is finished.
    lines: u64,
}

/// One reject.
#[derive(Debug)]
struct Row {
    line: u64,
    offset: u64,
    reason: Reason,
    text: String,
}

impl Batch {
    pub(crate) fn new(item: u64, path: &Arc<str>) -> Batch {
        Batch { item, path: Arc::clone(path), rows: Vec::new(), lines: 0 }
    }

    /// Adds a reject; `line` counts from 0 in the item, `offset` in the input.
    pub(crate) fn add(&mut self, line: u64, offset: u64, reason: Reason, text: &[u8]) {
        self.rows.push(Row { line, offset, reason, text: shown(text) });
    }

    /// Whether it should be handed over with [`Rejects::part`].
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= HELD
    }
}

/// A line's text as it stands in the file, and in samples of it.
pub(crate) fn shown(text: &[u8]) -> String {
    let mut shown = text::terminal_bytes(&text[..text.len().min(TEXT)]);
    // It is ASCII, so every place is a character's end.
    shown.truncate(TEXT);
    shown
}

impl Rejects {
    /// Begins the file, for this many threads.
    pub(crate) fn create(path: &Path, threads: usize) -> anyhow::Result<Rejects> {
        let mut writer = csv::Writer::from_writer(files::Beside::create(path)?);
        writer.write_record(COLUMNS).with_context(|| format!("cannot write {}", path.display()))?;
        let state = State {
            writer,
            turn: 0,
            waiting: BTreeMap::new(),
            input: None,
            lines: 0,
            failed: None,
            abandoned: false,
        };
        Ok(Rejects {
            state: Mutex::new(state),
            turned: Condvar::new(),
            ahead: 2 * threads.max(1) as u64,
        })
    }

    /// Waits until this item may begin. `false`: the file cannot be written, and there is no use in going on.
    pub(crate) fn may_begin(&self, item: u64) -> bool {
        // The oldest unfinished item never waits, so that there is always one that goes on.
        !self.wait(|state| item < state.turn.saturating_add(self.ahead)).is_over()
    }

    /// Writes what an unfinished item has so far, when it is its turn.
    pub(crate) fn part(&self, batch: &mut Batch) {
        let mut state = self.wait(|state| state.turn == batch.item);
        state.write(batch);
        batch.rows.clear();
    }

    /// Takes a finished item that held this many lines.
    pub(crate) fn done(&self, mut batch: Batch, lines: u64) {
        batch.lines = lines;
        let mut state = self.state();
        state.waiting.insert(batch.item, batch);
        while let Some(batch) = state.next() {
            state.write(&batch);
            state.lines += batch.lines;
            state.turn += 1;
        }
        self.turned.notify_all();
    }

    /// Lets nobody wait any more.
    pub(crate) fn abandon(&self) {
        self.state().abandoned = true;
        self.turned.notify_all();
    }

    /// Puts the finished file into its place.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(err) = state.failed {
            return Err(anyhow::Error::new(err).context("cannot write the rejects"));
        }
        let out = state.writer.into_inner().map_err(csv::IntoInnerError::into_error);
        out.context("cannot write the rejects")?.commit()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, ready: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let wait = |state: &mut State| !ready(state) && !state.is_over();
        self.turned.wait_while(self.state(), wait).unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.abandoned || self.failed.is_some()
    }

    /// The batch whose turn it is, if it is there.
    fn next(&mut self) -> Option<Batch> {
        self.waiting.remove(&self.turn)
    }

    fn write(&mut self, batch: &Batch) {
        if self.input.as_ref().is_none_or(|input| !Arc::ptr_eq(input, &batch.path)) {
            self.input = Some(Arc::clone(&batch.path));
            self.lines = 0;
        }
        for row in &batch.rows {
            if self.is_over() {
                return;
            }
            let wrote = self.writer.write_record([
                &*text::csv_cell(&batch.path),
                &(self.lines + row.line + 1).to_string(),
                &row.offset.to_string(),
                row.reason.word(),
                &*text::csv_cell(&row.text),
            ]);
            self.failed = wrote.err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "path,line,offset,reason,text\n";

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    fn batch(item: u64, path: &Arc<str>, rows: &[(u64, u64, &str)]) -> Batch {
        let mut batch = Batch::new(item, path);
        for (line, offset, text) in rows {
            batch.add(*line, *offset, Reason::Malformed, text.as_bytes());
        }
        batch
    }

    #[test]
    fn items_stand_in_input_order_and_lines_count_through_an_input() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.csv");
        let rejects = Rejects::create(&path, 2).unwrap();
        let (a, b): (Arc<str>, Arc<str>) = ("a.log".into(), "b.log".into());
        rejects.done(batch(2, &b, &[(0, 0, "third")]), 5);
        rejects.done(batch(1, &a, &[(3, 140, "second")]), 8);
        assert!(!path.exists(), "not before it is whole");
        rejects.done(batch(0, &a, &[(0, 0, "first, with a comma"), (9, 90, "=1+1")]), 10);
        rejects.finish().unwrap();
        let expected = "a.log,1,0,malformed,\"first, with a comma\"\n\
                        a.log,10,90,malformed,'=1+1\n\
                        a.log,14,140,malformed,second\n\
                        b.log,1,0,malformed,third\n";
        assert_eq!(read(&path), format!("{HEAD}{expected}"));
    }

    #[test]
    fn a_text_is_escaped_and_cut() {
        let long = [b"\x1b[31m".as_slice(), &[b'x'; 400]].concat();
        let shown = shown(&long);
        assert_eq!(shown.len(), TEXT);
        assert!(shown.starts_with("\\x1b[31mxxx"), "{shown}");
        assert_eq!(super::shown(&[0xe2; 400]).len(), TEXT);
    }

    #[test]
    fn any_number_of_threads_writes_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let write = |threads: usize| {
            let path = dir.path().join(format!("{threads}.csv"));
            let rejects = Rejects::create(&path, threads).unwrap();
            let next = std::sync::atomic::AtomicU64::new(0);
            let inputs: [Arc<str>; 2] = ["a".into(), "b".into()];
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        loop {
                            let item = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            if item >= 40 || !rejects.may_begin(item) {
                                return;
                            }
                            // One long item, whose rejects do not fit.
                            let count = if item == 7 { 2 * HELD as u64 + 5 } else { item };
                            let mut batch = Batch::new(item, &inputs[usize::from(item > 20)]);
                            for line in 0..count {
                                batch.add(line, line * 10, Reason::TooLong, b"x");
                                if batch.is_full() {
                                    rejects.part(&mut batch);
                                }
                            }
                            rejects.done(batch, count);
                        }
                    });
                }
            });
            rejects.finish().unwrap();
            read(&path)
        };
        let one = write(1);
        assert!(one.contains("\na,8213,"), "lines go on behind the long item");
        for threads in [2, 3, 8] {
            assert_eq!(write(threads), one);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_cannot_be_written_ends_the_run_and_is_said() {
        let rejects = Rejects::create(Path::new("/dev/full"), 1).unwrap();
        let path: Arc<str> = "a".into();
        let mut item = 0;
        while rejects.may_begin(item) {
            let mut batch = Batch::new(item, &path);
            (0..1000).for_each(|line| batch.add(line, 0, Reason::Malformed, b"text"));
            rejects.done(batch, 1000);
            item += 1;
            assert!(item < 1000, "never noticed");
        }
        assert!(rejects.finish().is_err());
    }
}
