//! A Corefile's text → what kico asks of it: the cluster domains, and whether `autopath` and `log` are on, where
//! `rewrite` leads. Reads the
//! Caddyfile form as CoreDNS does (blocks, quotes, comments, snippets); what it imports from other files it cannot see.

use std::collections::BTreeMap;

use super::rewrites;

/// What a Corefile says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// The zones of its `kubernetes` plugins, those for reverse lookups left out: lower case, without dots at their
    /// ends, in the order in which they stand there.
    pub domains: Vec<String>,
    /// Whether `autopath` is on.
    pub autopath: bool,
    /// The classes of the `log` plugins, sorted (`all`, `denial`, `error`, `success`). Of server blocks with
    /// `kubernetes`; of all if there is none, as in a DNS cache. Empty: `log` is off.
    pub log: Vec<String>,
    /// The rules for names of its `rewrite` plugins, as they are written.
    pub rewrites: Vec<rewrites::Rule>,
}

/// Reads a Corefile. It never fails: what makes no sense says nothing.
pub fn read(text: &str) -> Directives {
    let (servers, snippets) = blocks(&tokens(text));
    let servers: Vec<Server> = servers.iter().map(|server| server.read(&snippets)).collect();
    let mut all = Directives::default();
    let serves_cluster = servers.iter().any(|server| server.kubernetes);
    for server in servers {
        all.autopath |= server.autopath;
        all.rewrites.extend(server.rewrites);
        for domain in server.domains {
            if !all.domains.contains(&domain) {
                all.domains.push(domain);
            }
        }
        if server.kubernetes || !serves_cluster {
            all.log.extend(server.log);
        }
    }
    all.log.sort_unstable();
    all.log.dedup();
    all
}

/// What one server block says.
#[derive(Default)]
struct Server {
    kubernetes: bool,
    domains: Vec<String>,
    autopath: bool,
    log: Vec<String>,
    rewrites: Vec<rewrites::Rule>,
}

/// A word, and whether it is the first of its line.
struct Token {
    text: String,
    starts_line: bool,
}

/// A plugin in a server block: its words, and the lines of its own block.
#[derive(Default)]
struct Directive {
    words: Vec<String>,
    inner: Vec<Vec<String>>,
}

/// A server block or a snippet.
#[derive(Default)]
struct Block {
    keys: Vec<String>,
    directives: Vec<Directive>,
}

type Snippets = BTreeMap<String, Vec<Directive>>;

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut starts_line, mut chars) = (true, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\n' => starts_line = true,
            c if c.is_whitespace() => {}
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            c => {
                let quoted = c == '"';
                let mut word = if quoted { String::new() } else { c.to_string() };
                while let Some(c) = chars.next_if(|c| quoted || !c.is_whitespace()) {
                    match c {
                        '"' if quoted => break,
                        '\\' if quoted && chars.peek() == Some(&'"') => word.extend(chars.next()),
                        c => word.push(c),
                    }
                }
                tokens.push(Token { text: word, starts_line });
                starts_line = false;
            }
        }
    }
    tokens
}

/// The server blocks, and the snippets by name. A Corefile of one server may do without braces.
fn blocks(tokens: &[Token]) -> (Vec<Block>, Snippets) {
    let (mut servers, mut snippets) = (Vec::new(), Snippets::new());
    let mut block = Block::default();
    let mut depth = 0u32;
    for token in tokens {
        let word = token.text.as_str();
        match (depth, word) {
            (_, "{") => depth = depth.saturating_add(1),
            (0, key) => {
                block.keys.extend(key.split(',').filter(|key| !key.is_empty()).map(str::to_owned))
            }
            (1, "}") => {
                depth = 0;
                let Block { keys, directives } = std::mem::take(&mut block);
                let name = keys.first().and_then(|key| key.strip_prefix('(')?.strip_suffix(')'));
                match name {
                    Some(name) => drop(snippets.insert(name.to_owned(), directives)),
                    None => servers.push(Block { keys, directives }),
                }
            }
            (_, "}") => depth -= 1,
            (1, word) if token.starts_line || block.directives.is_empty() => {
                let words = vec![word.to_owned()];
                block.directives.push(Directive { words, inner: Vec::new() });
            }
            (1, word) => {
                if let Some(directive) = block.directives.last_mut() {
                    directive.words.push(word.to_owned());
                }
            }
            (_, word) => {
                let Some(directive) = block.directives.last_mut() else { continue };
                match directive.inner.last_mut() {
                    Some(line) if !token.starts_line => line.push(word.to_owned()),
                    _ => directive.inner.push(vec![word.to_owned()]),
                }
            }
        }
    }
    (servers, snippets)
}

impl Block {
    fn read(&self, snippets: &Snippets) -> Server {
        let mut server = Server::default();
        for directive in &self.directives {
            match directive.import() {
                // A snippet within a snippet is not followed.
                Some(name) => {
                    for directive in snippets.get(name).into_iter().flatten() {
                        server.add(directive, &self.keys);
                    }
                }
                None => server.add(directive, &self.keys),
            }
        }
        server
    }
}

