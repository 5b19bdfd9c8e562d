//! `kico completions` and `kico man`: made from the command line's own definition, so that they cannot go stale.

use std::io::{self, Write};

use clap::CommandFactory;

use super::Exit;
use crate::cli::Cli;

/// A completion script on standard output.
pub(super) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kico", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Done)
}

/// The manual page on standard output: kico's own, then one a subcommand.
pub(super) fn man() -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands() {
        clap_mangen::Man::new(subcommand.clone()).render(&mut page)?;
    }
    io::stdout().lock().write_all(&page)?;
    Ok(Exit::Done)
}
