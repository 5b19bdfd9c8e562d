//! Every way in which an egress policy can be wider than its evidence (POLICY_RULES 2), each by its number. Of those that
//! have no row here, W14-W17, W22, W24 and W25 are in `unsayable`, W31 is in `dns`, and W27 no selector can help.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

use super::*;
use crate::cluster::model::Hidden;

/// `user` and its peers, which have bare names.
const USER: &str = "sock-shop/user-deployment-egress of app=user";
const TO_DB: &str = "to sock-shop:app=user-db 27017/TCP";

#[test]
fn w01_egress_a_subject_without_lasting_labels_is_refused() {
    for labels in ["", "pod-template-hash=1,controller-revision-hash=2"] {
        let mut world = World::new();
        world.dns(53);
        let db = world.deployment("shop/db", "app=db");
        let web = world.orphan("Pod", "shop/web", labels);
        let service = world.service("shop/db", &[db], &[tcp(80)]);
        world.asked(web, service);
        let why = "it has no lasting label to select it by; give its pods one";
        check(&world, &[&format!("refused: Pod shop/web: no egress policy: {why}")]);
    }
    let (mut world, user, ..) = shop();
    world.control(user).selector = Some(LabelSelector::default());
    world.refuses_egress("no lasting label");
}

#[test]
fn w02_egress_without_a_peer_there_is_no_policy() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    world.dns(53);
    world.asked_outside(web, "api.example.org");
    world.refuses_egress("nothing that it asked for can be a peer");
    world.refuses_egress("api.example.org");
}

#[test]
fn w03_w05_egress_a_peer_without_lasting_labels_is_left_out_and_no_namespace_stands_for_it() {
    let (mut world, user, ..) = shop();
    let odd = world.orphan("Widget", "shop/odd", "pod-template-hash=1");
    let service = world.service("shop/odd", &[odd], &[tcp(80)]);
    world.asked(user, service);
    let lacks = "lacks: it asked for Widget shop/odd: it has no lasting label to select it by; give its pods one";
    check(&world, &[USER, TO_DB, lacks]);
}

#[test]
fn w04_w06_w07_w08_egress_each_peer_is_one_item_of_namespace_name_and_labels() {
    let (mut world, user, ..) = shop();
    // The same labels in three namespaces, one of them the client's own: two of them were asked for.
    world.deployment("sock-shop/api", "app=api");
    world.deployment("quiet/api", "app=api");
    for namespace in ["billing", "audit"] {
        let api = world.deployment(&format!("{namespace}/api"), "app=api");
        let service = world.service(&format!("{namespace}/api"), &[api], &[tcp(80)]);
        world.asked(user, service);
        // What somebody wrote on a namespace, others can write on theirs.
        world.cluster.snapshot.namespaces.push(Meta {
            name: namespace.into(),
            labels: labels(&format!("team=red,kubernetes.io/metadata.name={namespace}")),
            ..Meta::default()
        });
    }
    check(&world, &[USER, "to billing:app=api 80/TCP", "to audit:app=api 80/TCP", TO_DB]);
}

#[test]
fn w09_egress_without_known_ports_there_is_no_peer() {
    let (mut world, user, ..) = shop();
    let api = world.deployment("shop/api", "app=api");
    let service = world.service("shop/api", &[api], &[]);
    world.asked(user, service);
    let lacks = "lacks: no ports are known of what it asked for: Service shop/api";
    check(&world, &[USER, TO_DB, lacks]);
}

#[test]
fn w10_w11_egress_ports_are_the_peers_own_and_a_name_only_where_its_pods_disagree() {
    let (mut world, user, ..) = shop();
    let api = world.deployment("shop/api", "app=api");
    let port = Port { port: PodPort::Name("http".into()), ..named("web", 0, Protocol::Tcp) };
    let service = world.service("shop/api", &[api], &[port]);
    world.asked(user, service);
    check(&world, &[USER, TO_DB, "to shop:app=api http/TCP"]);
}

#[test]
fn w10_egress_srv_names_narrow_the_ports() {
    let (mut world, user, db, _) = shop();
    let ports = [named("sql", 27017, Protocol::Tcp), named("admin", 9000, Protocol::Tcp)];
    let service = world.service("sock-shop/db", &[db], &ports);
    world.report.connections.clear();
    world.asked(user, service);
    let proof = world.renamed("_sql._tcp.db.sock-shop.svc.cluster.local");
    proof.ports = proof.ports[..1].into();
    check(&world, &[USER, TO_DB]);
}

