//! Random clusters and logs whose truth is known, because they are made here: who asked, what stood behind it, and so
//! what policies may allow. Small on purpose: few labels, so that selectors overlap.

mod dns;
mod egress;
mod made;
mod truth;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use kico::time::{SECOND, Time};
use serde_yaml::Value;

use crate::evaluator::{Labels, Pod};

/// Every port that anybody has, and one that nobody has.
pub(crate) const PORTS: [(u16, &str); 12] = [
    (80, "TCP"),
    (8080, "TCP"),
    (9090, "TCP"),
    (53, "UDP"),
    (8080, "UDP"),
    (5432, "TCP"),
    (22, "TCP"),
    (53, "TCP"),
    (5353, "UDP"),
    (5353, "TCP"),
    (9153, "TCP"),
    (6443, "TCP"),
];

pub(crate) const NAMESPACES: [&str; 3] = ["alpha", "beta", "gamma"];
/// Where the cluster's DNS is.
const SYSTEM: &str = "kube-system";
/// Every Service's own address, a DNS cache's, a server's outside, and nobody's.
const SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 9));
const CACHE: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10));
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 11));
/// Addresses that are no pod's.
pub(crate) const PLACES: [IpAddr; 4] = [SERVICE, CACHE, OUTSIDE, NOBODY];
const HOUR: Time = 3600 * SECOND;
/// When the pods that are there from the start were made.
const START: Time = 1_767_225_600 * SECOND;

/// A cluster, and what was logged of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) loads: Vec<Load>,
    pub(crate) pods: Vec<Made>,
    services: Vec<Service>,
    rows: Vec<Row>,
    node: IpAddr,
}

/// A workload.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) namespace: String,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// What the template says, less what changes.
    pub(crate) labels: Labels,
    /// The controller's own selector, as YAML.
    selector: Option<Value>,
    host: bool,
}

/// A pod.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) load: usize,
    /// All its labels.
    labels: Labels,
    pub(crate) ip: IpAddr,
    ports: Vec<(String, u16, &'static str)>,
    pub(crate) finished: bool,
    start: Time,
    end: Option<Time>,
    namespace: String,
}

#[derive(Debug)]
struct Service {
    namespace: String,
    name: String,
    selector: Labels,
    kind: &'static str,
    external_ip: bool,
    /// An ExternalName that leads to another Service.
    leads_to: Option<usize>,
    /// Name, protocol, target: a number or a container port's name.
    ports: Vec<(String, &'static str, Result<u16, String>)>,
    /// Whether there are EndpointSlices; and of whom somebody wrote down endpoints that are not the Service's.
    sliced: bool,
    forged: Vec<usize>,
    /// Addresses that somebody wrote down, of a Service without selector.
    manual: Vec<IpAddr>,
}

/// A row of the log.
#[derive(Clone, Debug)]
struct Row {
    ip: IpAddr,
    name: String,
    asked: Asked,
    time: Option<Time>,
    answered: bool,
}

#[derive(Clone, Debug)]
enum Asked {
    /// A Service by index; an SRV name's port.
    Service(usize, Option<String>),
    /// A pod's address.
    Pod(IpAddr),
    Nothing,
}

/// splitmix64: the same clusters on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.roll() % n as u64) as usize
    }

    /// Whether one of so many comes up.
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

