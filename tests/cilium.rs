//! A CiliumNetworkPolicy says what its NetworkPolicy says: random policies, converted, written as YAML, read again, and judged
//! by two evaluators that share no code with kico. Every document is one that Cilium's schema allows, those of the cases too.

mod cnp;
mod evaluator;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use cnp::evaluate::{End, verdict};
use cnp::schema::complaints;
use evaluator::{Attempt, Pod, Verdict, egress, ingress};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kico::cluster::Cluster;
use kico::cluster::workloads::WorkloadId;
use kico::connections::Report;
use kico::policy::{Options, Policies, Policy, cilium, yaml};
use serde::Deserialize;
use serde_yaml::Value;

/// Throws that are the same on every day.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        // A step of splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.throw(of.len())]
    }
}

const NAMESPACES: &[&str] = &["shop", "web", "kube-system"];
const KEYS: &[&str] = &["app", "app.kubernetes.io/name", "tier", "k8s-app"];
const VALUES: &[&str] = &["a", "b", "yes", "1e3"];
const OUTSIDE: &[&str] = &["203.0.113.7", "203.0.113.200", "2001:db8::7", "198.51.100.1"];
const PORTS: &[(u16, &str)] = &[(80, "TCP"), (8080, "TCP"), (53, "UDP"), (53, "TCP"), (9, "SCTP")];

/// A selector, on one line.
fn selector(dice: &mut Dice) -> String {
    let mut labels = BTreeMap::new();
    for _ in 0..dice.throw(3) {
        labels.insert(dice.one(KEYS), dice.one(VALUES));
    }
    let labels: Vec<_> =
        labels.iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect();
    let mut expressions = Vec::new();
    for _ in 0..dice.throw(3) / 2 {
        let (key, value) = (dice.one(KEYS), dice.one(VALUES));
        let values = format!(",\"values\":[\"{value}\",\"{}\"]", dice.one(VALUES));
        let (operator, values) = match dice.throw(4) {
            0 => ("In", values.as_str()),
            1 => ("NotIn", values.as_str()),
            2 => ("Exists", ""),
            _ => ("DoesNotExist", ""),
        };
        expressions.push(format!("{{\"key\":\"{key}\",\"operator\":\"{operator}\"{values}}}"));
    }
    format!(
        "{{\"matchLabels\":{{{}}},\"matchExpressions\":[{}]}}",
        labels.join(","),
        expressions.join(",")
    )
}

fn peer(dice: &mut Dice) -> String {
    match dice.throw(6) {
        0 => format!("{{\"podSelector\":{}}}", selector(dice)),
        1 => {
            let (cidr, except) = dice.one(&[
                ("203.0.113.0/24", "\"203.0.113.128/25\""),
                ("203.0.113.7/32", ""),
                ("2001:db8::/32", ""),
            ]);
            format!("{{\"ipBlock\":{{\"cidr\":\"{cidr}\",\"except\":[{except}]}}}}")
        }
        _ => format!(
            "{{\"namespaceSelector\":{{\"matchLabels\":{{\"kubernetes.io/metadata.name\":\"{}\"}}}},\"podSelector\":{}}}",
            dice.one(NAMESPACES),
            selector(dice)
        ),
    }
}

fn list(dice: &mut Dice, least: usize, most: usize, item: impl Fn(&mut Dice) -> String) -> String {
    let count = least + dice.throw(most - least + 1);
    (0..count).map(|_| item(dice)).collect::<Vec<_>>().join(",")
}

/// A policy of the shapes that kico writes, and a default deny now and then.
fn policy(number: u64) -> NetworkPolicy {
    let mut dice = Dice(number);
    let namespace = dice.one(NAMESPACES);
    let port = |dice: &mut Dice| match dice.throw(60) {
        0 => (1000..1060)
            .map(|n| format!("{{\"port\":{n},\"protocol\":\"TCP\"}}"))
            .collect::<Vec<_>>()
            .join(","),
        n if n < 10 => "{\"port\":\"web\",\"protocol\":\"TCP\"}".into(),
        n if n < 15 => "{\"port\":80}".into(),
        _ => {
            let (number, protocol) = dice.one(PORTS);
            format!("{{\"port\":{number},\"protocol\":\"{protocol}\"}}")
        }
    };
    let mut sections = Vec::new();
    let types = dice.one(&["Ingress", "Egress", "Ingress\",\"Egress"]);
    for (kind, section, ends) in [("Ingress", "ingress", "from"), ("Egress", "egress", "to")] {
        if types.contains(kind) {
            let rules = list(&mut dice, 0, 3, |dice| {
                let (peers, ports) = (list(dice, 1, 3, peer), list(dice, 1, 3, port));
                format!("{{\"{ends}\":[{peers}],\"ports\":[{ports}]}}")
            });
            sections.push(format!(",\"{section}\":[{rules}]"));
        }
    }
    let text = format!(
        "{{\"metadata\":{{\"name\":\"p\",\"namespace\":\"{namespace}\"}},\"spec\":{{\"podSelector\":{},\"policyTypes\":[\"{types}\"]{}}}}}",
        selector(&mut dice),
        sections.concat()
    );
    serde_json::from_str(&text).expect("a NetworkPolicy")
}

