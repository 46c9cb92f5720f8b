//! Lines of a config, cut and checked as far as that can be done without a host in mind.

use std::cell::Cell;
use std::path::Path;

use super::error::{ConfigError, Fault};
use super::keywords::{Form, Keyword, keyword};
use super::{numbers, words};
use crate::ssh::Place;

/// A line that says something.
pub(super) struct Line {
    pub(super) at: Place,
    /// As it is written.
    pub(super) keyword: String,
    /// In lower case.
    pub(super) name: String,
    /// What the keyword is; nothing where it is none.
    pub(super) known: Option<Keyword>,
    /// All that follows the keyword.
    pub(super) rest: String,
    /// The words of it.
    pub(super) words: Vec<String>,
    /// Its value was checked and is one.
    pub(super) is_sound: Cell<bool>,
}

/// The lines of a text, and the faults among them.
pub(super) fn read(text: &str, file: &Path) -> Vec<Result<Line, ConfigError>> {
    let numbered = (1..).zip(text.split('\n'));
    let line = |(number, line)| {
        let at = Place { file: file.to_owned(), line: number };
        let (keyword, rest) = first_word(words::trim_line(line))?;
        let rest = words::trim_blanks(rest.unwrap_or_default());
        Some(cut(keyword, rest, &at).map_err(|fault| fault.at(&at)))
    };
    numbered.filter_map(line).collect()
}

fn cut(written: String, rest: &str, at: &Place) -> Result<Line, Fault> {
    if rest.is_empty() {
        return Err(Fault::NoValue(written));
    }
    let name = written.to_ascii_lowercase();
    let known = keyword(&name);
    let words = words::values(rest).ok_or(Fault::Quotes)?;
    if let Some(known) = known {
        check(known.form, &written, &words)?;
    }
    let (at, rest) = (at.clone(), rest.to_owned());
    Ok(Line { at, keyword: written, name, known, rest, words, is_sound: Cell::new(false) })
}

/// The keyword; nothing where the line is empty or a comment.
fn first_word(line: &str) -> Option<(String, Option<&str>)> {
    let (mut name, mut rest) = words::next_word(line)?;
    if name.is_empty() {
        (name, rest) = words::next_word(rest?)?;
    }
    (!name.is_empty() && !name.starts_with('#')).then_some((name, rest))
}

/// Checks what every value of a form must be.
fn check(form: Form, name: &str, words: &[String]) -> Result<(), Fault> {
    let keyword = || name.to_owned();
    let most = match form {
        Form::Anything | Form::Line => return Ok(()),
        Form::Words => usize::MAX,
        _ => 1,
    };
    let value = words.first().map(String::as_str).unwrap_or_default();
    if words.iter().any(String::is_empty) || value.is_empty() && form != Form::Words {
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
    if words.len() > most {
        return Err(Fault::Extra(keyword()));
    }
    Ok(())
}
