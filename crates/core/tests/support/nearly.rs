//! Texts that are nearly right: good ones, cut, doubled and mixed with what their form finds special.

use std::ops::Range;

use proptest::prelude::*;

/// One of `good` with so many edits, each of which takes a few characters out and puts one of `special` in.
pub(crate) fn nearly(
    good: Vec<&'static str>,
    special: Vec<&'static str>,
    edits: Range<usize>,
) -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(special));
    (prop::sample::select(good), prop::collection::vec(edit, edits)).prop_map(|(good, edits)| {
        let mut text: Vec<char> = good.chars().collect();
        for (at, removed, added) in edits {
            let start = at.index(text.len() + 1);
            let end = (start + removed).min(text.len());
            text.splice(start..end, added.chars());
        }
        text.into_iter().collect()
    })
}
