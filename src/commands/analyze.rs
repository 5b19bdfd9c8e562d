//! `kico analyze`: logs × snapshot → reports and policies. One pass over the logs writes all that was asked for.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::mem::ManuallyDrop;
use std::path::Path;

use anyhow::{Result, bail};

use super::gather::{check_something_read, gather};
use super::messages::Messages;
use super::outputs::{self, Format, Output, Place, terminal};
use super::overwrite::{self, Reads, Written};
use super::{Exit, stdout};
use crate::cli;
use crate::cluster::Cluster;
use crate::connections::filter::{Filters, choose};
use crate::connections::{self, Connection, GroupBy, Options, Report};
use crate::coverage::{cover, plural};
use crate::files::write_beside;
use crate::log::read::Reading;
use crate::policy::deny::{self, Wanted};
use crate::policy::{self, Direction, Policies, Refusal};
use crate::report::{self, Style};

/// How to get a snapshot that everything can be said from.
pub(super) const GET: &str = "kubectl get pods,services,namespaces,endpointslices,nodes,replicasets,deployments,statefulsets,\
                   daemonsets,jobs,cronjobs,networkpolicies,ingresses,configmaps -A -o json > pods.json";

/// Runs it.
pub(super) fn run(args: &cli::Analyze, messages: &Messages) -> Result<Exit> {
    let outputs =
        if args.suggest_netpol { Vec::new() } else { outputs::parse(&args.output, outputs::ALL)? };
    let wants_policies = args.suggest_netpol || outputs.iter().any(|o| o.format.is_policies());
    if wants_policies {
        check_choice(args)?;
    }
    check_default_deny(args, &outputs, wants_policies)?;
    overwrite::check(
        &Written::all(&outputs, args.inputs.rejects.as_deref()),
        &Reads { inputs: &args.inputs.inputs, objects: &[("--snapshot", &args.read.snapshot)] },
    )?;
    let gathered = gather(&args.inputs, &args.read, messages, |_| true)?;
    report(args, outputs, gathered, messages)
}

/// Whether anything that was read is a connection that the filters choose.
#[cfg(feature = "fetch")]
pub(super) fn concerns(args: &cli::Analyze, gathered: &super::gather::Gathered) -> Result<bool> {
    let choice = choose(&filters(&args.filter, &args.exclude_namespace), &gathered.cluster)?;
    let options = Options {
        group_by: GroupBy::Workload,
        min_lookups: 0,
        exclude_namespaces: &[],
        within: gathered.reading.within(),
        choice: Some(&choice),
    };
    let joined = connections::join(&gathered.reading.tally, &gathered.cluster, options);
    Ok(!joined.connections.is_empty())
}

/// Joins what was read, and writes all that was asked for.
pub(super) fn report(
    args: &cli::Analyze,
    outputs: Vec<Output>,
    gathered: super::gather::Gathered,
    messages: &Messages,
) -> Result<Exit> {
    let wants_policies = args.suggest_netpol || outputs.iter().any(|o| o.format.is_policies());
    let mut exit = gathered.exit;
    // The process ends after this, and the system takes all of its memory back at once. To free a cluster of 5,000
    // pods and its report piece by piece took twice as long as to write the CSV.
    let gathered = ManuallyDrop::new(gathered);
    let (reading, cluster) = (&gathered.reading, &gathered.cluster);
    if exit != Exit::Interrupted {
        check_something_read(reading, gathered.window)?;
    }
    if wants_policies && !cluster.snapshot.given {
        bail!(
            "a policy needs to know the pods: give a snapshot with --snapshot pods.json. It comes from\n  {GET}"
        );
    }
    let filters = filters(&args.filter, &args.exclude_namespace);
    let choice = choose(&filters, cluster)?;
    let shut = shut(&args.default_deny);
    // Only to find out whether they are there.
    choose(
        &Filters { namespaces: shut.named.iter().cloned().collect(), ..Filters::default() },
        cluster,
    )?;
    let join = |group_by, choice| {
        let options = Options {
            group_by,
            min_lookups: args.min_queries.unwrap_or(0),
            exclude_namespaces: &args.exclude_namespace,
            within: reading.within(),
            choice,
        };
        let mut report = connections::join(&reading.tally, cluster, options);
        report.coverage = cover(&reading.inputs, &report.totals, &reading.tally.lost, cluster);
        ManuallyDrop::new(report)
    };
    let report = join(GroupBy::Workload, Some(&choice));
    let grouped = match args.group_by {
        cli::GroupBy::Workload => None,
        cli::GroupBy::Pod => Some(join(GroupBy::Pod, Some(&choice))),
        cli::GroupBy::Namespace => Some(join(GroupBy::Namespace, Some(&choice))),
    };
    let policies = wants_policies.then(|| {
        // Filters choose whose policies are written; they never remove evidence.
        let subjects = |workload| choice.subject(workload);
        let clients = |workload| choice.client(workload);
        let options = policy::Options {
            strict: args.strict,
            allow_nodes: args.allow_nodes,
            evidence: !args.no_evidence,
            changed_evidence: changed_evidence(args, reading),
            directions: &directions(args),
            subjects: &subjects,
            clients: &clients,
        };
        let whole = join(GroupBy::Workload, None);
        let mut own = policy::build(&whole, cluster, &options);
        own.denies = deny::denies(&own, cluster, &options, &shut);
        let wanted = outputs.iter().any(|o| o.format == Format::CiliumNetworkPolicy);
        let cilium = wanted.then(|| policy::cilium::build(&whole, cluster, &options));
        let chosen = |mut all: Policies| {
            if filters != Filters::default() {
                keep_chosen(&mut all.refused, &report);
            }
            all
        };
        (chosen(own), cilium.map(chosen))
    });
    let (policies, cilium) = policies.map_or((None, None), |(own, cilium)| (Some(own), cilium));
    for line in policies.iter().flat_map(|policies| &policies.denies.said) {
        messages.warning(line);
    }
    let made = Made {
        report: &report,
        view: grouped.as_deref().unwrap_or(&report),
        cluster,
        policies,
        cilium,
    };
    if report.connections.is_empty() {
        messages.note(&nothing_shown(&report, &args.filter));
    }
    if args.suggest_netpol {
        made.suggest()?;
    }
    for output in &outputs {
        match made.write(output) {
            Ok(note) => note.iter().for_each(|note| messages.note(note)),
            Err(error) if super::is_broken_pipe(&error) => {}
            Err(error) => {
                messages.error(&error);
                exit = exit.min(Exit::Failed);
            }
        }
    }
    if !args.output.is_empty() {
        report::summary(&report).lines().for_each(|line| messages.note(line));
    }
    if let Some(policies) = &made.policies {
        messages.debug(&format!("{} objects without a policy", policies.refused.len()));
    }
    Ok(exit)
}

