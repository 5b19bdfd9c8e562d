//! A file's text → the objects in it, whatever they are packed in: lists, lists of lists, one after the other, JSON
//! lines, YAML of either style. Reads them in parallel, in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::error::Category;

use super::yaml;
use crate::cluster::objects::{self, Read, Shell, masked};
use crate::threads;

/// Why a file is not read: a lower-case fragment that follows its path.
#[derive(Debug)]
pub(super) enum Fault {
    /// It holds no Kubernetes objects. The walk of a directory passes it by.
    Foreign(String),
    /// It holds some, and cannot be read: nothing is claimed from a part of it.
    Broken(String),
}

/// What was read, in pieces, in the order of the file: nothing is moved to be in one.
pub(super) type Reads = Vec<Vec<Read>>;

/// All objects of a text.
pub(super) fn read(text: &str, dns_namespaces: &[String]) -> Result<Reads, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let result = match text.trim_start().chars().next() {
        None => Err(Fault::Foreign("is empty: did `kubectl get` fail?".to_owned())),
        Some('{' | '[') => json(text, dns_namespaces),
        Some(_) => yaml::read(text, dns_namespaces),
    };
    result.map_err(|fault| match fault {
        // Every Kubernetes object bears this word.
        Fault::Broken(why) if !holds(text, "apiVersion") => Fault::Foreign(why),
        fault => fault,
    })
}

/// The objects of a JSON text, found but not read.
pub(super) fn items(text: &str) -> Result<Vec<Shell<'_>>, Fault> {
    find(text).map_err(|NoItems { fault, .. }| fault)
}

/// Why a text holds no objects that could be read.
struct NoItems {
    fault: Fault,
    /// Whether it is no JSON, and not because it is cut or nested too deep.
    is_syntax: bool,
}

fn find(text: &str) -> Result<Vec<Shell<'_>>, NoItems> {
    let mut items = Vec::new();
    for shell in objects::documents(text) {
        let shell = shell.map_err(|error| NoItems {
            fault: fault(&error),
            is_syntax: error.is_syntax() && !is_too_deep(&error),
        })?;
        let foreign = |fault| NoItems { fault, is_syntax: false };
        let mut all = flatten(shell, ("", ""), true).map_err(foreign)?;
        match items.is_empty() {
            true => items = all,
            false => items.append(&mut all),
        }
    }
    Ok(items)
}

/// Reads one object.
pub(super) fn object(item: &Shell<'_>, dns_namespaces: &[String]) -> Result<Read, Fault> {
    if objects::is_known(item.kind) && item.is_too_deep() {
        return Err(Fault::Broken(format!("a {} {TOO_DEEP}", item.kind)));
    }
    Ok(objects::read(item, dns_namespaces))
}

/// `f` of each piece of them all, in order, on as many threads as there may be. Not on rayon's: its threads may be
/// waiting for this very snapshot, with logs in their hands.
pub(super) fn parallel<T: Sync, R: Send>(all: &[T], f: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    const PIECE: usize = 32;
    // So many are read in less time than it takes to begin a thread.
    const FEW: usize = 128;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            match all.chunks(PIECE).nth(at) {
                Some(piece) => done.push((at, f(piece))),
                None => return done,
            }
        }
    };
    let others = threads::most().min(all.len() / FEW).saturating_sub(1);
    let mut done = thread::scope(|scope| {
        // Where no thread can be had, this one does it all.
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let threads: Vec<_> = (0..others).map_while(spawn).collect();
        let mut done = work();
        for thread in threads {
            match thread.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, piece)| piece).collect()
}

const TOO_DEEP: &str = "is nested deeper than any Kubernetes object: it is refused";

/// JSON; or YAML in flow style, which begins like it.
fn json(text: &str, dns_namespaces: &[String]) -> Result<Reads, Fault> {
    match find(text) {
        Ok(items) => {
            let read = |piece: &[Shell<'_>]| {
                piece.iter().map(|item| object(item, dns_namespaces)).collect()
            };
            parallel(&items, read).into_iter().collect()
        }
        Err(NoItems { fault: Fault::Broken(json), is_syntax: true })
            if holds(text, "apiVersion") && !yaml::is_too_much(text) =>
        {
            yaml::read(text, dns_namespaces).map_err(|fault| match fault {
                // Which of the two was meant, only its writer knows.
                Fault::Broken(yaml) => Fault::Broken(format!("{json}, and {yaml}")),
                foreign => foreign,
            })
        }
        Err(NoItems { fault, .. }) => Err(fault),
    }
}

/// A list's objects. Those of a `PodList` need not say that they are pods: `listed` is the kind and version that the list
/// gives them. `is_alone`: nothing but the object itself says that this is Kubernetes.
fn flatten<'a>(
    mut shell: Shell<'a>,
    listed: (&'a str, &'a str),
    is_alone: bool,
) -> Result<Vec<Shell<'a>>, Fault> {
    name(&mut shell, listed);
    let list_of = shell.kind.strip_suffix("List").filter(|_| !shell.is_array);
    let Some(mut all) = shell.items.take_if(|_| shell.is_array || list_of.is_some()) else {
        check(&shell, is_alone)?;
        return Ok(vec![shell]);
    };
    let listed = (list_of.unwrap_or_default(), shell.api);
    if all.iter().any(|item| item.items.is_some()) {
        let lists = all.into_iter().map(|item| flatten(item, listed, shell.is_array));
        return Ok(lists.collect::<Result<Vec<_>, Fault>>()?.into_iter().flatten().collect());
    }
    // Objects alone, as nearly always: they stay where they are.
    for item in &mut all {
        name(item, listed);
        check(item, shell.is_array)?;
    }
    Ok(all)
}

/// Says what kind an object is of.
fn name<'a>(shell: &mut Shell<'a>, listed: (&'a str, &'a str)) {
    (shell.kind, shell.api) = match shell.word("kind") {
        Some(kind) => (kind, shell.word("apiVersion").unwrap_or_default()),
        None => listed,
    };
}

/// Whether an object that stands alone is one of Kubernetes.
fn check(shell: &Shell<'_>, is_alone: bool) -> Result<(), Fault> {
    let foreign = match (shell.kind, shell.api) {
        _ if !is_alone => "",
        ("Config", "v1") => "is a kubeconfig, and no snapshot",
        ("Status", "v1") => "is an error of the API server, and no snapshot",
        ("", _) => "is JSON or YAML, but no Kubernetes object: it has no `kind`",
        (kind, "") if !objects::is_known(kind) => {
            "is JSON or YAML, but no Kubernetes object: it has no `apiVersion`"
        }
        _ => "",
    };
    match foreign.is_empty() {
        true => Ok(()),
        false => Err(Fault::Foreign(foreign.to_owned())),
    }
}

fn fault(error: &serde_json::Error) -> Fault {
    let place = format!("line {} column {}", error.line(), error.column());
    let what = masked(error);
    Fault::Broken(match error.classify() {
        Category::Eof => format!("ends in the middle of a value at {place}: is the file cut?"),
        _ if is_too_deep(error) => format!("at {place} {TOO_DEEP}"),
        Category::Syntax | Category::Io => format!("is no JSON at {place}: {what}"),
        Category::Data => format!("holds no Kubernetes object at {place}: {what}"),
    })
}

fn is_too_deep(error: &serde_json::Error) -> bool {
    masked(error).contains("recursion limit")
}

pub(super) fn holds(text: &str, word: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some()
}
