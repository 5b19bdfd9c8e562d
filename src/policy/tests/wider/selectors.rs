//! Selectors, of subjects and of peers: never empty, never of strangers, the namespace beside the labels.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

use super::*;

#[test]
fn w01_a_subject_without_labels_is_refused() {
    for labels in ["", "pod-template-hash=1,controller-revision-hash=2"] {
        let mut world = World::new();
        let web = world.deployment("shop/web", "app=web");
        let db = world.orphan("Pod", "shop/db", labels);
        let service = world.service("shop/db", &[db], &[tcp(80)]);
        world.asked(web, service);
        world.refuses("no lasting label");
    }
}

#[test]
fn w01_a_controller_that_selects_everything_is_refused() {
    let (mut world, _, db, _) = sock_shop();
    world.control(db).selector = Some(LabelSelector::default());
    world.refuses("no lasting label");
}

#[test]
fn w02_without_a_peer_there_is_no_policy() {
    let (mut world, ..) = sock_shop();
    world.report.connections.clear();
    let policies = world.build();
    assert_eq!(
        (policies.complete, policies.incomplete, policies.refused),
        (vec![], vec![], vec![])
    );
    world.asked_as("Unknown", "10.9.9.9", 0);
    world.refuses("10.9.9.9");
}

#[test]
fn w03_a_peer_without_lasting_labels_is_refused() {
    let (mut world, _, _, service) = sock_shop();
    let bare = world.orphan("Pod", "sock-shop/debug", "pod-template-hash=1");
    world.asked(bare, service);
    let policy = world.leaves_out("Pod sock-shop/debug asked for it: it has no lasting label");
    assert_eq!(items(&policy).len(), 1);
}

#[test]
fn w04_w05_w06_w07_w08_each_peer_is_one_item_of_namespace_name_and_labels() {
    let (mut world, _, _, service) = sock_shop();
    let other = world.deployment("billing/user", "app=user");
    world.asked(other, service);
    let policy = world.only();
    let mut namespaces = Vec::new();
    for item in items(&policy) {
        assert_eq!(item.as_mapping().unwrap().len(), 2, "one item holds both selectors");
        let namespace = item["namespaceSelector"]["matchLabels"].as_mapping().unwrap();
        assert_eq!(namespace.len(), 1);
        namespaces.push(namespace["kubernetes.io/metadata.name"].as_str().unwrap());
        assert_eq!(item["podSelector"]["matchLabels"]["app"], "user");
    }
    assert_eq!(namespaces, ["sock-shop", "billing"]);
}

#[test]
fn w18_a_peer_whose_labels_fit_strangers_is_refused_and_they_are_named() {
    let (mut world, _, _, service) = sock_shop();
    let web = world.deployment("sock-shop/web", "tier=front");
    let shop = world.deployment("sock-shop/shop", "tier=front,app=shop");
    world.asked(web, service);
    let policy = world.leaves_out("of Deployment sock-shop/shop");
    assert_eq!(items(&policy).len(), 1);
    // Somebody else's pods in another namespace are no strangers.
    world.pod(shop).meta.namespace = "elsewhere".into();
    assert!(world.build().incomplete.is_empty());
    // Nor are pods that have ended.
    world.pod(shop).meta.namespace = "sock-shop".into();
    world.finish(shop);
    assert!(world.build().incomplete.is_empty());
}

#[test]
fn w18_a_stranger_that_asked_too_is_none_on_the_same_ports() {
    let (mut world, _, db, service) = sock_shop();
    let web = world.deployment("sock-shop/web", "tier=front");
    let shop = world.deployment("sock-shop/shop", "tier=front,app=shop");
    world.asked(web, service);
    world.asked(shop, service);
    assert_eq!(items(&world.only()).len(), 3);
    // On a port that the other did not ask for, it is one.
    let admin = world.service("sock-shop/admin", &[db], &[tcp(9000)]);
    world.asked(web, admin);
    let policy = world.leaves_out("Deployment sock-shop/web on 9000/TCP");
    assert_eq!((items(&policy).len(), ports(&policy)), (3, vec!["27017/TCP".into()]));
}

#[test]
fn w18_a_subject_whose_labels_fit_strangers_is_refused_and_they_are_named() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let db = world.deployment("shop/db", "tier=back");
    world.deployment("shop/cache", "tier=back,app=cache");
    let service = world.service("shop/db", &[db], &[tcp(80)]);
    world.asked(web, service);
    world.refuses("of Deployment shop/cache");
}

#[test]
fn w19_ports_of_one_peer_are_not_given_to_another() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let job = world.deployment("shop/job", "app=job");
    let db = world.deployment("shop/db", "app=db");
    let sql = world.service("shop/db", &[db], &[tcp(5432)]);
    let admin = world.service("shop/admin", &[db], &[tcp(9000)]);
    world.asked(web, sql);
    world.asked(web, admin);
    world.asked(job, sql);
    let policy = world.only();
    let rules = policy["spec"]["ingress"].as_sequence().unwrap();
    let shape: Vec<_> = rules
        .iter()
        .map(|rule| {
            (rule["from"].as_sequence().unwrap().len(), rule["ports"].as_sequence().unwrap().len())
        })
        .collect();
    assert_eq!(shape, [(1, 1), (1, 2)]);
}

#[test]
fn w20_workloads_behind_one_service_have_their_own_selectors() {
    let mut world = World::new();
    let web = world.deployment("shop/web", "app=web");
    let stable = world.deployment("shop/api", "app=api,track=stable");
    let canary = world.deployment("shop/api-canary", "app=api,track=canary");
    let service = world.service("shop/api", &[stable, canary], &[tcp(80)]);
    world.asked(web, service);
    let policies = world.build();
    let tracks: Vec<_> = policies
        .complete
        .iter()
        .map(|p| {
            read(p)["spec"]["podSelector"]["matchLabels"]["track"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(tracks, ["canary", "stable"]);
}

#[test]
fn w20_the_controllers_expressions_are_kept() {
    let (mut world, _, db, _) = sock_shop();
    let requirement = LabelSelectorRequirement {
        key: "track".into(),
        operator: "NotIn".into(),
        values: Some(vec!["canary".into()]),
    };
    world.control(db).selector = Some(LabelSelector {
        match_labels: Some(labels("app=user-db").to_map()),
        match_expressions: Some(vec![requirement]),
    });
    let policy = world.only();
    let requirement = &policy["spec"]["podSelector"]["matchExpressions"][0];
    assert_eq!(requirement["key"], "track");
    assert_eq!(requirement["operator"], "NotIn");
    assert_eq!(requirement["values"][0], "canary");
}
