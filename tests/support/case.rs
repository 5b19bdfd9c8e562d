//! A case is a directory of `testdata/cases`: what to run, on what, and what must come out. CONTRIBUTING.md tells how
//! to write one; no Rust is needed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{checks, kico, root};

/// A directory of `testdata/cases`.
pub(crate) struct Case {
    pub(crate) name: String,
    dir: PathBuf,
}

/// What the commands of a case did.
pub(crate) struct Ran {
    /// Exit statuses, one a command. `None`: killed by a signal.
    pub(crate) exits: Vec<Option<i32>>,
    /// Standard output of all commands, one after the other.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, likewise.
    pub(crate) stderr: Vec<u8>,
    /// Standard output of the last command alone.
    pub(crate) last_stdout: Vec<u8>,
    /// Files that were not there before: path → content.
    pub(crate) written: BTreeMap<String, Vec<u8>>,
    /// Where it ran: must not show in any output.
    scratch: String,
}

/// Names in a case's directory that are about the case; all else is input.
fn is_input(name: &str) -> bool {
    let about =
        ["cmd", "exit", "stdin", "stdout", "stderr", "contains", "lacks", "same", "written"];
    !about.contains(&name) && !is_table(name)
}

/// `rows`, `json`: about standard output. `rows.FILE`, `json.FILE`: about a file that was written.
fn is_table(name: &str) -> bool {
    ["rows", "json"].iter().any(|kind| {
        name == *kind || name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.'))
    })
}

/// All cases, sorted by name.
pub(crate) fn all() -> Vec<Case> {
    let mut cases: Vec<Case> = entries(&root().join("testdata/cases"))
        .into_iter()
        .filter(|(_, path)| path.is_dir())
        .map(|(name, dir)| Case { name, dir })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

impl Case {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.dir.join(name)).ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.read(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Runs the case in a copy of its inputs, beside which `sock-shop` stands as in the repository.
    pub(crate) fn run(&self) -> Result<Ran, String> {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        let dir = scratch.path().join("cases").join(&self.name);
        fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
        std::os::unix::fs::symlink(
            root().join("testdata/sock-shop"),
            scratch.path().join("sock-shop"),
        )
        .map_err(|e| e.to_string())?;
        for (name, path) in entries(&self.dir) {
            if is_input(&name) {
                copy(&path, &dir.join(name)).map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
        let before = files(&dir);
        let mut ran = Ran {
            exits: Vec::new(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            last_stdout: Vec::new(),
            written: BTreeMap::new(),
            scratch: scratch.path().display().to_string(),
        };
        let commands = self.text("cmd").ok_or("there is no file cmd")?;
        for line in commands.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
            let words = words(line)?;
            let Some(("kico", arguments)) = words.split_first().map(|(w, rest)| (&**w, rest))
            else {
                return Err(format!("cmd runs kico only: {line}"));
            };
            let mut command = kico(&dir);
            command.args(arguments);
            if let Ok(file) = fs::File::open(self.dir.join("stdin")) {
                command.stdin(Stdio::from(file));
            }
            let output = command.output().map_err(|e| e.to_string())?;
            ran.exits.push(output.status.code());
            ran.stdout.extend_from_slice(&output.stdout);
            ran.stderr.extend_from_slice(&output.stderr);
            ran.last_stdout = output.stdout;
        }
        ran.written = files(&dir);
        ran.written.retain(|path, _| !before.contains_key(path));
        Ok(ran)
    }

    /// Everything that is not as it must be: first what the case says by hand, then the blessed outputs.
    pub(crate) fn complaints(&self, ran: &Ran, blessed: bool) -> Vec<String> {
        let mut found = Vec::new();
        if ran.exits.is_empty() {
            found.push("cmd holds no command".to_owned());
        }
        let exits: Vec<Option<i32>> = match self.text("exit") {
            Some(text) => text.split_whitespace().map(|word| word.parse().ok()).collect(),
            None => vec![Some(0); ran.exits.len()],
        };
        if exits != ran.exits {
            found.push(format!("exit {:?}, expected {exits:?}", ran.exits));
        }
        let mut everything = vec![("stdout", &ran.stdout), ("stderr", &ran.stderr)];
        everything.extend(ran.written.iter().map(|(path, bytes)| (path.as_str(), bytes)));
        found.extend(checks::always(&everything, &ran.scratch));
        let text: String =
            everything.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes) + "\n").collect();
        found.extend(checks::contains(&text, &self.text("contains").unwrap_or_default()));
        found.extend(checks::lacks(&text, &self.text("lacks").unwrap_or_default()));
        for line in self.text("same").unwrap_or_default().lines() {
            let files: Vec<_> = line.split_whitespace().map(|f| (f, ran.written.get(f))).collect();
            if files.len() < 2 || files.iter().any(|(_, b)| b.is_none() || *b != files[0].1) {
                found.push(format!("these files are not the same: {line}"));
            }
        }
        for (name, path) in entries(&self.dir) {
            let (kind, of) = name.split_once('.').unwrap_or((&name, ""));
            if !is_table(&name) {
                continue;
            }
            let actual = if of.is_empty() { Some(&ran.last_stdout) } else { ran.written.get(of) };
            let wanted = fs::read_to_string(&path).unwrap_or_default();
            match actual {
                None => found.push(format!("{of} was not written")),
                Some(bytes) if kind == "rows" => found.extend(checks::rows(bytes, &wanted)),
                Some(bytes) => found.extend(checks::json(bytes, &wanted)),
            }
        }
        if blessed {
            for (name, actual) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
                if let Some(expected) = self.read(name) {
                    found.extend(checks::same(name, &expected, actual));
                }
            }
            let expected = files(&self.dir.join("written"));
            if !expected.is_empty() {
                for path in expected.keys().chain(ran.written.keys()) {
                    match (expected.get(path), ran.written.get(path)) {
                        (Some(_), None) => found.push(format!("{path} was not written")),
                        (None, Some(_)) => found.push(format!("{path} was written")),
                        (Some(a), Some(b)) => found.extend(checks::same(path, a, b)),
                        (None, None) => {}
                    }
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Makes what came out what must come out.
    pub(crate) fn bless(&self, ran: &Ran) -> std::io::Result<()> {
        fs::write(self.dir.join("stdout"), &ran.stdout)?;
        fs::write(self.dir.join("stderr"), &ran.stderr)?;
        let written = self.dir.join("written");
        if written.exists() {
            fs::remove_dir_all(&written)?;
        }
        for (path, bytes) in &ran.written {
            let path = written.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&written))?;
            fs::write(path, bytes)?;
        }
        Ok(())
    }
}

/// A command line cut at blanks; `'...'` and `"..."` hold a word together. There is no other quoting, and no globbing.
pub(crate) fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() { Err(format!("a quote is not closed: {line}")) } else { Ok(words) }
}

/// Name and path of what a directory holds, sorted; empty if there is no such directory.
fn entries(dir: &Path) -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    found.sort();
    found
}

/// Every file below a directory: path from there → content. Links are not followed.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for (name, path) in entries(dir) {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, b)| (format!("{name}/{below}"), b)));
        } else {
            found.insert(name, fs::read(&path).unwrap_or_default());
        }
    }
    found
}

/// Copies a file, a link as it stands, or a whole directory.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir(to)?;
    for (name, path) in entries(from) {
        copy(&path, &to.join(name))?;
    }
    Ok(())
}
