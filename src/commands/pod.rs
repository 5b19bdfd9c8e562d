//! `kico POD`, the one-liner: which pods connect to this one, through which Service, straight from a cluster. It is
//! `kico analyze --pod POD -n NS`, on what is fetched into memory.

use std::ffi::OsString;

use anyhow::{Result, bail};
use clap::{CommandFactory, Parser};

use super::gather::{Gathered, check_something_read, gather_fetched};
use super::messages::Messages;
use super::outputs::Output;
use super::{Exit, analyze};
use crate::cli::{self, Cli, Command};
use crate::fetch::{Live, Seen, Verdict, live};

/// Runs it.
pub(super) fn run(args: &cli::Pod, messages: &Messages) -> Result<Exit> {
    let asked = Live {
        target: super::fetch::target(&args.target, messages),
        namespace: args.namespace.clone(),
        wait: args.wait_for_logs,
    };
    let mut last: Option<(cli::Analyze, Gathered)> = None;
    let (mut shown, mut said, mut interrupted, mut whole) = (Vec::new(), false, false, true);
    let found = &mut last;
    super::fetch::on_the_network(|stop| {
        let (shown, said, interrupted, whole) =
            (&mut shown, &mut said, &mut interrupted, &mut whole);
        async move {
            let signalled = stop.clone();
            let mut judge = |seen: &Seen| {
                if !std::mem::replace(said, true) {
                    for missed in &seen.missed {
                        messages.fault(&format!("{}: {}", missed.what, missed.why));
                        *whole = false;
                    }
                }
                if messages.is_verbose() {
                    show(seen, shown, messages);
                }
                let analyze = as_analyze(args, &seen.namespace)?;
                let gathered =
                    gather_fetched(&analyze.read, &seen.snapshot, seen.logs.clone(), messages)?;
                let enough = analyze::concerns(&analyze, &gathered)?;
                if !enough && found.is_none() {
                    messages.note(&format!(
                        "no line concerns {}/{} yet; waiting up to {} s",
                        seen.namespace,
                        args.pod,
                        args.wait_for_logs.as_secs()
                    ));
                }
                *found = Some((analyze, gathered));
                Ok(if enough { Verdict::Enough } else { Verdict::More })
            };
            let done = live(&asked, stop, &mut judge).await;
            *interrupted = *signalled.borrow();
            done
        }
    })?;
    let Some((analyze, gathered)) = last else { return Ok(Exit::Interrupted) };
    check_something_read(&gathered.reading, gathered.window)?;
    let outputs = match args.suggest_netpol {
        true => Vec::new(),
        false => vec![Output::table()],
    };
    let exit = analyze::report(&analyze, outputs, gathered, messages)?;
    let exit = if whole { exit } else { exit.min(Exit::Partial) };
    Ok(if interrupted { Exit::Interrupted } else { exit })
}

/// The lines that were not shown yet.
fn show(seen: &Seen, shown: &mut Vec<usize>, messages: &Messages) {
    shown.resize(seen.logs.len(), 0);
    for ((name, log), shown) in seen.logs.iter().zip(shown) {
        let new = log.get(*shown..).unwrap_or_default();
        for line in new.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            messages.debug(&format!("{name}: {}", String::from_utf8_lossy(line)));
        }
        *shown = log.len();
    }
}

fn as_analyze(args: &cli::Pod, namespace: &str) -> Result<cli::Analyze> {
    let mut words = vec!["kico", "analyze", "-", "--pod", &args.pod, "-n", namespace];
    if args.suggest_netpol {
        words.push("-s");
    }
    let threads = args.concurrency.map(|threads| threads.to_string());
    words.extend(threads.as_deref().into_iter().flat_map(|threads| ["-c", threads]));
    match Cli::try_parse_from(words)?.command {
        Command::Analyze(analyze) => Ok(*analyze),
        _ => bail!("analyze is not analyze: this is a bug"),
    }
}

/// `kico POD …` as `kico pod POD …`: a first word that is no subcommand, nor nearly one, no file, and a legal name of a pod;
/// or a flag of the one-liner that stands before it.
pub(super) fn expand(mut words: Vec<OsString>) -> Vec<OsString> {
    let Some(first) = words.get(1).and_then(|word| word.to_str()) else { return words };
    let is_ours = match first.starts_with('-') {
        true => !matches!(first, "-h" | "--help" | "-V" | "--version"),
        false => {
            is_pod_name(first)
                && !std::path::Path::new(first).exists()
                && !is_nearly_a_command(first)
        }
    };
    if is_ours {
        words.insert(1, "pod".into());
    }
    words
}

/// RFC 1123: what Kubernetes lets a pod be called.
fn is_pod_name(word: &str) -> bool {
    let label = |label: &str| {
        let ends =
            |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        ends(label.chars().next())
            && ends(label.chars().next_back())
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    word.len() <= 253 && word.split('.').all(label)
}

fn is_nearly_a_command(word: &str) -> bool {
    let command = Cli::command();
    command.get_subcommands().any(|known| strsim::damerau_levenshtein(known.get_name(), word) <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let words = line.split(' ').map(OsString::from).collect();
        let made: Vec<String> =
            expand(words).into_iter().map(|word| word.into_string().unwrap()).collect();
        assert_eq!(made.join(" "), expected);
    }

    #[test]
    fn a_first_word_is_a_pod_only_if_it_can_be_nothing_else() {
        check(
            "kico user-db-b8dfb847c-wvkgf -s -n sock-shop",
            "kico pod user-db-b8dfb847c-wvkgf -s -n sock-shop",
        );
        check("kico -n sock-shop user-db-0", "kico pod -n sock-shop user-db-0");
        for same in [
            "kico",
            "kico analyze x",
            "kico analyse x",
            "kico fetc",
            "kico pod analyze",
            "kico --help",
            "kico -V",
            "kico Cargo.toml",
            "kico No_Pod",
            "kico src",
        ] {
            check(same, same);
        }
    }
}
