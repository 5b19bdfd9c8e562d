//! The lines of `kico fetch`: one a log while it is read, and one for all of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{
    BinaryBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike,
};

use crate::coverage::plural;
use crate::text;

/// Several things at once, each with its own line while it goes on: what it is, and how many bytes of it there are. Beneath
/// stands how long all of it takes, how much there is, and what is done now.
#[derive(Debug)]
pub struct Tasks {
    all: MultiProgress,
    last: ProgressBar,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Each task's bytes, those that are done included.
    bytes: BTreeMap<String, u64>,
    /// Those that have a line.
    lines: BTreeMap<String, ProgressBar>,
    now: String,
    drawn: Option<Instant>,
}

/// More lines than this tell nobody anything.
const LINES: usize = 10;

impl Tasks {
    /// Lines that never show.
    pub fn hidden() -> Tasks {
        Tasks::on(ProgressDrawTarget::hidden())
    }

    /// Lines on standard error, if that is a terminal.
    pub fn visible() -> Tasks {
        let term = Term::stderr();
        match term.is_term() {
            true => Tasks::on(ProgressDrawTarget::term_like(Box::new(Narrow {
                term,
                column: AtomicUsize::new(0),
            }))),
            false => Tasks::hidden(),
        }
    }

    fn on(target: ProgressDrawTarget) -> Tasks {
        let all = MultiProgress::with_draw_target(target);
        let last = all.add(styled("{elapsed_precise:>10}  {wide_msg}"));
        last.enable_steady_tick(Duration::from_secs(1));
        Tasks { all, last, state: RefCell::default() }
    }

    /// What is done now, beside the tasks.
    pub fn now(&self, what: &str) {
        let mut state = self.state.borrow_mut();
        state.now = text::terminal(what).into_owned();
        self.draw(&mut state);
    }

    /// A task is so far. Call it as often as you like.
    pub fn at(&self, task: &str, bytes: u64) {
        let mut state = self.state.borrow_mut();
        match state.bytes.get_mut(task) {
            Some(known) => *known = bytes,
            None => {
                state.bytes.insert(task.to_owned(), bytes);
                if state.lines.len() < LINES {
                    let line = styled("{binary_bytes:>10}  {wide_msg}");
                    let line = self.all.insert_before(&self.last, line);
                    line.set_message(text::terminal(task).into_owned());
                    state.lines.insert(task.to_owned(), line);
                }
            }
        }
        if state.drawn.is_none_or(|drawn| drawn.elapsed() > Duration::from_millis(100)) {
            self.draw(&mut state);
        }
    }

    /// A task is over: its line goes.
    pub fn done(&self, task: &str) {
        let mut state = self.state.borrow_mut();
        if let Some(line) = state.lines.remove(task) {
            line.finish_and_clear();
            self.all.remove(&line);
        }
        self.draw(&mut state);
    }

    fn draw(&self, state: &mut State) {
        state.drawn = Some(Instant::now());
        for (task, line) in &state.lines {
            line.set_position(state.bytes.get(task).copied().unwrap_or_default());
        }
        let bytes = BinaryBytes(state.bytes.values().sum());
        let logs = plural(state.bytes.len() as u64, "log", "logs");
        self.last.set_message(match state.bytes.is_empty() {
            true => state.now.clone(),
            false => format!("{logs}, {bytes}; {}", state.now),
        });
    }

    /// Takes them off the screen.
    pub fn clear(&self) {
        self.last.finish_and_clear();
        let _ = self.all.clear();
    }
}

fn styled(template: &str) -> ProgressBar {
    let line = ProgressBar::no_length();
    match ProgressStyle::with_template(template) {
        Ok(style) => line.with_style(style),
        Err(_) => line,
    }
}

/// A terminal on which lines end a little sooner: the `^C` that it shows when somebody ends `--for` stands behind the last line, and
/// not on a line of its own, which nobody would clear. Lines come filled to their whole width, one after the other.
#[derive(Debug)]
struct Narrow {
    term: Term,
    /// How far the line is written.
    column: AtomicUsize,
}

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        TermLike::width(&self.term).saturating_sub(4).max(1)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.term)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_left(n)
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.column.store(0, Ordering::Relaxed);
        self.term.write_line(s)
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        if self.column.load(Ordering::Relaxed) >= usize::from(self.width()) && !s.is_empty() {
            self.write_line("")?;
        }
        self.column.fetch_add(s.len(), Ordering::Relaxed);
        self.term.write_str(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.column.store(0, Ordering::Relaxed);
        self.term.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.term.flush()
    }
}
