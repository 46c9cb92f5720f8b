//! Ansible inventories in both forms.

use std::collections::{BTreeMap, BTreeSet};

use airlift_core::config::{Config, Provider, UserName};
use airlift_core::import::{Format, Source, detect};
use insta::assert_snapshot;
use serde_json::Value;

use crate::{read, refused, taken};

const INI: &str = include_str!("sources/fleet.ini");
const YAML: &str = include_str!("sources/fleet.yml");

fn hosts(config: &Config) -> &[airlift_core::config::Host] {
    match &config.provider {
        Provider::Hosts(listed) => &listed.hosts,
        Provider::Local(_) => panic!("an inventory lists hosts"),
    }
}

/// The groups of each host, by way of their children too.
fn groups(inventory: &Value) -> BTreeMap<String, BTreeSet<String>> {
    fn walk(inventory: &Value, group: &str, above: &[&str], found: &mut BTreeMap<String, BTreeSet<String>>) {
        let path: Vec<&str> = above.iter().copied().chain([group]).collect();
        let names =
            |part: &str| inventory[group][part].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
        for host in names("hosts") {
            found.entry(host.to_owned()).or_default().extend(path.iter().map(ToString::to_string));
        }
        names("children").for_each(|child| walk(inventory, child, &path, found));
    }
    let mut found = BTreeMap::new();
    walk(inventory, "all", &[], &mut found);
    for groups in found.values_mut() {
        groups.retain(|group| group != "all" && group != "ungrouped");
    }
    found
}

/// Every host is where Ansible would look for it, under the login that it would use, with its groups as labels.
pub(crate) fn resolves_as(config: &Config, ansible: &str) {
    let ansible: Value = serde_json::from_str(ansible).unwrap();
    let groups = groups(&ansible);
    assert!(groups.len() > 5, "the inventory is as it was");
    assert_eq!(hosts(config).len(), groups.len());
    for (name, groups) in groups {
        let vars = &ansible["_meta"]["hostvars"][&name];
        let address = vars["ansible_host"].as_str().unwrap_or(&name);
        let host = hosts(config).iter().find(|host| host.address.as_str() == address);
        let host = host.unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(u64::from(host.port.unwrap_or(22)), vars["ansible_port"].as_u64().unwrap_or(22), "{name}");
        let user = vars["ansible_user"].as_str().filter(|user| user.parse::<UserName>().is_ok());
        assert_eq!(host.user.as_ref().map(UserName::as_str), user, "{name}");
        assert_eq!(host.labels.keys().cloned().collect::<BTreeSet<_>>(), groups, "{name}");
        assert!(host.labels.values().all(|value| value == "true"), "{name}");
    }
}

#[test]
fn an_inventory_with_sections_resolves_as_ansible_resolves_it() {
    resolves_as(&taken("fleet.ini", INI).0, include_str!("sources/fleet.ini.json"));
}

#[test]
fn an_inventory_in_yaml_resolves_as_ansible_resolves_it() {
    resolves_as(&taken("fleet.yml", YAML).0, include_str!("sources/fleet.yml.json"));
}

#[test]
fn what_is_written_reads_as_a_person_would_write_it() {
    for (name, text) in [("fleet.ini", INI), ("fleet.yml", YAML)] {
        let imported = read(name, text).unwrap();
        let notes: Vec<String> = imported.notes.iter().map(ToString::to_string).collect();
        assert_snapshot!(name, format!("{}\n-- notes\n{}", imported.text, notes.join("\n")));
    }
}

#[test]
fn what_all_hosts_share_is_said_once() {
    let (config, notes) = taken(
        "hosts",
        "[web]\na\nb\n[web:vars]\nansible_user=deploy\nansible_port=2222\nansible_become=no\n\
         ansible_ssh_common_args='-J ops@bastion,inner:2200 -o ServerAliveInterval=30'\n",
    );
    assert_eq!(config.ssh.user.as_ref().map(UserName::as_str), Some("deploy"));
    assert_eq!(config.ssh.port, Some(2222));
    assert_eq!(
        config.ssh.proxy_jump.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["ops@bastion", "inner:2200"]
    );
    assert_eq!(config.ssh.keepalive.map(|every| every.as_secs()), Some(30));
    assert_eq!(config.ssh.sudo, airlift_core::config::Sudo::Never);
    assert_eq!(notes, [""; 0]);
}

#[test]
fn keys_of_some_hosts_are_tried_beside_the_usual_ones() {
    let (config, _) = taken("hosts", "a ansible_ssh_private_key_file=~/.ssh/a\nb\n");
    let files: Vec<&str> =
        config.ssh.identity_files.iter().flatten().map(airlift_core::config::LocalPath::as_str).collect();
    assert_eq!(files.first(), Some(&"~/.ssh/a"));
    assert!(files.contains(&"~/.ssh/id_ed25519"), "{files:?}");
}

