//! What a run would write over: an input, the snapshot, another output. Looked at before anything is read or written, by
//! what the paths lead to, not by how they are spelled. It opens nothing but the first bytes of what stands there already.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::outputs::{self, Output};
use crate::cluster::snapshot;
use crate::log::discover::{self, Identity};
use crate::log::rejects;
use crate::report::csv;

/// Something that is to be written.
pub(super) struct Written<'a> {
    /// As it was typed: `-o csv=a.csv`.
    pub(super) typed: String,
    pub(super) path: &'a Path,
    /// It becomes a directory of policies: there, only files that kico wrote are replaced.
    pub(super) is_directory: bool,
}

impl<'a> Written<'a> {
    /// All that a command writes: its outputs, and `--rejects`.
    pub(super) fn all(outputs: &'a [Output], rejects: Option<&'a Path>) -> Vec<Written<'a>> {
        let output = |output: &'a Output| {
            let (path, is_directory) = match &output.place {
                outputs::Place::Stdout => (Path::new(STDOUT), false),
                outputs::Place::File(path) => (path.as_path(), false),
                outputs::Place::Directory(path) => (path.as_path(), true),
            };
            Written { typed: output.typed.clone(), path, is_directory }
        };
        let rejects = rejects.map(|path| {
            let typed = format!("--rejects {}", path.display());
            Written { typed, path, is_directory: false }
        });
        outputs.iter().map(output).chain(rejects).collect()
    }
}

/// Stands for standard output.
const STDOUT: &str = "-";

/// Everything that is read.
#[derive(Default)]
pub(super) struct Reads<'a> {
    pub(super) inputs: &'a [PathBuf],
    /// The flag, and what stands behind it: files or directories of Kubernetes objects.
    pub(super) objects: &'a [(&'a str, &'a [PathBuf])],
}

/// What makes two paths one place.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Stdout,
    File(Identity),
    /// Where nothing is yet, or where the system tells files apart by their paths alone.
    Path(PathBuf),
}

/// Refuses to write two outputs to one place, and to write over what is read.
pub(super) fn check(written: &[Written<'_>], reads: &Reads<'_>) -> Result<()> {
    let mut places: Vec<(&Written<'_>, Place)> = Vec::new();
    for output in written {
        let Some(place) = place(output.path) else { continue };
        if let Some((twin, _)) = places.iter().find(|(_, other)| *other == place) {
            if place == Place::Stdout {
                bail!(
                    "{}: only one output can go to standard output: give the others a file, as in -o csv=connections.csv",
                    output.typed
                );
            }
            bail!("{} and {} are one place: give each output its own", twin.typed, output.typed);
        }
        places.push((output, place));
    }
    for (output, _) in places.iter().filter(|(output, _)| output.is_directory) {
        let within = absolute(output.path);
        let is_swept = |other: &&Written<'_>| {
            let is_yaml = other.path.extension().is_some_and(|ending| ending == "yaml");
            let other_path = absolute(other.path);
            other_path != within
                && other_path.starts_with(&within)
                && (other.is_directory || is_yaml)
        };
        if let Some(other) = written.iter().find(is_swept) {
            bail!(
                "{} and {}: kico replaces and removes its own files in a directory of policies: keep the two apart",
                output.typed,
                other.typed
            );
        }
    }
    // Mostly nothing stands there yet, and the inputs need not be looked at.
    for (output, place) in &places {
        if !output.is_directory && output.path.is_file() && *place != Place::Stdout {
            check_reads(output, place, reads)?;
        }
    }
    Ok(())
}

/// That this output, a file that exists, is nothing that is read.
fn check_reads(output: &Written<'_>, there: &Place, reads: &Reads<'_>) -> Result<()> {
    let is_it = |path: &Path| match discover::identity_of(path) {
        Some(identity) => Place::File(identity) == *there,
        None => place(path).is_some_and(|place| place == *there),
    };
    let refuse = |what: &str, path: &Path| -> Result<()> {
        bail!("{}: would overwrite {what} {}", output.typed, path.display())
    };
    for path in reads.inputs {
        if !path.is_dir() {
            if is_it(path) {
                return refuse("the input", path);
            }
            continue;
        }
        let found = discover::discover(std::slice::from_ref(path));
        // A report of an earlier run that a walk finds is no log, and may be replaced.
        if let Some(source) =
            found.sources.iter().find(|source| source.is_read() && is_it(Path::new(&*source.path)))
            && !is_own(output.path)
        {
            return refuse("the input", Path::new(&*source.path));
        }
        if let Some(snapshot) = found.snapshots.iter().find(|snapshot| is_it(snapshot)) {
            return refuse("the snapshot", snapshot);
        }
    }
    for (flag, paths) in reads.objects {
        for path in *paths {
            let mut files = snapshot::files_of(path).into_iter();
            if let Some(file) = files.find(|file| is_it(file))
                && !(path.is_dir() && is_own(output.path))
            {
                return refuse(flag, &file);
            }
        }
    }
    Ok(())
}

/// Whether a report, or the rejects, of an earlier run stand there.
fn is_own(path: &Path) -> bool {
    let own = [
        csv::COLUMNS.join(",") + "\n",
        rejects::COLUMNS.join(",") + "\n",
        "{\n  \"apiVersion\": \"kico.dev/".into(),
        "apiVersion: kico.dev/".into(),
    ];
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1024).read_to_end(&mut head));
    read.is_ok() && own.iter().any(|beginning| head.starts_with(beginning.as_bytes()))
}

