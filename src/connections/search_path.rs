//! A resolver tries a short name under one suffix after the other; each try that fails is logged. Here such attempts
//! are told from lookups that failed for good (SEMANTICS 3). Pure, one client at a time; it knows no cluster.

use hashbrown::HashMap;

/// One name that a client asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    /// At least one record was answered.
    pub(super) answered: bool,
    /// All records failed.
    pub(super) failed: bool,
}

/// Failed names that are attempts at one name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attempts<'a> {
    /// The name as the program asked for it.
    pub(super) base: &'a str,
    /// Indices of the failed names.
    pub(super) failed: Vec<usize>,
    /// Index of the name that answered it; `None`: nothing did.
    pub(super) answer: Option<usize>,
}

/// Groups the failed names of one client by what they are attempts of. `suffixes` in the resolver's order, without
/// dots at their ends. The result is in the order of the names.
pub(super) fn collapse<'a>(names: &[Name<'a>], suffixes: &[String]) -> Vec<Attempts<'a>> {
    let (mut bases, mut numbers): (Vec<Base>, HashMap<&str, usize>) = (Vec::new(), HashMap::new());
    // Of each failed name in turn, how many bases it can have; and these, by their numbers.
    let (mut failed, mut read) = (Vec::new(), Vec::new());
    for (at, name) in names.iter().enumerate().filter(|(_, name)| name.failed) {
        let before = read.len();
        for (base, _) in readings(name.text, suffixes) {
            let number = *numbers.entry(base).or_insert(bases.len());
            if number == bases.len() {
                bases.push(Base { text: base, attempts: 0, answer: None, group: None });
            }
            if let Some(base) = bases.get_mut(number) {
                base.attempts += 1;
            }
            read.push(number);
        }
        failed.push((at, read.len() - before));
    }
    if failed.is_empty() {
        return Vec::new();
    }
    // Of several answers the one that the resolver came to first.
    for (at, name) in names.iter().enumerate().filter(|(_, name)| name.answered) {
        for (base, order) in readings(name.text, suffixes) {
            let base = numbers.get(base).and_then(|number| bases.get_mut(*number));
            if let Some(base) = base.filter(|base| base.answer.is_none_or(|b| (order, at) < b)) {
                base.answer = Some((order, at));
            }
        }
    }
    let mut groups: Vec<Attempts<'a>> = Vec::new();
    let mut read = read.as_slice();
    for (at, number) in failed {
        let Some((of_name, others)) = read.split_at_checked(number) else { break };
        read = others;
        // Most attempts present, then the longest suffix, which is the shortest base.
        let rank = |base: &Base<'_>| (base.attempts, usize::MAX - base.text.len());
        let best = of_name.iter().copied().max_by_key(|base| bases.get(*base).map(rank));
        let Some(base) = best.and_then(|base| bases.get_mut(base)) else { continue };
        let group = *base.group.get_or_insert_with(|| {
            let answer = base.answer.map(|(_, at)| at);
            groups.push(Attempts { base: base.text, failed: Vec::new(), answer });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(group) {
            group.failed.push(at);
        }
    }
    groups
}

/// What failed names may be attempts of.
struct Base<'a> {
    text: &'a str,
    /// How many failed names can be.
    attempts: usize,
    /// The place in the resolver's order, and the index, of the name that answers it.
    answer: Option<(usize, usize)>,
    /// Index of the group that it became.
    group: Option<usize>,
}

/// Every base that a name can be an attempt of, each with its place in the resolver's order: under each suffix, and
/// at last as it stands.
fn readings<'a>(name: &'a str, suffixes: &[String]) -> impl Iterator<Item = (&'a str, usize)> {
    let under = suffixes.iter().enumerate().filter_map(move |(order, suffix)| {
        let base = name.strip_suffix(suffix.as_str())?.strip_suffix('.')?;
        (!base.is_empty()).then_some((base, order))
    });
    under.chain([(name, suffixes.len())])
}

/// The suffixes that a pod of this namespace tries, in order: SEMANTICS 3's S(c).
pub(super) fn suffixes(namespace: Option<&str>, domains: &[String], more: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for z in domains {
        all.extend(namespace.map(|n| format!("{n}.svc.{z}")));
        all.extend([format!("svc.{z}"), z.clone()]);
    }
    all.extend(more.iter().map(|search| (*search).to_owned()));
    let mut seen = std::collections::HashSet::new();
    all.retain(|suffix| seen.insert(suffix.clone()));
    all
}

/// The namespace of a client that nobody knows, if its own search path tells: `b.n.svc.Z` failed, `b.svc.Z` is the
/// resolver's next try and was asked for, and all such pairs agree on n. Without it, each external name of a log
/// without a snapshot would stand among the failures as `b.n`, which nobody asked for. It serves nothing else: what the
/// names mean, and who asked, does not rest on it. `names` are sorted by text.
pub(super) fn namespace<'a>(names: &[Name<'a>], domains: &[String]) -> Option<&'a str> {
    let mut found = None;
    for name in names.iter().filter(|name| name.failed) {
        for z in domains {
            let inside = name.text.strip_suffix(z.as_str()).and_then(|t| t.strip_suffix(".svc."));
            let Some((base, n)) = inside.and_then(|text| text.rsplit_once('.')) else { continue };
            let next = format!("{base}.svc.{z}");
            if base.is_empty() || names.binary_search_by(|other| other.text.cmp(&next)).is_err() {
                continue;
            }
            if found.is_some_and(|other| other != n) {
                return None;
            }
            found = Some(n);
        }
    }
    found
}