impl World {
    pub(crate) fn new(number: u64) -> World {
        let mut dice = Dice(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let node = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
        let (loads, pods) = (Vec::new(), Vec::new());
        let mut world = World { loads, pods, services: Vec::new(), rows: Vec::new(), node };
        for index in 0..3 + dice.below(6) {
            world.add_load(&mut dice, index);
        }
        world.reuse_addresses(&mut dice);
        for index in 0..1 + dice.below(5) {
            world.add_service(&mut dice, index);
        }
        if !dice.one_in(12) {
            world.add_dns(&mut dice);
        }
        for _ in 0..6 + dice.below(24) {
            world.add_row(&mut dice);
        }
        world
    }

    fn add_load(&mut self, dice: &mut Dice, index: usize) {
        const KINDS: [&str; 8] = [
            "Deployment",
            "Deployment",
            "Deployment",
            "StatefulSet",
            "Job",
            "CronJob",
            "Rollout",
            "Pod",
        ];
        let kind = *dice.pick(&KINDS);
        let mut labels = random_labels(dice);
        let controls = matches!(kind, "Deployment" | "StatefulSet");
        if controls && labels.is_empty() {
            labels.insert("app".into(), "a".into());
        }
        let load = Load {
            // The same names in other namespaces, and the same labels everywhere.
            namespace: (*dice.pick(&NAMESPACES)).into(),
            kind,
            name: format!("w{}", if kind == "Pod" { index } else { index / 2 }),
            selector: controls.then(|| random_selector(dice, &labels)),
            labels,
            host: dice.one_in(20),
        };
        let same = |other: &Load| {
            (&other.namespace, other.kind, &other.name) == (&load.namespace, load.kind, &load.name)
        };
        if self.loads.iter().any(same) {
            return;
        }
        let ports = random_ports(dice);
        let runs_out = matches!(kind, "Job" | "CronJob" | "Pod");
        let finished = runs_out && dice.one_in(3);
        let number = self.loads.len();
        let count = match kind {
            "Pod" => 1,
            // A CronJob between two runs.
            "CronJob" => dice.below(2),
            _ => 1 + dice.below(2),
        };
        // Half-way through a rollout the pods may disagree on what a port's name is.
        let disagree = dice.one_in(4);
        for at in 0..count {
            let mut labels = load.labels.clone();
            let volatile = ["pod-template-hash", "controller-revision-hash", "job-name"];
            labels.insert((*dice.pick(&volatile)).into(), format!("h{at}"));
            // A canary, told from its siblings by a label of its own.
            if kind == "Rollout" && dice.one_in(2) {
                labels.insert("track".into(), (*dice.pick(&["stable", "canary"])).into());
            }
            let mut ports = ports.clone();
            if disagree && at == 1 {
                for port in ports.iter_mut().filter(|port| port.0 == "http") {
                    port.1 = 9090;
                }
            }
            let ip = match load.host {
                true => self.node,
                false => IpAddr::V4(Ipv4Addr::new(10, 244, number as u8, at as u8 + 2)),
            };
            self.pods.push(Made {
                name: if kind == "Pod" {
                    load.name.clone()
                } else {
                    format!("{}-{number}-{at}", load.name)
                },
                namespace: load.namespace.clone(),
                load: number,
                labels,
                ip,
                ports,
                finished,
                start: START,
                end: finished.then_some(START + HOUR),
            });
        }
        self.loads.push(load);
    }

    /// Pods that came after a finished one and got its address.
    fn reuse_addresses(&mut self, dice: &mut Dice) {
        let finished: Vec<usize> = (0..self.pods.len())
            .filter(|pod| self.pods[*pod].finished && !self.host(*pod))
            .collect();
        for old in finished {
            let others: Vec<usize> = (0..self.pods.len())
                .filter(|pod| {
                    !self.pods[*pod].finished && !self.host(*pod) && self.pods[*pod].start == START
                })
                .collect();
            if !others.is_empty() && dice.one_in(2) {
                let new = *dice.pick(&others);
                self.pods[new].ip = self.pods[old].ip;
                self.pods[new].start = START + 2 * HOUR;
            }
        }
    }

    fn host(&self, pod: usize) -> bool {
        self.loads[self.pods[pod].load].host
    }

    fn add_service(&mut self, dice: &mut Dice, index: usize) {
        // Mostly somebody's labels, so that something stands behind it.
        let like = dice.below(self.loads.len());
        let (namespace, mut selector) = match dice.one_in(5) {
            true => ((*dice.pick(&NAMESPACES)).to_owned(), random_labels(dice)),
            false => (self.loads[like].namespace.clone(), self.loads[like].labels.clone()),
        };
        if selector.len() > 1 && dice.one_in(2) {
            selector.pop_last();
        }
        let named = |name: &str, dice: &mut Dice| match dice.one_in(2) {
            true => Err(name.to_owned()),
            false => Ok(*dice.pick(&[80, 8080])),
        };
        let mut ports = vec![("web".to_owned(), "TCP", named("http", dice))];
        if dice.one_in(3) {
            ports.push(("sql".into(), "TCP", Ok(5432)));
        }
        if dice.one_in(4) {
            ports.push(("dns".into(), "UDP", Err("dns".into())));
        }
        if dice.one_in(8) {
            ports.clear();
        }
        let mut manual = Vec::new();
        if dice.one_in(10) {
            selector.clear();
            manual.push(OUTSIDE);
            manual.extend(dice.one_in(2).then_some(self.node));
        }
        let forged = (0..self.pods.len()).filter(|_| dice.one_in(6)).collect();
        let is_alias = dice.one_in(10);
        let leads = is_alias && !self.services.is_empty() && !dice.one_in(3);
        let leads_to = leads.then(|| dice.below(self.services.len()));
        self.services.push(Service {
            namespace,
            name: format!("s{}", index / 2 * 2 + dice.below(2)),
            selector,
            kind: if is_alias { "ExternalName" } else { "ClusterIP" },
            external_ip: dice.one_in(15),
            leads_to,
            ports,
            sliced: dice.one_in(2),
            forged,
            manual,
        });
        let (last, before) = self.services.split_last().expect("one was pushed");
        if before.iter().any(|s| (&s.namespace, &s.name) == (&last.namespace, &last.name)) {
            self.services.pop();
        }
    }

    fn add_row(&mut self, dice: &mut Dice) {
        let time = (!dice.one_in(3)).then(|| *dice.pick(&[START + HOUR / 2, START + 3 * HOUR]));
        let stranger = IpAddr::V4(Ipv4Addr::new(192, 0, 2, dice.below(3) as u8));
        let ip = match dice.below(20) {
            0 => stranger,
            1 => self.node,
            _ if self.pods.is_empty() => stranger,
            _ => self.pods[dice.below(self.pods.len())].ip,
        };
        let service = dice.below(self.services.len());
        let of = &self.services[service];
        let domain = format!("{}.svc.cluster.local", of.namespace);
        let base = format!("{}.{domain}", of.name);
        let (name, asked) = match dice.below(12) {
            0 => (format!("gone.{domain}"), Asked::Nothing),
            1 => ("api.example.org".into(), Asked::Nothing),
            2 | 3 if !of.ports.is_empty() => {
                let (port, protocol, _) = dice.pick(&of.ports);
                let name = format!("_{port}._{}.{base}", protocol.to_lowercase());
                (name, Asked::Service(service, Some(port.clone())))
            }
            4 if !self.pods.is_empty() => {
                let ip = self.pods[dice.below(self.pods.len())].ip;
                let dashed = ip.to_string().replace('.', "-");
                (format!("{dashed}.{}.pod.cluster.local", of.namespace), Asked::Pod(ip))
            }
            5 => (format!("10-244-0-2.{base}"), Asked::Service(service, None)),
            _ => (base, Asked::Service(service, None)),
        };
        let row = Row { ip, name, asked, time, answered: !dice.one_in(12) };
        let same =
            |other: &Row| (other.ip, &other.name, other.time) == (row.ip, &row.name, row.time);
        if !self.rows.iter().any(same) {
            self.rows.push(row);
        }
    }

    /// As the API server labels them.
    pub(crate) fn namespaces(&self) -> BTreeMap<String, Labels> {
        let label =
            |name: &str| BTreeMap::from([("kubernetes.io/metadata.name".into(), name.into())]);
        NAMESPACES.iter().chain([&SYSTEM]).map(|name| ((*name).into(), label(name))).collect()
    }
}

impl Made {
    /// As the evaluator sees it.
    pub(crate) fn seen(&self) -> Pod {
        Pod {
            namespace: self.namespace.clone(),
            labels: self.labels.clone(),
            address: Some(self.ip),
            ports: self
                .ports
                .iter()
                .map(|(name, port, of)| (name.clone(), *port, (*of).into()))
                .collect(),
        }
    }
}

fn random_labels(dice: &mut Dice) -> Labels {
    let mut labels = Labels::new();
    for (key, values) in [
        ("app", ["a", "b", "c"]),
        ("tier", ["x", "y", "y"]),
        ("track", ["stable", "canary", "yes"]),
    ] {
        if !dice.one_in(if key == "app" { 6 } else { 2 }) {
            labels.insert(key.into(), (*dice.pick(&values)).into());
        }
    }
    labels
}

/// Something that matches these labels, as the API demands, and often others too.
fn random_selector(dice: &mut Dice, labels: &Labels) -> Value {
    let mut pairs = labels.clone();
    if pairs.len() > 1 && dice.one_in(3) {
        pairs.pop_last();
    }
    let mut selector =
        BTreeMap::from([("matchLabels", serde_yaml::to_value(pairs).expect("labels"))]);
    if dice.one_in(3) {
        let text = match labels.get("track") {
            Some(track) if dice.one_in(2) => {
                format!("[{{key: track, operator: In, values: [other, \"{track}\"]}}]")
            }
            Some(_) => "[{key: track, operator: Exists}]".into(),
            None if dice.one_in(2) => "[{key: track, operator: DoesNotExist}]".into(),
            None => "[{key: track, operator: NotIn, values: [canary]}]".into(),
        };
        selector.insert("matchExpressions", serde_yaml::from_str(&text).expect("YAML"));
    }
    serde_yaml::to_value(selector).expect("a selector")
}

fn random_ports(dice: &mut Dice) -> Vec<(String, u16, &'static str)> {
    let all =
        [("http", 8080, "TCP"), ("sql", 5432, "TCP"), ("dns", 53, "UDP"), ("quic", 8080, "UDP")];
    let some =
        all.into_iter().filter(|(name, ..)| !dice.one_in(if *name == "http" { 6 } else { 2 }));
    some.map(|(name, port, protocol)| (name.to_owned(), port, protocol)).collect()
}
