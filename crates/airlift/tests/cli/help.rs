//! Help is the reference documentation: every command has it, with an example. A new command is covered by itself.

use airlift::cli::Cli;
use clap::{Command, CommandFactory as _};
use insta::assert_snapshot;

use super::support::Sandbox;
use super::{AIRLIFT, shown};

/// The words that name each command that people see, the program itself first.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &Command, words: &[String], found: &mut Vec<Vec<String>>) {
        found.push(words.to_vec());
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let words: Vec<String> = words.iter().cloned().chain([below.get_name().to_owned()]).collect();
            if below.get_name() != "instance-serve" {
                walk(below, &words, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Cli::command(), &[], &mut found);
    found
}

#[test]
fn every_command_has_help_with_an_example() {
    let sandbox = Sandbox::new(AIRLIFT, "");
    for words in commands() {
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        let name = if words.is_empty() { "airlift".to_owned() } else { words.join("_") };
        words.push("--help");
        let ran = sandbox.ok(&words);
        assert!(ran.stdout.contains("\nExample:\n  airlift "), "{name} has no example:\n{}", ran.stdout);
        assert!(ran.stdout.contains("Usage: airlift"), "{}", ran.stdout);
        let longest = ran.stdout.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(120), "{name} has lines that few terminals show:\n{}", ran.stdout);
        assert_snapshot!(format!("help__{name}"), ran.stdout);
    }
}

#[test]
fn every_example_of_the_help_is_a_command_line_that_airlift_takes() {
    let mut examples = 0;
    for words in commands() {
        let mut command = Cli::command();
        command.build();
        let command = words.iter().fold(&command, |command, word| command.find_subcommand(word).unwrap());
        let text = command.get_after_help().unwrap().to_string();
        let lines = text.lines().skip_while(|line| *line != "Example:").skip(1).take_while(|line| !line.is_empty());
        for line in lines.flat_map(|line| line.trim().split("&&")) {
            // What follows two spaces explains; a redirection is the shell's.
            let line = line.trim().split("  ").next().unwrap().split(" > ").next().unwrap();
            let parsed = Cli::command().try_get_matches_from(line.split_whitespace());
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            examples += 1;
        }
    }
    assert!(examples > 25, "{examples} examples");
}

#[test]
fn the_version_is_the_packages() {
    let sandbox = Sandbox::new(AIRLIFT, "");
    assert_eq!(sandbox.ok(&["--version"]).stdout, format!("airlift {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn without_a_command_the_help_comes_with_the_code_for_usage() {
    let sandbox = Sandbox::new(AIRLIFT, "");
    let ran = sandbox.run(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stdout.is_empty() && ran.stderr.contains("Commands:"), "{ran:?}");
}

#[test]
fn man_pages_are_written_for_every_command() {
    let sandbox = Sandbox::new(AIRLIFT, "");
    let text = shown(&sandbox, &["man", "pages/man1"]);
    let folder = sandbox.project().join("pages/man1");
    for words in commands().into_iter().filter(|words| words != &["man"]) {
        let name: Vec<String> = std::iter::once("airlift".to_owned()).chain(words).collect();
        let page = std::fs::read_to_string(folder.join(format!("{}.1", name.join("-")))).unwrap();
        assert!(page.contains(".SH NAME") && page.contains("Example:"), "{name:?}: {page}");
        let mut program = Cli::command();
        program.build();
        let command = name[1..].iter().fold(&program, |command, word| command.find_subcommand(word).unwrap());
        for option in command.get_opts().filter(|option| !option.is_hide_set()).filter_map(clap::Arg::get_long) {
            let option = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(page.contains(&option), "{name:?}: {option} is missing in {page}");
        }
    }
    assert!(text.contains("[exit 0]"), "{text}");
    assert!(!folder.join("airlift-instance-serve.1").exists());
}

#[test]
fn completions_are_made_for_every_shell_that_is_offered() {
    let sandbox = Sandbox::new(AIRLIFT, "");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(sandbox.ok(&["completions", shell]).stdout.contains("AIRLIFT_COMPLETE"), "{shell}");
    }
}