/// Takes away the refusals of what the filters do not choose. Workloads are among the subjects already; a server that
/// no workload is known to stand behind must be in the report that the filters leave.
fn keep_chosen(refused: &mut Vec<Refusal>, report: &Report) {
    let name = |Connection { server, .. }: &Connection| {
        format!("{} {}/{}", server.kind.word(), server.namespace, server.name)
    };
    let chosen: BTreeSet<String> = report.connections.iter().map(name).collect();
    refused.retain(|refusal| refusal.workload.is_some() || chosen.contains(&refusal.object));
}

fn directions(args: &cli::Analyze) -> Vec<Direction> {
    let direction = |kind: &cli::PolicyType| match kind {
        cli::PolicyType::Ingress => Direction::Ingress,
        cli::PolicyType::Egress => Direction::Egress,
    };
    args.policy_types.iter().map(direction).collect()
}

/// A flag that would do nothing, or not where it seems to.
fn check_default_deny(args: &cli::Analyze, outputs: &[Output], wants_policies: bool) -> Result<()> {
    if args.default_deny.is_empty() {
        return Ok(());
    }
    if !wants_policies {
        bail!("--default-deny writes policies: give -o netpol or -s too");
    }
    let writes = |format| outputs.iter().any(|output| output.format == format);
    if !args.suggest_netpol && !writes(Format::NetworkPolicy) {
        bail!(
            "--default-deny is written as a NetworkPolicy, which Cilium enforces too: give -o netpol"
        );
    }
    if shut(&args.default_deny).safe && !directions(args).contains(&Direction::Ingress) {
        bail!(
            "--default-deny shuts namespaces that ingress policies open again, and --policy-types egress writes none: \
             give --policy-types ingress,egress, or name the namespace (--default-deny=NS)"
        );
    }
    Ok(())
}

/// A filter that chooses no subject of any policy asked for would seem to choose some.
fn check_choice(args: &cli::Analyze) -> Result<()> {
    let filter = &args.filter;
    let directions = directions(args);
    if !directions.contains(&Direction::Egress) && !filter.from.is_empty() {
        bail!(
            "--from chooses clients, and an ingress policy belongs to a server: choose it by -n, --pod, --service, \
             --workload or --to"
        );
    }
    let servers = [&filter.pod, &filter.service, &filter.workload, &filter.to];
    if !directions.contains(&Direction::Ingress) && servers.iter().any(|list| !list.is_empty()) {
        bail!(
            "--pod, --service, --workload and --to choose servers, and an egress policy belongs to a client: choose \
             it by -n or --from"
        );
    }
    Ok(())
}

/// The filters as typed.
pub(super) fn filters(filter: &cli::Filter, exclude_namespaces: &[String]) -> Filters {
    Filters {
        namespaces: filter.namespace.clone(),
        pods: filter.pod.clone(),
        services: filter.service.clone(),
        workloads: filter.workload.clone(),
        from: filter.from.clone(),
        to: filter.to.clone(),
        exclude_namespaces: exclude_namespaces.to_vec(),
    }
}

/// Which namespaces `--default-deny` is for.
fn shut(values: &[String]) -> Wanted {
    let safe = values.iter().any(|value| value == cli::SAFE_NAMESPACES);
    let named = values.iter().filter(|value| *value != cli::SAFE_NAMESPACES).cloned();
    Wanted { safe, named: named.collect() }
}

