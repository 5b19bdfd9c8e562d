//! Report × Cluster → NetworkPolicies, each no wider than its evidence, or a refusal with the reason.
