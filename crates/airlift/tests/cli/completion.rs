//! Completion as a shell asks for it: bash itself, and fish where it is installed.

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

/// What bash offers for the last word of a line. Nothing may be said beside it.
fn offered(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let script = r#"
        source <(airlift completions bash)
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9; COMP_KEY=9; COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        function=$(complete -p airlift); function=${function##*-F }; function=${function%% *}
        $function airlift "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let args: Vec<&str> = ["-c", script, "bash", "airlift"].into_iter().chain(words.iter().copied()).collect();
    let output = shell(sandbox, "bash", &args).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    let offered = String::from_utf8(output.stdout).unwrap();
    let offered = offered.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty());
    // Options may follow wherever nothing is typed yet.
    let asks_for_options = words.last().is_some_and(|word| word.starts_with('-'));
    offered.filter(|line| asks_for_options || !line.starts_with('-')).collect()
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
fn every_command_and_option_is_offered() {
    let sandbox = Sandbox::new(AIRLIFT, "");
    let commands = offered(&sandbox, &[""]);
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        let mut names = command.get_visible_aliases().chain([name]);
        assert!(names.any(|name| commands.iter().any(|offered| offered == name)), "{name}: {commands:?}");
        let options = offered(&sandbox, &[name, "--"]);
        for option in command.get_opts().filter_map(|option| option.get_long()) {
            assert!(options.contains(&format!("--{option}")), "{name} --{option}: {options:?}");
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
fn fish_completes_too_where_it_is_installed() {
    let sandbox = two();
    let script = "airlift completions fish | source; complete -C 'airlift ssh web'";
    match shell(&sandbox, "fish", &["--no-config", "-c", script]).output() {
        Ok(output) => {
            let offered = String::from_utf8(output.stdout).unwrap();
            assert!(offered.contains("web/1") && offered.contains("web/2"), "{offered}{:?}", output.stderr);
        }
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}
