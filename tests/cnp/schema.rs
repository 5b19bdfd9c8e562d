//! Cilium's published fields, as far as a policy by kico may use them:
//! `pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml` of cilium/cilium at 02904c9bb255, and what `pkg/policy/api/rule_validation.go` refuses.

use std::net::IpAddr;

use serde_yaml::Value;

use super::list;

/// Path → type. `[]` is an item of a list. What is not here is either no field of the CRD or none for kico.
const FIELDS: &[(&str, &str)] = &[
    ("apiVersion", "=cilium.io/v2"),
    ("kind", "=CiliumNetworkPolicy"),
    ("metadata", "object"),
    ("metadata.name", "name"),
    ("metadata.namespace", "name"),
    ("metadata.labels", "texts"),
    ("metadata.annotations", "texts"),
    ("spec", "object"),
    ("spec.endpointSelector", "selector"),
    ("spec.ingress", "list"),
    ("spec.ingress[]", "object"),
    ("spec.ingress[].fromEndpoints", "list"),
    ("spec.ingress[].fromEndpoints[]", "selector"),
    ("spec.ingress[].fromEntities", "list"),
    ("spec.ingress[].fromEntities[]", "entity"),
    ("spec.ingress[].fromCIDRSet", "list"),
    ("spec.ingress[].fromCIDRSet[]", "object"),
    ("spec.ingress[].fromCIDRSet[].cidr", "cidr"),
    ("spec.ingress[].fromCIDRSet[].except", "list"),
    ("spec.ingress[].fromCIDRSet[].except[]", "cidr"),
    ("spec.ingress[].toPorts", "list"),
    ("spec.ingress[].toPorts[]", "object"),
    ("spec.ingress[].toPorts[].ports", "list"),
    ("spec.ingress[].toPorts[].ports[]", "object"),
    ("spec.ingress[].toPorts[].ports[].port", "port"),
    ("spec.ingress[].toPorts[].ports[].protocol", "protocol"),
    ("spec.egress", "list"),
    ("spec.egress[]", "object"),
    ("spec.egress[].toEndpoints", "list"),
    ("spec.egress[].toEndpoints[]", "selector"),
    ("spec.egress[].toEntities", "list"),
    ("spec.egress[].toEntities[]", "entity"),
    ("spec.egress[].toCIDRSet", "list"),
    ("spec.egress[].toCIDRSet[]", "object"),
    ("spec.egress[].toCIDRSet[].cidr", "cidr"),
    ("spec.egress[].toCIDRSet[].except", "list"),
    ("spec.egress[].toCIDRSet[].except[]", "cidr"),
    ("spec.egress[].toFQDNs", "list"),
    ("spec.egress[].toFQDNs[]", "object"),
    ("spec.egress[].toFQDNs[].matchName", "dns name"),
    ("spec.egress[].toPorts", "list"),
    ("spec.egress[].toPorts[]", "object"),
    ("spec.egress[].toPorts[].ports", "list"),
    ("spec.egress[].toPorts[].ports[]", "object"),
    ("spec.egress[].toPorts[].ports[].port", "port"),
    ("spec.egress[].toPorts[].ports[].protocol", "protocol"),
    ("spec.egress[].toPorts[].rules", "object"),
    ("spec.egress[].toPorts[].rules.dns", "list"),
    ("spec.egress[].toPorts[].rules.dns[]", "object"),
    ("spec.egress[].toPorts[].rules.dns[].matchName", "dns name"),
    ("spec.egress[].toPorts[].rules.dns[].matchPattern", "dns pattern"),
];

/// Fields that must be there, where what holds them is.
const REQUIRED: &[(&str, &[&str])] = &[
    ("", &["apiVersion", "kind", "metadata", "spec"]),
    ("metadata", &["name", "namespace"]),
    ("spec", &["endpointSelector"]),
    ("spec.ingress[].fromCIDRSet[]", &["cidr"]),
    ("spec.egress[].toCIDRSet[]", &["cidr"]),
    ("spec.ingress[].toPorts[]", &["ports"]),
    ("spec.egress[].toPorts[]", &["ports"]),
    ("spec.ingress[].toPorts[].ports[]", &["port", "protocol"]),
    ("spec.egress[].toPorts[].ports[]", &["port", "protocol"]),
    ("spec.egress[].toFQDNs[]", &["matchName"]),
    ("spec.egress[].toPorts[].rules", &["dns"]),
];

/// Of these a rule has one: Cilium refuses combinations.
const ENDS: &[&str] = &[
    "fromEndpoints",
    "fromEntities",
    "fromCIDRSet",
    "toEndpoints",
    "toEntities",
    "toCIDRSet",
    "toFQDNs",
];

