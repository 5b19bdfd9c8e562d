//! The names of a tally, each once, numbered in the order of their texts: rows are then sorted and compared by numbers.

use std::sync::Arc;

use hashbrown::HashMap;
use rayon::ThreadPool;

use super::clients::index;
use crate::log::tally::Row;
use crate::threads;

/// All names of a tally.
pub(super) struct Names<'a> {
    /// Sorted.
    texts: Vec<&'a Arc<str>>,
    /// The same, to be read without a detour through the tally's rows.
    spelled: Vec<&'a str>,
    of_row: Vec<u32>,
}

/// The names of some rows, numbered as they come. Equal names of a tally mostly are one text: they are known by where
/// it stands.
#[derive(Default)]
pub(super) struct Part<'a> {
    by_place: HashMap<usize, u32>,
    texts: Vec<&'a Arc<str>>,
    of_row: Vec<u32>,
}

impl<'a> Part<'a> {
    /// Numbers the names of the rows that come next.
    pub(super) fn add(&mut self, rows: &'a [Row]) {
        self.of_row.extend(rows.iter().map(|row| {
            *self.by_place.entry(row.name.as_ptr().addr()).or_insert_with(|| {
                self.texts.push(&row.name);
                index(self.texts.len() - 1)
            })
        }));
    }
}

impl<'a> Names<'a> {
    /// Those of all rows, which were numbered part by part.
    pub(super) fn all(parts: &[Part<'a>], pool: Option<&ThreadPool>) -> Names<'a> {
        // Each text, and which name of which part it is.
        let mut order: Vec<(&'a Arc<str>, usize, usize)> = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            order.extend(part.texts.iter().enumerate().map(|(id, text)| (*text, at, id)));
        }
        threads::sort(pool, &mut order, |(text, ..)| &***text);
        let mut ranks: Vec<Vec<u32>> = parts.iter().map(|part| vec![0; part.texts.len()]).collect();
        let mut texts: Vec<&Arc<str>> = Vec::new();
        for (text, part, id) in order {
            if texts.last().is_none_or(|last| !Arc::ptr_eq(last, text) && last != &text) {
                texts.push(text);
            }
            if let Some(rank) = ranks.get_mut(part).and_then(|ranks| ranks.get_mut(id)) {
                *rank = index(texts.len() - 1);
            }
        }
        let mut of_row = Vec::with_capacity(parts.iter().map(|part| part.of_row.len()).sum());
        for (part, ranks) in parts.iter().zip(&ranks) {
            let rank = |id: &u32| ranks.get(*id as usize).copied().unwrap_or_default();
            of_row.extend(part.of_row.iter().map(rank));
        }
        let spelled = texts.iter().map(|text| &***text).collect();
        Names { texts, spelled, of_row }
    }

    /// The number of a row's name.
    pub(super) fn of_row(&self, row: usize) -> Option<u32> {
        self.of_row.get(row).copied()
    }

    /// What a number stands for, to be kept.
    pub(super) fn text(&self, name: u32) -> Option<&'a Arc<str>> {
        self.texts.get(name as usize).copied()
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
