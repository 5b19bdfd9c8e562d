//! The evaluator of `kico verify` against an oracle that shares no code with it: random pods, random policies in plain
//! YAML values, every pair, every port, both directions. The oracle below is written from the documentation alone.
//! <https://kubernetes.io/docs/concepts/services-networking/network-policies/>
//!
//! `KICO_WORLDS=100000 cargo test --release --test verify_oracle` looks longer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kico::cluster::Cluster;
use kico::cluster::model::{
    Container, ContainerPort, Meta, NetworkPolicy, Node, Pod, Protocol, Snapshot,
};
use kico::policy::evaluate::{At, End, Evaluator, Match};
use serde_yaml::{Value, from_str};

const NAMESPACES: [&str; 3] = ["a", "b", "c"];
const PORTS: [(u16, &str); 5] = [(80, "TCP"), (81, "TCP"), (85, "TCP"), (53, "UDP"), (80, "UDP")];

/// A pod.
struct Made {
    namespace: &'static str,
    labels: BTreeMap<String, String>,
    address: IpAddr,
    node: &'static str,
    ports: Vec<(&'static str, u16, &'static str)>,
}

/// splitmix64: the same worlds on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len() as u64) as usize]
    }

    fn some(&mut self, most: u64, mut make: impl FnMut(&mut Dice) -> String) -> String {
        let items: Vec<String> = (0..self.below(most + 1)).map(|_| make(self)).collect();
        format!("[{}]", items.join(", "))
    }

    fn pod(&mut self, index: u64) -> Made {
        let mut labels = BTreeMap::new();
        for key in ["app", "tier"] {
            if self.below(3) > 0 {
                labels.insert(key.to_owned(), self.pick(&["x", "y", "z"]).to_owned());
            }
        }
        let address = match self.below(5) {
            0 => format!("fd00::{:x}", index + 1),
            net => format!("10.0.{net}.{}", index + 2),
        };
        let mut ports = Vec::new();
        for _ in 0..self.below(4) {
            let (number, protocol) = PORTS[self.below(5) as usize];
            ports.push((self.pick(&["web", "dns", ""]), number, protocol));
        }
        Made {
            namespace: self.pick(&NAMESPACES),
            labels,
            address: address.parse().expect("an address"),
            node: self.pick(&["n1", "n2", ""]),
            ports,
        }
    }

    fn selector(&mut self, keys: &[&str]) -> String {
        let mut parts = Vec::new();
        if self.below(3) > 0 {
            let pair = format!("{}: {}", self.pick(keys), self.pick(&["x", "y", "a"]));
            parts.push(format!("matchLabels: {{{pair}}}"));
        }
        if self.below(3) == 0 {
            let operator = match self.below(4) {
                0 => "operator: In, values: [x, a]",
                1 => "operator: NotIn, values: [x]",
                2 => "operator: Exists",
                _ => "operator: DoesNotExist",
            };
            parts.push(format!("matchExpressions: [{{key: {}, {operator}}}]", self.pick(keys)));
        }
        format!("{{{}}}", parts.join(", "))
    }

    fn peer(&mut self) -> String {
        let pods = |dice: &mut Dice| format!("podSelector: {}", dice.selector(&["app", "tier"]));
        let space = |dice: &mut Dice| {
            format!(
                "namespaceSelector: {}",
                dice.selector(&["kubernetes.io/metadata.name", "team"])
            )
        };
        match self.below(5) {
            0 => format!("{{{}}}", pods(self)),
            1 => format!("{{{}}}", space(self)),
            2 | 3 => format!("{{{}, {}}}", pods(self), space(self)),
            _ => {
                let cidr = self.pick(&["10.0.0.0/16", "10.0.1.0/24", "0.0.0.0/0", "fd00::/64"]);
                let except = match self.below(2) {
                    // The API takes only parts of the block.
                    0 if cidr == "10.0.1.0/24" => ", except: [10.0.1.0/25, 10.0.1.200/32]",
                    0 if cidr.contains('.') => ", except: [10.0.2.0/24, 10.0.1.3/32]",
                    _ => "",
                };
                format!("{{ipBlock: {{cidr: '{cidr}'{except}}}}}")
            }
        }
    }

    fn port(&mut self) -> String {
        let protocol = match self.below(3) {
            0 => "",
            1 => "protocol: UDP",
            _ => "protocol: TCP",
        };
        let port = match self.below(5) {
            0 => "",
            1 => "port: web",
            2 => "port: 80, endPort: 83",
            3 => "port: 53",
            _ => "port: 80",
        };
        let parts: Vec<&str> = [protocol, port].into_iter().filter(|p| !p.is_empty()).collect();
        format!("{{{}}}", parts.join(", "))
    }

    fn rule(&mut self, word: &str) -> String {
        let mut parts = Vec::new();
        if self.below(4) > 0 {
            parts.push(format!("{word}: {}", self.some(2, Dice::peer)));
        }
        if self.below(2) > 0 {
            parts.push(format!("ports: {}", self.some(2, Dice::port)));
        }
        format!("{{{}}}", parts.join(", "))
    }

    fn spec(&mut self) -> String {
        let mut parts = Vec::new();
        if self.below(6) > 0 {
            parts.push(format!("podSelector: {}", self.selector(&["app", "tier"])));
        }
        match self.below(5) {
            0 | 1 => {}
            2 => parts.push("policyTypes: [Ingress]".into()),
            3 => parts.push("policyTypes: [Egress]".into()),
            _ => parts.push("policyTypes: [Ingress, Egress]".into()),
        }
        for (word, peers) in [("ingress", "from"), ("egress", "to")] {
            if self.below(3) > 0 {
                parts.push(format!("{word}: {}", self.some(2, |dice| dice.rule(peers))));
            }
        }
        format!("{{{}}}", parts.join(", "))
    }
}

