//! Kubernetes JSON and YAML → [`super::model`]: narrow types that keep only what the model has, so that a secret in env or
//! annotations is dropped while it is parsed.
