//! The rows of a view, and what is taken away from them: by `--min-queries`, by the filters.

use super::filter::Choice;
use super::{Connection, FailedLookup, ServerKind, Status, Totals};

/// The rows of a view, each with the rows of the tally that it comes from, if those are kept.
#[derive(Default)]
pub(super) struct View {
    pub(super) connections: Vec<(Connection, Vec<u32>)>,
    pub(super) failed: Vec<(FailedLookup, Vec<u32>)>,
    /// Rows of the tally behind what was taken away.
    dropped: Vec<u32>,
    /// Answered records that are no connection.
    not_connections: u64,
}

impl View {
    /// One without rows, beside so many answered records that are no connection.
    pub(super) fn new(not_connections: u64) -> View {
        View { not_connections, ..View::default() }
    }

    /// `--min-queries`.
    pub(super) fn drop_below(&mut self, min_lookups: u64) {
        let dropped = &mut self.dropped;
        self.connections.retain(|(connection, rows)| {
            let keep = connection.lookups >= min_lookups;
            if !keep {
                dropped.extend(rows);
            }
            keep
        });
    }

    /// The filters: what they do not choose is not shown.
    pub(super) fn choose(&mut self, choice: &Choice) {
        let dropped = &mut self.dropped;
        self.connections.retain(|(connection, rows)| {
            let keep = choice.connection(connection);
            if !keep {
                dropped.extend(rows);
            }
            keep
        });
        self.failed.retain(|(lookup, rows)| {
            let keep = choice.failed(lookup);
            if !keep {
                dropped.extend(rows);
            }
            keep
        });
    }

    /// Which rows of the tally [`View::drop_below`] and [`View::choose`] took away.
    pub(super) fn left_out(&self, rows: usize) -> Vec<bool> {
        let mut left_out = vec![false; rows];
        for row in &self.dropped {
            if let Some(slot) = left_out.get_mut(*row as usize) {
                *slot = true;
            }
        }
        left_out
    }

    /// What the connections add to the totals.
    pub(super) fn add_to(&self, totals: &mut Totals) {
        totals.not_connections = self.not_connections;
        for (connection, _) in &self.connections {
            let (client, server) = (&connection.client, &connection.server);
            let shared = connection.status.contains(&Status::SharedAddress);
            let found = server.kind == ServerKind::External || server.in_snapshot == Some(true);
            totals.connected += connection.queries;
            totals.client_resolved +=
                if client.workload.is_some() && !shared { connection.queries } else { 0 };
            totals.server_resolved += if found { connection.queries } else { 0 };
        }
    }

    /// The rows alone, in their order.
    pub(super) fn finish(self) -> (Vec<Connection>, Vec<FailedLookup>) {
        let connections = self.connections.into_iter().map(|(connection, _)| connection);
        (connections.collect(), self.failed.into_iter().map(|(lookup, _)| lookup).collect())
    }
}
