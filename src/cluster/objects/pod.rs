//! Pods, and the part of a pod's spec that a controller's template has too.

use std::num::NonZeroU16;

use serde::Deserialize;

use super::Shell;
use super::meta::{self, Text, When, moment};
use crate::cluster::model::{Container, ContainerPort, Pod, Protocol};
use crate::time::Time;

/// A pod, and the latest time that it mentions: a snapshot without a capture record is as old as its pods say.
pub(super) fn read(
    shell: &Shell<'_>,
    notes: &mut Vec<String>,
) -> Result<(Pod, Option<Time>), String> {
    let meta = meta::read(shell)?;
    let spec: PodSpec<'_> = meta::field(shell, "spec")?;
    let status: Status<'_> = meta::field(shell, "status")?;

    let conditions = status.conditions.unwrap_or_default();
    let transitions = || conditions.iter().filter_map(|c| moment(c.last_transition_time));
    let ready = conditions.iter().find(|condition| condition.says_network_is_ready());
    let states = [status.init_container_statuses, status.container_statuses];
    let spans = Spans::of(states.into_iter().flatten().flatten());
    let start = moment(status.start_time);
    let times = [meta.created, start, spans.latest, transitions().max()];

    let pod = Pod {
        meta,
        host_network: spec.host_network == Some(true),
        istio_dns: spec.has_istio_dns(),
        containers: containers(spec.containers, spec.init_containers),
        node: spec.node_name.unwrap_or_default(),
        dns_policy: spec.dns_policy.unwrap_or_default(),
        searches: spec.dns_config.and_then(|config| config.searches).unwrap_or_default(),
        hostname: spec.hostname.unwrap_or_default(),
        subdomain: spec.subdomain.unwrap_or_default(),
        phase: status.phase.unwrap_or_default(),
        addresses: addresses(status.pod_ips, status.pod_ip, notes),
        start,
        started: spans.first_start,
        finished: spans.last_finish,
        network_ready: ready.and_then(|condition| moment(condition.last_transition_time)),
        last_transition: transitions().max(),
        seen: None,
        former: Vec::new(),
    };
    Ok((pod, times.into_iter().flatten().max()))
}

/// Containers with their ports, and those init containers that keep running beside them.
fn containers(
    own: Option<Vec<RawContainer<'_>>>,
    init: Option<Vec<RawContainer<'_>>>,
) -> Vec<Container> {
    let own = own.unwrap_or_default();
    let sidecars = init.into_iter().flatten().filter(RawContainer::is_sidecar);
    let mut all = Vec::with_capacity(own.len());
    all.extend(own.into_iter().chain(sidecars).map(RawContainer::container));
    all
}

/// All of podIPs; podIP, which repeats the first of them, if there are none.
fn addresses(
    all: Option<Vec<PodIp<'_>>>,
    first: Option<Text<'_>>,
    notes: &mut Vec<String>,
) -> Vec<std::net::IpAddr> {
    let all = all.unwrap_or_default();
    let listed = all.iter().filter_map(|entry| entry.ip.as_ref());
    let first = first.as_ref().filter(|_| listed.clone().next().is_none());
    let mut addresses = Vec::with_capacity(all.len().max(1));
    for text in listed.chain(first) {
        let address = meta::address(text.as_str(), "status.podIPs", notes);
        addresses.extend(address.filter(|address| !addresses.contains(address)));
    }
    addresses
}

/// The spec of a pod, or of a controller's template.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec<'a> {
    pub(super) host_network: Option<bool>,
    node_name: Option<String>,
    dns_policy: Option<String>,
    dns_config: Option<DnsConfig>,
    hostname: Option<String>,
    subdomain: Option<String>,
    #[serde(borrow)]
    containers: Option<Vec<RawContainer<'a>>>,
    #[serde(borrow)]
    init_containers: Option<Vec<RawContainer<'a>>>,
}

