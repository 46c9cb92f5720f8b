//! What is named of a `~/.ssh/config`, and what is not worth a word.

use airlift_core::config::{Config, Provider, parse};

use super::*;

/// An `airlift.yaml` that lists `web-1` and `db-1`, with this of `ssh`.
fn config(ssh: &str) -> Config {
    let hosts = "hosts: [{name: web-1, address: 10.0.0.1}, {name: db-1, address: db.example.org, user: dba}]";
    parse("airlift.yaml", &format!("fleet: f\nprovider: hosts\n{hosts}\nssh: {{{ssh}}}\n")).unwrap().config
}

/// What is said of these files beneath `~/.ssh`.
fn said_with(ssh: &str, files: &[(&str, &str)]) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let home = Utf8Path::from_path(home.path()).unwrap();
    for (name, text) in files {
        let path = home.join(".ssh").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let config = config(ssh);
    let Provider::Hosts(listed) = &config.provider else { panic!("the hosts are listed") };
    not_honoured(home, "me", &config.ssh, &listed.hosts)
}

fn said(text: &str) -> Vec<String> {
    said_with("user: ubuntu", &[("config", text)])
}

#[test]
fn an_option_of_a_block_that_matches_is_named_with_its_line_its_host_and_what_to_set() {
    assert_eq!(
        said("Host web-*\n  # on the way\n  ProxyJump bastion\n"),
        ["~/.ssh/config:3: ProxyJump bastion is not honoured for web-1; set ssh.proxy_jump in airlift.yaml"]
    );
}

#[test]
fn patterns_match_the_name_or_the_address_and_a_negated_one_takes_the_host_out() {
    let hosts = |patterns: &str| -> Vec<String> {
        let lines = said(&format!("Host {patterns}\nPort 2222\n"));
        lines.iter().map(|line| line.split(" for ").nth(1).unwrap().split(';').next().unwrap().to_owned()).collect()
    };
    assert_eq!(hosts("10.0.0.?"), ["web-1"]);
    assert_eq!(hosts("*.EXAMPLE.org other"), ["db-1"]);
    assert_eq!(hosts("*"), ["web-1 and db-1"]);
    assert_eq!(hosts("* !db.* !db-*"), ["web-1"]);
    assert_eq!(hosts("!web-1"), [""; 0]);
    assert_eq!(hosts("elsewhere"), [""; 0]);
}

#[test]
fn what_stands_before_every_block_is_for_all_hosts() {
    assert_eq!(said("User root\n").len(), 1);
}

#[test]
fn what_airlift_does_anyway_is_not_worth_a_word() {
    let same = "Host web-1\nHostName 10.0.0.1\nUser ubuntu\nPort=22\nIdentityFile ~/.ssh/id_ed25519\nProxyJump none\n\
                ConnectTimeout 10\nServerAliveInterval = \"15\"\nStrictHostKeyChecking ask\nForwardAgent yes\nSendEnv LANG LC_*\n";
    assert_eq!(said(same), [""; 0]);
    assert_eq!(
        said_with(
            "user: me, proxy_jump: [a@one, \"two:2222\"]",
            &[("config", "ProxyJump a@one,two:2222\nUser me\nHost db-1\nUser dba\n")]
        )
        .len(),
        1
    );
}

#[test]
fn of_several_values_the_first_counts_and_of_key_files_each() {
    assert_eq!(
        said("Host web-1\nUser ubuntu\nHost *\nUser root\n"),
        ["~/.ssh/config:4: User root is not honoured for db-1; set ssh.user, or the host's user, in airlift.yaml"]
    );
    assert_eq!(said("Host web-1\nIdentityFile ~/a\nIdentityFile ~/b\n").len(), 2);
}

#[test]
fn a_match_block_is_named_as_not_understood_and_claims_no_host() {
    let lines = said("Match host web-1 exec \"true\"\n  User root\n");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("~/.ssh/config:1: Match blocks are not understood"), "{lines:?}");
}

#[test]
fn includes_are_followed_once_within_their_block_and_named_below_that() {
    let files = [
        ("config", "Host web-1\nInclude conf.d/*.conf\nHost db-1\nInclude deep\nInclude absent\n"),
        ("conf.d/a.conf", "Port 2222\nHost db-1\nPort 3333\n"),
        ("conf.d/a.txt", "Port 4444\n"),
        ("deep", "Include deeper\n"),
        ("deeper", "Port 5555\n"),
    ];
    let lines = said_with("user: ubuntu", &files);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("~/.ssh/conf.d/a.conf:1: Port 2222 is not honoured for web-1"), "{lines:?}");
    assert!(lines[1].starts_with("~/.ssh/deep:1: Include deeper is neither honoured nor followed"), "{lines:?}");
}

#[test]
fn a_value_that_may_hold_a_secret_is_not_shown() {
    let lines = said("ProxyCommand connect --password hunter2 %h\n");
    assert!(lines[0].contains("ProxyCommand …") && !lines[0].contains("hunter2"), "{lines:?}");
}

#[test]
fn a_jump_host_is_looked_up_as_well_but_not_jumped_to() {
    let lines = said_with("proxy_jump: bastion", &[("config", "Host bastion\nUser ops\nProxyJump none\nPort 22\n")]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("User ops is not honoured for bastion"), "{lines:?}");
}

#[test]
fn no_file_says_nothing() {
    assert_eq!(said_with("", &[]), [""; 0]);
}
