//! The cluster's own DNS: its domains, its Services, its pods. Tenants write objects too, so all of this is looked for in
//! the DNS namespaces only.

use std::collections::HashSet;

use super::Cluster;
use super::corefile::Directives;
use super::model::{Meta, Snapshot};
use super::workloads::WorkloadId;

/// The cluster domains: those given, else the Corefiles', else `cluster.local`.
pub(super) fn domains(corefiles: &[Directives], given: &[String]) -> Vec<String> {
    let plain = |domain: &String| domain.trim_matches('.').to_ascii_lowercase();
    let mut domains: Vec<String> = given.iter().map(plain).filter(|d| !d.is_empty()).collect();
    if domains.is_empty() {
        domains = corefiles.iter().flat_map(|file| file.domains.iter().cloned()).collect();
    }
    if domains.is_empty() {
        domains.push("cluster.local".into());
    }
    let mut seen = HashSet::new();
    domains.retain(|domain| seen.insert(domain.clone()));
    domains
}

/// The Services through which pods reach the cluster's DNS, ascending.
pub(super) fn services(snapshot: &Snapshot) -> Vec<usize> {
    let is_dns = |meta: &Meta| {
        let name = meta.name.as_str();
        snapshot.dns_namespaces.contains(&meta.namespace)
            && (matches!(name, "kube-dns" | "coredns" | "dns-default")
                || name.starts_with("rke2-coredns-"))
    };
    let services = snapshot.services.iter().enumerate();
    services.filter(|(_, service)| is_dns(&service.meta)).map(|(index, _)| index).collect()
}

impl Cluster {
    /// Whether a pod answers the cluster's lookups, by its labels or by its Service: CoreDNS, or a cache in front of it.
    pub fn is_dns_pod(&self, pod: usize) -> bool {
        let meta = &self.snapshot.pods[pod].meta;
        if !self.is_dns_namespace(&meta.namespace) {
            return false;
        }
        let app = meta.labels.get("k8s-app");
        matches!(app, Some("kube-dns" | "node-local-dns" | "coredns"))
            || meta.labels.contains_key("dns.operator.openshift.io/daemonset-dns")
            || self.is_behind_dns_service(|backend| backend.pods.contains(&pod))
    }

    /// Whether a workload's pods, or those that its template would make, answer the cluster's lookups.
    pub fn is_dns_workload(&self, id: WorkloadId) -> bool {
        let workload = self.workloads.get(id);
        self.is_dns_namespace(&workload.namespace)
            && (workload.pods.iter().any(|pod| self.is_dns_pod(*pod))
                || self.is_behind_dns_service(|backend| backend.workload == id))
    }

    fn is_behind_dns_service(&self, wanted: impl Fn(&super::backends::Backend) -> bool) -> bool {
        self.dns_services
            .iter()
            .any(|service| self.backends[*service].workloads.iter().any(&wanted))
    }

    fn is_dns_namespace(&self, namespace: &str) -> bool {
        self.snapshot.dns_namespaces.iter().any(|dns| dns == namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::*;
    use super::*;

    #[test]
    fn the_cluster_domains_are_those_given_else_the_corefiles_else_the_usual_one() {
        let corefile = |domains: &[&str]| Directives {
            domains: domains.iter().map(ToString::to_string).collect(),
            ..Directives::default()
        };
        let files = [corefile(&["a.example"]), corefile(&["b.example", "a.example"])];
        let given = [".Corp.Example.".to_string(), "corp.example".into(), ".".into()];
        assert_eq!(domains(&files, &given), ["corp.example"]);
        assert_eq!(domains(&files, &[]), ["a.example", "b.example"]);
        assert_eq!(domains(&[], &[]), ["cluster.local"]);
    }

    #[test]
    fn dns_pods_are_found_by_label_or_service_in_the_dns_namespaces_only() {
        let labelled = |namespace: &str, name: &str, labels: &str| {
            owned(pod(namespace, name, ""), "DaemonSet", name, labels)
        };
        let pods = vec![
            labelled("kube-system", "core", "k8s-app=kube-dns"),
            labelled("kube-system", "cache", "k8s-app=node-local-dns"),
            labelled("openshift-dns", "shift", "dns.operator.openshift.io/daemonset-dns=default"),
            labelled("kube-system", "behind", "role=resolver"),
            labelled("kube-system", "proxy", "k8s-app=kube-proxy"),
            labelled("evil", "fake", "k8s-app=kube-dns role=resolver"),
        ];
        let services = vec![
            service("kube-system", "rke2-coredns-rke2-coredns", "role=resolver", "dns:53:53/UDP"),
            service("kube-system", "metrics", "k8s-app=kube-proxy", ""),
            service("evil", "kube-dns", "role=resolver", "dns:53:53/UDP"),
        ];
        let made = cluster(Snapshot { pods, services, ..Snapshot::default() });
        let found = |wanted: &dyn Fn(usize) -> bool| -> Vec<String> {
            let pods = made.snapshot.pods.iter().enumerate();
            pods.filter(|(i, _)| wanted(*i)).map(|(_, pod)| pod.meta.name.clone()).collect()
        };
        let expected = ["behind", "cache", "core", "shift"];
        assert_eq!(found(&|pod| made.is_dns_pod(pod)), expected);
        assert_eq!(found(&|pod| made.is_dns_workload(made.workloads.of_pod[pod])), expected);
        let names: Vec<&str> = made
            .dns_services
            .iter()
            .map(|i| made.snapshot.services[*i].meta.name.as_str())
            .collect();
        assert_eq!(names, ["rke2-coredns-rke2-coredns"]);
    }
}
