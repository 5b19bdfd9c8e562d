//! What a policy leaves out, whose policies are written, and which selector stands for whom.

use super::*;
use crate::cluster::model::{
    Controller, Endpoint, EndpointPort, EndpointSlice, Entrance, Hidden, ServiceRef,
};

#[test]
fn a_workload_whose_every_client_is_known_has_a_complete_policy() {
    let policies = sock_shop().0.build();
    assert_eq!((policies.complete.len(), policies.incomplete.len()), (1, 0));
    assert_eq!(policies.refused, []);
    let name = policies.complete[0].object.metadata.name.as_deref();
    assert_eq!(name, Some("user-db-deployment-ingress"));
}

#[test]
fn lower_bounds_are_on_counts_and_leave_a_policy_complete() {
    let mut world = sock_shop().0;
    world.report.connections[0].status = vec![Status::LowerBound];
    assert_eq!(world.build().complete.len(), 1);
}

#[test]
fn answers_that_were_given_up_leave_every_policy_incomplete() {
    let mut world = sock_shop().0;
    world.report.totals.lost_askers = vec!["10.77.0.9".into()];
    let policies = world.build();
    assert_eq!((policies.complete.len(), policies.incomplete.len()), (0, 1));
    let text = yaml::document(&policies.incomplete[0], yaml::Place::File).unwrap();
    assert!(text.contains("may have led to it") && text.contains("10.77.0.9"), "{text}");
}

#[test]
fn strict_refuses_what_is_incomplete() {
    let (mut world, _, _, service) = sock_shop();
    world.asked_as("Unknown", "10.9.9.9", service);
    let policies = world.build_with(&Options { strict: true, ..options() });
    assert_eq!((policies.complete, policies.incomplete), (vec![], vec![]));
    assert!(policies.refused[0].reason.contains("--strict"));
    assert!(policies.refused[0].reason.contains("10.9.9.9"));
}

#[test]
fn an_incomplete_policy_bears_the_label_and_its_reasons_first() {
    let (mut world, _, _, service) = sock_shop();
    world.asked_as("Unknown", "10.9.9.9", service);
    let policy = &world.build().incomplete[0];
    assert_eq!(read(policy)["metadata"]["labels"]["kico.dev/incomplete"], "true");
    let text = yaml::document(policy, yaml::Place::File).unwrap();
    assert!(text.starts_with(&format!("{MARK}\n# INCOMPLETE: ")), "{text}");
    let text = yaml::document(policy, yaml::Place::Stream).unwrap();
    assert!(text.starts_with("# INCOMPLETE: "), "{text}");
    assert!(text.contains(MARK));
}

#[test]
fn an_exposed_workloads_policy_is_incomplete_and_says_why_and_what_it_needs() {
    let mut world = sock_shop().0;
    world.cluster.snapshot.services[0].kind = "NodePort".into();
    let reason = "it is reached from outside, by type NodePort of Service sock-shop/user-db; \
                  it needs a rule from outside the cluster, on 27017/TCP";
    // The rule that was seen stays; none is added.
    let policy = world.leaves_out(reason);
    assert_eq!(policy["spec"], read(&sock_shop().0.build().complete[0])["spec"]);
    let refused = world.build_with(&Options { strict: true, ..options() }).refused;
    assert!(refused[0].reason.contains(reason), "{refused:?}");
}

#[test]
fn exposure_alone_is_no_evidence_and_reasons_of_one_kind_share_a_line() {
    let (mut world, _, _, service) = sock_shop();
    let kind = || "HTTPRoute".to_owned();
    let namespace = || "sock-shop".to_owned();
    for name in ["b", "a"] {
        world.cluster.snapshot.entrances.push(Entrance {
            kind: kind(),
            meta: Meta { namespace: namespace(), name: name.into(), ..Meta::default() },
            services: vec![ServiceRef {
                namespace: namespace(),
                name: "user-db".into(),
                port: None,
            }],
        });
    }
    world.cluster.services.insert((namespace(), "user-db".into()), service);
    let policies = world.build();
    let expected = "traffic comes in through HTTPRoute sock-shop/a, HTTPRoute sock-shop/b; it needs a rule from the \
                    pods that carry it, on 27017/TCP";
    assert_eq!(policies.incomplete[0].incomplete, [expected]);
    world.report.connections.clear();
    let policies = world.build();
    assert_eq!((policies.complete, policies.incomplete), (vec![], vec![]));
}

