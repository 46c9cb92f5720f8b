//! What is refused, and what is named, with file and line.

use camino::Utf8Path;
use fs_err as fs;

use super::{Config, ConfigError, Fault, Proxy, Resolved, Surroundings, Values};

/// Files beneath `~/.ssh` of an operator.
fn config(files: &[(&str, &str)]) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let home = Utf8Path::from_path(folder.path()).unwrap().to_owned();
    for (name, text) in files {
        let path = home.join(".ssh").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let around = Surroundings {
        home,
        user: "me".to_owned(),
        uid: 1000,
        hostname: "desk".to_owned(),
        variables: [("AGENT".to_owned(), "/run/agent".to_owned())].into(),
    };
    let config = Config { system: None, ..Config::of(around) };
    (folder, config)
}

fn resolve(text: &str) -> Result<Resolved, ConfigError> {
    config(&[("config", text)]).1.resolve("web-1", Values::default())
}

fn named(text: &str) -> Vec<String> {
    let notices = resolve(text).unwrap().not_honoured;
    notices.iter().map(|notice| format!("{}: {}", notice.at, notice.text)).collect()
}

#[test]
fn no_file_says_nothing() {
    let resolved = config(&[]).1.resolve("Web-1", Values::default()).unwrap();
    assert_eq!((resolved.host.as_str(), resolved.port, resolved.user.as_str()), ("web-1", 22, "me"));
}

#[test]
fn a_fault_is_told_with_file_and_line_also_in_a_block_for_others() {
    for (text, told) in [
        ("Host other\n  Port x\n", "~/.ssh/config:2: Port cannot be \"x\"; it takes a port from 1 to 65535"),
        ("NoSuch yes\n", "~/.ssh/config:1: ssh has no option NoSuch"),
        ("\n\nUser\n", "~/.ssh/config:3: User has no value"),
        ("HostName 'a\n", "~/.ssh/config:1: a quote is not closed"),
        ("User a b\n", "~/.ssh/config:1: User has more values than it takes"),
        ("IdentityFile ~/%z\n", "~/.ssh/config:1: IdentityFile has the token %z"),
        ("UserKnownHostsFile ${GONE}\n", "~/.ssh/config:1: UserKnownHostsFile needs the variable GONE"),
        ("RefuseConnection 'moved away'\n", "~/.ssh/config:1: RefuseConnection: moved away"),
        ("Match localnetwork 10.0.0.0/8\n", "~/.ssh/config:1: airlift does not know the criterion \"localnetwork\""),
    ] {
        let error = resolve(text).unwrap_err().to_string();
        assert!(error.starts_with(told), "{text}: {error}");
    }
}

#[test]
fn a_fault_in_an_included_file_is_told_where_it_stands() {
    let (_home, config) = config(&[("config", "Include conf.d/*\n"), ("conf.d/a", "Port 22\nPort\n")]);
    let error = config.resolve("web-1", Values::default()).unwrap_err().to_string();
    assert!(error.starts_with("~/.ssh/conf.d/a:2: "), "{error}");
}

#[test]
fn match_exec_is_refused_only_where_it_would_run_something() {
    let error = resolve("User a\nMatch user a exec \"touch /x\"\n").unwrap_err();
    assert_eq!((error.at.unwrap().line, error.fault), (2, Fault::MatchExec));
    for text in ["Match host other exec true\n", "Match user root exec true\n"] {
        assert!(resolve(text).is_ok(), "{text}");
    }
    let (_home, config) = config(&[("config", "Host other\nInclude more\n"), ("more", "Match exec true\n")]);
    assert!(config.resolve("web-1", Values::default()).is_ok());
}

#[test]
fn files_that_include_one_another_without_end_are_refused() {
    let (_home, config) = config(&[("config", "Include config\n")]);
    assert_eq!(config.resolve("web-1", Values::default()).unwrap_err().fault, Fault::TooDeep(16));
}