#[test]
fn the_evaluator_says_what_the_oracle_says() {
    let worlds = std::env::var("KICO_WORLDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4_000);
    let (mut yes, mut no) = (0u64, 0u64);
    for number in 0..worlds {
        let (a, b) = world(number);
        yes += a;
        no += b;
    }
    println!("{worlds} worlds: {yes} allowed, {no} denied");
    // Nothing is proved where everything is the same.
    assert!(yes > worlds * 10 && no > worlds * 10, "{yes} allowed, {no} denied");
}

fn world(number: u64) -> (u64, u64) {
    let mut dice = Dice(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let pods: Vec<Made> = (0..3 + dice.below(5)).map(|index| dice.pod(index)).collect();
    let specs: Vec<(&str, String)> =
        (0..1 + dice.below(4)).map(|_| (dice.pick(&NAMESPACES), dice.spec())).collect();
    let cluster = cluster(&pods);
    let policies: Vec<NetworkPolicy> = specs
        .iter()
        .map(|(namespace, spec)| NetworkPolicy {
            meta: named(namespace, "p"),
            spec: from_str(spec).unwrap_or_else(|error| panic!("{error}: {spec}")),
        })
        .collect();
    let values: Vec<(&str, Value)> =
        specs.iter().map(|(namespace, spec)| (*namespace, from_str(spec).expect("YAML"))).collect();
    let mut evaluator = Evaluator::new(&cluster, &policies);
    let outside: IpAddr = "10.0.1.200".parse().expect("an address");
    let node: IpAddr = "192.168.0.1".parse().expect("an address");
    let ends = || (0..pods.len()).map(Ok).chain([Err(outside), Err(node)]);
    let (mut yes, mut no) = (0, 0);
    for client in ends() {
        for server in ends() {
            for (port, protocol) in PORTS {
                let end = |end: Result<usize, IpAddr>| end.map_or_else(End::Address, End::Pod);
                let at = At { port, protocol: parse(protocol) };
                let got = evaluator.outcome(end(client), end(server), at).passes();
                let side = |end: Result<usize, IpAddr>| end.map(|index| &pods[index]);
                let attempt =
                    Attempt { client: side(client), server: side(server), port, protocol };
                let expected = client == server || attempt.passes(&values);
                let expected = if expected { Match::Yes } else { Match::No };
                assert_eq!(
                    got, expected,
                    "{number}: {client:?} {server:?} {port}/{protocol}\n{specs:#?}"
                );
                if expected == Match::Yes { yes += 1 } else { no += 1 }
            }
        }
    }
    (yes, no)
}

fn parse(protocol: &str) -> Protocol {
    if protocol == "UDP" { Protocol::Udp } else { Protocol::Tcp }
}

fn named(namespace: &str, name: &str) -> Meta {
    Meta { namespace: namespace.into(), name: name.into(), ..Meta::default() }
}

fn cluster(pods: &[Made]) -> Cluster {
    let port = |(name, port, protocol): &(&str, u16, &str)| ContainerPort {
        host_port: None,
        name: (*name).into(),
        port: *port,
        protocol: parse(protocol),
    };
    let pod = |(index, made): (usize, &Made)| Pod {
        meta: Meta {
            labels: made.labels.clone().into(),
            ..named(made.namespace, &format!("p{index}"))
        },
        node: made.node.into(),
        addresses: vec![made.address],
        phase: "Running".into(),
        containers: vec![Container {
            name: "main".into(),
            ports: made.ports.iter().map(port).collect(),
        }],
        ..Pod::default()
    };
    let namespace = |name: &&str| Meta { labels: namespace_labels(name).into(), ..named("", name) };
    let node = Node {
        meta: named("", "n1"),
        addresses: vec!["192.168.0.1".parse().expect("an address")],
        ..Node::default()
    };
    let snapshot = Snapshot {
        given: true,
        pods: pods.iter().enumerate().map(pod).collect(),
        namespaces: NAMESPACES.iter().map(namespace).collect(),
        nodes: vec![node],
        ..Snapshot::default()
    };
    Cluster::new(snapshot, &[])
}

fn namespace_labels(name: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("kubernetes.io/metadata.name".into(), name.into())]);
    if name != "c" {
        labels.insert("team".into(), if name == "a" { "x" } else { "y" }.into());
    }
    labels
}

