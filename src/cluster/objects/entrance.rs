//! What leads to Services without a lookup of theirs: Ingresses, Gateways and their routes, webhook configurations,
//! APIServices, conversions of custom resources. Of all that they say, only which Service, on which port.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Shell;
use super::meta;
use super::network::RawTarget;
use crate::cluster::model::{Entrance, Gateway, Meta, ServiceRef, TargetPort};

/// An Ingress, as of `networking.k8s.io/v1` or before.
pub(super) fn ingress(shell: &Shell<'_>) -> Result<Entrance, String> {
    let meta = meta::read(shell)?;
    let spec: IngressSpec = meta::field(shell, "spec")?;
    let rules = spec.rules.into_iter().flatten();
    let paths = rules.filter_map(|rule| rule.http).flat_map(|http| http.paths.unwrap_or_default());
    let own = [spec.default_backend, spec.backend].into_iter().flatten();
    let all = own.chain(paths.filter_map(|path| path.backend));
    let services = all.filter_map(|backend| backend.service(&meta.namespace));
    Ok(entrance("Ingress", services.collect(), meta))
}

/// A route of the Gateway API. Mirrored requests arrive, too.
pub(super) fn route(shell: &Shell<'_>, kind: &str) -> Result<Entrance, String> {
    let meta = meta::read(shell)?;
    let spec: RouteSpec = meta::field(shell, "spec")?;
    let mut services = BTreeSet::new();
    for rule in spec.rules.into_iter().flatten() {
        let mut filters = rule.filters.unwrap_or_default();
        for mut backend in rule.backend_refs.into_iter().flatten() {
            filters.extend(backend.filters.take().into_iter().flatten());
            services.extend(backend.service(&meta.namespace));
        }
        let mirrors = filters.into_iter().filter_map(|filter| filter.request_mirror?.backend_ref);
        services.extend(mirrors.filter_map(|to| to.service(&meta.namespace)));
    }
    Ok(entrance(kind, services, meta))
}

/// A ValidatingWebhookConfiguration or a MutatingWebhookConfiguration.
pub(super) fn webhooks(shell: &Shell<'_>, kind: &str) -> Result<Entrance, String> {
    let meta = meta::read(shell)?;
    let hooks: Vec<Webhook> = meta::field(shell, "webhooks")?;
    let services = hooks.into_iter().filter_map(|hook| hook.client_config?.service?.called());
    Ok(entrance(kind, services.collect(), meta))
}

/// An APIService. One that the API server answers itself names no Service.
pub(super) fn api_service(shell: &Shell<'_>) -> Result<Entrance, String> {
    let meta = meta::read(shell)?;
    let spec: ApiServiceSpec = meta::field(shell, "spec")?;
    let service = spec.service.and_then(Called::called);
    Ok(entrance("APIService", service.into_iter().collect(), meta))
}

/// A CustomResourceDefinition whose versions a webhook converts, as of `apiextensions.k8s.io/v1` or before. Most have none.
pub(super) fn definition(shell: &Shell<'_>) -> Result<Entrance, String> {
    let meta = meta::read(shell)?;
    let spec: DefinitionSpec = meta::field(shell, "spec")?;
    let configs = spec.conversion.into_iter().flat_map(|conversion| {
        let new = conversion.webhook.and_then(|webhook| webhook.client_config);
        [new, conversion.webhook_client_config]
    });
    let services = configs.flatten().filter_map(|config| config.service?.called());
    Ok(entrance("CustomResourceDefinition", services.collect(), meta))
}

/// A Gateway.
pub(super) fn gateway(shell: &Shell<'_>) -> Result<Gateway, String> {
    let meta = meta::read(shell)?;
    let spec: GatewaySpec = meta::field(shell, "spec")?;
    let ports: BTreeSet<u16> =
        spec.listeners.into_iter().flatten().filter_map(|listener| listener.port).collect();
    Ok(Gateway { meta, ports: ports.into_iter().collect() })
}

