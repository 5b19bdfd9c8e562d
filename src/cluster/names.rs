//! What a name means in this cluster, asked by this client (SEMANTICS 3): by exact labels, checked against the snapshot.
//! It does not know whether the name was answered: External is only ever what was.

use std::net::IpAddr;

use super::Cluster;
use super::model::EndpointSlice;
use crate::name::{self, Shape};

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A Service, whether the snapshot has it or not.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        service: String,
        /// Index in `snapshot.services`; `None`: status `not in snapshot`.
        index: Option<usize>,
        /// An SRV name's port and protocol (`http`, `tcp`).
        port: Option<(String, String)>,
        /// An endpoint's name, which belongs to its Service: status `widened`.
        widened: bool,
    },
    /// A `pod.Z` name.
    Pod {
        /// The address in the name.
        address: IpAddr,
        /// The namespace in the name.
        namespace: String,
    },
    /// Outside the cluster domain, by this name (with autopath: less the search suffix).
    External(String),
    /// In the zone, but no such form; under arpa; the root: never a connection.
    Nothing,
}

impl Cluster {
    /// Reads a name's spelling. Only an answered name can be External: the caller knows. `namespace`: the client's own, if
    /// known, for autopath.
    ///
    /// The first reading that exists in the snapshot wins; what exists under none is a Service by its shape. An
    /// endpoint that its Service no longer has (the slices show the present, the log the past) comes behind the other
    /// Services that the name may mean, but before External.
    pub fn meaning(&self, name: &str, namespace: Option<&str>) -> Meaning {
        let own = name::shape(name, &self.domains);
        if let Some(found) = self.existing(&own) {
            return found;
        }
        let bases = namespace.map(|namespace| self.bases(name, namespace)).unwrap_or_default();
        for (base, domain) in &bases {
            for reading in [format!("{base}.svc.{domain}"), format!("{base}.{domain}")] {
                if let Some(found) = self.existing(&name::shape(&reading, &self.domains)) {
                    return found;
                }
            }
            if let Some(found) = self.existing(&name::shape(base, &self.domains)) {
                return found;
            }
        }
        let read = self.by_shape(&own, name);
        if self.autopath && !matches!(read, Meaning::Service { index: Some(_), .. }) {
            let external = |base: &&str| {
                has_two_labels(base) && name::shape(base, &self.domains) == Shape::External
            };
            if let Some(base) = bases.iter().map(|(base, _)| *base).find(external) {
                return Meaning::External(base.to_string());
            }
        }
        read
    }

    /// Whether it matters to the name's meaning that a client of this namespace asks.
    pub(crate) fn is_own(&self, name: &str, namespace: &str) -> bool {
        !self.bases(name, namespace).is_empty()
    }

    /// What stands before the client's own search suffix `.n.svc.Z`, for each Z that fits.
    fn bases<'a>(&self, name: &'a str, namespace: &str) -> Vec<(&'a str, &str)> {
        let base = |domain| {
            let rest: &'a str = name.strip_suffix(domain)?;
            let base = rest.strip_suffix(".svc.")?.strip_suffix(namespace)?.strip_suffix('.')?;
            (!base.is_empty() && !ends_in_escape(base)).then_some(base)
        };
        let domains = self.domains.iter().map(String::as_str);
        domains.filter_map(|domain| Some((base(domain)?, domain))).collect()
    }

    /// The meaning of a form, if the snapshot has what it names.
    fn existing(&self, shape: &Shape) -> Option<Meaning> {
        let exists = match *shape {
            Shape::Service { service, namespace } | Shape::Srv { service, namespace, .. } => {
                self.service(namespace, service).is_some()
            }
            Shape::Endpoint { endpoint, service, namespace } => {
                self.service(namespace, service).is_some_and(|i| self.has_endpoint(i, endpoint))
            }
            Shape::Pod { address, .. } => self.addresses.knows(address),
            _ => false,
        };
        exists.then(|| self.by_shape(shape, ""))
    }

    /// The meaning of a form, whether it exists or not.
    fn by_shape(&self, shape: &Shape, name: &str) -> Meaning {
        let of = |namespace: &str, service: &str, port: Option<(&str, &str)>, widened| {
            let index = self.service(namespace, service);
            let port = port.map(|(port, protocol)| (port.to_string(), protocol.to_string()));
            Meaning::Service {
                namespace: namespace.into(),
                service: service.into(),
                index,
                port,
                widened,
            }
        };
        match *shape {
            Shape::Service { service, namespace } => of(namespace, service, None, false),
            Shape::Srv { port, protocol, service, namespace } => {
                of(namespace, service, Some((port, protocol)), false)
            }
            Shape::Endpoint { service, namespace, .. } => of(namespace, service, None, true),
            Shape::Pod { address, namespace } => {
                Meaning::Pod { address, namespace: namespace.into() }
            }
            Shape::External => Meaning::External(name.into()),
            Shape::OtherInZone | Shape::Reverse | Shape::Root => Meaning::Nothing,
        }
    }

    /// Whether a Service's slices name this endpoint: by hostname, dashed address or pod. A Service whose slices the
    /// snapshot lacks may have any.
    fn has_endpoint(&self, service: usize, endpoint: &str) -> bool {
        let address = name::dashed_address(endpoint);
        let names_it = |slice: &EndpointSlice| {
            slice.endpoints.iter().any(|e| {
                e.hostname == endpoint
                    || e.pod.as_ref().is_some_and(|(_, pod, _)| pod == endpoint)
                    || address.is_some_and(|address| e.addresses.contains(&address))
            })
        };
        let slices = &self.slices[service];
        slices.is_empty() || slices.iter().any(|slice| names_it(&self.snapshot.slices[*slice]))
    }
}

