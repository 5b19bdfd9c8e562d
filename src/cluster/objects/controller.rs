//! ReplicaSets, Deployments, StatefulSets, DaemonSets, Jobs, CronJobs: their selectors and their templates.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde::Deserialize;

use super::Shell;
use super::meta::{self, KeptAnnotations, MatchLabels, RawLabels};
use super::pod::PodSpec;
use crate::cluster::model::Controller;

/// A controller of this kind.
pub(super) fn read(shell: &Shell<'_>, kind: &str) -> Result<Controller, String> {
    let meta = meta::read(shell)?;
    let (spec, schedule) = match kind {
        "CronJob" => {
            let cron: CronJobSpec<'_> = meta::field(shell, "spec")?;
            let job = cron.job_template.and_then(|job| job.spec).unwrap_or_default();
            (job, cron.schedule.unwrap_or_default())
        }
        _ => (meta::field(shell, "spec")?, String::new()),
    };
    let template = spec.template.unwrap_or_default();
    let pod = template.spec.unwrap_or_default();
    let made = template.metadata.unwrap_or_default();
    Ok(Controller {
        kind: kind.to_owned(),
        meta,
        selector: spec.selector.map(Selector::into_api),
        template_labels: made.labels.unwrap_or_default().0,
        template_annotations: made.annotations.unwrap_or_default().0,
        template_host_network: pod.host_network == Some(true),
        template_containers: pod.into_containers(),
        schedule,
    })
}

#[derive(Default, Deserialize)]
struct Spec<'a> {
    selector: Option<Selector>,
    #[serde(borrow)]
    template: Option<Template<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CronJobSpec<'a> {
    schedule: Option<String>,
    #[serde(borrow)]
    job_template: Option<JobTemplate<'a>>,
}

#[derive(Deserialize)]
struct JobTemplate<'a> {
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
}

#[derive(Default, Deserialize)]
struct Template<'a> {
    metadata: Option<TemplateMeta>,
    #[serde(borrow)]
    spec: Option<PodSpec<'a>>,
}

#[derive(Default, Deserialize)]
struct TemplateMeta {
    labels: Option<RawLabels>,
    annotations: Option<KeptAnnotations>,
}

/// The API's own type takes the last of two labels of one name without a word; this one does not.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Selector {
    match_labels: Option<MatchLabels>,
    match_expressions: Option<Vec<Requirement>>,
}

#[derive(Deserialize)]
struct Requirement {
    key: String,
    operator: String,
    values: Option<Vec<String>>,
}

impl Selector {
    pub(super) fn into_api(self) -> LabelSelector {
        let requirement = |Requirement { key, operator, values }| LabelSelectorRequirement {
            key,
            operator,
            values,
        };
        let expressions = self.match_expressions;
        LabelSelector {
            match_labels: self.match_labels.map(|labels| labels.0),
            match_expressions: expressions.map(|all| all.into_iter().map(requirement).collect()),
        }
    }
}
