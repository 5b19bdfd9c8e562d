//! `kico diff OLD NEW`: which connections appeared, vanished, or changed their rate. Each side is read as `analyze` reads,
//! or is a report that it wrote.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::analyze::filters;
use super::gather::{check_something_read, gather};
use super::messages::Messages;
use super::outputs::{self, Format, Output, Place, terminal};
use super::overwrite::{self, Reads, Written};
use super::{Exit, stdout};
use crate::cli;
use crate::cluster::Cluster;
use crate::cluster::model::Pod;
use crate::connections::filter::{Choice, Filters, choose};
use crate::connections::{self, Options, Report, ServerKind};
use crate::coverage::cover;
use crate::diff::filter::Words;
use crate::diff::side::{by_address, server};
use crate::diff::{self, Diff, Server, Side};
use crate::files::write_beside;
use crate::report::{self, Style};

/// How much of a file says whether it is a report.
const PEEK: u64 = 4096;

/// Runs it.
pub(super) fn run(args: &cli::Diff, messages: &Messages) -> Result<Exit> {
    let outputs = outputs::parse(&args.output, outputs::FINDINGS)?;
    if args.old.as_os_str() == "-" && args.new.as_os_str() == "-" {
        bail!("only one side can be standard input");
    }
    let objects = [
        ("--snapshot", &*args.read.snapshot),
        ("--old-snapshot", &*args.old_snapshot),
        ("--new-snapshot", &*args.new_snapshot),
    ];
    let sides = [args.old.clone(), args.new.clone()];
    let reads = Reads { inputs: &sides, objects: &objects };
    overwrite::check(&Written::all(&outputs, None), &reads)?;
    let mut asked = Asked::new(filters(&args.filter, &args.exclude_namespace));
    let old = Typed { name: "OLD", path: &args.old, snapshots: &args.old_snapshot };
    let new = Typed { name: "NEW", path: &args.new, snapshots: &args.new_snapshot };
    let (old, mut exit) = old.read(args, &mut asked, messages).context("OLD")?;
    if exit == Exit::Interrupted {
        messages.fault("interrupted: NEW was not read, and nothing was compared");
        return Ok(exit);
    }
    let (new, how) = new.read(args, &mut asked, messages).context("NEW")?;
    exit = exit.min(how);
    if old.about.is_report && new.about.is_report && !args.read.snapshot.is_empty() {
        bail!("both sides are reports, already joined with snapshots: --snapshot is for logs");
    }
    let words = asked.words(&old, &new)?;
    let diff = diff::compare(old, new, &words);
    if diff.found() {
        exit = exit.min(Exit::Found);
    }
    for output in &outputs {
        match write(&diff, output) {
            Err(error) if !super::is_broken_pipe(&error) => {
                messages.error(&error);
                exit = exit.min(Exit::Failed);
            }
            _ => {}
        }
    }
    if !args.output.is_empty() {
        report::diff::summary(&diff).lines().for_each(|line| messages.note(line));
    }
    Ok(exit)
}

fn write(diff: &Diff, output: &Output) -> Result<()> {
    match &output.place {
        Place::Stdout => stdout(|out| format(diff, output.format, terminal(), out)),
        Place::File(path) => {
            write_beside(path, |out| format(diff, output.format, Style::default(), out))
        }
        Place::Directory(path) => bail!("{}: is a directory", path.display()),
    }
}

fn format(diff: &Diff, format: Format, style: Style, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Json => report::diff_json::write(diff, out),
        Format::Yaml => report::diff_json::write_yaml(diff, out),
        Format::Markdown => report::diff::markdown(diff, out),
        // `FINDINGS` offers nothing else.
        _ => report::diff::table(diff, style, out),
    }
}

/// One side, as it was typed.
struct Typed<'a> {
    name: &'static str,
    path: &'a Path,
    snapshots: &'a [PathBuf],
}

