//! Arguments and help, no logic. What was typed, nothing more: `commands` makes of it what the stages want.

#[cfg(feature = "fetch")]
mod cluster;
mod reading;
mod reports;

use clap::{Parser, Subcommand, ValueEnum};

#[cfg(feature = "fetch")]
pub use cluster::{Fetch, Pod, Target};
pub use reading::{Filter, Inputs, Read};
pub use reports::{Analyze, Diff, GroupBy, PolicyType, SAFE_NAMESPACES, Tally, Verify};

#[cfg(feature = "fetch")]
const EXAMPLES: &str = "\
Examples:
  kico fetch                                         # logs and pods.json, out of a cluster
  kico analyze logs/*.txt --snapshot pods.json       # who talks to what
  kico analyze logs/*.txt -S pods.json -o csv=connections.csv -o netpol=policies/
  kico user-db-b8dfb847c-wvkgf -n sock-shop -s       # who connects to this pod, and a policy for it
";

#[cfg(not(feature = "fetch"))]
const EXAMPLES: &str = "\
Examples:
  kubectl get pods,services,namespaces,endpointslices,nodes,replicasets,deployments,statefulsets,\\
  daemonsets,jobs,cronjobs,networkpolicies,configmaps -A -o json > pods.json
  kico analyze logs/*.txt --snapshot pods.json                      # who talks to what
  kico analyze logs/*.txt -S pods.json -o csv=connections.csv -o netpol=policies/
";

const NEXT: &str = "\
The logs are CoreDNS's: put the word `log` into its Corefile (no restart is needed). Without `kico fetch`, take \
`kubectl logs --timestamps` of every CoreDNS pod. `kico analyze --help` has more examples, and every flag.

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
    ///
    /// Exit status: 0 nothing is denied; 1 something is (with --strict: or partly).
    Verify(Box<Verify>),
    /// Boil logs down to a small CSV that can be merged, and that `analyze` reads like a log
    Tally(Box<Tally>),
    /// Say which connections appeared, vanished, or changed their rate tenfold, from OLD to NEW
    Diff(Box<Diff>),
    /// Take CoreDNS's logs and a snapshot out of a cluster
    ///
    /// Writes DIR/logs/<pod>.txt, one a CoreDNS pod, and DIR/pods.json: the objects that `analyze` needs, and of them only
    /// what it needs. kico only reads: it never changes anything in a cluster. deploy/fetch-role.yaml in its repository is the
    /// Role that it wants; what it may not see it names, and goes on.
    ///
    /// Exit status: 0 done; 2 nothing was taken; 3 something is missing, and named; 130 interrupted.
    #[cfg(feature = "fetch")]
    Fetch(Box<Fetch>),
    /// Show who connects to a pod, straight from the cluster: `kico POD` is short for it
    ///
    /// Reads CoreDNS's logs and the cluster's objects, and leaves nothing on disk. If no line concerns the pod yet, it follows
    /// the logs until one does.
    ///
    /// Exit status: 0 done, also if nobody asked for it; 2 nothing was read: is `log` in the Corefile?; 3 something is
    /// missing, and named; 130 interrupted.
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

/// `--color`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
