//! What the log's readers ask and get: queries, and the typed rows of its projections.

use airlift_core::decide::Verdict;
use airlift_core::event::{ChangeBegan, ChangeEnd, Phase, Subject};
use airlift_core::id::{ChangeId, Digest, HostId, RunId};
use airlift_core::seen::{Pins, RunEnd};
use jiff::Timestamp;

/// Which records to read. All of them, in the log's order, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Only those of this change.
    pub change: Option<ChangeId>,
    /// Only those about this subject.
    pub subject: Option<Subject>,
    /// Only those after the record with this number.
    pub since: u64,
    /// At most so many.
    pub limit: Option<u64>,
    /// The newest first.
    pub newest_first: bool,
}

impl Query {
    /// All records.
    pub fn all() -> Self {
        Self::default()
    }

    /// The records of one change.
    pub fn change(change: ChangeId) -> Self {
        Self { change: Some(change), ..Self::default() }
    }

    /// Only those about `subject`.
    #[must_use]
    pub fn about(self, subject: Subject) -> Self {
        Self { subject: Some(subject), ..self }
    }

    /// Only those after record `seq`.
    #[must_use]
    pub fn since(self, seq: u64) -> Self {
        Self { since: seq, ..self }
    }

    /// At most `count`.
    #[must_use]
    pub fn limit(self, count: u64) -> Self {
        Self { limit: Some(count), ..self }
    }

    /// The newest first.
    #[must_use]
    pub fn newest_first(self) -> Self {
        Self { newest_first: true, ..self }
    }
}

/// Which changes to list. Those that act, oldest first, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangeFilter {
    /// Only of this operation, by its name.
    pub operation: Option<String>,
    /// Only those without an end.
    pub unfinished: bool,
    /// Dry runs too.
    pub dry_runs: bool,
    /// The newest first.
    pub newest_first: bool,
    /// At most so many.
    pub limit: Option<u64>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// The change.
    pub change: ChangeId,
    /// Its first record's content.
    pub began: ChangeBegan,
    /// Its first record's sequence number.
    pub seq: u64,
    /// When it began.
    pub began_at: Timestamp,
    /// When and how it ended, if it did.
    pub ended: Option<(Timestamp, ChangeEnd)>,
}

/// What is recorded of one host, as of its last event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow {
    /// The host.
    pub host: HostId,
    /// The phase last recorded.
    pub phase: Option<Phase>,
    /// The provider's name for its instance, where airlift launched one and has not ended it.
    pub instance: Option<String>,
    /// The host keys that are accepted for it.
    pub pins: Pins,
    /// The release that was current when that was last recorded.
    pub release: Option<Digest>,
    /// The change that last recorded something about it.
    pub last_change: ChangeId,
    /// The run that was last sent to it.
    pub last_run: Option<RunId>,
    /// How it last came out of a change.
    pub last_verdict: Option<Verdict>,
    /// When something was last recorded about it.
    pub updated: Timestamp,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// The run.
    pub run: RunId,
    /// The change that it is.
    pub change: ChangeId,
    /// The script's name.
    pub script: String,
    /// When it began.
    pub began: Timestamp,
    /// When it ended, if it did.
    pub ended: Option<Timestamp>,
    /// The hosts that it is for, in order.
    pub hosts: Vec<RunHostRow>,
}

/// One host of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunHostRow {
    /// The host.
    pub host: HostId,
    /// How it came out, once it did.
    pub verdict: Option<Verdict>,
    /// What the script printed and how it ended, where it ran to its end.
    pub output: Option<RunEnd>,
}
