//! `-o FORMAT[=PATH]`: what to write, and where. Checked before the logs are read: a typo must not cost a long run.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Wide,
    Csv,
    Json,
    Yaml,
    Markdown,
    NetworkPolicy,
}

const FORMATS: &[(&str, Format)] = &[
    ("table", Format::Table),
    ("wide", Format::Wide),
    ("csv", Format::Csv),
    ("json", Format::Json),
    ("yaml", Format::Yaml),
    ("markdown", Format::Markdown),
    ("networkpolicy", Format::NetworkPolicy),
    ("netpol", Format::NetworkPolicy),
];

/// Where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Stdout,
    File(PathBuf),
    /// Policies: one file each.
    Directory(PathBuf),
}

/// One thing to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) format: Format,
    pub(super) place: Place,
}

/// Reads the values of `-o`. Without any: the table on standard output.
pub(super) fn parse(values: &[String]) -> Result<Vec<Output>> {
    if values.is_empty() {
        return Ok(vec![Output { format: Format::Table, place: Place::Stdout }]);
    }
    let mut outputs: Vec<Output> = Vec::new();
    for value in values {
        let output = parse_one(value)?;
        if let Some(twin) = outputs.iter().find(|other| other.place == output.place) {
            match &twin.place {
                Place::Stdout => bail!(
                    "-o {value}: only one output can go to standard output: give the others a file, \
                     as in -o csv=connections.csv"
                ),
                Place::File(path) | Place::Directory(path) => {
                    bail!("-o {value}: two outputs to {}", path.display())
                }
            }
        }
        outputs.push(output);
    }
    // Files first, standard output last.
    outputs.sort_by_key(|output| output.place == Place::Stdout);
    Ok(outputs)
}

fn parse_one(value: &str) -> Result<Output> {
    let (word, path) = match value.split_once('=') {
        None => (value, None),
        Some((_, "")) => bail!("-o {value}: the path behind = is empty"),
        Some((word, "-")) => (word, None),
        Some((word, path)) => (word, Some(path)),
    };
    let Some((_, format)) = FORMATS.iter().find(|(name, _)| *name == word) else {
        let known: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
        let near = known.iter().find(|name| strsim::osa_distance(name, word) <= name.len() / 3);
        let hint = near.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default();
        bail!("-o {value}: unknown format{hint}; kico writes {}", known.join(", "));
    };
    let place = match path {
        None => Place::Stdout,
        Some(path) if path.ends_with('/') || Path::new(path).is_dir() => {
            if *format != Format::NetworkPolicy {
                bail!("-o {value}: is a directory; only policies go to one");
            }
            Place::Directory(PathBuf::from(path))
        }
        Some(path) => Place::File(PathBuf::from(path)),
    };
    Ok(Output { format: *format, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: &str) {
        let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        let got = match parse(&values) {
            Ok(outputs) => outputs
                .iter()
                .map(|o| format!("{:?} {:?}", o.format, o.place))
                .collect::<Vec<_>>()
                .join(", "),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn output_values() {
        check(&[], "Table Stdout");
        check(&["csv"], "Csv Stdout");
        check(&["csv=-"], "Csv Stdout");
        check(&["json", "csv=a.csv"], r#"Csv File("a.csv"), Json Stdout"#);
        check(&["netpol=p/"], r#"NetworkPolicy Directory("p/")"#);
        check(&["networkpolicy=p.yaml"], r#"NetworkPolicy File("p.yaml")"#);
        check(&["csv="], "error: -o csv=: the path behind = is empty");
        check(&["csv=p/"], "error: -o csv=p/: is a directory; only policies go to one");
        check(&["csv=a", "json=a"], "error: -o json=a: two outputs to a");
        check(
            &["csv", "json"],
            "error: -o json: only one output can go to standard output: give the others a file, as in -o csv=connections.csv",
        );
        check(
            &["jsno"],
            "error: -o jsno: unknown format (did you mean json?); kico writes table, wide, csv, json, yaml, markdown, networkpolicy, netpol",
        );
        check(
            &["dot"],
            "error: -o dot: unknown format; kico writes table, wide, csv, json, yaml, markdown, networkpolicy, netpol",
        );
    }
}
