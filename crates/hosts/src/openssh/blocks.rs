//! Reading the files of a config for one host: which lines count.
//!
//! What always holds: every line is checked, also in blocks that speak of other hosts; the first value of an option
//! stays.

use camino::Utf8Path;

use super::Config;
use super::criteria;
use super::error::{ConfigError, Fault};
use super::keywords::{Form, Keyword, Means};
use super::lines::Line;
use super::patterns::{self, Says};
use super::tokens;
use super::values::{Notice, Values};

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
        let lines = self.config.files.read(path, guarded).map_err(|fault| ConfigError { at: None, fault })?;
        let mut active = !reading.void;
        for line in lines.iter() {
            let line = line.as_ref().map_err(Clone::clone)?;
            self.line(line, &mut active, reading).map_err(|stop| match stop {
                Stop::Here(fault) => fault.at(&line.at),
                Stop::Elsewhere(error) => *error,
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line, active: &mut bool, reading: Reading) -> Result<(), Stop> {
        let Some(known) = line.known else {
            let ignored = self.values.ignore_unknown.as_deref().unwrap_or_default().to_ascii_lowercase();
            let is_ignored = patterns::list(&line.name, &ignored) == Says::Yes;
            return if is_ignored { Ok(()) } else { Err(Fault::UnknownKeyword(line.keyword.clone()).into()) };
        };
        match known.means {
            Means::Host => *active = !reading.void && patterns::host_line(self.host, &line.words),
            Means::Match => {
                let verdict = criteria::evaluate(self, &line.rest, reading.void)?;
                self.wants_final |= verdict.wants_final;
                *active = !reading.void && verdict.counts;
            }
            Means::Include => self.include(line, *active, reading)?,
            // What was checked once needs no second look where it does not count.
            Means::Set(_) if !*active && line.is_sound.get() => {}
            Means::Set(setting) => {
                self.values.set(setting, line, *active, &self.config.around)?;
                line.is_sound.set(true);
            }
            _ if *active => self.name(known, line),
            _ => {}
        }
        Ok(())
    }

    fn include(&mut self, line: &Line, active: bool, reading: Reading) -> Result<(), Stop> {
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
            for path in config.files.find(&pattern).iter() {
                if reading.depth >= DEEPEST {
                    return Err(Fault::TooDeep(DEEPEST).into());
                }
                let reading = Reading { depth: reading.depth + 1, void: !active, ..reading };
                self.file(path, reading, true).map_err(|error| Stop::Elsewhere(Box::new(error)))?;
            }
        }
        Ok(())
    }

    /// Names an option that is not honoured, where its value is the first one.
    fn name(&mut self, known: Keyword, line: &Line) {
        let (Means::Named(remedy) | Means::NamedUnless(_, remedy) | Means::Concealed(remedy)) = known.means else {
            return;
        };
        if self.values.named.contains(&line.name) {
            return;
        }
        self.values.named.push(line.name.clone());
        let value = if known.form == Form::Line { line.rest.clone() } else { line.words.join(" ") };
        let agrees = match known.means {
            Means::NamedUnless(agreeing, _) => agreeing.iter().any(|other| value.eq_ignore_ascii_case(other)),
            _ => line.name == "preferredauthentications" && value.split(',').any(|method| method == "publickey"),
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
