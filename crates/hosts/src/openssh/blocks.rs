//! Reading the files of a config for one host: which lines count.
//!
//! What always holds: every line is checked, also in blocks that speak of other hosts; the first value of an option
//! stays.

use camino::{Utf8Path, Utf8PathBuf};

use super::Config;
use super::criteria;
use super::error::{ConfigError, Fault};
use super::keywords::{Form, Keyword, Means, keyword};
use super::patterns::{self, Says};
use super::values::{Notice, Values};
use super::{files, numbers, tokens, words};
use crate::ssh::Place;

/// How deep files may include one another.
const DEEPEST: usize = 16;

/// One pass over all files.
pub(super) struct Pass<'a> {
    pub(super) config: &'a Config,
    /// The host as the user named it.
    pub(super) named: &'a str,
    /// What `Host` compares with: the same, or in the last pass what the host is called after all.
    pub(super) host: &'a str,
    /// This is the second pass.
    pub(super) is_final: bool,
    /// Some `Match final` asks for a second pass.
    pub(super) wants_final: bool,
    pub(super) values: Values,
}

/// A file in a pass.
#[derive(Clone, Copy)]
struct Reading {
    depth: usize,
    /// Nothing in it counts: it is included in a block that speaks of other hosts.
    void: bool,
    /// It is for all users, so that nothing in it speaks of a home.
    system: bool,
}

/// A line: where it stands, and its words.
pub(super) struct Line<'a> {
    pub(super) at: &'a Place,
    /// As it is written.
    pub(super) keyword: &'a str,
    /// All that follows the keyword.
    pub(super) rest: &'a str,
    /// The words of it.
    pub(super) words: Vec<String>,
}

