//! Which hosts we talk to: a host key is always verified.

use airlift_hosts::ssh::{Auth, ConnectError, ConnectErrorKind, Hop, Options, Session, Trust, connect};

use crate::common::{chain, pinned, server, target, with_key};
use crate::sshd::{Key, Sshd};

pub(crate) async fn trusting(sshd: &Sshd, trust: Trust, auth: Auth) -> Result<Session, ConnectError> {
    connect(&Hop { target: target(sshd), trust, auth, options: Options::default() }, &[]).await
}

/// Connects with this text as the known hosts.
pub(crate) async fn knowing(sshd: &Sshd, key: &Key, text: &str) -> Result<Session, ConnectError> {
    trusting(sshd, Trust::KnownHosts(vec![sshd.known_hosts(text)]), with_key(key)).await
}

pub(crate) fn refused(result: Result<Session, ConnectError>) -> String {
    let error = result.expect_err("must be refused");
    assert_eq!(error.kind(), ConnectErrorKind::HostKey, "{}", chain(&error));
    assert!(!error.is_transient());
    chain(&error)
}

#[tokio::test]
async fn a_pinned_host_is_talked_to_also_beside_another_pin() {
    let (sshd, key) = server();
    let pins = vec![Key::ed25519().public().parse().unwrap(), sshd.host_public().parse().unwrap()];
    trusting(&sshd, Trust::Pinned(pins), with_key(&key)).await.unwrap();
}

#[tokio::test]
async fn another_host_in_the_same_place_is_refused_in_both_modes_with_both_fingerprints() {
    let (right, key) = server();
    let (pins, known, expected) = (pinned(&right), right.known_line(), right.host_fingerprint());
    let impostor = Sshd::setup().authorize(&key.public()).at(right.stop()).start();

    let said = refused(trusting(&impostor, pins, with_key(&key)).await);
    assert!(said.contains(&expected) && said.contains(&impostor.host_fingerprint()), "{said}");

    let file = impostor.known_hosts(&format!("# a comment\n{known}"));
    let said = refused(trusting(&impostor, Trust::KnownHosts(vec![file.clone()]), with_key(&key)).await);
    assert!(said.contains(&expected) && said.contains(&impostor.host_fingerprint()), "{said}");
    assert!(said.contains(&format!("{}:2", file.display())), "{said}");
    assert!(!impostor.log().contains("Accepted publickey"), "logged in to an impostor");
}

#[tokio::test]
async fn an_impostor_with_another_type_of_key_is_named_by_its_fingerprint() {
    let (right, key) = server();
    let pins = pinned(&right);
    let other = Key::generate(&["-t", "ecdsa", "-N", ""]);
    let impostor = Sshd::setup().authorize(&key.public()).host_key(other.path()).at(right.stop()).start();
    let said = refused(trusting(&impostor, pins, with_key(&key)).await);
    assert!(said.contains(&other.fingerprint()), "{said}");
}

#[tokio::test]
async fn an_unknown_host_is_refused_and_the_line_it_suggests_makes_it_known() {
    let (sshd, key) = server();
    let said = refused(knowing(&sshd, &key, "").await);
    assert!(said.contains(&sshd.host_fingerprint()), "{said}");
    let line = said.rsplit(": ").next().unwrap();
    knowing(&sshd, &key, line).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_there_knows_nobody() {
    let (sshd, key) = server();
    refused(trusting(&sshd, Trust::KnownHosts(vec!["/nowhere/known_hosts".into()]), with_key(&key)).await);
}

#[tokio::test]
async fn known_hosts_are_found_by_port_wildcard_and_list() {
    let (sshd, key) = server();
    let public = sshd.host_public();
    knowing(&sshd, &key, &sshd.known_line()).await.unwrap();
    knowing(&sshd, &key, &format!("[127.*]:{} {public}\n", sshd.port())).await.unwrap();
    knowing(&sshd, &key, &format!("nowhere,{} {public}\n", sshd.known_name())).await.unwrap();
    refused(knowing(&sshd, &key, &format!("[{}]:1 {public}\n", sshd.host())).await);
    refused(knowing(&sshd, &key, &format!("!{},[127.*]:* {public}\n", sshd.known_name())).await);
}

#[tokio::test]
async fn names_hashed_by_ssh_keygen_are_found() {
    let (sshd, key) = server();
    let file = sshd.known_hosts(&sshd.known_line());
    let hashing = std::process::Command::new("ssh-keygen").args(["-H", "-f"]).arg(&file).output().unwrap();
    assert!(hashing.status.success());
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("|1|"));
    trusting(&sshd, Trust::KnownHosts(vec![file]), with_key(&key)).await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_is_refused_although_it_is_known() {
    let (sshd, key) = server();
    let text = format!("{}@revoked * {}\n", sshd.known_line(), sshd.host_public());
    let said = refused(knowing(&sshd, &key, &text).await);
    assert!(said.contains("revoked") && said.contains(&sshd.host_fingerprint()), "{said}");
}

#[tokio::test]
async fn a_certificate_authority_does_not_vouch_for_a_plain_key_and_is_named() {
    let (sshd, key) = server();
    let authority = Key::ed25519();
    let said =
        refused(knowing(&sshd, &key, &format!("@cert-authority {} {}\n", sshd.known_name(), authority.public())).await);
    assert!(said.contains(&authority.fingerprint()) && said.contains("certificate"), "{said}");
}

#[tokio::test]
async fn a_host_with_several_keys_is_asked_for_the_one_we_know() {
    let key = Key::ed25519();
    let host_keys = [
        Key::ed25519(),
        Key::generate(&["-t", "ecdsa", "-N", ""]),
        Key::generate(&["-t", "rsa", "-b", "2048", "-N", ""]),
    ];
    let setup = host_keys
        .iter()
        .fold(Sshd::setup().authorize(&key.public()), |setup, host_key| setup.host_key(host_key.path()));
    let sshd = setup.start();
    for host_key in &host_keys {
        knowing(&sshd, &key, &format!("{} {}\n", sshd.known_name(), host_key.public())).await.unwrap();
        trusting(&sshd, Trust::Pinned(vec![host_key.public().parse().unwrap()]), with_key(&key)).await.unwrap();
    }
}
