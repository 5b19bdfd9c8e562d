//! What CiliumNetworkPolicies allow, for those rules that kico may write.
//! <https://docs.cilium.io/en/stable/security/policy/>

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_yaml::Value;

use super::list;
use super::schema::cidr;

/// One end of a connection, as Cilium sees it.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// Of a pod: namespace and labels.
    pub(crate) pod: Option<(String, BTreeMap<String, String>)>,
    /// Of what is no pod: the entities that it belongs to; none: something outside, which CIDR rules match.
    pub(crate) entities: Vec<&'static str>,
    pub(crate) address: Option<IpAddr>,
    /// A pod's named ports.
    pub(crate) ports: Vec<(String, u16, String)>,
}

/// Allowed, or not, or nobody's business: `None`, the subject is not isolated in this direction.
pub(crate) fn verdict(
    policies: &[Value],
    direction: &str,
    (subject, peer): (&End, &End),
    (port, protocol): (u16, &str),
) -> Option<bool> {
    let mut verdict = None;
    for policy in policies {
        let own = policy["metadata"]["namespace"].as_str().expect("a namespace");
        let (namespace, _) = subject.pod.as_ref().expect("a pod");
        let spec = &policy["spec"];
        // A policy is about pods of its own namespace, whatever its selector says.
        if namespace != own || !selects(&spec["endpointSelector"], subject) {
            continue;
        }
        // A direction isolates by having rules.
        let rules = list(&spec[direction]);
        if rules.is_empty() {
            continue;
        }
        let server = if direction == "ingress" { subject } else { peer };
        let allowed = rules.iter().any(|rule| {
            let nothing = rule.as_mapping().is_none_or(serde_yaml::Mapping::is_empty);
            !nothing
                && ends(rule, direction, own, peer)
                && (rule["toPorts"].is_null() || to_ports(&rule["toPorts"], server, port, protocol))
        });
        verdict = Some(verdict.unwrap_or(false) || allowed);
    }
    verdict
}

/// A list that is not there does not restrict, if ports do; one that is empty selects nobody.
fn ends(rule: &Value, direction: &str, own: &str, peer: &End) -> bool {
    let side = if direction == "ingress" { "from" } else { "to" };
    let field = |name: &str| &rule[format!("{side}{name}")];
    let (endpoints, entities, blocks) = (field("Endpoints"), field("Entities"), field("CIDRSet"));
    if !rule["toFQDNs"].is_null() {
        return false; // No pod, and no address that is known here.
    }
    if endpoints.is_null() && entities.is_null() && blocks.is_null() {
        return true;
    }
    let endpoint = list(endpoints).iter().any(|selector| {
        // Without a word about the namespace, the policy's own.
        let says = |key: &Value| key.as_str() == Some("k8s:io.kubernetes.pod.namespace");
        let mut keys = selector["matchLabels"].as_mapping().into_iter().flat_map(|m| m.keys());
        let named =
            keys.any(says) || list(&selector["matchExpressions"]).iter().any(|r| says(&r["key"]));
        let here = peer.pod.as_ref().is_some_and(|(namespace, _)| named || namespace == own);
        here && selects(selector, peer)
    });
    let entity = list(entities).iter().any(|entity| {
        let entity = entity.as_str().expect("text");
        peer.entities.contains(&entity)
    });
    // CIDR rules match neither pods nor nodes.
    let outside = peer.pod.is_none() && peer.entities.is_empty();
    let block = outside
        && list(blocks).iter().any(|rule| {
            let except = list(&rule["except"]);
            peer.address.is_some_and(|address| {
                inside(&rule["cidr"], address) && !except.iter().any(|e| inside(e, address))
            })
        });
    endpoint || entity || block
}

fn inside(block: &Value, address: IpAddr) -> bool {
    let (network, length) = block.as_str().and_then(cidr).expect("a CIDR");
    match (network, address) {
        (IpAddr::V4(n), IpAddr::V4(a)) => {
            let shift = 32 - length;
            length == 0 || n.to_bits() >> shift == a.to_bits() >> shift
        }
        (IpAddr::V6(n), IpAddr::V6(a)) => {
            let shift = 128 - length;
            length == 0 || n.to_bits() >> shift == a.to_bits() >> shift
        }
        _ => false,
    }
}

fn to_ports(rules: &Value, server: &End, port: u16, protocol: &str) -> bool {
    list(rules).iter().flat_map(|rule| list(&rule["ports"])).any(|own| {
        let text = own["port"].as_str().expect("text");
        let of = own["protocol"].as_str().unwrap_or("ANY");
        let same = match text.parse::<u16>() {
            Ok(number) => number == port,
            Err(_) => server
                .ports
                .iter()
                .any(|(name, number, its)| name == text && *number == port && its == protocol),
        };
        same && (of == protocol || of == "ANY")
    })
}

/// The labels of an identity are those that Kubernetes gives, behind `k8s:`, less those that Cilium leaves out.
fn label(end: &End, key: &str) -> Option<String> {
    let (namespace, labels) = end.pod.as_ref()?;
    let key = key.strip_prefix("k8s:").unwrap_or(key);
    if key == "io.kubernetes.pod.namespace" {
        return Some(namespace.clone());
    }
    let left_out = ["kubernetes.io", "k8s.io", "io.kubernetes", "pod-template-hash"];
    let left_out = left_out.iter().any(|start| key.starts_with(start));
    labels.get(key).filter(|_| !left_out).cloned()
}

fn selects(selector: &Value, end: &End) -> bool {
    let labels = selector["matchLabels"].as_mapping();
    let equal = labels
        .into_iter()
        .flatten()
        .all(|(key, value)| label(end, key.as_str().expect("text")).as_deref() == value.as_str());
    equal
        && list(&selector["matchExpressions"]).iter().all(|requirement| {
            let own = label(end, requirement["key"].as_str().expect("text"));
            let values = list(&requirement["values"]);
            let among =
                || own.as_deref().is_some_and(|own| values.iter().any(|v| v.as_str() == Some(own)));
            match requirement["operator"].as_str() {
                Some("In") => among(),
                Some("NotIn") => !among(),
                Some("Exists") => own.is_some(),
                Some("DoesNotExist") => own.is_none(),
                other => panic!("no operator: {other:?}"),
            }
        })
}
