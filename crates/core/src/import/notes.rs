//! What of a source has no place in a config, gathered while it is read.
//!
//! What always holds: what is said of many lines is said once, with all of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Fault;
use crate::config::{Code, Problem, Span};

pub(super) struct Notes<'f> {
    file: &'f str,
    notes: Vec<Problem>,
}

impl<'f> Notes<'f> {
    pub(super) fn new(file: &'f str) -> Self {
        Self { file, notes: Vec::new() }
    }

    /// Notes that something at this place is not taken over.
    pub(super) fn add(&mut self, at: Span, message: impl Into<String>) {
        self.notes.push(Problem::not_mapped(self.file, message).at("", Some(at)));
    }

    /// Why a source cannot be read.
    pub(super) fn fault(&self, at: Option<Span>, message: impl Into<String>) -> Fault {
        Box::new(self.problem(at, Code::Invalid, message))
    }

    pub(super) fn problem(&self, at: Option<Span>, code: Code, message: impl Into<String>) -> Problem {
        Problem::new(self.file, code, message).at("", at)
    }

    /// The notes in the order of the source, each message once.
    pub(super) fn folded(self) -> Vec<Problem> {
        let mut notes = self.notes;
        notes.sort_by_key(|note| note.at.map(|at| at.offset));
        let mut folded: Vec<(Problem, BTreeSet<usize>)> = Vec::new();
        for note in notes {
            let line = note.at.map_or(0, |at| at.line);
            match folded.iter_mut().find(|(first, _)| first.message == note.message) {
                Some((_, lines)) => drop(lines.insert(line)),
                None => folded.push((note, BTreeSet::from([line]))),
            }
        }
        folded
            .into_iter()
            .map(|(mut note, mut lines)| {
                lines.pop_first();
                if !lines.is_empty() {
                    let _ = write!(note.message, " (also on line {})", ranges(&lines));
                }
                note
            })
            .collect()
    }
}

/// `3, 5-9`.
fn ranges(lines: &BTreeSet<usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *line => *last = *line,
            _ => ranges.push((*line, *line)),
        }
    }
    let text = |(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}
