//! `kico verify`: logs × snapshot × NetworkPolicies → what would be denied. Exit status 1 if anything is.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::analyze::{GET, filters};
use super::gather::{check_something_read, gather};
use super::messages::Messages;
use super::outputs::{self, Format, Place, terminal};
use super::overwrite::{self, Reads, Written};
use super::{Exit, stdout};
use crate::cli;
use crate::cluster::Cluster;
use crate::cluster::model::NetworkPolicy;
use crate::cluster::snapshot::policies::{self, PolicyFiles};
use crate::connections::filter::choose;
use crate::connections::lookups::lookups;
use crate::connections::{self, Options};
use crate::coverage::{cover, plural};
use crate::files::write_beside;
use crate::policy::verify::verify;
use crate::policy::{evaluate, is_other_policy, write::apart};
use crate::report::verdicts::{self, View};
use crate::report::{Style, json};

/// Runs it.
pub(super) fn run(args: &cli::Verify, messages: &Messages) -> Result<Exit> {
    let outputs = outputs::parse(&args.output, outputs::FINDINGS)?;
    let objects = [("--snapshot", &*args.read.snapshot), ("--policies", &*args.policies)];
    overwrite::check(
        &Written::all(&outputs, args.inputs.rejects.as_deref()),
        &Reads { inputs: &args.inputs.inputs, objects: &objects },
    )?;
    // Before the logs are read: a policy that cannot be read must not cost a long run.
    let files = policies::read(&args.policies)?;
    check_legal(&files)?;
    let gathered = gather(&args.inputs, &args.read, messages, |_| true)?;
    let (reading, cluster, mut exit) = (gathered.reading, gathered.cluster, gathered.exit);
    if exit != Exit::Interrupted {
        check_something_read(&reading, gathered.window)?;
    }
    if !cluster.snapshot.given {
        bail!(
            "what a policy does depends on the pods: give a snapshot with --snapshot pods.json. It comes from\n  {GET}"
        );
    }
    let not_evaluated = not_evaluated(&files, &cluster);
    say_what_was_passed_by(&files, messages);
    let (policies, sources) = choose_policies(files, args, &cluster, messages);
    let choice = choose(&filters(&args.filter, &args.exclude_namespace), &cluster)?;
    let options = Options {
        min_lookups: args.min_queries.unwrap_or(0),
        exclude_namespaces: &args.exclude_namespace,
        within: reading.within(),
        ..Options::default()
    };
    let mut report = connections::join(&reading.tally, &cluster, options);
    report.coverage = cover(&reading.inputs, &report.totals, &reading.tally.lost, &cluster);
    // Findings rest on everything that was seen: filters choose rows only.
    let lookups = lookups(&reading.tally, &cluster, &args.exclude_namespace, reading.within());
    let mut found = verify(&report, &lookups, &cluster, &policies);
    found.rows.retain(|row| choice.connection(&row.connection));
    found.notes.extend(stand_apart(&args.policies, &sources));

    let view = View {
        verdicts: &found,
        report: &report,
        cluster: &cluster,
        policies: &policies,
        files: &sources,
        not_evaluated: &not_evaluated,
        lists_allowed: args.read.verbose,
    };
    for output in &outputs {
        let write = |style: Style, out: &mut dyn Write| write(&view, output.format, style, out);
        let written = match &output.place {
            Place::Stdout => stdout(|out| write(terminal(), out)),
            Place::File(path) | Place::Directory(path) => {
                write_beside(path, |out| write(Style::default(), out))
            }
        };
        match written {
            Ok(()) => {}
            Err(error) if super::is_broken_pipe(&error) => {}
            Err(error) => {
                messages.error(&error);
                exit = exit.min(Exit::Failed);
            }
        }
    }
    if !args.output.is_empty() {
        messages.note(&verdicts::summary(&view));
        found.notes.iter().for_each(|note| messages.note(note));
    }
    let [denied, partly, ..] = found.counts();
    if denied > 0 || (args.strict && partly > 0) {
        exit = exit.min(Exit::Found);
    }
    Ok(exit)
}

