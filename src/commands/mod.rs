//! One file a subcommand: arguments in, stages called, exit status out. The only part of kico that prints.

mod analyze;
mod diff;
#[cfg(feature = "fetch")]
mod fetch;
mod gather;
mod messages;
mod outputs;
mod overwrite;
#[cfg(feature = "fetch")]
mod pod;
mod shell;
mod tally;
mod verify;
mod window;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command};
use messages::Messages;

/// How a run ended (SEMANTICS 12). Ordered so that of several the smallest is the run's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exit {
    /// 130: Ctrl-C ended it.
    Interrupted,
    /// 2: usage, nothing usable was read, or an output failed.
    Failed,
    /// 1: `verify` or `diff` found something.
    Found,
    /// 3: done, but partial.
    Partial,
    /// 0
    Done,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Exit::Interrupted => 130,
            Exit::Failed => 2,
            Exit::Found => 1,
            Exit::Partial => 3,
            Exit::Done => 0,
        }
    }
}

/// The whole program: parses the arguments, runs the command, says what went wrong, and returns the exit code.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    #[cfg(feature = "fetch")]
    let arguments = pod::expand(arguments);
    let first_word = arguments.get(1).cloned();
    let mut command = Cli::command();
    if let Some(name) = plugin_name(arguments.first()) {
        command = command.bin_name(name);
    }
    let parsed = command
        .clone()
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command)));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Printing help can only fail if nobody reads it.
            let _ = error.print();
            if error.kind() == clap::error::ErrorKind::InvalidSubcommand
                && let Some(word) = first_word.filter(|word| Path::new(word).exists())
            {
                let word = word.to_string_lossy();
                let (shown, typed) = (crate::text::terminal(&word), crate::text::shell_word(&word));
                let _ =
                    writeln!(io::stderr(), "\n{shown} is there: to read it, kico analyze {typed}");
            }
            if cfg!(not(feature = "fetch"))
                && error.kind() == clap::error::ErrorKind::InvalidSubcommand
            {
                let _ = writeln!(
                    io::stderr(),
                    "\nThis kico was built without the cargo feature `fetch`: it talks to no cluster, so it has neither \
                     `kico fetch` nor `kico POD`."
                );
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let messages = Messages::new(&cli.command);
    let done = match cli.command {
        Command::Analyze(args) => analyze::run(&args, &messages),
        Command::Verify(args) => verify::run(&args, &messages),
        Command::Tally(args) => tally::run(&args, &messages),
        Command::Diff(args) => diff::run(&args, &messages),
        #[cfg(feature = "fetch")]
        Command::Pod(args) => pod::run(&args, &messages),
        #[cfg(feature = "fetch")]
        Command::Fetch(args) => fetch::run(&args, &messages),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man => shell::man(),
    };
    match done {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            messages.error(&error);
            ExitCode::from(Exit::Failed.code())
        }
    }
}

/// As `kubectl-kico` on the PATH it is `kubectl kico`, and its usage lines say so.
fn plugin_name(program: Option<&OsString>) -> Option<&'static str> {
    let name = Path::new(program?).file_stem()?.to_str()?;
    name.starts_with("kubectl-").then_some("kubectl kico")
}

/// Whether nobody reads our output any more: `kico … | head` is a success.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(broken)
            || cause.downcast_ref().is_some_and(|csv: &csv::Error| match csv.kind() {
                csv::ErrorKind::Io(io) => broken(io),
                _ => false,
            })
    })
}

/// Writes to standard output, whole. Nobody reading is no error here: `main` makes a success of it.
fn stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    // What is left in the buffer must not be tried again on drop.
    drop(out.into_parts());
    written.context("standard output")
}
