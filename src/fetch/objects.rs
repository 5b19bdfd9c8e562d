//! The objects that a capture holds: which kinds, from which paths, page by page. A list that expired is begun anew, and
//! none is mixed from two. What is forbidden or not installed is said, and is no failure of the rest.

use std::collections::{BTreeSet, HashSet};

use http::Request;
use kube::api::ListParams;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::api::{Api, Fault};
use super::prune::Keep;

/// A kind of object, and where the API has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// `EndpointSlice`
    pub(crate) kind: &'static str,
    /// `discovery.k8s.io/v1`; `v1` for the core.
    pub(crate) version: &'static str,
    /// What servers have that are too old for `version`, the newest first.
    pub(crate) older: &'static [&'static str],
    /// `endpointslices`
    pub(crate) plural: &'static str,
    /// Whether its objects stand in namespaces.
    pub(crate) namespaced: bool,
}

const fn namespaced(kind: &'static str, version: &'static str, plural: &'static str) -> Resource {
    Resource { kind, version, older: &[], plural, namespaced: true }
}

const fn wide(kind: &'static str, version: &'static str, plural: &'static str) -> Resource {
    Resource { kind, version, older: &[], plural, namespaced: false }
}

/// Gateway API is installed apart from Kubernetes, in releases that serve other versions.
const fn gateway(
    kind: &'static str,
    plural: &'static str,
    older: &'static [&'static str],
) -> Resource {
    let version = "gateway.networking.k8s.io/v1";
    Resource { kind, version, older, plural, namespaced: true }
}

/// Pods: listed before and after the logs.
pub(crate) const PODS: Resource = namespaced("Pod", "v1", "pods");

/// Services and what stands behind them: likewise.
pub(crate) const SERVICES: Resource = namespaced("Service", "v1", "services");
pub(crate) const SLICES: Resource =
    namespaced("EndpointSlice", "discovery.k8s.io/v1", "endpointslices");

/// What is listed, beside pods: the same as the Role of the README grants.
pub(crate) const OTHERS: &[Resource] = &[
    wide("Namespace", "v1", "namespaces"),
    wide("Node", "v1", "nodes"),
    SERVICES,
    SLICES,
    namespaced("ReplicaSet", "apps/v1", "replicasets"),
    namespaced("Deployment", "apps/v1", "deployments"),
    namespaced("StatefulSet", "apps/v1", "statefulsets"),
    namespaced("DaemonSet", "apps/v1", "daemonsets"),
    namespaced("Job", "batch/v1", "jobs"),
    namespaced("CronJob", "batch/v1", "cronjobs"),
    namespaced("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
    namespaced("Ingress", "networking.k8s.io/v1", "ingresses"),
    wide(
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
    ),
    wide(
        "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
        "mutatingwebhookconfigurations",
    ),
    wide("APIService", "apiregistration.k8s.io/v1", "apiservices"),
    gateway("Gateway", "gateways", &["gateway.networking.k8s.io/v1beta1"]),
    gateway("HTTPRoute", "httproutes", &["gateway.networking.k8s.io/v1beta1"]),
    gateway("GRPCRoute", "grpcroutes", &["gateway.networking.k8s.io/v1alpha2"]),
    gateway(
        "TLSRoute",
        "tlsroutes",
        &["gateway.networking.k8s.io/v1alpha3", "gateway.networking.k8s.io/v1alpha2"],
    ),
    gateway("TCPRoute", "tcproutes", &["gateway.networking.k8s.io/v1alpha2"]),
    gateway("UDPRoute", "udproutes", &["gateway.networking.k8s.io/v1alpha2"]),
    namespaced("ServiceMonitor", "monitoring.coreos.com/v1", "servicemonitors"),
    namespaced("PodMonitor", "monitoring.coreos.com/v1", "podmonitors"),
];

impl Resource {
    /// `endpointslices.discovery.k8s.io`, as a Role would name it.
    pub(crate) fn name(&self) -> String {
        match self.version.split_once('/') {
            Some((group, _)) => format!("{}.{group}", self.plural),
            None => self.plural.to_owned(),
        }
    }

    /// The path of its objects, of one namespace or of all.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.version.contains('/') { "apis" } else { "api" };
        match namespace {
            Some(namespace) => {
                format!("/{root}/{}/namespaces/{namespace}/{}", self.version, self.plural)
            }
            None => format!("/{root}/{}/{}", self.version, self.plural),
        }
    }
}

/// One object, pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) uid: String,
    /// Compact JSON, with kind and version.
    pub(crate) json: String,
}

/// All objects of a kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    /// In the server's order, none twice.
    pub(crate) items: Vec<Item>,
    /// From where a watch goes on.
    pub(crate) version: String,
}