/// What is wrong with a document.
pub(crate) fn complaints(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(document, "", &mut found);
    let spec = &document["spec"];
    if spec["ingress"].is_null() && spec["egress"].is_null() {
        found.push("spec: no direction: the policy has no effect".into());
    }
    for rule in list(&spec["ingress"]).iter().chain(list(&spec["egress"])) {
        let ends = ENDS.iter().filter(|field| !rule[**field].is_null()).count();
        let nothing = rule.as_mapping().is_some_and(serde_yaml::Mapping::is_empty);
        match ends {
            0 if !nothing => found.push("a rule for everybody".into()),
            2.. => found.push("several kinds of ends in one rule".into()),
            _ => {}
        }
        if ends == 1 && rule["toFQDNs"].is_null() && rule["toPorts"].is_null() {
            found.push("a rule for all ports".into());
        }
    }
    found
}

fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
    let kind = match path {
        "" => "object",
        _ => match FIELDS.iter().find(|(known, _)| *known == path) {
            Some((_, kind)) => kind,
            None => return found.push(format!("{path}: no such field")),
        },
    };
    let ok = match kind {
        "object" => {
            let Some(map) = value.as_mapping() else {
                return found.push(format!("{path}: no object"));
            };
            for (key, value) in map {
                let key = key.as_str().unwrap_or("?");
                let dot = if path.is_empty() { "" } else { "." };
                walk(value, &format!("{path}{dot}{key}"), found);
            }
            let required = REQUIRED.iter().filter(|(at, _)| *at == path);
            required.flat_map(|(_, fields)| *fields).all(|field| !value[*field].is_null())
                && (!path.ends_with("dns[]") || map.len() == 1)
        }
        "list" => {
            list(value).iter().for_each(|item| walk(item, &format!("{path}[]"), found));
            let most = if path.ends_with("].ports") { 40 } else { usize::MAX };
            (1..=most).contains(&list(value).len())
        }
        "selector" => is_selector(value),
        "texts" => value.as_mapping().is_some_and(|map| map.values().all(Value::is_string)),
        kind => value.as_str().is_some_and(|text| is(kind, text)),
    };
    if !ok {
        found.push(format!("{path}: {value:?} is no {kind}, or something is missing"));
    }
}

fn is(kind: &str, text: &str) -> bool {
    let of = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    match kind {
        "name" => of(text, "-.") && text.len() <= 253,
        "entity" => [
            "all",
            "world",
            "cluster",
            "host",
            "init",
            "ingress",
            "unmanaged",
            "remote-node",
            "health",
            "none",
            "kube-apiserver",
        ]
        .contains(&text),
        // As the enum has it, less what kico's evidence never says.
        "protocol" => ["TCP", "UDP", "SCTP"].contains(&text),
        "port" => match text.parse::<u16>() {
            Ok(number) => number != 0,
            Err(_) => {
                let sound = !text.starts_with('-') && !text.ends_with('-') && !text.contains("--");
                of(text, "-") && sound && text.chars().any(|c| c.is_ascii_alphabetic())
            }
        },
        "cidr" => cidr(text).is_some(),
        // ^([-a-zA-Z0-9_]+[.]?)+$
        "dns name" => {
            text.len() <= 255 && text.trim_end_matches('.').split('.').all(|l| of(l, "-_"))
        }
        "dns pattern" => {
            text.len() <= 255 && text.trim_end_matches('.').split('.').all(|l| of(l, "-_*"))
        }
        _ => text == kind.trim_start_matches('='),
    }
}

/// `address/length`, the only form that a CIDRRule takes.
pub(crate) fn cidr(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/')?;
    let (address, length): (IpAddr, u32) = (address.parse().ok()?, length.parse().ok()?);
    (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
}

/// Keys must say their source: without it a label from anywhere would do.
fn is_selector(value: &Value) -> bool {
    let Some(map) = value.as_mapping() else { return false };
    let is_key = |key: &Value| key.as_str().is_some_and(|key| key.starts_with("k8s:"));
    let labels = value["matchLabels"].as_mapping();
    let labels = labels.into_iter().flatten().all(|(key, value)| {
        let value = value.as_str();
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        is_key(key) && value.is_some_and(|text| text.len() <= 63 && text.chars().all(legal))
    });
    let expressions = list(&value["matchExpressions"]).iter().all(|requirement| {
        let fields = requirement.as_mapping().into_iter().flat_map(|map| map.keys());
        let known = ["key", "operator", "values"];
        let known = fields.filter_map(Value::as_str).all(|field| known.contains(&field));
        let some = !list(&requirement["values"]).is_empty();
        let values = match requirement["operator"].as_str() {
            Some("In" | "NotIn") => some,
            Some("Exists" | "DoesNotExist") => !some,
            _ => false,
        };
        known && values && is_key(&requirement["key"])
    });
    let fields = map.keys().filter_map(Value::as_str);
    labels
        && expressions
        && fields.into_iter().all(|f| ["matchLabels", "matchExpressions"].contains(&f))
}