impl Typed<'_> {
    fn read(
        &self,
        args: &cli::Diff,
        asked: &mut Asked,
        messages: &Messages,
    ) -> Result<(Side, Exit)> {
        if self.is_report() {
            return self.report(args, asked, messages);
        }
        let inputs = cli::Inputs { inputs: vec![self.path.to_owned()], rejects: None };
        let mut read = args.read.clone();
        read.snapshot.extend_from_slice(self.snapshots);
        let gathered = gather(&inputs, &read, messages, |_| true)?;
        let (reading, cluster) = (gathered.reading, gathered.cluster);
        if gathered.exit != Exit::Interrupted {
            check_something_read(&reading, gathered.window)?;
        }
        let options = Options {
            exclude_namespaces: &args.exclude_namespace,
            within: reading.within(),
            ..Options::default()
        };
        let mut report = connections::join(&reading.tally, &cluster, options);
        report.coverage = cover(&reading.inputs, &report.totals, &reading.tally.lost, &cluster);
        asked.look_up(&report, &cluster);
        let side = Side::of(&report, &cluster, &self.path.to_string_lossy());
        Ok((side, gathered.exit))
    }

    fn report(
        &self,
        args: &cli::Diff,
        asked: &mut Asked,
        messages: &Messages,
    ) -> Result<(Side, Exit)> {
        let path = self.path.display();
        if args.read.since.is_some() || args.read.until.is_some() {
            bail!(
                "{path}: a report holds sums, and --since and --until cannot be applied to it: give them to kico analyze"
            );
        }
        if !self.snapshots.is_empty() {
            let flag = self.name.to_ascii_lowercase();
            bail!(
                "{path}: a report is already joined with a snapshot: --{flag}-snapshot is for logs"
            );
        }
        asked.reports = true;
        let bytes = std::fs::read(self.path).with_context(|| path.to_string())?;
        let side = diff::read(&bytes, &path.to_string())?;
        let exit = if side.about.whole { Exit::Done } else { Exit::Partial };
        if exit == Exit::Partial {
            messages.fault(&format!("{path}: of what it is a report of, not all could be read"));
        }
        Ok((side, exit))
    }

    /// By the first bytes, as everything. What cannot be opened is for whoever reads logs to complain about; a pipe can
    /// be read only once, so that a report must be a file.
    fn is_report(&self) -> bool {
        if !self.path.is_file() {
            return false;
        }
        let mut head = Vec::new();
        let read = File::open(self.path).and_then(|file| file.take(PEEK).read_to_end(&mut head));
        read.is_ok() && diff::is_report(&head)
    }
}

/// The filters, and what the sides say of them. A name need only be known to one side: what is new is not in OLD.
struct Asked {
    filters: Filters,
    /// One filter each, and why no side so far has it.
    unknown: Vec<(Filters, Option<anyhow::Error>)>,
    /// What the servers' filters choose, on whichever side has a cluster to ask; only that.
    found: Words,
    /// A side is a report, which does not say what there was beside what was asked for.
    reports: bool,
}

impl Asked {
    fn new(filters: Filters) -> Asked {
        let of = |values: &[String], make: fn(Vec<String>) -> Filters| -> Vec<Filters> {
            values.iter().map(|value| make(vec![value.clone()])).collect()
        };
        let mut single =
            of(&filters.namespaces, |v| Filters { namespaces: v, ..Filters::default() });
        single.extend(of(&filters.pods, |v| Filters { pods: v, ..Filters::default() }));
        single.extend(of(&filters.services, |v| Filters { services: v, ..Filters::default() }));
        single.extend(of(&filters.workloads, |v| Filters { workloads: v, ..Filters::default() }));
        single.extend(of(&filters.from, |v| Filters { from: v, ..Filters::default() }));
        single.extend(of(&filters.to, |v| Filters { to: v, ..Filters::default() }));
        single.extend(of(&filters.exclude_namespaces, |v| Filters {
            exclude_namespaces: v,
            ..Filters::default()
        }));
        let unknown = single.into_iter().map(|filter| (filter, Some(anyhow!("")))).collect();
        Asked { filters, unknown, found: Words::default(), reports: false }
    }

