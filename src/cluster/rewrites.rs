//! The `rewrite` plugin of a Corefile: names outside the cluster that lead to its Services. CoreDNS logs the name that was
//! asked, so nobody sees where it led; what such a rewrite can lead to is said here. It reads no regular expression: one may match
//! any name.

use super::model::Service;

/// Where a rewrite leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The Corefile's object: `ConfigMap kube-system/coredns`. Untrusted text.
    pub object: String,
    kind: String,
    from: String,
    /// The namespace that stands there; `None`: what matched decides.
    namespace: Option<String>,
    /// The same of the Service's name.
    service: Option<String>,
}

impl Rewrite {
    /// Whether it may lead to this Service.
    pub fn leads_to(&self, service: &Service) -> bool {
        let is = |own: &Option<String>, name: &str| own.as_ref().is_none_or(|own| own == name);
        is(&self.namespace, &service.meta.namespace) && is(&self.service, &service.meta.name)
    }

    /// Whether it may be about this name, which has no final dot.
    pub fn may_match(&self, name: &str) -> bool {
        let from = self.from.as_str();
        match self.kind.as_str() {
            "exact" => name == from,
            "prefix" => name.starts_with(from),
            "suffix" => name.ends_with(from),
            "substring" => name.contains(from),
            _ => true,
        }
    }

    /// What a rule means in these domains. `None`: it does not lead to a Service.
    pub(super) fn new(object: String, rule: &Rule, domains: &[String]) -> Option<Rewrite> {
        let plain = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
        let (target, from) = (plain(&rule.to), plain(&rule.from));
        let rest = domains.iter().find_map(|domain| {
            let rest = target.strip_suffix(domain.as_str())?.strip_suffix('.').unwrap_or_default();
            if rest == "svc" { Some("") } else { rest.strip_suffix(".svc") }
        })?;
        // A suffix may be no more than the domain; `{1}` stands for what matched.
        let mut labels = rest.trim_matches('.').rsplit('.');
        let mut label = || {
            let known = |label: &&str| !label.is_empty() && !label.contains(['{', '}']);
            labels.next().filter(known).map(str::to_owned)
        };
        let (namespace, service) = (label(), label());
        Some(Rewrite { object, kind: rule.kind.clone(), from, namespace, service })
    }
}

/// A rule for names, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    kind: String,
    from: String,
    to: String,
}

/// The rules for names of a `rewrite`: on its own line, or on the lines of its block.
pub(super) fn rules<'a>(
    arguments: &'a [String],
    inner: &'a [Vec<String>],
) -> impl Iterator<Item = Rule> + 'a {
    let is_flow = arguments.first().is_some_and(|word| word == "continue" || word == "stop");
    let own = arguments.get(usize::from(is_flow)..).unwrap_or_default();
    std::iter::once(own).chain(inner.iter().map(Vec::as_slice)).filter_map(rule)
}

/// `name [exact|prefix|suffix|substring|regex] FROM TO [answer ...]`
fn rule(words: &[String]) -> Option<Rule> {
    let (field, rest) = words.split_first()?;
    if field != "name" {
        return None;
    }
    let kinds = ["exact", "prefix", "suffix", "substring", "regex"];
    let has_kind = rest.len() > 2 && rest.first().is_some_and(|k| kinds.contains(&k.as_str()));
    let (kind, rest) = match rest.split_first() {
        Some((kind, rest)) if has_kind => (kind.as_str(), rest),
        _ => ("exact", rest),
    };
    let [from, to, ..] = rest else { return None };
    Some(Rule { kind: kind.to_owned(), from: from.clone(), to: to.clone() })
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::service;
    use super::*;

    #[test]
    fn a_rewrite_leads_where_its_target_says_or_leaves_open() {
        for (target, expected) in [
            ("db.shop.svc.cluster.local", "shop/db"),
            ("DB.shop.svc.cluster.local.", "shop/db"),
            ("db-0.db.shop.svc.cluster.local", "shop/db"),
            ("{1}.shop.svc.cluster.local", "shop/db shop/web"),
            ("{1}-x.{2}.svc.cluster.local", "shop/db shop/web bank/db"),
            ("db.{1}.svc.cluster.local", "shop/db bank/db"),
            (".shop.svc.cluster.local", "shop/db shop/web"),
            ("svc.cluster.local", "shop/db shop/web bank/db"),
            ("db.bank.svc.corp.example", "bank/db"),
            ("db.example.org", ""),
            ("xsvc.cluster.local.example", ""),
            ("shopsvc.cluster.local", ""),
            ("cluster.local", ""),
        ] {
            let domains = ["cluster.local".to_owned(), "corp.example".into()];
            let rule = Rule { kind: "exact".into(), from: "a".into(), to: target.into() };
            let rewrite = Rewrite::new(String::new(), &rule, &domains);
            let all = [("shop", "db"), ("shop", "web"), ("bank", "db")];
            let leads = all.iter().filter(|(namespace, name)| {
                rewrite.as_ref().is_some_and(|r| r.leads_to(&service(namespace, name, "", "")))
            });
            let leads: Vec<String> = leads.map(|(ns, name)| format!("{ns}/{name}")).collect();
            assert_eq!(leads.join(" "), expected, "{target}");
        }
    }

    #[test]
    fn a_rewrite_may_be_about_the_names_that_it_says() {
        for (kind, from, yes, no) in [
            ("exact", "A.corp.", "a.corp", "b.a.corp"),
            ("suffix", ".corp.", "a.corp", "a.corp.example"),
            ("prefix", "a.", "a.corp", "b.a.corp"),
            ("substring", ".corp.", "a.corp", "a.example"),
            ("regex", "x", "anything", ""),
        ] {
            let (kind, from) = (kind.to_owned(), from.to_owned());
            let rule = Rule { kind, from, to: "db.shop.svc.c".into() };
            let rewrite = Rewrite::new(String::new(), &rule, &["c".to_owned()]).unwrap();
            assert!(rewrite.may_match(yes), "{rule:?}");
            assert!(no.is_empty() || !rewrite.may_match(no), "{rule:?}");
        }
    }

    #[test]
    fn the_target_is_found_in_every_form() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (line, block, expected) in [
            ("name a b", "", "b"),
            ("name exact a b answer auto", "", "b"),
            ("stop name regex (.*)\\.corp {1}.x answer name a c", "", "{1}.x"),
            ("continue name suffix .corp .x", "", ".x"),
            ("name prefix a b", "", "b"),
            // An exact rule whose name is a kind's.
            ("name regex b", "", "b"),
            ("stop", "name regex a b\nanswer name c d", "b"),
            ("type ANY A", "", ""),
            ("ttl a b", "", ""),
            ("name a", "", ""),
            ("", "", ""),
        ] {
            let inner: Vec<Vec<String>> = block.lines().map(words).collect();
            let line = words(line);
            let found: Vec<String> = rules(&line, &inner).map(|rule| rule.to).collect();
            assert_eq!(found.join(" "), expected);
        }
    }
}
