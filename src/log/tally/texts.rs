//! The texts of a tally, each once, and their numbers, by which its rows name them.

use std::sync::Arc;

use hashbrown::HashMap;

use super::intern::small;

/// Texts, numbered as they come. [`super::Tally::of`] puts them in order.
#[derive(Debug, Default)]
pub struct Numbers {
    known: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Numbers {
    /// The text's number.
    pub fn of(&mut self, text: &str) -> u32 {
        if let Some(number) = self.known.get(text) {
            return *number;
        }
        let (number, text) = (small(self.texts.len()), Arc::from(text));
        self.texts.push(Arc::clone(&text));
        self.known.insert(text, number);
        number
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }

    /// All of them, by their numbers.
    pub(super) fn into_texts(self) -> Vec<Arc<str>> {
        self.texts
    }
}

/// Sorts the texts, keeps each once and those only that something has, and gives all their new numbers. `numbers` are
/// those that one thing has: at least one.
pub(super) fn number<T>(
    texts: &mut Vec<Arc<str>>,
    things: &mut [T],
    numbers: impl Fn(&mut T) -> [Option<&mut u32>; 2],
) {
    // Of many things that have one path all need not be looked at.
    if texts.len() == 1 && !things.is_empty() {
        return;
    }
    let mut used = vec![false; texts.len()];
    for number in things.iter_mut().flat_map(&numbers).flatten() {
        if let Some(used) = used.get_mut(*number as usize) {
            *used = true;
        }
    }
    if used.iter().all(|used| *used) && texts.is_sorted_by(|a, b| a < b) {
        return;
    }
    let mut order: Vec<(Arc<str>, usize)> = (texts.drain(..).enumerate())
        .filter(|(old, _)| used.get(*old) == Some(&true))
        .map(|(old, text)| (text, old))
        .collect();
    order.sort();
    let mut new = vec![0; used.len()];
    for (text, old) in order {
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        if let Some(new) = new.get_mut(old) {
            *new = small(texts.len() - 1);
        }
    }
    for number in things.iter_mut().flat_map(&numbers).flatten() {
        *number = new.get(*number as usize).copied().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(texts: &[&str], things: &[u32], want: (&[&str], &[u32])) {
        let mut texts: Vec<Arc<str>> = texts.iter().map(|text| Arc::from(*text)).collect();
        let mut things = things.to_vec();
        number(&mut texts, &mut things, |thing| [Some(thing), None]);
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        assert_eq!((&texts[..], &things[..]), want);
    }

    #[test]
    fn texts_are_sorted_and_unused_ones_left_out() {
        check(&["a", "b"], &[1, 0, 1], (&["a", "b"], &[1, 0, 1]));
        check(&["b", "a"], &[0, 1, 1], (&["a", "b"], &[1, 0, 0]));
        check(&["a", "b", "c"], &[2, 0], (&["a", "c"], &[1, 0]));
        check(&["a", "b", "a"], &[0, 1, 2], (&["a", "b"], &[0, 1, 0]));
        check(&["a"], &[0, 0], (&["a"], &[0, 0]));
        check(&["a"], &[], (&[], &[]));
        check(&["a", "b"], &[], (&[], &[]));
        check(&[], &[], (&[], &[]));
    }

    #[test]
    fn a_text_has_one_number() {
        let mut numbers = Numbers::default();
        assert_eq!(["b", "a", "b", ""].map(|text| numbers.of(text)), [0, 1, 0, 2]);
        assert_eq!((numbers.text(1), numbers.text(3)), ("a", ""));
        assert_eq!(numbers.into_texts().len(), 3);
    }
}
