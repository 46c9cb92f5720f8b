//! The shellcheck step: every shell script of the checkout, each in the dialect that its `#!` line names.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::repo::Repo;
use crate::steps::{Outcome, run_command};

/// A first line longer than this is no `#!` line that a kernel would follow.
const FIRST_LINE: u64 = 256;

pub(crate) fn run(repo: &Repo) -> io::Result<Outcome> {
    let mut scripts = Vec::new();
    for file in repo.files()? {
        let by_name = file.extension().is_some_and(|extension| extension == "sh");
        if by_name || (file.extension().is_none() && names_a_shell(&first_line(&repo.path(&file))?)) {
            scripts.push(file);
        }
    }
    if scripts.is_empty() {
        return Ok(Outcome::Skipped("there is no shell script".to_owned()));
    }
    println!("{} scripts", scripts.len());
    run_command(repo.command("shellcheck").arg("--").args(scripts))
}

fn first_line(path: &Path) -> io::Result<String> {
    let mut line = Vec::new();
    BufReader::new(File::open(path)?.take(FIRST_LINE)).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Scripts without an ending, such as `.ci/run`, are known by their `#!` line.
fn names_a_shell(line: &str) -> bool {
    let Some(interpreter) = line.strip_prefix("#!") else { return false };
    let mut words = interpreter.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let program = match words.next() {
        Some("env") => words.find(|word| !word.starts_with('-')),
        other => other,
    };
    matches!(program, Some("sh" | "bash" | "dash" | "ksh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_known_by_its_first_line() {
        for line in ["#!/bin/sh\n", "#! /bin/bash -e\n", "#!/usr/bin/env bash\n", "#!/usr/bin/env -S dash -u\n"] {
            assert!(names_a_shell(line), "{line}");
        }
    }

    #[test]
    fn other_files_are_left_alone() {
        for line in ["", "\n", "#!\n", "#!/usr/bin/python3\n", "#!/usr/bin/env\n", "# bash\n", "#![expect(x)]\n"] {
            assert!(!names_a_shell(line), "{line}");
        }
    }
}
