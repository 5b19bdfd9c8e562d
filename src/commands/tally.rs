//! `kico tally`: logs → a small CSV that can be merged. The map step; `analyze` is the reduce step.

use std::io::Write;

use anyhow::Result;

use super::gather::{gather, nothing_read};
use super::messages::Messages;
use super::{Exit, stdout};
use crate::cli;
use crate::files::write_beside;
use crate::log::discover::Source;
use crate::log::{State, tally_csv};

/// Runs it.
pub(super) fn run(args: &cli::Tally, messages: &Messages) -> Result<Exit> {
    let keep = |source: &Source| args.shard.is_none_or(|shard| is_in(&source.path, shard));
    let gathered = gather(&args.read, messages, keep)?;
    let reading = gathered.reading;
    if gathered.exit == Exit::Interrupted {
        messages.warning("interrupted: no tally was written");
        return Ok(Exit::Interrupted);
    }
    let inputs = &reading.inputs;
    if !inputs.is_empty() && inputs.iter().all(|input| input.state == State::Unreadable) {
        return Err(nothing_read(&reading));
    }
    let write = |out: &mut dyn Write| tally_csv::write(&reading.tally, inputs, out);
    match &args.output {
        Some(path) if path.as_os_str() != "-" => write_beside(path, write)?,
        _ => stdout(write)?,
    }
    Ok(gathered.exit)
}

/// Whether a file belongs to a share: by a hash of its path as given, so that every machine decides alike.
fn is_in(path: &str, (share, of): (u32, u32)) -> bool {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, step);
    // The low bits of FNV-1a alone fall unevenly on short paths that differ in one digit.
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    mixed % u64::from(of) == u64::from(share) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_is_in_exactly_one_share() {
        let mut sizes = [0; 8];
        for i in 0..800 {
            let path = format!("logs/coredns-{i}.txt");
            let shares: Vec<u32> = (1..=8).filter(|share| is_in(&path, (*share, 8))).collect();
            assert_eq!(shares.len(), 1, "{path}");
            sizes[shares[0] as usize - 1] += 1;
        }
        assert!(sizes.iter().all(|size| (50..200).contains(size)), "{sizes:?}");
    }
}
