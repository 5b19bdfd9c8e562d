//! Whom an item of `from` or `to` means.

use super::*;

#[test]
fn a_pod_selector_alone_means_the_policys_own_namespace() {
    check(
        &["shop: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}"],
        &["shop/web shop/db 1 = yes", "bank/web shop/db 1 = no"],
    );
    check(
        &["shop: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"],
        &["shop/api shop/db 1 = yes", "bank/web shop/db 1 = no", "8.8.8.8 shop/db 1 = no"],
    );
}

#[test]
fn a_namespace_selector_alone_means_all_pods_there_and_an_empty_one_all_namespaces() {
    check(
        &["shop: {ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]}"],
        &["bank/web shop/db 1 = yes", "shop/web shop/db 1 = no"],
    );
    check(
        &["shop: {ingress: [{from: [{namespaceSelector: {}}]}]}"],
        &["bank/web shop/db 1 = yes", "shop/web shop/db 1 = yes", "dark/job shop/db 1 = yes"],
    );
}

#[test]
fn both_selectors_in_one_item_are_and_in_two_items_or() {
    let item = "namespaceSelector: {matchLabels: {team: blue}}";
    check(
        &[&format!(
            "shop: {{ingress: [{{from: [{{{item}, podSelector: {{matchLabels: {{app: api}}}}}}]}}]}}"
        )],
        &["bank/web shop/db 1 = no", "shop/api shop/db 1 = no"],
    );
    check(
        &[&format!(
            "shop: {{ingress: [{{from: [{{{item}}}, {{podSelector: {{matchLabels: {{app: api}}}}}}]}}]}}"
        )],
        &["bank/web shop/db 1 = yes", "shop/api shop/db 1 = yes", "shop/web shop/db 1 = no"],
    );
}

#[test]
fn several_namespaces_can_be_named_by_expression() {
    check(
        &[
            "shop: {ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: \
           In, values: [red, green]}]}}]}]}",
        ],
        &["shop/web shop/db 1 = yes", "bank/web shop/db 1 = no"],
    );
    for (operator, web, api) in [
        ("In, values: [front]", "no", "yes"),
        ("NotIn, values: [front]", "yes", "no"),
        ("Exists", "no", "yes"),
        ("DoesNotExist", "yes", "no"),
    ] {
        check(
            &[&format!(
                "shop: {{ingress: [{{from: [{{podSelector: {{matchExpressions: [{{key: role, operator: \
                 {operator}}}]}}}}]}}]}}"
            )],
            &[&format!("shop/web shop/db 1 = {web}"), &format!("shop/api shop/db 1 = {api}")],
        );
    }
}

#[test]
fn a_namespace_can_be_named_by_its_name_even_where_the_snapshot_lacks_it() {
    let by = |key: &str, value: &str| {
        format!(
            "shop: {{ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{{key}: {value}}}}}}}]}}]}}"
        )
    };
    check(&[&by("kubernetes.io/metadata.name", "dark")], &["dark/job shop/db 1 = yes"]);
    check(&[&by("kubernetes.io/metadata.name", "bank")], &["dark/job shop/db 1 = no"]);
    // Its other labels are not known.
    check(&[&by("team", "red")], &["dark/job shop/db 1 = maybe", "bank/web shop/db 1 = no"]);
}

#[test]
fn an_ip_block_is_a_range_less_its_exceptions() {
    check(
        &["shop: {policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 172.17.0.0/16, except: \
           [172.17.1.0/24]}}]}]}"],
        &[
            "shop/db 172.17.2.9 443 = yes",
            "shop/db 172.17.1.9 443 = no",
            "shop/db 172.18.0.1 443 = no",
            "shop/db fd00::6 443 = no",
        ],
    );
    check(
        &["shop: {ingress: [{from: [{ipBlock: {cidr: 'fd00::/64'}}]}]}"],
        &["bank/six shop/db 1 = yes", "bank/web shop/db 1 = no", "fd00:0:0:1::1 shop/db 1 = no"],
    );
    check(
        &["shop: {ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}"],
        &["8.8.8.8 shop/db 1 = yes", "bank/six shop/db 1 = no"],
    );
}

#[test]
fn a_pod_cannot_block_itself_nor_its_own_node() {
    check(
        &["shop: {policyTypes: [Ingress, Egress]}"],
        &[
            "shop/db shop/db 5432 = yes",
            "192.168.0.2 shop/db 5432 = yes",
            "192.168.0.1 shop/db 5432 = no",
            "shop/web 192.168.0.1 10250 = yes",
            "shop/web kube-system/agent 9100 = yes",
            "kube-system/agent shop/web 80 = yes",
            "kube-system/agent shop/db 80 = no",
        ],
    );
}

#[test]
fn host_network_pods_are_not_isolated_and_only_maybe_selected() {
    check(&["kube-system: {}"], &["shop/db kube-system/agent 1 = yes"]);
    check(&["kube-system: {policyTypes: [Egress]}"], &["kube-system/agent shop/db 5432 = yes"]);
    check(
        &["shop: {ingress: [{from: [{namespaceSelector: {}}]}]}"],
        &["kube-system/agent shop/db 5432 = maybe", "192.168.0.1 shop/db 5432 = no"],
    );
    check(
        &["shop: {ingress: [{from: [{ipBlock: {cidr: 192.168.0.1/32}}]}]}"],
        &["kube-system/agent shop/db 5432 = yes", "192.168.0.1 shop/db 5432 = yes"],
    );
}