/// Whether the last byte is a backslash that escapes what would follow: such a dot is none.
fn ends_in_escape(text: &str) -> bool {
    text.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

fn has_two_labels(name: &str) -> bool {
    name.match_indices('.').any(|(at, _)| !ends_in_escape(&name[..at]))
}

#[cfg(test)]
mod tests {
    use super::super::model::{Corefile, Snapshot};
    use super::super::tests_support::*;
    use super::*;

    const COREFILE: &str =
        ".:53 {\n  kubernetes cluster.local in-addr.arpa ip6.arpa {\n    pods verified\n  }\n";

    fn sample(corefile: &str) -> Cluster {
        let db0 = owned(pod("shop", "db-0", "10.0.1.7"), "StatefulSet", "db", "app=db");
        let snapshot = Snapshot {
            services: vec![
                service("shop", "api", "app=api", "http:80:8080"),
                service("shop", "db", "app=db", "sql:5432:5432"),
                service("shop", "mail", "app=mail", ""),
                service("bank", "api", "app=api", "http:80:8080"),
                service("bank", "db", "app=db", ""),
            ],
            slices: vec![slice("shop", "db", "sql:5432", &[("10.0.1.7", "db-0")])],
            pods: vec![db0, pod("bank", "teller", "10.0.2.9")],
            corefiles: vec![Corefile {
                namespace: "kube-system".into(),
                name: "coredns".into(),
                text: corefile.into(),
            }],
            ..Snapshot::default()
        };
        cluster(snapshot)
    }

    /// A meaning in one word: `bank/api`, `+` for widened, `?` for not in snapshot, `:port/protocol`.
    fn word(meaning: Meaning) -> String {
        match meaning {
            Meaning::Service { namespace, service, index, port, widened } => {
                let port = port.map(|(port, protocol)| format!(":{port}/{protocol}"));
                let absent = if index.is_none() { "?" } else { "" };
                let widened = if widened { "+" } else { "" };
                format!("{namespace}/{service}{}{widened}{absent}", port.unwrap_or_default())
            }
            Meaning::Pod { address, namespace } => format!("pod {namespace} {address}"),
            Meaning::External(name) => format!("external {name}"),
            Meaning::Nothing => "nothing".into(),
        }
    }

    #[track_caller]
    fn check(cluster: &Cluster, from: Option<&str>, cases: &[(&str, &str)]) {
        for (name, expected) in cases {
            assert_eq!(word(cluster.meaning(name, from)), *expected, "{name} from {from:?}");
        }
    }

    #[test]
    fn a_name_means_what_its_labels_say_if_the_snapshot_has_it() {
        check(
            &sample(COREFILE),
            Some("shop"),
            &[
                ("api.bank.svc.cluster.local", "bank/api"),
                ("_http._tcp.api.shop.svc.cluster.local", "shop/api:http/tcp"),
                ("10-0-1-7.db.shop.svc.cluster.local", "shop/db+"),
                ("db-0.db.shop.svc.cluster.local", "shop/db+"),
                ("10-0-2-9.bank.pod.cluster.local", "pod bank 10.0.2.9"),
                ("www.example.org", "external www.example.org"),
                ("7.1.0.10.in-addr.arpa", "nothing"),
                ("shop.svc.cluster.local", "nothing"),
                ("cluster.local", "nothing"),
                (".", "nothing"),
            ],
        );
    }

    #[test]
    fn what_exists_under_no_reading_is_a_service_by_shape() {
        check(
            &sample(COREFILE),
            Some("shop"),
            &[
                ("gone.shop.svc.cluster.local", "shop/gone?"),
                ("_x._udp.gone.shop.svc.cluster.local", "shop/gone:x/udp?"),
                ("e.gone.shop.svc.cluster.local", "shop/gone+?"),
                ("1-2-3-4.shop.pod.cluster.local", "pod shop 1.2.3.4"),
            ],
        );
    }

    #[test]
    fn an_endpoint_belongs_to_its_service_even_when_the_slices_have_lost_it() {
        let with_autopath = format!("{COREFILE}  autopath @kubernetes\n}}\n");
        for corefile in [COREFILE, &with_autopath] {
            check(
                &sample(corefile),
                Some("shop"),
                &[
                    ("10-0-1-99.db.shop.svc.cluster.local", "shop/db+"),
                    ("anything.mail.shop.svc.cluster.local", "shop/mail+"),
                ],
            );
        }
    }

    #[test]
    fn a_name_under_the_clients_own_suffix_may_be_another_service_without_it() {
        let own = Some("shop");
        let cases = [
            // As endpoints these would be of Services `bank` and `svc` in shop, which do not exist.
            ("api.bank.shop.svc.cluster.local", "bank/api"),
            ("api.bank.svc.shop.svc.cluster.local", "bank/api"),
            ("api.bank.svc.cluster.local.shop.svc.cluster.local", "bank/api"),
            ("_http._tcp.api.bank.svc.shop.svc.cluster.local", "bank/api:http/tcp"),
            ("10-0-2-9.bank.pod.shop.svc.cluster.local", "pod bank 10.0.2.9"),
            ("api.gone.shop.svc.cluster.local", "shop/gone+?"),
        ];
        check(&sample(COREFILE), own, &cases);
        // Another namespace's suffix is not this client's.
        check(
            &sample(COREFILE),
            Some("bank"),
            &[(cases[0].0, "shop/bank+?"), (cases[1].0, "nothing")],
        );
        check(&sample(COREFILE), None, &[(cases[0].0, "shop/bank+?")]);
    }

    #[test]
    fn the_readings_are_tried_in_order() {
        // `db` is a Service of shop whose slices know `db-0` and not `api`; `api.db` is another's.
        let mut snapshot = sample(COREFILE).snapshot;
        snapshot.services.push(service("db", "api", "app=api", ""));
        snapshot.services.push(service("db", "db-0", "app=api", ""));
        // A namespace may be called `svc`: then the suffix `svc.Z` comes before `Z` alone.
        snapshot.services.push(service("svc", "bank", "app=bank", ""));
        let cluster = cluster(snapshot);
        check(
            &cluster,
            Some("shop"),
            &[
                ("db-0.db.shop.svc.cluster.local", "shop/db+"),
                ("api.db.shop.svc.cluster.local", "db/api"),
                ("api.bank.svc.shop.svc.cluster.local", "svc/bank+"),
            ],
        );
    }

    #[test]
    fn only_with_autopath_is_the_rest_external_and_only_with_two_labels() {
        let name = "www.example.org.shop.svc.cluster.local";
        check(&sample(COREFILE), Some("shop"), &[(name, "nothing")]);
        let with = sample(&format!("{COREFILE}  autopath @kubernetes\n}}\n"));
        check(
            &with,
            Some("shop"),
            &[
                (name, "external www.example.org"),
                ("example.org.shop.svc.cluster.local", "external example.org"),
                ("intranet.shop.svc.cluster.local", "shop/intranet?"),
                (r"one\.label.shop.svc.cluster.local", "nothing"),
                (r"www.example.org\.shop.svc.cluster.local", "nothing"),
                ("api.bank.shop.svc.cluster.local", "bank/api"),
                ("4.3.2.1.in-addr.arpa.shop.svc.cluster.local", "nothing"),
            ],
        );
        check(&with, Some("bank"), &[(name, "nothing")]);
    }

    #[test]
    fn without_a_snapshot_every_service_is_one_by_shape() {
        let cluster = Cluster::new(Snapshot::default(), &["k8s.example".into()]);
        check(
            &cluster,
            None,
            &[
                ("api.shop.svc.k8s.example", "shop/api?"),
                ("api.shop.svc.cluster.local", "external api.shop.svc.cluster.local"),
            ],
        );
    }
}
