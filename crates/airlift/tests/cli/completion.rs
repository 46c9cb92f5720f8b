//! Completion as a shell asks for it: bash, zsh and fish themselves.

use std::process::Command;

use airlift::cli::Cli;
use camino::Utf8Path;
use clap::CommandFactory as _;

use super::support::Sandbox;
use super::support::terminal::Session;
use super::{AIRLIFT, two};

/// A shell in the project, with the program on its path.
fn shell(sandbox: &Sandbox, program: &str, args: &[&str]) -> Command {
    let likeness = sandbox.command(&[]);
    let mut shell = Command::new(program);
    shell.args(args).current_dir(sandbox.project()).env_clear();
    shell.envs(likeness.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let folder = Utf8Path::new(AIRLIFT).parent().unwrap();
    shell.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
    shell.stdin(std::process::Stdio::null());
    shell
}

/// The shells in which completion is tried out; xtask's list of needs has them all.
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// What a shell has to be told to print what it offers for the last of its arguments.
fn question(program: &str) -> &'static str {
    match program {
        "bash" => {
            r#"
        source <(airlift completions bash)
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9; COMP_KEY=9; COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        function=$(complete -p airlift); function=${function##*-F }; function=${function%% *}
        $function airlift "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#
        }
        // Outside of its line editor zsh offers nothing: what would be handed to the editor is printed.
        "zsh" => {
            r#"
        compdef() { completer=$1 }
        source <(airlift completions zsh)
        _describe() { while [[ $1 == -* ]]; do shift; done; for one in "${(P@)2}"; do print -r -- "${one%%:*}"; done }
        words=("$@"); CURRENT=$#; $completer
    "#
        }
        _ => "airlift completions fish | source; complete -C (string join -- ' ' $argv)",
    }
}

/// What a shell offers for the last word of a line. Nothing may be said beside it.
fn offered_by(program: &str, sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let start: &[&str] = match program {
        "bash" => &["-c", question(program), "bash"],
        "zsh" => &["-fc", question(program), "zsh"],
        _ => &["--no-config", "-c", question(program)],
    };
    let args: Vec<&str> = start.iter().chain(&["airlift"]).chain(words).copied().collect();
    let output = shell(sandbox, program, &args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{program}: {words:?}");
    let offered = String::from_utf8(output.stdout).unwrap();
    // Fish puts a description behind each.
    let offered = offered.lines().filter_map(|line| line.split('\t').next()).map(|line| line.trim_end().to_owned());
    // Options may follow wherever nothing is typed yet.
    let asks_for_options = words.last().is_some_and(|word| word.starts_with('-'));
    offered.filter(|line| !line.is_empty() && (asks_for_options || !line.starts_with('-'))).collect()
}

fn offered(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    offered_by("bash", sandbox, words)
}

fn ids(sandbox: &Sandbox, words: &[&str], key: &str) -> Vec<String> {
    let printed = sandbox.ok(words).stdout;
    let lines = printed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.map(|line| line[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_shell_completes_ids_hosts_and_labels_and_changes_nothing() {
    let sandbox = two();
    sandbox.ok(&["up", "--quiet"]);
    sandbox.ok(&["run", "hello.sh", "--quiet"]);
    let marker = sandbox.root().join("go");
    sandbox.write("long.sh", &format!("while [ ! -e {marker} ]; do sleep 0.1; done\n"));
    sandbox.ok(&["run", "long.sh", "--detach", "--quiet"]);
    let runs = ids(&sandbox, &["runs", "--json"], "run");
    let changes = ids(&sandbox, &["audit", "list", "--json"], "change");
    let before = Sandbox::snapshot(sandbox.root());

    let mut all = runs.clone();
    assert_eq!(offered(&sandbox, &["run", "x", "--failed-of", ""]), all, "the newest first");
    assert_eq!(offered(&sandbox, &["logs", "r-"]), all);
    all.insert(0, "boot".to_owned());
    assert_eq!(offered(&sandbox, &["logs", ""]), all);
    assert_eq!(offered(&sandbox, &["attach", ""]), runs[..1], "what has ended cannot be attached to");
    assert_eq!(offered(&sandbox, &["cancel", "r-"]), runs[..1]);
    assert_eq!(offered(&sandbox, &["undo", "c-"]), changes);
    assert_eq!(offered(&sandbox, &["audit", "show", "c-"]), changes);
    assert_eq!(offered(&sandbox, &["resume", "c-"]), changes[..1]);
    assert_eq!(offered(&sandbox, &["status", "--host", "w"]), ["web", "web/1", "web/2"]);
    assert_eq!(offered(&sandbox, &["ssh", "web"]), ["web/1", "web/2"]);
    assert_eq!(offered(&sandbox, &["push", "--label", "g"]), ["group=web"]);
    assert_eq!(offered(&sandbox, &["down", "--region", ""]), ["local"]);
    let elsewhere = sandbox.project();
    assert_eq!(offered(&sandbox, &["-C", elsewhere.as_str(), "ssh", ""]), ["web/1", "web/2"]);

    assert!(Sandbox::snapshot(sandbox.root()) == before, "asking changed something");

    // In bash as a person has it, the only run that goes on is typed out.
    let bash = Session::of(&shell(&sandbox, "bash", &["--norc", "--noprofile", "-i"]), &[]);
    bash.type_in("source <(airlift completions bash); echo rea''dy\n");
    bash.expect("ready");
    bash.type_in("airlift cancel r-\t");
    bash.expect(&format!("airlift cancel {}", runs[0]));
    bash.type_in("\x15exit\n");
    assert_eq!(bash.end().1, Some(0));

    std::fs::write(marker, "").unwrap();
    sandbox.ok(&["attach", "--quiet"]);
}

#[test]
fn every_command_and_option_is_offered_in_every_shell() {
    let sandbox = Sandbox::new(AIRLIFT, "");
    for shell in SHELLS {
        let commands = offered_by(shell, &sandbox, &[""]);
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let mut names = command.get_visible_aliases().chain([name]);
            assert!(names.any(|name| commands.iter().any(|offered| offered == name)), "{shell}: {name}: {commands:?}");
            let options = offered_by(shell, &sandbox, &[name, "--"]);
            for option in command.get_opts().filter_map(|option| option.get_long()) {
                assert!(options.contains(&format!("--{option}")), "{shell}: {name} --{option}: {options:?}");
            }
        }
    }
}

#[test]
fn where_nothing_can_be_read_nothing_is_offered_or_said() {
    let broken = Sandbox::new(AIRLIFT, "fleet: [\n");
    let damaged = two();
    let state = damaged.state().join("airlift/two");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("log.sqlite"), "no database").unwrap();
    for sandbox in [&Sandbox::new(AIRLIFT, ""), &broken, &damaged] {
        assert_eq!(offered(sandbox, &["undo", "c-"]), [""; 0]);
        assert_eq!(offered(sandbox, &["-C", "/nowhere", "cancel", "r-"]), [""; 0]);
    }
    assert_eq!(offered(&broken, &["ssh", "w"]), [""; 0]);
}

#[test]
fn every_shell_offers_the_hosts_of_the_project() {
    let sandbox = two();
    for shell in SHELLS {
        assert_eq!(offered_by(shell, &sandbox, &["ssh", "web"]), ["web/1", "web/2"], "{shell}");
    }
}
