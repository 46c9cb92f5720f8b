//! Users for whom an authority vouches: certificates beside keys, named ones, and those that an agent holds.

use airlift_hosts::ssh::{Auth, ConnectErrorKind};

use crate::common::{chain, login, run, sh, with_key};
use crate::sshd::{Agent, Key, Setup, Sshd, user};

/// A server that lets in whom the authority certified, and nobody else.
fn trusting(authority: &Key) -> Setup {
    Sshd::setup().trust_users_of(authority)
}

/// A key with a certificate for the user of the tests.
fn certified(authority: &Key, args: &[&str]) -> Key {
    certified_for(&user(), authority, args)
}

fn certified_for(principal: &str, authority: &Key, args: &[&str]) -> Key {
    let key = Key::ed25519();
    authority.certify(&key, &[&["-n", principal], args].concat());
    key
}

async fn refused(sshd: &Sshd, auth: Auth) -> String {
    let error = login(sshd, auth).await.expect_err("must be refused");
    assert_eq!(error.kind(), ConnectErrorKind::Auth, "{}", chain(&error));
    assert!(!error.is_transient());
    chain(&error)
}

#[tokio::test]
async fn the_certificate_beside_a_key_of_any_type_lets_us_in() {
    let kinds: [&[&str]; 3] = [&["-t", "ed25519"], &["-t", "ecdsa"], &["-t", "rsa", "-b", "2048"]];
    for kind in kinds {
        let authority = Key::generate(&[kind, &["-N", ""]].concat());
        let sshd = trusting(&authority).start();
        let key = Key::generate(&[kind, &["-N", ""]].concat());
        authority.certify(&key, &["-n", &user()]);
        login(&sshd, with_key(&key)).await.unwrap_or_else(|error| panic!("{kind:?}: {}", chain(&error)));
        assert!(sshd.log().contains("ID a test"), "{}", sshd.log());
        assert!(!sshd.log().contains("ssh-rsa-cert"), "signed with SHA-1: {}", sshd.log());
    }
}

#[tokio::test]
async fn a_certificate_file_lets_us_in_and_keeps_those_beside_keys_out() {
    let (authority, other) = (Key::ed25519(), Key::ed25519());
    let sshd = trusting(&authority).start();
    let key = certified(&authority, &[]);
    let elsewhere = sshd.folder().join("elsewhere.pub");
    std::fs::rename(key.certificate_path(), &elsewhere).unwrap();
    login(&sshd, with_key(&key).certificate_file(&elsewhere)).await.unwrap();

    let beside = certified(&authority, &[]);
    let foreign = certified(&other, &[]);
    let auth = with_key(&beside).identity_file(foreign.path()).certificate_file(foreign.certificate_path());
    let said = refused(&sshd, auth).await;
    assert!(said.contains(&foreign.certificate_path().display().to_string()), "{said}");
    assert!(!said.contains(&beside.certificate_path().display().to_string()), "{said}");
}

#[tokio::test]
async fn options_that_bind_a_certificate_arrive_at_the_host() {
    let authority = Key::ed25519();
    let sshd = trusting(&authority).start();
    let options =
        ["-O", "source-address=127.0.0.0/8", "-O", "force-command=echo forced", "-O", "extension:a@example.org=b"];
    let session = login(&sshd, with_key(&certified(&authority, &options))).await.unwrap();
    assert_eq!(run(&session, &sh("echo asked")).await.stdout, b"forced\n");
}

#[tokio::test]
async fn the_dates_of_a_certificate_out_of_its_time_are_named() {
    let authority = Key::ed25519();
    let sshd = trusting(&authority).start();
    let cases = [
        ("20200101Z:20200201Z", "it expired 2020-02-01T00:00:00Z"),
        ("20990101Z:21000101Z", "it is not valid before 2099-01-01T00:00:00Z"),
    ];
    for (validity, reason) in cases {
        let key = certified(&authority, &["-V", validity]);
        let said = refused(&sshd, with_key(&key)).await;
        assert!(said.contains(reason) && said.contains("key-cert.pub"), "{said}");
    }
}

