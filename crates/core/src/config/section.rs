//! A map of the config while it is being read: which of its keys were asked for, which are missing, which nobody knows.
//!
//! What always holds: the keys that a map offers instead of an unknown one are those that were asked of it, so that messages cannot
//! differ from what is read; and a required key is not reported as missing beside the misspelt one that was meant to be it.

use super::model::ProviderKind;
use super::problem::{Code, Problem, Span};
use super::reader::{Reader, Value, joined, quoted};
use super::schema;
use super::suggest::nearest;
use super::yaml::{Kind, Node};

/// The entries of a map whose keys are texts, of which none stands twice.
pub(super) fn entries<'a>(value: &Value<'a>, pairs: &'a [(Node, Node)]) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry<'a>> = Vec::with_capacity(pairs.len());
    for (key, node) in pairs {
        let Kind::Scalar { text: name, .. } = &key.kind else {
            if !matches!(key.kind, Kind::Broken) {
                let message = format!("a key of {} is no text", value.name());
                value
                    .reader()
                    .report(value.reader().problem(Code::Unsupported, message).at(value.path(), Some(key.at)));
            }
            continue;
        };
        if let Some(first) = entries.iter().find(|entry| entry.name == name) {
            let help = format!("line {} has it already; keep one of the two", first.key.at.line);
            let message = format!("the key {} stands twice in {}", quoted(name), value.name());
            let problem = value.reader().problem(Code::DuplicateKey, message).help(help);
            value.reader().report(problem.at(joined(value.path(), name), Some(key.at)));
            continue;
        }
        entries.push(Entry { name, key, value: node });
    }
    entries
}

pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) key: &'a Node,
    pub(super) value: &'a Node,
}

/// A map with known keys, while it is being read.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    at: Option<Span>,
    entries: Vec<Entry<'a>>,
    asked: Vec<&'static str>,
    /// Required keys that are not there, reported unless one of the unknown keys was meant to be it.
    missing: Vec<(&'static str, Problem)>,
}

impl<'a> Section<'a> {
    /// Opens a map.
    pub(super) fn new(value: &Value<'a>, pairs: &'a [(Node, Node)]) -> Self {
        Self {
            reader: value.reader(),
            path: value.path().to_owned(),
            at: value.whole(),
            entries: entries(value, pairs),
            asked: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&mut self, name: &'static str) -> Option<Value<'a>> {
        self.asked.push(name);
        let index = self.entries.iter().position(|entry| entry.name == name)?;
        let Entry { key, value, .. } = self.entries.swap_remove(index);
        Some(Value::entry(self.reader, key, value, joined(&self.path, name)))
    }

    /// The value of a key, read; nothing when the key is not there or its value could not be read.
    pub(super) fn read<T>(&mut self, name: &'static str, read: impl FnOnce(Value<'a>) -> Option<T>) -> Option<T> {
        self.get(name).and_then(read)
    }

    /// The same for a key that has to be there.
    pub(super) fn require<T>(
        &mut self,
        name: &'static str,
        help: &str,
        read: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Option<T> {
        if let Some(value) = self.get(name) {
            return read(value);
        }
        let place = if self.path.is_empty() { String::new() } else { format!(" in {}", self.path) };
        let problem = self.reader.problem(Code::Missing, format!("the key \"{name}\" is missing{place}"));
        self.missing.push((name, problem.help(help).at(joined(&self.path, name), self.at)));
        None
    }

    /// A key that only one provider takes. Under another one it is refused, and `why` says what to do; where the provider is not known,
    /// it is read like any other.
    pub(super) fn only_for<T>(
        &mut self,
        provider: ProviderKind,
        name: &'static str,
        why: &str,
        read: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.reader.provider() {
            Some(chosen) if chosen != provider => {
                let value = self.get(name)?;
                let (chosen, provider) = (chosen.as_str(), provider.as_str());
                let message = format!(
                    "provider `{chosen}` has no key `{}`; that is a key of provider `{provider}`",
                    value.name()
                );
                let at = value.whole();
                self.reader.report(self.reader.problem(Code::NotForProvider, message).help(why).at(value.path(), at));
                None
            }
            _ => self.read(name, read),
        }
    }

    /// The keys that stand in the map and that nobody has asked for yet.
    pub(super) fn rest(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().map(|entry| entry.name)
    }

    /// Closes the map: reports what nobody asked for, and what was asked for in vain.
    pub(super) fn close(mut self) {
        for Entry { name, key, .. } in &self.entries {
            let place = if self.path.is_empty() { "at the top level".to_owned() } else { format!("in {}", self.path) };
            let meant = nearest(name, self.asked.iter().copied());
            self.missing.retain(|(missing, _)| Some(*missing) != meant);
            let mut problem = self
                .reader
                .problem(Code::UnknownKey, format!("unknown key {} {place}", quoted(name)))
                .expected(self.asked.join(", "))
                .suggest(meant)
                .at(joined(&self.path, name), Some(key.at));
            let homes = schema::homes_of(name);
            if !homes.is_empty() {
                problem = problem.help(format!("a key of that name belongs in {}", homes.join(" or ")));
            }
            self.reader.report(problem);
        }
        self.missing.into_iter().for_each(|(_, problem)| self.reader.report(problem));
    }
}