#[test]
fn w12_egress_the_protocol_always_stands_there_and_no_range_does() {
    let (mut world, user, ..) = shop();
    let api = world.deployment("shop/api", "app=api");
    let udp = Port { protocol: Protocol::Udp, ..tcp(8080) };
    let sctp = Port { protocol: Protocol::Sctp, ..tcp(8083) };
    let ports = [tcp(8080), tcp(8081), tcp(8082), udp, sctp];
    let service = world.service("shop/api", &[api], &ports);
    world.asked(user, service);
    let to = "to shop:app=api 8080/TCP,8080/UDP,8081/TCP,8082/TCP,8083/SCTP";
    check(&world, &[USER, to, TO_DB]);
}

#[test]
fn w12_egress_a_port_that_no_pod_can_have_is_none() {
    for port in [PodPort::Number(0), PodPort::Name("8080".into()), PodPort::Name("a\nb".into())] {
        let (mut world, ..) = shop();
        world.cluster.backends[0].workloads[0].ports = vec![Port { port, ..tcp(1) }];
        world.refuses_egress("no ports are known");
    }
}

#[test]
fn w13_egress_policy_types_say_egress_and_nothing_else() {
    let (policy, _) = shop().0.one();
    assert_eq!(policy["spec"]["policyTypes"], Value::from(vec!["Egress"]));
    assert!(policy["spec"].get("ingress").is_none());
}

#[test]
fn w18_egress_a_peer_or_subject_whose_labels_fit_strangers_is_refused_and_they_are_named() {
    let (mut world, ..) = shop();
    world.deployment("sock-shop/other", "app=user-db,track=canary");
    world.refuses_egress(
        "its labels also fit pods that were not asked for, of Deployment sock-shop/other",
    );
    let (mut world, ..) = shop();
    world.deployment("sock-shop/other", "app=user,track=canary");
    world.refuses_egress("the policy's selector also fits pods that did not ask for it");
}

#[test]
fn w19_egress_ports_of_one_peer_are_not_given_to_another() {
    let (mut world, user, ..) = shop();
    let api = world.deployment("shop/api", "app=api");
    let service = world.service("shop/api", &[api], &[tcp(80)]);
    world.asked(user, service);
    check(&world, &[USER, "to shop:app=api 80/TCP", TO_DB]);
}

#[test]
fn w20_egress_workloads_behind_one_service_are_peers_by_their_own_selectors() {
    let (mut world, user, ..) = shop();
    let stable = world.deployment("shop/api", "app=api,track=stable");
    let canary = world.deployment("shop/api-canary", "app=api,track=canary");
    // It selects more than is behind it: the Service's own selector is in no policy.
    world.deployment("shop/batch", "app=api,track=batch");
    let service = world.service("shop/api", &[stable, canary], &[tcp(80)]);
    world.cluster.snapshot.services[service].selector = labels("app=api");
    world.asked(user, service);
    check(
        &world,
        &[
            USER,
            "to shop:app=api,track=stable 80/TCP",
            "to shop:app=api,track=canary 80/TCP",
            TO_DB,
        ],
    );
}

#[test]
fn w20_egress_the_controllers_expressions_are_kept_on_either_side() {
    let (mut world, user, db, _) = shop();
    for (id, app) in [(user, "app=user"), (db, "app=user-db")] {
        let requirement = LabelSelectorRequirement {
            key: "track".into(),
            operator: "NotIn".into(),
            values: Some(vec!["canary".into(), "beta".into()]),
        };
        world.control(id).selector = Some(LabelSelector {
            match_labels: Some(labels(app).to_map()),
            match_expressions: Some(vec![requirement]),
        });
    }
    check(
        &world,
        &[
            "sock-shop/user-deployment-egress of app=user,track NotIn canary beta",
            "to sock-shop:app=user-db,track NotIn canary beta 27017/TCP",
        ],
    );
}

