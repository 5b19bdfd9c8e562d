//! `-o FORMAT[=PATH]`: what to write, and where. Checked before the logs are read: a typo must not cost a long run.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::report::Style;

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
    CiliumNetworkPolicy,
}

impl Format {
    /// Whether it writes policies.
    pub(super) fn is_policies(self) -> bool {
        matches!(self, Format::NetworkPolicy | Format::CiliumNetworkPolicy)
    }
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
    ("ciliumnetworkpolicy", Format::CiliumNetworkPolicy),
    ("cnp", Format::CiliumNetworkPolicy),
];

/// Everything: what `analyze` writes.
pub(super) const ALL: &[Format] = &[
    Format::Table,
    Format::Wide,
    Format::Csv,
    Format::Json,
    Format::Yaml,
    Format::Markdown,
    Format::NetworkPolicy,
    Format::CiliumNetworkPolicy,
];

/// What is written of findings.
pub(super) const FINDINGS: &[Format] =
    &[Format::Table, Format::Json, Format::Yaml, Format::Markdown];

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
    /// As it was typed: `-o csv=a.csv`.
    pub(super) typed: String,
    pub(super) format: Format,
    pub(super) place: Place,
}

impl Output {
    /// What is written if nothing is asked for.
    pub(super) fn table() -> Output {
        Output { typed: "-o table".into(), format: Format::Table, place: Place::Stdout }
    }
}

/// Reads the values of `-o`, of which a command offers these formats. Without any: the table on standard output.
pub(super) fn parse(values: &[String], offered: &[Format]) -> Result<Vec<Output>> {
    if values.is_empty() {
        return Ok(vec![Output::table()]);
    }
    let mut outputs: Vec<Output> =
        values.iter().map(|value| parse_one(value, offered)).collect::<Result<_>>()?;
    // Files first, standard output last.
    outputs.sort_by_key(|output| output.place == Place::Stdout);
    Ok(outputs)
}

fn parse_one(value: &str, offered: &[Format]) -> Result<Output> {
    let (word, path) = match value.split_once('=') {
        None => (value, None),
        Some((_, "")) => bail!("-o {value}: the path behind = is empty"),
        Some((word, "-")) => (word, None),
        Some((word, path)) => (word, Some(path)),
    };
    let known = || FORMATS.iter().filter(|(_, format)| offered.contains(format));
    let Some((_, format)) = known().find(|(name, _)| *name == word) else {
        let names: Vec<&str> = known().map(|(name, _)| *name).collect();
        if FORMATS.iter().any(|(name, _)| *name == word) {
            bail!("-o {value}: not a format of this command, which writes {}", names.join(", "));
        }
        let near = names.iter().find(|name| strsim::osa_distance(name, word) <= name.len() / 3);
        let hint = near.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default();
        bail!("-o {value}: unknown format{hint}; kico writes {}", names.join(", "));
    };
    let place = match path {
        None => Place::Stdout,
        Some(path) if path.ends_with('/') || Path::new(path).is_dir() => {
            if !format.is_policies() {
                bail!("-o {value}: is a directory; only policies go to one");
            }
            Place::Directory(PathBuf::from(path))
        }
        Some(path) => Place::File(PathBuf::from(path)),
    };
    Ok(Output { typed: format!("-o {value}"), format: *format, place })
}

/// How a table on standard output is drawn.
pub(super) fn terminal() -> Style {
    let stdout = io::stdout();
    let color = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
    let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
    Style { width, color }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: &str) {
        let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        let got = match parse(&values, ALL) {
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
        check(&["cnp=p/"], r#"CiliumNetworkPolicy Directory("p/")"#);
        check(&["ciliumnetworkpolicy"], "CiliumNetworkPolicy Stdout");
        check(&["networkpolicy=p.yaml"], r#"NetworkPolicy File("p.yaml")"#);
        check(&["csv="], "error: -o csv=: the path behind = is empty");
        check(&["csv=p/"], "error: -o csv=p/: is a directory; only policies go to one");
        check(
            &["jsno"],
            "error: -o jsno: unknown format (did you mean json?); kico writes table, wide, csv, json, yaml, markdown, networkpolicy, netpol, ciliumnetworkpolicy, cnp",
        );
        check(
            &["dot"],
            "error: -o dot: unknown format; kico writes table, wide, csv, json, yaml, markdown, networkpolicy, netpol, ciliumnetworkpolicy, cnp",
        );
    }

    #[test]
    fn a_command_offers_its_own_formats() {
        let error = |value: &str| match parse(&[value.to_owned()], FINDINGS) {
            Ok(outputs) => format!("{outputs:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            error("csv"),
            "-o csv: not a format of this command, which writes table, json, yaml, markdown"
        );
        assert_eq!(error("dot"), "-o dot: unknown format; kico writes table, json, yaml, markdown");
    }
}
