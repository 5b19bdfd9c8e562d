//! The names of a tally, each once, numbered in the order of their texts: rows are then sorted and compared by numbers.

use std::sync::Arc;

use hashbrown::HashMap;

use super::clients::index;
use crate::log::tally::Tally;

/// All names of a tally.
pub(super) struct Names<'a> {
    /// Sorted.
    texts: Vec<&'a Arc<str>>,
    of_row: Vec<u32>,
}

impl<'a> Names<'a> {
    /// Numbers them.
    pub(super) fn of(tally: &'a Tally) -> Names<'a> {
        // Equal names of a tally mostly are one text, so that few of them must be looked at.
        let mut by_place: HashMap<*const u8, u32> = HashMap::new();
        let mut by_text: HashMap<&str, u32> = HashMap::new();
        let mut texts: Vec<&Arc<str>> = Vec::new();
        let mut of_row = Vec::with_capacity(tally.rows.len());
        for row in &tally.rows {
            let id = *by_place.entry(row.name.as_ptr()).or_insert_with(|| {
                *by_text.entry(&row.name).or_insert_with(|| {
                    texts.push(&row.name);
                    index(texts.len() - 1)
                })
            });
            of_row.push(id);
        }
        let mut order: Vec<(&Arc<str>, u32)> = texts.into_iter().zip(0..).collect();
        order.sort_unstable();
        let mut ranks = vec![0; order.len()];
        for (rank, (_, id)) in (0..).zip(&order) {
            if let Some(slot) = ranks.get_mut(*id as usize) {
                *slot = rank;
            }
        }
        for id in &mut of_row {
            *id = ranks.get(*id as usize).copied().unwrap_or_default();
        }
        Names { texts: order.into_iter().map(|(text, _)| text).collect(), of_row }
    }

    /// The number of a row's name.
    pub(super) fn of_row(&self, row: usize) -> Option<u32> {
        self.of_row.get(row).copied()
    }

    /// What a number stands for.
    pub(super) fn text(&self, name: u32) -> Option<&'a Arc<str>> {
        self.texts.get(name as usize).copied()
    }

    /// All of them, in the order of their numbers.
    pub(super) fn all(&self) -> &[&'a Arc<str>] {
        &self.texts
    }
}
