//! What an operation needs to know of its own past: a fold of a change's records, one per subject.
//!
//! A history holds only what the event log holds. It is the same whether the process has lived through it or read it
//! back after a crash; only moments differ, which restart with the process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::{Action, Kind, Outcome};
use crate::decide::{Next, On, Verdict, wait};
use crate::id::HostId;
use crate::time::Moment;

/// How long an acknowledged act may stay invisible to looks before that counts as a fault. Looks are eventually
/// consistent (EC2 API reference, "Eventual consistency"); acting again would do it twice.
const GRACE: Duration = Duration::from_secs(30);

/// The past of one subject in one change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// When this process took the subject up.
    pub since: Moment,
    /// Everything done or attempted, in the log's order.
    pub acts: Vec<Act>,
    /// The change is a run, and was cancelled.
    pub cancelled: bool,
}

/// One recorded intent and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Sequence number of its intent in the log.
    pub intent: u64,
    /// What was intended.
    pub action: Action,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What came of it.
    pub state: ActState,
}

/// What came of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActState {
    /// This process is at it.
    InFlight {
        /// How often the same attempt has been sent before without an answer.
        sends: u32,
    },
    /// No outcome is recorded: the process died, or the reply was lost. It may or may not have happened.
    Unknown {
        /// When this process learned that.
        at: Moment,
        /// How often the same attempt has been sent without an answer.
        sends: u32,
        /// The last reason, where there is one.
        message: Option<String>,
    },
    /// It happened.
    Succeeded {
        /// When this process learned that.
        at: Moment,
        /// The port's answer.
        outcome: Outcome,
    },
    /// It definitely did not happen.
    Failed {
        /// When this process learned that.
        at: Moment,
        /// Why.
        failure: Failure,
    },
}

/// A definite failure of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What the failure means for trying again.
    pub class: FailureClass,
    /// What happened and what to do, for a person.
    pub message: String,
}

/// What a failure means for trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// It may go better next time, as a new attempt.
    Transient,
    /// The host could not be reached; whether it happened is not known. The same attempt is made again.
    Unknown,
    /// Trying again would not help.
    Definite,
}

/// Whether and when an action may be taken now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Now, as this attempt. An attempt whose outcome is unknown comes again under its own number, so its own token.
    Go {
        /// The attempt, from 1.
        attempt: u32,
    },
    /// It is being done.
    InFlight,
    /// It was done; the look does not show it yet.
    Acknowledged {
        /// When to stop believing that it will.
        until: Moment,
    },
    /// Not before this moment.
    After(Moment),
    /// No more: attempts are used up, or the failure is definite.
    GiveUp(Failure),
}

impl History {
    /// The last act of a kind.
    pub fn last(&self, kind: Kind) -> Option<&Act> {
        self.acts.iter().rev().find(|act| act.action.kind() == kind)
    }

    /// An act of this kind has been acknowledged.
    pub fn has_succeeded(&self, kind: Kind) -> bool {
        self.acts.iter().any(|act| act.action.kind() == kind && matches!(act.state, ActState::Succeeded { .. }))
    }

    /// The host's instance has been ended.
    pub fn has_ended(&self, host: &HostId) -> bool {
        self.position(Kind::TerminateInstance, host)
            .is_some_and(|at| matches!(self.acts[at].state, ActState::Succeeded { .. }))
    }

    /// This very action was the last of its kind, and is not known to have succeeded.
    pub fn is_unfinished(&self, action: &Action) -> bool {
        let last = self.last(action.kind()).filter(|act| act.action == *action);
        last.is_some_and(|act| !matches!(act.state, ActState::Succeeded { .. }))
    }

    /// An act of this kind on this host is under way, or its outcome is not known.
    pub fn is_open(&self, kind: Kind, host: &HostId) -> bool {
        self.position(kind, host)
            .is_some_and(|at| matches!(self.acts[at].state, ActState::InFlight { .. } | ActState::Unknown { .. }))
    }