fn entrance(kind: &str, services: BTreeSet<ServiceRef>, meta: Meta) -> Entrance {
    Entrance { kind: kind.to_owned(), meta, services: services.into_iter().collect() }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IngressSpec {
    default_backend: Option<IngressBackend>,
    /// Before v1.
    backend: Option<IngressBackend>,
    rules: Option<Vec<IngressRule>>,
}

#[derive(Deserialize)]
struct IngressRule {
    http: Option<IngressHttp>,
}

#[derive(Deserialize)]
struct IngressHttp {
    paths: Option<Vec<IngressPath>>,
}

#[derive(Deserialize)]
struct IngressPath {
    backend: Option<IngressBackend>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IngressBackend {
    service: Option<IngressService>,
    service_name: Option<String>,
    service_port: Option<RawTarget>,
}

#[derive(Deserialize)]
struct IngressService {
    name: Option<String>,
    port: Option<IngressPort>,
}

#[derive(Deserialize)]
struct IngressPort {
    name: Option<String>,
    number: Option<u16>,
}

impl IngressBackend {
    fn service(self, namespace: &str) -> Option<ServiceRef> {
        let old = self.service_port.and_then(RawTarget::set);
        let (name, port) = match self.service {
            Some(service) => (service.name, service.port.and_then(IngressPort::read)),
            None => (self.service_name, old),
        };
        refer(namespace.to_owned(), name, port)
    }
}

impl IngressPort {
    fn read(self) -> Option<TargetPort> {
        match self.name.filter(|name| !name.is_empty()) {
            Some(name) => Some(TargetPort::Name(name)),
            None => number(self.number),
        }
    }
}

#[derive(Default, Deserialize)]
struct RouteSpec {
    rules: Option<Vec<RouteRule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RouteRule {
    backend_refs: Option<Vec<BackendRef>>,
    filters: Option<Vec<Filter>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    request_mirror: Option<Mirror>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mirror {
    backend_ref: Option<BackendRef>,
}

#[derive(Deserialize)]
struct BackendRef {
    group: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    port: Option<u16>,
    filters: Option<Vec<Filter>>,
}

impl BackendRef {
    /// A Service; what else a route may lead to is not read.
    fn service(self, own: &str) -> Option<ServiceRef> {
        let is_service = self.group.is_none_or(|group| group.is_empty())
            && self.kind.is_none_or(|kind| kind == "Service");
        let namespace = self.namespace.unwrap_or_else(|| own.to_owned());
        is_service.then(|| refer(namespace, self.name, number(self.port))).flatten()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    client_config: Option<ClientConfig>,
}

#[derive(Deserialize)]
struct ClientConfig {
    service: Option<Called>,
}

#[derive(Default, Deserialize)]
struct ApiServiceSpec {
    service: Option<Called>,
}

#[derive(Default, Deserialize)]
struct DefinitionSpec {
    conversion: Option<Conversion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conversion {
    webhook: Option<Webhook>,
    /// Before v1.
    webhook_client_config: Option<ClientConfig>,
}

/// A Service that the API server calls, on 443 if nothing else is said.
#[derive(Deserialize)]
struct Called {
    namespace: Option<String>,
    name: Option<String>,
    port: Option<u16>,
}

impl Called {
    fn called(self) -> Option<ServiceRef> {
        refer(self.namespace?, self.name, number(Some(self.port.unwrap_or(443))))
    }
}

#[derive(Default, Deserialize)]
struct GatewaySpec {
    listeners: Option<Vec<Listener>>,
}

#[derive(Deserialize)]
struct Listener {
    port: Option<u16>,
}

fn refer(namespace: String, name: Option<String>, port: Option<TargetPort>) -> Option<ServiceRef> {
    let name = name.filter(|name| !name.is_empty())?;
    Some(ServiceRef { namespace, name, port })
}

fn number(port: Option<u16>) -> Option<TargetPort> {
    port.filter(|port| *port != 0).map(TargetPort::Number)
}