#[test]
fn w21_egress_policies_that_select_the_client_already_are_named() {
    use crate::cluster::model::NetworkPolicy as Deployed;
    let (mut world, ..) = shop();
    for (name, kind) in [("in", "Ingress"), ("out", "Egress")] {
        let mut policy = Deployed::default();
        (policy.meta.namespace, policy.meta.name) = ("sock-shop".into(), name.into());
        policy.spec.policy_types = Some(vec![kind.into()]);
        world.cluster.snapshot.policies.push(policy);
    }
    let comment = world.build_with(&egress()).complete[0].comment.join("\n");
    assert!(comment.contains("select its pods already: out"), "{comment}");
}

#[test]
fn w23_egress_an_endpoints_name_leads_to_its_whole_service_and_says_so() {
    let (mut world, ..) = shop();
    world.renamed("db-0.user-db.sock-shop.svc.cluster.local");
    world.report.connections[0].status = vec![Status::Widened];
    check(&world, &[USER, TO_DB]);
    let comment = &world.build_with(&egress()).complete[0].comment;
    let line = "to: Deployment sock-shop/user-db: db-0.user-db.sock-shop.svc.cluster.local; 27017/TCP by EndpointSlice; widened";
    assert!(comment.iter().any(|l| l == line), "{comment:?}");
}

#[test]
fn w26_egress_a_threshold_is_said_in_the_comment() {
    let world = shop().0;
    let changed = vec!["--min-queries 3".into(), "--since 2026-01-02".into()];
    let policies = world.build_with(&Options { changed_evidence: changed, ..egress() });
    let comment = &policies.complete[0].comment;
    assert!(comment.iter().any(|l| l.ends_with("by: --min-queries 3 --since 2026-01-02")));
}

#[test]
fn w28_egress_odd_label_values_of_either_side_are_read_back_as_they_were() {
    for odd in ["yes", "1e3", "0x1f", "null", "1_000", "1.20", "true", "0123", "0o7", ""] {
        let mut world = World::new();
        world.dns(53);
        let web = world.deployment("shop/web", &format!("app=web,v={odd}"));
        let db = world.deployment("shop/db", &format!("app=db,v={odd}"));
        let service = world.service("shop/db", &[db], &[tcp(80)]);
        world.asked(web, service);
        check(
            &world,
            &[
                &format!("shop/web-deployment-egress of app=web,v={odd}"),
                &format!("to shop:app=db,v={odd} 80/TCP"),
            ],
        );
    }
}

#[test]
fn w29_egress_what_was_left_out_is_said_where_the_policies_are() {
    let (mut world, user, _, service) = shop();
    let bare = world.orphan("Pod", "sock-shop/bare", "");
    world.asked(bare, service);
    world.asked_outside(user, "api.example.org");
    let mut out = Vec::new();
    write::stream(&world.build_with(&egress()), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let first = "---\n# INCOMPLETE: it asked for names outside the cluster, which no NetworkPolicy can say: api.example.org\n";
    assert!(text.starts_with(first), "{text}");
    let refused = "\n# refused: Pod sock-shop/bare: no egress policy: it has no lasting label";
    assert!(text.contains(refused), "{text}");
}

#[test]
fn w30_egress_a_cluster_that_enforces_no_policy_is_named() {
    // What hostNetwork does to either side: w15_egress.
    let (mut world, ..) = shop();
    let said = "flannel alone, which enforces no NetworkPolicy";
    let says = |world: &World| world.build_with(&egress()).notes.join("\n").contains(said);
    assert!(!says(&world));
    world.controller("DaemonSet", "kube-flannel/kube-flannel-ds", "app=flannel");
    assert!(says(&world));
    world.controller("DaemonSet", "kube-system/canal", "app=canal");
    assert!(!says(&world));
}

#[test]
fn a_pod_that_could_not_be_read_counts_beside_the_subject_the_peers_and_the_dns() {
    for (namespace, is_complete) in [("shop", false), ("kube-system", false), ("bank", true)] {
        let mut world = World::new();
        world.dns(53);
        let web = world.deployment("shop/web", "app=web");
        let api = world.deployment("shop/api", "app=api");
        let service = world.service("shop/api", &[api], &[named("http", 8080, Protocol::Tcp)]);
        world.asked(web, service);
        world.cluster.snapshot.hidden =
            vec![Hidden { object: "Pod x".into(), namespace: Some(namespace.into()), pods: true }];
        assert_eq!(world.one().1.is_empty(), is_complete, "{namespace}");
    }
}
