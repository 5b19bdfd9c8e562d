//! Logs without queries → what to do about it on this very cluster. Pure: it knows the server's version, the Corefile, and how many
//! queries there were; nothing is changed, only said.

use crate::cluster::corefile::Directives;

/// Who owns the Corefile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// k3s: the ConfigMap `coredns-custom` is imported.
    K3s,
    /// Azure's, likewise.
    Aks,
    /// RKE2: a HelmChartConfig.
    Rke2,
    /// Amazon's add-on.
    Eks,
    /// Google's own DNS, which is not CoreDNS.
    Gke,
    /// An operator.
    OpenShift,
    /// Whoever edits the ConfigMap.
    Plain,
}

impl Platform {
    /// Told by the version that the server gives itself, the Corefile's imports, and where the DNS pods are.
    pub fn of(version: &str, corefile: &str, dns_namespace: &str) -> Platform {
        if dns_namespace == "openshift-dns" {
            Platform::OpenShift
        } else if version.contains("+k3s") {
            Platform::K3s
        } else if version.contains("+rke2") {
            Platform::Rke2
        } else if version.contains("-eks-") {
            Platform::Eks
        } else if version.contains("-gke.") {
            Platform::Gke
        } else if corefile.contains("import custom/") {
            Platform::Aks
        } else if corefile.contains("import /etc/coredns/custom/") {
            Platform::K3s
        } else {
            Platform::Plain
        }
    }

    /// The very edit.
    fn edit(self) -> &'static str {
        match self {
            Platform::K3s | Platform::Aks => {
                "put it into the ConfigMap that this cluster's Corefile imports:\n  \
                 kubectl -n kube-system create configmap coredns-custom --from-literal=log.override=log\n\
                 or, if there is one already:\n  \
                 kubectl -n kube-system patch configmap coredns-custom --type=merge -p '{\"data\":{\"log.override\":\"log\"}}'"
            }
            Platform::Rke2 => {
                "give it to the chart, in a HelmChartConfig rke2-coredns in kube-system: under servers[0].plugins the entry\n  \
                 - name: log"
            }
            Platform::Eks => {
                "an edit of the ConfigMap is undone by the add-on's next update; give the add-on the Corefile with the line `log` in it:\n  \
                 aws eks update-addon --cluster-name NAME --addon-name coredns --configuration-values '{\"corefile\": \"...\"}'\n\
                 or, without the add-on:\n  kubectl -n kube-system edit configmap coredns"
            }
            Platform::Gke => {
                "the DNS of this cluster is Google's kube-dns or Cloud DNS, not CoreDNS, and writes no such log"
            }
            Platform::OpenShift => {
                "tell the operator, and take it back with Normal:\n  \
                 oc patch dns.operator/default --type=merge -p '{\"spec\":{\"logLevel\":\"Trace\"}}'"
            }
            Platform::Plain => {
                "add the line behind `errors` in the server block:\n  \
                 kubectl -n kube-system edit configmap coredns\n    .:53 {\n        errors\n        log"
            }
        }
    }
}

/// What should be said of the logs: nothing, if all is well.
pub fn advice(
    platform: Platform,
    corefile: Option<&Directives>,
    queries: u64,
    has_cache: bool,
) -> Vec<String> {
    let mut said = Vec::new();
    let classes: &[String] = corefile.map_or(&[], |file| &file.log);
    let logs_all = classes.iter().any(|class| class == "all")
        || classes.iter().any(|class| class == "success");
    if queries == 0 {
        let why = match (corefile, classes) {
            (None, _) => "is `log` in the Corefile?",
            (Some(_), []) => "its Corefile has no line `log`.",
            (Some(_), _) if logs_all => {
                "its Corefile says `log`, so perhaps nobody asked yet; the change takes up to two minutes."
            }
            (Some(_), _) => "its Corefile logs none that succeeded.",
        };
        said.push(format!("CoreDNS wrote no query: {why}"));
        if !logs_all {
            said.push(format!(
                "no restart is needed (the `reload` plugin finds the change); {}",
                platform.edit()
            ));
        }
    }
    if !classes.is_empty() && !logs_all {
        let classes = classes.join(", ");
        said.push(format!(
            "the Corefile logs only the class {classes}: lookups that succeeded, the ones that matter, are missing; write plain `log`"
        ));
    }
    if has_cache {
        said.push(
            "NodeLocal DNSCache stands in front of CoreDNS: pods ask it first. It needs `log` in each server block of its own ConfigMap:\n  \
             kubectl -n kube-system edit configmap node-local-dns"
                .into(),
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::corefile;

    #[track_caller]
    fn check(corefile_text: &str, queries: u64, expected: &[&str]) {
        let file = corefile::read(corefile_text);
        let said = advice(
            Platform::of("v1.30.1", corefile_text, "kube-system"),
            Some(&file),
            queries,
            false,
        );
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_edit_that_mends_it() {
        check(". {\n log\n kubernetes a\n}", 5, &[]);
        check(
            ". {\n kubernetes a\n}",
            0,
            &["no line `log`", "kubectl -n kube-system edit configmap coredns"],
        );
        check(
            ". {\n import /etc/coredns/custom/*.override\n kubernetes a\n}",
            0,
            &["no line", "coredns-custom"],
        );
        check(". {\n log . {\n class error\n }\n kubernetes a\n}", 3, &["only the class error"]);
        check(
            ". {\n log . {\n class error\n }\n kubernetes a\n}",
            0,
            &["none that succeeded", "no restart", "only the class error"],
        );
    }

    #[test]
    fn a_platform_is_told_by_its_version_or_its_corefile() {
        let of = |version| Platform::of(version, "", "kube-system");
        assert_eq!(of("v1.30.1+k3s1"), Platform::K3s);
        assert_eq!(of("v1.30.1+rke2r1"), Platform::Rke2);
        assert_eq!(of("v1.30.1-eks-036c24b"), Platform::Eks);
        assert_eq!(of("v1.30.1-gke.1200"), Platform::Gke);
        assert_eq!(of("v1.30.1"), Platform::Plain);
        assert_eq!(
            Platform::of("v1.30.1", "import custom/*.override", "kube-system"),
            Platform::Aks
        );
        assert_eq!(Platform::of("v1.27.0", "", "openshift-dns"), Platform::OpenShift);
    }
}