    /// Where the last act of this kind on this host is.
    fn position(&self, kind: Kind, host: &HostId) -> Option<usize> {
        self.acts.iter().rposition(|act| act.action.kind() == kind && act.action.host() == host)
    }

    /// Whether and when `action` may be taken.
    pub fn turn(&self, action: &Action, now: Moment) -> Turn {
        let step = action.step();
        let Some(position) = self.position(step.kind(), step.host()) else {
            return Turn::Go { attempt: 1 };
        };
        let last = &self.acts[position];
        // What was launched and has been ended since is to be launched again, not waited for.
        let is_void = step.kind() == Kind::LaunchInstance
            && self
                .position(Kind::TerminateInstance, step.host())
                .is_some_and(|ended| ended > position && matches!(self.acts[ended].state, ActState::Succeeded { .. }));
        match &last.state {
            ActState::Succeeded { .. } if is_void && last.attempt < step.attempts() => {
                Turn::Go { attempt: last.attempt + 1 }
            }
            ActState::Succeeded { .. } if is_void => Turn::GiveUp(Failure {
                class: FailureClass::Definite,
                message: format!("{} ended again each time it was launched", step.host()),
            }),
            ActState::InFlight { .. } => Turn::InFlight,
            ActState::Unknown { sends, message, .. } if *sends >= step.attempts() * 2 => Turn::GiveUp(Failure {
                class: FailureClass::Unknown,
                message: message.clone().unwrap_or_else(|| "no answer came".to_owned()),
            }),
            ActState::Unknown { at, sends, .. } => {
                let ready = at.after(if *sends == 0 { Duration::ZERO } else { backoff(*sends) });
                if now < ready { Turn::After(ready) } else { Turn::Go { attempt: last.attempt } }
            }
            ActState::Succeeded { .. } if last.action != *action => Turn::Go { attempt: last.attempt + 1 },
            ActState::Succeeded { at, .. } => Turn::Acknowledged { until: at.after(GRACE) },
            ActState::Failed { failure, .. }
                if failure.class == FailureClass::Definite || last.attempt >= step.attempts() =>
            {
                Turn::GiveUp(failure.clone())
            }
            ActState::Failed { at, .. } => {
                let ready = at.after(backoff(last.attempt));
                if now < ready { Turn::After(ready) } else { Turn::Go { attempt: last.attempt + 1 } }
            }
        }
    }

    /// Takes `action` when its turn has come; else waits, or gives the host up with the failure.
    pub fn take(&self, action: impl Into<Action>, now: Moment) -> Next<Verdict> {
        let action = action.into();
        match self.turn(&action, now) {
            Turn::Go { .. } => Next::Do(vec![action]),
            Turn::InFlight => Next::Wait(wait(
                format!("{}: under way", action.step().plan_line()),
                On::Time,
                now,
                Duration::from_millis(200),
            )),
            Turn::After(moment) => Next::Wait(crate::decide::Wait {
                reason: format!("{}: trying again", action.step().plan_line()),
                on: On::Time,
                until: moment,
            }),
            Turn::Acknowledged { until } if now < until => Next::Wait(wait(
                format!("{}: done, but not visible yet", action.step().plan_line()),
                On::Time,
                now,
                Duration::from_millis(500),
            )),
            Turn::Acknowledged { .. } => Next::Done(Verdict::Failed {
                exit: None,
                message: format!(
                    "{}: the host acknowledged it, but does not show it; look at the host with `airlift ssh {}`",
                    action.step().plan_line(),
                    action.host()
                ),
            }),
            Turn::GiveUp(failure) => Next::Done(match failure.class {
                FailureClass::Unknown => Verdict::Unreachable { message: failure.message },
                _ => Verdict::Failed { exit: None, message: failure.message },
            }),
        }
    }
}

/// How long to wait before the next attempt: 0.5 s, 1 s, 2 s … at most 15 s.
pub fn backoff(attempts: u32) -> Duration {
    Duration::from_millis(500u64 << attempts.saturating_sub(1).min(5)).min(Duration::from_secs(15))
}
