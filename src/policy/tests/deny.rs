//! Which namespaces are shut, which are not and why, and who is left without an allow.

use super::*;
use crate::cluster::model::{Entrance, NetworkPolicy as Deployed, ServiceRef};
use crate::policy::deny::{Denies, Deny, Wanted, denies};

fn wanted(safe: bool, named: &[&str]) -> Wanted {
    Wanted { safe, named: named.iter().map(ToString::to_string).collect() }
}

impl World {
    fn denies(&self, safe: bool, named: &[&str], options: &Options<'_>) -> Denies {
        let policies = self.build_with(options);
        denies(&policies, &self.cluster, options, &wanted(safe, named))
    }

    /// The namespaces that are shut, and what is said.
    #[track_caller]
    fn shuts(&self, safe: bool, named: &[&str], shut: &[&str], said: &[&str]) {
        let denies = self.denies(safe, named, &options());
        let namespaces = denies.list.iter().map(|deny| deny.object.metadata.namespace.clone());
        assert_eq!(namespaces.map(Option::unwrap).collect::<Vec<_>>(), shut);
        assert_eq!(denies.said, said);
    }
}

/// Two workloads of `shop` that ask each other.
fn closed() -> World {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let db = world.deployment("shop/db", "app=db");
    for (client, server, name) in [(web, db, "shop/db"), (db, web, "shop/web")] {
        let service = world.service(name, &[server], &[tcp(80)]);
        world.asked(client, service);
    }
    world
}

fn text(deny: &Deny) -> String {
    yaml::deny(deny).unwrap()
}

#[test]
fn nothing_is_shut_unasked() {
    closed().shuts(false, &[], &[], &[]);
}