impl Directive {
    fn import(&self) -> Option<&str> {
        match self.words.as_slice() {
            [plugin, name, ..] if plugin == "import" => Some(name),
            _ => None,
        }
    }
}

impl Server {
    fn add(&mut self, directive: &Directive, keys: &[String]) {
        let Some((plugin, arguments)) = directive.words.split_first() else { return };
        match plugin.as_str() {
            "kubernetes" => {
                self.kubernetes = true;
                let zones = if arguments.is_empty() { keys } else { arguments };
                // Services of other clusters, which this one's snapshot must not answer for.
                let inner = directive.inner.iter().filter_map(|line| line.split_first());
                let elsewhere: Vec<&String> = inner
                    .filter(|(word, _)| *word == "multicluster")
                    .flat_map(|(_, z)| z)
                    .collect();
                let zones = zones.iter().filter(|zone| !elsewhere.contains(zone));
                self.domains.extend(zones.filter_map(|zone| domain(zone)));
            }
            "autopath" => self.autopath = true,
            "rewrite" => self.rewrites.extend(rewrites::rules(arguments, &directive.inner)),
            "log" => {
                let lines = directive.inner.iter().filter_map(|line| line.split_first());
                let classes = lines.filter(|(word, _)| *word == "class").flat_map(|(_, all)| all);
                let mut classes: Vec<String> = classes.cloned().collect();
                if classes.is_empty() {
                    classes.push("all".to_owned());
                }
                self.log.extend(classes);
            }
            _ => {}
        }
    }
}

/// A zone as a cluster domain: without scheme, port and final dot. Reverse zones and the root are none.
fn domain(zone: &str) -> Option<String> {
    let zone = zone.split_once("://").map_or(zone, |(_, rest)| rest);
    let zone = zone.split_once(':').map_or(zone, |(name, _)| name);
    let zone = zone.trim_matches('.').to_ascii_lowercase();
    let reverse = zone == "arpa" || zone.ends_with(".arpa") || zone.contains('/');
    (!zone.is_empty() && !reverse && !zone.contains('{')).then_some(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, domains: &[&str], autopath: bool, log: &[&str]) {
        let all = read(text);
        assert_eq!((all.domains, all.autopath, all.log), {
            let owned = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            (owned(domains), autopath, owned(log))
        });
    }

    #[test]
    fn the_corefile_of_kubeadm() {
        let text = r#"
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
"#;
        check(text, &["cluster.local"], false, &[]);
    }

    #[test]
    fn log_has_all_classes_unless_it_names_some() {
        check(". {\n log\n kubernetes c.example\n}", &["c.example"], false, &["all"]);
        let classes = ". {\n log . \"{remote} }\" {\n  class denial error\n }\n kubernetes a\n}";
        check(classes, &["a"], false, &["denial", "error"]);
        check(". {\n # log\n kubernetes a # log\n}", &["a"], false, &[]);
    }

    #[test]
    fn only_the_servers_that_serve_the_cluster_log_for_it() {
        let text = "corp.example:53 {\n log\n}\n.:53 {\n kubernetes a\n}";
        check(text, &["a"], false, &[]);
        check("a:53 {\n log\n cache\n}", &[], false, &["all"]);
    }

    #[test]
    fn another_clusters_zones_are_no_domains_of_this_one() {
        let text = ". {\n kubernetes a b {\n  multicluster b\n }\n}";
        check(text, &["a"], false, &[]);
    }

    #[test]
    fn a_domain_has_neither_port_nor_scheme_nor_dots_at_its_ends() {
        check("dns://K8S.Example.:1053 {\n kubernetes\n}", &["k8s.example"], false, &[]);
        check("a., b:53 10.0.0.0/24 {\nkubernetes\n}", &["a", "b"], false, &[]);
        check(". {\n kubernetes\n}", &[], false, &[]);
        check(". {\n kubernetes {$CLUSTER_DOMAIN}\n}", &[], false, &[]);
    }

    #[test]
    fn autopath_and_snippets_are_seen() {
        let text =
            "(base) {\n log\n autopath @kubernetes\n}\n. {\n import base\n kubernetes a b\n}";
        check(text, &["a", "b"], true, &["all"]);
    }

    #[test]
    fn rewrites_are_seen_in_lines_and_in_blocks() {
        let text = ". {\n rewrite name a.example b.shop.svc.c\n rewrite stop {\n  name regex (.*)\\.x {1}.shop.svc.c\n  \
                    answer name (.*)\\.shop {1}.x\n }\n rewrite type ANY A\n kubernetes c\n}";
        let rules = format!("{:?}", read(text).rewrites);
        assert_eq!(rules.matches("Rule").count(), 2, "{rules}");
        for part in ["\"a.example\"", "\"b.shop.svc.c\"", "\"regex\"", "\"{1}.shop.svc.c\""] {
            assert!(rules.contains(part), "{rules}");
        }
    }

    #[test]
    fn what_makes_no_sense_says_nothing() {
        for text in
            ["", "}", "{", "{ {", "} } {", "\"", "a {\n} }\n kubernetes x", "import", "{}{}"]
        {
            check(text, &[], false, &[]);
        }
    }
}