#[test]
fn dns_pods_are_never_shut() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let dns = world.deployment("kube-system/coredns", "k8s-app=kube-dns");
    let service = world.service("kube-system/kube-dns", &[dns], &[tcp(53)]);
    world.asked(web, service);
    world.cluster.dns_services = vec![service];
    world.refuses("DNS pods");
    // A tenant's own resolver is a workload like any other.
    world.cluster.snapshot.dns_namespaces.clear();
    assert_eq!(world.build().complete.len(), 1);
}

#[test]
fn policies_that_select_the_same_pods_are_incomplete_together() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let api = world.deployment("shop/api", "app=api");
    let canary = world.deployment("shop/canary", "app=api,track=canary");
    let both = world.service("shop/api", &[api, canary], &[tcp(80)]);
    world.asked(web, both);
    let policies = world.build();
    assert_eq!(policies.complete.len(), 2);
    let shared =
        |policy: &&Policy| policy.comment.iter().any(|line| line.contains("apply them together"));
    assert_eq!(
        policies.complete.iter().filter(shared).count(),
        1,
        "the one with the wider selector"
    );

    let one = world.service("shop/canary", &[canary], &[tcp(80)]);
    world.asked_as("Unknown", "10.9.9.9", one);
    let policies = world.build();
    assert_eq!((policies.complete.len(), policies.incomplete.len()), (0, 2));
    assert!(policies.incomplete[0].incomplete[0].contains("canary-deployment-ingress"));
}

#[test]
fn a_filter_chooses_policies_and_changes_none() {
    let (mut world, user, db, service) = sock_shop();
    let front = world.deployment("sock-shop/front", "app=front");
    let user_service = world.service("sock-shop/user", &[user], &[tcp(80)]);
    world.asked(front, user_service);
    world.asked_as("Unknown", "10.9.9.9", service);
    let all = world.build();
    let some = world.build_with(&Options { subjects: &|id| id == db, ..options() });
    assert_eq!(some.complete, []);
    assert_eq!(some.incomplete, all.incomplete);
}

#[test]
fn jobs_and_bare_pods_are_selected_by_their_lasting_labels() {
    let mut world = World::new();
    let db = world.deployment("shop/db", "app=db");
    let service = world.service("shop/db", &[db], &[tcp(80)]);
    // A Job's own selector is its uid; the template says more than the one pod that is left.
    let job = world.controller("Job", "shop/report", "app=report,job-name=report-1");
    world.control(job).selector = Some(LabelSelector {
        match_labels: Some(labels("controller-uid=1-2").to_map()),
        match_expressions: None,
    });
    world.finish(job);
    world.asked(job, service);
    let bare = world.orphan("Pod", "shop/debug", "run=debug,app.kubernetes.io/version=1.2");
    world.asked(bare, service);
    let policy = world.only();
    let rules = policy["spec"]["ingress"].as_sequence().unwrap();
    let selectors: Vec<_> = rules[0]["from"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|item| serde_yaml::to_string(&item["podSelector"]["matchLabels"]).unwrap())
        .collect();
    assert_eq!(selectors, ["app: report\n", "run: debug\n"]);
}

#[test]
fn a_foreign_owner_is_selected_by_what_its_pods_have_in_common() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let rollout =
        world.orphan("Rollout", "shop/api", "app=api,tier=a,rollouts-pod-template-hash=1");
    let mut second = world.pod(rollout).clone();
    second.meta.labels = labels("app=api,tier=b,rollouts-pod-template-hash=2");
    world.cluster.snapshot.pods.push(second);
    world.cluster.workloads.of_pod.push(rollout);
    world.cluster.lifetimes.push(PRESENT);
    world.cluster.workloads.list[rollout.0 as usize].pods.push(2);
    let service = world.service("shop/api", &[rollout], &[tcp(80)]);
    world.asked(web, service);
    let selector = &world.only()["spec"]["podSelector"]["matchLabels"];
    assert_eq!(serde_yaml::to_string(selector).unwrap(), "app: api\n");
    // One that has ended too: the label that its run alone bears selects no other.
    world.cluster.lifetimes[2].finished = true;
    let selector = &world.only()["spec"]["podSelector"]["matchLabels"];
    assert_eq!(serde_yaml::to_string(selector).unwrap(), "app: api\n");
}

