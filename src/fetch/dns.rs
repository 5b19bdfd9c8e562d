//! Which pods answer the cluster's lookups, and what they were told: CoreDNS by its usual labels and places (kubeadm, k3s, RKE2, AKS,
//! EKS, OpenShift), NodeLocal DNSCache beside it, or what `--dns-namespace` and `-l` name.

use kube::api::ListParams;
use serde_json::Value;

use super::api::{Api, Fault};
use super::logs::Container;
use super::objects::{Item, PODS, whole};
use super::prune::Keep;

/// A pod of the cluster's DNS.
#[derive(Clone, Debug)]
pub(crate) struct DnsPod {
    /// The containers whose logs are CoreDNS's.
    pub(crate) containers: Vec<Container>,
    /// ConfigMaps that are mounted into it.
    pub(crate) config_maps: Vec<String>,
    /// A container was started again, so that it has a log of before.
    pub(crate) restarted: bool,
}

/// Where CoreDNS is, and by which labels, unless the user says otherwise.
const PLACES: &[(&str, &str)] = &[
    ("kube-system", "k8s-app in (kube-dns,coredns,node-local-dns)"),
    ("openshift-dns", "dns.operator.openshift.io/daemonset-dns"),
];

/// By which labels it is found in a namespace that the user names.
const LABELS: &[&str] = &[
    "k8s-app in (kube-dns,coredns,node-local-dns)",
    "app.kubernetes.io/name=coredns",
    "dns.operator.openshift.io/daemonset-dns",
];

/// Finds them, sorted by namespace and name. A namespace in which nothing may be listed is an error; one without them is none.
pub(crate) async fn find(
    api: &Api,
    namespaces: &[String],
    selector: Option<&str>,
) -> Result<Vec<DnsPod>, (String, Fault)> {
    let places: Vec<(String, String)> = match (namespaces, selector) {
        ([], None) => PLACES
            .iter()
            .map(|(namespace, labels)| ((*namespace).into(), (*labels).into()))
            .collect(),
        ([], Some(selector)) => vec![("kube-system".into(), selector.into())],
        (all, Some(selector)) => {
            all.iter().map(|namespace| (namespace.clone(), selector.into())).collect()
        }
        (all, None) => {
            let labels = |namespace: &String| {
                let namespace = namespace.clone();
                LABELS.iter().map(move |labels| (namespace.clone(), (*labels).to_owned()))
            };
            all.iter().flat_map(labels).collect()
        }
    };
    let mut pods: Vec<(String, String, DnsPod)> = Vec::new();
    for (namespace, selector) in places {
        let params = ListParams { label_selector: Some(selector), ..ListParams::default() };
        let request = kube::core::Request::new(PODS.path(Some(&namespace))).list(&params);
        let request =
            request.map_err(|error| (namespace.clone(), Fault::Nonsense(error.to_string())))?;
        let bytes = match api.json(&request).await {
            Ok(bytes) => bytes,
            // Where the usual place is not theirs to see, another one may be.
            Err(fault)
                if fault.is_forbidden() && namespaces.is_empty() && namespace != "kube-system" =>
            {
                continue;
            }
            Err(fault) => return Err((namespace, fault)),
        };
        let list: Value = serde_json::from_slice(&bytes).map_err(|_| {
            (namespace.clone(), Fault::Nonsense("the list of pods cannot be read".into()))
        })?;
        for pod in list["items"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let name = text(&pod["metadata"]["name"]);
            if pods.iter().all(|(ns, known, _)| (ns, known) != (&namespace, &name)) {
                pods.push((namespace.clone(), name, read(pod)));
            }
        }
    }
    pods.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    Ok(pods.into_iter().map(|(_, _, pod)| pod).collect())
}

/// Why [`find`] found nothing, and what to do about it.
pub(crate) fn not_found(api: &Api, namespace: &str, fault: &Fault) -> anyhow::Error {
    match fault {
        Fault::Cut(_) | Fault::Late(_) => anyhow::anyhow!(
            "{}: {fault}. Is that the cluster that is meant? Another one: --context NAME, --kubeconfig FILE",
            api.server()
        ),
        fault if fault.is_forbidden() => anyhow::anyhow!(
            "pods in {namespace}: {fault}. deploy/fetch-role.yaml in kico's repository is the Role that it wants"
        ),
        fault => anyhow::anyhow!("pods in {namespace}: {fault}"),
    }
}

/// Reads a DNS pod as the server gives it.
pub(crate) fn read(pod: &Value) -> DnsPod {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let all: Vec<String> =
        list(&pod["spec"]["containers"]).iter().map(|c| text(&c["name"])).collect();
    // CoreDNS's own container, by the names that it has; where none is known, all may be.
    let known =
        |name: &&String| matches!(name.as_str(), "coredns" | "dns" | "node-cache" | "kube-dns");
    let mut names: Vec<&String> = all.iter().filter(known).collect();
    if names.is_empty() {
        names = all.iter().collect();
    }
    let container = |name: &String| Container {
        namespace: text(&pod["metadata"]["namespace"]),
        pod: text(&pod["metadata"]["name"]),
        uid: text(&pod["metadata"]["uid"]),
        name: name.clone(),
    };
    let containers: Vec<Container> = names.into_iter().map(container).collect();
    let is_own = |status: &&Value| containers.iter().any(|c| status["name"] == c.name.as_str());
    let statuses = list(&pod["status"]["containerStatuses"]);
    let restarted =
        statuses.iter().filter(is_own).any(|status| status["restartCount"].as_u64() > Some(0));
    let volumes = list(&pod["spec"]["volumes"]);
    let mounted = volumes.iter().filter_map(|volume| volume["configMap"]["name"].as_str());
    DnsPod { config_maps: mounted.map(str::to_owned).collect(), restarted, containers }
}

/// The ConfigMaps that hold Corefiles: pruned, and the text of their keys that bear on the log.
pub(crate) async fn config_map(api: &Api, namespace: &str, name: &str) -> Result<Item, Fault> {
    const MAPS: super::objects::Resource = super::objects::Resource {
        kind: "ConfigMap",
        version: "v1",
        older: &[],
        plural: "configmaps",
        namespaced: true,
    };
    let request = kube::core::Request::new(MAPS.path(Some(namespace)))
        .get(name, &kube::api::GetParams::default())
        .map_err(|error| Fault::Nonsense(error.to_string()))?;
    let bytes = api.json(&request).await?;
    let mut map: Value = serde_json::from_slice(&bytes)
        .map_err(|_| Fault::Nonsense(format!("the ConfigMap {name} cannot be read")))?;
    let uid = map["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    Keep::of("ConfigMap").prune(&mut map);
    Ok(Item { uid, json: whole(MAPS, &map) })
}
