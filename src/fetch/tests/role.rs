//! The Role that is documented is what is asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Server, dns_pod, list};

/// `list pods`, `get configmaps/coredns`: verb, resource as a Role names it, and the name where a Role names one.
fn granted() -> BTreeSet<String> {
    let all = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut granted = BTreeSet::new();
    for document in
        serde_yaml::Deserializer::from_str(include_str!("../../../deploy/fetch-role.yaml"))
    {
        let role: Value = serde::Deserialize::deserialize(document).unwrap();
        for rule in role["rules"].as_array().into_iter().flatten() {
            let mut names = all(&rule["resourceNames"]);
            names.iter_mut().for_each(|name| name.insert(0, '/'));
            let names = if names.is_empty() { vec![String::new()] } else { names };
            for group in all(&rule["apiGroups"]) {
                let dot = if group.is_empty() { "" } else { "." };
                for (verb, resource) in all(&rule["verbs"])
                    .iter()
                    .flat_map(|verb| all(&rule["resources"]).into_iter().map(move |r| (verb, r)))
                {
                    // What one namespace grants is asked for there alone.
                    let place = if role["kind"] == "Role" { " in kube-system" } else { "" };
                    granted.extend(
                        names.iter().map(|n| format!("{verb} {resource}{dot}{group}{n}{place}")),
                    );
                }
            }
        }
    }
    granted
}

/// The same of a request; `None`: everybody may.
fn used(request: &str) -> Option<String> {
    let (path, query) = request.split_once('?').unwrap_or((request, ""));
    let steps: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (group, rest) = match steps.as_slice() {
        ["api", "v1", rest @ ..] => (String::new(), rest),
        ["apis", group, _, rest @ ..] => (format!(".{group}"), rest),
        ["version"] => return None,
        _ => panic!("{request}"),
    };
    let list = if query.contains("watch=") { "watch" } else { "list" };
    Some(match rest {
        // Granted for all namespaces.
        [resource] | ["namespaces", _, resource] => format!("{list} {resource}{group}"),
        ["namespaces", ns, "pods", _, "log"] => format!("get pods/log in {ns}"),
        ["namespaces", ns, resource, name] => format!("get {resource}{group}/{name} in {ns}"),
        _ => panic!("{request}"),
    })
}

/// Every request of a capture, with everything that CoreDNS's pods mount, is granted; and nothing is granted that is not asked for.
#[test]
fn the_role_grants_exactly_what_is_asked_for() {
    let maps = ["coredns", "coredns-custom", "node-local-dns"];
    let mut asked = BTreeSet::new();
    for (follow, previous) in [(None, true), (Some(Duration::from_millis(300)), false)] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::new(move |path, _| {
            path.starts_with("/api/v1/namespaces/kube-system/pods?").then(|| {
                let mut pod = dns_pod("coredns-a", 1);
                let volumes = maps.map(|name| json!({"configMap": {"name": name}}));
                pod["spec"]["volumes"] = json!(volumes);
                list(&[pod], "")
            })
        });
        server
            .capture(dir.path(), |asked| (asked.follow, asked.previous) = (follow, previous))
            .unwrap();
        asked.extend(server.asked().iter().filter_map(|request| used(request)));
    }
    assert_eq!(granted(), asked);
}
