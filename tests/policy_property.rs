//! A policy allows exactly what its evidence says, closed over workloads: random clusters and logs, through kico,
//! written as YAML, read again, and judged by an evaluator that shares no code with it.
//!
//! `KICO_CLUSTERS=100000 cargo test --release --test policy_property` looks longer.

mod evaluator;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use evaluator::{Attempt, Labels, Pod, Verdict, ingress};
use kico::cluster::Cluster;
use kico::connections::{self, join};
use kico::policy::{self, Direction, Policies, yaml};
use serde_yaml::Value;
use world::World;

/// (client pod, server pod, port, protocol), pods by index.
type Allowed = BTreeSet<(usize, usize, u16, &'static str)>;

#[test]
fn policies_allow_exactly_the_closure_of_their_evidence() {
    let clusters =
        std::env::var("KICO_CLUSTERS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
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
    assert!(found.refused * 4 > clusters && found.allowed > clusters * 10, "{found:?}");
}

/// What the clusters held.
#[derive(Debug, Default)]
struct Found {
    complete: u64,
    incomplete: u64,
    refused: u64,
    allowed: u64,
}

impl Found {
    fn add(&mut self, more: Found) {
        self.complete += more.complete;
        self.incomplete += more.incomplete;
        self.refused += more.refused;
        self.allowed += more.allowed;
    }
}

/// One cluster.
fn check(number: u64) -> Found {
    let world = World::new(number);
    let cluster = Cluster::new(world.snapshot(), &[]);
    let policies = build(&world, &cluster, None);
    let truth = world.truth();

    let documents = documents(&policies);
    let allowed = allowed(&world, &documents);
    let expected = world.expected(&truth);
    let show = |set: &mut dyn Iterator<Item = &(usize, usize, u16, &'static str)>| -> Vec<String> {
        set.map(|(client, server, port, protocol)| {
            format!("{} → {} {port}/{protocol}", world.pods[*client].name, world.pods[*server].name)
        })
        .collect()
    };
    let wider = show(&mut allowed.difference(&expected));
    let narrower = show(&mut expected.difference(&allowed));
    assert!(
        wider.is_empty() && narrower.is_empty(),
        "cluster {number}\nwider: {wider:#?}\nnarrower: {narrower:#?}\n{}\n{world:#?}",
        text(&policies)
    );

    // A policy that is called complete leaves out nothing that was seen.
    for policy in &policies.complete {
        let of = cluster.workloads.get(policy.workload);
        let subject = (of.namespace.clone(), of.kind.clone(), of.name.clone());
        let left_out = truth.left_out(&world, &subject);
        assert!(
            left_out.is_empty(),
            "cluster {number}: {subject:?} lacks {left_out:?}\n{}",
            text(&policies)
        );
    }

    // Less evidence never allows more.
    let fewer = build(&world, &cluster, Some(number));
    let less = self::allowed(&world, &self::documents(&fewer));
    let more = show(&mut less.difference(&allowed));
    assert!(more.is_empty(), "cluster {number}, rows removed: {more:#?}\n{}", text(&fewer));

    Found {
        complete: policies.complete.len() as u64,
        incomplete: policies.incomplete.len() as u64,
        refused: policies.refused.len() as u64,
        allowed: allowed.len() as u64,
    }
}

fn build(world: &World, cluster: &Cluster, without: Option<u64>) -> Policies {
    let report = join(&world.tally(without), cluster, connections::Options::default());
    let options = policy::Options {
        strict: false,
        allow_nodes: false,
        evidence: true,
        changed_evidence: Vec::new(),
        directions: &[Direction::Ingress],
        subjects: &|_| true,
        clients: &|_| true,
    };
    policy::build(&report, cluster, &options)
}

fn documents(policies: &Policies) -> Vec<Value> {
    let all = policies.complete.iter().chain(&policies.incomplete);
    all.map(|policy| {
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

/// Everything that some rule allows, over all pairs of pods and all ports that anybody has, and one that nobody has.
fn allowed(world: &World, policies: &[Value]) -> Allowed {
    let pods: Vec<Pod> = world.pods.iter().map(|pod| pod.seen()).collect();
    let namespaces = world.namespaces();
    let mut allowed = Allowed::new();
    for (s, server) in pods.iter().enumerate().filter(|(s, _)| !world.pods[*s].finished) {
        for (c, client) in pods.iter().enumerate().filter(|(c, _)| !world.pods[*c].finished) {
            for (port, protocol) in world::PORTS {
                let attempt = Attempt { client, server, port, protocol };
                if ingress(policies, &namespaces, attempt) == Verdict::Allowed {
                    allowed.insert((c, s, port, protocol));
                }
            }
        }
    }
    allowed
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
}
