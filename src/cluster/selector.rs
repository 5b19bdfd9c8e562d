//! Label selectors, exactly as the API documents them: an empty selector matches everything.
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>

use hashbrown::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::model::{Labels, Service};

/// Whether a Service's selector matches. An empty one matches nothing: such a Service has no pods of its own.
pub fn matches_map(selector: &Labels, labels: &Labels) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether a label selector matches. An operator that the API does not know matches nothing.
pub fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    let same = |(key, value): (&String, &String)| labels.get(key) == Some(value.as_str());
    let equal = selector.match_labels.iter().flatten().all(same);
    equal
        && selector.match_expressions.iter().flatten().all(|requirement| {
            let value = labels.get(&requirement.key);
            let listed = || requirement.values.iter().flatten().any(|v| Some(v.as_str()) == value);
            match requirement.operator.as_str() {
                "In" => listed(),
                // A pod without the key fits NotIn.
                "NotIn" => !listed(),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// Labelled objects by namespace and label, for the labels that some Service selects by: what a selector matches is found
/// without a look at every object.
pub struct LabelIndex<'a> {
    lists: HashMap<(&'a str, &'a str, &'a str), Vec<usize>>,
}

impl<'a> LabelIndex<'a> {
    /// Indexes objects, each with its namespace and labels; they come by ascending index.
    pub fn new(
        services: &'a [Service],
        objects: impl Iterator<Item = (usize, &'a str, &'a Labels)>,
    ) -> LabelIndex<'a> {
        let mut lists: HashMap<_, Vec<usize>> = HashMap::new();
        for service in services {
            for (key, value) in service.selector.iter() {
                let key = (service.meta.namespace.as_str(), key, value);
                lists.entry(key).or_default();
            }
        }
        for (index, namespace, labels) in objects {
            for (key, value) in labels.iter() {
                if let Some(list) = lists.get_mut(&(namespace, key, value)) {
                    list.push(index);
                }
            }
        }
        LabelIndex { lists }
    }

    /// The objects that a Service's selector matches, as [`matches_map`] has it, ascending.
    pub fn matching(&self, service: &'a Service) -> Vec<usize> {
        let of = |(key, value): (&'a str, &'a str)| {
            let key = (service.meta.namespace.as_str(), key, value);
            self.lists.get(&key).map_or(&[][..], Vec::as_slice)
        };
        let lists: Vec<&[usize]> = service.selector.iter().map(of).collect();
        let Some(shortest) = lists.iter().min_by_key(|list| list.len()) else { return Vec::new() };
        let in_all = |index: &usize| lists.iter().all(|list| list.binary_search(index).is_ok());
        shortest.iter().copied().filter(in_all).collect()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    use super::super::tests_support::{labels, service};
    use super::*;

    #[test]
    fn a_services_selector_wants_every_pair_and_an_empty_one_matches_nothing() {
        for (selector, of, expected) in [
            ("app=a", "app=a tier=x", true),
            ("app=a tier=x", "app=a", false),
            ("app=a", "app=b", false),
            ("", "app=a", false),
            ("", "", false),
        ] {
            assert_eq!(matches_map(&labels(selector), &labels(of)), expected, "{selector} {of}");
        }
    }

    #[test]
    fn a_label_selector_wants_all_of_its_requirements_and_an_empty_one_matches_everything() {
        let one = |operator: &str, values: &[&str]| LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: "app".into(),
                operator: operator.into(),
                values: Some(values.iter().map(ToString::to_string).collect()),
            }]),
        };
        for (operator, values, with_a, without) in [
            ("In", &["a", "b"][..], true, false),
            ("In", &["b"], false, false),
            ("In", &[], false, false),
            ("NotIn", &["a"], false, true),
            ("NotIn", &["b"], true, true),
            ("Exists", &[], true, false),
            ("DoesNotExist", &[], false, true),
            ("Near", &["a"], false, false),
        ] {
            let selector = one(operator, values);
            assert_eq!(matches(&selector, &labels("app=a")), with_a, "{operator} {values:?}");
            assert_eq!(matches(&selector, &labels("tier=x")), without, "{operator} {values:?}");
        }
        assert!(matches(&LabelSelector::default(), &labels("")));
        let both =
            LabelSelector { match_labels: Some(labels("tier=x").to_map()), ..one("Exists", &[]) };
        assert!(matches(&both, &labels("app=a tier=x")));
        assert!(!matches(&both, &labels("app=a")) && !matches(&both, &labels("tier=x")));
    }

    #[test]
    fn the_index_finds_what_the_selector_matches() {
        let objects = ["app=a tier=x", "app=a", "tier=x", "app=a tier=x", ""].map(labels);
        for selector in ["app=a", "app=a tier=x", "tier=x", "app=b", "", "app=a none=1"] {
            let services = [service("shop", "s", selector, "")];
            let all = objects.iter().enumerate();
            let elsewhere = [(9, "bank", &objects[0])];
            let index = LabelIndex::new(
                &services,
                all.clone().map(|(i, labels)| (i, "shop", labels)).chain(elsewhere),
            );
            let expected =
                all.filter(|(_, l)| matches_map(&services[0].selector, l)).map(|(i, _)| i);
            assert_eq!(index.matching(&services[0]), expected.collect::<Vec<_>>(), "{selector}");
        }
    }
}
