//! Good files: what they are read as.

use std::time::Duration;

use airlift_core::config::{
    Bundle, Code, Command, Config, Keep, Parsed, Provider, Run, SecretSource, Severity, Ssh, Starter, Sudo,
    format_duration, parse, starter,
};

pub(crate) const FULL: &str = r#"
fleet: hello-3f9a
provider: hosts
hosts:
  - name: db-1
    address: 10.0.0.4
    port: 2222
    user: admin
    labels: {role: db, rack: 7}
    region: eu-central-1
    type: m6i.large
  - ops@10.0.0.5:2200
  - web.example.com
  - {name: six, address: "2001:db8::6"}
ssh:
  user: ubuntu
  port: 22
  identity_files: [~/.ssh/id_ed25519]
  certificate_files: [~/.ssh/deploy-cert.pub]
  agent: false
  known_hosts: [~/.ssh/known_hosts, known_hosts]
  proxy_jump: [user@bastion:22, inner]
  connect_timeout: 20s
  keepalive: 1m30s
  sudo: never
bundle:
  include: ["app", "bootstrap.sh", "!app/cache"]
  exclude: ["*.log"]
  destination: ~/app
  owner: app:www
bootstrap: {script: ./bootstrap.sh, timeout: 20m}
packages: [curl]
services: [units/hello.service]
env:
  GREETING: hello
  PORT: 8080
  VERSION: 1.10
  DEBUG: true
  EMPTY: ""
secrets:
  api_key: {file: secrets/api_key}
  token: {env: API_TOKEN}
  db: {command: "sops -d db.enc"}
  vault: {command: [vault, read, -field=value, db], timeout: 90s}
run:
  upload_timeout: 2m
  timeout: 1h30m
  concurrency: 8
keep: {releases: 5, runs: 14d}
"#;

pub(crate) const SHORT: &str = "fleet: hello\nprovider: local\ninstances: 3\n";

