//! Machines are reached as `~/.ssh/config` says; what of it is not honoured is said, and what is at fault stops a change.

use std::fmt::Write as _;
use std::fs;

use crate::sshd::user;
use crate::world::{World, text};

/// A world whose `airlift.yaml` has aliases alone, and the text of a config that says where they are.
fn aliased(machines: usize) -> (World, String) {
    let world = World::new(machines, "");
    let (mut hosts, mut config) = (String::new(), String::new());
    for (number, machine) in (1..).zip(&world.machines) {
        writeln!(hosts, "  - {{name: h{number}, address: alias-{number}}}").unwrap();
        let (host, port) = (machine.host(), machine.port());
        writeln!(config, "Host alias-{number}\n  HostName {host}\n  Port {port}\n  User {}", user()).unwrap();
    }
    world.sandbox.write(
        "airlift.yaml",
        &format!("fleet: listed\nprovider: hosts\nhosts:\n{hosts}ssh: {{sudo: never}}\nbundle: {{include: [app]}}\n"),
    );
    world.sandbox.write("app/page.html", "one\n");
    (world, config)
}

fn configure(world: &World, config: &str) {
    fs::write(world.sandbox.home().join(".ssh/config"), config).unwrap();
}

#[test]
fn a_fleet_of_aliases_behind_a_jump_host_is_brought_up_run_on_and_logged_in_to() {
    let (world, config) = aliased(2);
    configure(&world, &format!("{config}  ProxyJump alias-1\n"));
    world.sandbox.ok(&["up"]);
    let script = world.script("printf 'here '");
    let ran = world.sandbox.ok(&["run", text(&script)]);
    assert_eq!(ran.stdout.matches("here").count(), 2, "{}", ran.stdout);
    assert_eq!(world.sandbox.ok(&["ssh", "h2", "--", "printf", "there"]).stdout, "there");
    let address = format!("{}:{}", world.machine(2).host(), world.machine(2).port());
    let status = world.sandbox.ok(&["status", "--json"]);
    assert!(status.stdout.contains(&address), "{}", status.stdout);
}

#[test]
fn what_is_not_honoured_is_named_by_check_up_run_and_push() {
    let (world, config) = aliased(2);
    let line = config.lines().count() + 2;
    configure(
        &world,
        &format!("{config}  ForwardAgent yes\n  StrictHostKeyChecking no\nHost elsewhere\n  RekeyLimit 1G\n"),
    );
    let warning = format!(
        "~/.ssh/config:{line}: StrictHostKeyChecking no is not honoured for h2; airlift always checks host keys, and adds none by itself"
    );
    let script = world.script("exit 0");
    for words in [vec!["check"], vec!["up"], vec!["run", text(&script)], vec!["push"]] {
        let ran = world.sandbox.ok(&words);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(said.matches(&warning).count(), 1, "{words:?}: {said}");
        assert_eq!(said.matches("not honoured").count(), 1, "{words:?}: {said}");
    }
    let quiet = world.sandbox.ok(&["run", "--quiet", text(&script)]);
    assert!(!quiet.stderr.contains("not honoured"), "{}", quiet.stderr);
    let json = world.sandbox.ok(&["check", "--json"]).json().remove(0);
    assert_eq!(json["warnings"], serde_json::json!([warning]));
}

#[test]
fn a_config_at_fault_stops_every_change_before_it_begins_and_names_its_line() {
    let (world, config) = aliased(1);
    configure(&world, &format!("{config}  Prot 22\n"));
    let line = config.lines().count() + 1;
    let script = world.script("exit 0");
    for words in [vec!["check"], vec!["plan"], vec!["up"], vec!["run", text(&script)]] {
        let ran = world.sandbox.run(&words);
        assert_eq!(ran.code, Some(2), "{words:?}: {}", ran.stderr);
        let told = format!("~/.ssh/config:{line}: ssh has no option Prot");
        assert!(ran.stderr.contains(&told), "{words:?}: {}", ran.stderr);
    }
    assert!(world.sandbox.run(&["audit", "list", "--json"]).json().is_empty());
    let session = world.sandbox.run(&["ssh", "h1", "--", "true"]);
    assert!(session.code == Some(1) && session.stderr.contains("ssh has no option Prot"), "{}", session.stderr);
}
