//! Everyday mistakes: what is said names what happened, where, and what to do next.

use insta::assert_snapshot;

use super::support::Sandbox;
use super::{AIRLIFT, shown, two};

/// A project whose folder has this name: names of fleets come from it.
fn empty() -> Sandbox {
    let sandbox = Sandbox::new(AIRLIFT, "");
    std::fs::remove_file(sandbox.project().join("airlift.yaml")).unwrap();
    sandbox
}

#[test]
fn a_folder_without_a_config_says_how_to_get_one() {
    let sandbox = empty();
    assert_snapshot!(shown(&sandbox, &["up"]));
    assert_snapshot!(shown(&sandbox, &["-C", "nowhere", "status"]));
}

#[test]
fn every_problem_of_a_config_is_shown_with_its_place() {
    let config = "\
fleet: Shop_1
provider: local
instances: {web: two}
bundel: {include: [app]}
run: {timeout: 5 minutes}
secrets: {api_key: hunter2, token: 5}
";
    let sandbox = Sandbox::new(AIRLIFT, config);
    let text = shown(&sandbox, &["check"]);
    assert!(!text.contains("hunter2"), "{text}");
    assert_snapshot!(text);

    let ran = sandbox.run(&["check", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["problems"].as_array().unwrap().len(), 6, "{error}");
    assert_eq!(error["problems"][0]["line"], 1);
    assert_eq!(error["exit_code"], 2);
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
}

#[test]
fn of_a_huge_line_only_what_is_around_the_place_is_shown() {
    let many = (0..2000).map(|n| format!("10.1.{}.{}", n / 250, n % 250)).collect::<Vec<_>>().join(", ");
    let wrong = format!("x{}", "y".repeat(5000));
    let config = format!(
        "{{fleet: a, provider: hosts, hosts: [{many}, 'ü bad host', {many}], {wrong}: 1, env: {{{wrong}-: 1}}}}\n"
    );
    let sandbox = Sandbox::new(AIRLIFT, &config);
    let ran = sandbox.run(&["check"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let column = config[..config.find("'ü bad").unwrap()].chars().count() + 1;
    assert!(ran.stderr.contains(&format!("airlift.yaml:1:{column}]")), "{}", ran.stderr);
    assert!(ran.stderr.contains("'ü bad host', 10.1.0.0, 10.1.0.1"), "{}", ran.stderr);
    let longest = ran.stderr.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest < 150, "{longest}: {}", ran.stderr);
}

#[test]
fn a_file_that_the_config_names_and_that_is_not_there_is_said() {
    let sandbox = Sandbox::new(AIRLIFT, "fleet: a\nprovider: local\ninstances: 1\nbootstrap: boot.sh\n");
    assert_snapshot!(shown(&sandbox, &["check"]));
}

#[test]
fn a_provider_that_is_not_there_yet_is_said_to_be() {
    let sandbox = Sandbox::new(AIRLIFT, "fleet: a\nprovider: aws\n");
    assert_snapshot!(shown(&sandbox, &["plan"]));
}

#[test]
fn a_cache_that_cannot_be_written_is_named_with_what_to_do() {
    let sandbox = two();
    sandbox.ok(&["up", "--quiet"]);
    let elsewhere = sandbox.write("no-folder", "");
    for words in [&["run", "hello.sh"][..], &["push"]] {
        let output = sandbox.command(words).env("XDG_CACHE_HOME", &elsewhere).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(&format!("the cache folder {elsewhere}/airlift/two cannot be written")), "{stderr}");
        assert!(stderr.contains("Not a directory") && stderr.contains("XDG_CACHE_HOME"), "{stderr}");
    }
    let output = sandbox.command(&["status"]).env("XDG_CACHE_HOME", &elsewhere).output().unwrap();
    assert!(output.status.success(), "who only looks needs none: {output:?}");
}

#[test]
fn a_secret_whose_command_never_ends_is_named_and_nothing_is_done() {
    let sandbox = two();
    let config = format!("{}secrets: {{slow: {{command: 'sleep 1000', timeout: 1s}}}}\n", super::TWO);
    sandbox.write("airlift.yaml", &config);
    let ran = sandbox.run(&["up"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("the secret slow cannot be had: its command took longer than 1.0 s and was killed"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("see secrets.slow in airlift.yaml"), "{ran:?}");
    assert!(!sandbox.state().join("airlift/two/instances").exists(), "something was launched");
}

#[test]
fn a_bundle_of_somebody_else_cannot_speak_to_the_terminal() {
    use std::os::unix::ffi::OsStrExt as _;

    let sandbox = two();
    let name = std::ffi::OsStr::from_bytes(b"app/\x1b]0;owned\x07\xff");
    std::fs::write(sandbox.project().as_std_path().join(name), "").unwrap();
    let target = std::ffi::OsStr::from_bytes(b"\x1b[2Jgone\xfe");
    std::os::unix::fs::symlink(target, sandbox.project().join("app/link")).unwrap();
    sandbox.ok(&["bundle", "build", "-o", "theirs.bundle"]);
    for words in [&["bundle", "show", "theirs.bundle"][..], &["bundle", "show", "theirs.bundle", "--json"]] {
        let output = sandbox.command(words).output().unwrap();
        let shown = String::from_utf8(output.stdout).expect("text and nothing else");
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        assert!(shown.contains("app/link"), "{shown}");
    }
    assert!(sandbox.ok(&["bundle", "show", "theirs.bundle"]).stdout.contains(r"app/link -> \x1b[2Jgone\xfe"));
}

#[test]
fn hosts_that_are_not_there_are_answered_with_those_that_are() {
    let sandbox = two();
    for (name, words) in [
        ("an_unknown_host", ["run", "hello.sh", "--host", "wbe/1"]),
        ("no_host_like_it", ["run", "hello.sh", "--host", "database"]),
        ("a_selector_that_matches_nothing", ["run", "hello.sh", "--label", "role=db"]),
        ("a_label_without_a_value", ["run", "hello.sh", "--label", "role"]),
        ("a_run_that_is_not_there", ["run", "hello.sh", "--failed-of", "r-0k3f9x2a"]),
        ("a_run_that_is_no_run", ["run", "hello.sh", "--failed-of", "yesterday"]),
    ] {
        assert_snapshot!(name, shown(&sandbox, &words));
    }
}

#[test]
fn scripts_that_cannot_run_are_refused_before_anything_happens() {
    let sandbox = two();
    sandbox.write("empty.sh", "\n");
    for (name, words) in [
        ("a_script_that_is_missing", &["run", "nope.sh"][..]),
        ("a_script_that_is_empty", &["run", "empty.sh"]),
        ("a_script_that_is_a_folder", &["run", "app"]),
        ("a_script_of_up_that_is_missing", &["up", "--run", "nope.sh"]),
        ("an_assignment_without_a_value", &["run", "hello.sh", "--env", "TOKEN"]),
        ("a_variable_with_a_bad_name", &["run", "hello.sh", "--env", "1A=b"]),
        ("a_duration_that_is_none", &["run", "hello.sh", "--timeout", "5x"]),
        ("no_host_at_once", &["run", "hello.sh", "--concurrency", "0"]),
        ("no_script", &["run"]),
        ("a_command_with_a_typo", &["rnu"]),
    ] {
        assert_snapshot!(name, shown(&sandbox, words));
    }
    assert!(!sandbox.state().join("airlift/two/instances").exists(), "nothing was launched");
}

#[test]
fn a_fleet_that_was_never_up_is_no_error_to_look_at() {
    let sandbox = two();
    for (name, words) in [
        ("status", &["status"][..]),
        ("runs", &["runs"]),
        ("logs", &["logs"]),
        ("logs_boot", &["logs", "boot"]),
        ("audit_list", &["audit", "list"]),
        ("resume", &["resume"]),
        ("attach", &["attach"]),
        ("cancel", &["cancel", "r-0k3f9x2a"]),
        ("undo", &["undo", "c-0k3f9x2a"]),
        ("down", &["down"]),
        ("ssh", &["ssh", "web/1"]),
    ] {
        assert_snapshot!(format!("never_up__{name}"), shown(&sandbox, words));
    }
}

#[test]
fn init_writes_a_config_that_is_fine_and_never_overwrites_one() {
    let sandbox = empty();
    assert_snapshot!("init", shown(&sandbox, &["init", "--fleet", "shop"]));
    assert_snapshot!("init_again", shown(&sandbox, &["init", "--fleet", "shop"]));
    assert_snapshot!("init_then_check", shown(&sandbox, &["check"]));
    let sandbox = empty();
    assert_snapshot!("init_hosts", shown(&sandbox, &["init", "--provider", "hosts", "--fleet", "shop"]));
    assert_snapshot!("init_hosts_then_check", shown(&sandbox, &["check"]));
    // The machine that it names as an example is nobody's: nothing is to be taken down there.
    std::fs::remove_file(sandbox.project().join("airlift.yaml")).unwrap();
    let sandbox = empty();
    assert_snapshot!("init_bad_name", shown(&sandbox, &["init", "--fleet", "My Shop"]));
    let ran = sandbox.ok(&["init"]);
    assert!(ran.stdout.contains("for the fleet project-"), "named after its folder, unlikely to collide: {ran:?}");
}

#[test]
fn a_secret_inside_the_bundle_is_warned_about_and_a_bootstrap_outside_of_it_is_an_error() {
    let sandbox = two();
    sandbox.write("app/token", "s3cret\n");
    let config = std::fs::read_to_string(sandbox.project().join("airlift.yaml")).unwrap();
    let secret = format!("{config}secrets: {{token: {{file: ./app/token}}}}\n");
    sandbox.write("airlift.yaml", &secret);
    for words in [&["check"][..], &["up", "--dry-run"], &["push", "--dry-run"]] {
        let ran = sandbox.ok(words);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("warning: ") && said.contains("every release holds a copy of it"), "{words:?}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    let json = sandbox.ok(&["check", "--json"]).json().remove(0);
    assert!(json["warnings"][0].as_str().unwrap().contains("bundle.exclude"), "{json}");
    sandbox.write("airlift.yaml", &secret.replace("boot.sh]", "boot.sh], exclude: [/app/token]"));
    let json = sandbox.ok(&["check", "--json"]).json().remove(0);
    assert_eq!(json["warnings"], serde_json::json!([]));

    sandbox.write("airlift.yaml", &config.replace("include: [app, boot.sh]", "include: [app]"));
    for words in [&["check"][..], &["up"]] {
        let ran = sandbox.run(words);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("boot.sh is not part of the bundle"), "{}", ran.stderr);
        assert!(ran.stderr.contains("\"/boot.sh\" to bundle.include"), "{}", ran.stderr);
    }
    sandbox.write("airlift.yaml", &config);
}

#[test]
fn the_examples_are_fine() {
    let sandbox = empty();
    for example in ["hello", "fleet-of-mine"] {
        let folder = format!("{}/../../examples/{example}", env!("CARGO_MANIFEST_DIR"));
        let ran = sandbox.ok(&["check", "-C", &folder]);
        assert_snapshot!(format!("check_{example}"), super::transcript(&sandbox, &["check", "-C", example], &ran));
    }
}

#[test]
fn a_config_that_is_no_text_or_no_file_is_said_to_be() {
    let sandbox = two();
    std::fs::write(sandbox.project().join("airlift.yaml"), b"fleet: a\nprovider: lo\xffcal\n").unwrap();
    let text = shown(&sandbox, &["check"]);
    assert!(text.contains("airlift.yaml:2 is not UTF-8"), "{text}");
    let text = shown(&sandbox, &["check", "-C", "airlift.yaml"]);
    assert!(text.contains("is a file") && text.contains("-C DIR names the folder"), "{text}");
}
