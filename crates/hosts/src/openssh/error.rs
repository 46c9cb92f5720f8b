//! What is wrong with a config, and where.

use std::io;

use crate::ssh::Place;

/// A config that `ssh` refuses as well, or one that asks for what airlift must not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{fault}", at.as_ref().map_or_else(String::new, |at| format!("{at}: ")))]
pub struct ConfigError {
    /// The line, where it is one line's fault.
    pub at: Option<Place>,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A quote without its end.
    #[error("a quote is not closed")]
    Quotes,
    /// A keyword that no `ssh` knows.
    #[error("ssh has no option {0}; correct it, or name it in IgnoreUnknown before this line")]
    UnknownKeyword(String),
    /// A keyword and nothing after it, or an empty word.
    #[error("{0} has no value; give one or remove the line")]
    NoValue(String),
    /// A value that is none.
    #[error("{keyword} cannot be {value:?}; it takes {expected}")]
    BadValue {
        /// The option.
        keyword: String,
        /// As it is written.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// More words than the option takes.
    #[error("{0} has more values than it takes; quote a value that has blanks")]
    Extra(String),
    /// More entries than `ssh` takes.
    #[error("{keyword} is given more than {most} times")]
    TooMany {
        /// The option.
        keyword: String,
        /// The limit.
        most: usize,
    },
    /// `Match exec`.
    #[error(
        "Match exec would run a command to find out whether the block counts, and airlift runs none; say it with host, user or localuser"
    )]
    MatchExec,
    /// A criterion without its value.
    #[error("Match {0} has no value")]
    MatchValue(String),
    /// `all` beside others.
    #[error("Match all stands alone")]
    MatchAll,
    /// A criterion that is not evaluated.
    #[error(
        "airlift does not know the criterion {0:?} of Match; it knows all, final, canonical, host, originalhost, user, localuser and tagged"
    )]
    MatchCriterion(String),
    /// `Match` without a criterion.
    #[error("Match has no criterion")]
    MatchNothing,
    /// Includes within includes without end.
    #[error("files include one another more than {0} deep")]
    TooDeep(usize),
    /// A system file cannot speak of one user's home.
    #[error("Include {0} is of somebody's home, which a file for all users cannot include")]
    IncludeOfHome(String),
    /// A file is there but cannot be read.
    #[error("{path} cannot be read: {kind}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// Others could have written it.
    #[error(
        "{0} can be written by others, so ssh does not trust it; `chmod go-w` it, and let it belong to you or root"
    )]
    Permissions(String),
    /// A `%` that stands for nothing.
    #[error("{keyword} has the token %{token}, which has no meaning there")]
    Token {
        /// The option.
        keyword: &'static str,
        /// The letter, nothing at the end of the value.
        token: String,
    },
    /// `${` that is not `${NAME}`.
    #[error("{0} has a ${{ that names no variable of the environment")]
    Variable(&'static str),
    /// A variable that is not set.
    #[error("{keyword} needs the variable {name} of the environment, which is not set")]
    NoVariable {
        /// The option.
        keyword: &'static str,
        /// The variable.
        name: String,
    },
    /// `~name` where nobody has that name.
    #[error("there is no user {0}, whose home is meant")]
    NoUser(String),
    /// A list of algorithms of which nothing is left.
    #[error("{0} leaves no algorithm")]
    NoAlgorithm(&'static str),
    /// A list of algorithms of which airlift has none.
    #[error("airlift has none of the algorithms of {keyword} {wanted}; it has {had}")]
    NoAlgorithmHere {
        /// The option.
        keyword: &'static str,
        /// As it is written.
        wanted: String,
        /// What there is.
        had: String,
    },
    /// The way to a host leads through itself.
    #[error("the way leads through {0} again and again; correct ProxyJump")]
    JumpLoop(String),
    /// The config says not to connect.
    #[error("RefuseConnection: {0}")]
    Refused(String),
}

impl Fault {
    /// The fault with its line.
    pub(super) fn at(self, place: &Place) -> ConfigError {
        ConfigError { at: Some(place.clone()), fault: self }
    }

    /// The fault of a value, with its line where it has one.
    pub(super) fn of<T>(self, said: &super::values::Said<T>) -> ConfigError {
        ConfigError { at: said.at.clone(), fault: self }
    }
}
