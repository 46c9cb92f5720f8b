//! Walking along the chain: where it breaks, and what was most likely done there.
//!
//! Records are pushed in the order in which they stand. Each covers the hash of the one before and its own original
//! number, so that a record which fits is known to be the right one, wherever it stands. Where none of the next
//! [`WINDOW`] records fits, the ones that follow tell what is wrong with the first. Memory is bounded by the window.

use std::collections::VecDeque;

use airlift_core::id::Digest;

use super::chain::{self, Head};
use super::verify::Tampering;

/// How far ahead to look for a record that fits.
const WINDOW: usize = 32;

/// A record as it stands, whatever it is.
pub(super) struct Standing {
    pub(super) seq: i64,
    /// At, change, subject, payload.
    pub(super) texts: [Vec<u8>; 4],
    pub(super) hash: Vec<u8>,
}

/// A record that waits for its place, and how many have gone by meanwhile.
struct Waiting {
    row: Standing,
    passed: usize,
}

/// A walk along the chain.
pub(super) struct Walk<'f> {
    /// Hash of the record before; none after a stretch that could not be read.
    previous: Option<Digest>,
    /// The original number of the record that is due.
    due: u64,
    /// By how much the numbers that records have now differ from their original ones.
    shift: i64,
    window: VecDeque<Waiting>,
    /// The record that must be there.
    anchor: Option<Head>,
    found: &'f mut dyn FnMut(Tampering),
}

impl<'f> Walk<'f> {
    pub(super) fn new(anchor: Option<Head>, found: &'f mut dyn FnMut(Tampering)) -> Self {
        Self { previous: Some(Head::EMPTY.hash), due: 1, shift: 0, window: VecDeque::new(), anchor, found }
    }

    /// The next record.
    pub(super) fn push(&mut self, row: Standing) {
        self.window.push_back(Waiting { row, passed: 0 });
        if self.window.len() > WINDOW {
            self.step();
        }
    }

    /// What follows cannot be read up to the record numbered `resumes`.
    pub(super) fn interrupted(&mut self, resumes: i64) {
        self.drain();
        self.previous = None;
        self.due = u64::try_from(resumes - self.shift).unwrap_or(self.due).max(self.due);
    }

    /// There is more, but it cannot be read: whether the end is there cannot be told.
    pub(super) fn end_is_unknown(&mut self) {
        self.drain();
        self.anchor = None;
    }

    /// The end: gives back the last record of the chain as far as it is known.
    pub(super) fn finish(mut self) -> Head {
        self.drain();
        let head = Head { seq: self.due - 1, hash: self.previous.unwrap_or(Head::EMPTY.hash) };
        if let Some(anchor) = self.anchor
            && anchor.seq > head.seq
        {
            (self.found)(Tampering::TailDropped { last: head.seq, anchor: anchor.seq });
        }
        head
    }

    fn drain(&mut self) {
        while !self.window.is_empty() {
            self.step();
        }
    }

    /// Deals with at least one record of the window, which is not empty.
    fn step(&mut self) {
        let Some(previous) = self.previous else { return self.begin_anew() };
        let fits = |waiting: &Waiting| is_next(&previous, self.due, &waiting.row);
        match self.window.iter().position(fits) {
            Some(index) => {
                for waiting in self.window.range_mut(..index) {
                    waiting.passed += 1;
                }
                if let Some(Waiting { row, .. }) = self.window.remove(index) {
                    self.note_place(row.seq);
                    self.take(&row);
                }
                while self.window.front().is_some_and(|waiting| waiting.passed > WINDOW) {
                    self.discard();
                }
            }
            None => self.diagnose(&previous),
        }
    }

    /// After a stretch that could not be read, the first record is believed: what follows it says whether rightly.
    fn begin_anew(&mut self) {
        if let Some(Waiting { row, .. }) = self.window.pop_front() {
            self.take(&row);
        }
    }

    /// The first record of the window does not follow, and neither does any other.
    fn diagnose(&mut self, previous: &Digest) {
        let Some(first) = self.window.front() else { return };
        let row = &first.row;
        let gap = row.seq.saturating_sub(self.shift).saturating_sub_unsigned(self.due);
        // What others have overtaken, or what stands where no record can, was never part of the chain.
        if first.passed > 0 || gap < 0 {
            return self.discard();
        }
        let gap = gap.unsigned_abs();
        let stored = digest(&row.hash);
        let computed = chain::hash(previous, self.due, texts(row));
        if stored.is_some_and(|hash| self.somebody_follows(&hash, self.due)) {
            (self.found)(Tampering::Altered { seq: self.due });
        } else if self.somebody_follows(&computed, self.due) {
            (self.found)(Tampering::HashAltered { seq: self.due });
            return self.take_first(Some(computed));
        } else {
            let missing = std::iter::once(gap)
                .chain(1..=WINDOW as u64)
                .filter(|count| *count > 0)
                .find(|count| stored.is_some_and(|hash| self.somebody_follows(&hash, self.due.saturating_add(*count))));
            match missing.or((gap > 0).then_some(gap)) {
                Some(count) => {
                    let last = self.due.saturating_add(count - 1);
                    (self.found)(Tampering::Missing { first: self.due, last });
                    self.due = self.due.saturating_add(count);
                }
                None => (self.found)(Tampering::Broken { seq: self.due }),
            }
        }
        self.take_first(stored.or(Some(computed)));
    }

    /// Some record after the first of the window follows the record `seq` if that has this hash.
    fn somebody_follows(&self, hash: &Digest, seq: u64) -> bool {
        let next = seq.saturating_add(1);
        self.window.iter().skip(1).any(|waiting| is_next(hash, next, &waiting.row))
    }

    /// Tells of a record that does not stand in its own place, once for all that are out of place by as much.
    fn note_place(&mut self, seq: i64) {
        let shift = seq.saturating_sub_unsigned(self.due);
        if shift != self.shift && shift != 0 {
            (self.found)(Tampering::Moved { seq: self.due, place: seq });
        }
        self.shift = shift;
    }

    /// The first record of the window is the one that is due, and its hash was `hash`.
    fn take_first(&mut self, hash: Option<Digest>) {
        if let Some(Waiting { row, .. }) = self.window.pop_front() {
            self.shift = row.seq.saturating_sub_unsigned(self.due);
            self.go_on(hash.or_else(|| digest(&row.hash)));
        }
    }

    fn take(&mut self, row: &Standing) {
        self.shift = row.seq.saturating_sub_unsigned(self.due);
        self.go_on(digest(&row.hash));
    }

    fn go_on(&mut self, hash: Option<Digest>) {
        if let Some(anchor) = self.anchor
            && anchor.seq == self.due
            && hash != Some(anchor.hash)
        {
            (self.found)(Tampering::Rewritten { seq: self.due });
        }
        self.previous = hash;
        self.due = self.due.saturating_add(1);
    }

    fn discard(&mut self) {
        if let Some(Waiting { row, .. }) = self.window.pop_front() {
            (self.found)(Tampering::Inserted { place: row.seq });
        }
    }
}

fn is_next(previous: &Digest, seq: u64, row: &Standing) -> bool {
    row.hash == chain::hash(previous, seq, texts(row)).as_bytes()
}

fn texts(row: &Standing) -> [&[u8]; 4] {
    let [at, change, subject, payload] = &row.texts;
    [at, change, subject, payload]
}

fn digest(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest::from_bytes)
}
