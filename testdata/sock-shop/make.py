#!/usr/bin/env python3
"""Makes the sample: logs of two CoreDNS replicas, a snapshot, and the truth about both.

    python3 testdata/sock-shop/make.py      # rewrites logs/, pods.json, pods-alone.json, truth*.csv beside itself

Everything here is invented. The same bytes come out every time: no clock, no random numbers but those of one small
generator. The truth is not computed from the logs: each story below says what it is evidence for, and counts what it
writes. So `truth.csv` is what a right program must find, whoever wrote the program.

The story, 2026-03-12, from 08:58 to 10:06 UTC:

- namespace sock-shop: front-end, catalogue, carts, orders, payment, shipping, queue-master, user, and their databases.
  `user` asks for `user-db` (pod user-db-b8dfb847c-wvkgf).
- orders-db is a headless StatefulSet of three: its clients ask an SRV name, then the pods by name.
- namespace jobs: the CronJob user-export reads user-db from another namespace, every hour. The 09:00 pod is finished;
  its address 10.42.1.57 went to a new shipping pod at 09:30. The 10:00 pod still runs.
- namespace monitoring: prometheus asks for Services of sock-shop; node-agent runs on the nodes' own network.
- payment asks for api.pay.example.com, outside the cluster, through the whole search path; once the answer is SERVFAIL.
- queue-master also asks for `rabitmq`, a typo: it only ever fails.
- 10.42.0.77 is nobody in the snapshot. 127.0.0.1 is CoreDNS's own loop probe. Reverse lookups are no connections.
"""

import csv
import datetime
import hashlib
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
ZONE = "cluster.local"
DAY = datetime.datetime(2026, 3, 12, tzinfo=datetime.timezone.utc)
CANARY = "canary-5ecret-that-must-never-be-printed"


class Rolls:
    """A small generator of numbers, the same on every machine."""

    def __init__(self, seed):
        self.state = seed

    def roll(self, low, high):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return low + (self.state >> 33) % (high - low + 1)


rolls = Rolls(20260312)


def clock(text):
    """`09:30` or `09:30:05` of the day."""
    parts = [int(part) for part in text.split(":")] + [0]
    return DAY + datetime.timedelta(hours=parts[0], minutes=parts[1], seconds=parts[2])


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def uid(*what):
    h = hashlib.sha256("/".join(what).encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]}"


# --- the cluster -----------------------------------------------------------------------------------------------------

NODES = {"node-a": "192.168.7.11", "node-b": "192.168.7.12", "node-c": "192.168.7.13"}
LONG_AGO = DAY - datetime.timedelta(days=40)
objects = []
pods = {}  # pod name -> (workload kind, namespace, workload name, address)


def meta(kind, namespace, name, labels=None, owner=None, created=LONG_AGO):
    m = {"creationTimestamp": stamp(created)}
    if labels:
        m["labels"] = dict(sorted(labels.items()))
    m["name"] = name
    if namespace:
        m["namespace"] = namespace
    if owner:
        api, owner_kind, owner_name = owner
        m["ownerReferences"] = [{
            "apiVersion": api, "blockOwnerDeletion": True, "controller": True, "kind": owner_kind,
            "name": owner_name, "uid": uid(owner_kind, namespace, owner_name),
        }]
    m["resourceVersion"] = str(10000 + len(objects))
    m["uid"] = uid(kind, namespace, name)
    return m


def put(api, kind, metadata, **rest):
    objects.append({"apiVersion": api, "kind": kind, "metadata": metadata, **rest})


def container(name, image, ports=(), env=None):
    c = {"image": image, "imagePullPolicy": "IfNotPresent", "name": name, "resources": {}}
    if env:
        c["env"] = [{"name": key, "value": value} for key, value in env.items()]
    if ports:
        c["ports"] = [
            {"containerPort": number, **({"name": port_name} if port_name else {}), "protocol": protocol}
            for port_name, number, protocol in ports
        ]
    return c


def template(labels, spec):
    return {"metadata": {"labels": dict(sorted(labels.items()))}, "spec": spec}