fn write(view: &View<'_>, format: Format, style: Style, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => json::verdicts::write(view, out),
        Format::Yaml => json::verdicts::write_yaml(view, out),
        Format::Markdown => verdicts::write_markdown(view, out),
        _ => verdicts::write(view, style, out),
    }
}

/// What the API would refuse is no policy: it would not do what it looks like.
fn check_legal(files: &PolicyFiles) -> Result<()> {
    for (policy, file) in &files.policies {
        if let Some(why) = evaluate::refused(policy) {
            let (namespace, name) = (&policy.meta.namespace, &policy.meta.name);
            bail!("{file}: NetworkPolicy {namespace}/{name}: the API would refuse it: {why}");
        }
    }
    Ok(())
}

/// The policies to evaluate, sorted by namespace and name, and each one's file.
fn choose_policies(
    files: PolicyFiles,
    args: &cli::Verify,
    cluster: &Cluster,
    messages: &Messages,
) -> (Vec<NetworkPolicy>, Vec<Option<String>>) {
    let own = &cluster.snapshot.policies;
    let given = !args.policies.is_empty();
    let mut all: BTreeMap<(String, String), (NetworkPolicy, Option<String>)> = BTreeMap::new();
    let key = |policy: &NetworkPolicy| (policy.meta.namespace.clone(), policy.meta.name.clone());
    if !given || args.with_existing {
        all.extend(own.iter().map(|policy| (key(policy), (policy.clone(), None))));
    } else if !own.is_empty() {
        let count = plural(own.len() as u64, "policy", "policies");
        messages.note(&format!("{count} of the snapshot not evaluated: --with-existing adds them"));
    }
    let deleted = &cluster.snapshot.deleted_policies;
    if (!given || args.with_existing) && !deleted.is_empty() {
        let first: Vec<&str> = deleted.iter().take(3).map(String::as_str).collect();
        let more = deleted.len().saturating_sub(first.len());
        messages.note(&format!(
            "{} that a later snapshot lacks not evaluated: {}{}",
            plural(deleted.len() as u64, "policy", "policies"),
            first.join(", "),
            if more > 0 { format!(", +{more}") } else { String::new() }
        ));
    }
    if !given && own.is_empty() && deleted.is_empty() {
        messages.warning("the snapshot holds no NetworkPolicy, so nothing is denied: was `networkpolicies` among the kinds that kubectl got? --policies names files");
    }
    for (policy, file) in files.policies {
        all.insert(key(&policy), (policy, Some(file)));
    }
    all.into_values().unzip()
}

/// Which policies of a directory that kico wrote are judged, though applying the directory would not apply them.
fn stand_apart(given: &[PathBuf], sources: &[Option<String>]) -> Vec<String> {
    let mut notes = Vec::new();
    for dir in given {
        let shown = dir.display();
        for under in apart(dir) {
            let is_there = |file: &&String| Path::new(file).starts_with(&under);
            let count = sources.iter().flatten().filter(is_there).count() as u64;
            if count > 0 {
                notes.push(format!(
                    "{} of {} judged as if applied, which `kubectl apply -k {shown}` leaves out; to judge without, name \
                     the directory of each namespace: --policies {}",
                    plural(count, "policy", "policies"),
                    under.display(),
                    dir.join("NAMESPACE").display()
                ));
            }
        }
    }
    notes
}

/// Policies of other kinds, in files or in the snapshot: what they do is not in the verdicts.
fn not_evaluated(files: &PolicyFiles, cluster: &Cluster) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for (kind, count) in files.skipped.iter().chain(&cluster.snapshot.skipped) {
        if is_other_policy(kind) {
            *found.entry(kind.clone()).or_default() += count;
        }
    }
    found
}

fn say_what_was_passed_by(files: &PolicyFiles, messages: &Messages) {
    if !files.skipped.is_empty() {
        let kinds = files.skipped.iter().map(|(kind, count)| format!("{count} {kind}"));
        messages.note(&format!("passed by: {}", kinds.collect::<Vec<_>>().join(", ")));
    }
    for file in &files.ignored {
        messages.note(&format!("passed by: {file}"));
    }
}
