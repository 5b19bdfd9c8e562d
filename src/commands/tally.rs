//! `kico tally`: logs → a small CSV that can be merged. The map step; `analyze` is the reduce step.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};

use super::gather::gather;
use super::messages::Messages;
use super::overwrite::{self, Reads, Written};
use super::{Exit, stdout};
use crate::cli;
use crate::files::write_beside;
use crate::log::discover::Source;
use crate::log::{State, tally_csv};

/// Runs it.
pub(super) fn run(args: &cli::Tally, messages: &Messages) -> Result<Exit> {
    let mut written = Written::all(&[], args.inputs.rejects.as_deref());
    let path = args.output.as_deref().unwrap_or(Path::new("-"));
    written.push(Written { typed: format!("-o {}", path.display()), path, is_directory: false });
    let reads =
        Reads { inputs: &args.inputs.inputs, objects: &[("--snapshot", &args.read.snapshot)] };
    overwrite::check(&written, &reads)?;
    let keep = |source: &Source| args.shard.is_none_or(|(i, n)| source.shard(n) == i.get() - 1);
    let gathered = gather(&args.inputs, &args.read, messages, keep)?;
    let reading = gathered.reading;
    if gathered.exit == Exit::Interrupted {
        messages.fault("interrupted: no tally was written");
        return Ok(Exit::Interrupted);
    }
    let inputs = &reading.inputs;
    if !inputs.is_empty() && inputs.iter().all(|input| input.state == State::Unreadable) {
        bail!("no input could be read");
    }
    let write = |out: &mut dyn Write| tally_csv::write(&reading.tally, inputs, out);
    match path.as_os_str() == "-" {
        true => stdout(write)?,
        false => write_beside(path, write)?,
    }
    Ok(gathered.exit)
}