#[tokio::test]
async fn a_principal_that_the_host_does_not_want_is_named() {
    let authority = Key::ed25519();
    let sshd = trusting(&authority).start();
    let said = refused(&sshd, with_key(&certified_for("somebody,else", &authority, &[]))).await;
    assert!(said.contains(&format!("it is for somebody, else, not for {}", user())), "{said}");
    let nobody = Key::ed25519();
    authority.certify(&nobody, &[]);
    let said = refused(&sshd, with_key(&nobody)).await;
    assert!(said.contains("it names no principal"), "{said}");
}

#[tokio::test]
async fn principals_that_the_host_lists_let_us_in_and_no_others() {
    let authority = Key::ed25519();
    let folder = tempfile::tempdir().unwrap();
    let principals = folder.path().join("principals");
    std::fs::write(&principals, "deployers\n").unwrap();
    let sshd = trusting(&authority).config(&format!("AuthorizedPrincipalsFile {}", principals.display())).start();
    login(&sshd, with_key(&certified_for("deployers", &authority, &[]))).await.unwrap();
    let said = refused(&sshd, with_key(&certified(&authority, &[]))).await;
    assert!(said.contains("wants another principal"), "{said}");
}

#[tokio::test]
async fn a_revoked_or_unknown_authority_or_certificate_is_said_to_be_possible() {
    let authority = Key::ed25519();
    let key = certified(&authority, &["-V", "-1h:20990101Z"]);
    let revoked = format!("RevokedKeys {}", key.public_path().display());
    for sshd in [trusting(&authority).config(&revoked).start(), Sshd::setup().start()] {
        let said = refused(&sshd, with_key(&key)).await;
        for part in ["valid until 2099-01-01", "revoked", "TrustedUserCAKeys", &authority.fingerprint()] {
            assert!(said.contains(part), "no {part:?} in {said:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_the_agent_holds_lets_us_in() {
    let authority = Key::ed25519();
    let sshd = trusting(&authority).start();
    let key = certified(&authority, &[]);
    let agent = Agent::start();
    agent.add(&key);
    login(&sshd, Auth::new().agent(agent.socket())).await.unwrap();
    // Named as files it passes `IdentitiesOnly`, also where the private key is in the agent alone.
    std::fs::remove_file(key.path()).unwrap();
    let named = Auth::new().agent(agent.socket()).only_identity_files();
    login(&sshd, named.clone().identity_file(key.path())).await.unwrap();
    login(&sshd, named.clone().certificate_file(key.certificate_path())).await.unwrap();
    let said = refused(&sshd, named).await;
    assert!(said.contains("no key to offer"), "{said}");
}

#[tokio::test]
async fn a_certificate_that_is_named_and_in_the_agent_is_offered_once() {
    let authority = Key::ed25519();
    let sshd = trusting(&Key::ed25519()).start();
    let key = certified(&authority, &[]);
    let agent = Agent::start();
    agent.add(&key);
    let said = refused(&sshd, Auth::new().agent(agent.socket()).certificate_file(key.certificate_path())).await;
    assert_eq!(said.matches("certificate refused").count(), 1, "{said}");
}

#[tokio::test]
async fn the_agent_signs_for_a_certificate_in_a_file() {
    let authority = Key::ed25519();
    let sshd = trusting(&authority).start();
    for kind in ["ed25519", "rsa"] {
        let key = Key::generate(&["-t", kind, "-N", ""]);
        let agent = Agent::start();
        agent.add(&key);
        authority.certify(&key, &["-n", &user()]);
        let auth = Auth::new().agent(agent.socket()).certificate_file(key.certificate_path());
        login(&sshd, auth).await.unwrap_or_else(|error| panic!("{kind}: {}", chain(&error)));
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_offered_is_in_the_refusal_with_the_reason() {
    let authority = Key::ed25519();
    let sshd = trusting(&authority).start();
    let key = certified(&authority, &[]);
    let said = refused(&sshd, Auth::new().certificate_file(key.certificate_path())).await;
    assert!(said.contains("neither a key file nor the agent has its private key"), "{said}");
    let said = refused(&sshd, Auth::new().certificate_file(key.public_path())).await;
    assert!(said.contains("is not a certificate we can read"), "{said}");
    let said = refused(&sshd, Auth::new().certificate_file("/nowhere/id-cert.pub")).await;
    assert!(said.contains("/nowhere/id-cert.pub cannot be read"), "{said}");
    let host = Key::ed25519();
    authority.certify(&host, &["-h"]);
    let said = refused(&sshd, with_key(&host)).await;
    assert!(said.contains("is a host's certificate"), "{said}");
}
