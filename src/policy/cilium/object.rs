//! The part of `cilium.io/v2` CiliumNetworkPolicy that kico writes. A rule has exactly one kind of end, as Cilium
//! demands; nothing here can be a rule without ends, which would be a rule for everybody.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::policy::Direction;

/// The object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CiliumNetworkPolicy {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) metadata: ObjectMeta,
    pub(super) spec: Spec,
}

impl CiliumNetworkPolicy {
    pub(super) fn new(metadata: ObjectMeta, spec: Spec) -> CiliumNetworkPolicy {
        CiliumNetworkPolicy {
            api_version: "cilium.io/v2",
            kind: "CiliumNetworkPolicy",
            metadata,
            spec,
        }
    }
}

/// A direction that is not there is left as it is; one that is there isolates, whatever its rules say.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) egress: Option<Vec<Rule>>,
    pub(super) endpoint_selector: LabelSelector,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ingress: Option<Vec<Rule>>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rule {
    /// `{}`: isolates its direction and allows nothing. It is how Cilium says a default deny.
    Nothing,
    /// Who may connect, or whom to connect to, on which ports.
    Allow { direction: Direction, ends: Ends, ports: Vec<PortRule> },
}

/// Never empty.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ends {
    Endpoints(Vec<LabelSelector>),
    Entities(Vec<&'static str>),
    Cidrs(Vec<CidrRule>),
    /// Egress only.
    Fqdns(Vec<Fqdn>),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CidrRule {
    pub(super) cidr: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) except: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fqdn {
    pub(super) match_name: String,
}

/// At most 40 ports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PortRule {
    pub(super) ports: Vec<Port>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rules: Option<Lookups>,
}

/// A number, or the name that a pod gives it; either is text in this API.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Port {
    pub(super) port: String,
    pub(super) protocol: String,
}

/// `rules.dns`: what sends lookups through Cilium's DNS proxy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Lookups {
    pub(super) dns: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pattern {
    pub(super) match_pattern: &'static str,
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Rule::Allow { direction, ends, ports } = self {
            let ingress = *direction == Direction::Ingress;
            let key = |from, to| if ingress { from } else { to };
            match ends {
                Ends::Endpoints(list) => {
                    map.serialize_entry(key("fromEndpoints", "toEndpoints"), list)?;
                }
                Ends::Entities(list) => {
                    map.serialize_entry(key("fromEntities", "toEntities"), list)?;
                }
                Ends::Cidrs(list) => map.serialize_entry(key("fromCIDRSet", "toCIDRSet"), list)?,
                Ends::Fqdns(list) => map.serialize_entry("toFQDNs", list)?,
            }
            if !ports.is_empty() {
                map.serialize_entry("toPorts", ports)?;
            }
        }
        map.end()
    }
}
