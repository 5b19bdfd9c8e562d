//! What carries traffic: Services, EndpointSlices and legacy Endpoints, NetworkPolicies, nodes.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::Shell;
use super::meta::{self, RawLabels, Text};
use super::strict;
use super::unique::Unique;
use crate::cluster::model::{
    self, Endpoint, EndpointPort, EndpointSlice, Meta, NetworkPolicy, Node, Protocol, ServicePort,
    TargetPort,
};

/// A Service.
pub(super) fn service(
    shell: &Shell<'_>,
    notes: &mut Vec<String>,
) -> Result<model::Service, String> {
    let meta = meta::read(shell)?;
    let spec: ServiceSpec = meta::field(shell, "spec")?;
    let kind = spec.kind.unwrap_or_else(|| "ClusterIP".to_owned());
    let mut listed = spec.cluster_ips.unwrap_or_default();
    if listed.is_empty() {
        listed.extend(spec.cluster_ip);
    }
    let ip = |text: &String| meta::address(text, "spec.clusterIPs", notes);
    Ok(model::Service {
        meta,
        selector: spec.selector.unwrap_or_default().0,
        ports: spec.ports.unwrap_or_default().into_iter().map(RawServicePort::read).collect(),
        headless: listed.iter().any(|text| text == "None"),
        cluster_ips: listed.iter().filter(|text| *text != "None").filter_map(ip).collect(),
        external_name: match kind.as_str() {
            "ExternalName" => spec.external_name.unwrap_or_default(),
            _ => String::new(),
        },
        kind,
        external_ips: spec.external_ips.unwrap_or_default(),
    })
}

/// An EndpointSlice. One of names, which no kube-proxy looks at, is none.
pub(super) fn slice(
    shell: &Shell<'_>,
    notes: &mut Vec<String>,
) -> Result<Option<EndpointSlice>, String> {
    let meta = meta::read(shell)?;
    if shell.word("addressType") == Some("FQDN") {
        return Ok(None);
    }
    let endpoints: Vec<RawEndpoint<'_>> = meta::field(shell, "endpoints")?;
    let ports: Vec<RawEndpointPort> = meta::field(shell, "ports")?;
    let service = meta.labels.get("kubernetes.io/service-name").unwrap_or_default().to_owned();
    let endpoints = endpoints.into_iter().map(|endpoint| {
        let ip = |text: &Text<'_>| meta::address(text.as_str(), "endpoints", notes);
        Endpoint {
            addresses: endpoint.addresses.iter().flatten().filter_map(ip).collect(),
            hostname: endpoint.hostname.unwrap_or_default(),
            pod: endpoint.target_ref.and_then(|target| target.pod(&meta)),
        }
    });
    let endpoints = endpoints.collect();
    Ok(Some(EndpointSlice { service, endpoints, ports: read_ports(ports), meta }))
}

/// Legacy Endpoints, which bear their Service's name: a slice for each subset.
pub(super) fn endpoints(
    shell: &Shell<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<EndpointSlice>, String> {
    let meta = meta::read(shell)?;
    let subsets: Vec<Subset<'_>> = meta::field(shell, "subsets")?;
    let slices = subsets.into_iter().map(|subset| {
        let all = [subset.addresses, subset.not_ready_addresses].into_iter().flatten().flatten();
        let endpoint = |address: LegacyAddress<'_>| Endpoint {
            addresses: meta::address(address.ip.as_str(), "subsets", notes).into_iter().collect(),
            hostname: address.hostname.unwrap_or_default(),
            pod: address.target_ref.and_then(|target| target.pod(&meta)),
        };
        EndpointSlice {
            endpoints: all.map(endpoint).collect(),
            ports: read_ports(subset.ports.unwrap_or_default()),
            service: meta.name.clone(),
            meta: meta.clone(),
        }
    });
    Ok(slices.collect())
}

/// A NetworkPolicy.
pub(super) fn policy(shell: &Shell<'_>) -> Result<NetworkPolicy, String> {
    let meta = meta::read(shell)?;
    // The API's own type takes the last of two keys of one name: a policy that says two things is not read as either.
    let _: Unique = meta::field(shell, "spec")?;
    let spec = meta::field(shell, "spec")?;
    // A key that it does not know it drops, and an empty selector selects everything.
    let kept = serde_json::to_value(&spec).unwrap_or_default();
    match strict::dropped(&meta::field(shell, "spec")?, &kept, "spec") {
        Some(path) => Err(format!("{path}: the API has no such key")),
        None => Ok(NetworkPolicy { meta, spec }),
    }
}