def pod_spec(containers, host_network=False, restart="Always"):
    spec = {"containers": containers, "dnsPolicy": "ClusterFirst"}
    if host_network:
        spec["dnsPolicy"] = "ClusterFirstWithHostNet"
        spec["hostNetwork"] = True
    spec.update(restartPolicy=restart, schedulerName="default-scheduler", terminationGracePeriodSeconds=30)
    return spec


def pod(workload, name, address, node, labels, owner, containers, host_network=False, started=LONG_AGO,
        finished=None, extra=None):
    kind, namespace, workload_name = workload
    restart = "Never" if kind == "CronJob" else "Always"
    spec = {**pod_spec(containers, host_network, restart), **(extra or {}), "nodeName": node}
    ready_at = started + datetime.timedelta(seconds=2)
    ready = "False" if finished else "True"
    if finished:
        state = {"terminated": {"exitCode": 0, "finishedAt": stamp(finished), "reason": "Completed",
                                "startedAt": stamp(ready_at)}}
    else:
        state = {"running": {"startedAt": stamp(ready_at)}}
    changed = finished or ready_at
    conditions = [
        {"lastProbeTime": None, "lastTransitionTime": stamp(finished or started + datetime.timedelta(seconds=1)),
         "status": ready, "type": "PodReadyToStartContainers"},
        {"lastProbeTime": None, "lastTransitionTime": stamp(started), "status": "True", "type": "Initialized"},
        {"lastProbeTime": None, "lastTransitionTime": stamp(changed), "status": ready, "type": "Ready"},
        {"lastProbeTime": None, "lastTransitionTime": stamp(changed), "status": ready, "type": "ContainersReady"},
        {"lastProbeTime": None, "lastTransitionTime": stamp(started), "status": "True", "type": "PodScheduled"},
    ]
    status = {
        "conditions": conditions,
        "containerStatuses": [{
            "image": c["image"], "imageID": "", "name": c["name"], "ready": not finished, "restartCount": 0,
            "state": state,
        } for c in containers],
        "hostIP": NODES[node], "phase": "Succeeded" if finished else "Running", "podIP": address,
        "podIPs": [{"ip": address}], "qosClass": "BestEffort", "startTime": stamp(started),
    }
    m = meta("Pod", namespace, name, labels, owner, started)
    if any("env" in c for c in containers):
        m["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"password": CANARY})}
    put("v1", "Pod", m, spec=spec, status=status)
    pods[name] = (kind, namespace, workload_name, address)


def deployment(namespace, name, labels, containers, members, template_hash):
    """`members`: (the pod name's last part, address, node[, started])"""
    spec = {"replicas": len(members), "selector": {"matchLabels": dict(labels)},
            "template": template(labels, pod_spec(containers))}
    put("apps/v1", "Deployment", meta("Deployment", namespace, name, labels), spec=spec,
        status={"replicas": len(members), "readyReplicas": len(members)})
    replica_set = f"{name}-{template_hash}"
    with_hash = {**labels, "pod-template-hash": template_hash}
    put("apps/v1", "ReplicaSet",
        meta("ReplicaSet", namespace, replica_set, with_hash, ("apps/v1", "Deployment", name)),
        spec={"replicas": len(members), "selector": {"matchLabels": with_hash},
              "template": template(with_hash, pod_spec(containers))},
        status={"replicas": len(members), "readyReplicas": len(members)})
    for last, address, node, *started in members:
        pod(("Deployment", namespace, name), f"{replica_set}-{last}", address, node, with_hash,
            ("apps/v1", "ReplicaSet", replica_set), containers, started=started[0] if started else LONG_AGO)


def service(namespace, name, cluster_ip, selector, ports, backends, kind="ClusterIP", hostnames=False):
    """`ports`: (name, port, targetPort, the pods' port, protocol). `backends`: pod names."""
    spec = {"clusterIP": cluster_ip, "clusterIPs": [cluster_ip],
            "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "ports": [{**({"name": n} if n else {}), "port": port, "protocol": protocol, "targetPort": target,
                       **({"nodePort": 30001} if kind == "NodePort" else {})}
                      for n, port, target, _, protocol in ports]}
    if selector:
        spec["selector"] = selector
    spec.update(sessionAffinity="None", type=kind)
    put("v1", "Service", meta("Service", namespace, name, {"name": name}), spec=spec, status={"loadBalancer": {}})
    endpoints = []
    for backend in backends:
        endpoint = {"addresses": [pods[backend][3]],
                    "conditions": {"ready": True, "serving": True, "terminating": False}}
        if hostnames:
            endpoint["hostname"] = backend
        endpoint["targetRef"] = {"kind": "Pod", "name": backend, "namespace": namespace,
                                 "uid": uid("Pod", namespace, backend)}
        endpoints.append(endpoint)
    slice_of(namespace, name, endpoints, [(n, number, protocol) for n, _, _, number, protocol in ports])


