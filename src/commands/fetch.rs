//! `kico fetch`: a cluster → a capture in a directory. Says what was taken, what is missing, and which Role would help.

use anyhow::{Context, Result};
use tokio::sync::watch;

use super::Exit;
use super::messages::Messages;
use crate::cli;
use crate::cluster::{corefile, snapshot};
use crate::coverage::plural;
use crate::fetch::advice::{Platform, advice};
use crate::fetch::{self, Asked, Captured, Step, Target};
use crate::progress::Tasks;
use crate::text::shell_word;

/// Runs it.
pub(super) fn run(args: &cli::Fetch, messages: &Messages) -> Result<Exit> {
    let asked = Asked {
        directory: args.directory.clone(),
        target: target(&args.target, messages),
        dns_namespaces: args.dns_namespace.clone(),
        selector: args.selector.clone(),
        since: args.since,
        follow: args.follow,
        previous: args.previous,
        force: args.force,
    };
    let tasks = if messages.is_quiet() { Tasks::hidden() } else { Tasks::visible() };
    let captured = on_the_network(|stop| {
        let tasks = &tasks;
        let said = |step: Step<'_>| match step {
            Step::Now(what) => tasks.now(what),
            Step::Log(file, bytes) => tasks.at(file, bytes),
            Step::Done(file) => tasks.done(file),
        };
        async move { fetch::fetch(&asked, stop, &said).await }
    });
    // Whatever came of it: what is said now is said on a clean screen.
    tasks.clear();
    let captured = captured?;
    let exit = say(&captured, args, messages);
    if captured.logs.is_empty() {
        return Ok(exit);
    }
    Ok(exit.min(advise(&captured, args, messages)?))
}

/// Looks at what was taken as `analyze` will, and says what keeps it from telling anything.
fn advise(captured: &Captured, args: &cli::Fetch, messages: &Messages) -> Result<Exit> {
    let snapshot = snapshot::read(&[args.directory.join("pods.json")], &args.dns_namespace)?;
    let corefile = snapshot.corefiles.first();
    let text = corefile.map_or("", |file| file.text.as_str());
    let platform = Platform::of(&captured.version, text, &captured.dns_namespace);
    let has_cache = snapshot.pods.iter().any(|pod| {
        pod.meta.labels.get("k8s-app").is_some_and(|app| app == "node-local-dns")
            && snapshot.dns_namespaces.contains(&pod.meta.namespace)
    });
    let files = captured.logs.iter().map(|(file, _)| args.directory.join(file)).collect::<Vec<_>>();
    let queries = super::gather::count(&files)?;
    let directives = corefile.map(|file| corefile::read(&file.text));
    for said in advice(platform, directives.as_ref(), queries, has_cache) {
        match queries {
            0 => messages.fault(&said),
            _ => messages.warning(&said),
        }
    }
    Ok(if queries == 0 { Exit::Partial } else { Exit::Done })
}

/// Which cluster. That its certificate is not looked at is said each time.
pub(super) fn target(args: &cli::Target, messages: &Messages) -> Target {
    if args.insecure_skip_tls_verify {
        messages.warning("the API server's certificate is not verified");
    }
    Target {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        insecure: args.insecure_skip_tls_verify,
    }
}

/// Runs what talks to a cluster. The first Ctrl-C (or SIGTERM) asks it to end; the second ends the process, and leaves nothing half written.
pub(super) fn on_the_network<T, F: Future<Output = Result<T>>>(
    work: impl FnOnce(watch::Receiver<bool>) -> F,
) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let (asked, stop) = watch::channel(false);
    let done = runtime.block_on(async move {
        tokio::spawn(async move {
            loop {
                signal().await;
                if asked.send_replace(true) {
                    crate::files::exit_clean(130);
                }
            }
        });
        work(stop).await
    });
    // A credential plugin that hangs is not waited for.
    runtime.shutdown_background();
    done
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}

fn say(captured: &Captured, args: &cli::Fetch, messages: &Messages) -> Exit {
    if captured.interrupted && args.follow.is_none() {
        messages.fault(match args.force {
            true => "interrupted: nothing was written, and the capture that was to be replaced may be gone",
            false => "interrupted: nothing was written",
        });
        return Exit::Interrupted;
    }
    for missed in &captured.missed {
        messages.fault(&format!("{}: {}", missed.what, missed.why));
    }
    if captured.missed.iter().any(|missed| missed.forbidden) {
        messages.note("what is forbidden is missing in the capture; deploy/fetch-role.yaml in kico's repository is the Role that grants all of it");
    }
    captured.notes.iter().for_each(|note| messages.note(note));
    let place = args.directory.display();
    let bytes: u64 = captured.logs.iter().map(|(_, bytes)| bytes).sum();
    let objects: usize = captured.objects.values().sum();
    messages.note(&format!(
        "{} ({bytes} bytes) in {place}/logs, {} in {place}/pods.json",
        plural(captured.logs.len() as u64, "log", "logs"),
        plural(objects as u64, "object", "objects"),
    ));
    messages.note(&match args.directory.as_os_str() == "." {
        true => "next: kico analyze logs/*.txt --snapshot pods.json".to_owned(),
        false => format!("next: kico analyze {}", shell_word(&place.to_string())),
    });
    match (captured.interrupted, captured.missed.is_empty()) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::Partial,
    }
}
