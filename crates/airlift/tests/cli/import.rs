//! `airlift import` as people meet it. What files of other tools mean is tested where they are read, in core.

use super::support::Sandbox;
use super::{AIRLIFT, shown};

const INVENTORY: &str = "[web]\nweb[1:2] ansible_user=deploy ansible_password=hunter2\n";

/// A project without a config.
fn bare() -> Sandbox {
    let sandbox = Sandbox::new(AIRLIFT, "");
    std::fs::remove_file(sandbox.project().join("airlift.yaml")).unwrap();
    sandbox
}

#[test]
fn an_inventory_becomes_a_config_that_passes_check() {
    let sandbox = bare();
    sandbox.write("hosts.ini", INVENTORY);
    sandbox.write("group_vars/web/login.yml", "ansible_port: 2222\nansible_become_password: hunter2\n");
    sandbox.write("group_vars/all", "$ANSIBLE_VAULT;1.1;AES256\n3861\n");
    sandbox.write("host_vars/web1.yaml", "ansible_host: 192.0.2.1\n");
    sandbox.write("host_vars/web9.yaml", "ansible_host: 192.0.2.9\n");
    insta::assert_snapshot!(shown(&sandbox, &["import", "hosts.ini", "--fleet", "shop"]));
    assert!(sandbox.ok(&["check"]).stdout.contains("fleet shop: 2 hosts"));
    let config = std::fs::read_to_string(sandbox.project().join("airlift.yaml")).unwrap();
    assert!(config.contains("address: 192.0.2.1") && config.contains("port: 2222"), "{config}");
    // These machines are nowhere: nobody is to look for them when the test has ended.
    std::fs::remove_file(sandbox.project().join("airlift.yaml")).unwrap();
}

#[test]
fn a_config_that_is_there_stays_as_it_is() {
    let sandbox = bare();
    sandbox.write("hosts.ini", INVENTORY);
    sandbox.write("airlift.yaml", "mine\n");
    insta::assert_snapshot!(shown(&sandbox, &["import", "hosts.ini"]));
    assert_eq!(std::fs::read_to_string(sandbox.project().join("airlift.yaml")).unwrap(), "mine\n");
}

#[test]
fn a_dash_prints_the_config_and_writes_nothing() {
    let sandbox = bare();
    sandbox.write("config.yaml", "aws: {username: ubuntu}\nregions: [us-west-2]\n");
    let ran = sandbox.ok(&["import", "config.yaml", "-o", "-", "--fleet", "shop"]);
    assert!(
        ran.stdout.contains("\nfleet: shop\n") && ran.stdout.contains("instances: {us-west-2: 3}"),
        "{}",
        ran.stdout
    );
    assert!(!sandbox.project().join("airlift.yaml").exists());
    assert_eq!(sandbox.run(&["import", "config.yaml", "-o", "-", "--json"]).code, Some(2));
}

#[test]
fn json_names_each_part_that_was_left_out() {
    let sandbox = bare();
    sandbox.write("hosts.ini", INVENTORY);
    let ran = sandbox.ok(&["import", "hosts.ini", "--json", "-o", "other.yaml"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["type"], "import");
    assert_eq!(report["hosts"], 2);
    assert_eq!(report["path"], "other.yaml");
    assert_eq!((&report["not_mapped"][0]["line"], &report["not_mapped"][0]["column"]), (&2.into(), &30.into()));
    assert!(sandbox.project().join("other.yaml").exists());
}

#[test]
fn what_cannot_be_imported_is_refused_in_words() {
    let sandbox = bare();
    sandbox.write("hosts.ini", "[web]\nweb[1:2 ansible_password=hunter2\n");
    sandbox.write("other.txt", "a letter, not an inventory\n");
    std::fs::write(sandbox.project().join("bytes"), [0xff, 0xfe]).unwrap();
    let words = ["hosts.ini", "other.txt", "bytes", "missing"].map(|file| shown(&sandbox, &["import", file]));
    insta::assert_snapshot!(words.join("\n"));
    assert!(!sandbox.project().join("airlift.yaml").exists());
    // A form that is given is believed.
    let ran = sandbox.run(&["import", "other.txt", "--format", "ansible-yaml"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("no map of groups"), "{}", ran.stderr);
}
