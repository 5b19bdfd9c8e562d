//! `kico tally`: logs → a small CSV that can be merged. The map step; `analyze` is the reduce step.

use std::io::Write;

use anyhow::{Result, bail};

use super::gather::gather;
use super::messages::Messages;
use super::{Exit, stdout};
use crate::cli;
use crate::files::write_beside;
use crate::log::discover::Source;
use crate::log::{State, tally_csv};

/// Runs it.
pub(super) fn run(args: &cli::Tally, messages: &Messages) -> Result<Exit> {
    let keep = |source: &Source| args.shard.is_none_or(|(i, n)| source.shard(n) == i.get() - 1);
    let gathered = gather(&args.inputs, &args.read, messages, keep)?;
    let reading = gathered.reading;
    if gathered.exit == Exit::Interrupted {
        messages.warning("interrupted: no tally was written");
        return Ok(Exit::Interrupted);
    }
    let inputs = &reading.inputs;
    if !inputs.is_empty() && inputs.iter().all(|input| input.state == State::Unreadable) {
        bail!("no input could be read");
    }
    let write = |out: &mut dyn Write| tally_csv::write(&reading.tally, inputs, out);
    match &args.output {
        Some(path) if path.as_os_str() != "-" => write_beside(path, write)?,
        _ => stdout(write)?,
    }
    Ok(gathered.exit)
}
