//! Reading a tree of YAML key by key, and complaining of everything on the way instead of stopping at the first fault.
//!
//! What always holds: a reading that answers `None` has reported why, or has read a key that is not there; and no message repeats a
//! value that stands below `secrets`.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::duration::{self, format_duration, parse_duration};
use super::lint;
use super::model::ProviderKind;
use super::problem::{Code, Problem, Span, is_secret};
use super::section::{self, Entry, Section};
use super::suggest::nearest;
use super::yaml::{Kind, Node, is_number, is_truth, is_whole};
use crate::id::InvalidName;

/// Characters of what a person wrote that a message repeats at most.
const LONGEST: usize = 60;

const FILL_IN: &str = "fill it in, or take the key out if it is optional";

/// What a walk through a config gathers.
pub(super) struct Reader<'f> {
    file: &'f str,
    provider: Cell<Option<ProviderKind>>,
    problems: RefCell<Vec<Problem>>,
    places: RefCell<Vec<(String, Span)>>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(file: &'f str) -> Self {
        Self { file, provider: Cell::default(), problems: RefCell::default(), places: RefCell::default() }
    }

    /// The value at the root of a document.
    pub(super) fn root<'a>(&'a self, node: &'a Node) -> Value<'a> {
        Value { reader: self, node, key: None, path: String::new() }
    }

    pub(super) fn problem(&self, code: Code, message: impl Into<String>) -> Problem {
        Problem::new(self.file, code, message)
    }

    pub(super) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// From here on, keys of other providers are refused.
    pub(super) fn chose(&self, provider: ProviderKind) {
        self.provider.set(Some(provider));
    }

    pub(super) fn provider(&self) -> Option<ProviderKind> {
        self.provider.get()
    }

    /// The problems, in the order of the file, and the place of each key that was read; the last counts.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<(String, Span)>) {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.at.map(|at| at.offset));
        (problems, self.places.into_inner())
    }
}

/// A value, and what is needed to speak of it.
#[derive(Clone)]
pub(super) struct Value<'a> {
    reader: &'a Reader<'a>,
    node: &'a Node,
    key: Option<&'a Node>,
    path: String,
}

impl<'a> Value<'a> {
    /// What belongs to a key of a map.
    pub(super) fn entry(reader: &'a Reader<'a>, key: &'a Node, node: &'a Node, path: String) -> Self {
        let value = Self { reader, node, key: Some(key), path };
        value.remember();
        value
    }

    /// The place of the value; of its key where the value itself is nothing to point at.
    pub(super) fn at(&self) -> Span {
        match self.key {
            Some(key) if self.node.at.len == 0 => key.at,
            _ => self.node.at,
        }
    }

    /// The place to point at for the value as a whole: its key, which is one line; nothing for the file.
    pub(super) fn whole(&self) -> Option<Span> {
        if self.path.is_empty() { None } else { Some(self.key.map_or(self.node.at, |key| key.at)) }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// How messages call it.
    pub(super) fn name(&self) -> Cow<'_, str> {
        if self.path.is_empty() { Cow::Borrowed("the file") } else { shortened(&self.path) }
    }

    /// Reports a problem with this value. The answer stands for the value that there is not.
    pub(super) fn complain<T>(
        &self,
        code: Code,
        message: impl Into<String>,
        more: impl FnOnce(Problem) -> Problem,
    ) -> Option<T> {
        let problem = self.reader.problem(code, message).at(&self.path, Some(self.at()));
        self.reader.report(more(problem));
        None
    }

