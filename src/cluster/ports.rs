//! A Service's ports as its pods have them (SEMANTICS 3; POLICY_RULES 1.5): what a NetworkPolicy must say, since the
//! Service's own number is gone by the time a packet reaches the pod.

use std::collections::BTreeSet;

use super::model::{Container, EndpointSlice, Protocol, Service, ServicePort, TargetPort};

/// A port as a pod has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodPort {
    /// All pods agree on the number.
    Number(u16),
    /// The pods disagree: the name, which each pod resolves itself.
    Name(String),
}

/// One of a Service's ports, as the pods have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The pods' port.
    pub port: PodPort,
    /// Its protocol.
    pub protocol: Protocol,
    /// The Service port's name (what an SRV name asks for); empty if it has none.
    pub name: String,
}

/// How the ports were found: the words that a policy's comment uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortSource {
    /// An EndpointSlice lists them.
    EndpointSlice,
    /// The Service's targetPort, resolved on the pods.
    TargetPort,
    /// The Service declares none: the containers' ports.
    Containers,
    /// Nothing declares any.
    #[default]
    None,
}

/// Something behind a Service that has ports: a pod, or the template of a workload without one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub(super) containers: &'a [Container],
    /// A slice that lists it, if one does.
    pub(super) slice: Option<&'a EndpointSlice>,
}

/// The ports of a Service on these members, sorted, and how they were found.
pub(super) fn resolve(service: &Service, members: &[Member]) -> (Vec<Port>, PortSource) {
    if service.ports.is_empty() {
        return declared(members.iter().map(|member| member.containers));
    }
    let mut ports = BTreeSet::new();
    let mut source = PortSource::TargetPort;
    for port in &service.ports {
        let mut numbers = BTreeSet::new();
        for member in members {
            let own = target(port, member.containers);
            let listed = member.slice.into_iter().flat_map(|slice| in_slice(port, slice));
            // A slice is made from the Service, and can only repeat a number that stands there. Tenants write slices
            // too: one that says another number would open a port that the Service never meant. Of a name the slice knows
            // more than the containers; there one that lies makes the pods disagree, and the name stays.
            let is_fixed = matches!(port.target, TargetPort::Number(_));
            let listed: Vec<u16> =
                listed.filter(|number| !is_fixed || own == Some(*number)).collect();
            if listed.is_empty() {
                numbers.extend(own);
            } else {
                source = PortSource::EndpointSlice;
                numbers.extend(listed);
            }
        }
        let port_is =
            |pod_port| Port { port: pod_port, protocol: port.protocol, name: port.name.clone() };
        match (&port.target, numbers.len()) {
            // No pod declares it: the name resolves on none, and leads nowhere.
            (TargetPort::Name(_), 0) if !members.is_empty() => {}
            // There is no pod yet, or they disagree: each resolves the name itself.
            (TargetPort::Name(name), 0 | 2..) => {
                ports.insert(port_is(PodPort::Name(name.clone())));
            }
            (TargetPort::Number(_), 0) => {
                ports.extend(target(port, &[]).map(|number| port_is(PodPort::Number(number))));
            }
            _ => ports.extend(numbers.into_iter().map(|n| port_is(PodPort::Number(n)))),
        }
    }
    (ports.into_iter().collect(), source)
}

/// The ports that containers declare. They bear no names: a container's name for a port is not a Service's, and an SRV
/// name asks for a Service's.
pub(crate) fn declared<'a>(
    containers: impl Iterator<Item = &'a [Container]>,
) -> (Vec<Port>, PortSource) {
    let ports: BTreeSet<Port> = containers
        .flatten()
        .flat_map(|container| &container.ports)
        .map(|port| Port {
            port: PodPort::Number(port.port),
            protocol: port.protocol,
            name: String::new(),
        })
        .collect();
    let source = if ports.is_empty() { PortSource::None } else { PortSource::Containers };
    (ports.into_iter().collect(), source)
}

/// The ports that slices list, for a Service whose endpoints are written by hand.
pub(super) fn listed<'a>(
    slices: impl Iterator<Item = &'a EndpointSlice>,
) -> (Vec<Port>, PortSource) {
    let ports: BTreeSet<Port> = slices
        .flat_map(|slice| &slice.ports)
        .filter_map(|port| {
            let number = PodPort::Number(port.port?);
            Some(Port { port: number, protocol: port.protocol, name: port.name.clone() })
        })
        .collect();
    let source = if ports.is_empty() { PortSource::None } else { PortSource::EndpointSlice };
    (ports.into_iter().collect(), source)
}

fn in_slice<'a>(port: &'a ServicePort, slice: &'a EndpointSlice) -> impl Iterator<Item = u16> {
    let same = |(name, protocol): (&str, Protocol)| name == port.name && protocol == port.protocol;
    slice.ports.iter().filter(move |p| same((&p.name, p.protocol))).filter_map(|p| p.port)
}

/// What `targetPort` is on a pod with these containers. Unset, it is the Service's own port.
fn target(port: &ServicePort, containers: &[Container]) -> Option<u16> {
    match &port.target {
        TargetPort::Number(0) => Some(port.port),
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => containers
            .iter()
            .flat_map(|container| &container.ports)
            .find(|p| p.name == *name && p.protocol == port.protocol)
            .map(|p| p.port),
    }
}
