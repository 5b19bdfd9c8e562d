//! Several snapshots of one cluster: which is the later one, and what of the earlier ones still counts.

use super::*;

#[test]
fn of_two_states_of_an_object_the_later_snapshots_counts() {
    let mut early = pod("a", "web", "10.0.0.1");
    early["metadata"]["creationTimestamp"] = json!("2026-03-14T08:00:00Z");
    let mut late = early.clone();
    late["status"]["startTime"] = json!("2026-03-14T09:00:00Z");
    late["status"]["podIP"] = json!("10.0.0.9");
    late["status"]["podIPs"] = json!(null);
    let mut again = early.clone();
    again["metadata"]["uid"] = json!("another");
    let [early, late] = [list(&[early, again]), list(&[late])];
    for files in [[("z", &*early), ("a", &*late)], [("a", &*late), ("z", &*early)]] {
        let snapshot = read_all(&files);
        let paths: Vec<_> = snapshot.moments.iter().map(|m| m.path.as_str()).collect();
        assert_eq!(paths, ["z", "a"]);
        let found: Vec<_> = snapshot
            .pods
            .iter()
            .map(|p| (p.meta.uid.as_str(), p.addresses[0].to_string()))
            .collect();
        // A pod that was made again under its old name is another one.
        let expected = [("another", "10.0.0.1".to_owned()), ("uid-web", "10.0.0.9".to_owned())];
        assert_eq!(found, expected);
        // Where it was before is not forgotten.
        let former: Vec<_> =
            snapshot.pods[1].former.iter().map(|p| (&p.addresses, p.seen)).collect();
        let [early, late] = ["08:00:00", "09:00:00"]
            .map(|clock| crate::time::parse(&format!("2026-03-14T{clock}Z")).unwrap());
        assert_eq!(former, [(&vec!["10.0.0.1".parse().unwrap()], Some((early, early)))]);
        assert_eq!(snapshot.pods[1].seen, Some((late, late)));
        assert_eq!(
            (&snapshot.pods[0].former, snapshot.pods[0].seen),
            (&vec![], Some((early, early)))
        );
        assert_eq!(snapshot.moments[1].pods.as_ref().unwrap().len(), 1);
        assert_eq!(snapshot.moments[0].pods.as_ref().unwrap().len(), 2);
        assert!(snapshot.moments[0].namespaces.contains("a"));
    }
}

/// A pod, so that the snapshot is of that time; and objects.
fn aged(clock: &str, namespace: &str, objects: &[Value]) -> String {
    let mut pod = pod(namespace, "web", "10.0.0.1");
    pod["metadata"]["creationTimestamp"] = json!(format!("2026-03-14T{clock}Z"));
    pod["status"]["startTime"] = json!(null);
    list(&[objects, &[pod]].concat())
}

fn policy(namespace: &str, name: &str) -> Value {
    object("networking.k8s.io/v1", "NetworkPolicy", namespace, name, json!({"podSelector": {}}))
}

