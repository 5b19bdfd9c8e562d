//! The commands that read logs: `analyze`, `verify`, `diff`, `tally`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Filter, Inputs, Read};

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

/// What `--default-deny` without a namespace stands for; no namespace can be called that.
pub const SAFE_NAMESPACES: &str = "*";

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

const VERIFY_EXAMPLES: &str = "\
Examples:
  # what would these policies deny, before they are applied?
  kico verify logs/*.txt --snapshot pods.json --policies policies/

  # what do the cluster's own policies deny now, and with these beside them?
  kico verify logs/*.txt -S pods.json
  kico verify logs/*.txt -S pods.json --policies new.yaml --with-existing
";

/// Say what NetworkPolicies would do to the connections that were seen.
#[derive(Debug, Args)]
#[command(before_long_help = VERIFY_EXAMPLES)]
pub struct Verify {
    /// What is read.
    #[command(flatten)]
    pub inputs: Inputs,

    /// Which connections are judged.
    #[command(flatten)]
    pub filter: Filter,

    /// NetworkPolicies: a file, or a directory of such; repeatable. Default: those in the snapshot. In a directory that kico
    /// wrote, incomplete/ and default-deny/ are judged too, as if they were applied
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
