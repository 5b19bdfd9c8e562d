//! Selectors → sets of pods, each distinct one once; and the classes of pods that no policy can tell apart.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::Match;
use super::compile::{Block, Peer};
use crate::cluster::Cluster;
use crate::cluster::model::{Labels, Protocol};
use crate::cluster::selector::matches;

/// The label that the API server itself sets on every namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A set of pods, by index.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, at: usize) {
        if self.0.len() <= at / 64 {
            self.0.resize(at / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    pub(super) fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

/// The pods, and the selectors that were resolved.
pub(super) struct Pods<'a> {
    cluster: &'a Cluster,
    /// Namespace → its pods, ascending.
    of_namespace: BTreeMap<&'a str, Vec<usize>>,
    /// Namespace → its labels, as far as the snapshot has it.
    labels: HashMap<&'a str, &'a Labels>,
    subjects: HashMap<String, Bits>,
    known: HashMap<String, usize>,
    peers: Vec<Peer>,
}

impl<'a> Pods<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Pods<'a> {
        let mut of_namespace: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, pod) in cluster.snapshot.pods.iter().enumerate() {
            of_namespace.entry(&pod.meta.namespace).or_default().push(index);
        }
        let namespaces = cluster.snapshot.namespaces.iter();
        Pods {
            cluster,
            of_namespace,
            labels: namespaces.map(|meta| (meta.name.as_str(), &meta.labels)).collect(),
            subjects: HashMap::new(),
            known: HashMap::new(),
            peers: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<Peer> {
        self.peers
    }

    /// The pods of a namespace that a policy's own selector matches.
    pub(super) fn subject(&mut self, namespace: &str, selector: &LabelSelector) -> Bits {
        let key = format!("{namespace} {}", key(selector));
        if let Some(bits) = self.subjects.get(&key) {
            return bits.clone();
        }
        let mut bits = Bits::default();
        for &pod in self.of_namespace.get(namespace).into_iter().flatten() {
            if matches(selector, &self.cluster.snapshot.pods[pod].meta.labels) {
                bits.set(pod);
            }
        }
        self.subjects.insert(key, bits.clone());
        bits
    }

    /// The index of a peer, of a policy in that namespace.
    pub(super) fn peer(&mut self, namespace: &str, peer: &NetworkPolicyPeer) -> usize {
        let is_local = peer.ip_block.is_none() && peer.namespace_selector.is_none();
        let key = format!("{} {}", if is_local { namespace } else { "" }, key(peer));
        if let Some(index) = self.known.get(&key) {
            return *index;
        }
        let found = match &peer.ip_block {
            Some(block) => self.by_address(Block::read(block)),
            None => self.by_labels(namespace, peer),
        };
        let index = self.peers.len();
        self.peers.push(found);
        self.known.insert(key, index);
        index
    }

    /// Pods have addresses too. Whether a plugin looks for them in an ipBlock differs; the API says that it holds addresses.
    fn by_address(&self, block: Option<Block>) -> Peer {
        let mut sure = Bits::default();
        if let Some(block) = &block {
            for (index, pod) in self.cluster.snapshot.pods.iter().enumerate() {
                if pod.addresses.iter().any(|address| block.has(*address)) {
                    sure.set(index);
                }
            }
        }
        Peer { may: sure.clone(), sure, block }
    }

    fn by_labels(&self, namespace: &str, peer: &NetworkPolicyPeer) -> Peer {
        let (mut sure, mut may) = (Bits::default(), Bits::default());
        for (of, pods) in &self.of_namespace {
            // Without a namespaceSelector it is the policy's own namespace; an item with neither matches nothing.
            let fits = match (&peer.namespace_selector, &peer.pod_selector) {
                (Some(selector), _) => self.namespace(selector, of),
                (None, Some(_)) if *of == namespace => Match::Yes,
                (None, _) => Match::No,
            };
            if fits == Match::No {
                continue;
            }
            for &index in pods {
                let pod = &self.cluster.snapshot.pods[index];
                let selector = peer.pod_selector.as_ref();
                if selector.is_none_or(|selector| matches(selector, &pod.meta.labels)) {
                    may.set(index);
                    if fits == Match::Yes && !pod.host_network {
                        sure.set(index);
                    }
                }
            }
        }
        Peer { sure, may, block: None }
    }

    /// Whether a selector matches a namespace. Of one that the snapshot lacks only the name is known.
    fn namespace(&self, selector: &LabelSelector, name: &str) -> Match {
        let is = |fits: bool| if fits { Match::Yes } else { Match::No };
        if let Some(labels) = self.labels.get(name) {
            return is(matches(selector, labels));
        }
        let mut by_name = selector.clone();
        by_name.match_labels.iter_mut().for_each(|all| all.retain(|key, _| key == NAME_LABEL));
        by_name.match_expressions.iter_mut().for_each(|all| all.retain(|e| e.key == NAME_LABEL));
        let labels = Labels::from_iter([(NAME_LABEL.to_owned(), name.to_owned())]);
        match matches(&by_name, &labels) {
            true if by_name != *selector => Match::Maybe,
            fits => is(fits),
        }
    }
}

/// A selector as text, so that equal ones are known again.
fn key(selector: &impl serde::Serialize) -> String {
    serde_json::to_string(selector).unwrap_or_default()
}

/// What policies can see of a pod: those that isolate it, peers that match it, its named ports.
type Seen<'a> = (&'a [usize], &'a [usize], Vec<(usize, bool)>, BTreeSet<(&'a str, u16, Protocol)>);

/// Pod index → class.
pub(super) fn classes(
    cluster: &Cluster,
    peers: &[Peer],
    egress_of: &[Vec<usize>],
    ingress_of: &[Vec<usize>],
) -> Vec<Option<u32>> {
    let pods = &cluster.snapshot.pods;
    let mut matched: Vec<Vec<(usize, bool)>> = vec![Vec::new(); pods.len()];
    for (index, peer) in peers.iter().enumerate() {
        for pod in peer.may.iter() {
            matched[pod].push((index, peer.sure.has(pod)));
        }
    }
    let mut known: HashMap<Seen<'_>, u32> = HashMap::new();
    let mut next = 0;
    let class = |(index, pod): (usize, &'_ crate::cluster::model::Pod)| {
        if pod.host_network {
            return None;
        }
        let ports = cluster.snapshot.pods[index].containers.iter().flat_map(|c| &c.ports);
        let named = ports.filter(|port| !port.name.is_empty());
        let seen = (
            egress_of[index].as_slice(),
            ingress_of[index].as_slice(),
            std::mem::take(&mut matched[index]),
            named.map(|port| (port.name.as_str(), port.port, port.protocol)).collect(),
        );
        Some(*known.entry(seen).or_insert_with(|| {
            next += 1;
            next
        }))
    };
    pods.iter().enumerate().map(class).collect()
}