#[test]
fn a_policy_is_deleted_if_a_later_snapshot_lists_its_namespaces_and_lacks_it() {
    let old = aged("11:00:00", "a", &[policy("a", "open"), policy("a", "deny"), policy("b", "x")]);
    let check = |later: &str, expected: &[&str], deleted: &[&str]| {
        for files in [[("new", later), ("old", &*old)], [("a", &*old), ("b", later)]] {
            let snapshot = read_all(&files);
            let names: Vec<_> = snapshot.policies.iter().map(|p| p.meta.name.as_str()).collect();
            assert_eq!((&*names, &*snapshot.deleted_policies), (expected, &*texts(deleted)));
        }
    };
    let all = &["deny", "open", "x"];
    check(&aged("12:00:00", "a", &[policy("a", "deny")]), &["deny", "x"], &["a/open"]);
    // No policy of this namespace, but its pods, and policies of another one.
    let elsewhere = &[policy("c", "y")];
    check(&aged("12:00:00", "a", elsewhere), &["x", "y"], &["a/deny", "a/open"]);
    check(&aged("12:00:00", "c", elsewhere), &["deny", "open", "x", "y"], &[]);
    // Single policies may be given each on its own.
    check(&aged("12:00:00", "c", &[policy("a", "deny")]), all, &[]);
    check(&aged("12:00:00", "a", &[]), all, &[]);
    check(&aged("11:00:00", "a", &[policy("a", "deny")]), all, &[]);
    // What came back is there.
    let back = aged("13:00:00", "a", &[policy("a", "open")]);
    let between = aged("12:00:00", "a", &[policy("a", "deny")]);
    let snapshot = read_all(&[("1", &old), ("2", &between), ("3", &back)]);
    assert_eq!(snapshot.deleted_policies, ["a/deny"]);
    // A capture says whether it lists them all.
    let capture = |missed: &str| {
        let record = format!(r#"{{"when": "2026-03-14T12:00:00Z"{missed}}}"#);
        list(&[config("", "kico-capture", "record", &record)])
    };
    check(&capture(r#", "missed": [{"what": "nodes"}]"#), &[], &["a/deny", "a/open", "b/x"]);
    let missed =
        r#", "missed": [{"what": "networkpolicies.networking.k8s.io of other namespaces"}]"#;
    check(&capture(missed), all, &[]);
    check(&capture(""), all, &[]);
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_node_keeps_the_addresses_that_earlier_snapshots_give_it() {
    let node = |address: &str| {
        let mut node = object("v1", "Node", "", "n1", json!({}));
        node["status"] = json!({"addresses": [{"type": "InternalIP", "address": address}]});
        node
    };
    let files = [("10:00:00", "1"), ("11:00:00", "1"), ("12:00:00", "2")]
        .map(|(clock, end)| aged(clock, "a", &[node(&format!("192.168.0.{end}"))]));
    let snapshot = read_all(&[("1", &files[0]), ("2", &files[1]), ("3", &files[2])]);
    let when = |clock: &str| crate::time::parse(&format!("2026-03-14T{clock}Z"));
    assert_eq!(snapshot.nodes.len(), 1);
    let of = |node: &Node| (node.addresses[0].to_string(), node.seen);
    assert_eq!(of(&snapshot.nodes[0]), ("192.168.0.2".to_owned(), when("12:00:00")));
    let former: Vec<_> = snapshot.nodes[0].former.iter().map(of).collect();
    // The latest of the earlier ones.
    assert_eq!(former, [("192.168.0.1".to_owned(), when("11:00:00"))]);
    assert!(!snapshot.nodes[0].is_gone(&snapshot.moments));
    let without = aged("13:00:00", "a", &[]);
    let snapshot = read_all(&[("1", &files[0]), ("2", &without)]);
    assert!(!snapshot.nodes[0].is_gone(&snapshot.moments), "nobody looked");
    let other = object("v1", "Node", "", "n2", json!({}));
    let others = aged("13:00:00", "a", &[other]);
    let snapshot = read_all(&[("1", &files[0]), ("2", &others)]);
    assert!(snapshot.nodes[0].is_gone(&snapshot.moments));
}

#[test]
fn a_service_made_again_replaces_the_old_one() {
    let service = |uid: &str, created: &str, app: &str| {
        let mut service = object("v1", "Service", "a", "web", json!({"selector": {"app": app}}));
        service["metadata"]["uid"] = json!(uid);
        service["metadata"]["creationTimestamp"] = json!(created);
        list(&[service])
    };
    let new = service("u2", "2026-03-14T09:00:00Z", "new");
    let old = service("u1", "2026-03-14T08:00:00Z", "old");
    let snapshot = read_all(&[("1", &new), ("2", &old)]);
    assert_eq!(snapshot.services.len(), 1);
    assert_eq!(snapshot.services[0].selector.get("app"), Some("new"));
}

#[test]
fn snapshots_of_different_clusters_are_refused() {
    let file = |uid: &str| list(&[cluster(uid), pod("a", "web", "10.0.0.1")]);
    let (one, two) = (file("u1"), file("u2"));
    let error = try_read(&[("1.json", one.as_bytes()), ("2.json", two.as_bytes())]).unwrap_err();
    assert!(error.starts_with("1.json and 2.json are of different clusters"), "{error}");
    let same = read_all(&[("1.json", &one), ("2.json", &one)]);
    assert_eq!(same.moments[0].cluster.as_deref(), Some("u1"));

    let capture = config("", "kico-capture", "record", r#"{"cluster": "u2"}"#);
    let error = try_read(&[("1", one.as_bytes()), ("2", list(&[capture]).as_bytes())]).unwrap_err();
    assert!(error.starts_with("1 and 2 are of different clusters"), "{error}");
}

#[test]
fn a_capture_record_counts_only_if_the_cluster_never_had_it() {
    let record = r#"{"when": "2026-03-14T23:59:55Z", "podsClusterWide": true, "asked": ["pods"],
                     "gone": {"uid-old": "2026-03-14T23:41:02Z"}}"#;
    let mut capture = config("", "kico-capture", "record", record);
    let snapshot = read(&list(&[pod("a", "web", "10.0.0.1"), capture.clone()]));
    let moment = &snapshot.moments[0];
    assert_eq!(moment.time, crate::time::parse("2026-03-14T23:59:55Z"));
    assert!(moment.pods_cluster_wide);
    assert_eq!(moment.gone["uid-old"], crate::time::parse("2026-03-14T23:41:02Z").unwrap());

    capture["metadata"]["uid"] = json!("given-by-the-cluster");
    let snapshot = read(&list(&[pod("a", "web", "10.0.0.1"), capture.clone()]));
    let moment = &snapshot.moments[0];
    assert_eq!(moment.time, crate::time::parse("2026-03-14T10:00:00Z"));
    assert!(!moment.pods_cluster_wide && moment.gone.is_empty());
}

#[test]
fn a_snapshot_is_as_old_as_the_latest_thing_in_it() {
    let mut pod = pod("a", "web", "10.0.0.1");
    pod["status"]["containerStatuses"] = json!([{
        "lastState": {"terminated": {"finishedAt": "2026-03-14T12:00:00Z"}},
        "state": {"running": {"startedAt": "2026-03-14T12:00:01Z"}},
    }]);
    let snapshot = read(&list(&[pod]));
    assert_eq!(snapshot.moments[0].time, crate::time::parse("2026-03-14T12:00:01Z"));
    assert_eq!(snapshot.pods[0].finished, None);
}

#[test]
fn the_conditions_of_nodes_and_controllers_say_how_old_it_is_too() {
    let check = |api: &str, kind: &str, conditions: Value, expected: Option<&str>| {
        let mut object = object(api, kind, "", "x", json!({}));
        object["metadata"]["creationTimestamp"] = json!("2026-03-14T10:00:00Z");
        object["status"] = json!({"conditions": conditions});
        let snapshot = read(&list(&[object]));
        let time = expected.unwrap_or("2026-03-14T10:00:00Z");
        assert_eq!(snapshot.moments[0].time, crate::time::parse(time), "{kind} {conditions}");
        // They cost no object.
        assert_eq!(snapshot.nodes.len() + snapshot.controllers.len(), 1);
        assert!(snapshot.broken.is_empty());
    };
    let noon = Some("2026-03-14T12:00:00Z");
    for field in ["lastTransitionTime", "lastUpdateTime", "lastHeartbeatTime"] {
        let conditions = json!([{"type": "a"}, {"type": "b", field: noon}, {field: null}]);
        check("v1", "Node", conditions.clone(), noon);
        check("apps/v1", "Deployment", conditions.clone(), noon);
        check("batch/v1", "Job", conditions, noon);
        check("v1", "Node", json!([{field: "yesterday"}]), None);
        check("v1", "Node", json!([{field: "2026-03-14T09:00:00Z"}]), None);
    }
    check("v1", "Node", json!(null), None);
    check("apps/v1", "DaemonSet", json!({"a": 1}), None);
}

#[test]
fn where_nothing_says_which_snapshot_is_the_later_one_and_they_differ_it_is_said() {
    let service = |port: u16| {
        object("v1", "Service", "a", "api", json!({"ports": [{"port": 80, "targetPort": port}]}))
    };
    let check = |files: &[(&str, &str)], expected: &[&str]| {
        assert_eq!(read_all(files).undecided, texts(expected));
    };
    let [old, new] = [8080, 9090].map(|port| aged("11:00:00", "a", &[service(port)]));
    let tie = "nothing says whether new or old is the later snapshot, and they differ in Service a/api: what old says counts";
    check(&[("old", &old), ("new", &new)], &[tie]);
    check(&[("new", &new), ("old", &old)], &[tie]);
    check(&[("old", &old), ("new", &aged("12:00:00", "a", &[service(9090)]))], &[]);
    check(&[("old", &old), ("same", &old)], &[]);
    // Each has something else.
    check(&[("old", &old), ("other", &aged("11:00:00", "a", &[policy("a", "x")]))], &[]);
    let undated = [service(7070), pod("a", "web", "10.0.0.9")].map(|mut object| {
        object["metadata"]["creationTimestamp"] = json!(null);
        object["status"] = json!(null);
        object
    });
    let undated = list(&undated);
    let both = "nothing says whether none or old is the later snapshot, and they differ in Pod a/web, +1: what old says counts";
    check(&[("old", &old), ("none", &undated)], &[both]);
}