/// How a name that only ever failed is shown: `b.n.svc.Z` if it is one label, `b.svc.Z` if it is `x.y` and y is a
/// namespace, else as the program asked for it.
pub(super) fn shown(
    base: &str,
    namespace: Option<&str>,
    domain: Option<&String>,
    is_namespace: impl Fn(&str) -> bool,
) -> String {
    let labels = (base.split_once('.'), namespace, domain);
    match labels {
        (None, Some(n), Some(z)) => format!("{base}.{n}.svc.{z}"),
        (Some((_, y)), _, Some(z)) if !y.contains('.') && is_namespace(y) => {
            format!("{base}.svc.{z}")
        }
        _ => base.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: &str = "cluster.local";

    /// Names: `+` answered, `-` failed, `?` unknown. Expected: `base: attempts → answer`.
    fn check(namespace: Option<&str>, asked: &[&str], expected: &[&str]) {
        let mut asked: Vec<(&str, &str)> = asked.iter().map(|name| name.split_at(1)).collect();
        asked.sort_by_key(|(_, name)| *name);
        let names: Vec<Name<'_>> = asked
            .iter()
            .map(|(how, text)| Name { text, answered: *how == "+", failed: *how == "-" })
            .collect();
        let namespace = namespace.or_else(|| super::namespace(&names, &[Z.into()]));
        let groups = collapse(&names, &suffixes(namespace, &[Z.into()], &["corp.example"]));
        let shown: Vec<String> = groups
            .iter()
            .map(|group| {
                let answer =
                    group.answer.and_then(|at| names.get(at)).map_or("nothing", |n| n.text);
                format!("{}: {} -> {answer}", group.base, group.failed.len())
            })
            .collect();
        assert_eq!(shown, expected, "{asked:?}");
    }

    #[test]
    fn attempts_collapse_into_the_name_that_answered() {
        check(
            Some("shop"),
            &["-db.data.shop.svc.cluster.local", "+db.data.svc.cluster.local"],
            &["db.data: 1 -> db.data.svc.cluster.local"],
        );
        check(
            Some("shop"),
            &[
                "-api.example.org.shop.svc.cluster.local",
                "-api.example.org.svc.cluster.local",
                "-api.example.org.cluster.local",
                "-api.example.org.corp.example",
                "+api.example.org",
            ],
            &["api.example.org: 4 -> api.example.org"],
        );
    }

    #[test]
    fn the_resolver_s_first_answer_takes_the_attempts() {
        check(
            Some("shop"),
            &["-a.b.shop.svc.cluster.local", "+a.b", "+a.b.svc.cluster.local"],
            &["a.b: 1 -> a.b.svc.cluster.local"],
        );
    }

    #[test]
    fn attempts_without_an_answer_are_one_lookup() {
        check(
            Some("shop"),
            &[
                "-dbb.shop.svc.cluster.local",
                "-dbb.svc.cluster.local",
                "-dbb.cluster.local",
                "-dbb",
            ],
            &["dbb: 4 -> nothing"],
        );
    }

    #[test]
    fn a_full_name_tried_under_every_suffix_is_its_own_base() {
        check(
            Some("shop"),
            &[
                "-dbb.data.svc.cluster.local",
                "-dbb.data.svc.cluster.local.shop.svc.cluster.local",
                "-dbb.data.svc.cluster.local.svc.cluster.local",
                "-dbb.data.svc.cluster.local.cluster.local",
            ],
            &["dbb.data.svc.cluster.local: 4 -> nothing"],
        );
    }

    #[test]
    fn two_names_do_not_mix() {
        check(
            Some("shop"),
            &["-a.shop.svc.cluster.local", "-b.shop.svc.cluster.local", "+b.svc.cluster.local"],
            &["a: 1 -> nothing", "b: 1 -> b.svc.cluster.local"],
        );
    }

    #[test]
    fn what_was_answered_or_unknown_is_no_attempt() {
        check(Some("shop"), &["+a.shop.svc.cluster.local", "?b.shop.svc.cluster.local"], &[]);
    }

    #[test]
    fn a_client_nobody_knows_tells_its_namespace_by_its_search_path() {
        check(
            None,
            &["-db.data.shop.svc.cluster.local", "+db.data.svc.cluster.local"],
            &["db.data: 1 -> db.data.svc.cluster.local"],
        );
        // Two namespaces: a node, or a cache. Nothing is concluded.
        check(
            None,
            &[
                "-x.y.one.svc.cluster.local",
                "+x.y.svc.cluster.local",
                "-x.z.two.svc.cluster.local",
                "+x.z.svc.cluster.local",
            ],
            &["x.y.one: 1 -> nothing", "x.z.two: 1 -> nothing"],
        );
    }

    #[test]
    fn what_failed_is_shown_in_full_where_its_namespace_is_known() {
        let check = |base: &str, namespace: Option<&str>, expected: &str| {
            let z = Z.to_owned();
            assert_eq!(shown(base, namespace, Some(&z), |y| y == "data"), expected);
        };
        check("dbb", Some("shop"), "dbb.shop.svc.cluster.local");
        check("dbb", None, "dbb");
        check("dbb.data", Some("shop"), "dbb.data.svc.cluster.local");
        check("example.org", Some("shop"), "example.org");
        check("a.b.data", Some("shop"), "a.b.data");
    }
}
