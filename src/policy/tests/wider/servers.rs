//! Servers that are not what they seem, and what is said where the policies are.

use k8s_openapi::api::networking::v1::NetworkPolicySpec;

use super::*;
use crate::cluster::model::{Endpoint, EndpointSlice, NetworkPolicy};

#[test]
fn w21_policies_that_select_the_pods_already_are_named() {
    let (mut world, ..) = sock_shop();
    let mut policy = |namespace: &str, name: &str, selector: &str, types: Option<&str>| {
        world.cluster.snapshot.policies.push(NetworkPolicy {
            meta: Meta { namespace: namespace.into(), name: name.into(), ..Meta::default() },
            spec: NetworkPolicySpec {
                pod_selector: Some(LabelSelector {
                    match_labels: Some(labels(selector).to_map()),
                    match_expressions: None,
                }),
                policy_types: types.map(|kind| vec![kind.into()]),
                ..NetworkPolicySpec::default()
            },
        });
    };
    policy("sock-shop", "allow-all", "", None);
    policy("sock-shop", "db", "app=user-db", Some("Ingress"));
    policy("sock-shop", "egress", "app=user-db", Some("Egress"));
    policy("sock-shop", "others", "app=user", Some("Ingress"));
    policy("billing", "elsewhere", "", Some("Ingress"));
    // What this run replaces adds nothing; what an earlier one left there does.
    policy("sock-shop", "user-db-deployment-ingress", "app=user-db", Some("Ingress"));
    policy("sock-shop", "user-deployment-ingress", "app=user-db", Some("Ingress"));
    let comment = &world.build().complete[0].comment;
    let line = comment.iter().find(|line| line.contains("add up")).unwrap();
    assert!(line.ends_with("already: allow-all, db, user-deployment-ingress"), "{line}");
}

#[test]
fn w22_a_service_that_no_snapshot_has_is_refused() {
    let (mut world, ..) = sock_shop();
    let server = Arc::make_mut(&mut world.report.connections[0].server);
    (server.service, server.in_snapshot) = (None, Some(false));
    server.name = "user-db-typo".into();
    world.cluster.snapshot.given = true;
    world.refuses("kubectl get pods,services,namespaces,endpointslices");
}

#[test]
fn w23_an_endpoints_name_opens_its_whole_service_and_says_so() {
    let (mut world, ..) = sock_shop();
    world.renamed("db-0.user-db.sock-shop.svc.cluster.local");
    world.report.connections[0].status = vec![Status::Widened];
    let comment = &world.build().complete[0].comment;
    assert!(comment.iter().any(|line| line.ends_with("; widened")), "{comment:?}");
}

#[test]
fn w24_servers_that_are_not_their_own_pods_are_refused() {
    let (mut world, ..) = sock_shop();
    world.cluster.snapshot.services[0].kind = "ExternalName".into();
    world.refuses("ExternalName");
    let (mut world, ..) = sock_shop();
    world.cluster.snapshot.services[0].selector = labels("");
    world.refuses("no selector");
    let (mut world, ..) = sock_shop();
    world.cluster.snapshot.services[0].external_ips = vec!["203.0.113.7".into()];
    world.refuses("externalIPs");
    let (mut world, ..) = sock_shop();
    world.cluster.backends[0].workloads.clear();
    world.refuses("stands behind it");
}

#[test]
fn w21_a_policy_of_somebody_else_that_it_would_replace_is_said() {
    let (mut world, ..) = sock_shop();
    let said = |world: &World| world.build().complete[0].comment.join("\n").contains("its place");
    let there = |namespace: &str, owner: &str| NetworkPolicy {
        meta: Meta {
            namespace: namespace.into(),
            name: "user-db-deployment-ingress".into(),
            labels: labels(owner),
            ..Meta::default()
        },
        ..NetworkPolicy::default()
    };
    let manager = "app.kubernetes.io/managed-by";
    for (namespace, owner, expected) in [
        ("sock-shop", "".to_owned(), true),
        ("sock-shop", format!("{manager}=Helm"), true),
        ("sock-shop", format!("{manager}=kico"), false),
        ("bank", "".to_owned(), false),
    ] {
        world.cluster.snapshot.policies = vec![there(namespace, &owner)];
        assert_eq!(said(&world), expected, "{namespace} {owner}");
    }
}

#[test]
fn w24_endpoints_that_are_foreign_are_named_and_open_nothing() {
    let (mut world, ..) = sock_shop();
    let foreign = "10.244.0.9, Pod kube-system/etcd".to_owned();
    world.cluster.backends[0].foreign.push(foreign);
    let policies = world.build();
    assert_eq!(policies.complete.len(), 1);
    assert!(policies.refused[0].reason.contains("Pod kube-system/etcd"), "{:?}", policies.refused);
}

