//! Writes a big CoreDNS log and the snapshot that fits it: the same bytes for the same arguments, on any machine.
//!
//! ```sh
//! cargo run --release --example generate -- --out /tmp/big
//! cargo run --release --example generate -- --out /tmp/big --wrap docker --gzip
//! cargo run --release --example generate -- --out /tmp/big --unique 100     # the worst case: no name occurs twice
//! ```

mod log;

use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Parser;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use self::log::{Log, NAMESPACES, REPLICAS, address, namespace};

/// Writes a big CoreDNS log and the snapshot that fits it.
#[derive(Parser)]
struct Arguments {
    /// Directory for big.log (or big.log.gz) and pods.json
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    log: Log,
    /// Compress the log
    #[arg(long)]
    gzip: bool,
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

fn write_snapshot(arguments: &Arguments) -> anyhow::Result<()> {
    let (log, mut items) = (&arguments.log, Vec::new());
    let deployments = log.deployments();
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
        for pod in (d * REPLICAS)..((d + 1) * REPLICAS).min(log.pods) {
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
        if d < log.services {
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
    write_snapshot(&arguments)?;
    let create = |name| File::create(arguments.out.join(name));
    let (lines, bytes) = if arguments.gzip {
        let packed = GzEncoder::new(BufWriter::new(create("big.log.gz")?), Compression::default());
        arguments.log.write(BufWriter::with_capacity(1 << 20, packed))?
    } else {
        arguments.log.write(BufWriter::with_capacity(1 << 20, create("big.log")?))?
    };
    writeln!(std::io::stdout(), "{lines} lines, {bytes} bytes, {} pods", arguments.log.pods)?;
    Ok(())
}
