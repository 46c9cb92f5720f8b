//! Import from outside: what comes of whole files, what is said of what could not be taken over, and that what comes out can be
//! used. What Ansible makes of the same inventories is beside them: `ansible-inventory -i FILE --list` of ansible-core 2.19.14.

#![expect(clippy::unwrap_used, reason = "a test helper that fails is a test that fails")]

#[path = "support/nearly.rs"]
mod nearly;

mod import {
    mod beside;
    mod inventories;
    mod properties;
    mod spot;
}

use airlift_core::config::{Config, Problems, parse};
use airlift_core::import::{Beside, Format, Imported, Source, detect, import};

/// Reads a text as what it looks like.
fn read(file: &str, text: &str) -> Result<Imported, Problems> {
    read_with(file, text, &[])
}

/// The same with files of variables beside it.
fn read_with(file: &str, text: &str, beside: &[Beside<'_>]) -> Result<Imported, Problems> {
    let source = Source { file, text, beside };
    let format = detect(source).unwrap_or(Format::AnsibleIni);
    import(source, format, &"shop".parse().unwrap())
}

/// The config that comes of a text, and the notes on it.
fn taken(file: &str, text: &str) -> (Config, Vec<String>) {
    taken_with(file, text, &[])
}

fn taken_with(file: &str, text: &str, beside: &[Beside<'_>]) -> (Config, Vec<String>) {
    let imported = read_with(file, text, beside).unwrap_or_else(|problems| panic!("{problems}"));
    let config =
        parse("airlift.yaml", &imported.text).unwrap_or_else(|problems| panic!("{problems}\n{}", imported.text)).config;
    (config, imported.notes.iter().map(ToString::to_string).collect())
}

/// What is wrong with a text.
fn refused(file: &str, text: &str) -> String {
    read(file, text).err().unwrap_or_else(|| panic!("{text} was read")).to_string()
}
