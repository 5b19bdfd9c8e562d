//! The commands that talk to a cluster: `fetch`, and `POD`, the one-liner.

use std::path::PathBuf;

use clap::Args;

use super::Color;

const FETCH_EXAMPLES: &str = "\
Examples:
  # what the nodes still keep of CoreDNS's logs, and the objects beside them
  kico fetch
  kico analyze logs/*.txt --snapshot pods.json

  # half an hour from now on, with every pod that comes and goes; Ctrl-C ends it sooner
  kico fetch capture --for 30m --context prod
  kico analyze capture
";

const POD_EXAMPLES: &str = "\
Examples:
  # which workloads connect to this pod, through which Service
  kico user-db-b8dfb847c-wvkgf -n sock-shop

  # and the NetworkPolicy that lets just these in; the table is a comment when it is piped
  kico user-db-b8dfb847c-wvkgf -n sock-shop -s | kubectl apply --dry-run=server -f -
";

/// Take CoreDNS's logs and a snapshot out of a cluster.
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

    /// Only errors, and what makes the result partial, on standard error
    #[arg(short, long)]
    pub quiet: bool,

    /// When to use colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// Which cluster is asked.
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
#[derive(Debug, Args)]
#[command(before_long_help = POD_EXAMPLES)]
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

    /// Only errors, and what makes the result partial, on standard error
    #[arg(short, long)]
    pub quiet: bool,

    /// Say more on standard error: the lines seen (as LOG_LEVEL=debug does)
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// When to use colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "expected a time such as 90s, 30m or 1h".to_owned())?;
    match std::time::Duration::try_from(span) {
        Ok(span) if !span.is_zero() => Ok(span),
        _ => Err("expected more than no time at all".to_owned()),
    }
}
