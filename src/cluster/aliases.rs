//! Where a Service of type ExternalName leads. Inside the cluster CoreDNS follows it without another line in its log: what
//! stands at its end is reached by those who never asked for it by name. It says where; what may be made of it is for others.

use super::Cluster;
use super::names::Meaning;

/// As many aliases are followed, one after the other.
const MOST: usize = 16;

/// Where an alias leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// Out of the cluster.
    Outside,
    /// To a Service that is no alias: its index.
    Service(usize),
    /// Into the cluster, to nothing that the snapshot has; or in a circle.
    Nowhere,
}

impl Cluster {
    /// Where the ExternalName of a Service leads in the end. `None`: it is no alias.
    pub fn leads_to(&self, service: usize) -> Option<Lead> {
        let alias = |index: usize| {
            let of = self.snapshot.services.get(index)?;
            (of.kind == "ExternalName" || !of.external_name.is_empty()).then_some(of)
        };
        let mut of = alias(service)?;
        for _ in 0..MOST {
            let target = of.external_name.trim_end_matches('.').to_ascii_lowercase();
            let index = match self.meaning(&target, None) {
                Meaning::Service { index: Some(index), .. } => index,
                Meaning::External(_) => return Some(Lead::Outside),
                // The root, or a name that the snapshot does not give.
                Meaning::Nothing if target.is_empty() => return Some(Lead::Outside),
                _ => return Some(Lead::Nowhere),
            };
            match alias(index) {
                Some(next) => of = next,
                None => return Some(Lead::Service(index)),
            }
        }
        Some(Lead::Nowhere)
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Service, Snapshot};
    use super::super::tests_support::*;
    use super::*;

    #[test]
    fn an_alias_is_followed_to_its_end() {
        let alias = |name: &str, target: &str| Service {
            kind: "ExternalName".into(),
            external_name: target.into(),
            ..service("shop", name, "", "")
        };
        let made = cluster(Snapshot {
            services: vec![
                service("bank", "db", "app=db", "sql:5432:5432"),
                alias("plain", "db.bank.svc.cluster.local"),
                alias("dotted", "DB.Bank.svc.Cluster.Local."),
                alias("pod", "db-0.db.bank.svc.cluster.local"),
                alias("twice", "plain.shop.svc.cluster.local"),
                alias("out", "db.example.org"),
                // No search path is walked for it.
                alias("short", "db.bank"),
                alias("twice-out", "out.shop.svc.cluster.local"),
                alias("unsaid", ""),
                alias("gone", "db.gone.svc.cluster.local"),
                alias("odd", "x.cluster.local"),
                alias("circle", "back.shop.svc.cluster.local"),
                alias("back", "circle.shop.svc.cluster.local"),
            ],
            ..Snapshot::default()
        });
        let db = made.service("bank", "db").unwrap();
        for (name, expected) in [
            ("plain", Lead::Service(db)),
            ("dotted", Lead::Service(db)),
            ("pod", Lead::Service(db)),
            ("twice", Lead::Service(db)),
            ("out", Lead::Outside),
            ("short", Lead::Outside),
            ("twice-out", Lead::Outside),
            ("unsaid", Lead::Outside),
            ("gone", Lead::Nowhere),
            ("odd", Lead::Nowhere),
            ("circle", Lead::Nowhere),
        ] {
            let index = made.service("shop", name).unwrap();
            assert_eq!(made.leads_to(index), Some(expected), "{name}");
        }
        assert_eq!((made.leads_to(db), made.leads_to(99)), (None, None));
    }
}
