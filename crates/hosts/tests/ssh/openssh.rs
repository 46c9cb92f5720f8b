//! Hosts are reached as the operator's `~/.ssh/config` says.

use std::time::Duration;

use airlift_hosts::ssh::{ConnectErrorKind, Session};

use crate::common::{chain, eventually, run, server, server_with, sh};
use crate::home::Home;
use crate::sshd::{Agent, Key, Sshd, user};

/// A block that says where a server is.
fn block(alias: &str, server: &Sshd) -> String {
    format!("Host {alias}\n  HostName {}\n  Port {}\n  User {}\n", server.host(), server.port(), user())
}

async fn works(session: Session) {
    assert_eq!(run(&session, &sh("printf here")).await.stdout, b"here");
}

#[tokio::test]
async fn an_alias_leads_to_its_host_with_port_user_key_and_known_hosts() {
    let (sshd, key) = server();
    let more = "  IdentityFile ~/.ssh/%n-key\n  UserKnownHostsFile ~/.ssh/known-%h\n";
    let home = Home::with(&(block("web", &sshd) + more))
        .holds_as("web-key", &key)
        .write(&format!("known-{}", sshd.host()), &sshd.known_line());
    works(home.connect("web").await.unwrap()).await;
    let error = Home::with(&block("web", &sshd)).holds(&key).connect("web").await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey, "{}", chain(&error));
}

#[tokio::test]
async fn a_host_key_is_looked_up_under_its_alias() {
    let (sshd, key) = server();
    let home = Home::with(&(block("web", &sshd) + "  HostKeyAlias Pool\n"))
        .holds(&key)
        .write("known_hosts", &format!("pool {}\n", sshd.host_public()));
    works(home.connect("web").await.unwrap()).await;
    // Under its address it would be known, and is not asked for.
    let error = home.knows(&[&sshd]).connect("web").await.unwrap_err();
    assert!(chain(&error).contains("host key of pool is not known"), "{}", chain(&error));
}

#[tokio::test]
async fn a_proxy_command_is_the_connection_and_ends_with_it() {
    let (sshd, key) = server();
    let home = Home::with("").knows(&[&sshd]).holds(&key);
    let relay = format!("  ProxyCommand sh -c 'echo $$ > {}/relay; exec busybox nc %h %p'\n", home.path());
    let home = home.write("config", &(block("web", &sshd) + &relay));
    let session = home.connect("web").await.unwrap();
    let relay = std::fs::read_to_string(home.path().join("relay")).unwrap();
    let lives = || std::path::Path::new(&format!("/proc/{}", relay.trim())).exists();
    assert_eq!(run(&session, &sh("printf here")).await.stdout, b"here");
    assert!(lives());
    session.disconnect().await;
    drop(session);
    eventually("the command to be waited for", async || !lives()).await;
}

#[tokio::test]
async fn a_proxy_command_that_fails_is_told_with_its_words_and_not_shown() {
    let config = "Host web\n  ProxyCommand sh -c 'echo no tunnel to %h >&2; : hunter2; exit 7'\n";
    let error = Home::with(config).connect("web").await.unwrap_err();
    let told = chain(&error);
    assert!(told.contains("ProxyCommand, which ended with status 7; it said: no tunnel to web"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(error.kind(), ConnectErrorKind::Unreachable);
}

#[tokio::test]
async fn a_chain_of_jump_hosts_is_followed_each_by_its_own_block() {
    let (first, key) = server();
    let second = Sshd::setup().authorize(&key.public()).start();
    let last = Sshd::setup().authorize(&key.public()).start();
    let config = block("gate", &first)
        + &block("inner", &second)
        + "  ProxyJump gate\n"
        + &block("web", &last)
        + "  ProxyJump inner\n";
    let home = Home::with(&config).knows(&[&first, &second, &last]).holds(&key);
    let names = |way: &airlift_hosts::Way| way.via.iter().map(|hop| hop.target.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&home.way("web")), ["gate", "inner"]);
    works(home.connect("web").await.unwrap()).await;
    for jump in [&first, &second] {
        assert!(jump.log().contains("Accepted publickey"), "{}", jump.log());
    }
    let listed = Home::with(&config.replace("ProxyJump inner", "ProxyJump gate,inner"));
    assert_eq!(names(&listed.way("web")), ["gate", "inner"]);
}

#[tokio::test]
async fn a_jump_host_that_is_down_is_named() {
    let (gate, key) = server();
    let (last, _) = server();
    let config = block("gate", &gate) + &block("web", &last) + "  ProxyJump gate\n";
    let home = Home::with(&config).knows(&[&gate, &last]).holds(&key);
    gate.stop();
    let error = home.connect("web").await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Jump(Box::new(ConnectErrorKind::Unreachable)));
    assert!(error.to_string().starts_with("cannot use the jump host gate ("), "{error}");
}

