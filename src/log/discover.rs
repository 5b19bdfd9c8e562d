//! What the user named → what there is to read, sorted by path. It looks at first bytes and at nothing else, prints
//! nothing, and opens no pipe: a pipe can be read only once.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ident;
use super::sniff::{self, Kind};
use super::stream::Place;

#[cfg(test)]
mod tests;

/// What was found. Paths in the texts stand as they are: print them through `text`.
#[derive(Debug, Default)]
pub struct Found {
    /// What to read, and what cannot be read, sorted by path.
    pub sources: Vec<Source>,
    /// The `pods.json` at the top of a directory that was named: a snapshot to add to those given.
    pub snapshots: Vec<PathBuf>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What the user must correct before anything is read.
    pub errors: Vec<String>,
}

/// One input.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path as the user typed it, or as the walk of a directory they typed found it; `-` for standard input.
    pub path: Arc<str>,
    pub(crate) place: Place,
    /// Named by the user, not found by a walk.
    pub(crate) named: bool,
    pub(crate) way: Way,
}

impl Source {
    /// Whether it is read, or would be if it could: what a walk takes for something else is not.
    pub fn is_read(&self) -> bool {
        !matches!(self.way, Way::Foreign(_))
    }

    /// Which of this many shards it belongs to, from 0: decided by its path alone, the same on every machine.
    pub fn shard(&self, shards: std::num::NonZeroU32) -> u32 {
        let shard = ident::id(&self.path, 0, 0) % u64::from(shards.get());
        u32::try_from(shard).unwrap_or(0)
    }
}

#[cfg(feature = "fetch")]
impl Source {
    /// A log that is in memory already; `path` stands for it in reports.
    pub fn memory(path: &str, bytes: Vec<u8>) -> Source {
        let bytes = Arc::from(bytes);
        Source { path: path.into(), place: Place::Stdin, named: false, way: Way::Memory(bytes) }
    }
}

/// How a source is read.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// It is here already.
    #[cfg_attr(not(feature = "fetch"), expect(dead_code, reason = "only what was fetched is"))]
    Memory(Arc<[u8]>),
    /// A plain file: in chunks, all of them at once.
    Chunks(Stat),
    /// A compressed file, a tally, or a file that does not know its size: from its beginning to its end.
    Whole(Stat),
    /// A pipe, from its beginning to its end; Ctrl-C may end it sooner.
    Pipe,
    /// Not at all: it is no query log.
    Foreign(&'static str),
    /// Not at all: it cannot be read.
    Unreadable(String),
}

/// A regular file as it was when it was found: this much of it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub size: u64,
    pub modified: Option<std::time::SystemTime>,
    pub identity: Option<Identity>,
}

/// Device and inode: two paths with the same are one file.
pub type Identity = (u64, u64);

impl Stat {
    pub(crate) fn of(meta: &Metadata) -> Stat {
        Stat { size: meta.len(), modified: meta.modified().ok(), identity: identity(meta) }
    }
}

#[cfg(unix)]
fn identity(meta: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<Identity> {
    None
}

/// Finds what the arguments name: files, `-`, pipes, and the files in directories.
pub fn discover(arguments: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let mut files: Vec<(PathBuf, bool)> = Vec::new();
    for argument in arguments {
        let is_dir = !is_stdin(argument) && fs::metadata(argument).is_ok_and(|meta| meta.is_dir());
        if is_dir {
            let before = files.len() + found.sources.len() + found.snapshots.len();
            walk(argument, &mut files, &mut found);
            if files.len() + found.sources.len() + found.snapshots.len() == before {
                found.notes.push(format!("{}: no file in this directory", shown(argument)));
            }
        } else {
            files.push((argument.clone(), true));
        }
    }
    // What was named wins over the same path found by a walk.
    files.sort_by(|a, b| bytes(&a.0).cmp(bytes(&b.0)).then(b.1.cmp(&a.1)));
    let mut seen = HashMap::new();
    for (path, named) in files {
        look(path, named, &mut seen, &mut found);
    }
    found.sources.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    found
}

/// Device and inode of what a path leads to, of standard input too. `None`: nothing is there, or the system has none.
pub fn identity_of(path: &Path) -> Option<Identity> {
    let meta = if is_stdin(path) { stdin_metadata() } else { fs::metadata(path) };
    identity(&meta.ok()?)
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

fn is_stdin(path: &Path) -> bool {
    ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].iter().any(|name| *path == **name)
}

/// The path as text. One that is no UTF-8 is escaped, so that two of them stay two.
fn shown(path: &Path) -> String {
    match path.to_str() {
        Some(path) => path.to_owned(),
        None => crate::text::terminal_bytes(bytes(path)),
    }
}

/// An error of the system as a fragment for people.
pub(crate) fn why(err: &io::Error) -> String {
    let text = err.to_string();
    let mut chars = text.chars();
    // "No such file" is said in the middle of a sentence; "EOF" stays as it is.
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_ascii_lowercase() || second == ' ' => {
            format!("{}{}", first.to_ascii_lowercase(), chars.as_str())
        }
        _ => text,
    }
}

