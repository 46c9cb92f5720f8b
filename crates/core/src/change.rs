//! One change, folded from its records: what resuming, undoing and showing it need to know.
//!
//! The driver of a change folds the records it appends into the same state that another process would read back, so
//! that there is no second truth in memory.

use std::collections::BTreeMap;

use crate::action::Kind;
use crate::decide::Verdict;
use crate::event::{ChangeBegan, ChangeEnd, Event, Phase, Record, Subject};
use crate::history::{Act, ActState, FailureClass, History};
use crate::id::{ChangeId, Digest, HostId};
use crate::time::Moment;

/// A change as its records tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its id.
    pub id: ChangeId,
    /// Its first record.
    pub began: ChangeBegan,
    /// The past of the fleet's part.
    pub fleet: History,
    /// The past of each host.
    pub hosts: BTreeMap<HostId, HostPast>,
    /// It is a run, and was cancelled.
    pub cancelled: bool,
    /// How it ended, if it did.
    pub end: Option<ChangeEnd>,
}

/// The past of one host in one change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostPast {
    /// Its acts.
    pub history: History,
    /// The phase last recorded.
    pub phase: Option<Phase>,
    /// The active release recorded with it.
    pub current: Option<Digest>,
    /// How it came out, once it is settled.
    pub verdict: Option<Verdict>,
}

impl Change {
    /// The change that begins with `began`.
    pub fn new(id: ChangeId, began: ChangeBegan) -> Self {
        Self { id, began, fleet: History::default(), hosts: BTreeMap::new(), cancelled: false, end: None }
    }

    /// Reads a change back from its records, as a process does that did not live through it: what it finds intended and
    /// without an outcome may or may not have happened.
    pub fn read(records: &[Record], now: Moment) -> Option<Self> {
        let (first, rest) = records.split_first()?;
        let Event::ChangeBegan(began) = &first.event else { return None };
        let mut change = Self::new(first.change.clone(), (**began).clone());
        change.fleet.since = now;
        for record in rest {
            change.apply(record, now);
        }
        change.fleet.forget_flights(now);
        for past in change.hosts.values_mut() {
            past.history.since = now;
            past.history.forget_flights(now);
        }
        Some(change)
    }

    /// Folds one more record.
    pub fn apply(&mut self, record: &Record, now: Moment) {
        match (&record.subject, &record.event) {
            (_, Event::ChangeEnded { end }) => self.end = Some(end.clone()),
            (_, Event::RunCancelled { .. }) => self.cancelled = true,
            (Subject::Host(host), event) => {
                let past = self.hosts.entry(host.clone()).or_default();
                match event {
                    Event::Phase { phase, current } => (past.phase, past.current) = (Some(*phase), *current),
                    Event::Settled { verdict, .. } => past.verdict = Some(verdict.clone()),
                    Event::Intended { action, .. } if action.is_fleets() => self.fleet.apply(record, now),
                    Event::Succeeded { intent, .. } | Event::Failed { intent, .. } if self.fleet.holds(*intent) => {
                        self.fleet.apply(record, now);
                    }
                    _ => past.history.apply(record, now),
                }
            }
            (Subject::Fleet, _) => {}
        }
    }
}

impl History {
    /// An empty past that begins now.
    pub fn beginning(now: Moment) -> Self {
        Self { since: now, ..Self::default() }
    }

    /// Folds one record of this subject; records of other matters change nothing.
    pub fn apply(&mut self, record: &Record, now: Moment) {
        match &record.event {
            Event::Intended { action, attempt, .. } => self.acts.push(Act {
                intent: record.seq,
                action: action.clone(),
                attempt: *attempt,
                state: ActState::InFlight { sends: 0 },
            }),
            Event::Succeeded { intent, outcome } => {
                self.set(*intent, |_| ActState::Succeeded { at: now, outcome: outcome.clone() });
            }
            Event::Failed { intent, failure } => self.set(*intent, |before| match failure.class {
                FailureClass::Unknown => {
                    ActState::Unknown { at: now, sends: before.sends() + 1, message: Some(failure.message.clone()) }
                }
                FailureClass::Transient | FailureClass::Definite => {
                    ActState::Failed { at: now, failure: failure.clone() }
                }
            }),
            _ => {}
        }
    }

    /// This past holds the intent with that sequence number.
    pub fn holds(&self, intent: u64) -> bool {
        self.acts.iter().any(|act| act.intent == intent)
    }

    /// The act whose outcome is unknown, of this kind on this host.
    pub fn unknown(&self, kind: Kind, host: &HostId) -> Option<&Act> {
        self.acts.iter().rev().find(|act| {
            act.action.kind() == kind && act.action.host() == host && matches!(act.state, ActState::Unknown { .. })
        })
    }

    /// An act of this kind was intended, whatever came of it.
    pub fn has_intended(&self, kind: Kind) -> bool {
        self.acts.iter().any(|act| act.action.kind() == kind)
    }

    /// How many intents of this kind were recorded for this host.
    pub fn count(&self, kind: Kind, host: &HostId) -> u32 {
        let count = self.acts.iter().filter(|act| act.action.kind() == kind && act.action.host() == host).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Marks an act whose outcome is unknown as being sent again.
    pub fn sends_again(&mut self, intent: u64) {
        self.set(intent, |before| ActState::InFlight { sends: before.sends() });
    }

    fn set(&mut self, intent: u64, state: impl FnOnce(&ActState) -> ActState) {
        if let Some(act) = self.acts.iter_mut().find(|act| act.intent == intent) {
            act.state = state(&act.state);
        }
    }

    /// What was in flight when the process died may or may not have happened.
    fn forget_flights(&mut self, now: Moment) {
        for act in &mut self.acts {
            if let ActState::InFlight { sends } = act.state {
                act.state = ActState::Unknown { at: now, sends, message: None };
            }
        }
    }
}

impl ActState {
    fn sends(&self) -> u32 {
        match self {
            Self::InFlight { sends } | Self::Unknown { sends, .. } => *sends,
            _ => 0,
        }
    }
}
