//! What NetworkPolicies mean, written from the Kubernetes documentation alone, on plain YAML values. It shares no code
//! with kico, so that one mistake cannot hide another.
//! <https://kubernetes.io/docs/concepts/services-networking/network-policies/>

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_yaml::Value;

/// Labels.
pub(crate) type Labels = BTreeMap<String, String>;

/// A pod, as far as policies are concerned; or an address outside, which has neither namespace nor labels.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) labels: Labels,
    pub(crate) address: Option<IpAddr>,
    /// Name, number, protocol.
    pub(crate) ports: Vec<(String, u16, String)>,
}

/// A connection that somebody tries.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) client: &'a Pod,
    pub(crate) server: &'a Pod,
    pub(crate) port: u16,
    pub(crate) protocol: &'a str,
}

/// What the policies say of one side of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No policy selects the server for ingress (the client for egress): everything is allowed.
    NotIsolated,
    /// Some rule of some policy allows it.
    Allowed,
    /// It is isolated, and no rule allows it.
    Denied,
}

/// Policies add up: their order does not matter, and none takes away what another gives.
pub(crate) fn ingress(
    policies: &[Value],
    namespaces: &BTreeMap<String, Labels>,
    attempt: Attempt<'_>,
) -> Verdict {
    let mut verdict = Verdict::NotIsolated;
    for policy in policies {
        let (namespace, spec) = (&policy["metadata"]["namespace"], &policy["spec"]);
        let here = namespace.as_str() == Some(&attempt.server.namespace);
        if !here || !is_for_ingress(spec) || !selects(&spec["podSelector"], &attempt.server.labels)
        {
            continue;
        }
        let rules = list(&spec["ingress"]);
        let from = |peer: &Value| is_peer(peer, namespaces, attempt.client, attempt.server);
        if rules.iter().any(|rule| allows(&rule["from"], &rule["ports"], from, attempt)) {
            return Verdict::Allowed;
        }
        verdict = Verdict::Denied;
    }
    verdict
}

/// The same for the client's side.
pub(crate) fn egress(
    policies: &[Value],
    namespaces: &BTreeMap<String, Labels>,
    attempt: Attempt<'_>,
) -> Verdict {
    let mut verdict = Verdict::NotIsolated;
    for policy in policies {
        let (namespace, spec) = (&policy["metadata"]["namespace"], &policy["spec"]);
        let here = namespace.as_str() == Some(&attempt.client.namespace);
        if !here || !is_for_egress(spec) || !selects(&spec["podSelector"], &attempt.client.labels) {
            continue;
        }
        let rules = list(&spec["egress"]);
        let to = |peer: &Value| is_peer(peer, namespaces, attempt.server, attempt.client);
        if rules.iter().any(|rule| allows(&rule["to"], &rule["ports"], to, attempt)) {
            return Verdict::Allowed;
        }
        verdict = Verdict::Denied;
    }
    verdict
}

/// Without `policyTypes`, Ingress is always one.
fn is_for_ingress(spec: &Value) -> bool {
    let types = list(&spec["policyTypes"]);
    types.is_empty() || types.iter().any(|kind| kind == "Ingress")
}

/// Without `policyTypes`, Egress is one if there are egress rules.
fn is_for_egress(spec: &Value) -> bool {
    let types = list(&spec["policyTypes"]);
    (types.is_empty() && !list(&spec["egress"]).is_empty())
        || types.iter().any(|kind| kind == "Egress")
}

/// A rule allows what matches both its peers and its `ports`; either, if empty or missing, matches everything.
fn allows(
    peers: &Value,
    ports: &Value,
    is_peer: impl Fn(&Value) -> bool,
    attempt: Attempt<'_>,
) -> bool {
    let (peers, ports) = (list(peers), list(ports));
    let peer = peers.is_empty() || peers.iter().any(is_peer);
    let port = ports.is_empty() || ports.iter().any(|port| is_to(port, attempt));
    peer && port
}

/// Whether `other` is meant by an item of a policy that selects `own`.
fn is_peer(peer: &Value, namespaces: &BTreeMap<String, Labels>, other: &Pod, own: &Pod) -> bool {
    let block = &peer["ipBlock"];
    if !block.is_null() {
        let Some(address) = other.address else { return false };
        let except = list(&block["except"]);
        return in_block(&block["cidr"], address)
            && !except.iter().any(|cidr| in_block(cidr, address));
    }
    let (of_namespace, of_pod) = (&peer["namespaceSelector"], &peer["podSelector"]);
    // A namespaceSelector says which namespaces; without it, the policy's own.
    let namespace = if of_namespace.is_null() {
        other.namespace == own.namespace
    } else {
        // What is outside the cluster is in no namespace at all.
        namespaces.get(&other.namespace).is_some_and(|labels| selects(of_namespace, labels))
    };
    // A namespaceSelector alone means all pods there; an item with neither is not valid.
    let pod =
        if of_pod.is_null() { !of_namespace.is_null() } else { selects(of_pod, &other.labels) };
    namespace && pod
}

/// A port is the pod's own; TCP if nothing is said; a name is looked up among the pod's container ports.
fn is_to(port: &Value, attempt: Attempt<'_>) -> bool {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    if protocol != attempt.protocol {
        return false;
    }
    match &port["port"] {
        Value::Null => true,
        Value::Number(number) => {
            let first = number.as_u64().expect("a port");
            let last = port["endPort"].as_u64().unwrap_or(first);
            (first..=last).contains(&u64::from(attempt.port))
        }
        name => attempt.server.ports.iter().any(|(own, number, of)| {
            Some(own.as_str()) == name.as_str() && *number == attempt.port && of == protocol
        }),
    }
}

/// A label selector: all its requirements must hold; one without any selects everything.
pub(crate) fn selects(selector: &Value, labels: &Labels) -> bool {
    let pairs = selector["matchLabels"].as_mapping();
    let equal = pairs.into_iter().flatten().all(|(key, value)| {
        let key = key.as_str().expect("a label's key is text");
        labels.get(key).map(String::as_str)
            == Some(value.as_str().expect("a label's value is text"))
    });
    equal
        && list(&selector["matchExpressions"]).iter().all(|requirement| {
            let own = labels.get(requirement["key"].as_str().expect("a key"));
            let values = list(&requirement["values"]);
            let among =
                own.is_some_and(|own| values.iter().any(|value| value.as_str() == Some(own)));
            match requirement["operator"].as_str() {
                Some("In") => among,
                Some("NotIn") => !among,
                Some("Exists") => own.is_some(),
                Some("DoesNotExist") => own.is_none(),
                other => panic!("no operator: {other:?}"),
            }
        })
}

fn in_block(cidr: &Value, address: IpAddr) -> bool {
    let (network, length) = cidr.as_str().and_then(|cidr| cidr.split_once('/')).expect("a CIDR");
    let length: u32 = length.parse().expect("a prefix length");
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((network, size), (address, other)) =
        (bits(network.parse().expect("an address")), bits(address));
    let kept = if length == 0 { 0 } else { u128::MAX << (128 - length) };
    size == other && length <= size && network & kept == address & kept
}

fn list(value: &Value) -> &[Value] {
    value.as_sequence().map_or(&[], Vec::as_slice)
}
