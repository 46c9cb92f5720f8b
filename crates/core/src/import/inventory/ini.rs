//! The form with sections: `[web]`, `[web:vars]`, `[all:children]`.

use super::super::Fault;
use super::super::notes::Notes;
use super::super::words::{self, Comments};
use super::{ALL, Inventory, UNGROUPED, Value, Var, Vars};
use crate::config::Span;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Children,
    Vars,
}

/// A line that is neither empty nor a comment, without its indentation.
struct Line<'t> {
    text: &'t str,
    at: Span,
}

impl Line<'_> {
    /// A part of the line that begins at this column of it, counted from 1.
    fn at(&self, column: usize, text: &str) -> Span {
        let before = self.text.char_indices().nth(column - 1).map_or(0, |(offset, _)| offset);
        let len = text.len().min(self.text.len() - before);
        Span { offset: self.at.offset + before, len, line: self.at.line, column: self.at.column + column - 1 }
    }
}

/// The text has a section, or a host to begin with.
pub(in crate::import) fn looks_like(text: &str) -> bool {
    lines(text).any(|line| matches!(section(line.text), Some(Ok(_))))
        || lines(text).all(|line| {
            let words = words::split(line.text, Comments::Skipped).unwrap_or_default();
            words.split_first().is_some_and(|(host, vars)| {
                super::expand(&host.text).is_ok()
                    && !host.text.contains([',', '='])
                    && vars.iter().all(|var| var.text.contains('='))
            })
        }) && lines(text).next().is_some()
}

/// Reads the whole text.
pub(in crate::import) fn read(text: &str, notes: &mut Notes<'_>) -> Result<Inventory, Fault> {
    let mut inventory = Inventory::default();
    let mut declared = std::collections::BTreeSet::from([ALL.to_owned(), UNGROUPED.to_owned()]);
    let mut referred: Vec<(String, Span)> = Vec::new();
    let (mut group, mut state) = (UNGROUPED.to_owned(), Section::Hosts);
    for line in lines(text) {
        if let Some(header) = section(line.text) {
            let (name, kind) = header.map_err(|why| notes.fault(Some(line.at), why))?;
            (group, state) = (name.to_owned(), kind);
            inventory.group(&group, line.at);
            if state == Section::Vars {
                referred.push((group.clone(), line.at));
            } else {
                declared.insert(group.clone());
            }
            continue;
        }
        match state {
            Section::Hosts => {
                let (pattern, vars) = host(&line, notes)?;
                inventory.group(&group, line.at);
                inventory.add_hosts(&pattern, &group, &vars, line.at, notes)?;
            }
            Section::Children => {
                let child = line.text.split([' ', '\t', '#']).next().unwrap_or_default();
                referred.push((child.to_owned(), line.at));
                inventory.group(child, line.at);
                inventory.group(&group, line.at).children.insert(child.to_owned());
            }
            Section::Vars => {
                let (name, value) = line
                    .text
                    .split_once('=')
                    .ok_or_else(|| notes.fault(Some(line.at), "this is no variable: name=value is expected"))?;
                let at = line.at(1, name.trim());
                let var = Var { value: literal(value.trim()), at: at.into() };
                inventory.group(&group, line.at).vars.insert(name.trim().to_owned(), var);
            }
        }
    }
    match referred.into_iter().find(|(name, _)| !declared.contains(name)) {
        Some((name, at)) => Err(notes.fault(Some(at), format!("there is no group {name:?} in this inventory"))),
        None => inventory.close(notes),
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut offset = 0;
    text.split('\n').enumerate().filter_map(move |(number, whole)| {
        let begin = offset;
        offset += whole.len() + 1;
        let text = whole.trim();
        let indent = whole.len() - whole.trim_start().len();
        let at = Span {
            offset: begin + indent,
            len: text.len(),
            line: number + 1,
            column: whole[..indent].chars().count() + 1,
        };
        (!text.is_empty() && !text.starts_with(['#', ';'])).then_some(Line { text, at })
    })
}

/// The group and the kind of a section's head; nothing for another line.
fn section(line: &str) -> Option<Result<(&str, Section), String>> {
    let (inside, rest) = line.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        return None;
    }
    let (name, kind) = inside.split_once(':').unwrap_or((inside, "hosts"));
    if name.is_empty() || name.contains(char::is_whitespace) || kind.contains(char::is_whitespace) {
        return Some(Err("this section has no name, or blanks in it".to_owned()));
    }
    Some(match kind {
        "hosts" => Ok((name, Section::Hosts)),
        "children" => Ok((name, Section::Children)),
        "vars" => Ok((name, Section::Vars)),
        other => Err(format!("there is no kind of section {other:?}; hosts, children and vars are")),
    })
}

/// A pattern of hosts and their variables. What is wrong is not repeated: it may be a part of a password.
fn host(line: &Line<'_>, notes: &Notes<'_>) -> Result<(String, Vars), Fault> {
    let words = words::split(line.text, Comments::Skipped)
        .map_err(|_| notes.fault(Some(line.at), "a quote in this line is not closed"))?;
    let mut words = words.into_iter();
    let pattern = words.next().map(|word| word.text).unwrap_or_default();
    let mut vars = Vars::new();
    for word in words {
        let Some((name, value)) = word.text.split_once('=') else {
            let at = line.at(word.column, &word.text);
            return Err(notes.fault(Some(at), "after the host only variables can stand, each as name=value"));
        };
        vars.insert(name.to_owned(), Var { value: literal(value), at: line.at(word.column, name).into() });
    }
    Ok((pattern, vars))
}

/// A value is a Python literal where it can be one, and else the text that it is.
fn literal(value: &str) -> Value {
    if value.starts_with(['[', '{', '('])
        && value.ends_with([']', '}', ')'])
        && !value.starts_with("{{")
        && !value.starts_with("{%")
    {
        return Value::Other;
    }
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'));
    if let Some(inside) = quote.and_then(|quote| quoted(value, quote)) {
        return Value::Text(inside);
    }
    // A comment may follow a number, as in Python.
    let number = value.split('#').next().unwrap_or_default().trim();
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    Value::Text(if is_number { number } else { value }.to_owned())
}

/// The inside of a text in quotes that ends with its quote.
fn quoted(value: &str, quote: char) -> Option<String> {
    let mut chars = value[1..].chars();
    let mut inside = String::new();
    loop {
        match chars.next()? {
            '\\' => match chars.next()? {
                'n' => inside.push('\n'),
                't' => inside.push('\t'),
                c @ ('\\' | '\'' | '"') => inside.push(c),
                c => inside.extend(['\\', c]),
            },
            c if c == quote => break,
            c => inside.push(c),
        }
    }
    let rest = chars.as_str().trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(inside)
}