#[test]
fn a_template_that_fits_and_has_no_pod_now_is_named() {
    let (mut world, ..) = sock_shop();
    let namespace = "sock-shop".to_owned();
    world.cluster.workloads.list.push(Workload {
        kind: "CronJob".into(),
        namespace: namespace.clone(),
        name: "migrate".into(),
        controller: Some(world.cluster.snapshot.controllers.len()),
        pods: Vec::new(),
        inferred: false,
    });
    world.cluster.snapshot.controllers.push(Controller {
        kind: "CronJob".into(),
        meta: Meta { namespace, name: "migrate".into(), ..Meta::default() },
        template_labels: labels("app=user-db"),
        ..Controller::default()
    });
    let comment = &world.build().complete[0].comment;
    assert!(comment.iter().any(|line| line.contains("CronJob sock-shop/migrate")), "{comment:?}");
}

#[test]
fn a_pods_name_is_evidence_if_a_pod_holds_it() {
    let (mut world, _, db, _) = sock_shop();
    let server = Arc::make_mut(&mut world.report.connections[0].server);
    *server = Server {
        kind: ServerKind::Pod,
        namespace: "sock-shop".into(),
        name: "user-db-1".into(),
        ports: [tcp(27017)].into(),
        workloads: vec![db],
        in_snapshot: Some(true),
        service: None,
    };
    assert_eq!(world.build().complete.len(), 1);
    Arc::make_mut(&mut world.report.connections[0].server).workloads.clear();
    world.refuses("no pod is known");
}

#[test]
fn pods_of_one_name_and_two_workloads_have_each_their_own_ports() {
    let (mut world, _, db, _) = sock_shop();
    let newer = world.orphan("StatefulSet", "sock-shop/other", "app=other");
    for (id, number) in [(db, 27017), (newer, 9090)] {
        let pod = world.pod(id);
        pod.meta.name = "db-0".into();
        let ports = vec![ContainerPort { port: number, ..ContainerPort::default() }];
        pod.containers = vec![Container { name: "db".into(), ports }];
    }
    let server = Arc::make_mut(&mut world.report.connections[0].server);
    *server = Server {
        kind: ServerKind::Pod,
        namespace: "sock-shop".into(),
        name: "db-0".into(),
        ports: [tcp(9090), tcp(27017)].into(),
        workloads: vec![db, newer],
        in_snapshot: Some(true),
        service: None,
    };
    let policies = world.build().complete;
    let ports: Vec<String> = policies
        .iter()
        .map(|policy| {
            let spec = policy.object.spec.clone().unwrap();
            let ports = spec.ingress.unwrap().remove(0).ports.unwrap();
            ports.iter().map(|port| format!("{:?}", port.port.clone().unwrap())).collect()
        })
        .collect();
    assert_eq!(ports, ["Int(9090)", "Int(27017)"]);
}

#[test]
fn with_pods_alone_the_workload_of_a_services_name_is_inferred_and_the_comment_says_so() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let db = world.orphan("ReplicaSet", "shop/pg-5d8", "app=db,pod-template-hash=5d8");
    let ports = [5432, 9187].map(|port| ContainerPort { port, ..ContainerPort::default() });
    world.pod(db).containers = vec![Container { name: "db".into(), ports: ports.into() }];
    let service = world.service("shop/db", &[db], &[tcp(5432), tcp(9187)]);
    world.asked(web, service);
    let server = Arc::make_mut(&mut world.report.connections[0].server);
    (server.service, server.in_snapshot) = (None, Some(false));
    world.cluster.snapshot.services.clear();
    world.cluster.snapshot.given = true;
    let policy = world.only();
    assert_eq!(policy["spec"]["podSelector"]["matchLabels"]["app"], "db");
    assert_eq!(policy["spec"]["ingress"][0]["ports"].as_sequence().unwrap().len(), 2);
    let comment = &world.build().complete[0].comment;
    assert!(comment.iter().any(|line| line.ends_with("; inferred")), "{comment:?}");
    // Two that bear the name: neither.
    world.deployment("shop/db", "app=other");
    world.refuses("several workloads of shop bear the name db");
}

