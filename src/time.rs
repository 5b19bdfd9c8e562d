//! Moments: nanoseconds since 1970 in UTC, as one `i64`. Reads and writes RFC 3339.
//! It knows no clock: nothing in kico asks what time it is now.

/// Nanoseconds since 1970-01-01T00:00:00Z. Covers the years 1677 to 2262.
pub type Time = i64;

/// One second, in nanoseconds.
pub const SECOND: Time = 1_000_000_000;

/// Reads an RFC 3339 time, such as Kubernetes writes (`2026-03-14T23:59:55Z`). `None` if it is none.
pub fn parse(text: &str) -> Option<Time> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(stamp.as_nanosecond()).ok()
}

/// RFC 3339 in UTC, whole seconds, rounded down: what reports show.
pub fn seconds(time: Time) -> String {
    format(time.div_euclid(SECOND) * SECOND)
}

/// RFC 3339 in UTC with as many decimals as the time has: what a tally keeps.
pub fn format(time: Time) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time)) {
        Ok(stamp) => stamp.to_string(),
        Err(_) => String::new(),
    }
}
