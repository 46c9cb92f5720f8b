//! What a command says when it cannot go on: what happened, and what to do next; and with which code it ends.

use std::ops::Range;

pub use airlift_core::fault::chain;
use airlift_engine::drive::Halt;
use airlift_engine::log::LogError;
use airlift_engine::state::LockError;
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, MietteError, MietteSpanContents, Report,
    SourceCode, SourceSpan, SpanContents,
};

use crate::exit::Exit;
use crate::render::clean;

/// As wide as messages are made where nobody says how wide the terminal is.
const WIDTH: usize = 100;

/// Characters of a line of a config that are shown beside what is wrong with it.
const LONGEST_LINE: usize = 120;

/// How many of them stand before the place that is meant, at most.
const BEFORE: usize = 40;

/// Why a command ended without doing all that it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    help: Option<String>,
    places: Vec<Place>,
    exit: Exit,
}

/// One of several things that are wrong, and where: shown before the message that sums them up.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Place {
    /// Its kind, for machines.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The file.
    pub file: String,
    /// The line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// The column, counted from 1.
    pub column: Option<usize>,
    /// It is no more than a warning.
    pub warning: bool,
    /// The text around it, and its part that is meant; none where the text must not be shown.
    #[serde(skip)]
    pub excerpt: Option<Excerpt>,
}

/// A part of a text.
#[derive(Debug, Clone)]
pub struct Excerpt {
    /// The whole text.
    pub text: std::sync::Arc<str>,
    /// Bytes before the part.
    pub offset: usize,
    /// Bytes of the part.
    pub len: usize,
}

impl Error {
    /// An error that ends the process with `exit`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, places: Vec::new(), exit }
    }

    /// The command line or the config is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// airlift will not do it, or there is nothing to do.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// airlift or the provider failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// Says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the places that it sums up.
    #[must_use]
    pub fn at(mut self, places: Vec<Place>) -> Self {
        self.places = places;
        self
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// As one object.
    pub fn to_json(&self) -> serde_json::Value {
        let mut object = serde_json::json!({
            "v": 1, "type": "error", "message": self.message, "help": self.help, "exit_code": self.exit.code(),
        });
        if !self.places.is_empty() {
            object["problems"] = serde_json::json!(self.places);
        }
        object
    }

    /// For a person: every place, then what they come to. `width` is the terminal's; where there is none, lines are
    /// left whole, so that whoever searches a file of them finds what they say.
    pub fn render(&self, width: Option<usize>, color: bool) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let mut handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_context_lines(1);
        handler = match width {
            Some(width) => handler.with_width(width.clamp(40, WIDTH)).with_break_words(false),
            None => handler.with_width(WIDTH).with_wrap_lines(false),
        };
        let mut text = String::new();
        for place in &self.places {
            let _ = handler.render_report(&mut text, place.report().as_ref());
            text.push('\n');
        }
        let mut whole = MietteDiagnostic::new(safe(&self.message));
        whole.help = self.help.as_deref().map(safe);
        let _ = handler.render_report(&mut text, &whole);
        text.trim_end().to_owned()
    }
}

impl Place {
    fn report(&self) -> Report {
        let severity = if self.warning { miette::Severity::Warning } else { miette::Severity::Error };
        let mut diagnostic = MietteDiagnostic::new(safe(&self.message)).with_severity(severity);
        diagnostic.help = self.help.as_deref().map(safe);
        let Some(excerpt) = &self.excerpt else {
            diagnostic.message = safe(&format!("{self}"));
            return Report::new(diagnostic);
        };
        let line = OneLine::around(&self.file, excerpt);
        let label = LabeledSpan::new_with_span(None, line.meant.clone());
        Report::new(diagnostic.with_label(label)).with_source_code(line)
    }
}

/// The line that is meant, and nothing else of a text: its neighbours may hold what nobody is to see. Of a long one only
/// what is around the place.
struct OneLine {
    file: String,
    shown: String,
    /// What is meant, in bytes of `shown`.
    meant: Range<usize>,
    /// Lines before it.
    line: usize,
    /// Characters before what is meant.
    column: usize,
}

impl OneLine {
    fn around(file: &str, excerpt: &Excerpt) -> Self {
        let (text, at) = (&*excerpt.text, excerpt.offset);
        let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let (before, rest) = text[start..].split_at(at - start);
        let rest = rest.split('\n').next().unwrap_or_default();
        let (shown_before, shown_rest) = if before.chars().count() + rest.chars().count() <= LONGEST_LINE {
            (before.to_owned(), rest.to_owned())
        } else {
            let (before, room) = last(before, BEFORE);
            (before, first(rest, LONGEST_LINE - room))
        };
        // What is meant may be longer than what is shown of it.
        let meant_len = if shown_rest.is_char_boundary(excerpt.len) { excerpt.len } else { shown_rest.len() };
        Self {
            file: safe(file),
            meant: shown_before.len()..shown_before.len() + meant_len.max(1),
            shown: clean::in_place(&(shown_before + &shown_rest)),
            line: text[..start].matches('\n').count(),
            column: before.chars().count(),
        }
    }
}

/// The first characters of a text.
fn first(text: &str, count: usize) -> String {
    match text.char_indices().nth(count) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The last characters of a text, and how many they are.
fn last(text: &str, count: usize) -> (String, usize) {
    let all = text.chars().count();
    if all <= count {
        return (text.to_owned(), all);
    }
    let start = text.char_indices().nth(all - count).map_or(0, |(start, _)| start);
    (format!("…{}", &text[start..]), count)
}

impl SourceCode for OneLine {
    fn read_span<'a>(
        &'a self,
        _span: &SourceSpan,
        before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        // Without lines around it, its place is asked for.
        let (from, column) = if before == 0 { (self.meant.start, self.column) } else { (0, 0) };
        let shown = (from, self.shown.len() - from).into();
        let data = &self.shown.as_bytes()[from..];
        Ok(Box::new(MietteSpanContents::new_named(self.file.clone(), data, shown, self.line, column, 1)))
    }
}

/// A message may quote a host or a file: it is shown, never interpreted.
fn safe(message: &str) -> String {
    clean::lines(message).collect::<Vec<_>>().join("\n")
}

impl std::fmt::Display for Place {
    /// Where and what, in one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl From<Halt> for Error {
    fn from(halt: Halt) -> Self {
        let exit = if matches!(halt, Halt::Stopped) { Exit::Stopped } else { Exit::Failed };
        Self::new(exit, chain(&halt))
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        Self::failed(chain(&error))
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        let exit = if matches!(error, LockError::Held { .. }) { Exit::Locked } else { Exit::Failed };
        Self::new(exit, chain(&error))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::failed(chain(&error))
    }
}
