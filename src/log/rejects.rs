//! `--rejects FILE`: every line that looked like a query and could not be read, as CSV, in input order.