/// What is written for it.
fn convert(object: &NetworkPolicy) -> Result<(Value, Value), String> {
    let of = Policies {
        complete: vec![Policy {
            object: object.clone(),
            cilium: None,
            workload: WorkloadId(0),
            comment: Vec::new(),
            incomplete: Vec::new(),
            peers: Vec::new(),
        }],
        ..Policies::default()
    };
    let options = Options {
        strict: false,
        allow_nodes: false,
        evidence: true,
        changed_evidence: Vec::new(),
        directions: &[],
        subjects: &|_| true,
        clients: &|_| true,
    };
    let read = |policy: &Policy| -> Value {
        let text = yaml::document(policy, yaml::Place::Stream).expect("YAML");
        serde_yaml::from_str(&text).expect("YAML that can be read")
    };
    let made = cilium::convert(&of, &Report::default(), &Cluster::default(), &options);
    match made.complete.iter().chain(&made.incomplete).next() {
        Some(policy) => Ok((read(&of.complete[0]), read(policy))),
        None => Err(made.refused[0].reason.clone()),
    }
}

/// Pods of all namespaces and many labels; what is outside has no namespace.
fn world() -> Vec<(Pod, End)> {
    let mut dice = Dice(7);
    let mut all = Vec::new();
    for number in 0..24_u8 {
        let namespace = NAMESPACES[usize::from(number) % NAMESPACES.len()].to_owned();
        let mut labels = BTreeMap::new();
        for _ in 0..dice.throw(4) {
            labels.insert(dice.one(KEYS).to_owned(), dice.one(VALUES).to_owned());
        }
        let web = dice.one(&[80, 8080]);
        let ports = vec![("web".to_owned(), web, "TCP".to_owned())];
        let address = Some(IpAddr::from([10, 0, 0, number]));
        all.push((
            Pod {
                namespace: namespace.clone(),
                labels: labels.clone(),
                address,
                ports: ports.clone(),
            },
            End { pod: Some((namespace, labels)), entities: Vec::new(), address, ports },
        ));
    }
    for address in OUTSIDE {
        let address = address.parse().ok();
        let (namespace, labels, ports) = (String::new(), BTreeMap::new(), Vec::new());
        all.push((
            Pod { namespace, labels, address, ports },
            End { pod: None, entities: Vec::new(), address, ports: Vec::new() },
        ));
    }
    all
}

#[test]
fn cilium_allows_exactly_what_the_networkpolicy_does() {
    let world = world();
    let namespaces: BTreeMap<String, BTreeMap<String, String>> = NAMESPACES
        .iter()
        .map(|n| {
            (n.to_string(), BTreeMap::from([("kubernetes.io/metadata.name".into(), n.to_string())]))
        })
        .collect();
    let (mut allowed, mut denied, mut blocks) = (0, 0, 0);
    for number in 0..250 {
        let object = policy(number);
        let (own, made) = convert(&object).expect("a shape that kico writes");
        assert_eq!(complaints(&made), [""; 0], "{made:#?}");
        blocks += usize::from(format!("{made:?}").contains("CIDRSet"));
        for (subject, end) in world.iter().filter(|(_, end)| end.pod.is_some()) {
            for (peer, other) in &world {
                for (port, protocol) in PORTS.iter().copied().chain([(1059, "TCP"), (81, "TCP")]) {
                    for direction in ["ingress", "egress"] {
                        let wanted =
                            wanted(&own, &namespaces, direction, (subject, peer), (port, protocol));
                        let got = verdict(
                            std::slice::from_ref(&made),
                            direction,
                            (end, other),
                            (port, protocol),
                        );
                        assert_eq!(
                            got, wanted,
                            "policy {number}: {direction} of {subject:?}, {peer:?}, {port}/{protocol}\n{own:#?}\n{made:#?}"
                        );
                        allowed += usize::from(got == Some(true));
                        denied += usize::from(got == Some(false));
                    }
                }
            }
        }
    }
    assert!(allowed > 10_000 && denied > 10_000 && blocks > 50, "{allowed} {denied} {blocks}");
}

type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

/// What the NetworkPolicy says.
fn wanted(
    policy: &Value,
    namespaces: &Namespaces,
    direction: &str,
    (subject, peer): (&Pod, &Pod),
    (port, protocol): (u16, &str),
) -> Option<bool> {
    let policies = std::slice::from_ref(policy);
    let verdict = match direction {
        "ingress" => {
            let attempt = Attempt { client: peer, server: subject, port, protocol };
            ingress(policies, namespaces, attempt)
        }
        _ => {
            let attempt = Attempt { client: subject, server: peer, port, protocol };
            egress(policies, namespaces, attempt)
        }
    };
    (verdict != Verdict::NotIsolated).then_some(verdict == Verdict::Allowed)
}