impl PodSpec<'_> {
    /// Containers with their ports, and those init containers that keep running beside them.
    pub(super) fn into_containers(self) -> Vec<Container> {
        containers(self.containers, self.init_containers)
    }

    fn has_istio_dns(&self) -> bool {
        let all = [&self.containers, &self.init_containers];
        let mut env = all.into_iter().flatten().flatten().flat_map(|c| c.env.iter().flatten());
        env.any(|entry| {
            entry.name.as_ref().is_some_and(|name| name.as_str() == "ISTIO_META_DNS_CAPTURE")
        })
    }
}

#[derive(Deserialize)]
struct DnsConfig {
    searches: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContainer<'a> {
    name: Option<String>,
    ports: Option<Vec<RawPort>>,
    #[serde(borrow)]
    restart_policy: Option<Text<'a>>,
    #[serde(borrow)]
    env: Option<Vec<EnvName<'a>>>,
}

impl RawContainer<'_> {
    /// An init container that is restarted always runs as long as the pod does.
    fn is_sidecar(&self) -> bool {
        self.restart_policy.as_ref().is_some_and(|policy| policy.as_str() == "Always")
    }

    fn container(self) -> Container {
        let port = |port: RawPort| ContainerPort {
            name: port.name.unwrap_or_default(),
            port: port.container_port.get(),
            protocol: port.protocol.unwrap_or_default(),
            host_port: port.host_port.filter(|port| *port > 0),
        };
        let declared = self.ports.unwrap_or_default();
        let mut ports = Vec::with_capacity(declared.len());
        ports.extend(declared.into_iter().map(port));
        Container { name: self.name.unwrap_or_default(), ports }
    }
}

/// Of env only the names are looked at, and none is kept.
#[derive(Deserialize)]
struct EnvName<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPort {
    name: Option<String>,
    container_port: NonZeroU16,
    protocol: Option<Protocol>,
    host_port: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    #[serde(borrow)]
    pod_ip: Option<Text<'a>>,
    #[serde(rename = "podIPs")]
    #[serde(borrow)]
    pod_ips: Option<Vec<PodIp<'a>>>,
    start_time: Option<When>,
    #[serde(borrow)]
    conditions: Option<Vec<Condition<'a>>>,
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Deserialize)]
struct PodIp<'a> {
    #[serde(borrow)]
    ip: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    last_transition_time: Option<When>,
}

impl Condition<'_> {
    /// Kubernetes 1.25 to 1.27 called it PodHasNetwork.
    fn says_network_is_ready(&self) -> bool {
        let kind = self.kind.as_ref().map(Text::as_str);
        matches!(kind, Some("PodReadyToStartContainers" | "PodHasNetwork"))
            && self.status.as_ref().is_some_and(|status| status.as_str() == "True")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    state: Option<State>,
    last_state: Option<State>,
}

#[derive(Deserialize)]
struct State {
    running: Option<Span>,
    terminated: Option<Span>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    started_at: Option<When>,
    finished_at: Option<When>,
}

/// When containers ran, over all of a pod's.
#[derive(Default)]
struct Spans {
    first_start: Option<Time>,
    /// Of runs that nothing followed: a container that was restarted has not ended.
    last_finish: Option<Time>,
    latest: Option<Time>,
}

impl Spans {
    fn of(statuses: impl Iterator<Item = ContainerStatus>) -> Spans {
        let mut spans = Spans::default();
        let mut add = |span: Option<Span>, is_last: bool| {
            let start = span.and_then(|span| moment(span.started_at));
            let finish = span.and_then(|span| moment(span.finished_at));
            spans.first_start = spans.first_start.into_iter().chain(start).min();
            spans.latest = spans.latest.max(start).max(finish);
            if is_last {
                spans.last_finish = spans.last_finish.max(finish);
            }
        };
        for ContainerStatus { state, last_state } in statuses {
            if let Some(state) = state {
                add(state.running, true);
                add(state.terminated, true);
            }
            if let Some(state) = last_state {
                add(state.terminated, false);
            }
        }
        spans
    }
}
