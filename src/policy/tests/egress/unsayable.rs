//! What an egress policy cannot say, or cannot be sure of: it is listed, the policy is incomplete, and nothing is widened.

use super::*;
use crate::connections::FailedLookup;

#[test]
fn w14_w24_egress_hand_written_endpoints_are_single_addresses_with_their_own_ports() {
    let (mut world, user, ..) = shop();
    let slices: [(&[&str], u16); 2] =
        [(&["192.0.2.7", "::ffff:192.0.2.8"], 6443), (&["2001:db8::1"], 443)];
    let api = world.by_hand("default/kubernetes", &slices);
    world.asked(user, api);
    let (policy, reasons) = world.one();
    assert_eq!(reasons, [""; 0]);
    let expected =
        [DNS, "2001:db8::1/128 443/TCP", "192.0.2.7/32 6443/TCP", "192.0.2.8/32 6443/TCP"];
    assert_eq!(rules(&policy)[..4], expected);
    let comment = world.build_with(&egress()).complete[0].comment.join("\n");
    assert!(comment.contains("6443/TCP by EndpointSlice; unstable"), "{comment}");
}

#[test]
fn w24_egress_endpoints_that_are_no_lasting_address_are_left_out() {
    let (mut world, user, db, _) = shop();
    world.pod(db).addresses = vec!["10.1.0.9".parse().unwrap()];
    world.cluster.snapshot.nodes.push(crate::cluster::model::Node {
        pod_cidrs: vec!["10.1.0.0/24".parse().unwrap()],
        ..Default::default()
    });
    let addresses: [(&[&str], u16); 1] =
        [(&["10.1.0.9", "10.1.0.77", "127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"], 80)];
    let service = world.by_hand("shop/leader", &addresses);
    world.asked(user, service);
    let (policy, reasons) = world.one();
    // A pod's address stands for its workload.
    let expected = [DNS, "sock-shop:app=user-db 80/TCP,27017/TCP"];
    assert_eq!(rules(&policy), expected);
    for address in ["10.1.0.77", "127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"] {
        assert!(reasons[0].contains(address), "{reasons:?}");
    }
    // Of a pod that is gone: whoever has the address next was not asked for.
    world.finish(db);
    assert!(world.one().1.iter().any(|reason| reason.contains("10.1.0.9")));
}

#[test]
fn w24_egress_what_no_policy_can_say_is_listed_and_never_widened() {
    type Change = fn(&mut World, usize);
    let cases: [(Change, &str); 5] = [
        (|w, s| w.cluster.snapshot.services[s].kind = "ExternalName".into(), "ExternalName"),
        (
            |w, s| w.cluster.snapshot.services[s].external_ips = vec!["192.0.2.1".into()],
            "externalIPs",
        ),
        (|w, s| w.cluster.backends[s].foreign = vec!["10.9.9.9".into()], "not its own pods"),
        (|w, s| w.cluster.backends[s].workloads.clear(), "no pod and no template"),
        (|w, s| w.cluster.snapshot.services[s].selector = labels(""), "has no endpoints of it"),
    ];
    for (change, part) in cases {
        let (mut world, user, ..) = shop();
        let api = world.deployment("shop/api", "app=api");
        let service = world.service("shop/api", &[api], &[tcp(80)]);
        world.asked(user, service);
        change(&mut world, service);
        world.lacks(part);
        let rules = rules(&world.one().0);
        assert!(!rules.iter().any(|rule| rule.contains('/') && rule.contains("/32")), "{rules:?}");
    }
    let (mut world, user, ..) = shop();
    world.asked_outside(user, "api.example.org");
    world.lacks("outside the cluster, which no NetworkPolicy can say: api.example.org");
    assert_eq!(rules(&world.one().0).len(), 2);
}

#[test]
fn w24_egress_an_alias_into_the_cluster_is_no_peer_and_said_for_what_it_is() {
    let (mut world, user, ..) = shop();
    for (target, part) in [
        (
            "user-db.sock-shop.svc.cluster.local",
            "says where it leads: Service shop/alias, to Service sock-shop/user-db",
        ),
        (
            "gone.sock-shop.svc.cluster.local",
            "Service shop/alias, to what the snapshot does not have",
        ),
        ("db.example.org", "whose answer is outside the cluster: Service shop/alias"),
    ] {
        let alias = world.alias("shop/alias", target);
        world.asked(user, alias);
        world.lacks(part);
        assert_eq!(rules(&world.one().0), [DNS, "sock-shop:app=user-db 27017/TCP"]);
        world.report.connections.pop();
    }
}

