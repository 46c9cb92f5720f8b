//! The command line as people meet it: its help, its answers to everyday mistakes, what the common commands print, exit
//! codes and the terminal. Snapshots hold the words; ids, times, ports and digests in them are redacted.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod codes;
mod completion;
mod fleet;
mod help;
mod import;
mod mistakes;
mod redact;
mod terminal;
mod training;

#[path = "../support/mod.rs"]
mod support;

use support::{Ran, Sandbox};

/// The program under test.
const AIRLIFT: &str = env!("CARGO_BIN_EXE_airlift");

/// A local fleet of two.
const TWO: &str = "
fleet: two
provider: local
instances: {web: 2}
max_lifetime: 10m
bundle: {include: [app, boot.sh]}
bootstrap: boot.sh
";

/// A project with a fleet of two that is not up yet, and a script that says hello.
fn two() -> Sandbox {
    let sandbox = Sandbox::new(AIRLIFT, TWO);
    sandbox.write("app/page", "a page\n");
    sandbox.write("boot.sh", "#!/bin/sh\necho booted\n");
    sandbox.write("hello.sh", "echo hello\n");
    sandbox
}

/// What was typed, what came back, and the exit code, as a reader of a transcript sees it.
fn transcript(sandbox: &Sandbox, words: &[&str], ran: &Ran) -> String {
    let mut text = format!("$ airlift {}\n", words.join(" "));
    for (name, part) in [("", &ran.stdout), ("stderr:\n", &ran.stderr)] {
        if !part.is_empty() {
            text += name;
            text += part;
        }
    }
    text += &ran.code.map_or_else(|| "[by signal]\n".to_owned(), |code| format!("[exit {code}]\n"));
    redact::text(&text, sandbox.root().as_str())
}

/// Runs it and shows it.
fn shown(sandbox: &Sandbox, words: &[&str]) -> String {
    let ran = sandbox.run(words);
    transcript(sandbox, words, &ran)
}
