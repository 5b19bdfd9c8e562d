//! README.md as tests: each ```` ```console ```` block is run as a shell would from the repository root, `$ ` lines as
//! commands and the rest as what a terminal then shows; in ```` ```sh ```` blocks, `cargo run --release -- …` is run too.

use super::{bash, checks, scratch};

/// What running the whole text gave.
pub(crate) struct Checked {
    /// How many commands were run.
    pub(crate) commands: usize,
    /// What is not as the text says.
    pub(crate) complaints: Vec<String>,
    /// The text, with what the commands really show.
    pub(crate) rewritten: String,
}

/// Runs every block. All blocks share one scratch directory, in which `testdata` is the repository's.
pub(crate) fn check(text: &str) -> Checked {
    let dir = scratch();
    let mut checked = Checked { commands: 0, complaints: Vec::new(), rewritten: String::new() };
    let mut lines = text.lines().peekable();
    let mut fence = None;
    while let Some(line) = lines.next() {
        checked.rewritten.push_str(line);
        checked.rewritten.push('\n');
        if let Some(language) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language.to_owned()) };
            continue;
        }
        if let (Some("sh"), Some(arguments)) =
            (fence.as_deref(), line.strip_prefix("cargo run --release -- "))
        {
            checked.commands += 1;
            let (output, exit) = bash(&format!("kico {arguments}"), dir.path());
            if exit != Some(0) {
                checked.complaints.push(format!("{line}\n      exit {exit:?}: {output}"));
            }
        }
        if let (Some("console"), Some(command)) = (fence.as_deref(), line.strip_prefix("$ ")) {
            let mut expected = String::new();
            while let Some(next) =
                lines.next_if(|next| !next.starts_with("$ ") && !next.starts_with("```"))
            {
                expected.push_str(next);
                expected.push('\n');
            }
            checked.commands += 1;
            let (output, exit) = bash(command, dir.path());
            if exit != Some(0) {
                checked.complaints.push(format!("{command}\n      exit {exit:?}"));
            }
            checked.complaints.extend(checks::same(
                command,
                expected.as_bytes(),
                output.as_bytes(),
            ));
            checked.rewritten.push_str(&output);
        }
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_run_and_rewritten() {
        let text = "a\n```console\n$ echo one\none\n$ echo two\nthree\n```\n```sh\nfalse\n```\n";
        let checked = check(text);
        assert_eq!(checked.commands, 2);
        assert_eq!(checked.complaints.len(), 1);
        assert_eq!(checked.rewritten, text.replace("three", "two"));
    }
}