impl Pass<'_> {
    pub(super) fn run(&mut self) -> Result<(), ConfigError> {
        let config = self.config;
        for (path, system) in [(&config.user, false), (&config.system, true)] {
            if let Some(path) = path {
                self.file(path, Reading { depth: 0, void: false, system }, !system && config.guarded)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Utf8Path, reading: Reading, guarded: bool) -> Result<(), ConfigError> {
        let text = self.config.files.read(path, guarded).map_err(|fault| ConfigError { at: None, fault })?;
        let Some(text) = text else { return Ok(()) };
        let shown = Utf8PathBuf::from(self.config.files.shown(path)).into_std_path_buf();
        let mut active = !reading.void;
        for (number, line) in (1..).zip(text.split('\n')) {
            let at = Place { file: shown.clone(), line: number };
            self.line(words::trim_line(line), &at, &mut active, reading).map_err(|fault| match fault {
                Stop::Here(fault) => fault.at(&at),
                Stop::Elsewhere(error) => *error,
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, at: &Place, active: &mut bool, reading: Reading) -> Result<(), Stop> {
        let Some((name, rest)) = first_word(line) else { return Ok(()) };
        let rest = words::trim_blanks(rest.unwrap_or_default());
        if rest.is_empty() {
            return Err(Fault::NoValue(name).into());
        }
        let known = keyword(&name.to_ascii_lowercase());
        let words = words::values(rest).ok_or(Fault::Quotes)?;
        let line = Line { at, keyword: &name, rest, words };
        let Some(known) = known else {
            let ignored = self.values.ignore_unknown.as_deref().unwrap_or_default().to_ascii_lowercase();
            let is_ignored = patterns::list(&name.to_ascii_lowercase(), &ignored) == Says::Yes;
            return if is_ignored { Ok(()) } else { Err(Fault::UnknownKeyword(name).into()) };
        };
        check(known.form, &line)?;
        match known.means {
            Means::Host => *active = !reading.void && patterns::host_line(self.host, &line.words),
            Means::Match => {
                let verdict = criteria::evaluate(self, rest, reading.void)?;
                self.wants_final |= verdict.wants_final;
                *active = !reading.void && verdict.counts;
            }
            Means::Include => self.include(&line, *active, reading)?,
            Means::Set(setting) => self.values.set(setting, &line, *active, &self.config.around)?,
            _ if *active => self.name(&name.to_ascii_lowercase(), known, &line),
            _ => {}
        }
        Ok(())
    }

    fn include(&mut self, line: &Line<'_>, active: bool, reading: Reading) -> Result<(), Stop> {
        let config = self.config;
        for word in &line.words {
            if reading.system && word.starts_with('~') {
                return Err(Fault::IncludeOfHome(word.clone()).into());
            }
            let pattern = if word.starts_with(['/', '~']) {
                tokens::home(word, &config.around.home)?
            } else if reading.system {
                format!("/etc/ssh/{word}")
            } else {
                config.around.home.join(".ssh").join(word).into_string()
            };
            for path in files::find(&pattern) {
                if reading.depth >= DEEPEST {
                    return Err(Fault::TooDeep(DEEPEST).into());
                }
                let reading = Reading { depth: reading.depth + 1, void: !active, ..reading };
                self.file(&path, reading, true).map_err(|error| Stop::Elsewhere(Box::new(error)))?;
            }
        }
        Ok(())
    }

    /// Names an option that is not honoured, where its value is the first one.
    fn name(&mut self, name: &str, known: Keyword, line: &Line<'_>) {
        let (Means::Named(remedy) | Means::NamedUnless(_, remedy) | Means::Concealed(remedy)) = known.means else {
            return;
        };
        if self.values.named.iter().any(|named| named == name) {
            return;
        }
        self.values.named.push(name.to_owned());
        let value = if known.form == Form::Line { line.rest.to_owned() } else { line.words.join(" ") };
        let agrees = match known.means {
            Means::NamedUnless(agreeing, _) => agreeing.iter().any(|other| value.eq_ignore_ascii_case(other)),
            _ => name == "preferredauthentications" && value.split(',').any(|method| method == "publickey"),
        };
        if !agrees {
            let value = if matches!(known.means, Means::Concealed(_)) { "…" } else { value.as_str() };
            let text = format!("{} {value}", line.keyword);
            self.values.not_honoured.push(Notice { at: line.at.clone(), text, remedy });
        }
    }
}

/// A fault of this line, or of one in a file that it includes.
pub(super) enum Stop {
    Here(Fault),
    Elsewhere(Box<ConfigError>),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Here(fault)
    }
}

/// The keyword; nothing where the line is empty or a comment.
fn first_word(line: &str) -> Option<(String, Option<&str>)> {
    let (mut name, mut rest) = words::next_word(line)?;
    if name.is_empty() {
        (name, rest) = words::next_word(rest?)?;
    }
    (!name.is_empty() && !name.starts_with('#')).then_some((name, rest))
}

fn check(form: Form, line: &Line<'_>) -> Result<(), Fault> {
    let keyword = || line.keyword.to_owned();
    let most = match form {
        Form::Anything | Form::Line => return Ok(()),
        Form::Words => usize::MAX,
        _ => 1,
    };
    let value = line.words.first().map(String::as_str).unwrap_or_default();
    if line.words.iter().any(String::is_empty) || value.is_empty() && form != Form::Words {
        return Err(Fault::NoValue(keyword()));
    }
    let bad = |expected| Fault::BadValue { keyword: keyword(), value: value.to_owned(), expected };
    let is_one_of = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    match form {
        Form::Flag if !is_one_of(&["yes", "no", "true", "false"]) => return Err(bad("yes or no")),
        Form::OneOf(words) if !is_one_of(words) => return Err(bad("one of the words in ssh_config(5)")),
        Form::Time if value != "none" && numbers::seconds(value).is_none() => {
            return Err(bad("seconds, or a time such as 2m"));
        }
        Form::Number if numbers::number(value).is_none() => return Err(bad("a whole number")),
        _ => {}
    }
    if line.words.len() > most {
        return Err(Fault::Extra(keyword()));
    }
    Ok(())
}
