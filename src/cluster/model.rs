//! What kico keeps of Kubernetes objects, and nothing else (SEMANTICS 10): no env, no annotation but those listed, no
//! secret ever reaches these types. Plain values; [`super::objects`] reads them out of JSON and YAML.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashSet;
use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::time::Time;

pub use super::labels::Labels;

/// All snapshots given, joined by uid: of two states of an object the later snapshot's counts.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Whether any `--snapshot` was given at all.
    pub given: bool,
    /// One for each `--snapshot`, sorted by time.
    pub moments: Vec<Moment>,
    /// Pods, sorted by namespace, name, uid.
    pub pods: Vec<Pod>,
    /// ReplicaSets, Deployments, StatefulSets, DaemonSets, Jobs, CronJobs; sorted by namespace, kind, name.
    pub controllers: Vec<Controller>,
    /// Services, sorted by namespace, name.
    pub services: Vec<Service>,
    /// EndpointSlices, sorted by namespace, name.
    pub slices: Vec<EndpointSlice>,
    /// Namespaces, sorted by name.
    pub namespaces: Vec<Meta>,
    /// Nodes, sorted by name.
    pub nodes: Vec<Node>,
    /// NetworkPolicies, sorted by namespace, name.
    pub policies: Vec<NetworkPolicy>,
    /// Snapshots of which nothing says which is the later one, though they differ: lower-case fragments that name them.
    pub undecided: Vec<String>,
    /// Those that a later snapshot lacks, though it lists that namespace's: `shop/web`, sorted. They are not in `policies`.
    pub deleted_policies: Vec<String>,
    /// Ingresses, routes, webhook configurations, APIServices; sorted by namespace, kind, name.
    pub entrances: Vec<Entrance>,
    /// Gateways, sorted by namespace, name.
    pub gateways: Vec<Gateway>,
    /// ServiceMonitors and PodMonitors, sorted by namespace, kind, name.
    pub monitors: Vec<Monitor>,
    /// Corefiles: of a ConfigMap in kube-system, openshift-dns or `--dns-namespace`, key `Corefile`.
    pub corefiles: Vec<Corefile>,
    /// The namespaces in which the cluster's DNS is looked for.
    pub dns_namespaces: Vec<String>,
    /// Objects of a kind that kico does not read: kind → how many.
    pub skipped: BTreeMap<String, u64>,
    /// Objects of a kind that kico reads, which could not be read: lower-case fragments that name them. Not empty: exit 3.
    pub broken: Vec<String>,
    /// Of those, what might have led traffic to pods, or have been pods.
    pub hidden: Vec<Hidden>,
    /// Files that the walk of a directory passed by, since they hold no Kubernetes objects: fragments that name them.
    pub ignored: Vec<String>,
}

/// An object that could not be read, and might have led traffic to pods, or have been one that a policy's labels fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// `Ingress shop/web`
    pub object: String,
    /// The one namespace where the pods are, if there can be no other.
    pub namespace: Option<String>,
    /// Whether it says which pods there are, as pods, controllers, Services and their endpoints do: it counts for both
    /// directions, and where the peers are too.
    pub pods: bool,
}

/// One `--snapshot`: when it was taken, and what of it bears on which pods were gone by then.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// The argument as typed.
    pub path: String,
    /// Its time (SEMANTICS 4): its capture record's, else the latest creation, start, finish or condition time.
    pub time: Option<Time>,
    /// Whether its capture record says that pods were listed cluster-wide.
    pub pods_cluster_wide: bool,
    /// Uids of the pods it holds. `None`: it is the only snapshot, and holds all pods that there are.
    pub pods: Option<HashSet<String>>,
    /// Namespaces of the pods it holds, if it is not the only snapshot.
    pub namespaces: HashSet<String>,
    /// Whether it holds NetworkPolicies, and is not the only snapshot.
    pub policies: bool,
    /// Whether its capture record says that NetworkPolicies were listed cluster-wide.
    pub policies_cluster_wide: bool,
    /// Whether it holds nodes, and is not the only snapshot.
    pub nodes: bool,
    /// Uid of its namespace kube-system: snapshots of different clusters are refused.
    pub cluster: Option<String>,
    /// Pods that its capture record lists as gone: uid → when.
    pub gone: BTreeMap<String, Time>,
}

