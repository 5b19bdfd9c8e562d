//! Why the API would not take a policy: the first fault, as `field: what`. What it says of fields that bear on nothing that
//! is allowed (annotations) is left out.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::compile::protocol;
use crate::cluster::model::NetworkPolicy;
use crate::name::is_label;
use crate::policy::labels::{is_key, is_port_name, is_subdomain, is_value};

/// A fragment of untrusted text: `spec.ingress[0].ports[1].port: 70000 is no port`.
pub fn refused(policy: &NetworkPolicy) -> Option<String> {
    metadata(policy).or_else(|| spec(policy).map(|why| format!("spec.{why}")))
}

fn metadata(policy: &NetworkPolicy) -> Option<String> {
    let meta = &policy.meta;
    if !is_subdomain(&meta.name) {
        return Some(format!("metadata.name: \"{}\" is no name of an object", meta.name));
    }
    if !is_label(&meta.namespace) {
        return Some(format!("metadata.namespace: \"{}\" is no name of one", meta.namespace));
    }
    meta.labels.iter().find_map(|(key, value)| label("metadata.labels", key, value))
}

fn spec(policy: &NetworkPolicy) -> Option<String> {
    let spec = &policy.spec;
    let types = spec.policy_types.as_deref().unwrap_or_default();
    if let Some(word) = types.iter().find(|word| *word != "Ingress" && *word != "Egress") {
        return Some(format!("policyTypes: {word} is neither Ingress nor Egress"));
    }
    if types.len() > 2 {
        return Some("policyTypes: at most two may stand there".into());
    }
    let ingress = || {
        let rules = spec.ingress.iter().flatten().enumerate();
        rules.map(|(at, rule)| (format!("ingress[{at}]"), "from", &rule.from, &rule.ports))
    };
    let egress = || {
        let rules = spec.egress.iter().flatten().enumerate();
        rules.map(|(at, rule)| (format!("egress[{at}]"), "to", &rule.to, &rule.ports))
    };
    let own = spec.pod_selector.as_ref().and_then(|own| selector("podSelector", own));
    own.or_else(|| {
        ingress().chain(egress()).find_map(|(rule, word, peers, ports)| {
            let mut items = peers.iter().flatten().enumerate();
            let bad_peer = items.find_map(|(at, item)| peer(&format!("{rule}.{word}[{at}]"), item));
            bad_peer.or_else(|| {
                ports.iter().flatten().enumerate().find_map(|(at, item)| {
                    port(item).map(|(field, why)| format!("{rule}.ports[{at}].{field}: {why}"))
                })
            })
        })
    })
}

fn peer(field: &str, peer: &NetworkPolicyPeer) -> Option<String> {
    let selectors =
        [("namespaceSelector", &peer.namespace_selector), ("podSelector", &peer.pod_selector)];
    let has_selector = selectors.iter().any(|(_, selector)| selector.is_some());
    match &peer.ip_block {
        Some(_) if has_selector => {
            Some(format!("{field}: an item with ipBlock cannot have selectors too"))
        }
        Some(one) => block(&format!("{field}.ipBlock"), one),
        None if !has_selector => {
            Some(format!("{field}: an item without selector and without ipBlock"))
        }
        None => selectors
            .into_iter()
            .find_map(|(word, one)| selector(&format!("{field}.{word}"), one.as_ref()?)),
    }
}

fn block(field: &str, block: &IPBlock) -> Option<String> {
    let no_cidr = |text: &str| format!("\"{text}\" is no CIDR");
    let Ok(cidr) = block.cidr.parse::<IpNet>() else {
        return Some(format!("{field}.cidr: {}", no_cidr(&block.cidr)));
    };
    block.except.iter().flatten().enumerate().find_map(|(at, text)| {
        let why = match text.parse::<IpNet>() {
            Err(_) => no_cidr(text),
            Ok(except) if is_inside(&except, &cidr) => return None,
            Ok(_) => format!("{text} is not a part of {}", block.cidr),
        };
        Some(format!("{field}.except[{at}]: {why}"))
    })
}

/// Less than the whole of it.
fn is_inside(except: &IpNet, cidr: &IpNet) -> bool {
    let first: IpAddr = except.network();
    cidr.contains(&first) && except.prefix_len() > cidr.prefix_len()
}

fn selector(field: &str, selector: &LabelSelector) -> Option<String> {
    let labels = || {
        let mut labels = selector.match_labels.iter().flatten();
        labels.find_map(|(key, value)| label(&format!("{field}.matchLabels"), key, value))
    };
    let mut expressions = selector.match_expressions.iter().flatten().enumerate();
    labels().or_else(|| {
        expressions.find_map(|(at, one)| {
            let why = requirement(one)?;
            Some(format!("{field}.matchExpressions[{at}]: {why}"))
        })
    })
}

fn label(field: &str, key: &str, value: &str) -> Option<String> {
    if !is_key(key) {
        return Some(format!("{field}: \"{key}\" is no key of a label"));
    }
    (!is_value(value)).then(|| format!("{field}: \"{value}\" is no value of a label"))
}

fn requirement(one: &LabelSelectorRequirement) -> Option<String> {
    let values = || one.values.iter().flatten();
    if !is_key(&one.key) {
        return Some(format!("\"{}\" is no key of a label", one.key));
    }
    let (operator, count) = (one.operator.as_str(), values().count());
    match operator {
        "In" | "NotIn" if count == 0 => Some(format!("{operator} needs values")),
        "Exists" | "DoesNotExist" if count > 0 => Some(format!("{operator} takes no values")),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {
            let bad = values().find(|value| !is_value(value))?;
            Some(format!("\"{bad}\" is no value of a label"))
        }
        other => Some(format!("{other} is no operator")),
    }
}

/// The field, and what is wrong with it.
fn port(port: &NetworkPolicyPort) -> Option<(&'static str, String)> {
    let is_port = |number: i32| (1..=65535).contains(&number);
    if protocol(port.protocol.as_deref()).is_none() {
        return Some(("protocol", "it is none of TCP, UDP, SCTP".into()));
    }
    match (&port.port, port.end_port) {
        (Some(IntOrString::Int(number)), _) if !is_port(*number) => {
            Some(("port", format!("{number} is no port")))
        }
        (Some(IntOrString::Int(first)), Some(last)) if !is_port(last) || last < *first => {
            Some(("endPort", format!("{last} does not fit port {first}")))
        }
        (Some(IntOrString::String(_)) | None, Some(_)) => {
            Some(("endPort", "it needs a port that is a number".into()))
        }
        (Some(IntOrString::String(name)), None) if name.parse::<u16>().is_ok() => {
            let why =
                format!("\"{name}\" is text, and no port has that name: write it without quotes");
            Some(("port", why))
        }
        (Some(IntOrString::String(name)), None) if !is_port_name(name) => {
            Some(("port", format!("\"{name}\" is no name of a port")))
        }
        _ => None,
    }
}