#[tokio::test]
async fn the_first_jump_host_may_be_behind_a_proxy_command() {
    let (gate, key) = server();
    let last = Sshd::setup().authorize(&key.public()).start();
    let config =
        block("gate", &gate) + "  ProxyCommand busybox nc %h %p\n" + &block("web", &last) + "  ProxyJump gate\n";
    works(Home::with(&config).knows(&[&gate, &last]).holds(&key).connect("web").await.unwrap()).await;
}

#[tokio::test]
async fn of_a_full_agent_only_the_named_keys_are_offered_where_the_config_says_so() {
    let (sshd, key) = server_with(|setup| setup.config("MaxAuthTries 3"));
    let full = || {
        let agent = Agent::start();
        (0..5).for_each(|_| agent.add(&Key::ed25519()));
        agent
    };
    let home =
        |more: &str| Home::with(&(block("web", &sshd) + more)).knows(&[&sshd]).holds_as("own", &key).agent(full());
    let all = home("  IdentityFile ~/.ssh/own\n").connect("web").await.unwrap_err();
    assert!(chain(&all).contains("Too many authentication failures"), "{}", chain(&all));
    works(home("  IdentityFile ~/.ssh/own\n  IdentitiesOnly yes\n").connect("web").await.unwrap()).await;
    works(home("  IdentityFile ~/.ssh/own\n  IdentityAgent none\n").connect("web").await.unwrap()).await;
}

#[tokio::test]
async fn the_agent_is_the_one_that_the_config_names() {
    let (sshd, key) = server();
    let agent = Agent::start();
    agent.add(&key);
    let more = format!("  IdentityAgent {}\n", agent.socket().display());
    works(Home::with(&(block("web", &sshd) + &more)).knows(&[&sshd]).connect("web").await.unwrap()).await;
}