/// Where a path leads. `None`: to what may be written to as often as anybody likes.
fn place(path: &Path) -> Option<Place> {
    if [STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| *path == **name) {
        return Some(Place::Stdout);
    }
    match discover::identity_of(path) {
        Some(there) if discover::identity_of(Path::new("/dev/null")) == Some(there) => None,
        Some(there) => Some(Place::File(there)),
        None => Some(Place::Path(absolute(path))),
    }
}

/// The path with every link resolved that is there; what is not there yet stands behind as it was typed.
fn absolute(path: &Path) -> PathBuf {
    let here = |path: &Path| match path.as_os_str().is_empty() {
        true => fs::canonicalize("."),
        false => fs::canonicalize(path),
    };
    let mut rest = PathBuf::new();
    for ancestor in path.ancestors() {
        if let Ok(found) = here(ancestor) {
            return found.join(rest);
        }
        let Some(name) = ancestor.components().next_back() else { break };
        rest = match rest.as_os_str().is_empty() {
            true => PathBuf::from(name.as_os_str()),
            false => Path::new(name.as_os_str()).join(rest),
        };
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with a log, a snapshot, a report, policies, and ways to the log that are spelled in other words.
    fn made() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for sub in ["logs", "policies", "sub"] {
            fs::create_dir(at(sub)).unwrap();
        }
        for log in ["in.log", "logs/a.log"] {
            fs::write(at(log), "[INFO] a line\n").unwrap();
        }
        fs::write(at("logs/pods.json"), "{\"kind\": \"List\"}").unwrap();
        fs::write(at("pods.json"), "{\"kind\": \"List\"}").unwrap();
        fs::write(at("policies/a.yaml"), "kind: NetworkPolicy\n").unwrap();
        fs::write(at("old.txt"), "something else").unwrap();
        fs::write(at("logs/c.csv"), csv::COLUMNS.join(",") + "\n").unwrap();
        fs::write(at("logs/r.json"), "{\n  \"apiVersion\": \"kico.dev/v1alpha1\",\n").unwrap();
        fs::hard_link(at("in.log"), at("hard.log")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("in.log", at("soft.log")).unwrap();
            std::os::unix::fs::symlink("sub", at("way")).unwrap();
        }
        dir
    }

    /// What is said of these outputs (`FORMAT=PATH`, `--rejects=PATH`) of a run that reads `in.log`, `logs`, `pods.json`, and
    /// `policies`; paths are relative to the directory.
    #[track_caller]
    fn check_all(typed: &[&str], expected: Option<&str>) {
        let dir = made();
        let inputs = ["in.log", "logs"].map(|name| dir.path().join(name));
        let (snapshots, policies) = ([dir.path().join("pods.json")], [dir.path().join("policies")]);
        let paths: Vec<PathBuf> = (typed.iter())
            .map(|typed| match typed.split_once('=').unwrap().1 {
                "-" => PathBuf::from("-"),
                path => dir.path().join(path),
            })
            .collect();
        let written: Vec<Written<'_>> = (typed.iter().zip(&paths))
            .map(|(typed, path)| Written {
                typed: (*typed).into(),
                path,
                is_directory: typed.ends_with('/'),
            })
            .collect();
        let objects = [("--snapshot", &snapshots[..]), ("--policies", &policies[..])];
        let got = check(&written, &Reads { inputs: &inputs, objects: &objects });
        let got = got
            .err()
            .map(|error| error.to_string().replace(&format!("{}/", dir.path().display()), ""));
        assert_eq!(got.as_deref(), expected, "{typed:?}");
    }

    #[test]
    fn what_is_read_is_not_written_over() {
        for fine in ["new.csv", "old.txt", "logs/new.csv", "sub/in.log", "policies/new.json"] {
            check_all(&[&format!("csv={fine}")], None);
        }
        let refused = |path: &str, what: &str| {
            let said = format!("csv={path}: would overwrite {what}");
            check_all(&[&format!("csv={path}")], Some(&said));
            check_all(&["json=other", &format!("csv={path}")], Some(&said));
        };
        for path in ["in.log", "sub/../in.log", "./in.log", "hard.log"] {
            refused(path, "the input in.log");
        }
        #[cfg(unix)]
        refused("soft.log", "the input in.log");
        refused("logs/a.log", "the input logs/a.log");
        refused("pods.json", "--snapshot pods.json");
        refused("logs/pods.json", "the snapshot logs/pods.json");
        refused("policies/a.yaml", "--policies policies/a.yaml");
        // Reports of an earlier run beside the logs are replaced, as they always were.
        check_all(&["csv=logs/c.csv"], None);
        check_all(&["json=logs/r.json"], None);
        // What kico did not write in a directory of policies it leaves alone.
        check_all(&["netpol=policies/"], None);
    }

    #[test]
    fn two_outputs_have_two_places() {
        let refused = |one: &str, two: &str| {
            let said = format!("{one} and {two} are one place: give each output its own");
            check_all(&[one, two], Some(&said));
        };
        refused("csv=a", "json=a");
        refused("csv=a", "json=./a");
        refused("csv=a", "json=sub/../a");
        refused("csv=old.txt", "--rejects=./old.txt");
        refused("netpol=new/deep/", "cnp=./new/deep/");
        refused("netpol=sub/", "cnp=./sub/");
        #[cfg(unix)]
        {
            refused("csv=sub/a", "json=way/a");
            refused("netpol=sub/", "cnp=way/");
            refused("netpol=sub/new/", "cnp=way/new/");
        }
        check_all(&["csv=a", "json=b", "--rejects=c"], None);
        check_all(&["csv=sub/a", "json=a"], None);
        let stdout = "json=-: only one output can go to standard output: give the others a file, as in \
                      -o csv=connections.csv";
        check_all(&["csv=-", "json=-"], Some(stdout));
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_no_files() {
        check_all(&["csv=/dev/null", "json=/dev/null", "--rejects=/dev/null"], None);
        check_all(&["csv=/dev/stdout", "json=/dev/null"], None);
        let stdout = "json=/dev/stdout: only one output can go to standard output: give the others a file, as in \
                      -o csv=connections.csv";
        check_all(&["csv=-", "json=/dev/stdout"], Some(stdout));
    }

    #[test]
    fn a_directory_of_policies_is_swept() {
        let said = |one: &str, two: &str| {
            let why = "kico replaces and removes its own files in a directory of policies: keep the two apart";
            check_all(&[one, two], Some(&format!("{one} and {two}: {why}")));
        };
        said("netpol=p/", "cnp=p/cilium/");
        said("netpol=p/", "csv=./p/kustomization.yaml");
        check_all(&["netpol=p/", "csv=p/connections.csv"], None);
        check_all(&["netpol=p/", "cnp=p-cilium/"], None);
    }
}