#[test]
fn who_asked_for_a_service_of_which_there_are_only_slices_is_named_where_those_lead() {
    let (mut world, _, db, _) = sock_shop();
    let web = world.deployment("sock-shop/web", "app=web");
    let other = world.service("sock-shop/other", &[], &[]);
    world.asked(web, other);
    let server = Arc::make_mut(&mut world.report.connections.last_mut().unwrap().server);
    (server.service, server.in_snapshot) = (None, Some(false));
    assert_eq!(world.build().incomplete.len(), 0);
    let address: IpAddr = "10.1.0.9".parse().unwrap();
    world.pod(db).addresses = vec![address];
    let slice = |namespace: &str| EndpointSlice {
        meta: Meta { namespace: namespace.into(), ..Meta::default() },
        service: "other".into(),
        endpoints: vec![Endpoint { addresses: vec![address], ..Endpoint::default() }],
        ports: Vec::new(),
    };
    world.cluster.snapshot.slices = vec![slice("elsewhere")];
    assert_eq!(world.build().incomplete.len(), 0);
    world.cluster.snapshot.slices = vec![slice("sock-shop")];
    let policies = world.build();
    let said = "whose EndpointSlices list its pods: Deployment sock-shop/web";
    assert!(policies.incomplete[0].incomplete[0].ends_with(said), "{policies:?}");
    assert_eq!((policies.incomplete[0].workload, policies.complete.len()), (db, 0));
}

#[test]
fn an_external_server_is_nobodys_ingress() {
    let (mut world, ..) = sock_shop();
    let server = Arc::make_mut(&mut world.report.connections[0].server);
    (server.kind, server.service) = (ServerKind::External, None);
    server.workloads.clear();
    let policies = world.build();
    assert_eq!(
        (policies.complete, policies.incomplete, policies.refused),
        (vec![], vec![], vec![])
    );
}

#[test]
fn labels_that_kubernetes_would_refuse_never_reach_a_policy() {
    let (mut world, _, _, service) = sock_shop();
    let odd = world.orphan("Pod", "sock-shop/odd", "");
    world.pod(odd).meta.labels = labels("app=x\n- {}");
    world.asked(odd, service);
    world.leaves_out("none that Kubernetes would accept");
    let (mut world, ..) = sock_shop();
    for workload in &mut world.cluster.workloads.list {
        workload.namespace = "../etc".into();
    }
    world.refuses("no legal name");
}

#[test]
fn a_policy_that_would_cut_what_has_no_pod_now_is_incomplete() {
    // A chart's hook: it bears the labels of the chart's own pods, and was asked for by somebody else.
    let make = |labels: &str, known: bool| {
        let (mut world, _, _, _) = sock_shop();
        let hook = world.controller("CronJob", "sock-shop/hook", labels);
        world.finish(hook);
        let own = world.service("sock-shop/hook", &[hook], &[tcp(9000)]);
        match known {
            true => {
                let web = world.deployment("sock-shop/web", "app=web");
                world.asked(web, own);
            }
            false => _ = world.asked_as("Unknown", "10.9.9.9", own),
        }
        world.build()
    };
    let words = "it would also select the pods of CronJob sock-shop/hook, which has none now";
    let of = |policies: Policies| {
        let all = [policies.complete, policies.incomplete].concat();
        let named =
            |p: &&Policy| p.object.metadata.name.as_deref() == Some("user-db-deployment-ingress");
        all.iter().find(named).unwrap().incomplete.clone()
    };
    let cut = of(make("app=user-db,hook=yes", false));
    assert!(cut.len() == 1 && cut[0].contains(words), "{cut:?}");
    // What a complete policy of its own allows, nobody cuts; nor what no policy selects.
    assert_eq!(of(make("app=user-db,hook=yes", true)), [] as [String; 0]);
    assert_eq!(of(make("app=other", false)), [] as [String; 0]);
}

