//! The random clusters' own DNS: without it no egress policy is written.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::{Dice, Load, Made, START, SYSTEM, Service, World};
use crate::evaluator::Labels;

impl World {
    /// CoreDNS behind its Service, and in some clusters a cache on every node.
    pub(super) fn add_dns(&mut self, dice: &mut Dice) {
        let mut load = |kind: &'static str, name: &str, host: bool| {
            let labels: Labels =
                BTreeMap::from([("k8s-app".into(), if host { name } else { "kube-dns" }.into())]);
            let pairs = serde_yaml::to_value(&labels).expect("labels");
            let selector = serde_yaml::to_value(BTreeMap::from([("matchLabels", pairs)]));
            self.loads.push(Load {
                namespace: SYSTEM.into(),
                kind,
                name: name.into(),
                labels: labels.clone(),
                selector: Some(selector.expect("a selector")),
                host,
            });
            (self.loads.len() - 1, labels)
        };
        let mut made = vec![load("Deployment", "coredns", false)];
        if dice.one_in(4) {
            made.push(load("DaemonSet", "node-local-dns", true));
        }
        let ports = [53, 5353];
        let (first, disagree) = (dice.below(2), dice.one_in(6));
        for (number, labels) in made {
            let host = self.loads[number].host;
            for at in 0..if host { 1 } else { 2 } {
                let port = ports[(first + usize::from(disagree && at == 1)) % 2];
                self.pods.push(Made {
                    name: format!("{}-{at}", self.loads[number].name),
                    namespace: SYSTEM.into(),
                    load: number,
                    labels: labels.clone(),
                    ip: match host {
                        true => self.node,
                        false => IpAddr::V4(Ipv4Addr::new(10, 244, 250, at as u8 + 2)),
                    },
                    ports: vec![
                        ("dns".into(), port, "UDP"),
                        ("dns-tcp".into(), port, "TCP"),
                        ("metrics".into(), 9153, "TCP"),
                    ],
                    finished: false,
                    start: START,
                    end: None,
                });
            }
        }
        let target = |name: &str| match disagree {
            true => Err(name.to_owned()),
            false => Ok(ports[first]),
        };
        self.services.push(Service {
            namespace: SYSTEM.into(),
            name: "kube-dns".into(),
            selector: BTreeMap::from([("k8s-app".into(), "kube-dns".into())]),
            kind: "ClusterIP",
            external_ip: false,
            leads_to: None,
            ports: vec![
                ("dns".into(), "UDP", target("dns")),
                ("dns-tcp".into(), "TCP", target("dns-tcp")),
                ("metrics".into(), "TCP", Ok(9153)),
            ],
            sliced: dice.one_in(2),
            forged: Vec::new(),
            manual: Vec::new(),
        });
    }

    /// Whether a workload answers the cluster's lookups.
    pub(super) fn is_dns(&self, load: usize) -> bool {
        self.loads[load].namespace == SYSTEM
    }
}
