//! Ports: those that were asked for, on the pods that were asked, each with its protocol.

use super::*;

#[test]
fn w09_without_known_ports_there_is_no_peer() {
    let (mut world, _, db, _) = sock_shop();
    let headless = world.service("sock-shop/headless", &[db], &[]);
    let web = world.deployment("sock-shop/web", "app=web");
    world.asked(web, headless);
    let policy =
        world.leaves_out("no ports are known of what they asked for: Deployment sock-shop/web");
    assert_eq!((items(&policy).len(), ports(&policy)), (1, vec!["27017/TCP".into()]));
    world.report.connections.remove(0);
    world.refuses("no ports are known");
}

#[test]
fn w10_w11_ports_are_this_workloads_own_and_a_name_only_where_its_pods_disagree() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let old = world.deployment("shop/old", "app=old");
    let new = world.deployment("shop/new", "app=new");
    let service = world.service("shop/api", &[old, new], &[]);
    let named =
        Port { port: PodPort::Name("http".into()), protocol: Protocol::Tcp, name: String::new() };
    world.cluster.backends[service].workloads[0].ports = vec![tcp(8080)];
    world.cluster.backends[service].workloads[1].ports = vec![named.clone()];
    world.cluster.backends[service].ports = vec![tcp(8080), named];
    world.asked(web, service);
    let policies = world.build();
    let found: Vec<_> = policies.complete.iter().map(|policy| ports(&read(policy))).collect();
    assert_eq!(found, [["http/TCP"], ["8080/TCP"]]);
}

#[test]
fn w10_srv_names_narrow_the_ports() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let db = world.deployment("shop/db", "app=db");
    let named = |number, name: &str| Port { name: name.into(), ..tcp(number) };
    let service = world.service("shop/db", &[db], &[named(5432, "sql"), named(9187, "metrics")]);
    world.asked(web, service);
    let proof = world.renamed("_sql._tcp.db.shop.svc.cluster.local");
    proof.ports = proof.ports[..1].into();
    assert_eq!(ports(&world.only()), ["5432/TCP"]);
    assert!(world.build().complete[0].comment.iter().any(|line| line.contains("SRV")));
}

#[test]
fn w12_the_protocol_always_stands_there_and_no_range_does() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let db = world.deployment("shop/db", "app=db");
    let udp = Port { protocol: Protocol::Udp, ..tcp(8080) };
    let sctp = Port { protocol: Protocol::Sctp, ..tcp(8082) };
    let service = world.service("shop/db", &[db], &[tcp(8080), tcp(8081), udp, sctp]);
    world.asked(web, service);
    assert_eq!(ports(&world.only()), ["8080/TCP", "8080/UDP", "8081/TCP", "8082/SCTP"]);
}

#[test]
fn w12_a_port_that_no_pod_can_have_is_none() {
    for port in [PodPort::Number(0), PodPort::Name("8080".into()), PodPort::Name("a\nb".into())] {
        let (mut world, ..) = sock_shop();
        let port = Port { port, ..tcp(1) };
        world.cluster.backends[0].workloads[0].ports = vec![port];
        world.refuses("no ports are known");
    }
}

#[test]
fn w13_policy_types_say_ingress_and_nothing_else() {
    let policy = sock_shop().0.only();
    let types: Vec<_> = policy["spec"]["policyTypes"].as_sequence().unwrap().iter().collect();
    assert_eq!(types, ["Ingress"]);
    assert!(policy["spec"].get("egress").is_none());
}
