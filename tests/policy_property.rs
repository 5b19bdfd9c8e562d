//! A policy allows exactly what its evidence says, closed over workloads: random clusters and logs, through kico,
//! written as YAML, read again, and judged by an evaluator that shares no code with it.
//!
//! `KICO_CLUSTERS=100000 cargo test --release --test policy_property` looks longer.

mod evaluator;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use evaluator::{Attempt, Labels, Pod, Verdict, egress, ingress};
use kico::cluster::model::{NetworkPolicy, Protocol};
use kico::cluster::{Cluster, snapshot};
use kico::connections::{self, join};
use kico::policy::evaluate::{self, At, End, Evaluator, Match};
use kico::policy::verify::{self, verify};
use kico::policy::{self, Direction, Policies, yaml};
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
    assert!(found.complete * 2 > clusters && found.incomplete * 4 > clusters, "{found:?}");
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

/// `kico verify` over the same policies, read from disk by its own reader: it allows and denies, pair by pair and port by port, what the
/// independent evaluator does; complete policies alone deny nothing that was seen; and what all of them deny of it, an incomplete one
/// says that it leaves out.
fn replay(
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

    let report = join(&world.tally(None), cluster, connections::Options::default());
    let complete = Policies { complete: policies.complete.clone(), ..Policies::default() };
    let complete = read(&text(&complete));
    for row in verify(&report, cluster, &complete).rows {
        let cut = matches!(row.verdict, verify::Verdict::Denied | verify::Verdict::Partly);
        assert!(!cut, "cluster {number}: complete policies cut {row:#?}\n{}", text(policies));
    }
    let is_incomplete = |at: &usize| whole[*at].meta.labels.contains_key("kico.dev/incomplete");
    for row in verify(&report, cluster, &whole).rows {
        for denial in &row.denials {
            assert!(
                denial.isolated_by.iter().any(is_incomplete),
                "cluster {number}: only complete policies cut {row:#?}\n{}",
                text(policies)
            );
        }
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

#[test]
fn the_evaluator_reads_policies_as_the_documentation_does() {
    let labels = |text: &str| -> Labels {
        let pairs = text.split(',').filter(|pair| !pair.is_empty());
        pairs.filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    };
    let pod = |namespace: &str, text: &str, address: &str| Pod {
        namespace: namespace.into(),
        labels: labels(text),
        address: address.parse().ok(),
        ports: vec![("web".into(), 8080, "TCP".into()), ("dns".into(), 53, "UDP".into())],
    };
    let db = pod("default", "role=db", "172.17.0.2");
    let clients = [
        ("frontend", pod("default", "role=frontend", "172.17.0.3")),
        ("other", pod("default", "role=other", "172.17.1.4")),
        ("alice", pod("alice", "role=client", "10.0.0.5")),
        ("alice-other", pod("alice", "role=other", "10.0.0.6")),
        ("six", pod("bob", "", "fd00::6")),
    ];
    let namespaces = BTreeMap::from([
        ("default".to_owned(), labels("kubernetes.io/metadata.name=default")),
        ("alice".to_owned(), labels("kubernetes.io/metadata.name=alice,user=alice")),
        ("bob".to_owned(), labels("kubernetes.io/metadata.name=bob")),
    ]);
    let everybody = "frontend other alice alice-other six";
    let rule =
        |rule: &str| format!("{{podSelector: {{}}, policyTypes: [Ingress], ingress: [{rule}]}}");
    let from = |peers: &str| rule(&format!("{{from: [{peers}]}}"));
    let to = |ports: &str| rule(&format!("{{ports: [{ports}]}}"));
    let check = |sentence: &str, specs: &[&str], (port, protocol): (u16, &str), expected: &str| {
        let policies: Vec<Value> = specs
            .iter()
            .map(|spec| {
                let text = format!("{{metadata: {{namespace: default}}, spec: {spec}}}");
                serde_yaml::from_str(&text).expect("YAML")
            })
            .collect();
        let reaches = clients.iter().filter(|(_, client)| {
            let attempt = Attempt { client, server: &db, port, protocol };
            ingress(&policies, &namespaces, attempt) != Verdict::Denied
        });
        let reaches: Vec<_> = reaches.map(|(name, _)| *name).collect();
        assert_eq!(reaches.join(" "), expected, "{sentence}");
    };
    let web = (8080, "TCP");

    check("a pod that no policy selects is open", &[], web, everybody);
    check(
        "one that is selected for ingress is shut",
        &["{podSelector: {}, policyTypes: [Ingress]}"],
        web,
        "",
    );
    check("without policyTypes Ingress is set", &["{podSelector: {}}"], web, "");
    check("an empty list of rules allows nothing", &[&rule("")], web, "");
    check(
        "a policy for egress alone isolates nothing",
        &["{podSelector: {}, policyTypes: [Egress]}"],
        web,
        everybody,
    );
    check(
        "others are not selected",
        &["{podSelector: {matchLabels: {role: web}}}"],
        web,
        everybody,
    );
    check("an empty rule allows everything", &[&rule("{}")], web, everybody);
    check("an empty from is every source", &[&from("")], web, everybody);
    check(
        "podSelector: the policy's own namespace",
        &[&from("{podSelector: {matchLabels: {role: other}}}")],
        web,
        "other",
    );
    check(
        "an empty podSelector is all pods there",
        &[&from("{podSelector: {}}")],
        web,
        "frontend other",
    );
    check(
        "namespaceSelector: all pods of those namespaces",
        &[&from("{namespaceSelector: {matchLabels: {user: alice}}}")],
        web,
        "alice alice-other",
    );
    check("an empty one is all namespaces", &[&from("{namespaceSelector: {}}")], web, everybody);
    check(
        "both in one item: pods of these labels in those namespaces",
        &[&from(
            "{namespaceSelector: {matchLabels: {user: alice}}, podSelector: {matchLabels: {role: client}}}",
        )],
        web,
        "alice",
    );
    check(
        "in two items: either",
        &[&from(
            "{namespaceSelector: {matchLabels: {user: alice}}}, {podSelector: {matchLabels: {role: other}}}",
        )],
        web,
        "other alice alice-other",
    );
    check(
        "ipBlock, less its exceptions",
        &[&from("{ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}}")],
        web,
        "frontend",
    );
    check("ipBlock of IPv6", &[&from("{ipBlock: {cidr: 'fd00::/8'}}")], web, "six");
    check(
        "of everything, in one family",
        &[&from("{ipBlock: {cidr: 0.0.0.0/0}}")],
        web,
        "frontend other alice alice-other",
    );
    check("an empty list of ports is all ports", &[&to("")], (1, "SCTP"), everybody);
    check("a port is TCP if nothing is said", &[&to("{port: 8080}")], web, everybody);
    check("and then no other", &[&to("{port: 8080}")], (8080, "UDP"), "");
    check("a protocol alone is all its ports", &[&to("{protocol: UDP}")], (9, "UDP"), everybody);
    check("endPort ends a range", &[&to("{port: 8000, endPort: 8080}")], web, everybody);
    check("which ends there", &[&to("{port: 8000, endPort: 8079}")], web, "");
    check("a named port is the pod's own", &[&to("{port: web}")], web, everybody);
    check("of that protocol", &[&to("{port: dns}")], (53, "TCP"), "");
    check(
        "from and ports must both match",
        &[&rule("{from: [{podSelector: {}}], ports: [{port: 1}]}")],
        web,
        "",
    );
    check(
        "policies add up",
        &[
            &from("{podSelector: {matchLabels: {role: other}}}"),
            &from("{podSelector: {matchLabels: {role: frontend}}}"),
        ],
        web,
        "frontend other",
    );
    for (operator, values, expected) in [
        ("In", ", values: [other, x]", "other"),
        ("NotIn", ", values: [other]", "frontend"),
        ("Exists", "", "frontend other"),
        ("DoesNotExist", "", ""),
    ] {
        let peer = format!(
            "{{podSelector: {{matchExpressions: [{{key: role, operator: {operator}{values}}}]}}}}"
        );
        check(operator, &[&from(&peer)], web, expected);
    }

    // The other direction: the same words, read from the client's side.
    let out =
        |rule: &str| format!("{{podSelector: {{}}, policyTypes: [Egress], egress: [{rule}]}}");
    let reaches =
        |sentence: &str, specs: &[&str], (port, protocol): (u16, &str), expected: &str| {
            let policies: Vec<Value> = specs
                .iter()
                .map(|spec| {
                    let text = format!("{{metadata: {{namespace: default}}, spec: {spec}}}");
                    serde_yaml::from_str(&text).expect("YAML")
                })
                .collect();
            let reached = clients.iter().filter(|(_, server)| {
                let attempt = Attempt { client: &db, server, port, protocol };
                egress(&policies, &namespaces, attempt) != Verdict::Denied
            });
            let reached: Vec<_> = reached.map(|(name, _)| *name).collect();
            assert_eq!(reached.join(" "), expected, "{sentence}");
        };
    reaches("a pod that no policy selects reaches all", &[], web, everybody);
    let shut = "{podSelector: {}, policyTypes: [Egress]}";
    reaches("one that is selected for egress reaches nothing", &[shut], web, "");
    reaches("ingress alone isolates no egress", &["{podSelector: {}}"], web, everybody);
    let unsaid = "{podSelector: {}, egress: [{ports: [{port: 1}]}]}";
    reaches("egress rules without policyTypes are of type Egress too", &[unsaid], web, "");
    let other = "{podSelector: {matchLabels: {role: db2}}, policyTypes: [Egress]}";
    reaches("others are not selected", &[other], web, everybody);
    reaches("an empty rule allows everything", &[&out("{}")], web, everybody);
    let own = "{to: [{podSelector: {matchLabels: {role: other}}}]}";
    reaches("podSelector: the policy's own namespace", &[&out(own)], web, "other");
    let both = "{to: [{namespaceSelector: {matchLabels: {user: alice}}, podSelector: {matchLabels: {role: client}}}]}";
    reaches("both in one item: both must match", &[&out(both)], web, "alice");
    let block = "{to: [{ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24]}}]}";
    reaches("ipBlock, less its exceptions", &[&out(block)], web, "frontend");
    reaches("a named port is the server's", &[&out("{ports: [{port: web}]}")], web, everybody);
    reaches("and no other", &[&out("{ports: [{port: web}]}")], (80, "TCP"), "");
}
