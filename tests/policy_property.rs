//! A policy allows exactly what its evidence says, closed over workloads: random clusters and logs, through kico,
//! written as YAML, read again, and judged by an evaluator that shares no code with it.
//!
//! `KICO_CLUSTERS=100000 cargo test --release --test policy_property` looks longer.

mod documentation;
mod evaluator;
mod replay;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use evaluator::{Attempt, Labels, Pod, Verdict, egress, ingress};
use kico::cluster::Cluster;
use kico::connections::{self, join};
use kico::policy::{self, Direction, Policies, yaml};
use replay::replay;
use serde_yaml::Value;
use world::World;

/// (client pod, server pod, port, protocol), pods by index.
type Allowed = BTreeSet<(usize, usize, u16, &'static str)>;

#[test]
fn policies_allow_exactly_the_closure_of_their_evidence() {
    let clusters =
        std::env::var("KICO_CLUSTERS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut found = Found::default();
    std::thread::scope(|scope| {
        let share = |first: u64| {
            move || {
                let mut found = Found::default();
                for number in (first..clusters).step_by(threads as usize) {
                    found.add(check(number));
                }
                found
            }
        };
        let handles: Vec<_> = (0..threads).map(|first| scope.spawn(share(first))).collect();
        for handle in handles {
            found.add(handle.join().expect("see above"));
        }
    });
    println!("{clusters} clusters: {found:?}");
    // Nothing is proved by clusters in which nothing happens.
    assert!(found.complete * 3 > clusters && found.incomplete * 4 > clusters, "{found:?}");
    assert!(
        found.complete_egress * 8 > clusters && found.incomplete_egress > clusters,
        "{found:?}"
    );
    assert!(found.allowed_egress > clusters * 10, "{found:?}");
    assert!(found.refused * 4 > clusters && found.allowed > clusters * 10, "{found:?}");
}

/// What the clusters held.
#[derive(Debug, Default)]
struct Found {
    complete: u64,
    incomplete: u64,
    complete_egress: u64,
    incomplete_egress: u64,
    refused: u64,
    allowed: u64,
    allowed_egress: u64,
}

impl Found {
    fn add(&mut self, more: Found) {
        self.complete += more.complete;
        self.incomplete += more.incomplete;
        self.refused += more.refused;
        self.complete_egress += more.complete_egress;
        self.incomplete_egress += more.incomplete_egress;
        self.allowed += more.allowed;
        self.allowed_egress += more.allowed_egress;
    }
}

/// One cluster.
fn check(number: u64) -> Found {
    let world = World::new(number);
    let cluster = Cluster::new(world.snapshot(), &[]);
    let policies = build(&world, &cluster, None);
    let truth = world.truth();

    let documents = self::documents(policies.complete.iter().chain(&policies.incomplete));
    let allowed = [ingress, egress].map(|side| allowed(&world, &documents, side));
    let expected = [world.expected(&truth), world.expected_egress(&truth)];
    let name = |server: usize| match world.pods.get(server) {
        Some(pod) => pod.name.clone(),
        None => world::PLACES[server - world.pods.len()].to_string(),
    };
    let show = |set: &mut dyn Iterator<Item = &(usize, usize, u16, &'static str)>| -> Vec<String> {
        set.map(|(client, server, port, protocol)| {
            format!("{} → {} {port}/{protocol}", world.pods[*client].name, name(*server))
        })
        .collect()
    };
    for (allowed, expected) in allowed.iter().zip(&expected) {
        let wider = show(&mut allowed.difference(expected));
        let narrower = show(&mut expected.difference(allowed));
        assert!(
            wider.is_empty() && narrower.is_empty(),
            "cluster {number}\nwider: {wider:#?}\nnarrower: {narrower:#?}\n{}\n{world:#?}",
            text(&policies)
        );
    }

    // What both sides can say goes through both at once.
    let through = show(&mut denied(&world, &documents, expected[0].intersection(&expected[1])));
    assert!(through.is_empty(), "cluster {number}: {through:#?}\n{}", text(&policies));
    // Complete policies alone, of both directions, cut nothing that was seen.
    let complete = self::documents(policies.complete.iter());
    let cut = show(&mut denied(&world, &complete, world.proven(&truth).iter()));
    assert!(cut.is_empty(), "cluster {number}: {cut:#?}\n{}\n{world:#?}", text(&policies));

    replay(number, &world, &cluster, &policies, &allowed);

    // A policy that is called complete leaves out nothing that was seen.
    for policy in &policies.complete {
        let of = cluster.workloads.get(policy.workload);
        let subject = (of.namespace.clone(), of.kind.clone(), of.name.clone());
        let left_out = truth.left_out(&world, &subject, policy.direction());
        assert!(
            left_out.is_empty(),
            "cluster {number}: {subject:?} lacks {left_out:?}\n{}",
            text(&policies)
        );
    }

    // Less evidence never allows more.
    let fewer = build(&world, &cluster, Some(number));
    let less = self::documents(fewer.complete.iter().chain(&fewer.incomplete));
    for (side, allowed) in [ingress, egress].into_iter().zip(&allowed) {
        let less = self::allowed(&world, &less, side);
        let more = show(&mut less.difference(allowed));
        assert!(more.is_empty(), "cluster {number}, rows removed: {more:#?}\n{}", text(&fewer));
    }

    let count = |list: &[policy::Policy], direction| {
        list.iter().filter(|policy| policy.direction() == direction).count() as u64
    };

    Found {
        complete: count(&policies.complete, Direction::Ingress),
        incomplete: count(&policies.incomplete, Direction::Ingress),
        complete_egress: count(&policies.complete, Direction::Egress),
        incomplete_egress: count(&policies.incomplete, Direction::Egress),
        refused: policies.refused.len() as u64,
        allowed: allowed[0].len() as u64,
        allowed_egress: allowed[1].len() as u64,
    }
}

fn build(world: &World, cluster: &Cluster, without: Option<u64>) -> Policies {
    let report = join(&world.tally(without), cluster, connections::Options::default());
    let options = policy::Options {
        strict: false,
        allow_nodes: false,
        evidence: true,
        changed_evidence: Vec::new(),
        directions: &[Direction::Ingress, Direction::Egress],
        subjects: &|_| true,
        clients: &|_| true,
    };
    policy::build(&report, cluster, &options)
}

fn documents<'p>(policies: impl Iterator<Item = &'p policy::Policy>) -> Vec<Value> {
    policies
        .map(|policy| {
            let text = yaml::document(policy, yaml::Place::Stream).expect("YAML");
            serde_yaml::from_str(&text).expect("YAML that can be read")
        })
        .collect()
}

fn text(policies: &Policies) -> String {
    let mut out = Vec::new();
    policy::write::stream(policies, &mut out).expect("a vector takes everything");
    String::from_utf8_lossy(&out).into_owned()
}

/// One side of the evaluator.
type Side = fn(&[Value], &BTreeMap<String, Labels>, Attempt<'_>) -> Verdict;

/// Everything that some rule of that side allows, over all pairs of pods, the places outside, and all ports that anybody
/// has, and one that nobody has.
fn allowed(world: &World, policies: &[Value], side: Side) -> Allowed {
    let (pods, namespaces) = (ends(world), world.namespaces());
    let is_there = |at: usize| world.pods.get(at).is_none_or(|pod| !pod.finished);
    let mut allowed = Allowed::new();
    for (s, server) in pods.iter().enumerate().filter(|(s, _)| is_there(*s)) {
        let clients = pods.iter().enumerate().take(world.pods.len());
        for (c, client) in clients.filter(|(c, _)| is_there(*c)) {
            for (port, protocol) in world::PORTS {
                let attempt = Attempt { client, server, port, protocol };
                if side(policies, &namespaces, attempt) == Verdict::Allowed {
                    allowed.insert((c, s, port, protocol));
                }
            }
        }
    }
    allowed
}

/// The pods, and behind them the places outside.
fn ends(world: &World) -> Vec<Pod> {
    let place = |address: &IpAddr| Pod {
        namespace: String::new(),
        labels: Labels::new(),
        address: Some(*address),
        ports: Vec::new(),
    };
    world.pods.iter().map(|pod| pod.seen()).chain(world::PLACES.iter().map(place)).collect()
}

/// What these policies deny, on either side.
fn denied<'s>(
    world: &World,
    policies: &[Value],
    attempts: impl Iterator<Item = &'s (usize, usize, u16, &'static str)>,
) -> impl Iterator<Item = &'s (usize, usize, u16, &'static str)> {
    let (pods, namespaces) = (ends(world), world.namespaces());
    attempts.filter(move |(client, server, port, protocol)| {
        let (client, server) = (&pods[*client], &pods[*server]);
        let attempt = Attempt { client, server, port: *port, protocol };
        ingress(policies, &namespaces, attempt) == Verdict::Denied
            || egress(policies, &namespaces, attempt) == Verdict::Denied
    })
}
