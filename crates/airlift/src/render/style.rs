//! How text may look: a value that the caller resolves once from flags, terminal and environment.
//!
//! Nothing in here reads the environment. Escape sequences come from [`Style::paint`] and from the live view, and from
//! nowhere else.

use super::clean;

/// What the place that is written to can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Colours may be used.
    pub color: bool,
    /// Characters beyond ASCII may be used.
    pub unicode: bool,
    /// Columns.
    pub width: usize,
    /// Lines; only the live view is bounded by it.
    pub height: usize,
}

impl Style {
    /// No colours, 100 columns: for what is no terminal.
    pub const PLAIN: Self = Self { color: false, unicode: true, width: 100, height: 24 };

    /// `text` in the colour of `tone`, where colours may be used.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if self.color && !text.is_empty() && tone != Tone::Ordinary {
            format!("\x1b[{}m{text}\x1b[0m", tone.code())
        } else {
            text.to_owned()
        }
    }

    /// The mark for what was left out.
    pub fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// What stands between parts of a line.
    pub fn dot(self) -> &'static str {
        if self.unicode { " · " } else { ", " }
    }

    /// Cuts `text` to `width` columns, with the mark for what was left out. Tabs become blanks.
    pub fn fit(self, text: &str, width: usize) -> String {
        clean::fit(text, width, self.ellipsis())
    }
}

/// What a piece of text means, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Ordinary,
    /// It went well.
    Good,
    /// It went wrong.
    Bad,
    /// It needs attention.
    Warn,
    /// It matters less.
    Faint,
    /// It matters more.
    Strong,
}

impl Tone {
    /// The number of the SGR escape sequence (ECMA-48).
    fn code(self) -> &'static str {
        match self {
            Self::Ordinary => "0",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Warn => "33",
            Self::Faint => "2",
            Self::Strong => "1",
        }
    }
}