/// A node.
pub(super) fn node(shell: &Shell<'_>, notes: &mut Vec<String>) -> Result<Node, String> {
    let meta = meta::read(shell)?;
    let spec: NodeSpec = meta::field(shell, "spec")?;
    let status: NodeStatus = meta::field(shell, "status")?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for entry in status.addresses.unwrap_or_default() {
        let text = entry.address.unwrap_or_default();
        let found = match entry.kind.as_deref() {
            Some("InternalIP" | "ExternalIP") => meta::address(&text, "status.addresses", notes),
            // A host name, which may be an address all the same.
            _ => text.parse().ok().map(|address: IpAddr| address.to_canonical()),
        };
        addresses.extend(found.filter(|address| !addresses.contains(address)));
    }
    let mut listed = spec.pod_cidrs.unwrap_or_default();
    if listed.is_empty() {
        listed.extend(spec.pod_cidr.filter(|text| !text.is_empty()));
    }
    let mut pod_cidrs = Vec::new();
    for text in listed {
        match text.parse() {
            Ok(network) => pod_cidrs.push(network),
            Err(_) => notes.push("spec.podCIDRs: invalid network, ignored".to_owned()),
        }
    }
    Ok(Node { meta, addresses, pod_cidrs, ..Node::default() })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceSpec {
    #[serde(rename = "type")]
    kind: Option<String>,
    selector: Option<RawLabels>,
    ports: Option<Vec<RawServicePort>>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Option<Vec<String>>,
    external_name: Option<String>,
    #[serde(rename = "externalIPs")]
    external_ips: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawServicePort {
    name: Option<String>,
    port: NonZeroU16,
    protocol: Option<Protocol>,
    target_port: Option<RawTarget>,
}

impl RawServicePort {
    fn read(self) -> ServicePort {
        let own = self.port.get();
        ServicePort {
            name: self.name.unwrap_or_default(),
            port: own,
            protocol: self.protocol.unwrap_or_default(),
            target: self.target_port.and_then(RawTarget::set).unwrap_or(TargetPort::Number(own)),
        }
    }
}

/// A number or a name; 0 and the empty name are "unset".
pub(super) struct RawTarget(pub(super) TargetPort);

impl RawTarget {
    /// The port, if one is set.
    pub(super) fn set(self) -> Option<TargetPort> {
        let is_set = match &self.0 {
            TargetPort::Number(number) => *number != 0,
            TargetPort::Name(name) => !name.is_empty(),
        };
        is_set.then_some(self.0)
    }
}

impl<'de> Deserialize<'de> for RawTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawTarget, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl Visitor<'_> for TargetVisitor {
    type Value = RawTarget;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port's number or name")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<RawTarget, E> {
        let port = u16::try_from(number);
        let port =
            port.map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))?;
        Ok(RawTarget(TargetPort::Number(port)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<RawTarget, E> {
        Ok(RawTarget(TargetPort::Name(name.to_owned())))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEndpoint<'a> {
    #[serde(borrow)]
    addresses: Option<Vec<Text<'a>>>,
    hostname: Option<String>,
    #[serde(borrow)]
    target_ref: Option<Target<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subset<'a> {
    #[serde(borrow)]
    addresses: Option<Vec<LegacyAddress<'a>>>,
    #[serde(borrow)]
    not_ready_addresses: Option<Vec<LegacyAddress<'a>>>,
    ports: Option<Vec<RawEndpointPort>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyAddress<'a> {
    #[serde(borrow)]
    ip: Text<'a>,
    hostname: Option<String>,
    #[serde(borrow)]
    target_ref: Option<Target<'a>>,
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
}

impl Target<'_> {
    /// Namespace, name and uid of a pod; without a namespace it is in the endpoints' own.
    fn pod(self, endpoints: &Meta) -> Option<(String, String, String)> {
        let namespace = self.namespace.unwrap_or_else(|| endpoints.namespace.clone());
        let is_pod = self.kind.is_some_and(|kind| kind.as_str() == "Pod");
        is_pod.then(|| (namespace, self.name.unwrap_or_default(), self.uid.unwrap_or_default()))
    }
}

#[derive(Deserialize)]
struct RawEndpointPort {
    name: Option<String>,
    port: Option<NonZeroU16>,
    protocol: Option<Protocol>,
}

fn read_ports(ports: Vec<RawEndpointPort>) -> Vec<EndpointPort> {
    let read = |port: RawEndpointPort| EndpointPort {
        name: port.name.unwrap_or_default(),
        port: port.port.map(NonZeroU16::get),
        protocol: port.protocol.unwrap_or_default(),
    };
    ports.into_iter().map(read).collect()
}

#[derive(Default, Deserialize)]
struct NodeSpec {
    #[serde(rename = "podCIDR")]
    pod_cidr: Option<String>,
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
struct NodeStatus {
    addresses: Option<Vec<NodeAddress>>,
}

#[derive(Deserialize)]
struct NodeAddress {
    #[serde(rename = "type")]
    kind: Option<String>,
    address: Option<String>,
}