    pub(super) fn reader(&self) -> &'a Reader<'a> {
        self.reader
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.node.kind, Kind::Scalar { .. }) && !self.is_null()
    }

    /// The value is this very text.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.node.is_word(word)
    }

    fn is_null(&self) -> bool {
        self.node.is_null()
    }

    /// Reports a value of the wrong kind.
    pub(super) fn wrong<T>(&self, expected: &str) -> Option<T> {
        let found = match &self.node.kind {
            Kind::Broken => return None,
            _ if self.is_null() => {
                return self.complain(Code::Empty, format!("{} has no value", self.name()), |p| {
                    p.expected(expected).help(FILL_IN)
                });
            }
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
            Kind::Scalar { text, plain: true } if is_number(text) => format!("the number {}", self.shown(text)),
            Kind::Scalar { text, plain: true } if is_truth(text) => text.clone(),
            Kind::Scalar { text, .. } => format!("the text {}", self.shown(text)),
        };
        self.complain(Code::WrongType, format!("{} is {found}", self.name()), |p| p.expected(expected))
    }

    fn empty<T>(&self, expected: &str) -> Option<T> {
        self.complain(Code::Empty, format!("{} is empty", self.name()), |p| p.expected(expected).help(FILL_IN))
    }

    /// A text for a message: on one line, not longer than a message should be, and nothing that stands below `secrets`.
    fn shown(&self, text: &str) -> String {
        if is_secret(&self.path) {
            "(not shown)".to_owned()
        } else if is_number(text) || is_truth(text) {
            text.to_owned()
        } else {
            quoted(text)
        }
    }

    /// A text as it stands, numbers and truth values included, which are taken as they are written.
    pub(super) fn scalar(&self) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Scalar { text, .. } if text.contains('\0') => {
                self.complain(Code::Invalid, format!("{} holds a NUL byte", self.name()), |p| {
                    p.expected("a text without one")
                })
            }
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => self.wrong("a text"),
        }
    }

    /// A text with something in it, which nobody left to be filled in.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Scalar { text, plain: true } if is_number(text) || is_truth(text) => {
                self.complain(Code::WrongType, format!("{} is {} without quotes", self.name(), self.shown(text)), |p| {
                    p.expected("a text").help("put it in quotes")
                })
            }
            Kind::Scalar { text, plain: false } if text.trim().is_empty() => self.empty("a text"),
            _ => self.filled(self.scalar()?),
        }
    }

    /// The text, unless it is a placeholder.
    pub(super) fn filled(&self, text: &'a str) -> Option<&'a str> {
        if !lint::is_placeholder(text) {
            return Some(text);
        }
        self.complain(
            Code::Placeholder,
            format!("{} is still the placeholder {}", self.name(), self.shown(text)),
            |p| p.help(FILL_IN),
        )
    }

    /// A text that follows the rule of its kind.
    pub(super) fn parse<T: FromStr<Err = InvalidName>>(&self) -> Option<T> {
        self.parse_or_mend(|_| None)
    }

    /// The same, with a guess at what was meant by a text that does not.
    pub(super) fn parse_or_mend<T: FromStr<Err = InvalidName>>(&self, mend: fn(&str) -> Option<String>) -> Option<T> {
        let text = self.text()?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(InvalidName { kind, rule, .. }) => {
                self.complain(Code::Invalid, format!("{} is no {kind}: {}", self.name(), self.shown(text)), |p| {
                    p.expected(rule).suggest(mend(text).filter(|mended| mended.parse::<T>().is_ok()))
                })
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn number<N>(&self, range: RangeInclusive<N>) -> Option<N>
    where
        N: Copy + Into<u64> + TryFrom<u64>,
    {
        let (least, most): (u64, u64) = ((*range.start()).into(), (*range.end()).into());
        let expected = format!("a whole number from {least} to {most}");
        let digits = match &self.node.kind {
            Kind::Scalar { text, plain: true } if is_whole(text) => text,
            Kind::Scalar { text, plain: false } if is_whole(text) => {
                let message = format!("{} is the text {}", self.name(), quoted(text));
                return self.complain(Code::WrongType, message, |p| p.expected(expected).help("take the quotes off"));
            }
            _ => return self.wrong(&expected),
        };
        let number = digits.parse::<u64>().ok().filter(|number| (least..=most).contains(number));
        match number.and_then(|number| N::try_from(number).ok()) {
            Some(number) => Some(number),
            None => self.complain(Code::OutOfRange, format!("{} is {digits}", self.name()), |p| p.expected(expected)),
        }
    }

    /// A duration within bounds.
    pub(super) fn duration(&self, least: &str, most: &str) -> Option<Duration> {
        let bound = |text| parse_duration(text).expect("bounds are durations");
        let text = match &self.node.kind {
            Kind::Scalar { text, plain: true } if is_number(text) => {
                let suggestion = is_whole(text).then(|| format!("{text}s"));
                return self.complain(Code::WrongType, format!("{} is {text} without a unit", self.name()), |p| {
                    p.expected(duration::EXPECTED).suggest(suggestion)
                });
            }
            _ => self.text()?,
        };
        match parse_duration(text) {
            None => self.complain(Code::Invalid, format!("{} is no duration: {}", self.name(), quoted(text)), |p| {
                p.expected(duration::EXPECTED).suggest(duration::meant(text))
            }),
            Some(duration) if (bound(least)..=bound(most)).contains(&duration) => Some(duration),
            Some(duration) => {
                self.complain(Code::OutOfRange, format!("{} is {}", self.name(), format_duration(duration)), |p| {
                    p.expected(format!("a duration from {least} to {most}"))
                })
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Option<bool> {
        match &self.node.kind {
            Kind::Scalar { text, plain: true } if is_truth(text) => Some(text.eq_ignore_ascii_case("true")),
            Kind::Scalar { text, plain: true } if matches!(text.as_str(), "yes" | "on" | "no" | "off") => {
                let meant = if matches!(text.as_str(), "yes" | "on") { "true" } else { "false" };
                self.complain(Code::WrongType, format!("{} is the text {}", self.name(), quoted(text)), |p| {
                    p.expected("true or false").suggest(Some(meant))
                })
            }
            _ => self.wrong("true or false"),
        }
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let names = words.iter().map(|(word, _)| *word);
        let expected = names.clone().collect::<Vec<_>>().join(" or ");
        let text = match &self.node.kind {
            Kind::Scalar { text, plain: true } if is_number(text) || is_truth(text) => return self.wrong(&expected),
            _ => self.text()?,
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        self.complain(Code::Invalid, format!("{} is {}", self.name(), quoted(text)), |p| {
            p.expected(expected).suggest(nearest(text, names))
        })
    }

    /// The items of a list; those that could not be read have been reported and are missing.
    pub(super) fn list<T>(&self, expected: &str, mut read: impl FnMut(Value<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Kind::List(items) = &self.node.kind else { return self.wrong(expected) };
        let item = |(index, node)| {
            let value = Value { reader: self.reader, node, key: None, path: format!("{}[{index}]", self.path) };
            value.remember();
            read(value)
        };
        Some(items.iter().enumerate().filter_map(item).collect())
    }

    /// The same, where there has to be at least one item.
    pub(super) fn filled_list<T>(&self, expected: &str, read: impl FnMut(Value<'a>) -> Option<T>) -> Option<Vec<T>> {
        match &self.node.kind {
            Kind::List(items) if items.is_empty() => self.empty(expected),
            _ => self.list(expected, read),
        }
    }

    /// A map whose keys are a person's own; `read` gets each key as a value of its own, and what belongs to it.
    pub(super) fn entries<K: Ord, V>(
        &self,
        expected: &str,
        mut read: impl FnMut(Value<'a>, Value<'a>) -> Option<(K, V)>,
    ) -> Option<BTreeMap<K, V>> {
        let Kind::Map(pairs) = &self.node.kind else { return self.wrong(expected) };
        let read_entry = |Entry { name, key, value }| {
            let path = joined(&self.path, name);
            let name = Value { reader: self.reader, node: key, key: None, path: path.clone() };
            read(name, Self::entry(self.reader, key, value, path))
        };
        Some(section::entries(self, pairs).into_iter().filter_map(read_entry).collect())
    }

    /// A map whose keys are known. `read` asks for them one by one; what it does not ask for is reported as unknown.
    pub(super) fn section<T>(&self, expected: &str, read: impl FnOnce(&mut Section<'a>) -> T) -> Option<T> {
        let Kind::Map(pairs) = &self.node.kind else { return self.wrong(expected) };
        let mut section = Section::new(self, pairs);
        let result = read(&mut section);
        section.close();
        Some(result)
    }

    fn remember(&self) {
        self.reader.places.borrow_mut().push((self.path.clone(), self.at()));
    }
}

/// The path of a key in the map at `path`.
pub(super) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A text for a message: in quotes, on one line, and not longer than a message should be.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// The same without quotes, for the name of a key.
fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}