def slice_of(namespace, name, endpoints, ports):
    labels = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
              "kubernetes.io/service-name": name}
    put("discovery.k8s.io/v1", "EndpointSlice",
        meta("EndpointSlice", namespace, f"{name}-{uid(namespace, name)[:5]}", labels),
        addressType="IPv4", endpoints=endpoints,
        ports=[{"name": n or "", "port": number, "protocol": protocol} for n, number, protocol in ports])


COREFILE = """.:53 {
    errors
    log
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
}
"""


def cluster():
    for name in ["default", "jobs", "kube-system", "monitoring", "sock-shop"]:
        put("v1", "Namespace", meta("Namespace", "", name, {"kubernetes.io/metadata.name": name}),
            spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"})
    for i, (name, address) in enumerate(NODES.items()):
        put("v1", "Node", meta("Node", "", name, {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}),
            spec={"podCIDR": f"10.42.{i}.0/24", "podCIDRs": [f"10.42.{i}.0/24"]},
            status={"addresses": [{"address": address, "type": "InternalIP"}, {"address": name, "type": "Hostname"}]})

    def sock(name, image, ports, members, template_hash, env=None):
        deployment("sock-shop", name, {"name": name}, [container(name, image, ports, env)], members, template_hash)

    http, mongo = [("", 80, "TCP")], [("mongo", 27017, "TCP")]
    sock("front-end", "example/front-end:0.3.12", [("", 8079, "TCP")],
         [("4mv8r", "10.42.0.21", "node-a"), ("zq6hd", "10.42.1.33", "node-b")], "6f779f9bc5")
    sock("catalogue", "example/catalogue:0.3.5", [("http", 80, "TCP")], [("t4c9w", "10.42.1.34", "node-b")], "7c89db9dd9")
    sock("catalogue-db", "example/catalogue-db:0.3.0", [("mysql", 3306, "TCP")],
         [("n6xvj", "10.42.2.35", "node-c")], "7947bc4f9b", {"MYSQL_ROOT_PASSWORD": CANARY})
    sock("carts", "example/carts:0.4.8", http, [("kr2fz", "10.42.0.36", "node-a")], "84fb5f5c48")
    sock("carts-db", "example/mongo:4", mongo, [("s8p5l", "10.42.2.37", "node-c")], "55b7c8fd6")
    sock("orders", "example/orders:0.4.7", http, [("hb7wt", "10.42.2.38", "node-c")], "5d4c6d8b9f")
    sock("payment", "example/payment:0.4.3", http, [("g5zk2", "10.42.0.39", "node-a")], "6b8f4cf7d7")
    sock("queue-master", "example/queue-master:0.3.1", http, [("9xk4d", "10.42.1.40", "node-b")], "6bf76bbfc")
    sock("rabbitmq", "example/rabbitmq:3.12", [("amqp", 5672, "TCP"), ("exporter", 9090, "TCP")],
         [("w2j8q", "10.42.2.41", "node-c")], "7bb66f68cb")
    sock("session-db", "example/redis:7", [("redis", 6379, "TCP")], [("c7n5v", "10.42.0.42", "node-a")], "5d89f4b5bb")
    sock("shipping", "example/shipping:0.4.8", http,
         [("bd6rm", "10.42.1.57", "node-b", clock("09:30"))], "78794fdb4f")
    sock("user", "example/user:0.4.4", http, [("bzvhd", "10.42.2.93", "node-c")], "79dddf5cc9")
    sock("user-db", "example/user-db:0.4.0", mongo, [("wvkgf", "10.42.0.44", "node-a")], "b8dfb847c",
         {"MONGO_PASSWORD": CANARY})

    labels = {"name": "orders-db"}
    members = [("orders-db-0", "10.42.0.45", "node-a"), ("orders-db-1", "10.42.1.46", "node-b"),
               ("orders-db-2", "10.42.2.47", "node-c")]
    boxes = [container("mongo", "example/mongo:7", mongo)]
    put("apps/v1", "StatefulSet", meta("StatefulSet", "sock-shop", "orders-db", labels),
        spec={"replicas": 3, "selector": {"matchLabels": labels}, "serviceName": "orders-db",
              "template": template(labels, pod_spec(boxes))}, status={"replicas": 3, "readyReplicas": 3})
    for i, (name, address, node) in enumerate(members):
        pod(("StatefulSet", "sock-shop", "orders-db"), name, address, node,
            {**labels, "apps.kubernetes.io/pod-index": str(i), "controller-revision-hash": "orders-db-6c9d5f7b84",
             "statefulset.kubernetes.io/pod-name": name},
            ("apps/v1", "StatefulSet", "orders-db"), boxes, extra={"hostname": name, "subdomain": "orders-db"})

    def monitor(name, ports, members, template_hash):
        deployment("monitoring", name, {"app.kubernetes.io/name": name},
                   [container(name, f"example/{name}:1", ports)], members, template_hash)

    monitor("prometheus", [("web", 9090, "TCP")], [("p4h7s", "10.42.0.51", "node-a")], "6d5c8b7f49")
    monitor("grafana", [("http", 3000, "TCP")], [("v9m2c", "10.42.1.52", "node-b")], "58d8f9c6b5")
    labels = {"app.kubernetes.io/name": "node-agent"}
    boxes = [container("agent", "example/node-agent:1")]
    put("apps/v1", "DaemonSet", meta("DaemonSet", "monitoring", "node-agent", labels),
        spec={"selector": {"matchLabels": labels}, "template": template(labels, pod_spec(boxes, True))},
        status={"desiredNumberScheduled": 3, "currentNumberScheduled": 3})
    for (node, address), last in zip(NODES.items(), ["fx2wq", "jn8tb", "lq5zr"]):
        pod(("DaemonSet", "monitoring", "node-agent"), f"node-agent-{last}", address, node,
            {**labels, "controller-revision-hash": "64bd7c9d5f"}, ("apps/v1", "DaemonSet", "node-agent"), boxes,
            host_network=True)

    labels = {"app": "user-export"}
    boxes = [container("export", "example/user-export:1.2", env={"EXPORT_TOKEN": CANARY})]
    put("batch/v1", "CronJob", meta("CronJob", "jobs", "user-export", labels),
        spec={"concurrencyPolicy": "Forbid",
              "jobTemplate": {"spec": {"template": template(labels, pod_spec(boxes, restart="Never"))}},
              "schedule": "0 * * * *"}, status={"lastScheduleTime": stamp(clock("10:00"))})
    for hour, last, address, ended in [("09:00", "x7k2p", "10.42.1.57", clock("09:02:10")),
                                       ("10:00", "d3v9n", "10.42.2.61", None)]:
        began = clock(hour)
        job = f"user-export-{int(began.timestamp()) // 60}"
        job_labels = {**labels, "batch.kubernetes.io/controller-uid": uid("Job", "jobs", job),
                      "batch.kubernetes.io/job-name": job, "controller-uid": uid("Job", "jobs", job), "job-name": job}
        status = {"startTime": stamp(began), "succeeded": 1, "completionTime": stamp(ended)} if ended else \
            {"active": 1, "startTime": stamp(began)}
        put("batch/v1", "Job", meta("Job", "jobs", job, job_labels, ("batch/v1", "CronJob", "user-export"), began),
            spec={"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid("Job", "jobs", job)}},
                  "template": template(job_labels, pod_spec(boxes, restart="Never"))}, status=status)
        pod(("CronJob", "jobs", "user-export"), f"{job}-{last}", address, "node-b" if ended else "node-c", job_labels,
            ("batch/v1", "Job", job), boxes, started=began, finished=ended)

    deployment("kube-system", "coredns", {"k8s-app": "kube-dns"},
               [container("coredns", "example/coredns:1.11.1", [
                   ("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP")])],
               [("mjdrn", "10.42.0.5", "node-a"), ("w7t8t", "10.42.1.6", "node-b")], "b96499967")
    put("v1", "ConfigMap", meta("ConfigMap", "kube-system", "coredns"), data={"Corefile": COREFILE})

    def of(workload):
        return [name for name, who in pods.items() if who[0] != "CronJob" and who[2] == workload]

    def shop(name, number, port, target, pods_port, port_name="", kind="ClusterIP", host="10.43.0."):
        service("sock-shop", name, f"{host}{number}", {"name": name},
                [(port_name, port, target, pods_port, "TCP")], of(name), kind)

    shop("front-end", 21, 80, 8079, 8079, kind="NodePort")
    shop("catalogue", 34, 80, "http", 80)
    shop("catalogue-db", 35, 3306, 3306, 3306)
    shop("carts", 36, 80, 80, 80)
    shop("carts-db", 37, 27017, 27017, 27017)
    shop("orders", 38, 80, 80, 80)
    shop("payment", 39, 80, 80, 80)
    shop("session-db", 42, 6379, "redis", 6379)
    shop("shipping", 57, 80, 80, 80)
    shop("user", 93, 80, 80, 80)
    shop("user-db", 44, 27017, 27017, 27017)
    service("sock-shop", "rabbitmq", "10.43.0.41", {"name": "rabbitmq"},
            [("amqp", 5672, 5672, 5672, "TCP"), ("exporter", 9090, "exporter", 9090, "TCP")], of("rabbitmq"))
    service("sock-shop", "orders-db", "None", {"name": "orders-db"}, [("mongo", 27017, 27017, 27017, "TCP")],
            of("orders-db"), hostnames=True)
    service("monitoring", "prometheus", "10.43.1.51", {"app.kubernetes.io/name": "prometheus"},
            [("web", 80, "web", 9090, "TCP")], of("prometheus"))
    service("monitoring", "grafana", "10.43.1.52", {"app.kubernetes.io/name": "grafana"},
            [("http", 80, "http", 3000, "TCP")], of("grafana"))
    service("kube-system", "kube-dns", "10.43.0.10", {"k8s-app": "kube-dns"},
            [("dns", 53, 53, 53, "UDP"), ("dns-tcp", 53, 53, 53, "TCP"), ("metrics", 9153, 9153, 9153, "TCP")],
            of("coredns"))
    put("v1", "Service", meta("Service", "default", "kubernetes", {"component": "apiserver"}),
        spec={"clusterIP": "10.43.0.1", "clusterIPs": ["10.43.0.1"],
              "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}], "type": "ClusterIP"},
        status={"loadBalancer": {}})
    slice_of("default", "kubernetes", [{"addresses": [NODES["node-a"]], "conditions": {"ready": True}}],
             [("https", 6443, "TCP")])


# --- the logs, and the truth about them ------------------------------------------------------------------------------

events = []  # (moment in nanoseconds, line)
truth = {}   # (client, server) -> what is known of it
failures = {}  # (client, name) -> [rcode, queries]


def nanoseconds(moment):
    return int(moment.timestamp()) * 10**9


def log(at, address, qtype, name, rcode, flags, size):
    long = len(name) + 17
    line = (f'[INFO] {address}:{rolls.roll(32768, 60999)} - {rolls.roll(1, 65535)} "{qtype} IN {name}. udp {long} '
            f'false 512" {rcode} {flags} {size} 0.{rolls.roll(60000, 900000):09d}s')
    events.append((at, line))


def ask(who, server, name, times, qtypes=("A", "AAAA"), searched=(), failed=0, status="ok", namespace=None, ports=""):
    """`who` (a pod, or client columns) asks for `name` at each of `times`, and is answered; before that, for each of
    `searched`, is told NXDOMAIN. `failed` further lookups end in SERVFAIL. All of it is evidence for `server`."""
    client, address = (pods[who][:3], pods[who][3]) if isinstance(who, str) else who
    known = truth.setdefault((client, server), {
        "ips": set(), "names": set(), "queries": 0, "failed": 0, "times": [], "status": set(), "ports": ports})
    known["ips"].add(address)
    known["names"].add(name)
    if status != "ok":
        known["status"].add(status)
    for time in times:
        at = nanoseconds(clock(time)) + rolls.roll(1, 899_999_999)
        for suffix in searched:
            for qtype in qtypes:
                at += rolls.roll(200_000, 2_000_000)
                log(at, address, qtype, f"{name}.{suffix}" if suffix else name, "NXDOMAIN", "qr,aa,rd", 146)
        for qtype in qtypes:
            at += rolls.roll(200_000, 2_000_000)
            flags, size = ("qr,rd,ra", 118) if server[0] == "External" else ("qr,aa,rd", 106 if qtype == "A" else 148)
            log(at, address, qtype, name, "NOERROR", flags, size)
            known["queries"] += 1
            known["times"].append(at)
    for i in range(failed):
        at = nanoseconds(clock(times[-1])) + 2_000_000_000 + i
        log(at, address, "A", name, "SERVFAIL", "qr,rd", 37)
        events.append((at + 5_000, f"[ERROR] plugin/errors: 2 {name}. A: read udp 10.42.0.5:47193->192.168.7.1:53: "
                       "i/o timeout"))
        known["failed"] += 1


def fail(who, shown, names, times):
    """`who` asks for names that only ever fail: the attempts of one, which a report shows as `shown`."""
    client, address = pods[who][:3], pods[who][3]
    known = failures.setdefault((client, shown), ["NXDOMAIN", 0])
    for time in times:
        at = nanoseconds(clock(time)) + rolls.roll(1, 899_999_999)
        for name in names:
            for qtype in ("A", "AAAA"):
                at += rolls.roll(200_000, 2_000_000)
                log(at, address, qtype, name, "NXDOMAIN", "qr,aa,rd" if "." in name else "qr,rd,ra", 146)
                known[1] += 1


def every(start, step, count):
    """`count` times, `step` minutes apart, from `start` on."""
    first = clock(start)
    return [(first + datetime.timedelta(minutes=step * i)).strftime("%H:%M:%S") for i in range(count)]


def story():
    def svc(name, namespace="sock-shop"):
        return ("Service", namespace, name)

    def fqdn(name, namespace="sock-shop"):
        return f"{name}.{namespace}.svc.{ZONE}"

    def asks(who, name, start, step, count, ports, namespace="sock-shop", **more):
        ask(who, svc(name, namespace), fqdn(name, namespace), every(start, step, count), ports=ports, **more)

    # Within sock-shop: short names, answered at the first step of the search path.
    for who, start in [("front-end-6f779f9bc5-4mv8r", "08:58:10"), ("front-end-6f779f9bc5-zq6hd", "08:58:40")]:
        asks(who, "catalogue", start, 8, 8, "80/TCP")
        asks(who, "carts", start, 11, 6, "80/TCP")
        asks(who, "orders", start, 13, 5, "80/TCP")
        asks(who, "user", start, 9, 7, "80/TCP")
        asks(who, "session-db", start, 16, 4, "6379/TCP")
    asks("catalogue-7c89db9dd9-t4c9w", "catalogue-db", "08:59:05", 12, 5, "3306/TCP")
    asks("carts-84fb5f5c48-kr2fz", "carts-db", "08:59:15", 10, 6, "27017/TCP")
    asks("orders-5d4c6d8b9f-hb7wt", "user", "09:01:20", 15, 4, "80/TCP")
    asks("orders-5d4c6d8b9f-hb7wt", "carts", "09:01:21", 15, 4, "80/TCP")
    asks("orders-5d4c6d8b9f-hb7wt", "payment", "09:01:22", 15, 4, "80/TCP")
    asks("orders-5d4c6d8b9f-hb7wt", "shipping", "09:31:23", 15, 2, "80/TCP")
    asks("shipping-78794fdb4f-bd6rm", "rabbitmq", "09:31:40", 10, 3, "5672/TCP;9090/TCP")
    asks("queue-master-6bf76bbfc-9xk4d", "rabbitmq", "09:02:30", 14, 4, "5672/TCP;9090/TCP")
    asks("user-79dddf5cc9-bzvhd", "user-db", "08:59:30", 12, 6, "27017/TCP")

    # A headless StatefulSet: its clients ask which members there are, then each member by name.
    orders, members = "orders-5d4c6d8b9f-hb7wt", ["orders-db-0", "orders-db-1", "orders-db-2"]
    ask(orders, svc("orders-db"), "_mongo._tcp." + fqdn("orders-db"), every("09:00:30", 30, 2), ("SRV",),
        ports="27017/TCP")
    for member in members:
        ask(orders, svc("orders-db"), f"{member}." + fqdn("orders-db"), every("09:00:31", 30, 2), status="widened")
        for other in members:
            if other != member:
                ask(member, svc("orders-db"), f"{other}." + fqdn("orders-db"), ["08:58:55"], status="widened",
                    ports="27017/TCP")

    # Across namespaces: the name is `x.sock-shop`, the first step of the search path fails.
    def across(who, name, start, step, count, ports, from_namespace):
        ask(who, svc(name), fqdn(name), every(start, step, count), ports=ports)
        client, address = pods[who][:3], pods[who][3]
        for time in every(start, step, count):
            at = nanoseconds(clock(time)) - 3_000_000
            for qtype in ("A", "AAAA"):
                log(at, address, qtype, f"{name}.sock-shop.{from_namespace}.svc.{ZONE}", "NXDOMAIN", "qr,aa,rd", 152)
                at += 400_000

    across("prometheus-6d5c8b7f49-p4h7s", "front-end", "08:58:20", 15, 5, "8079/TCP", "monitoring")
    across("prometheus-6d5c8b7f49-p4h7s", "user", "08:58:21", 15, 5, "80/TCP", "monitoring")
    job = {hour: next(name for name in pods if name.startswith("user-export-") and name.endswith(last))
           for hour, last in [("09:00", "x7k2p"), ("10:00", "d3v9n")]}
    across(job["09:00"], "user-db", "09:00:06", 1, 2, "27017/TCP", "jobs")
    across(job["10:00"], "user-db", "10:00:06", 1, 2, "27017/TCP", "jobs")
    asks("grafana-58d8f9c6b5-v9m2c", "prometheus", "09:03:00", 20, 3, "9090/TCP", "monitoring")
    asks("prometheus-6d5c8b7f49-p4h7s", "kubernetes", "08:58:05", 30, 3, "6443/TCP", "default")

    # Outside the cluster, through the whole search path; one lookup fails.
    ask("payment-6b8f4cf7d7-g5zk2", ("External", "", "api.pay.example.com"), "api.pay.example.com",
        every("09:01:24", 15, 4), searched=[f"sock-shop.svc.{ZONE}", f"svc.{ZONE}", ZONE], failed=1)

    # A typo.
    fail("queue-master-6bf76bbfc-9xk4d", fqdn("rabitmq"),
         [fqdn("rabitmq"), f"rabitmq.svc.{ZONE}", f"rabitmq.{ZONE}", "rabitmq"], every("09:02:20", 14, 3))

    # A node's own network, and nobody.
    asks((("Node", "", "node-b"), NODES["node-b"]), "prometheus", "09:05:00", 25, 3, "9090/TCP", "monitoring")
    asks((("Unknown", "", "10.42.0.77"), "10.42.0.77"), "catalogue", "09:17:45", 1, 1, "80/TCP")

    # No connections: the loop probe, reverse lookups.
    at = nanoseconds(clock("08:58:00"))
    log(at + 41_000_000, "127.0.0.1", "HINFO", "6219387150048812253.3140771953422916817", "NXDOMAIN", "qr,rd,ra", 117)
    log(at + 52_000_000, "127.0.0.1", "HINFO", "1420775308855362210.8897241163004925511", "NXDOMAIN", "qr,rd,ra", 117)
    for time, who in [("09:10:00", "prometheus-6d5c8b7f49-p4h7s"), ("09:40:00", "front-end-6f779f9bc5-4mv8r")]:
        log(nanoseconds(clock(time)), pods[who][3], "PTR", "44.0.42.10.in-addr.arpa", "NOERROR", "qr,aa,rd", 137)


STARTUP = [".:53", "[INFO] plugin/reload: Running configuration SHA512 = 5a3c0d1e9b7f2846a1d3c5e7f9021b4d",
           "CoreDNS-1.11.1", "linux/amd64, go1.20.7, ae2bbc29"]
NOISE = "[WARNING] No files matching import glob pattern: /etc/coredns/custom/*.override"


def write_logs():
    events.sort()
    files = {}
    for pod_name in ["coredns-b96499967-mjdrn", "coredns-b96499967-w7t8t"]:
        start = nanoseconds(clock("08:58:00"))
        files[pod_name] = [(start + i * 1_000, line) for i, line in enumerate(STARTUP)]
        files[pod_name] += [(nanoseconds(clock(f"{hour:02}:{minute:02}:00")) + 7, NOISE)
                            for hour, minute in [(9, 15), (9, 45), (10, 5)]]
    names = sorted(files)
    for i, (at, line) in enumerate(events):
        files[names[0] if "127.0.0.1" in line and i % 2 == 0 else names[rolls.roll(0, 1)]].append((at, line))
    os.makedirs(os.path.join(HERE, "logs"), exist_ok=True)
    for pod_name, lines in files.items():
        with open(os.path.join(HERE, "logs", pod_name + ".txt"), "w", newline="\n") as out:
            for at, line in sorted(lines):
                moment = datetime.datetime.fromtimestamp(at // 10**9, datetime.timezone.utc)
                out.write(f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 10**9:09d}Z {line}\n")


def write_truth():
    whole = lambda at: stamp(datetime.datetime.fromtimestamp(at // 10**9, datetime.timezone.utc))
    rows = []
    for (client, server), known in truth.items():
        row = [client[0], client[1], client[2], ";".join(sorted(known["ips"])), *server, known["ports"],
               ";".join(sorted(known["names"])), known["queries"], known["failed"], whole(min(known["times"])),
               whole(max(known["times"])), ";".join(sorted(known["status"])) or "ok"]
        rows.append(((client[1], client[0], client[2], *server), row))
    header = ["client_kind", "client_namespace", "client_name", "client_ips", "server_kind", "server_namespace",
              "server_name", "ports", "names", "queries", "failed", "first_seen", "last_seen", "status"]
    with open(os.path.join(HERE, "truth.csv"), "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(row for _, row in sorted(rows))
    # With the pods alone, every client is found all the same; what only other objects tell is left out.
    keep = [i for i, column in enumerate(header) if column not in ("ports", "status")]
    with open(os.path.join(HERE, "truth-alone.csv"), "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([header[i] for i in keep])
        writer.writerows([row[i] for i in keep] for _, row in sorted(rows))
    with open(os.path.join(HERE, "truth-failed.csv"), "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["client_kind", "client_namespace", "client_name", "name", "rcode", "queries"])
        for (client, name), (rcode, queries) in sorted(failures.items()):
            writer.writerow([*client, name, rcode, queries])


ORDER = ["Pod", "Service", "Namespace", "EndpointSlice", "Node", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet",
         "Job", "CronJob", "ConfigMap"]


def write_snapshots():
    """As `kubectl get pods,services,... -A -o json` lists them."""
    listed = sorted(objects, key=lambda o: (
        ORDER.index(o["kind"]), o["metadata"].get("namespace", ""), o["metadata"]["name"]))
    for name, items in [("pods.json", listed), ("pods-alone.json", [o for o in listed if o["kind"] == "Pod"])]:
        with open(os.path.join(HERE, name), "w", newline="\n") as out:
            whole = {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}
            json.dump(whole, out, indent=1, sort_keys=True)
            out.write("\n")


cluster()
story()
write_logs()
write_truth()
write_snapshots()