#[test]
fn who_asked_for_pods_that_somebody_wrote_down_is_left_out_and_said() {
    let (mut world, user, db, _) = sock_shop();
    world.pod(db).addresses = vec!["10.1.0.9".parse().unwrap()];
    let manual = world.service("sock-shop/legacy", &[], &[tcp(27017)]);
    world.cluster.snapshot.services[manual].selector = labels("");
    world.cluster.snapshot.slices.push(EndpointSlice {
        endpoints: vec![Endpoint {
            addresses: vec!["10.1.0.9".parse().unwrap()],
            ..Endpoint::default()
        }],
        ports: vec![EndpointPort { port: Some(27017), ..EndpointPort::default() }],
        ..EndpointSlice::default()
    });
    world.cluster.slices = vec![Vec::new(), vec![0]];
    world.asked(user, manual);
    world.leaves_out(
        "they asked for a Service without selector, and somebody wrote its pods down as endpoints",
    );
    // A LoadBalancer of this kind exposes them.
    world.report.connections.truncate(1);
    assert_eq!(world.build().complete.len(), 1);
    world.cluster.snapshot.services[manual].kind = "LoadBalancer".into();
    world
        .leaves_out("it is reached from outside, by type LoadBalancer of Service sock-shop/legacy");
}

#[test]
fn a_refusal_says_which_direction_it_is_of() {
    let (mut world, _, _, service) = sock_shop();
    world.pod(WorkloadId(0)).host_network = true;
    world.asked_as("Unknown", "10.9.9.9", service);
    let both = &[Direction::Ingress, Direction::Egress];
    let refused = world.build_with(&Options { directions: both, ..options() }).refused;
    // Without the cluster's DNS there is no egress policy at all.
    assert!(refused.iter().any(|r| r.direction == Some(Direction::Egress)), "{refused:?}");
    assert!(refused.iter().all(|r| r.direction.is_some()), "{refused:?}");
}

#[test]
fn what_could_not_be_read_and_may_lead_to_it_makes_a_policy_incomplete() {
    let (mut world, ..) = sock_shop();
    let hidden = |object: &str, namespace: Option<&str>| Hidden {
        object: object.into(),
        namespace: namespace.map(str::to_owned),
        pods: object.starts_with("Pod"),
    };
    world.cluster.snapshot.hidden = vec![hidden("Pod bank/web", Some("bank"))];
    assert_eq!(world.build().complete.len(), 1);
    world.cluster.snapshot.hidden = vec![hidden("Pod sock-shop/x", Some("sock-shop"))];
    world.leaves_out("its rules may fit or lack pods of what could not be read: Pod sock-shop/x");
    world.cluster.snapshot.hidden = vec![hidden("Ingress bank/web", Some("bank"))];
    assert_eq!(world.build().complete.len(), 1);
    world.cluster.snapshot.hidden.push(hidden("HTTPRoute bank/web", None));
    world.leaves_out("what could not be read may lead to it: HTTPRoute bank/web");
}

#[test]
fn a_peer_whose_namespace_lacks_the_label_leaves_a_policy_incomplete() {
    let (mut world, ..) = sock_shop();
    let lacking = |world: &World| {
        let policies = world.build();
        let all = policies.complete.iter().chain(&policies.incomplete);
        all.flat_map(|policy| policy.incomplete.clone()).collect::<Vec<String>>()
    };
    let meta =
        |label: &str| Meta { name: "sock-shop".into(), labels: labels(label), ..Meta::default() };
    world.cluster.snapshot.namespaces = vec![meta("kubernetes.io/metadata.name=sock-shop")];
    assert!(lacking(&world).is_empty());
    world.cluster.snapshot.namespaces.push(Meta { name: "other".into(), ..Meta::default() });
    assert!(lacking(&world).is_empty(), "no peer is in it");
    world.cluster.snapshot.namespaces = vec![meta("name=sock-shop")];
    let reason = "pods are selected by their namespace's label kubernetes.io/metadata.name, which is lacking: sock-shop";
    assert_eq!(lacking(&world), [reason]);
}

#[test]
fn policies_of_other_kinds_are_named_in_a_note() {
    let (mut world, ..) = sock_shop();
    world.cluster.snapshot.skipped = BTreeMap::from([
        ("CiliumNetworkPolicy".into(), 2),
        ("NetworkPolicy.projectcalico.org".into(), 1),
        ("Secret".into(), 9),
    ]);
    let notes = world.build().notes.join("\n");
    let list =
        "and may allow or deny more: CiliumNetworkPolicy 2, NetworkPolicy.projectcalico.org 1";
    assert!(notes.contains(list) && !notes.contains("Secret"), "{notes}");
}