pub(crate) fn read(text: &str) -> Parsed {
    parse("airlift.yaml", text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn hosts(config: &Config) -> &[airlift_core::config::Host] {
    match &config.provider {
        Provider::Hosts(listed) => &listed.hosts,
        Provider::Local(_) => panic!("local"),
    }
}

#[test]
fn every_key_arrives_where_it_belongs() {
    let Parsed { config, warnings, .. } = read(FULL);
    assert_eq!(warnings, []);
    insta::assert_json_snapshot!("full", config);
}

#[test]
fn a_short_file_has_the_defaults() {
    let config = read(SHORT).config;
    let Provider::Local(local) = &config.provider else { panic!("{:?}", config.provider) };
    assert_eq!(local.instances.iter().map(|(group, n)| (group.as_str(), *n)).collect::<Vec<_>>(), [("node", 3)]);
    assert_eq!(format_duration(local.max_lifetime), "8h");
    assert_eq!((&config.ssh, &config.run, &config.keep), (&Ssh::default(), &Run::default(), &Keep::default()));
    assert_eq!((config.bundle, config.bootstrap), (None, None));
    assert_eq!(config.ssh.sudo, Sudo::Auto);
    assert_eq!(config.keep.runs_days(), 7);
}

#[test]
fn hosts_take_what_they_lack_from_ssh_and_keep_what_they_have() {
    let config = read(FULL).config;
    let seen: Vec<_> = hosts(&config)
        .iter()
        .map(|host| {
            (
                host.name.as_str(),
                host.address.as_str(),
                host.port,
                host.user.as_ref().map(ToString::to_string).unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("db-1", "10.0.0.4", Some(2222), "admin".to_owned()),
            ("10.0.0.5", "10.0.0.5", Some(2200), "ops".to_owned()),
            ("web.example.com", "web.example.com", Some(22), "ubuntu".to_owned()),
            ("six", "2001:db8::6", Some(22), "ubuntu".to_owned()),
        ]
    );
}

#[test]
fn two_servers_at_one_address_are_two_hosts() {
    let text = "fleet: f\nprovider: hosts\nhosts:\n  - {name: a, address: 127.0.0.1, port: 2201}\n  - {name: b, address: 127.0.0.1:2202}\n";
    assert_eq!(hosts(&read(text).config).len(), 2);
}

#[test]
fn instances_are_a_number_or_groups() {
    let Provider::Local(local) = read("fleet: f\nprovider: local\ninstances: {web: 3, worker: 0}\n").config.provider
    else {
        panic!()
    };
    assert_eq!(local.instances.iter().map(|(g, n)| (g.as_str(), *n)).collect::<Vec<_>>(), [("web", 3), ("worker", 0)]);
}

#[test]
fn values_of_variables_are_taken_as_they_are_written() {
    let env = read(FULL).config.env;
    let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(env, [("DEBUG", "true"), ("EMPTY", ""), ("GREETING", "hello"), ("PORT", "8080"), ("VERSION", "1.10")]);
}

#[test]
fn what_needs_a_release_brings_a_bundle_and_nothing_else_does() {
    assert_eq!(read(SHORT).config.bundle, None);
    for more in ["bundle: {}", "bootstrap: boot.sh", "services: [a.service]", "env: {A: b}"] {
        let bundle = read(&format!("{SHORT}{more}\n")).config.bundle;
        assert_eq!(bundle, Some(Bundle::default()), "{more}");
    }
    assert_eq!(read(&format!("{SHORT}secrets: {{a: {{env: A}}}}\n")).config.bundle, None);
}

#[test]
fn commands_for_a_shell_and_commands_without_one_stay_apart() {
    let secrets = read(FULL).config.secrets;
    let commands: Vec<_> = secrets
        .values()
        .filter_map(|source| match source {
            SecretSource::Command { command, timeout } => Some((command.clone(), timeout.as_secs())),
            _ => None,
        })
        .collect();
    let argv = ["vault", "read", "-field=value", "db"].map(str::to_owned).to_vec();
    assert_eq!(commands, [(Command::Shell("sops -d db.enc".to_owned()), 60), (Command::Argv(argv), 90)]);
}

#[test]
fn a_variable_that_looks_like_a_secret_is_a_warning_that_does_not_repeat_it() {
    let parsed = read(&format!("{SHORT}env: {{DB_PASSWORD: hunter2, GREETING: hello}}\n"));
    let [warning] = parsed.warnings.as_slice() else { panic!("{:?}", parsed.warnings) };
    assert_eq!(
        (warning.severity, warning.code, warning.key_path.as_str()),
        (Severity::Warning, Code::LooksSecret, "env.DB_PASSWORD")
    );
    assert!(warning.conceals());
    assert!(!format!("{warning} {warning:?}").contains("hunter2"));
}

#[test]
fn anchors_are_understood_and_places_are_known() {
    let parsed = read("fleet: f\nprovider: local\ninstances: 2\nrun:\n  timeout: &t 7m\n  upload_timeout: *t\n");
    assert_eq!(parsed.config.run.upload_timeout, Duration::from_mins(7));
    let at = parsed.at("run.timeout").unwrap();
    assert_eq!((at.line, at.column, at.len), (5, 15, 2));
    assert_eq!(parsed.at("ssh.port"), None);
}

#[test]
fn a_starter_is_valid_as_it_stands_and_with_all_its_keys_uncommented() {
    let fleet = "hello-3f9a".parse().unwrap();
    for kind in [Starter::Local, Starter::Hosts] {
        let text = starter(kind, &fleet);
        assert_eq!(read(&text).warnings, []);
        let uncommented = text.lines().map(uncomment).collect::<Vec<_>>().join("\n");
        let parsed = read(&uncommented);
        assert_eq!(parsed.warnings, []);
        assert!(parsed.config.bootstrap.is_some() && parsed.config.secrets.len() == 3, "{uncommented}");
    }
    insta::assert_snapshot!("starter_local", starter(Starter::Local, &fleet));
    insta::assert_snapshot!("starter_hosts", starter(Starter::Hosts, &fleet));
}

/// Prose stays a comment; a key or an item becomes one.
fn uncomment(line: &str) -> String {
    let inner = line.trim_start();
    let indent = &line[..line.len() - inner.len()];
    match inner.strip_prefix("# ").or_else(|| inner.strip_prefix('#').filter(|rest| rest.starts_with("   "))) {
        Some(key) if key.trim_start().starts_with("- ") || is_key(key) => {
            format!("{indent}{}", key.strip_prefix(' ').map_or(key, |_| &key[1..]))
        }
        _ => line.to_owned(),
    }
}

fn is_key(text: &str) -> bool {
    text.split_once(':').is_some_and(|(key, rest)| {
        key.trim_start().bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            && (rest.is_empty() || rest.starts_with(' '))
    })
}

#[test]
fn durations_are_written_as_they_are_read() {
    assert_eq!(format_duration(Duration::from_secs(93_784)), "1d2h3m4s");
}