impl Moment {
    /// Whether a NetworkPolicy of this namespace that it lacks was not there: it holds the namespace's pods, and policies, of
    /// whichever namespace. A file of policies alone may be any of them.
    pub fn lists_policies_of(&self, namespace: &str) -> bool {
        self.policies_cluster_wide || self.policies && self.namespaces.contains(namespace)
    }

    /// Whether it holds this pod. Of one without a uid nobody can tell.
    pub fn holds(&self, pod: &Pod) -> bool {
        let uid = &pod.meta.uid;
        !uid.is_empty() && self.pods.as_ref().is_none_or(|pods| pods.contains(uid))
    }
}

/// What every object has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Empty for cluster-wide objects.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Empty if the object has none (written by hand).
    pub uid: String,
    /// Its labels.
    pub labels: Labels,
    /// Of the annotations: `prometheus.io/*`, `sidecar.istio.io/*`, flannel's and Calico's tunnel addresses.
    pub annotations: Labels,
    /// `creationTimestamp`
    pub created: Option<Time>,
    /// `deletionTimestamp`
    pub deleted: Option<Time>,
    /// The owner with `controller: true`.
    pub owner: Option<Owner>,
}

/// A controller reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// `Deployment`, `Rollout`, …; with its group behind it, `StatefulSet.apps.kruise.io`, where the kind alone would be
    /// taken for one that kico knows.
    pub kind: String,
    /// The API group of a kind that kico does not know; else empty.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Name, labels, owner, times.
    pub meta: Meta,
    /// `spec.nodeName`
    pub node: String,
    /// Its addresses are its node's.
    pub host_network: bool,
    /// `spec.dnsPolicy`; empty if the snapshot does not say.
    pub dns_policy: String,
    /// `spec.dnsConfig.searches`
    pub searches: Vec<String>,
    /// `spec.hostname`
    pub hostname: String,
    /// `spec.subdomain`
    pub subdomain: String,
    /// Containers, those of `initContainers` with `restartPolicy: Always` (sidecars) included.
    pub containers: Vec<Container>,
    /// `status.phase`: Pending, Running, Succeeded, Failed, Unknown.
    pub phase: String,
    /// Every address of `status.podIPs` (else `podIP`), IPv4-mapped ones as IPv4.
    pub addresses: Vec<IpAddr>,
    /// `status.startTime`
    pub start: Option<Time>,
    /// The earliest known `startedAt` of a container.
    pub started: Option<Time>,
    /// The latest known `finishedAt` of a container.
    pub finished: Option<Time>,
    /// When the condition PodReadyToStartContainers (or PodHasNetwork) last became True.
    pub network_ready: Option<Time>,
    /// The latest condition transition of any type.
    pub last_transition: Option<Time>,
    /// Whether `ISTIO_META_DNS_CAPTURE` is set in some container: its lookups may never reach CoreDNS.
    pub istio_dns: bool,
    /// Of several snapshots, the times of the first and the last that has it at these addresses. `None`: not known, or
    /// there is only one.
    pub seen: Option<(Time, Time)>,
    /// Its states in earlier snapshots that have it at other addresses, oldest first.
    pub former: Vec<Pod>,
}

impl Pod {
    /// Whether all its containers have ended for good: Succeeded or Failed.
    pub fn is_finished(&self) -> bool {
        self.phase == "Succeeded" || self.phase == "Failed"
    }
}

/// A container's name and ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its declared ports.
    pub ports: Vec<ContainerPort>,
}

/// A declared port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerPort {
    /// Empty if it has none.
    pub name: String,
    /// 1 to 65535.
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Protocol,
    /// `hostPort`: the node listens on it for the pod.
    pub host_port: Option<u16>,
}

/// A transport protocol; the API's default is TCP.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// `TCP`, `UDP`, `SCTP`.
    pub fn text(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        }
    }
}

/// ReplicaSet, Deployment, StatefulSet, DaemonSet, Job or CronJob.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controller {
    /// Its kind.
    pub kind: String,
    /// Name, labels, owner.
    pub meta: Meta,
    /// `spec.selector`; a CronJob has none.
    pub selector: Option<LabelSelector>,
    /// The labels its pods are made with.
    pub template_labels: Labels,
    /// Of the annotations that its pods are made with, those that [`Meta::annotations`] keeps.
    pub template_annotations: Labels,
    /// The containers its pods are made with: names and ports.
    pub template_containers: Vec<Container>,
    /// Whether its pods are made with `hostNetwork`.
    pub template_host_network: bool,
    /// A CronJob's.
    pub schedule: String,
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Name and labels.
    pub meta: Meta,
    /// `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`; ClusterIP if the snapshot does not say.
    pub kind: String,
    /// Empty: no selector; somebody writes its endpoints by hand.
    pub selector: Labels,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// `clusterIPs` (else `clusterIP`), without `None`.
    pub cluster_ips: Vec<IpAddr>,
    /// `clusterIP: None`.
    pub headless: bool,
    /// `spec.externalName`, of kind ExternalName.
    pub external_name: String,
    /// `spec.externalIPs`
    pub external_ips: Vec<String>,
}

