//! What a decision can say: do these actions, wait for that, done, or stop.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::id::RunId;
use crate::seen::Exit;
use crate::time::Moment;

/// The answer of an operation's `next`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T> {
    /// Carry these out, then look again.
    Do(Vec<Action>),
    /// Nothing to do until something happens.
    Wait(Wait),
    /// The subject has come to its end.
    Done(T),
}

impl<T> Next<T> {
    /// What comes next, if that may be done, together with what follows on it at once; else what stands in the way of either.
    pub(crate) fn and(self, follows: impl FnOnce() -> Self) -> Self {
        let Self::Do(mut actions) = self else { return self };
        match follows() {
            Self::Do(more) => {
                actions.extend(more);
                Self::Do(actions)
            }
            other => other,
        }
    }
}

/// A wait: why, for what, and until when at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What is waited for, in words: "sshd to answer".
    pub reason: String,
    /// What ends the wait early.
    pub on: On,
    /// When to look again at the latest.
    pub until: Moment,
}

/// What ends a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// Only time.
    Time,
    /// The inbox of the host is empty and nothing is being taken.
    Taken,
    /// The run is over; its output is followed into the spool meanwhile.
    Run(RunId),
}

/// How a host came out of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Verdict {
    /// All that the operation wanted of it is so.
    Succeeded {
        /// The script's exit status, where a script ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<Exit>,
    },
    /// The host did what was asked and it went wrong: a script or bootstrap failed.
    Failed {
        /// How it ended, where a script ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<Exit>,
        /// What went wrong.
        message: String,
    },
    /// The host was rebooted, or its supervisor killed, while the script ran.
    Interrupted {
        /// How.
        exit: Exit,
    },
    /// The operator's `cancel` ended it.
    Cancelled,
    /// No session could be had within the time allowed.
    Unreachable {
        /// The last reason.
        message: String,
    },
    /// Something stands in the way that trying again would not mend: host key, authentication, another fleet's host.
    Refused {
        /// What, and what to do about it.
        message: String,
    },
    /// It was reached before and is gone now; what became of its work is not known.
    Lost {
        /// What is known.
        message: String,
    },
}

impl Verdict {
    /// Success without a script.
    pub const SUCCEEDED: Self = Self::Succeeded { exit: None };

    /// The host came out well.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded { .. })
    }

    /// The word that JSON output, `--failed-of` and summaries use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { exit: Some(Exit::TimedOut), .. } => "timed_out",
            Self::Failed { .. } => "failed",
            Self::Interrupted { .. } => "interrupted",
            Self::Cancelled => "cancelled",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { .. } => "refused",
            Self::Lost { .. } => "lost",
        }
    }

    /// The script's exit status, where it exited by itself.
    pub fn exit_code(&self) -> Option<u8> {
        match self {
            Self::Succeeded { exit: Some(Exit::Code(code)) } | Self::Failed { exit: Some(Exit::Code(code)), .. } => {
                Some(*code)
            }
            _ => None,
        }
    }

    /// What there is to say beyond the word.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Succeeded { .. } | Self::Cancelled => None,
            Self::Failed { message, .. }
            | Self::Unreachable { message }
            | Self::Refused { message }
            | Self::Lost { message } => Some(message.clone()),
            Self::Interrupted { exit } => Some(exit.to_string()),
        }
    }
}

/// How the fleet's part of a change ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FleetVerdict {
    /// Hosts that the fleet gave up on, because their instance could not be had, or not be ended.
    pub given_up: Vec<(crate::id::HostId, Verdict)>,
}

/// Looking again after `span`.
pub fn wait(reason: impl Into<String>, on: On, now: Moment, span: Duration) -> Wait {
    Wait { reason: reason.into(), on, until: now.after(span) }
}
