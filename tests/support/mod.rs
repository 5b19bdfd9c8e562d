//! What the black-box tests share: the built program, a scratch directory, and a bash that finds the program.
//! Knows nothing of kico's inside: everything here goes through the command line.

pub(crate) mod case;
pub(crate) mod checks;
pub(crate) mod readme;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program under test.
pub(crate) const KICO: &str = env!("CARGO_BIN_EXE_kico");

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Whether expectations are to be rewritten instead of checked.
pub(crate) fn blessing() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some()
}

/// A program in `dir` with an environment that is the same everywhere: `kico` itself on the PATH, no colours, no locale.
pub(crate) fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(program);
    let beside = Path::new(KICO).parent().expect("the program stands in a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .current_dir(dir)
        .env_clear()
        .env("PATH", format!("{}:{path}", beside.display()))
        .env("LC_ALL", "C")
        .env("TERM", "dumb")
        .stdin(Stdio::null());
    command
}

/// The program under test, in `dir`.
pub(crate) fn kico(dir: &Path) -> Command {
    command(KICO, dir)
}

/// A bash script in `dir`: its standard output and error together, and its exit status.
pub(crate) fn bash(script: &str, dir: &Path) -> (String, Option<i32>) {
    let output = command("bash", dir)
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .output()
        .expect("bash can be started");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

/// An empty directory in which `testdata` is the repository's.
pub(crate) fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a scratch directory can be made");
    std::os::unix::fs::symlink(root().join("testdata"), dir.path().join("testdata"))
        .expect("a link can be made");
    dir
}

/// Whether a program is on the PATH. A test that needs it says so when it is not; in CI that is a failure.
#[expect(clippy::print_stderr, reason = "cargo test shows it")]
pub(crate) fn have(program: &str) -> bool {
    let found = command("bash", &root())
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "{program} must be on the PATH");
    if !found {
        eprintln!("not tested: {program} is not installed");
    }
    found
}
