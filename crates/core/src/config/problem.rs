//! What is wrong with a config, said so that a person can mend it and a program can point at it.
//!
//! What always holds: a message never repeats a value that may be a secret, and the one-line form is complete: where, what, what to
//! do next.

use std::fmt;

use serde::Serialize;

/// A place in the text of the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Bytes before it.
    pub offset: usize,
    /// Bytes that it covers; never more than the rest of its first line.
    pub len: usize,
    /// Counted from 1.
    pub line: usize,
    /// Characters, counted from 1.
    pub column: usize,
}

/// Whether a config can be used in spite of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The config cannot be used.
    Error,
    /// It can, and is probably not what was meant.
    Warning,
}

/// The kinds of problems, as machines tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The text is not YAML.
    Syntax,
    /// YAML that a config has no use for: tags, several documents, keys that are no text.
    Unsupported,
    /// A key stands twice in the same map.
    DuplicateKey,
    /// Nobody knows this key.
    UnknownKey,
    /// A value of another kind than expected.
    WrongType,
    /// A required key is not there.
    Missing,
    /// A key is there and its value is empty.
    Empty,
    /// A value that was left for a person to fill in.
    Placeholder,
    /// A text that breaks the rule of its kind.
    Invalid,
    /// A number or a duration that is too small or too large.
    OutOfRange,
    /// A key that only another provider takes.
    NotForProvider,
    /// A provider that is planned.
    NotYet,
    /// Two values that contradict each other, or two hosts that are one.
    Conflict,
    /// A secret's value is written into the config.
    PlainSecret,
    /// A variable's value looks like a secret.
    LooksSecret,
    /// A file that the config names is not there.
    NotFound,
    /// A file that the config names cannot serve as what it is named for.
    Unusable,
    /// A file that the hosts need is not part of the bundle.
    NotInBundle,
    /// The file of a secret is part of the bundle.
    SecretInBundle,
    /// A part of another tool's file that a config has no place for.
    NotMapped,
}

impl Code {
    /// The code as text, such as `unknown_key`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Unsupported => "unsupported",
            Self::DuplicateKey => "duplicate_key",
            Self::UnknownKey => "unknown_key",
            Self::WrongType => "wrong_type",
            Self::Missing => "missing",
            Self::Empty => "empty",
            Self::Placeholder => "placeholder",
            Self::Invalid => "invalid",
            Self::OutOfRange => "out_of_range",
            Self::NotForProvider => "not_for_provider",
            Self::NotYet => "not_yet",
            Self::Conflict => "conflict",
            Self::PlainSecret => "plain_secret",
            Self::LooksSecret => "looks_secret",
            Self::NotFound => "not_found",
            Self::Unusable => "unusable",
            Self::NotInBundle => "not_in_bundle",
            Self::SecretInBundle => "secret_in_bundle",
            Self::NotMapped => "not_mapped",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether the config can be used in spite of it.
    pub severity: Severity,
    /// Its kind.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What there should be.
    pub expected: Option<String>,
    /// The file, as it was named to [`super::parse`].
    pub file: String,
    /// Where; nothing when it concerns the file as a whole.
    pub at: Option<Span>,
    /// The key, such as `ssh.connect_timeout` or `hosts[0].address`; empty for the file as a whole.
    pub key_path: String,
    /// What was probably meant: a key or a value.
    pub suggestion: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn new(file: &str, code: Code, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            expected: None,
            file: file.to_owned(),
            at: None,
            key_path: String::new(),
            suggestion: None,
            help: None,
        }
    }

    /// Something in a file of another tool that is not taken over.
    pub fn not_mapped(file: &str, message: impl Into<String>) -> Self {
        Self::new(file, Code::NotMapped, message).warning()
    }

    pub(crate) fn at(mut self, key_path: impl Into<String>, at: Option<Span>) -> Self {
        self.key_path = key_path.into();
        self.at = at;
        self
    }

    pub(crate) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(super) fn suggest(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What stands at the problem's place may be a secret: whoever shows the problem must not show the file around it.
    pub fn conceals(&self) -> bool {
        matches!(self.code, Code::PlainSecret | Code::LooksSecret) || is_secret(&self.key_path)
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The key, or one above it, is `secrets`.
pub(super) fn is_secret(key_path: &str) -> bool {
    key_path.strip_prefix("secrets").is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The one-line form: `airlift.yaml:7:3: unknown key "conect_timeout" in ssh; did you mean "connect_timeout"?`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(at) = self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        f.write_str(if self.is_error() { ": " } else { ": warning: " })?;
        f.write_str(&self.message)?;
        match (&self.suggestion, &self.expected, &self.help) {
            (Some(meant), _, None) => write!(f, "; did you mean {meant:?}?"),
            (Some(meant), _, Some(help)) => write!(f, "; did you mean {meant:?}? ({help})"),
            (None, Some(expected), None) => write!(f, "; expected {expected}"),
            (None, Some(expected), Some(help)) => write!(f, "; expected {expected}; {help}"),
            (None, None, Some(help)) => write!(f, "; {help}"),
            (None, None, None) => Ok(()),
        }
    }
}

/// Why a config cannot be used: at least one error, and the warnings, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        debug_assert!(problems.iter().any(Problem::is_error));
        Self(problems)
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// The problems, in the order of the file.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line per problem.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
