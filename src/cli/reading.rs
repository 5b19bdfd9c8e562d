//! What every command that reads logs has in common: inputs, how they are read, which rows are meant.

use std::path::PathBuf;

use clap::Args;

use super::Color;

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

    /// Only errors, and what makes the result partial, on standard error
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