#[test]
fn w02_a_deny_has_no_ingress_key_and_selects_every_pod() {
    let denies = closed().denies(true, &[], &options());
    assert_eq!(denies.said, [""; 0]);
    expect_test::expect![[r#"
        # kico wrote this from DNS lookups, and replaces or removes files that begin with this line
        # Namespace shop: nobody may connect to its pods but by another policy
        # apply it last, after the policies that let somebody in
        # traffic that DNS cannot show was looked for in: pods, Service
        # it was not looked for in what the snapshot holds none of: Ingress, Gateway, HTTPRoute, GRPCRoute, TCPRoute, TLSRoute, UDPRoute, ServiceMonitor, PodMonitor, ValidatingWebhookConfiguration, MutatingWebhookConfiguration, APIService
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata:
          labels:
            app.kubernetes.io/managed-by: kico
          name: default-deny-ingress
          namespace: shop
        spec:
          podSelector: {}
          policyTypes:
          - Ingress
    "#]]
    .assert_eq(&text(&denies.list[0]));
}

#[test]
fn kubectl_accepts_a_deny() {
    if !has_kubectl() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("deny.yaml");
    std::fs::write(&file, text(&closed().denies(true, &[], &options()).list[0])).unwrap();
    let mut kubectl = Command::new("kubectl");
    kubectl.args(["label", "--local", "-o", "json", "x=y", "-f"]).arg(&file);
    let output = kubectl.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["spec"], serde_json::json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
}

#[test]
fn a_namespace_is_shut_only_if_every_workload_has_a_complete_policy() {
    let why = |who: &str, why: &str| {
        format!("no default-deny in shop: these have no complete policy: {who} ({why})")
    };
    // Nobody asked.
    let mut world = closed();
    world.deployment("shop/idle", "app=idle");
    world.shuts(true, &[], &[], &[&why("Deployment/idle", "nobody asked for it")]);
    // Not even one that has no pod now; but what has ended for good is nobody.
    let mut world = closed();
    let cron = world.controller("CronJob", "shop/idle", "app=idle");
    world.finish(cron);
    let words = "nobody asked for it, and it has no pod now";
    world.shuts(true, &[], &[], &[&why("CronJob/idle", words)]);
    let mut world = closed();
    for job in [world.controller("Job", "shop/done", "app=a"), world.orphan("Pod", "shop/b", "b=b")]
    {
        world.finish(job);
    }
    world.shuts(true, &[], &["shop"], &[]);
    // Incomplete: a client that nobody knows, or what the snapshot shows.
    let mut world = closed();
    world.asked_as("Unknown", "10.9.9.9", 0);
    let reason = why("Deployment/db", "its policy is incomplete, and apart");
    world.shuts(true, &[], &[], &[&reason]);
    let mut world = closed();
    world.cluster.snapshot.services[0].kind = "LoadBalancer".into();
    world.shuts(true, &[], &[], &[&reason]);
    // Refused.
    let strict = Options { strict: true, ..options() };
    let denies = world.denies(true, &[], &strict);
    assert_eq!(denies.said, [why("Deployment/db", "its policy is refused")]);
    let mut world = closed();
    let cluster = &world.cluster;
    let host = cluster.workloads.iter().find(|(_, w)| w.name == "db").unwrap().0;
    world.pod(host).host_network = true;
    let words = "its pods use hostNetwork, where a NetworkPolicy has no effect";
    world.shuts(true, &[], &[], &[&why("Deployment/db", words)]);
    // What the evidence lacks, somebody may have asked for.
    let mut world = closed();
    world.deployment("shop/idle", "app=idle");
    let changed = Options { changed_evidence: vec!["--min-queries 3".into()], ..options() };
    let words = "nobody asked for it (what counts as evidence was changed by --min-queries 3)";
    assert_eq!(world.denies(true, &[], &changed).said, [why("Deployment/idle", words)]);
    let egress = Options { directions: &[Direction::Egress], ..options() };
    let denies = world.denies(true, &[], &egress);
    let [said] = &denies.said[..] else { panic!("{:?}", denies.said) };
    assert!(said.contains("Deployment/idle (no ingress policy was asked for)"), "{said}");
}

#[test]
fn other_namespaces_do_not_keep_one_open_and_each_is_said_once() {
    let mut world = closed();
    world.deployment("bank/vault", "app=vault");
    world.deployment("bank/till", "app=till");
    let line = "no default-deny in bank: these have no complete policy: Deployment/vault (nobody \
                asked for it), Deployment/till (nobody asked for it)";
    world.shuts(true, &[], &["shop"], &[line]);
    // Only what was asked for is looked at, and only what is written is an allow.
    let web = world.cluster.workloads.iter().find(|(_, w)| w.name == "web").unwrap().0;
    let some = Options { subjects: &|id| id == web, ..options() };
    let denies = world.denies(true, &[], &some);
    let line = "no default-deny in shop: these have no complete policy: Deployment/db (its policy \
                was not asked for)";
    assert_eq!((denies.list.len(), denies.said), (0, vec![line.into()]));
}

#[test]
fn what_the_cluster_leans_on_is_shut_only_by_name() {
    // As complete as can be, and in kube-system.
    let mut world = closed();
    for workload in &mut world.cluster.workloads.list {
        workload.namespace = "kube-system".into();
    }
    for service in &mut world.cluster.snapshot.services {
        service.meta.namespace = "kube-system".into();
    }
    world.shuts(true, &[], &[], &["no default-deny in kube-system: it is the cluster's own"]);
    world.shuts(true, &["kube-system"], &["kube-system"], &[]);
    // Whatever the API server calls there.
    for kind in ["APIService", "MutatingWebhookConfiguration"] {
        let mut world = closed();
        world.cluster.snapshot.entrances.push(Entrance {
            kind: kind.into(),
            meta: Meta { name: "x".into(), ..Meta::default() },
            services: vec![ServiceRef {
                namespace: "shop".into(),
                name: "gone".into(),
                port: None,
            }],
        });
        let said =
            format!("no default-deny in shop: the API server calls Services in it, by {kind} x");
        world.shuts(true, &[], &[], &[&said]);
        world.shuts(false, &["shop"], &["shop"], &[]);
    }
    // DNS pods, wherever they are.
    let mut world = closed();
    world.cluster.snapshot.dns_namespaces = vec!["shop".into()];
    world.cluster.dns_services = vec![0];
    let denies = world.denies(true, &[], &options());
    assert_eq!(denies.list, []);
    assert!(denies.said[0].contains("no default-deny in shop: it holds the cluster's DNS; "));
    world.shuts(
        false,
        &["shop"],
        &["shop"],
        &["default-deny in shop leaves Deployment shop/db without an allow: it answers the \
           cluster's lookups, which every workload needs"],
    );
}

#[test]
fn a_namespace_that_is_named_is_shut_and_everybody_who_is_left_out_is_named() {
    let mut world = closed();
    world.asked_as("Unknown", "10.9.9.9", 0);
    let many: Vec<String> = (10..40).map(|n| format!("shop/idle-{n}")).collect();
    for name in &many {
        world.deployment(name, &format!("app={name}"));
    }
    let leaves = |who: &str, why: &str| {
        format!("default-deny in shop leaves Deployment {who} without an allow: {why}")
    };
    let mut said = vec![leaves("shop/db", "its policy is incomplete, and apart")];
    said.extend(many.iter().map(|name| leaves(name, "nobody asked for it")));
    let denies = world.denies(false, &["shop"], &options());
    assert_eq!(denies.said, said);
    let text = text(&denies.list[0]);
    for name in &many {
        let line = format!("\n# left without an allow: Deployment {name}: nobody asked for it\n");
        assert!(text.contains(&line), "{name}: {text}");
    }
    // A namespace that holds nothing is shut if it is named.
    world.cluster.snapshot.namespaces.push(Meta { name: "empty".into(), ..Meta::default() });
    world.shuts(false, &["empty"], &["empty"], &[]);
    let denies = world.denies(true, &[], &options());
    assert!(!denies.said.iter().any(|line| line.contains("empty")));
}

#[test]
fn the_comment_says_what_is_there_already_and_what_changed_the_evidence() {
    let mut world = closed();
    world.deployment("shop/idle", "app=idle");
    for name in ["theirs", "default-deny-ingress"] {
        let meta = Meta { namespace: "shop".into(), name: name.into(), ..Meta::default() };
        world.cluster.snapshot.policies.push(Deployed { meta, ..Deployed::default() });
    }
    let changed = vec!["--min-queries 3".to_owned()];
    let denies =
        world.denies(false, &["shop"], &Options { changed_evidence: changed, ..options() });
    let comment = denies.list[0].comment.join("\n");
    for line in [
        "the cluster's own policies select Deployment/idle already: theirs\n",
        "it replaces the policy of this name that the cluster has\n",
        "what counts as evidence was changed by: --min-queries 3\n",
    ] {
        assert!(comment.contains(line), "{line}: {comment}");
    }
}

#[test]
fn a_deny_never_takes_the_name_of_a_workloads_policy() {
    let mut world = World::new();
    let own = world.orphan("Deny", "shop/default", "app=x");
    let service = world.service("shop/x", &[own], &[tcp(80)]);
    world.asked(own, service);
    let line = "no default-deny in shop: a workload's policy is called default-deny-ingress there";
    world.shuts(false, &["shop"], &[], &[line]);
    world.shuts(true, &[], &[], &[line]);
}