/// A Service's port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePort {
    /// Empty if it has none.
    pub name: String,
    /// The Service's own port.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// What it leads to.
    pub target: TargetPort,
}

/// `targetPort`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetPort {
    /// A number, the Service's own port if unset.
    Number(u16),
    /// A container port's name, resolved on each pod.
    Name(String),
}

impl Default for TargetPort {
    fn default() -> TargetPort {
        TargetPort::Number(0)
    }
}

/// An EndpointSlice (or legacy Endpoints, read as slices).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Name and labels; `kubernetes.io/service-name` says whose it is.
    pub meta: Meta,
    /// Its Service's name.
    pub service: String,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Its ports, resolved to numbers by the control plane.
    pub ports: Vec<EndpointPort>,
}

/// One endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// `hostname`, which a headless Service's names use; else empty.
    pub hostname: String,
    /// `targetRef`, if it names a pod: namespace, name and uid.
    pub pod: Option<(String, String, String)>,
}

/// A slice's port; no number means all ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointPort {
    /// The Service port's name; empty if it has none.
    pub name: String,
    /// The pods' port.
    pub port: Option<u16>,
    /// Its protocol.
    pub protocol: Protocol,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Name, labels, annotations (tunnel addresses).
    pub meta: Meta,
    /// `status.addresses` that are IP addresses.
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs` (else `podCIDR`).
    pub pod_cidrs: Vec<ipnet::IpNet>,
    /// Of several snapshots, the time of the last that has it at these addresses.
    pub seen: Option<Time>,
    /// Its states in earlier snapshots that have it at other addresses, oldest first.
    pub former: Vec<Node>,
}

impl Node {
    /// Whether a later snapshot lists nodes, and lacks it.
    pub fn is_gone(&self, moments: &[Moment]) -> bool {
        self.seen.is_some() && moments.iter().any(|moment| moment.nodes && moment.time > self.seen)
    }
}

/// A NetworkPolicy as deployed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkPolicy {
    /// Namespace and name.
    pub meta: Meta,
    /// The API's own type.
    pub spec: NetworkPolicySpec,
}

/// What leads to Services without a lookup of theirs: an Ingress, a route of the Gateway API, a webhook configuration, an
/// APIService, the conversion of a custom resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entrance {
    /// `Ingress`, `HTTPRoute`, …
    pub kind: String,
    /// Namespace (empty for cluster-wide kinds) and name.
    pub meta: Meta,
    /// The Services that it leads to, sorted, without repetition.
    pub services: Vec<ServiceRef>,
}

/// A Service that another object names; there need not be one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Service's own port, by number or name, if that is said.
    pub port: Option<TargetPort>,
}

/// A Gateway of the Gateway API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Namespace and name.
    pub meta: Meta,
    /// Its listeners' ports, ascending, without repetition.
    pub ports: Vec<u16>,
}

/// A ServiceMonitor or a PodMonitor: what Prometheus scrapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Monitor {
    /// `ServiceMonitor` or `PodMonitor`.
    pub kind: String,
    /// Namespace and name.
    pub meta: Meta,
    /// Of Services or pods, by their labels. An empty one selects all.
    pub selector: LabelSelector,
    /// In which namespaces.
    pub namespaces: Watched,
    /// The ports it scrapes, as it names them: a Service's or a pod's name of the port, or a number.
    pub ports: Vec<TargetPort>,
}

/// Where a monitor looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Watched {
    /// In its own namespace.
    #[default]
    Own,
    /// In all of them.
    All,
    /// In these.
    Named(Vec<String>),
}

/// A Corefile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corefile {
    /// The ConfigMap's namespace.
    pub namespace: String,
    /// The ConfigMap's name.
    pub name: String,
    /// Its text.
    pub text: String,
}
