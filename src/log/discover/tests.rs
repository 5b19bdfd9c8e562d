use super::*;

const LINE: &str =
    "[INFO] 10.1.0.9:4000 - 7 \"A IN shop.example. udp 30 false 512\" NOERROR qr 62 0.1s\n";
const OBJECT: &str = "{\"apiVersion\": \"v1\", \"items\": []}";

struct Dir(tempfile::TempDir);

impl Dir {
    fn new(files: &[(&str, &[u8])]) -> Dir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Dir(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Finds, and shows `path: how` a line, the directory's own name left out.
    fn find(&self, names: &[&str]) -> (Vec<String>, Found) {
        let arguments: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        let mut found = discover(&arguments);
        let top = format!("{}/", self.0.path().display());
        let rows = found.sources.iter().map(|source| {
            let how = match &source.way {
                Way::Chunks(_) => "chunks",
                Way::Whole(_) => "whole",
                Way::Memory(_) => "memory",
                Way::Pipe => "pipe",
                Way::Foreign(what) => what,
                Way::Unreadable(why) => why.split_once(',').map_or(why.as_str(), |w| w.0),
            };
            format!("{}: {how}", source.path.replace(&top, ""))
        });
        let rows = rows.collect();
        for text in found.notes.iter_mut().chain(&mut found.errors) {
            *text = text.replace(&top, "");
        }
        (rows, found)
    }
}

#[test]
fn a_directory_is_walked_in_byte_order_without_what_is_hidden() {
    let line = LINE.as_bytes();
    let dir = Dir::new(&[
        ("logs/b.txt", line),
        ("logs/a/z.txt", line),
        ("logs/a-b.txt", line),
        ("logs/B.txt", line),
        ("logs/.hidden", line),
        ("logs/.git/x", line),
        ("logs/deep/pods.json", OBJECT.as_bytes()),
        ("logs/pods.json", OBJECT.as_bytes()),
        ("logs/empty", b""),
        ("logs/x.gz", &[0x1f, 0x8b, 8, 0]),
    ]);
    let (rows, found) = dir.find(&["logs"]);
    assert_eq!(
        rows,
        [
            "logs/B.txt: chunks",
            "logs/a-b.txt: chunks",
            "logs/a/z.txt: chunks",
            "logs/b.txt: chunks",
            "logs/deep/pods.json: a Kubernetes object",
            "logs/empty: whole",
            "logs/x.gz: whole",
        ]
    );
    assert_eq!(found.snapshots, [dir.path("logs/pods.json")]);
    assert!(found.errors.is_empty() && found.notes.is_empty(), "{found:?}");
}

#[test]
fn a_named_object_is_an_error_that_names_the_flag() {
    let dir = Dir::new(&[("pods.json", OBJECT.as_bytes()), ("a.txt", LINE.as_bytes())]);
    let (rows, found) = dir.find(&["pods.json", "a.txt"]);
    assert_eq!(rows, ["a.txt: chunks"]);
    assert_eq!(
        found.errors,
        ["pods.json: a Kubernetes object, not a log; give it with --snapshot pods.json"]
    );
}

#[test]
fn one_file_counts_once_and_that_is_said() {
    let dir = Dir::new(&[("logs/b.txt", LINE.as_bytes())]);
    fs::hard_link(dir.path("logs/b.txt"), dir.path("logs/c.txt")).unwrap();
    let (rows, found) = dir.find(&["logs/b.txt", "logs", "logs/b.txt"]);
    assert_eq!(rows, ["logs/b.txt: chunks"]);
    let mut notes = found.notes;
    notes.sort();
    assert_eq!(
        notes,
        [
            "logs/b.txt: given twice, counted once",
            "logs/c.txt: the same file as logs/b.txt, counted once",
        ]
    );
}

#[cfg(unix)]
#[test]
fn links_to_files_are_followed_and_loops_survived() {
    use std::os::unix::fs::symlink;
    let dir = Dir::new(&[("real/a.txt", LINE.as_bytes()), ("logs/b.txt", LINE.as_bytes())]);
    symlink(dir.path("real/a.txt"), dir.path("logs/link.txt")).unwrap();
    symlink(dir.path("logs"), dir.path("logs/up")).unwrap();
    symlink(dir.path("logs/nowhere"), dir.path("logs/dangling")).unwrap();
    symlink(dir.path("logs/loop"), dir.path("logs/loop")).unwrap();
    let (rows, found) = dir.find(&["logs"]);
    assert_eq!(
        rows,
        [
            "logs/b.txt: chunks",
            "logs/dangling: no such file or directory (os error 2)",
            "logs/link.txt: chunks",
            "logs/loop: too many levels of symbolic links (os error 40)",
        ]
    );
    assert_eq!(found.notes, ["logs/up: a link to a directory, not followed"]);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_named_and_the_rest_goes_on() {
    let dir = Dir::new(&[("a.txt", LINE.as_bytes()), ("x.xz", b"\xfd7zXZ\0rest")]);
    let (rows, _) = dir.find(&["missing", "a.txt", "x.xz", "/dev/zero", "logs/"]);
    assert_eq!(
        rows,
        [
            "/dev/zero: a character device",
            "a.txt: chunks",
            "logs/: no such file or directory (os error 2)",
            "missing: no such file or directory (os error 2)",
            "x.xz: xz-compressed",
        ]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn proc_files_are_read_though_they_say_they_are_empty() {
    let found = discover(&["/proc/self/status".into()]);
    assert!(matches!(found.sources[0].way, Way::Whole(_)), "{found:?}");
}