    /// Looks each filter up in one side's cluster.
    fn look_up(&mut self, report: &Report, cluster: &Cluster) {
        // Those of `-n` that this side has: a pod need only be unique there.
        let is_known = |namespace: &&String| {
            let namespaces = vec![(*namespace).clone()];
            choose(&Filters { namespaces, ..Filters::default() }, cluster).is_ok()
        };
        let namespaces: Vec<String> =
            self.filters.namespaces.iter().filter(is_known).cloned().collect();
        for (filter, error) in &mut self.unknown {
            let is_pod = !filter.pods.is_empty();
            let mut filter = filter.clone();
            if is_pod {
                filter.namespaces.clone_from(&namespaces);
            }
            match choose(&filter, cluster) {
                Ok(choice) => {
                    *error = None;
                    let found = &mut self.found;
                    for (is_it, servers) in [
                        (is_pod, &mut found.of_pods),
                        (!filter.workloads.is_empty(), &mut found.of_workloads),
                        (!filter.to.is_empty(), &mut found.of_to),
                    ] {
                        if is_it {
                            add_servers(&choice, report, cluster, servers);
                        }
                    }
                }
                Err(why) if error.is_some() => *error = Some(why),
                Err(_) => {}
            }
        }
    }

    /// What the filters are for both sides.
    fn words(self, old: &Side, new: &Side) -> Result<Words> {
        if let Some(value) = self.filters.workloads.iter().find(|value| !value.contains('/')) {
            bail!("--workload {value}: give KIND/NAME, for example deployment/web");
        }
        for (filter, error) in self.unknown {
            let Some(error) = error else { continue };
            if !filter.pods.is_empty() && self.reports {
                bail!(
                    "{filter}: a report does not say which pods are behind a server: give --service or --workload"
                );
            }
            if !self.reports {
                return Err(error);
            }
        }
        if !old.about.snapshot && !new.about.snapshot && !self.filters.need_snapshot().is_empty() {
            let flags = self.filters.need_snapshot().join(" and ");
            bail!(
                "{flags}: neither side has a snapshot, and logs know addresses and names, no pods"
            );
        }
        for (flag, values) in [
            ("--from", &self.filters.from),
            ("--exclude-namespace", &self.filters.exclude_namespaces),
        ] {
            if !values.is_empty() && diff::compares_servers(&old.about, &new.about) {
                bail!("{flag} needs a snapshot on both sides: without one clients are addresses");
            }
        }
        let is_blind = |side: &&Side| side.about.is_report && side.about.snapshot;
        if diff::compares_servers(&old.about, &new.about)
            && [old, new].iter().any(is_blind)
            && let Some(filter) = behind_servers(&self.filters)
        {
            bail!(
                "{filter}: what is behind a server a report says only where it was asked for, and the other side has no \
                 snapshot: give it one, or name the Service with --service and -n"
            );
        }
        Ok(Words { filters: self.filters, ..self.found })
    }
}

/// The flags given that ask for what is behind a server. An address that `--to` names stands in names.
fn behind_servers(filters: &Filters) -> Option<Filters> {
    let is_name = |value: &&String| {
        value.split_once('/').is_some_and(|(_, name)| name.parse::<IpAddr>().is_err())
    };
    let to: Vec<String> = filters.to.iter().filter(is_name).cloned().collect();
    let behind = Filters { workloads: filters.workloads.clone(), to, ..Filters::default() };
    (behind != Filters::default()).then_some(behind)
}

/// Adds the servers that a flag chose, each as it is shown, and pods by their addresses too.
fn add_servers(choice: &Choice, report: &Report, cluster: &Cluster, all: &mut BTreeSet<Server>) {
    for chosen in report.connections.iter().filter(|connection| choice.connection(connection)) {
        let server = server(&chosen.server);
        all.extend(by_address(&server, chosen.names.iter().map(|name| &**name)).into_keys());
        all.insert(server);
    }
    // Also what only the other side saw somebody ask for.
    for (kind, (namespace, name)) in choice.servers() {
        let of = |name: String| Server { kind, namespace: namespace.clone(), name };
        all.insert(of(name.clone()));
        let is_it = |pod: &&Pod| (&pod.meta.namespace, &pod.meta.name) == (namespace, name);
        let pods = cluster.snapshot.pods.iter().filter(|_| kind == ServerKind::Pod).filter(is_it);
        let addresses = pods.flat_map(|pod| &pod.addresses);
        all.extend(addresses.map(|ip| of(ip.to_canonical().to_string())));
    }
}
