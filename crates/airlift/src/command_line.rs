//! The command line as the event log keeps it: what was given, in its order, with digests where a value may be secret.
//!
//! It is written from what the one parser understood, never from the words themselves: whatever way an option was given
//! in (`-e A=b`, `-qeA=b`, `--env=A=b`), its value is known to be one.

use airlift_core::id::Digest;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

/// Options whose value has the form NAME=VALUE, of which only the name is recorded.
const ASSIGNMENTS: [&str; 1] = ["env"];

/// Arguments that are recorded by their digest alone.
const CONCEALED: [&str; 1] = ["args"];

/// One word, and whether it may be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Said(String),
    /// What stands before the value, and the value.
    Concealed(String, String),
}

/// A command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine(Vec<Word>);

impl CommandLine {
    /// What was given, as `command` understood it.
    pub fn of(command: &Command, matches: &ArgMatches) -> Self {
        let mut words = vec![Word::Said(command.get_name().to_owned())];
        let mut level = Some((command, matches));
        while let Some((command, matches)) = level {
            words.extend(given(command, matches));
            level = matches.subcommand().and_then(|(name, matches)| {
                words.push(Word::Said(name.to_owned()));
                Some((command.find_subcommand(name)?, matches))
            });
        }
        Self(words)
    }

    /// The words as they may be recorded. `salt` is the fleet's own secret: digests of short values tell nothing to whoever
    /// lacks it.
    pub(crate) fn discreet(&self, salt: &str) -> Vec<String> {
        let digest = |value: &str| format!("sha256:{}", Digest::of_parts([salt, value]).short());
        self.0
            .iter()
            .map(|word| match word {
                Word::Said(word) => word.clone(),
                Word::Concealed(before, value) => before.clone() + &digest(value),
            })
            .collect()
    }
}

/// What was given at one level, in the order in which it was given.
fn given(command: &Command, matches: &ArgMatches) -> Vec<Word> {
    let mut given: Vec<(usize, Vec<Word>)> = command
        .get_arguments()
        // A global option is known at every level; it is written down where it is the command's own.
        .filter(|arg| matches!(matches.value_source(arg.get_id().as_str()), Some(ValueSource::CommandLine)))
        .filter(|arg| !arg.is_global_set() || matches.subcommand().is_none())
        .flat_map(|arg| occurrences(arg, matches))
        .collect();
    given.sort_by_key(|(index, _)| *index);
    given.into_iter().flat_map(|(_, words)| words).collect()
}

/// Each time an argument was given: where, and as which words.
fn occurrences(arg: &Arg, matches: &ArgMatches) -> Vec<(usize, Vec<Word>)> {
    let id = arg.get_id().as_str();
    let indices = matches.indices_of(id).into_iter().flatten();
    let long = arg.get_long().map(|long| format!("--{long}"));
    let flag = long.or_else(|| arg.get_short().map(|short| format!("-{short}"))).map(Word::Said);
    if !arg.get_action().takes_values() {
        return indices.map(|index| (index, flag.clone().into_iter().collect())).collect();
    }
    let values = matches.get_raw(id).into_iter().flatten().map(|value| value.to_string_lossy().into_owned());
    let mut found: Vec<(usize, Vec<Word>)> = indices
        .zip(values)
        .map(|(index, value)| (index, flag.clone().into_iter().chain([word(id, value)]).collect()))
        .collect();
    // What comes after `--` alone is read again the same way only with it.
    if let Some((_, first)) = found.first_mut().filter(|_| arg.is_last_set()) {
        first.insert(0, Word::Said("--".to_owned()));
    }
    found
}

fn word(id: &str, value: String) -> Word {
    if CONCEALED.contains(&id) {
        return Word::Concealed(String::new(), value);
    }
    if !ASSIGNMENTS.contains(&id) {
        return Word::Said(value);
    }
    match value.split_once('=') {
        Some((name, value)) => Word::Concealed(format!("{name}="), value.to_owned()),
        None => Word::Concealed(String::new(), value),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn said(line: &str) -> String {
        let mut command = Cli::command();
        let matches = command.try_get_matches_from_mut(line.split(' ')).unwrap();
        CommandLine::of(&command, &matches).discreet("salt").join(" ")
    }

    #[test]
    fn values_of_environment_and_arguments_are_never_recorded() {
        for line in [
            "/usr/bin/airlift run a.sh --env TOKEN=hush",
            "airlift run a.sh -e TOKEN=hush -- --flag hush",
            "airlift run a.sh -eTOKEN=hush",
            "airlift run a.sh -e=TOKEN=hush",
            "airlift run a.sh -qe TOKEN=hush",
            "airlift run a.sh -qyeTOKEN=hush",
            "airlift run a.sh --env=TOKEN=hush",
        ] {
            let said = said(line);
            assert!(!said.contains("hush"), "{said}");
            assert!(said.starts_with("airlift run"), "{said}");
            assert!(said.contains("a.sh") && said.contains("sha256:"), "{said}");
        }
        assert!(said("airlift run a.sh --env TOKEN=hush").contains("--env TOKEN=sha256:"));
        assert!(said("airlift run a.sh -- one two").contains("-- sha256:"));
    }

    #[test]
    fn all_else_is_recorded_as_it_was_given_and_in_its_order() {
        for line in [
            "airlift up --yes --concurrency 3",
            "airlift run --quiet a.sh --host web/1 --host web/2 --as ubuntu --detach",
            "airlift audit export --format text",
            "airlift down --json",
        ] {
            assert_eq!(said(line), line);
        }
        assert_eq!(said("airlift -q run a.sh"), "airlift run a.sh --quiet");
        assert_eq!(said("airlift run -C elsewhere a.sh"), "airlift run -C elsewhere a.sh");
    }
}
