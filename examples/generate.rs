//! Writes a big CoreDNS log and the snapshot that fits it: what the performance figures are measured on. The same
//! arguments give the same bytes on every machine. It draws what real logs have much of: few names asked very often,
//! A and AAAA together, search-path NXDOMAINs, external names, ports and ids that never repeat in order.
//!
//! ```sh
//! cargo run --release --example generate -- --out big            # 1 GiB: big/big.log, big/pods.json
//! target/release/kico analyze big/big.log --snapshot big/pods.json -o csv=out.csv
//! ```

use std::collections::HashSet;
use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Parser;
use serde_json::{Value, json};

/// Writes a big CoreDNS log and the snapshot that fits it.
#[derive(Parser)]
struct Arguments {
    /// Directory for big.log and pods.json
    #[arg(long)]
    out: PathBuf,
    /// Size of the log
    #[arg(long, default_value_t = 1 << 30)]
    bytes: u64,
    /// Pods, seven to a Deployment
    #[arg(long, default_value_t = 4_900)]
    pods: usize,
    /// Services, one to a Deployment
    #[arg(long, default_value_t = 300)]
    services: usize,
    /// (Deployment, Service or external name) pairs that occur
    #[arg(long, default_value_t = 30_000)]
    connections: usize,
    /// Of 100 lookups, how many are for an external name that nobody asks for again
    #[arg(long, default_value_t = 0)]
    unique: u64,
    /// Begin each line with a time, as `kubectl logs --timestamps` does; the log spans about a day
    #[arg(long)]
    timestamps: bool,
    /// Another log of the same kind
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const REPLICAS: usize = 7;
const NAMESPACES: usize = 40;
const ZONE: &str = "svc.cluster.local";
/// A line without its time and with it: near enough to spread the times over about a day.
const LINE: [u64; 2] = [131, 162];

/// xorshift64*: fast, and the same everywhere.
struct Rolls(u64);

impl Rolls {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// 0 to n - 1.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// 0 to n - 1, small ones far more often: the cube of an even draw.
    fn skewed(&mut self, n: usize) -> usize {
        let u = self.below(1 << 20) as f64 / f64::from(1 << 20);
        ((u * u * u * n as f64) as usize).min(n.saturating_sub(1))
    }
}

fn namespace(deployment: usize) -> String {
    format!("team-{:02}", deployment % NAMESPACES)
}

fn address(pod: usize) -> String {
    let node = pod / 100;
    format!("10.{}.{}.{}", 100 + node / 256, node % 256, 10 + pod % 100)
}

/// What a Deployment's pods ask for: the names in the order in which a resolver tries them, the answered one last.
struct Ask {
    deployment: usize,
    names: Vec<String>,
}

fn ask(rolls: &mut Rolls, arguments: &Arguments, deployments: usize) -> Ask {
    let deployment = rolls.below(deployments);
    let own = namespace(deployment);
    let mut names = Vec::new();
    if rolls.below(10) == 0 || arguments.services == 0 {
        let name = format!("api-{}.example.com", rolls.below(400));
        names.push(format!("{name}.{own}.{ZONE}"));
        names.push(format!("{name}.{ZONE}"));
        names.push(format!("{name}.cluster.local"));
        names.push(name);
    } else {
        let service = rolls.skewed(arguments.services);
        let theirs = namespace(service);
        if own != theirs {
            names.push(format!("svc-{service}.{theirs}.{own}.{ZONE}"));
        }
        names.push(format!("svc-{service}.{theirs}.{ZONE}"));
    }
    Ask { deployment, names }
}

/// As many different ones as were asked for, or as a small cluster has.
fn asks(rolls: &mut Rolls, arguments: &Arguments, deployments: usize) -> Vec<Ask> {
    let (mut asks, mut known) = (Vec::new(), HashSet::new());
    for _ in 0..arguments.connections.max(1).saturating_mul(50) {
        let ask = ask(rolls, arguments, deployments);
        if known.insert((ask.deployment, ask.names.last().cloned())) {
            asks.push(ask);
        }
        if asks.len() >= arguments.connections {
            break;
        }
    }
    asks
}

/// One lookup's lines: A and AAAA for each name tried.
struct Writer<W: Write> {
    out: W,
    line: Vec<u8>,
    bytes: u64,
    lines: u64,
    /// Nanoseconds since the day's start, and how many a line takes.
    clock: Option<(u64, u64)>,
}

impl<W: Write> Writer<W> {
    fn query(
        &mut self,
        rolls: &mut Rolls,
        client: &str,
        qtype: &str,
        name: &str,
        outcome: &str,
    ) -> std::io::Result<()> {
        let (roll, line) = (rolls.next(), &mut self.line);
        line.clear();
        if let Some((now, step)) = &mut self.clock {
            let (seconds, rest) = (*now / 1_000_000_000, *now % 1_000_000_000);
            let (day, h, m) = (12 + seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
            write!(line, "2026-03-{day}T{h:02}:{m:02}:{:02}.{rest:09}Z ", seconds % 60)?;
            *now += *step;
        }
        line.extend_from_slice(b"[INFO] ");
        line.extend_from_slice(client.as_bytes());
        line.push(b':');
        number(line, 32_768 + roll % 28_232, 1);
        line.extend_from_slice(b" - ");
        number(line, (roll >> 16) % 65_536, 1);
        line.extend_from_slice(b" \"");
        line.extend_from_slice(qtype.as_bytes());
        line.extend_from_slice(b" IN ");
        line.extend_from_slice(name.as_bytes());
        line.extend_from_slice(b". udp ");
        number(line, name.len() as u64 + 18, 1);
        line.extend_from_slice(b" false 512\" ");
        line.extend_from_slice(outcome.as_bytes());
        line.push(b' ');
        number(line, 90 + (roll >> 32) % 160, 1);
        line.extend_from_slice(b" 0.000");
        number(line, (roll >> 20) % 1_000_000, 6);
        line.extend_from_slice(b"s\n");
        self.bytes += line.len() as u64;
        self.lines += 1;
        self.out.write_all(line)
    }
}

/// A decimal, with zeros up to `width`. `write!` costs three times as much.
fn number(line: &mut Vec<u8>, mut value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while value > 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    line.extend_from_slice(&digits[at..]);
}

fn write_log(arguments: &Arguments, deployments: usize) -> anyhow::Result<(u64, u64)> {
    let mut rolls = Rolls(arguments.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let asks = asks(&mut rolls, arguments, deployments);
    let clients: Vec<String> = (0..arguments.pods.max(1)).map(address).collect();
    let step =
        86_400_000_000_000 / (arguments.bytes / LINE[usize::from(arguments.timestamps)]).max(1);
    let out = BufWriter::with_capacity(1 << 20, File::create(arguments.out.join("big.log"))?);
    let clock = arguments.timestamps.then_some((0, step));
    let mut log = Writer { out, line: Vec::new(), bytes: 0, lines: 0, clock };
    writeln!(log.out, ".:53\nCoreDNS-1.11.1\nlinux/amd64, go1.20.7, ae2bbc29")?;
    let mut made_up = 0_u64;
    while log.bytes < arguments.bytes {
        let ask = &asks[rolls.skewed(asks.len())];
        let pod = (ask.deployment * REPLICAS + rolls.below(REPLICAS)) % clients.len();
        let client = &clients[pod];
        if (rolls.below(100) as u64) < arguments.unique {
            made_up += 1;
            let name = format!("{:016x}.dga.example", made_up.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            log.query(&mut rolls, client, "A", &name, "NOERROR qr,rd,ra")?;
            continue;
        }
        let Some((answered, tried)) = ask.names.split_last() else { continue };
        for name in tried {
            log.query(&mut rolls, client, "A", name, "NXDOMAIN qr,aa,rd")?;
            log.query(&mut rolls, client, "AAAA", name, "NXDOMAIN qr,aa,rd")?;
        }
        let outcome = match rolls.below(200) {
            0 => "SERVFAIL qr,rd",
            _ if answered.ends_with(ZONE) => "NOERROR qr,aa,rd",
            _ => "NOERROR qr,rd,ra",
        };
        log.query(&mut rolls, client, "A", answered, outcome)?;
        log.query(&mut rolls, client, "AAAA", answered, outcome)?;
        if rolls.below(50) == 0 {
            log.query(&mut rolls, client, "PTR", "10.0.96.10.in-addr.arpa", "NOERROR qr,aa,rd")?;
        }
    }
    log.out.flush()?;
    Ok((log.lines + 3, log.bytes))
}

fn uid(kind: u32, index: usize) -> String {
    format!("{kind:08x}-0000-4000-a000-{index:012x}")
}

fn object(api: &str, kind: &str, metadata: Value, rest: Value) -> Value {
    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": metadata});
    if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
        object.extend(rest);
    }
    object
}

fn write_snapshot(arguments: &Arguments, deployments: usize) -> anyhow::Result<()> {
    let mut items = Vec::new();
    let created = "2026-03-01T00:00:00Z";
    for i in 0..NAMESPACES {
        let name = namespace(i);
        let labels = json!({"kubernetes.io/metadata.name": name});
        let meta = json!({"name": name, "uid": uid(1, i), "labels": labels});
        items.push(object("v1", "Namespace", meta, json!({})));
    }
    for d in 0..deployments {
        let (name, space, hash) =
            (format!("svc-{d}"), namespace(d), format!("{:010x}", d + 0x6f00));
        let labels = json!({"app": name});
        let hashed = json!({"app": name, "pod-template-hash": hash});
        let boxes = json!([{"name": "main", "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]}]);
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": boxes}});
        let owned = |kind: &str, name: &str, number: u32| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid(number, d), "controller": true}]);
        items.push(object(
            "apps/v1",
            "Deployment",
            json!({"name": name, "namespace": space, "uid": uid(2, d), "labels": labels}),
            json!({"spec": {"selector": {"matchLabels": labels}, "template": template}}),
        ));
        let set = format!("{name}-{hash}");
        items.push(object(
            "apps/v1",
            "ReplicaSet",
            json!({"name": set, "namespace": space, "uid": uid(3, d), "ownerReferences": owned("Deployment", &name, 2)}),
            json!({"spec": {"selector": {"matchLabels": hashed}, "template": template}}),
        ));
        let mut endpoints = Vec::new();
        for pod in (d * REPLICAS)..((d + 1) * REPLICAS).min(arguments.pods) {
            let ip = address(pod);
            let pod_name = format!("{set}-{pod:05}");
            endpoints.push(json!({"addresses": [ip], "conditions": {"ready": true}, "targetRef":
                {"kind": "Pod", "namespace": space, "name": pod_name, "uid": uid(4, pod)}}));
            items.push(object(
                "v1",
                "Pod",
                json!({"name": pod_name, "namespace": space, "uid": uid(4, pod), "labels": hashed,
                    "creationTimestamp": created, "ownerReferences": owned("ReplicaSet", &set, 3)}),
                json!({"spec": {"containers": boxes, "dnsPolicy": "ClusterFirst", "nodeName": format!("node-{:03}", pod / 100)},
                    "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": created}}),
            ));
        }
        if d < arguments.services {
            items.push(object(
                "v1",
                "Service",
                json!({"name": name, "namespace": space, "uid": uid(5, d)}),
                json!({"spec": {"type": "ClusterIP", "clusterIP": format!("10.96.{}.{}", d / 250, 1 + d % 250), "selector": labels,
                    "ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}]}}),
            ));
            items.push(object(
                "discovery.k8s.io/v1",
                "EndpointSlice",
                json!({"name": format!("{name}-x"), "namespace": space, "uid": uid(6, d),
                    "labels": {"kubernetes.io/service-name": name}}),
                json!({"addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "", "port": 8080, "protocol": "TCP"}]}),
            ));
        }
    }
    let out = BufWriter::new(File::create(arguments.out.join("pods.json"))?);
    serde_json::to_writer(out, &json!({"apiVersion": "v1", "kind": "List", "items": items}))?;
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    create_dir_all(&arguments.out)?;
    let deployments = arguments.pods.div_ceil(REPLICAS).max(arguments.services).max(1);
    write_snapshot(&arguments, deployments)?;
    let (lines, bytes) = write_log(&arguments, deployments)?;
    writeln!(std::io::stdout(), "{lines} lines, {bytes} bytes, {} pods", arguments.pods)?;
    Ok(())
}
