//! Arguments and help, no logic. What was typed, nothing more: `commands` makes of it what the stages want.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  kubectl get pods,services,namespaces,endpointslices,nodes,replicasets,deployments,statefulsets,\\
  daemonsets,jobs,cronjobs,networkpolicies,configmaps -A -o json > pods.json
  kico analyze logs/*.txt --snapshot pods.json                      # who talks to what
  kico analyze logs/*.txt -S pods.json -o csv=connections.csv -o netpol=policies/
";

const NEXT: &str = "\
The logs are CoreDNS's: put the word `log` into its Corefile (no restart is needed), and take `kubectl logs` of \
every CoreDNS pod. `kico analyze --help` has more examples, and every flag.

Exit status: 0 done; 1 verify or diff found something; 2 usage, nothing usable was read, or an output failed; \
3 done, but partial; 130 interrupted.";

/// Who talks to what in a Kubernetes cluster, from CoreDNS query logs.
///
/// kico reads CoreDNS query logs, offline, joins them with what `kubectl get` says of the cluster, and tells which
/// workload asked for which Service: as a table, as CSV for an audit, as the NetworkPolicies that would allow exactly that.
#[derive(Debug, Parser)]
#[command(
    name = "kico",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    before_help = EXAMPLES,
    after_help = NEXT
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say who asked for what: connections, audits, NetworkPolicies
    Analyze(Box<Analyze>),
    /// Say what NetworkPolicies would do to the connections that were seen
    Verify(Box<Verify>),
    /// Boil logs down to a small CSV that can be merged, and that `analyze` reads like a log
    Tally(Box<Tally>),
    /// Say which connections appeared, vanished, or changed their rate tenfold, from OLD to NEW
    Diff(Box<Diff>),
    /// Take CoreDNS's logs and a snapshot out of a cluster
    #[cfg(feature = "fetch")]
    Fetch(Box<Fetch>),
    /// Show who connects to a pod, straight from the cluster: `kico POD` is short for it
    #[cfg(feature = "fetch")]
    Pod(Box<Pod>),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff)
    Man,
}

const ANALYZE_EXAMPLES: &str = "\
Examples:
  # who talks to what
  kubectl get pods,services,namespaces,endpointslices,nodes,replicasets,deployments,statefulsets,\\
  daemonsets,jobs,cronjobs,networkpolicies,ingresses,configmaps -A -o json > pods.json
  kico analyze logs/*.txt --snapshot pods.json

  # the audit's CSV, and one NetworkPolicy a workload to review, in one pass over the logs
  kico analyze logs/*.txt -S pods.json -o csv=connections.csv -o netpol=policies/

  # who asks for the pod user-db-b8dfb847c-wvkgf, straight from the cluster's logs, and a policy for it
  kubectl logs -n kube-system -l k8s-app=kube-dns --tail=-1 --timestamps |
    kico analyze - -S pods.json --pod user-db-b8dfb847c-wvkgf -n sock-shop -s
";

/// Say who asked for what: connections, audits, NetworkPolicies.
#[derive(Debug, Args)]
#[command(before_long_help = ANALYZE_EXAMPLES)]
pub struct Analyze {
    /// What is read.
    #[command(flatten)]
    pub inputs: Inputs,

    /// Which connections are shown.
    #[command(flatten)]
    pub filter: Filter,

    /// One row per workload, pod or namespace of the client (tables and CSV; JSON and policies always use workloads)
    #[arg(long, value_enum, default_value_t, value_name = "WHAT", help_heading = "Reports")]
    pub group_by: GroupBy,

    /// What to write, and where; repeatable, all in one pass. FORMAT: table, wide, csv, json, yaml, markdown,
    /// networkpolicy (netpol), ciliumnetworkpolicy (cnp). At most one without PATH goes to standard output. Policies: a
    /// PATH that ends in / is a directory with one file a policy and a kustomization.yaml
    #[arg(short, long, value_name = "FORMAT[=PATH]", help_heading = "Reports")]
    pub output: Vec<String>,

    /// Print the table and the NetworkPolicies together (piped, the table is a comment: the whole can be applied)
    #[arg(short, long, conflicts_with = "output", help_heading = "Reports")]
    pub suggest_netpol: bool,

    /// Fewer lookups are no connection, neither for reports nor for policies. Default: one is (a yearly job may ask once)
    #[arg(long, value_name = "N", help_heading = "Evidence")]
    pub min_queries: Option<u64>,

    /// Leave the clients of this namespace out of the evidence; repeatable
    #[arg(long, value_name = "NS", help_heading = "Evidence")]
    pub exclude_namespace: Vec<String>,

    /// Ingress: who may connect to a workload. Egress: what a workload may connect to, always with the cluster's DNS
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        ignore_case = true,
        default_value = "ingress",
        value_name = "TYPES",
        help_heading = "Policies"
    )]
    pub policy_types: Vec<PolicyType>,

    /// Let nodes in: one /32 or /128 ipBlock for each node that asked (node addresses change: marked unstable)
    #[arg(long, help_heading = "Policies")]
    pub allow_nodes: bool,

    /// Shut namespaces to all that no policy lets in. Alone: those where every workload has a complete policy, never
    /// kube-system or one that the cluster leans on; with NS: that one, whatever it holds; repeatable
    #[arg(
        long,
        value_name = "NS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = SAFE_NAMESPACES,
        value_parser = clap::builder::NonEmptyStringValueParser::new(),
        help_heading = "Policies"
    )]
    pub default_deny: Vec<String>,

    /// Leave the evidence out of the policies' comments and annotations
    #[arg(long, help_heading = "Policies")]
    pub no_evidence: bool,

    /// Refuse a policy that is known to be incomplete, rather than write it apart
    #[arg(long, help_heading = "Policies")]
    pub strict: bool,

    /// How it is read.
    #[command(flatten)]
    pub read: Read,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  # what would these policies deny, before they are applied?
  kico verify logs/*.txt --snapshot pods.json --policies policies/

  # what do the cluster's own policies deny now, and with these beside them?
  kico verify logs/*.txt -S pods.json
  kico verify logs/*.txt -S pods.json --policies new.yaml --with-existing
";

/// Say what NetworkPolicies would do to the connections that were seen.
///
/// Exit status: 0 nothing is denied; 1 something is (with --strict: or partly).
#[derive(Debug, Args)]
#[command(before_long_help = VERIFY_EXAMPLES)]
pub struct Verify {
    /// What is read.
    #[command(flatten)]
    pub inputs: Inputs,

    /// Which connections are judged.
    #[command(flatten)]
    pub filter: Filter,

    /// NetworkPolicies: a file, or a directory of such; repeatable. Default: those in the snapshot
    #[arg(long, value_name = "FILE|DIR", help_heading = "Policies")]
    pub policies: Vec<PathBuf>,

    /// The snapshot's policies too; a file replaces the one of the same namespace and name
    #[arg(long, requires = "policies", help_heading = "Policies")]
    pub with_existing: bool,

    /// Partly denied is denied: exit status 1
    #[arg(long, help_heading = "Policies")]
    pub strict: bool,

    /// What to write, and where; repeatable, all in one pass. FORMAT: table, json, yaml, markdown. At most one without
    /// PATH goes to standard output
    #[arg(short, long, value_name = "FORMAT[=PATH]", help_heading = "Reports")]
    pub output: Vec<String>,

    /// Fewer lookups are no connection. Default: one is (a yearly job may ask once)
    #[arg(long, value_name = "N", help_heading = "Evidence")]
    pub min_queries: Option<u64>,

    /// Leave the clients of this namespace out of the evidence; repeatable
    #[arg(long, value_name = "NS", help_heading = "Evidence")]
    pub exclude_namespace: Vec<String>,

    /// How it is read.
    #[command(flatten)]
    pub read: Read,
}

/// What `--default-deny` without a namespace stands for; no namespace can be called that.
pub const SAFE_NAMESPACES: &str = "*";

const TALLY_EXAMPLES: &str = "\
Examples:
  # boil a day of logs down to a small CSV, then analyse that as often as you like
  kico tally logs/*.gz --snapshot pods.json -o day.csv
  kico analyze day.csv --snapshot pods.json

  # the same on many machines: each takes its share of the files; the report is that of one run
  kico tally logs/*.gz -S pods.json --shard 17/64 -o 17.csv
";

/// Boil logs down to a small CSV that can be merged, and that `analyze` reads like a log.
#[derive(Debug, Args)]
#[command(before_long_help = TALLY_EXAMPLES)]
pub struct Tally {
    /// What is read.
    #[command(flatten)]
    pub inputs: Inputs,

    /// How it is read.
    #[command(flatten)]
    pub read: Read,

    /// Where to write the tally; default: standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Read only this share of the files: I of 1 to N, by a hash of each path
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<(NonZeroU32, NonZeroU32)>,
}

#[cfg(feature = "fetch")]
const FETCH_EXAMPLES: &str = "\
Examples:
  # what the nodes still keep of CoreDNS's logs, and the objects beside them
  kico fetch
  kico analyze logs/*.txt --snapshot pods.json

  # half an hour from now on, with every pod that comes and goes; Ctrl-C ends it sooner
  kico fetch capture --for 30m --context prod
  kico analyze capture
";

/// Take CoreDNS's logs and a snapshot out of a cluster.
///
/// Writes DIR/logs/<pod>.txt, one a CoreDNS pod, and DIR/pods.json: the objects that `analyze` needs, and of them only what
/// it needs. kico only reads: it never changes anything in a cluster. The README has the Role that it wants.
///
/// Exit status: 0 done; 2 nothing was taken; 3 something is missing, and named; 130 interrupted.
#[cfg(feature = "fetch")]
#[derive(Debug, Args)]
#[command(before_long_help = FETCH_EXAMPLES)]
pub struct Fetch {
    /// Where the capture goes
    #[arg(default_value = ".", value_name = "DIR")]
    pub directory: PathBuf,

    /// Which cluster is asked.
    #[command(flatten)]
    pub target: Target,

    /// Where CoreDNS is; repeatable. Default: kube-system and openshift-dns
    #[arg(long, value_name = "NS")]
    pub dns_namespace: Vec<String>,

    /// The labels of CoreDNS's pods, such as k8s-app=kube-dns
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,

    /// Only lines not older than this: 90s, 30m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub since: Option<std::time::Duration>,

    /// Follow the logs for so long, and watch the pods meanwhile. Takes what is there already, too
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub follow: Option<std::time::Duration>,

    /// Also the logs of containers before their last restart
    #[arg(short, long, conflicts_with = "follow")]
    pub previous: bool,

    /// Replace an earlier capture
    #[arg(long)]
    pub force: bool,

    /// Only errors on standard error
    #[arg(short, long)]
    pub quiet: bool,

    /// When to use colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// Which cluster is asked.
#[cfg(feature = "fetch")]
#[derive(Debug, Args)]
pub struct Target {
    /// The kubeconfig's context; default: its current one
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// The kubeconfig; default: $KUBECONFIG, ~/.kube/config, else the pod's own account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Do not verify the API server's certificate: whoever stands between can read and change everything
    #[arg(long)]
    pub insecure_skip_tls_verify: bool,
}

/// Show who connects to a pod, straight from the cluster.
///
/// Reads CoreDNS's logs and the cluster's objects, and leaves nothing on disk. If no line concerns the pod yet, it waits for one.
#[cfg(feature = "fetch")]
#[derive(Debug, Args)]
pub struct Pod {
    /// The pod's name
    #[arg(value_name = "POD")]
    pub pod: String,

    /// Where the pod is; default: the context's namespace
    #[arg(short, long, value_name = "NS")]
    pub namespace: Option<String>,

    /// Print the NetworkPolicy that allows exactly what was seen, too
    #[arg(short, long)]
    pub suggest_netpol: bool,

    /// Threads; default: all cores
    #[arg(short, long, value_name = "N")]
    pub concurrency: Option<std::num::NonZeroUsize>,

    /// How long to wait for the first line that concerns the pod
    #[arg(short, long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub wait_for_logs: std::time::Duration,

    /// Which cluster is asked.
    #[command(flatten)]
    pub target: Target,

    /// Only errors on standard error
    #[arg(short, long)]
    pub quiet: bool,

    /// Say more on standard error: the lines seen (as LOG_LEVEL=debug does)
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// When to use colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

const DIFF_EXAMPLES: &str = "\
Examples:
  # what is new since the last release, with a snapshot of each side's own time
  kico diff before/ after/

  # last week's report against today's logs
  kico analyze logs/*.txt -S pods.json -o json=last-week.json
  kico diff last-week.json logs/ --new-snapshot pods.json
";

/// Say which connections appeared, vanished, or changed their rate tenfold, from OLD to NEW.
#[derive(Debug, Args)]
#[command(before_long_help = DIFF_EXAMPLES)]
pub struct Diff {
    /// The side before: a log, a directory, a tally, or a report that `analyze -o json` wrote
    #[arg(value_name = "OLD")]
    pub old: PathBuf,

    /// The side after, as OLD
    #[arg(value_name = "NEW")]
    pub new: PathBuf,

    /// A snapshot of OLD alone; repeatable (--snapshot is of both sides)
    #[arg(long, value_name = "FILE|DIR")]
    pub old_snapshot: Vec<PathBuf>,

    /// A snapshot of NEW alone; repeatable
    #[arg(long, value_name = "FILE|DIR")]
    pub new_snapshot: Vec<PathBuf>,

    /// Which connections are shown.
    #[command(flatten)]
    pub filter: Filter,

    /// Leave the clients of this namespace out; repeatable
    #[arg(long, value_name = "NS", help_heading = "Filters")]
    pub exclude_namespace: Vec<String>,

    /// What to write, and where; repeatable. FORMAT: table, json, yaml, markdown. At most one without PATH goes to
    /// standard output
    #[arg(short, long, value_name = "FORMAT[=PATH]", help_heading = "Reports")]
    pub output: Vec<String>,

    /// How the sides are read.
    #[command(flatten)]
    pub read: Read,
}

/// What is read.
#[derive(Debug, Args)]
pub struct Inputs {
    /// Log files (plain, gzip, zstd), directories of them, `-` for standard input, or tallies. A file's first
    /// bytes say what it is, not its name
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// Write every line that looked like a query and could not be read: CSV with path, line, offset, reason, text
    #[arg(long, value_name = "FILE", help_heading = "Reading")]
    pub rejects: Option<PathBuf>,
}

/// How it is read: the same for every command.
#[derive(Clone, Debug, Args)]
pub struct Read {
    /// What `kubectl get … -A -o json` (or yaml) printed: a file, or a directory of such; repeatable, also for
    /// snapshots of different times
    #[arg(short = 'S', long, value_name = "FILE|DIR")]
    pub snapshot: Vec<PathBuf>,

    /// Only records from this time on: RFC 3339, or a date (UTC)
    #[arg(long, value_name = "TIME", help_heading = "Evidence")]
    pub since: Option<String>,

    /// Only records before this time: RFC 3339, or a date (UTC)
    #[arg(long, value_name = "TIME", help_heading = "Evidence")]
    pub until: Option<String>,

    /// The cluster's DNS domain; repeatable. Default: the snapshot's Corefile, else cluster.local
    #[arg(long, value_name = "DOMAIN", help_heading = "Reading")]
    pub cluster_domain: Vec<String>,

    /// Look for CoreDNS and its Corefile in this namespace too, beside kube-system and openshift-dns; repeatable
    #[arg(long, value_name = "NS", help_heading = "Reading")]
    pub dns_namespace: Vec<String>,

    /// The format string of the Corefile's `log` directive, if it has one of its own
    #[arg(long, value_name = "FORMAT", help_heading = "Reading")]
    pub log_format: Option<String>,

    /// How many (client, name) pairs that the cluster does not bound (failed, external) are kept
    #[arg(long, value_name = "N", default_value_t = 262_144, help_heading = "Reading")]
    pub max_names: usize,

    /// Read files instead of mapping them into memory
    #[arg(long, help_heading = "Reading")]
    pub no_mmap: bool,

    /// Threads; default: all cores
    #[arg(short, long, value_name = "N", help_heading = "Reading")]
    pub concurrency: Option<std::num::NonZeroUsize>,

    /// Only errors on standard error
    #[arg(short, long)]
    pub quiet: bool,

    /// Say more on standard error (as LOG_LEVEL=debug does)
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// When to use colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// Which connections are shown, and whose policies are written. Values of one flag are alternatives; different flags
/// must all hold. They never remove evidence from a policy.
#[derive(Debug, Args)]
pub struct Filter {
    /// Only connections into this namespace; repeatable
    #[arg(short, long, value_name = "NS", help_heading = "Filters")]
    pub namespace: Vec<String>,

    /// All namespaces: the default
    #[arg(short = 'A', long, conflicts_with = "namespace", help_heading = "Filters")]
    pub all_namespaces: bool,

    /// Only connections into what this pod is behind; repeatable
    #[arg(long, value_name = "POD", help_heading = "Filters")]
    pub pod: Vec<String>,

    /// Only connections into this Service; repeatable
    #[arg(long, value_name = "SVC", help_heading = "Filters")]
    pub service: Vec<String>,

    /// Only connections into what this workload is behind; repeatable
    #[arg(long, value_name = "KIND/NAME", help_heading = "Filters")]
    pub workload: Vec<String>,

    /// Only connections from this namespace, or from this workload in it; repeatable
    #[arg(long, value_name = "NS[/NAME]", help_heading = "Filters")]
    pub from: Vec<String>,

    /// Only connections to this namespace, or to this Service in it; repeatable
    #[arg(long, value_name = "NS[/NAME]", help_heading = "Filters")]
    pub to: Vec<String>,
}

/// `--group-by`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum GroupBy {
    #[default]
    Workload,
    Pod,
    Namespace,
}

/// `--policy-types`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum PolicyType {
    Ingress,
    Egress,
}

/// `--color`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

fn shard(text: &str) -> Result<(NonZeroU32, NonZeroU32), String> {
    let parse = || {
        let (i, n) = text.split_once('/')?;
        Some((i.parse::<NonZeroU32>().ok()?, n.parse::<NonZeroU32>().ok()?))
    };
    match parse() {
        Some((i, n)) if i <= n => Ok((i, n)),
        _ => Err("expected I/N with I from 1 to N, as in 3/8".to_owned()),
    }
}

#[cfg(feature = "fetch")]
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "expected a time such as 90s, 30m or 1h".to_owned())?;
    match std::time::Duration::try_from(span) {
        Ok(span) if !span.is_zero() => Ok(span),
        _ => Err("expected more than no time at all".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