#[test]
fn relative_includes_are_below_the_folder_of_the_operator() {
    let (_home, config) =
        config(&[("config", "Host web-*\nInclude one ~/.ssh/two\n"), ("one", "Port 1\n"), ("two", "User u\n")]);
    let resolved = config.resolve("web-1", Values::default()).unwrap();
    assert_eq!((resolved.port, resolved.user.as_str()), (1, "u"));
    assert_eq!(config.resolve("db-1", Values::default()).unwrap().port, 22);
}

#[test]
fn what_is_given_is_stronger_than_what_the_file_says() {
    let given = Values { port: Some(2200), user: Some("ops".to_owned()), ..Values::default() };
    let (_home, config) = config(&[("config", "Port 1\nUser u\nProxyCommand nc %h %p as %r\n")]);
    let resolved = config.resolve("web-1", given).unwrap();
    assert_eq!((resolved.port, resolved.user.as_str()), (2200, "ops"));
    assert_eq!(resolved.proxy, Proxy::Command("nc web-1 2200 as ops".to_owned()));
}

#[test]
fn an_agent_is_named_by_socket_or_variable() {
    use super::Agent;

    let agent = |text: &str| resolve(text).unwrap().agent;
    assert_eq!(agent("IdentityAgent SSH_AUTH_SOCK\n"), Agent::Usual);
    assert_eq!(agent("IdentityAgent none\n"), Agent::None);
    assert_eq!(agent("IdentityAgent $AGENT\n"), Agent::At("/run/agent".into()));
    assert_eq!(agent("IdentityAgent /run/%u\n"), Agent::At("/run/me".into()));
}

#[test]
fn what_would_make_a_difference_is_named_once_with_its_line_and_its_first_value() {
    assert_eq!(
        named("Host other\nRekeyLimit 1G\nHost *\nRekeyLimit 2G 1h\nRekeyLimit 3G\n"),
        ["~/.ssh/config:4: RekeyLimit 2G 1h"]
    );
    assert_eq!(named("Match final\nHost *\nBindInterface eth0\n"), ["~/.ssh/config:3: BindInterface eth0"]);
    assert_eq!(named("StrictHostKeyChecking accept-new\n"), ["~/.ssh/config:1: StrictHostKeyChecking accept-new"]);
    assert_eq!(named("CanonicalizeHostname yes\n"), ["~/.ssh/config:1: CanonicalizeHostname yes"]);
}

#[test]
fn what_airlift_does_anyway_or_has_no_use_for_is_not_worth_a_word() {
    let text = "StrictHostKeyChecking ask\nForwardAgent yes\nSendEnv LANG LC_*\nCheckHostIP no\nHashKnownHosts yes\n\
                PreferredAuthentications publickey,password\nGSSAPIAuthentication yes\nPKCS11Provider none\n";
    assert_eq!(named(text), [""; 0]);
}

#[test]
fn what_would_let_other_host_keys_in_is_named_and_what_airlift_does_anyway_is_not() {
    for line in [
        "StrictHostKeyChecking accept-new",
        "NoHostAuthenticationForLocalhost yes",
        "VerifyHostKeyDNS yes",
        "UpdateHostKeys ask",
        "CheckHostIP yes",
        "CASignatureAlgorithms ssh-ed25519",
    ] {
        assert_eq!(named(&format!("{line}\n")), [format!("~/.ssh/config:1: {line}")]);
    }
    let anyway =
        "StrictHostKeyChecking yes\nVerifyHostKeyDNS no\nUpdateHostKeys no\nCheckHostIP no\nRevokedHostKeys none\n";
    assert_eq!(named(anyway), [""; 0]);
}

#[test]
fn a_value_that_may_hold_a_secret_is_not_shown() {
    assert_eq!(named("KnownHostsCommand /bin/keys --token hunter2 %H\n"), ["~/.ssh/config:1: KnownHostsCommand …"]);
}

#[test]
fn a_way_that_leads_through_itself_is_refused() {
    assert_eq!(resolve("ProxyJump web-1\n").unwrap_err().fault, Fault::JumpLoop("web-1".to_owned()));
    assert!(resolve("ProxyJump other@web-1\n").is_ok());
}
