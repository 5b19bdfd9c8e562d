//! Files that kico writes: beside their place, and renamed when they are whole. Whoever looks at a final name finds
//! the old content or all of the new, whatever happens in between: a full disk, Ctrl-C, a crash.
//! It never replaces what is no regular file: pipes, `/dev/stdout` and the like are written to as they stand.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;

/// Writes a whole file beside its place and renames it. If anything fails, the place is as it was before.
pub fn write_beside(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = Beside::create(path)?;
    write(&mut out).with_context(|| cannot_write(path))?;
    out.commit()
}

/// A file on its way to its place. Dropped without [`Beside::commit`] it leaves nothing behind.
pub struct Beside {
    out: BufWriter<Out>,
    path: PathBuf,
    temporary: Option<Temporary>,
}

/// Where the bytes go.
enum Out {
    File(File),
    Stdout(io::Stdout),
}

impl Beside {
    /// Begins a file. Fails at once, before any long work, if it cannot be made there.
    pub fn create(path: &Path) -> anyhow::Result<Beside> {
        let made = if is_direct(path) { direct(path) } else { beside(path) };
        made.with_context(|| cannot_write(path))
    }

    /// Begins a file that only its owner may read, where none is: not even a link may stand there.
    pub fn create_private(path: &Path) -> anyhow::Result<Beside> {
        let made = match fs::symlink_metadata(path) {
            Ok(_) => Err(io::Error::from(io::ErrorKind::AlreadyExists)),
            Err(_) => {
                Temporary::create(path.to_owned(), Mode::Private).map(|made| whole(path, made))
            }
        };
        made.with_context(|| cannot_write(path))
    }

    /// Puts the finished file into its place.
    pub fn commit(mut self) -> anyhow::Result<()> {
        self.settle().with_context(|| cannot_write(&self.path))
    }

    fn settle(&mut self) -> io::Result<()> {
        self.out.flush()?;
        let Some(temporary) = &mut self.temporary else { return Ok(()) };
        // Some file systems report a full disk no sooner than here.
        if let Out::File(file) = self.out.get_ref() {
            file.sync_all()?;
        }
        temporary.rename()?;
        // The rename is on the disk when the directory is. Not every file system can do that, and the file is whole
        // either way.
        if let Ok(directory) = File::open(parent(&temporary.target)) {
            let _ = directory.sync_all();
        }
        Ok(())
    }
}

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Out::File(file) => file.write(bytes),
            Out::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::File(file) => file.flush(),
            Out::Stdout(stdout) => stdout.flush(),
        }
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Whether the path leads to something that must not be replaced by a regular file.
fn is_direct(path: &Path) -> bool {
    // A redirected /dev/stdout *is* a regular file, and still not ours to replace.
    path.starts_with("/dev")
        || path.starts_with("/proc")
        || fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

fn direct(path: &Path) -> io::Result<Beside> {
    let is_stdout = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|p| *path == **p);
    let out = if is_stdout {
        Out::Stdout(io::stdout())
    } else {
        Out::File(OpenOptions::new().append(true).open(path)?)
    };
    Ok(Beside { out: BufWriter::new(out), path: path.to_owned(), temporary: None })
}

fn beside(path: &Path) -> io::Result<Beside> {
    // A link keeps leading to the file: what it leads to is replaced, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = fs::metadata(&target).ok();
    if old.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if target.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no file name"));
    }
    let (temporary, file) = Temporary::create(target, Mode::Usual)?;
    if let Some(old) = old {
        // Who could not read the old file cannot read the new one.
        file.set_permissions(old.permissions())?;
    }
    Ok(whole(path, (temporary, file)))
}

fn whole(path: &Path, (temporary, file): (Temporary, File)) -> Beside {
    let out = BufWriter::with_capacity(1 << 16, Out::File(file));
    Beside { out, path: path.to_owned(), temporary: Some(temporary) }
}

/// Who may read a new file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Whoever the umask lets.
    Usual,
    /// Its owner.
    Private,
}

impl Mode {
    fn options(self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if self == Mode::Private {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        options
    }
}

/// Makes a directory that only its owner may look into, with those above it; one that is there stays as it is.
pub fn private_directory(path: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| cannot_write(path))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The temporaries that exist now: what an interrupt has to remove.
static TEMPORARIES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn temporaries() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process at once, with nothing half written left behind.
pub fn exit_clean(status: i32) -> ! {
    // The lock is held to the end, so that no other thread makes a new one in between.
    let held = temporaries();
    for path in held.iter() {
        let _ = fs::remove_file(path);
    }
    std::process::exit(status)
}

/// A temporary file's name; the file goes when this is dropped.
struct Temporary {
    path: PathBuf,
    target: PathBuf,
}

impl Temporary {
    fn create(target: PathBuf, mode: Mode) -> io::Result<(Temporary, File)> {
        let mut held = temporaries();
        for number in 0u32.. {
            // A hidden name: no walk over a directory takes it for a log.
            let name = format!(".kico-{}-{number}.tmp", std::process::id());
            let path = parent(&target).join(name);
            match mode.options().open(&path) {
                Ok(file) => {
                    held.insert(path.clone());
                    return Ok((Temporary { path, target }, file));
                }
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                Err(err) => return Err(err),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }

    /// Moves the file to its target, where no interrupt will remove it.
    fn rename(&mut self) -> io::Result<()> {
        let mut held = temporaries();
        fs::rename(&self.path, &self.target)?;
        held.remove(&self.path);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let mut held = temporaries();
        if held.remove(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_and_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.csv");
        write_beside(&path, |w| w.write_all(b"one")).unwrap();
        write_beside(&path, |w| w.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["report.csv"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.csv");
        fs::write(&path, "old").unwrap();
        let failed = write_beside(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let text = format!("{:#}", failed.unwrap_err());
        assert!(text.starts_with("cannot write ") && text.contains("report.csv"), "{text}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["report.csv"]);
    }

    #[test]
    fn where_nothing_can_be_written_is_said_before_the_work() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Beside::create(&dir.path().join("missing/report.csv")).is_err());
        assert!(Beside::create(dir.path()).is_err());
        assert!(Beside::create(Path::new("")).is_err());
        assert!(Beside::create(Path::new("/")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("a.csv"), dir.path().join("link.csv"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&path, &link).unwrap();
        write_beside(&link, |w| w.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_are_written_to_not_replaced() {
        use std::os::unix::fs::FileTypeExt;
        write_beside(Path::new("/dev/null"), |w| w.write_all(b"gone")).unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        let full = write_beside(Path::new("/dev/full"), |w| w.write_all(b"x"));
        assert!(full.is_err(), "a full disk is no success");
    }
}
