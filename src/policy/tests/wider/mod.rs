//! Every way in which an ingress policy can be wider than its evidence (POLICY_RULES 2), each by its number. Those of
//! egress are in `egress::wider`, `egress::unsayable` and `egress::dns`.

mod clients;
mod ports;
mod selectors;
mod servers;

use super::*;

fn items(policy: &Value) -> Vec<&Value> {
    let rules = policy["spec"]["ingress"].as_sequence().unwrap();
    rules.iter().flat_map(|rule| rule["from"].as_sequence().unwrap()).collect()
}

fn ports(policy: &Value) -> Vec<String> {
    let rules = policy["spec"]["ingress"].as_sequence().unwrap();
    let ports = rules.iter().flat_map(|rule| rule["ports"].as_sequence().unwrap());
    ports
        .map(|port| {
            assert_eq!(
                port.as_mapping().unwrap().len(),
                2,
                "port and protocol, no range: {port:?}"
            );
            let number = match &port["port"] {
                Value::Number(number) => number.to_string(),
                name => name.as_str().unwrap().into(),
            };
            format!("{number}/{}", port["protocol"].as_str().unwrap())
        })
        .collect()
}
