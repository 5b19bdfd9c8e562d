//! `--since` and `--until`: RFC 3339 or a date, in UTC. A duration is refused: kico knows no clock, so that the same
//! logs give the same report on any day.

use anyhow::{Result, bail};

use crate::log::Window;
use crate::time::{self, Time};

/// Reads both ends.
pub(super) fn parse(since: Option<&str>, until: Option<&str>) -> Result<Window> {
    let end = |flag: &str, text: Option<&str>| text.map(|t| moment(flag, t)).transpose();
    let window = Window { since: end("--since", since)?, until: end("--until", until)? };
    if let (Some(since), Some(until)) = (window.since, window.until)
        && since >= until
    {
        bail!("--since is not before --until: nothing can lie between");
    }
    Ok(window)
}

fn moment(flag: &str, text: &str) -> Result<Time> {
    if let Some(time) = time::parse(text).or_else(|| time::parse(&format!("{text}T00:00:00Z"))) {
        return Ok(time);
    }
    let duration = text.ends_with(['s', 'm', 'h', 'd', 'w'])
        && text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if duration {
        bail!(
            "{flag} {text}: a duration says another thing each day, and these logs are read offline: \
             give a time, as in 2026-03-14T08:00:00Z, or a date"
        );
    }
    bail!("{flag} {text}: no time: give RFC 3339, as in 2026-03-14T08:00:00Z, or a date (UTC)");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(since: Option<&str>, until: Option<&str>, expected: &str) {
        let got = match parse(since, until) {
            Ok(w) => format!("{:?} {:?}", w.since.map(time::format), w.until.map(time::format)),
            Err(error) => error.to_string(),
        };
        assert!(got.contains(expected), "{got}");
    }

    #[test]
    fn window_bounds() {
        check(None, None, "None None");
        check(Some("2026-03-14"), None, r#"Some("2026-03-14T00:00:00Z")"#);
        check(Some("2026-03-14T02:00:00+02:00"), None, r#"Some("2026-03-14T00:00:00Z")"#);
        check(None, Some("2026-03-14T00:00:00.5Z"), r#"Some("2026-03-14T00:00:00.5Z")"#);
        check(Some("1h"), None, "a duration says another thing each day");
        check(Some("yesterday"), None, "no time");
        check(Some("2026-03-15"), Some("2026-03-14"), "not before");
    }
}