#[test]
fn what_kico_never_writes_is_refused() {
    let rule = |rule: &str| {
        let text = format!(
            "{{\"metadata\":{{\"name\":\"p\",\"namespace\":\"shop\"}},\"spec\":{{\"podSelector\":{{}},\"policyTypes\":[\"Ingress\"],\"ingress\":[{rule}]}}}}"
        );
        convert(&serde_json::from_str(&text).expect("a NetworkPolicy"))
    };
    let ports = "\"ports\":[{\"port\":80}]";
    let from = "\"from\":[{\"podSelector\":{}}]";
    assert!(rule(&format!("{{{from},{ports}}}")).is_ok());
    for wide in [
        "{}".to_owned(),
        format!("{{{ports}}}"),
        format!("{{{from}}}"),
        format!("{{\"from\":[],{ports}}}"),
        format!("{{{from},\"ports\":[{{\"protocol\":\"TCP\"}}]}}"),
        format!("{{{from},\"ports\":[{{\"port\":80,\"endPort\":90}}]}}"),
        format!("{{\"from\":[{{\"namespaceSelector\":{{}}}}],{ports}}}"),
        // Nothing matches this there; and everything matches that.
        format!(
            "{{\"from\":[{{\"podSelector\":{{\"matchLabels\":{{\"kubernetes.io/os\":\"x\"}}}}}}],{ports}}}"
        ),
        format!(
            "{{\"from\":[{{\"podSelector\":{{\"matchExpressions\":[{{\"key\":\"k8s.io/x\",\"operator\":\"DoesNotExist\"}}]}}}}],{ports}}}"
        ),
        format!(
            "{{\"from\":[{{\"podSelector\":{{\"matchLabels\":{{\"io.kubernetes.pod.namespace\":\"web\"}}}}}}],{ports}}}"
        ),
    ] {
        assert!(rule(&wide).is_err(), "{wide}");
    }
}

#[test]
fn the_schema_says_what_cilium_says() {
    let check = |spec: &str, fine: bool| {
        let text = format!(
            "{{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {{name: a, namespace: b}}, spec: {spec}}}"
        );
        let found = complaints(&serde_yaml::from_str(&text).expect("YAML"));
        assert_eq!(found.is_empty(), fine, "{spec}: {found:?}");
    };
    let ports = "toPorts: [{ports: [{port: '53', protocol: UDP}]}]";
    let dns =
        "toPorts: [{ports: [{port: '53', protocol: UDP}], rules: {dns: [{matchPattern: '*'}]}}]";
    let web = "{matchLabels: {'k8s:app': web}}";
    for (rule, fine) in [
        (format!("ingress: [{{fromEndpoints: [{web}], {ports}}}]"), true),
        (format!("egress: [{{toEndpoints: [{web}], {dns}}}]"), true),
        ("egress: [{toFQDNs: [{matchName: a.example}]}]".into(), true),
        ("ingress: [{}]".into(), true),
        (format!("ingress: [{{fromEndpoints: [{web}], {dns}}}]"), false),
        (format!("ingress: [{{fromFQDNs: [{{matchName: a.example}}], {ports}}}]"), false),
        (format!("ingress: [{{toFQDNs: [{{matchName: a.example}}], {ports}}}]"), false),
        (
            format!(
                "egress: [{{toFQDNs: [{{matchName: a.example}}], toEndpoints: [{web}], {ports}}}]"
            ),
            false,
        ),
        ("egress: [{toFQDNs: [{matchName: 'a b'}]}]".into(), false),
        (format!("egress: [{{toEndpoints: [{web}]}}]"), false),
        (format!("egress: [{{{ports}}}]"), false),
        (format!("egress: [{{toEntities: [nodes], {ports}}}]"), false),
        ("egress: []".into(), false),
        (format!("ingress: [{{fromEndpoints: [{{matchLabels: {{app: web}}}}], {ports}}}]"), false),
        (
            format!(
                "ingress: [{{fromEndpoints: [{web}], toPorts: [{{ports: [{{port: 53, protocol: UDP}}]}}]}}]"
            ),
            false,
        ),
        (
            format!(
                "ingress: [{{fromEndpoints: [{web}], toPorts: [{{ports: [{{port: '53'}}]}}]}}]"
            ),
            false,
        ),
    ] {
        check(&format!("{{endpointSelector: {web}, {rule}}}"), fine);
    }
    check(&format!("{{ingress: [{{fromEndpoints: [{web}], {ports}}}]}}"), false);
}

/// Every document that a case or the README's sample shows.
#[test]
fn every_document_of_the_cases_is_one_that_cilium_takes() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cases");
    let (mut waiting, mut documents) = (vec![cases], 0);
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory");
            waiting.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if path.file_name().is_some_and(|n| n == "stdout") || is_yaml(&path) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
            if text.contains("\nkind: CiliumNetworkPolicy\n") {
                for document in serde_yaml::Deserializer::from_str(&text) {
                    let document = Value::deserialize(document).expect("YAML");
                    assert_eq!(complaints(&document), [""; 0], "{}", path.display());
                    documents += 1;
                }
            }
        }
    }
    assert!(documents > 5, "only {documents}");
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
        && path.components().any(|part| part.as_os_str() == "written")
}
