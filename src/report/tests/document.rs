//! The JSON document, whole.

use expect_test::expect;

use super::*;

#[test]
fn json_is_the_contract() {
    check(
        json::write,
        &report(),
        expect![[r#"
            {
              "apiVersion": "kico.dev/v1alpha1",
              "kind": "ConnectionReport",
              "coverage": {
                "lines": {
                  "total": 20,
                  "queries": 16,
                  "other": 2,
                  "rejected": {
                    "malformed": 2,
                    "no-client": 0,
                    "bad-address": 0,
                    "too-long": 0,
                    "unknown-format": 0
                  },
                  "fragments": 0
                },
                "inputs": [
                  {
                    "path": "logs/a.txt",
                    "kind": "log",
                    "bytes": 1234,
                    "lines": 10,
                    "queries": 8,
                    "state": "complete",
                    "problem": null,
                    "rejected": 1,
                    "firstSeen": "2026-04-02T09:00:00Z",
                    "lastSeen": "2026-04-02T10:00:00Z"
                  },
                  {
                    "path": "logs/b.gz",
                    "kind": "log",
                    "bytes": 1234,
                    "lines": 10,
                    "queries": 8,
                    "state": "truncated",
                    "problem": "ends early",
                    "rejected": 1,
                    "firstSeen": "2026-04-02T09:00:00Z",
                    "lastSeen": "2026-04-02T10:00:00Z"
                  }
                ],
                "firstSeen": "2026-04-02T09:00:00Z",
                "lastSeen": "2026-04-02T10:00:00Z",
                "queries": {
                  "answered": 14,
                  "failed": 2,
                  "unknown": 0,
                  "outsideWindow": 0,
                  "withoutTime": 4
                },
                "shares": {
                  "clientResolved": 0.6667,
                  "serverResolved": 1.0,
                  "addressesKnown": 0.5
                },
                "addresses": {
                  "seen": 2,
                  "known": 1
                },
                "notConnections": 0,
                "replicas": null,
                "lost": {
                  "clients": 0,
                  "queries": 0,
                  "names": 0,
                  "lowerBound": []
                },
                "otherDomains": [],
                "snapshot": {
                  "skipped": {},
                  "broken": []
                },
                "warnings": [
                  "logs/b.gz is truncated: what follows is missing (ends early)"
                ],
                "notes": [
                  "Read 2 logs (2.4 KiB): 20 lines, 16 with queries, 2 other, 2 rejected (malformed 2)",
                  "From 2026-04-02T09:00:00Z to 2026-04-02T10:00:00Z; 4 queries have no time",
                  "Client known for 66.6 % of the queries behind all connections, server for 100 %; 1 of 2 client addresses in the snapshot",
                  "CoreDNS replicas: not known (no input's path names a CoreDNS pod of the snapshot)"
                ]
              },
              "connections": [
                {
                  "client": {
                    "kind": "Unknown",
                    "namespace": null,
                    "name": "10.9.9.9",
                    "ips": [
                      "10.9.9.9"
                    ],
                    "pods": [],
                    "candidates": null
                  },
                  "server": {
                    "kind": "Service",
                    "namespace": "shop",
                    "name": "db",
                    "ports": [
                      {
                        "port": 5432,
                        "name": null,
                        "protocol": "TCP"
                      },
                      {
                        "port": 9187,
                        "name": "metrics",
                        "protocol": "TCP"
                      },
                      {
                        "port": "admin",
                        "name": "admin",
                        "protocol": "TCP"
                      }
                    ],
                    "workloads": [
                      {
                        "kind": "Deployment",
                        "name": "db"
                      }
                    ],
                    "inSnapshot": true
                  },
                  "names": [
                    "db.shop.svc.cluster.local"
                  ],
                  "queries": 1200,
                  "lookups": 600,
                  "failed": 1,
                  "attempts": 8,
                  "firstSeen": null,
                  "lastSeen": null,
                  "status": [
                    "no ports"
                  ],
                  "evidence": {
                    "path": "logs/a.txt",
                    "line": 17
                  }
                },
                {
                  "client": {
                    "kind": "CronJob",
                    "namespace": "jobs",
                    "name": "export",
                    "ips": [
                      "10.1.0.7",
                      "fd00::7"
                    ],
                    "pods": [
                      "export-1"
                    ],
                    "candidates": null
                  },
                  "server": {
                    "kind": "External",
                    "namespace": null,
                    "name": "=cmd|x.example.org",
                    "ports": [],
                    "workloads": [],
                    "inSnapshot": null
                  },
                  "names": [
                    "=cmd|x.example.org"
                  ],
                  "queries": 1200,
                  "lookups": 600,
                  "failed": 1,
                  "attempts": 8,
                  "firstSeen": "2026-04-02T09:00:00Z",
                  "lastSeen": "2026-04-02T10:00:00Z",
                  "status": [
                    "ok"
                  ],
                  "evidence": {
                    "path": "logs/a.txt",
                    "line": 17
                  }
                },
                {
                  "client": {
                    "kind": "CronJob",
                    "namespace": "jobs",
                    "name": "export",
                    "ips": [
                      "10.1.0.7",
                      "fd00::7"
                    ],
                    "pods": [
                      "export-1"
                    ],
                    "candidates": null
                  },
                  "server": {
                    "kind": "Service",
                    "namespace": "shop",
                    "name": "db",
                    "ports": [
                      {
                        "port": 5432,
                        "name": null,
                        "protocol": "TCP"
                      },
                      {
                        "port": 9187,
                        "name": "metrics",
                        "protocol": "TCP"
                      },
                      {
                        "port": "admin",
                        "name": "admin",
                        "protocol": "TCP"
                      }
                    ],
                    "workloads": [
                      {
                        "kind": "Deployment",
                        "name": "db"
                      }
                    ],
                    "inSnapshot": true
                  },
                  "names": [
                    "db.shop.svc.cluster.local"
                  ],
                  "queries": 1200,
                  "lookups": 600,
                  "failed": 1,
                  "attempts": 8,
                  "firstSeen": null,
                  "lastSeen": null,
                  "status": [
                    "widened",
                    "lower bound"
                  ],
                  "evidence": {
                    "path": "logs/a.txt",
                    "line": 17
                  }
                }
              ],
              "failedLookups": [
                {
                  "client": {
                    "kind": "Unknown",
                    "namespace": null,
                    "name": "10.9.9.9",
                    "ips": [
                      "10.9.9.9"
                    ],
                    "pods": [],
                    "candidates": null
                  },
                  "name": "dbb.shop.svc.cluster.local",
                  "rcode": "NXDOMAIN",
                  "queries": 3,
                  "lowerBound": true
                }
              ],
              "blindSpots": null,
              "convergence": null
            }
        "#]],
    );
}
