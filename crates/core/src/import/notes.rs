//! What of a source has no place in a config, gathered while it is read.
//!
//! What always holds: what is said of many lines is said once, with all of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Fault;
use crate::config::{Code, Problem, Span};

/// A place in one of the files that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    file: usize,
    span: Span,
}

impl From<Span> for Place {
    /// In the source itself.
    fn from(span: Span) -> Self {
        Self { file: 0, span }
    }
}

/// A file that was read beside the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileBeside(usize);

impl FileBeside {
    pub(super) fn at(self, span: Span) -> Place {
        Place { file: self.0, span }
    }
}

pub(super) struct Notes<'f> {
    /// The source, and the files beside it.
    files: Vec<&'f str>,
    notes: Vec<(usize, Problem)>,
}

impl<'f> Notes<'f> {
    pub(super) fn new(file: &'f str) -> Self {
        Self { files: vec![file], notes: Vec::new() }
    }

    /// Goes on to a file beside the source.
    pub(super) fn beside(&mut self, file: &'f str) -> FileBeside {
        self.files.push(file);
        FileBeside(self.files.len() - 1)
    }

    /// Notes that something at this place is not taken over.
    pub(super) fn add(&mut self, at: impl Into<Place>, message: impl Into<String>) {
        let at = at.into();
        self.notes.push((at.file, Problem::not_mapped(self.files[at.file], message).at("", Some(at.span))));
    }

    /// Notes that a file is not taken over as a whole.
    pub(super) fn add_file(&mut self, file: FileBeside, message: impl Into<String>) {
        self.notes.push((file.0, Problem::not_mapped(self.files[file.0], message)));
    }

    /// Why a source cannot be read.
    pub(super) fn fault(&self, at: Option<Span>, message: impl Into<String>) -> Fault {
        Box::new(self.problem(at, Code::Invalid, message))
    }

    /// Why a file beside it cannot be read.
    pub(super) fn fault_in(&self, file: FileBeside, at: Option<Span>, message: impl Into<String>) -> Fault {
        Box::new(Problem::new(self.files[file.0], Code::Invalid, message).at("", at))
    }

    pub(super) fn problem(&self, at: Option<Span>, code: Code, message: impl Into<String>) -> Problem {
        Problem::new(self.files[0], code, message).at("", at)
    }

    /// The notes in the order of the source and of the files beside it, each message once for each of them.
    pub(super) fn folded(self) -> Vec<Problem> {
        let mut notes = self.notes;
        notes.sort_by_key(|(file, note)| (*file, note.at.map(|at| at.offset)));
        let mut folded: Vec<(usize, Problem, BTreeSet<usize>)> = Vec::new();
        for (file, note) in notes {
            let line = note.at.map_or(0, |at| at.line);
            let known = folded.iter_mut().find(|(known, first, _)| *known == file && first.message == note.message);
            match known {
                Some((_, _, lines)) => drop(lines.insert(line)),
                None => folded.push((file, note, BTreeSet::from([line]))),
            }
        }
        folded
            .into_iter()
            .map(|(_, mut note, mut lines)| {
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
