//! The names of a tally by their numbers, which are in the order of their texts: rows are sorted and compared by these.

use std::sync::Arc;

use crate::log::tally::Tally;

/// All names of a tally.
pub(super) struct Names<'a> {
    texts: &'a [Arc<str>],
    /// The same, to be read without a detour through the tally's own.
    spelled: Vec<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn of(tally: &'a Tally) -> Names<'a> {
        let spelled = tally.names.iter().map(|text| &**text).collect();
        Names { texts: &tally.names, spelled }
    }

    /// What a number stands for, to be kept.
    pub(super) fn text(&self, name: u32) -> Option<&'a Arc<str>> {
        self.texts.get(name as usize)
    }

    /// What a number stands for, to be read.
    pub(super) fn spelled(&self, name: u32) -> Option<&'a str> {
        self.spelled.get(name as usize).copied()
    }

    /// All of them, in the order of their numbers.
    pub(super) fn all_spelled(&self) -> &[&'a str] {
        &self.spelled
    }
}