// The oracle.

/// A connection that somebody tries; an address is no pod.
struct Attempt<'a> {
    client: Result<&'a Made, IpAddr>,
    server: Result<&'a Made, IpAddr>,
    port: u16,
    protocol: &'a str,
}

impl Attempt<'_> {
    fn passes(&self, policies: &[(&str, Value)]) -> bool {
        self.end(policies, "Egress", self.client, self.server)
            && self.end(policies, "Ingress", self.server, self.client)
    }

    /// One end: it passes if no policy isolates the pod, or some rule of one that does allows it.
    fn end(
        &self,
        policies: &[(&str, Value)],
        direction: &str,
        pod: Result<&Made, IpAddr>,
        other: Result<&Made, IpAddr>,
    ) -> bool {
        let Ok(pod) = pod else { return true };
        // Traffic to and from the node where a pod runs is always allowed.
        if matches!(other, Err(address) if address.to_string() == "192.168.0.1") && pod.node == "n1"
        {
            return true;
        }
        let (section, peers) =
            if direction == "Egress" { ("egress", "to") } else { ("ingress", "from") };
        let mut isolated = false;
        for (namespace, spec) in policies {
            let types = list(&spec["policyTypes"]);
            let counts = match types.is_empty() {
                true => direction == "Ingress" || !list(&spec["egress"]).is_empty(),
                false => types.iter().any(|word| word == direction),
            };
            if *namespace != pod.namespace || !counts || !selects(&spec["podSelector"], &pod.labels)
            {
                continue;
            }
            isolated = true;
            for rule in list(&spec[section]) {
                let (from, ports) = (list(&rule[peers]), list(&rule["ports"]));
                if (from.is_empty() || from.iter().any(|peer| is_peer(peer, namespace, other)))
                    && (ports.is_empty() || ports.iter().any(|port| self.is_port(port)))
                {
                    return true;
                }
            }
        }
        !isolated
    }

    fn is_port(&self, port: &Value) -> bool {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        protocol == self.protocol
            && match &port["port"] {
                Value::Null => true,
                Value::Number(first) => {
                    let first = first.as_u64().expect("a port");
                    let last = port["endPort"].as_u64().unwrap_or(first);
                    first <= u64::from(self.port) && u64::from(self.port) <= last
                }
                name => self.server.is_ok_and(|server| {
                    server.ports.iter().any(|(own, number, of)| {
                        name.as_str() == Some(own) && *number == self.port && *of == protocol
                    })
                }),
            }
    }
}

fn is_peer(peer: &Value, namespace: &str, other: Result<&Made, IpAddr>) -> bool {
    let block = &peer["ipBlock"];
    if !block.is_null() {
        let address = other.map_or_else(|address| address, |pod| pod.address);
        return within(&block["cidr"], address)
            && !list(&block["except"]).iter().any(|cidr| within(cidr, address));
    }
    let Ok(pod) = other else { return false };
    let space = match &peer["namespaceSelector"] {
        Value::Null => pod.namespace == namespace,
        selector => selects(selector, &namespace_labels(pod.namespace)),
    };
    space && selects(&peer["podSelector"], &pod.labels)
}

fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector["matchLabels"].as_mapping().into_iter().flatten().all(|(key, value)| {
        labels.get(key.as_str().expect("a key")).map(String::as_str) == value.as_str()
    });
    equal
        && list(&selector["matchExpressions"]).iter().all(|one| {
            let own = labels.get(one["key"].as_str().expect("a key"));
            let listed = list(&one["values"]).iter().any(|v| v.as_str() == own.map(String::as_str));
            match one["operator"].as_str().expect("an operator") {
                "In" => own.is_some() && listed,
                "NotIn" => own.is_none() || !listed,
                "Exists" => own.is_some(),
                _ => own.is_none(),
            }
        })
}

fn within(cidr: &Value, address: IpAddr) -> bool {
    let (net, length) = cidr.as_str().and_then(|text| text.split_once('/')).expect("a CIDR");
    let net: IpAddr = net.parse().expect("an address");
    let length: usize = length.parse().expect("a length");
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let text = |address| bits(address).iter().map(|byte| format!("{byte:08b}")).collect::<String>();
    net.is_ipv4() == address.is_ipv4() && text(net)[..length] == text(address)[..length]
}

fn list(value: &Value) -> &[Value] {
    value.as_sequence().map_or(&[], Vec::as_slice)
}