#[test]
fn w15_egress_servers_and_clients_on_host_network_have_none() {
    let (mut world, user, ..) = shop();
    let agent = world.deployment("shop/agent", "app=agent");
    world.pod(agent).host_network = true;
    let service = world.service("shop/agent", &[agent], &[tcp(80)]);
    world.asked(user, service);
    world.lacks(
        "pods on hostNetwork, whose nodes' addresses no selector matches: Deployment shop/agent",
    );
    world.control(user).template_host_network = true;
    world.refuses_egress("its pods use hostNetwork");
}

#[test]
fn w16_egress_lookups_through_a_cache_or_elsewhere_leave_it_incomplete() {
    let (mut world, user, _, service) = shop();
    world.pod(user).node = "n1".into();
    world.asked_as("DNSCache", "n2", service);
    assert_eq!(world.one().1, [""; 0]);
    world.asked_as("DNSCache", "n1", service);
    world.lacks("a DNS cache asks for the pods of their node; capture the caches' own logs: n1");
    // What owns a pod may be of a kind of that name.
    let (mut world, user, _, service) = shop();
    world.pod(user).node = "n1".into();
    for kind in ["DNSCache", "Unknown"] {
        let odd = world.orphan(kind, "shop/n1", "app=odd");
        world.asked(odd, service);
    }
    let policies = world.build_with(&egress());
    assert!(policies.incomplete.is_empty(), "{policies:?}");
    assert!(!policies.notes.iter().any(|note| note.contains("asked too")), "{policies:?}");
    for (policy, istio) in [("Default", false), ("None", false), ("ClusterFirst", true)] {
        let (mut world, user, ..) = shop();
        let pod = world.pod(user);
        (pod.dns_policy, pod.istio_dns) = (policy.into(), istio);
        world.lacks("its lookups need not reach the cluster's DNS");
    }
}

#[test]
fn w17_egress_who_may_have_asked_for_more_has_an_incomplete_policy() {
    let (mut world, user, _, service) = shop();
    let connection = world.asked_as("Ambiguous", "a;b", service);
    Arc::make_mut(&mut connection.client).candidates = vec![user];
    world.lacks("it may be one of several that asked for: Service sock-shop/user-db");

    // Untimed, from an address that a finished pod of somebody else held too, or holds no more: both may need it.
    for moved in [false, true] {
        shared_by_two(moved);
    }
}

fn shared_by_two(moved: bool) {
    let (mut world, user, _, service) = shop();
    let front = world.deployment("sock-shop/front", "app=front");
    let api = world.service("sock-shop/api", &[user], &[tcp(80)]);
    let address: IpAddr = "10.1.0.4".parse().unwrap();
    let pod = world.pod(user);
    let with_it = Pod { addresses: vec![address], ..Pod::default() };
    match moved {
        true => pod.former = vec![with_it],
        false => pod.addresses = with_it.addresses,
    }
    let shared = world.asked(front, service);
    Arc::make_mut(&mut shared.client).ips = vec![address];
    (shared.status, shared.proof) = (vec![Status::SharedAddress], None);
    world.asked(front, api);
    let policies = world.build_with(&egress());
    assert_eq!((policies.complete.len(), policies.incomplete.len()), (0, 2));
}

#[test]
fn lost_names_leave_an_egress_policy_incomplete() {
    let (mut world, user, ..) = shop();
    world.report.connections[0].status = vec![Status::LowerBound];
    world.lacks("names that it asked for were given up");
    world.report.connections[0].status = vec![Status::Ok];
    let mut client = world.report.connections[0].client.clone();
    Arc::make_mut(&mut client).workload = Some(user);
    world.report.failed_lookups.push(FailedLookup {
        client,
        name: "x".into(),
        rcode: "NXDOMAIN",
        queries: 1,
        lower_bound: true,
    });
    world.lacks("names that it asked for were given up");
}

#[test]
fn w22_egress_a_service_that_no_snapshot_has_is_left_out() {
    let (mut world, user, _, service) = shop();
    let server = Arc::make_mut(&mut world.asked(user, service).server);
    (server.name, server.service, server.in_snapshot) = ("gone".into(), None, Some(false));
    server.workloads.clear();
    world.lacks("it asked for what the snapshot does not have: Service sock-shop/gone");
}

#[test]
fn w25_egress_an_unknown_outcome_is_no_evidence() {
    let (mut world, ..) = shop();
    world.report.connections[0].status = vec![Status::OutcomeUnknown];
    world.refuses_egress("the log does not say whether it was answered");
}
