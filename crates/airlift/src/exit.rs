//! Exit codes, in one place. They are part of the interface: scripts rely on them.

use std::process::ExitCode;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All succeeded.
    Success,
    /// The cloud or airlift itself failed.
    Failed,
    /// The command line or the config is wrong.
    Usage,
    /// Some hosts failed.
    SomeHostsFailed,
    /// All hosts failed.
    AllHostsFailed,
    /// Refused, or there was nothing to do.
    Refused,
    /// Another airlift holds the lock.
    Locked,
    /// `plan --exit-code`: there would be changes.
    Changes,
    /// Stopped by the operator.
    Stopped,
    /// `ssh`: what the command, or the shell, on the host ended with. Not 0, which is [`Self::Success`].
    Remote(u8),
}

impl Exit {
    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::SomeHostsFailed => 3,
            Self::AllHostsFailed => 4,
            Self::Refused => 5,
            Self::Locked => 6,
            Self::Changes => 10,
            Self::Stopped => 130,
            Self::Remote(code) => code,
        }
    }

    /// The exit of a change in which `failed` of `all` hosts did not succeed.
    pub const fn of_hosts(failed: u64, all: u64) -> Self {
        match failed {
            0 => Self::Success,
            _ if failed < all => Self::SomeHostsFailed,
            _ => Self::AllHostsFailed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