/// The flags that changed the evidence: every policy's comment says so.
fn changed_evidence(args: &cli::Analyze, reading: &Reading) -> Vec<String> {
    let mut flags = Vec::new();
    flags.extend(args.read.since.iter().map(|time| format!("--since {time}")));
    flags.extend(args.read.until.iter().map(|time| format!("--until {time}")));
    if flags.is_empty() && reading.inputs.iter().any(|input| input.outside > 0) {
        flags.push("--since or --until of kico tally".into());
    }
    flags.extend(args.min_queries.iter().map(|least| format!("--min-queries {least}")));
    flags.extend(args.exclude_namespace.iter().map(|ns| format!("--exclude-namespace {ns}")));
    flags
}

/// Nobody asked: said with the filters, because they may be why.
fn nothing_shown(report: &Report, filter: &cli::Filter) -> String {
    let flags = [
        ("-n", &filter.namespace),
        ("--pod", &filter.pod),
        ("--service", &filter.service),
        ("--workload", &filter.workload),
        ("--from", &filter.from),
        ("--to", &filter.to),
    ];
    let given: Vec<String> = flags
        .iter()
        .flat_map(|(flag, values)| values.iter().map(move |value| format!("{flag} {value}")))
        .collect();
    match (given.is_empty(), report.totals.connected) {
        (true, _) => "no connection seen".into(),
        (false, 0) => format!("no connection seen, with or without {}", given.join(" ")),
        (false, _) => {
            format!("no connection seen for {}; without it there are some", given.join(" "))
        }
    }
}

/// Everything that can be written.
struct Made<'a> {
    report: &'a Report,
    /// The report as `--group-by` wants it.
    view: &'a Report,
    cluster: &'a Cluster,
    policies: Option<Policies>,
    /// The same for Cilium, if that was asked for.
    cilium: Option<Policies>,
}

impl Made<'_> {
    /// Writes one output; returns what is worth a note.
    fn write(&self, output: &Output) -> Result<Vec<String>> {
        match &output.place {
            Place::Stdout => stdout(|out| self.format(output.format, terminal(), out))?,
            Place::File(path) => {
                write_beside(path, |out| self.format(output.format, Style::default(), out))?;
            }
            Place::Directory(path) => return self.directory(output.format, path),
        }
        Ok(Vec::new())
    }

    fn format(&self, format: Format, style: Style, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Table => report::table::write(self.view, self.cluster, style, out),
            Format::Wide => report::wide::write(self.view, self.cluster, style, out),
            Format::Csv => report::csv::write(self.view, self.cluster, out),
            Format::Markdown => report::markdown::write(self.view, self.cluster, out),
            Format::Json => report::json::write(self.report, self.cluster, out),
            Format::Yaml => report::yaml::write(self.report, self.cluster, out),
            Format::NetworkPolicy | Format::CiliumNetworkPolicy => self.stream(format, out),
        }
    }

    /// The policies that a format writes.
    fn policies(&self, format: Format) -> Option<&Policies> {
        match format {
            Format::CiliumNetworkPolicy => self.cilium.as_ref(),
            _ => self.policies.as_ref(),
        }
    }

    fn stream(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match self.policies(format) {
            Some(policies) => policy::write::stream(policies, out).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    fn directory(&self, format: Format, path: &Path) -> Result<Vec<String>> {
        let Some(policies) = self.policies(format) else { return Ok(Vec::new()) };
        let written = policy::write::directory(policies, path)?;
        let mut notes = vec![format!(
            "{} written to {}, {} of them incomplete",
            plural(written.policies as u64, "policy", "policies"),
            path.display(),
            policies.incomplete.len()
        )];
        if written.denies > 0 {
            let namespaces = plural(written.denies as u64, "namespace", "namespaces");
            notes.push(format!("{namespaces} shut by {}default-deny/", path.join("").display()));
        }
        if written.removed > 0 {
            let files = plural(written.removed as u64, "file", "files");
            notes.push(format!("{files} of an earlier run removed"));
        }
        let refusals = policies.refused.iter();
        notes.extend(
            refusals.map(|refusal| format!("refused: {}: {}", refusal.object, refusal.reason)),
        );
        notes.extend(policies.notes.iter().map(|note| format!("note: {note}")));
        Ok(notes)
    }

    /// The table and the policies on one standard output; piped, the table is a comment, so that the whole can be applied.
    fn suggest(&self) -> Result<()> {
        let mut table = Vec::new();
        report::table::write(self.view, self.cluster, terminal(), &mut table)?;
        stdout(|out| {
            if io::stdout().is_terminal() {
                out.write_all(&table)?;
                writeln!(out)?;
            } else {
                for line in table.split_inclusive(|byte| *byte == b'\n') {
                    out.write_all(if line == b"\n" { b"#" } else { b"# " })?;
                    out.write_all(line)?;
                }
            }
            self.stream(Format::NetworkPolicy, out)
        })
    }
}
