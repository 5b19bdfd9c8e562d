//! What a run says on standard error. Quiet leaves the errors, and whatever else the exit status comes from; verbose adds
//! what was done.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use crate::cli::{Color, Command};
use crate::text;

/// Where messages go, and which.
pub(super) struct Messages {
    quiet: bool,
    verbose: bool,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default();

impl Messages {
    /// As the arguments say; `LOG_LEVEL=debug` is `-v`, as in the original.
    pub(super) fn new(command: &Command) -> Messages {
        let (quiet, verbose, color) = match command {
            Command::Analyze(args) => (args.read.quiet, args.read.verbose, args.read.color),
            Command::Verify(args) => (args.read.quiet, args.read.verbose, args.read.color),
            Command::Tally(args) => (args.read.quiet, args.read.verbose, args.read.color),
            Command::Diff(args) => (args.read.quiet, args.read.verbose, args.read.color),
            #[cfg(feature = "fetch")]
            Command::Pod(args) => (args.quiet, args.verbose, args.color),
            #[cfg(feature = "fetch")]
            Command::Fetch(args) => (args.quiet, false, args.color),
            Command::Completions { .. } | Command::Man => (false, false, Color::Auto),
        };
        let choice = match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let level = std::env::var("LOG_LEVEL").unwrap_or_default().to_ascii_lowercase();
        let verbose = verbose || (!quiet && (level == "debug" || level == "trace"));
        Messages { quiet, verbose }
    }

    /// Whether only errors are said.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether all is said.
    #[cfg(feature = "fetch")]
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// What ends the run, or costs it an output.
    pub(super) fn error(&self, error: &anyhow::Error) {
        say(ERROR, "kico: ", &format!("{error:#}"));
    }

    /// What makes the result partial: it changes the exit status, which nobody should have to guess about.
    pub(super) fn fault(&self, message: &str) {
        say(WARNING, "kico: ", message);
    }

    /// What the reader must know to read the result right.
    pub(super) fn warning(&self, message: &str) {
        if !self.quiet {
            say(WARNING, "kico: ", message);
        }
    }

    /// What is good to know.
    pub(super) fn note(&self, message: &str) {
        if !self.quiet {
            say(Style::new(), "", message);
        }
    }

    /// What was done, for whoever asks.
    pub(super) fn debug(&self, message: &str) {
        if self.verbose {
            say(Style::new().dimmed(), "kico: ", message);
        }
    }
}

/// One message, line by line: whatever text of others it holds cannot steer the terminal.
fn say(style: Style, prefix: &str, message: &str) {
    let width = terminal_size::terminal_size_of(std::io::stderr());
    let mut err = anstream::stderr().lock();
    for (i, line) in message.lines().enumerate() {
        let prefix = if i == 0 { prefix } else { "" };
        let mut line = text::terminal(line);
        if let Some((width, _)) = width {
            let room = usize::from(width.0).saturating_sub(prefix.len());
            line = text::wrap(&line, room).into();
        }
        // Nobody to tell if standard error is gone.
        let _ = match prefix {
            "" => writeln!(err, "{line}"),
            _ => writeln!(err, "{style}{prefix}{style:#}{line}"),
        };
    }
}
