//! ServiceMonitors and PodMonitors: what they select, where, and which ports. Nothing of how it is scraped: tokens and
//! passwords may stand there.

use serde::Deserialize;

use super::Shell;
use super::controller::Selector;
use super::meta;
use super::network::RawTarget;
use crate::cluster::model::{Monitor, TargetPort, Watched};

/// A monitor of this kind.
pub(super) fn read(shell: &Shell<'_>, kind: &str) -> Result<Monitor, String> {
    let meta = meta::read(shell)?;
    let spec: Spec = meta::field(shell, "spec")?;
    let endpoints = [spec.endpoints, spec.pod_metrics_endpoints].into_iter().flatten().flatten();
    let mut ports: Vec<TargetPort> = endpoints.filter_map(Endpoint::read).collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(Monitor {
        kind: kind.to_owned(),
        meta,
        // The operator's own type cannot tell an absent selector from an empty one, which selects all.
        selector: spec.selector.unwrap_or_default().into_api(),
        namespaces: spec.namespace_selector.map(Namespaces::read).unwrap_or_default(),
        ports,
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    selector: Option<Selector>,
    namespace_selector: Option<Namespaces>,
    endpoints: Option<Vec<Endpoint>>,
    pod_metrics_endpoints: Option<Vec<Endpoint>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Namespaces {
    any: Option<bool>,
    match_names: Option<Vec<String>>,
}

impl Namespaces {
    fn read(self) -> Watched {
        let names = self.match_names.unwrap_or_default();
        match self.any == Some(true) {
            true => Watched::All,
            false if names.is_empty() => Watched::Own,
            false => Watched::Named(names),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    port: Option<String>,
    /// A pod's port, of PodMonitors.
    port_number: Option<u16>,
    target_port: Option<RawTarget>,
}

impl Endpoint {
    fn read(self) -> Option<TargetPort> {
        let name = self.port.filter(|name| !name.is_empty()).map(TargetPort::Name);
        let number = self.port_number.filter(|port| *port != 0).map(TargetPort::Number);
        name.or(number).or_else(|| self.target_port.and_then(RawTarget::set))
    }
}
