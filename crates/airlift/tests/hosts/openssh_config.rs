//! `~/.ssh/config` is not followed, and that is said wherever it would have made a difference.

use std::fs;

use crate::world::{World, text};

#[test]
fn what_the_operators_ssh_config_says_of_a_listed_host_is_named_by_check_up_run_and_push() {
    let world = World::new(2, "bundle: {include: [app]}\n");
    world.sandbox.write("app/page.html", "one\n");
    let config = world.sandbox.home().join(".ssh/config");
    fs::write(&config, "Host elsewhere\n  ProxyJump far\nHost h2\n  ForwardAgent yes\n  ProxyJump bastion\n").unwrap();
    let warning = "~/.ssh/config:5: ProxyJump bastion is not honoured for h2; set ssh.proxy_jump in airlift.yaml";
    let script = world.script("exit 0");
    for words in [vec!["check"], vec!["up"], vec!["run", text(&script)], vec!["push"]] {
        let ran = world.sandbox.ok(&words);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(said.matches(warning).count(), 1, "{words:?}: {said}");
        assert_eq!(said.matches("not honoured").count(), 1, "{words:?}: {said}");
    }
    let quiet = world.sandbox.ok(&["run", "--quiet", text(&script)]);
    assert!(!quiet.stderr.contains("not honoured"), "{}", quiet.stderr);
    let json = world.sandbox.ok(&["check", "--json"]).json().remove(0);
    assert_eq!(json["warnings"], serde_json::json!([warning]));
    fs::remove_file(&config).unwrap();
    assert!(!world.sandbox.ok(&["check"]).stdout.contains("warning"));
}