#[test]
fn w26_a_threshold_is_said_in_the_comment() {
    let world = sock_shop().0;
    let changed = vec!["--min-queries 3".into(), "--since 2026-01-02".into()];
    let policies = world.build_with(&Options { changed_evidence: changed, ..options() });
    let comment = &policies.complete[0].comment;
    assert!(comment.iter().any(|l| l.ends_with("by: --min-queries 3 --since 2026-01-02")));
}

#[test]
fn w29_what_was_left_out_is_said_where_the_policies_are() {
    let (mut world, _, _, service) = sock_shop();
    let bare = world.orphan("Pod", "sock-shop/bare", "");
    let lost = world.service("sock-shop/lost", &[bare], &[tcp(80)]);
    world.asked(bare, service);
    world.asked(bare, lost);
    let mut out = Vec::new();
    write::stream(&world.build(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("---\n# INCOMPLETE: Pod sock-shop/bare asked for it"), "{text}");
    assert!(text.contains("\n# refused: Pod sock-shop/bare: it has no lasting label"), "{text}");
}

#[test]
fn w30_a_cluster_that_enforces_no_policy_is_named_and_host_network_is_refused() {
    let (mut world, _, db, _) = sock_shop();
    world.controller("DaemonSet", "kube-flannel/kube-flannel-ds", "app=flannel");
    assert!(world.build().notes[0].contains("flannel"));
    world.pod(db).host_network = true;
    world.refuses("hostNetwork");
    world.pod(db).host_network = false;
    world.control(db).template_host_network = true;
    world.refuses("hostNetwork");
}

#[test]
fn w24_whose_pods_are_foreign_endpoints_is_incomplete_and_knows_who_asked() {
    let (mut world, user, db, service) = sock_shop();
    let web = world.deployment("sock-shop/web", "app=web");
    let other = world.service("sock-shop/other", &[user], &[tcp(80)]);
    let address: IpAddr = "10.1.0.9".parse().unwrap();
    world.pod(db).addresses = vec![address];
    world.cluster.backends[other].foreign.push("10.1.0.9 (no pod)".into());
    let endpoint = Endpoint { addresses: vec![address], ..Endpoint::default() };
    let slice = EndpointSlice { endpoints: vec![endpoint], ..EndpointSlice::default() };
    world.cluster.snapshot.slices = vec![slice];
    world.cluster.slices = vec![vec![], vec![0]];
    world.asked(web, other);
    let policies = world.build();
    let names = |list: &[Policy]| -> Vec<String> {
        list.iter().filter_map(|policy| policy.object.metadata.name.clone()).collect()
    };
    assert_eq!(names(&policies.complete), ["user-deployment-ingress"]);
    assert_eq!(names(&policies.incomplete), ["user-db-deployment-ingress"]);
    let said = "a Service that does not select its pods, and somebody wrote those down as endpoints: Deployment sock-shop/web";
    assert!(policies.incomplete[0].incomplete[0].ends_with(said), "{policies:?}");
    // The Service's own pods are not foreign, and nobody's are once they are gone.
    world.asked(web, service);
    world.finish(db);
    assert_eq!(names(&world.build().incomplete), [""; 0]);
}

#[test]
fn w24_who_asked_for_an_alias_of_it_is_left_out_and_named() {
    let (mut world, _, _, service) = sock_shop();
    let web = world.deployment("billing/web", "app=web");
    let alias = world.alias("billing/db", "user-db.sock-shop.svc.cluster.local");
    let second = world.alias("billing/db2", "db.billing.svc.cluster.local.");
    world.asked(web, second);
    let policy = world.leaves_out("an ExternalName that leads to it, and whoever may write that says where it leads: Deployment billing/web");
    assert_eq!(items(&policy).len(), 1);
    let said = &world.build().refused[0];
    assert_eq!(
        (said.object.as_str(), said.reason.as_str()),
        (
            "Service billing/db2",
            "it is an ExternalName that leads to Service sock-shop/user-db: that is no evidence"
        )
    );
    // Pods that somebody wrote down behind it are reached as well.
    let (of, pod) =
        (&mut world.cluster.snapshot.services[service], &mut world.cluster.snapshot.pods[1]);
    of.selector = labels("");
    world.cluster.backends[service].workloads.clear();
    pod.addresses = vec!["10.1.0.9".parse().unwrap()];
    world.cluster.slices = vec![vec![0]];
    let endpoint = Endpoint { addresses: pod.addresses.clone(), ..Endpoint::default() };
    world.cluster.snapshot.slices =
        vec![EndpointSlice { endpoints: vec![endpoint], ..EndpointSlice::default() }];
    world.report.connections.remove(0);
    let refused = world.build().refused;
    assert!(
        refused
            .iter()
            .any(|r| r.object.ends_with("user-db")
                && r.reason.contains("ExternalName that leads to it")),
        "{refused:?}"
    );
    // One that leads away is nobody's.
    world.cluster.snapshot.services[alias].external_name = "db.example.org".into();
    world.refuses("outside the cluster");
}