#[test]
fn each_thing_that_cannot_be_taken_over_is_named_with_its_line() {
    for (text, note) in [
        ("a\nlocalhost ansible_connection=local", "2:11: warning: localhost is left out: it is not reached by SSH"),
        ("a ansible_host='{{ ip }}'\nb", "1:3: warning: a is left out: the value of ansible_host is a template"),
        ("a ansible_become_user=app", "1:3: warning: ansible_become_user is left out: `airlift run --as USER`"),
        ("a\nb\n[x]\na\n[x:vars]\nansible_ssh_common_args='-J gate'", "6:1: warning: a jump host is left out"),
        ("a ansible_ssh_extra_args='-o Ciphers=x'", "1:3: warning: Ciphers in ansible_ssh_extra_args is left out"),
        ("a\nb ansible_host=a", "2:1: warning: b is the same login as a"),
        ("a\n[empty]", "2:1: warning: the group \"empty\" has no hosts"),
        ("a ansible_port=ssh", "1:3: warning: ansible_port is left out: it is no port"),
        ("a ansible_ssh_private_key_file=~root/key", "1:3: warning: ansible_ssh_private_key_file is left out"),
        ("a x=1\nb x=2\nc\nd x=3", "1:3: warning: x is left out"),
    ] {
        let (_, notes) = taken("hosts", text);
        assert!(notes.iter().any(|found| found.starts_with(&format!("hosts:{note}"))), "{text}: {notes:?}");
    }
    let (_, notes) = taken("hosts", "a x=1\nb x=2\nc x=2\nd\ne x=3");
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].ends_with("(also on line 2-3, 5)"), "{notes:?}");
}

#[test]
fn what_cannot_be_read_is_refused_at_its_place() {
    for (file, text, expected) in [
        ("hosts", "[web]\nweb[1:\n", "hosts:2:1: a range is not closed"),
        ("hosts", "[web]\nweb[1:99999999]\n", "hosts:2:1: the range [1:99999999] stands for more than 10000 hosts"),
        ("hosts", "[web]\na\n[x:y]\n", "hosts:3:1: there is no kind of section \"y\""),
        ("hosts", "[a:children]\nb\n", "hosts:2:1: there is no group \"b\""),
        ("hosts", "[a:vars]\nx=1\n", "hosts:1:1: there is no group \"a\""),
        ("hosts", "[a]\nx\n[a:children]\nb\n[b:children]\na\n", "is a child of itself"),
        ("hosts", "[a]\nx 'y\n", "hosts:2:1: a quote in this line is not closed"),
        ("hosts", "[a]\nx y\n", "hosts:2:3: after the host only variables can stand"),
        ("hosts", "[a]\nlocalhost ansible_connection=local\n", "hosts: the inventory names no host"),
        ("hosts.yml", "all:\n  hosts: [a, b]\n", "hosts.yml:2:3: this is no map"),
        ("hosts.yml", "all:\n  hosts:\n    a: 5\n", "hosts.yml:3:5: what belongs to a host is a map"),
    ] {
        let problems = refused(file, text);
        assert!(problems.contains(expected), "{text}: {problems}");
    }
}

#[test]
fn no_message_repeats_a_value() {
    let secret = "hunter2";
    for text in [
        format!("a ansible_password={secret} ansible_port={secret} ansible_user='{secret} x' token={secret}"),
        format!("[web]\na ansible_password=\"x {secret}"),
        format!("[web]\na ansible_password=x {secret}"),
        format!("all: {{hosts: {{a: {{ansible_password: !vault {secret}, b: {secret}}}}}}}"),
        format!("all: {{hosts: {{a: {secret}}}}}"),
        format!("[web:vars]\n{secret}\n[web]\na"),
    ] {
        let said = match read("hosts", &text) {
            Ok(imported) => format!("{}{:?}", imported.text, imported.notes),
            Err(problems) => format!("{problems} {problems:?}"),
        };
        assert!(!said.contains(secret), "{text}: {said}");
    }
}

#[test]
fn a_form_is_told_by_its_content() {
    for (text, form) in [
        (INI, Some(Format::AnsibleIni)),
        (YAML, Some(Format::AnsibleYaml)),
        ("web1\nweb2 ansible_port=2222\n", Some(Format::AnsibleIni)),
        ("all:\n", Some(Format::AnsibleYaml)),
        ("web: {hosts: {a: }}", Some(Format::AnsibleYaml)),
        ("fleet: shop\nprovider: hosts\nhosts: [a]\n", None),
        ("{\"Resources\": {}}", None),
        ("", None),
        ("# nothing but a comment\n", None),
        ("root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:x y:/:/bin/sh\n", None),
    ] {
        assert_eq!(detect(Source { file: "x", text, beside: &[] }), form, "{text}");
    }
}
