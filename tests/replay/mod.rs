//! Generated policies, written to disk and replayed by `kico verify`: held against the independent evaluator, and against
//! what was seen.

use std::collections::BTreeMap;

use kico::cluster::model::{NetworkPolicy, Protocol};
use kico::cluster::{Cluster, snapshot};
use kico::connections::lookups::lookups;
use kico::connections::{self, join};
use kico::policy::Policies;
use kico::policy::evaluate::{self, At, End, Evaluator, Match};
use kico::policy::verify::{self, verify};

use crate::world::{self, World};
use crate::{Allowed, text};

/// `kico verify` over the same policies, read from disk by its own reader: it allows and denies, pair by pair and port by port, what the
/// independent evaluator does; complete policies alone deny nothing that was seen; and what all of them deny of it, an incomplete one
/// says that it leaves out.
pub(crate) fn replay(
    number: u64,
    world: &World,
    cluster: &Cluster,
    policies: &Policies,
    allowed: &[Allowed; 2],
) {
    let read = |text: &str| -> Vec<NetworkPolicy> {
        if !text.contains("apiVersion") {
            return Vec::new();
        }
        let file = tempfile::NamedTempFile::new().expect("a scratch file can be made");
        std::fs::write(file.path(), text).expect("it can be written");
        let found = snapshot::policies::read(&[file.path().to_owned()]);
        let found = found.unwrap_or_else(|error| panic!("cluster {number}: {error:#}\n{text}"));
        found.policies.into_iter().map(|(policy, _)| policy).collect()
    };
    let whole = read(&text(policies));
    assert_eq!(
        whole.len(),
        policies.complete.len() + policies.incomplete.len(),
        "cluster {number}"
    );

    let index: BTreeMap<&str, usize> =
        cluster.snapshot.pods.iter().map(|pod| pod.meta.uid.as_str()).zip(0..).collect();
    let pods: Vec<usize> =
        (0..world.pods.len()).map(|pod| index[format!("pod-{pod}").as_str()]).collect();
    let mut evaluator = Evaluator::new(cluster, &whole);
    // What a policy means for a pod on its node's own network the API does not define.
    let is_there =
        |at: usize| !world.pods[at].finished && !cluster.snapshot.pods[pods[at]].host_network;
    for (s, c) in (0..pods.len()).flat_map(|s| (0..pods.len()).map(move |c| (s, c))) {
        if !is_there(s) || !is_there(c) || s == c {
            continue;
        }
        for (port, word) in world::PORTS {
            let protocol = match word {
                "TCP" => Protocol::Tcp,
                "UDP" => Protocol::Udp,
                _ => Protocol::Sctp,
            };
            let at = At { port, protocol };
            let outcome = evaluator.outcome(End::Pod(pods[c]), End::Pod(pods[s]), at);
            for (side, allowed, direction, subject) in [
                (&outcome.ingress, &allowed[0], evaluate::Direction::Ingress, pods[s]),
                (&outcome.egress, &allowed[1], evaluate::Direction::Egress, pods[c]),
            ] {
                if evaluator.isolating(direction, subject).is_empty() {
                    continue;
                }
                let ours = side.passes == Match::Yes;
                let theirs = allowed.contains(&(c, s, port, word));
                assert_eq!(
                    ours,
                    theirs,
                    "cluster {number}: {direction:?} {} → {} {port}/{word}: {side:?}\n{}\n{world:#?}",
                    world.pods[c].name,
                    world.pods[s].name,
                    text(policies)
                );
            }
        }
    }

    let tally = world.tally(None);
    let report = join(&tally, cluster, connections::Options::default());
    let lookups = lookups(&tally, cluster, &[], None);
    let complete = Policies { complete: policies.complete.clone(), ..Policies::default() };
    let complete = read(&text(&complete));
    for row in verify(&report, &lookups, cluster, &complete).rows {
        let cut = matches!(row.verdict, verify::Verdict::Denied | verify::Verdict::Partly);
        assert!(!cut, "cluster {number}: complete policies cut {row:#?}\n{}", text(policies));
    }
    let is_incomplete = |at: &usize| whole[*at].meta.labels.contains_key("kico.dev/incomplete");
    for row in verify(&report, &lookups, cluster, &whole).rows {
        for denial in &row.denials {
            assert!(
                denial.isolated_by.iter().any(is_incomplete),
                "cluster {number}: only complete policies cut {row:#?}\n{}",
                text(policies)
            );
        }
    }
}
