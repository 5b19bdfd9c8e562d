//! What could not be compared, and why an absence may prove nothing: in words, safe to print.

use super::{About, Diff, Rate};
use crate::coverage::plural;
use crate::time::seconds;

/// A side that covers less than this part of the other is much shorter.
const SHORTER: u64 = 2;
const NO_TIMES: &str = "has no times to go by";

/// All of them, what weighs most first.
pub(super) fn of(diff: &Diff) -> Vec<String> {
    let mut out = Vec::new();
    let (old, new) = (&diff.old, &diff.new);
    if !old.whole {
        out.push(
            "OLD was not read whole: what appeared may have been there, in what is missing".into(),
        );
    }
    if !new.whole {
        out.push("NEW was not read whole: what vanished may be there, in what is missing".into());
    }
    outcomes(diff, &mut out);
    windows(diff, &mut out);
    if diff.by_server {
        let side = match (old.snapshot, new.snapshot) {
            (false, false) => "Neither side has",
            (false, true) => "OLD does not have",
            _ => "NEW does not have",
        };
        out.push(format!(
            "{side} a snapshot: clients cannot be told apart, and servers alone are compared"
        ));
        if diff.unanswered > 0 {
            out.push(format!(
                "{} not compared: no line says whether it was answered, and only a snapshot tells such a server",
                plural(diff.unanswered, "server of one side is", "servers of one side are"),
            ));
        }
        if diff.uncounted > 0 {
            out.push(format!(
                "{} not compared: a pod was asked for by several, of which one was another pod's too",
                plural(
                    diff.uncounted,
                    "address was asked for at most as often as it counts, and its rate is",
                    "addresses were asked for at most as often as they count, and their rates are"
                ),
            ));
        }
    } else if old.unresolved + new.unresolved > 0 {
        out.push(format!(
            "Clients that are no workload of the snapshot are compared as one row a server: {} of OLD, {} of NEW",
            old.unresolved, new.unresolved
        ));
    }
    let doubtful = diff.appeared.iter().chain(&diff.vanished).filter(|row| row.doubtful).count();
    if doubtful > 0 {
        out.push(format!(
            "{} with a ?: the other side has that server too, and one of the two clients is no known workload: it may \
             be the same",
            plural(doubtful as u64, "row", "rows"),
        ));
    }
    for (side, about) in [("OLD", old), ("NEW", new)] {
        if about.is_report {
            out.push(format!(
                "{side} is a report: with which filters, thresholds and window it was made is not written in it"
            ));
        }
    }
    out
}

/// A query of which no line says whether it was answered makes no connection, but to what a snapshot has.
fn outcomes(diff: &Diff, out: &mut Vec<String>) {
    let [old, new] = diff.unlisted;
    for (side, about, what, other, unlisted) in
        [("OLD", &diff.old, "appeared", "NEW", old), ("NEW", &diff.new, "vanished", "OLD", new)]
    {
        if about.unsaid == 0 {
            continue;
        }
        let queries = plural(about.unsaid, "query", "queries");
        let not_compared = match unlisted {
            0 => String::new(),
            _ => format!(
                ", and {} not compared",
                plural(
                    unlisted,
                    &format!("row that only {other} has is"),
                    &format!("rows that only {other} has are")
                )
            ),
        };
        out.push(format!(
            "Whether {queries} of {side} succeeded is not known: what {what} may have been answered there{not_compared}"
        ));
    }
}

fn windows(diff: &Diff, out: &mut Vec<String>) {
    let (old, new) = (&diff.old, &diff.new);
    for (side, about, what) in [("OLD", old, "appeared"), ("NEW", new, "vanished")] {
        if about.is_emptied() {
            out.push(format!(
                "No record of {side} is in the window that was asked for: what {what} may be there, outside of it"
            ));
        }
    }
    if let Rate::Share(_) = diff.rate {
        let sides = [("OLD", old), ("NEW", new)].into_iter();
        let why = sides.filter_map(|(side, about)| Some(format!("{side} {}", no_rate(about)?)));
        let why = why.collect::<Vec<_>>().join(", ");
        if why.contains(NO_TIMES) {
            out.push(format!(
                "{why}: rates are shares of all lookups, and how long the sides are is not known"
            ));
        } else if !why.is_empty() {
            out.push(format!("{why}: rates are shares of all lookups"));
        }
        return;
    }
    if let (Some(a), Some(b)) = (old.window(), new.window()) {
        if b < a / SHORTER {
            out.push(format!(
                "NEW covers {}, OLD {}: what vanished may not have been seen yet",
                span(b),
                span(a)
            ));
        }
        if a < b / SHORTER {
            out.push(format!(
                "OLD covers {}, NEW {}: what appeared may only have been missed before",
                span(a),
                span(b)
            ));
        }
    }
    if let (Some(a), Some(b)) = (old.seen, new.seen)
        && b.1 < a.0
    {
        out.push(format!(
            "NEW ends at {}, before OLD begins at {}: are the two the wrong way round?",
            seconds(b.1),
            seconds(a.0)
        ));
    }
}

/// Why a side says nothing by the hour, unless that is because nothing of it is left.
fn no_rate(about: &About) -> Option<&'static str> {
    match (about.window(), about.seen) {
        (Some(_), _) => None,
        (None, _) if about.is_emptied() => None,
        (None, Some(_)) if about.is_timed() => Some("is all of one second"),
        _ => Some(NO_TIMES),
    }
}

/// A time span for people, in its largest unit that is at least two.
fn span(of: u64) -> String {
    for (unit, one, many) in
        [(86_400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes")]
    {
        if of >= 2 * unit {
            return plural(of / unit, one, many);
        }
    }
    plural(of, "second", "seconds")
}
