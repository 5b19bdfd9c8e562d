//! Which ports a rule means, and that it wants a peer and a port.

use super::*;

#[test]
fn the_protocol_is_tcp_unless_said_and_a_port_without_number_is_all_of_its_protocol() {
    let with = |port: &str| format!("shop: {{ingress: [{{ports: [{port}]}}]}}");
    check(
        &[&with("{port: 53}")],
        &["bank/web shop/db 53 = yes", "bank/web shop/db 53/UDP = no", "bank/web shop/db 54 = no"],
    );
    check(
        &[&with("{protocol: UDP}")],
        &["bank/web shop/db 7/UDP = yes", "bank/web shop/db 7 = no"],
    );
    check(&[&with("{}")], &["bank/web shop/db 7 = yes", "bank/web shop/db 7/UDP = no"]);
    check(&[&with("{port: 7, protocol: SCTP}")], &["bank/web shop/db 7/SCTP = yes"]);
}

#[test]
fn end_port_makes_a_range_with_both_its_ends() {
    check(
        &["shop: {ingress: [{ports: [{port: 8000, endPort: 8002}]}]}"],
        &[
            "bank/web shop/db 7999 = no",
            "bank/web shop/db 8000 = yes",
            "bank/web shop/db 8002 = yes",
            "bank/web shop/db 8003 = no",
        ],
    );
}

#[test]
fn a_named_port_is_looked_up_on_the_server_in_both_directions() {
    check(
        &["shop: {podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: sql}]}]}"],
        &[
            "bank/web shop/db 5432 = yes",
            "bank/web shop/db 9090 = no",
            // The same name, of another protocol.
            "bank/web shop/db 53/UDP = no",
        ],
    );
    check(
        &["shop: {policyTypes: [Egress], egress: [{ports: [{port: http}]}]}"],
        &[
            "shop/db bank/web 81 = yes",
            "shop/db bank/web 80 = no",
            "shop/db shop/api 8080 = yes",
            "shop/db 8.8.8.8 80 = no",
        ],
    );
}

#[test]
fn a_rule_wants_both_a_peer_and_a_port() {
    check(
        &[
            "shop: {ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 1}]}, \
           {from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 2}]}]}",
        ],
        &[
            "shop/web shop/db 1 = yes",
            "shop/web shop/db 2 = no",
            "shop/api shop/db 2 = yes",
            "shop/api shop/db 1 = no",
        ],
    );
}