/// Collects the files below a directory. Hidden entries are skipped; links to files are followed, links to
/// directories are not, so that no loop can be entered.
fn walk(top: &Path, files: &mut Vec<(PathBuf, bool)>, found: &mut Found) {
    let mut directories = vec![top.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(err) => {
                found.unreadable(&directory, why(&err));
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(err) => {
                    found.unreadable(&directory, why(&err));
                    break;
                }
            };
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() && is_link => {
                    let path = shown(&path);
                    found.notes.push(format!("{path}: a link to a directory, not followed"));
                }
                Ok(meta) if meta.is_dir() => directories.push(path),
                Ok(meta) if !meta.is_file() => {
                    found.notes.push(format!("{}: {}, not read", shown(&path), special(&meta)));
                }
                Ok(_) if directory == *top && entry.file_name() == "pods.json" => {
                    found.snapshots.push(path);
                }
                Ok(_) => files.push((path, false)),
                Err(err) => found.unreadable(&path, why(&err)),
            }
        }
    }
}

/// What a thing that is neither a file nor a directory is.
fn special(meta: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = meta.file_type();
        if kind.is_fifo() {
            return "a pipe";
        } else if kind.is_char_device() {
            return "a character device";
        } else if kind.is_block_device() {
            return "a block device";
        } else if kind.is_socket() {
            return "a socket";
        }
    }
    let _ = meta;
    "no regular file"
}

impl Found {
    fn unreadable(&mut self, path: &Path, problem: String) {
        self.add(path, false, Way::Unreadable(problem));
    }

    fn add(&mut self, path: &Path, named: bool, way: Way) {
        let place = if is_stdin(path) { Place::Stdin } else { Place::Path(path.to_owned()) };
        self.sources.push(Source { path: shown(path).into(), place, named, way });
    }
}

/// What makes two arguments one input.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Stdin,
    File(Identity),
    Path(PathBuf),
}

/// Decides how one path is read.
fn look(path: PathBuf, named: bool, seen: &mut HashMap<Key, PathBuf>, found: &mut Found) {
    let is_stdin = is_stdin(&path);
    let meta = if is_stdin { stdin_metadata() } else { fs::metadata(&path) };
    let meta = match meta {
        Ok(meta) => meta,
        Err(err) => return found.add(&path, named, Way::Unreadable(why(&err))),
    };
    let key = match identity(&meta) {
        Some(identity) => Key::File(identity),
        None if is_stdin => Key::Stdin,
        None => Key::Path(path.clone()),
    };
    if let Some(first) = seen.get(&key) {
        let (path, first) = (shown(&path), shown(first));
        // A walk that meets what was named is no news.
        if path != first {
            found.notes.push(format!("{path}: the same file as {first}, counted once"));
        } else if named {
            found.notes.push(format!("{path}: given twice, counted once"));
        }
        return;
    }
    seen.insert(key, path.clone());
    let way = if is_stdin {
        stdin_way(&meta, found)
    } else if meta.is_file() {
        file_way(&path, &meta)
    } else if is_pipe(&meta) {
        Way::Pipe
    } else {
        Way::Unreadable(special(&meta).into())
    };
    match way {
        Way::Foreign(what) if named => {
            let path = shown(&path);
            let word = crate::text::shell_word(&path);
            found.errors.push(format!("{path}: {what}, not a log; give it with --snapshot {word}"));
        }
        way => found.add(&path, named, way),
    }
}

#[cfg(unix)]
fn is_pipe(meta: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    meta.file_type().is_fifo()
}

#[cfg(not(unix))]
fn is_pipe(_: &Metadata) -> bool {
    false
}

#[cfg(unix)]
fn stdin_metadata() -> io::Result<Metadata> {
    use std::os::fd::AsFd;
    File::from(io::stdin().as_fd().try_clone_to_owned()?).metadata()
}

#[cfg(windows)]
fn stdin_metadata() -> io::Result<Metadata> {
    use std::os::windows::io::AsHandle;
    File::from(io::stdin().as_handle().try_clone_to_owned()?).metadata()
}

fn stdin_way(meta: &Metadata, found: &mut Found) -> Way {
    use io::IsTerminal;
    if io::stdin().is_terminal() {
        found.notes.push("reading the log from the terminal; end it with Ctrl-D".into());
        return Way::Pipe;
    }
    match special(meta) {
        _ if meta.is_dir() => Way::Unreadable("is a directory".into()),
        // /dev/zero has no end.
        device @ ("a character device" | "a block device") => Way::Unreadable(device.into()),
        _ => Way::Pipe,
    }
}

fn file_way(path: &Path, meta: &Metadata) -> Way {
    let stat = Stat::of(meta);
    match first_bytes(path) {
        Err(err) => Way::Unreadable(why(&err)),
        // /proc says that its files are empty.
        Ok(_) if stat.size == 0 => Way::Whole(stat),
        Ok(head) => match sniff::kind(&head) {
            Kind::Log => Way::Chunks(stat),
            Kind::Gzip | Kind::Zstd | Kind::Tally => Way::Whole(stat),
            Kind::Kubernetes => Way::Foreign("a Kubernetes object"),
            Kind::Refused(why) => Way::Unreadable(why.into()),
        },
    }
}

fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(sniff::PEEK as u64).read_to_end(&mut head)?;
    Ok(head)
}