/// How many objects are asked for at once, as kubectl does.
const PAGE: u32 = 500;

/// All objects of a kind, in one namespace or in all, in the server's order. `each` sees every one of them, whole, before it is pruned;
/// if the list has to begin anew, it sees them again.
pub(crate) async fn list(
    api: &Api,
    resource: Resource,
    namespace: Option<&str>,
    each: &mut dyn FnMut(&Value),
) -> Result<Listed, Fault> {
    let keep = Keep::of(resource.kind);
    // A second one that expires is asked for whole, as client-go does.
    for limit in [Some(PAGE), Some(PAGE), None] {
        match pages(api, resource, namespace, limit, &keep, each).await {
            Err(fault) if fault.is_expired() => {}
            done => return done,
        }
    }
    Err(Fault::Nonsense("the list expires before it can be read".into()))
}

/// The same, in the newest version that the server has.
async fn list_any(
    api: &Api,
    resource: Resource,
    namespace: Option<&str>,
    each: &mut dyn FnMut(&Value),
) -> Result<Listed, Fault> {
    let mut done = list(api, resource, namespace, each).await;
    for version in resource.older {
        if !done.as_ref().is_err_and(Fault::is_absent) {
            break;
        }
        done = list(api, Resource { version, ..resource }, namespace, each).await;
    }
    done
}

/// All objects of a kind; if they are not ours to see everywhere, those of these namespaces. With what kept them from being all.
/// A kind that is not installed has no objects, and nothing kept them.
pub(crate) async fn reachable(
    api: &Api,
    resource: Resource,
    namespaces: &BTreeSet<String>,
    each: &mut dyn FnMut(&Value),
) -> (Vec<Item>, Option<Fault>) {
    let fault = match list_any(api, resource, None, each).await {
        Ok(listed) => return (listed.items, None),
        Err(fault) if fault.is_absent() => return (Vec::new(), None),
        Err(fault) => fault,
    };
    let mut items = Vec::new();
    if fault.is_forbidden() && resource.namespaced {
        for namespace in namespaces {
            let own = list_any(api, resource, Some(namespace), each).await;
            items.extend(own.unwrap_or_default().items);
        }
    }
    (items, Some(fault))
}

async fn pages(
    api: &Api,
    resource: Resource,
    namespace: Option<&str>,
    limit: Option<u32>,
    keep: &Keep,
    each: &mut dyn FnMut(&Value),
) -> Result<Listed, Fault> {
    let (mut items, mut seen, mut tokens) = (Vec::new(), HashSet::new(), HashSet::new());
    let mut params = ListParams { limit, ..ListParams::default() };
    loop {
        let request = kube::core::Request::new(resource.path(namespace)).list(&params);
        let request: Request<Vec<u8>> =
            request.map_err(|error| Fault::Nonsense(error.to_string()))?;
        let bytes = api.json(&request).await?;
        let page: Page<'_> = serde_json::from_slice(&bytes).map_err(|error| {
            Fault::Nonsense(format!(
                "the list of {} cannot be read: {}",
                resource.plural,
                place(&error)
            ))
        })?;
        for raw in page.items {
            let mut value: Value = serde_json::from_str(raw.get()).map_err(|error| {
                Fault::Nonsense(format!(
                    "one of the {} cannot be read: {}",
                    resource.plural,
                    place(&error)
                ))
            })?;
            each(&value);
            let uid = value["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            if !uid.is_empty() && !seen.insert(uid.clone()) {
                continue;
            }
            keep.prune(&mut value);
            items.push(Item { uid, json: whole(resource, &value) });
        }
        let most = api.limits.objects;
        if items.len() > most {
            return Err(Fault::Nonsense(format!("more than {most} {}", resource.plural)));
        }
        match page.metadata.token.filter(|token| !token.is_empty()) {
            None => return Ok(Listed { items, version: page.metadata.version }),
            Some(token) if !tokens.insert(token.clone()) => {
                return Err(Fault::Nonsense(format!(
                    "the list of {} has no end: the server repeats itself",
                    resource.plural
                )));
            }
            Some(token) => params.continue_token = Some(token),
        }
    }
}

/// The object with its kind, which a list's items do not bear.
pub(crate) fn whole(resource: Resource, pruned: &Value) -> String {
    let mut object = serde_json::Map::new();
    object.insert("apiVersion".into(), resource.version.into());
    object.insert("kind".into(), resource.kind.into());
    if let Value::Object(fields) = pruned {
        object.extend(fields.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    Value::Object(object).to_string()
}

/// Where, and not what stood there.
fn place(error: &serde_json::Error) -> String {
    format!("line {} column {}", error.line(), error.column())
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(rename = "resourceVersion", default)]
    version: String,
    #[serde(rename = "continue")]
    token: Option<String>,
}