#[tokio::test]
async fn algorithms_are_those_of_the_config_and_where_none_is_common_both_lists_are_shown() {
    for (theirs, ours, kind) in [
        ("Ciphers aes256-ctr", "Ciphers ^aes256-ctr", ""),
        ("Ciphers aes256-ctr", "Ciphers aes128-ctr,aes128-gcm@openssh.com", "(Ciphers)"),
        ("KexAlgorithms diffie-hellman-group14-sha256", "KexAlgorithms diffie-hellman-group14-sha256", ""),
        ("KexAlgorithms diffie-hellman-group14-sha256", "KexAlgorithms curve25519-sha256", "(KexAlgorithms)"),
        ("MACs hmac-sha2-512\nCiphers aes256-ctr", "MACs hmac-sha2-256\nCiphers aes256-ctr", "(MACs)"),
        ("HostKeyAlgorithms ssh-ed25519", "HostKeyAlgorithms rsa-sha2-512", "(HostKeyAlgorithms)"),
    ] {
        let (sshd, key) = server_with(|setup| theirs.lines().fold(setup, crate::sshd::Setup::config));
        let home = Home::with(&format!("{}{ours}\n", block("web", &sshd))).knows(&[&sshd]).holds(&key);
        match (home.connect("web").await, kind) {
            (Ok(session), "") => works(session).await,
            (Ok(_), kind) => panic!("{ours} was not followed: a {kind} is common"),
            (Err(error), kind) => {
                let told = chain(&error);
                assert!(!kind.is_empty() && told.contains(&format!("{kind} that both know")), "{ours}: {told}");
                let names = |text: &str| text.lines().next().unwrap().split([' ', ',']).next_back().unwrap().to_owned();
                assert!(told.contains(&names(theirs)) && told.contains(&names(ours)), "{ours}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn keys_of_algorithms_that_the_config_leaves_out_are_not_offered() {
    let (sshd, key) = server();
    let home = |list: &str| {
        let more = format!("  PubkeyAcceptedAlgorithms {list}\n");
        Home::with(&(block("web", &sshd) + &more)).knows(&[&sshd]).holds(&key)
    };
    works(home("-ssh-rsa,rsa-*").connect("web").await.unwrap()).await;
    let error = home("-ssh-ed25519").connect("web").await.unwrap_err();
    assert!(chain(&error).contains("left out by PubkeyAcceptedAlgorithms"), "{}", chain(&error));
}

#[tokio::test]
async fn one_may_say_from_where_and_over_which_kind_of_address_to_connect() {
    let (sshd, key) = server();
    let home = |more: &str| Home::with(&(block("web", &sshd) + more)).knows(&[&sshd]).holds(&key);
    works(home("  BindAddress 127.0.0.77\n  AddressFamily inet\n").connect("web").await.unwrap()).await;
    assert!(sshd.log().contains("Connection from 127.0.0.77"), "{}", sshd.log());
    let error = home("  AddressFamily inet6\n").connect("web").await.unwrap_err();
    assert!(chain(&error).contains("cannot find the address"), "{}", chain(&error));
}

/// A server whose host key the operator knows, with a list of revoked keys beside the known ones.
fn revoking(list: &str) -> (Sshd, Home) {
    let (sshd, key) = server();
    let config = block("web", &sshd) + "  RevokedHostKeys ~/.ssh/revoked-%n\n";
    let home = Home::with(&config).knows(&[&sshd]).holds(&key).write("revoked-web", list);
    (sshd, home)
}

async fn refusal(home: &Home) -> String {
    let error = home.connect("web").await.expect_err("must be refused");
    assert_eq!(error.kind(), ConnectErrorKind::HostKey, "{}", chain(&error));
    chain(&error)
}

#[tokio::test]
async fn a_host_key_that_a_list_revokes_is_refused_although_it_is_known() {
    let other = Key::ed25519();
    let (sshd, home) = revoking(&format!("# stolen in May\n\n  {} of another host\n", other.public()));
    works(home.connect("web").await.unwrap()).await;
    let home = home.write("revoked-web", &format!("# stolen\n{}\n{}\n", other.public(), sshd.host_public()));
    let said = refusal(&home).await;
    assert!(said.contains("is revoked") && said.contains(&sshd.host_fingerprint()), "{said}");
    assert!(said.contains(&format!("{}/.ssh/revoked-web:3", home.path())), "{said}");
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1, "logged in all the same");
}

#[tokio::test]
async fn of_a_certificate_the_key_and_its_authority_can_be_revoked_by_a_list() {
    let (authority, host_key, key) = (Key::ed25519(), Key::ed25519(), Key::ed25519());
    authority.certify(&host_key, &["-h"]);
    let sshd = Sshd::setup().authorize(&key.public()).certified_host_key(&host_key).start();
    let home = |revoked: &str| {
        let config = block("web", &sshd) + "  RevokedHostKeys ~/.ssh/revoked\n";
        let known = format!("@cert-authority * {}\n", authority.public());
        Home::with(&config).write("known_hosts", &known).write("revoked", revoked).holds(&key)
    };
    works(home("").connect("web").await.unwrap()).await;
    assert!(refusal(&home(&authority.public())).await.contains("the authority of the certificate"));
    let certificate = std::fs::read_to_string(host_key.certificate_path()).unwrap();
    for line in [host_key.public(), certificate] {
        let said = refusal(&home(&line)).await;
        assert!(said.contains("is revoked") && said.contains("revoked:1"), "{said}");
    }
}

#[tokio::test]
async fn where_a_list_of_revoked_keys_cannot_be_read_whole_no_host_is_trusted() {
    let (_sshd, home) = revoking("");
    works(home.connect("web").await.unwrap()).await;
    let home = home.write("revoked-web", "# a comment\nssh-ed25519 AAAA\n");
    let said = refusal(&home).await;
    assert!(said.contains("whose line 2 is no public key"), "{said}");

    let list = home.path().join(".ssh/revoked-web");
    let key = Key::ed25519();
    let made =
        std::process::Command::new("ssh-keygen").args(["-q", "-k", "-f"]).arg(&list).arg(key.public_path()).output();
    assert!(made.unwrap().status.success());
    let said = refusal(&home).await;
    assert!(said.contains("a binary key revocation list") && said.contains("one a line"), "{said}");

    std::fs::remove_file(&list).unwrap();
    let said = refusal(&home).await;
    assert!(said.contains(list.as_str()) && said.contains("which cannot be read"), "{said}");
}

#[test]
fn what_airlift_yaml_says_is_stronger_than_the_config() {
    let config = "Host web\n  HostName 10.0.0.9\n  Port 2222\n  User ops\n  ProxyJump gate\n  ConnectTimeout 3\n  \
                  ServerAliveInterval 7\n  IdentityFile ~/.ssh/a\n";
    let home = Home::with(config);
    let hop = |hosts: &str, ssh: &str| {
        let ways = home.ways(hosts, ssh);
        ways.to(&"web".parse().unwrap()).unwrap().clone().unwrap()
    };
    let plain = hop("{name: web, address: web}", "");
    assert_eq!(plain.hop.target.to_string(), "web (ops@10.0.0.9:2222)");
    assert_eq!((plain.via.len(), plain.hop.options.timeout), (1, Duration::from_secs(3)));
    assert_eq!(plain.hop.options.keepalive.interval, Duration::from_secs(7));
    let own = hop(
        "{name: web, address: web, port: 2200, user: me}",
        "proxy_jump: none, connect_timeout: 20s, keepalive: 30s, identity_files: [key]",
    );
    assert_eq!(own.hop.target.to_string(), "web (me@10.0.0.9:2200)");
    assert_eq!((own.via.len(), own.hop.options.timeout), (0, Duration::from_secs(20)));
    assert_eq!(own.hop.options.keepalive.interval, Duration::from_secs(30));
    let files = format!("{:?}", own.hop.auth);
    assert!(files.contains(&format!("{}/key", home.path())) && files.contains(".ssh/a"), "{files}");
    // Of a jump host that airlift.yaml names, its own block says what airlift.yaml leaves open.
    let through = hop("{name: web, address: web}", "proxy_jump: web2");
    assert_eq!(through.via[0].target.to_string(), format!("{}@web2:22", user()));
}

#[test]
fn what_is_not_honoured_is_told_once_with_all_hosts_that_it_is_about() {
    let config = "Host web-*\n  StrictHostKeyChecking no\n  ServerAliveInterval 0\n  Ciphers aes128-cbc,aes256-ctr,rijndael-cbc@lysator.liu.se\n\
                  Host *\n  RekeyLimit 1G\n";
    let ways = Home::with(config).ways("web-1, web-2, web-3, db-1", "");
    let told: Vec<&str> = ways.not_honoured().iter().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "~/.ssh/config:2: StrictHostKeyChecking no is not honoured for web-1 and 2 others; airlift always checks host keys, and adds none by itself",
            "~/.ssh/config:3: ServerAliveInterval 0 is not honoured for web-1 and 2 others; airlift always asks a silent host for a sign of life; ssh.keepalive says how often",
            "~/.ssh/config:4: Ciphers rijndael-cbc@lysator.liu.se is not honoured for web-1 and 2 others; airlift lacks these, and offers the others of that line",
            "~/.ssh/config:6: RekeyLimit 1G is not honoured for web-1 and 3 others; airlift has no setting for it",
        ]
    );
}

#[test]
fn a_list_of_which_airlift_has_nothing_is_a_fault_that_shows_both_lists() {
    let ways = Home::with("MACs umac-64@openssh.com\n").ways("web-1, web-2", "");
    let faults: Vec<String> = ways.faults().iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].starts_with(
            "~/.ssh/config:1: airlift has none of the algorithms of MACs umac-64@openssh.com; it has hmac-"
        ),
        "{faults:?}"
    );
}
