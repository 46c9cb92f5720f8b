//! Who is let in, with what, and what is said to those who are not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use airlift_core::secret::Secret;
use airlift_hosts::ssh::{Auth, ConnectErrorKind, Hop, Options, Passphrase, connect};

use crate::common::{chain, hop, login, run, server, sh, with_key};
use crate::sshd::{Agent, Key, Sshd};

/// Somebody at a keyboard.
struct Typist {
    answers: Vec<Option<&'static str>>,
    thinks: Duration,
    asked: AtomicU32,
}

impl Typist {
    fn new(answers: &[Option<&'static str>]) -> Arc<Self> {
        Arc::new(Self { answers: answers.to_vec(), thinks: Duration::ZERO, asked: AtomicU32::new(0) })
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Passphrase for Typist {
    fn ask(&self, _: &Path, attempt: u32) -> Option<Secret<String>> {
        std::thread::sleep(self.thinks);
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answers[attempt as usize - 1].map(|answer| Secret::new(answer.to_owned()))
    }
}

#[tokio::test]
async fn every_usual_kind_of_key_file_is_let_in() {
    let keys = [
        Key::ed25519(),
        Key::generate(&["-t", "ecdsa", "-b", "384", "-N", ""]),
        Key::generate(&["-t", "rsa", "-b", "2048", "-N", ""]),
        Key::generate(&["-t", "rsa", "-b", "2048", "-N", "", "-m", "PEM"]),
        Key::generate(&["-t", "ecdsa", "-N", "", "-m", "PKCS8"]),
    ];
    let setup = keys.iter().fold(Sshd::setup(), |setup, key| setup.authorize(&key.public()));
    let sshd = setup.start();
    for key in &keys {
        let session =
            login(&sshd, with_key(key)).await.unwrap_or_else(|error| panic!("{}: {}", key.public(), chain(&error)));
        assert!(run(&session, &sh("exit 0")).await.status.success());
    }
    assert!(sshd.log().contains("RSA SHA256:"), "no RSA key was used");
}

#[tokio::test]
async fn rsa_keys_do_not_sign_with_sha1() {
    let key = Key::generate(&["-t", "rsa", "-b", "2048", "-N", ""]);
    let sshd = Sshd::setup().authorize(&key.public()).config("PubkeyAcceptedAlgorithms rsa-sha2-512").start();
    login(&sshd, with_key(&key)).await.unwrap();
    let sshd = Sshd::setup().authorize(&key.public()).config("PubkeyAcceptedAlgorithms ssh-rsa").start();
    let error = login(&sshd, with_key(&key)).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth);
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_for_many_hosts() {
    let key = Key::encrypted("open sesame");
    let sshd = Sshd::setup().authorize(&key.public()).start();
    let typist = Typist::new(&[Some("wrong"), Some("open sesame")]);
    let auth = with_key(&key).passphrase(typist.clone());
    let (one, two) = tokio::join!(login(&sshd, auth.clone()), login(&sshd, auth.clone()));
    one.unwrap();
    two.unwrap();
    login(&sshd, auth).await.unwrap();
    assert_eq!(typist.asked(), 2);
}

#[tokio::test]
async fn the_older_encrypted_formats_are_opened_as_well() {
    for format in ["PEM", "PKCS8"] {
        let key = Key::generate(&["-t", "rsa", "-b", "2048", "-m", format, "-N", "open sesame"]);
        let sshd = Sshd::setup().authorize(&key.public()).start();
        let typist = Typist::new(&[Some("open sesame")]);
        login(&sshd, with_key(&key).passphrase(typist))
            .await
            .unwrap_or_else(|error| panic!("{format}: {}", chain(&error)));
    }
}

#[tokio::test]
async fn nobody_is_asked_about_a_key_that_the_host_refuses() {
    let key = Key::encrypted("open sesame");
    let (sshd, _) = server();
    let typist = Typist::new(&[]);
    let error = login(&sshd, with_key(&key).passphrase(typist.clone())).await.unwrap_err();
    assert_eq!(typist.asked(), 0);
    assert!(chain(&error).contains("key refused"), "{}", chain(&error));
}

#[tokio::test]
async fn typing_slowly_does_not_use_up_the_time_to_connect() {
    let key = Key::encrypted("open sesame");
    let sshd = Sshd::setup().authorize(&key.public()).start();
    let options = Options { timeout: Duration::from_secs(4), ..Options::default() };
    let typist = Arc::new(Typist {
        answers: vec![Some("open sesame")],
        thinks: Duration::from_secs(5),
        asked: AtomicU32::new(0),
    });
    let slow = Hop { options, ..hop(&sshd, with_key(&key).passphrase(typist)) };
    connect(&slow, &[]).await.unwrap();
}

#[tokio::test]
async fn an_encrypted_key_that_stays_closed_is_named_with_the_reason() {
    let key = Key::encrypted("open sesame");
    let sshd = Sshd::setup().authorize(&key.public()).start();
    let cases = [
        (with_key(&key), "ssh-agent"),
        (with_key(&key).passphrase(Typist::new(&[None])), "no passphrase was given"),
        (with_key(&key).passphrase(Typist::new(&[Some("a"), Some("b"), Some("c")])), "the passphrase was wrong"),
    ];
    for (auth, reason) in cases {
        let said = chain(&login(&sshd, auth).await.unwrap_err());
        assert!(said.contains(reason) && said.contains(&key.path().display().to_string()), "{said}");
    }
}

#[tokio::test]
async fn a_key_of_the_agent_lets_us_in() {
    for key in [Key::ed25519(), Key::generate(&["-t", "rsa", "-b", "2048", "-N", ""])] {
        let sshd = Sshd::setup().authorize(&key.public()).start();
        let agent = Agent::start();
        agent.add(&key);
        login(&sshd, Auth::new().agent(agent.socket())).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_chooses_the_agents_key_and_keeps_its_other_keys_out() {
    let (right, other) = (Key::ed25519(), Key::ed25519());
    let sshd = Sshd::setup().authorize(&right.public()).start();
    let agent = Agent::start();
    agent.add(&other);
    agent.add(&right);
    let chosen = right.public_path();
    login(&sshd, Auth::new().agent(agent.socket()).identity_file(chosen).only_identity_files()).await.unwrap();
    assert!(!sshd.log().contains(&other.fingerprint()), "the other key was offered: {}", sshd.log());
}

/// The types and fingerprints that a server refused, in their order.
fn refused_by(sshd: &Sshd) -> Vec<String> {
    let log = sshd.log();
    let refused = log.lines().filter(|line| line.contains("Failed publickey"));
    refused.filter_map(|line| Some(line.split_once("ssh2: ")?.1.to_owned())).collect()
}

#[tokio::test]
async fn keys_and_certificates_are_offered_in_the_order_of_openssh() {
    let keys: Vec<Key> = (0..6).map(|_| Key::ed25519()).collect();
    let authority = Key::ed25519();
    let agent = Agent::start();
    authority.certify(&keys[1], &["-n", "somebody"]);
    for key in [2, 1, 0] {
        agent.add(&keys[key]);
    }
    authority.certify(&keys[4], &["-n", "somebody"]);
    let certificate = keys[4].certificate_path();
    for (only_files, named) in [(false, false), (true, false), (false, true), (true, true)] {
        let servers = [(); 2].map(|()| Sshd::setup().config("MaxAuthTries 20").start());
        let [ours, theirs] = &servers;
        let mut auth = Auth::new().agent(agent.socket());
        let mut ssh = std::process::Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/dev/null"]);
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o", &format!("IdentityAgent={}", agent.socket().display())]);
        for key in [3, 1, 0, 4] {
            auth = auth.identity_file(keys[key].path());
            ssh.arg("-i").arg(keys[key].path());
        }
        if only_files {
            auth = auth.only_identity_files();
            ssh.args(["-o", "IdentitiesOnly=yes"]);
        }
        if named {
            auth = auth.certificate_file(&certificate);
            ssh.args(["-o", &format!("CertificateFile={}", certificate.display())]);
        }
        login(ours, auth).await.unwrap_err();
        let ssh = ssh.args(["-p", &theirs.port().to_string(), &theirs.host(), "true"]).output().unwrap();
        assert!(!ssh.status.success());
        assert!(refused_by(theirs).len() >= 4, "{}", theirs.log());
        assert_eq!(refused_by(ours), refused_by(theirs), "only files: {only_files}, certificate named: {named}");
    }
}

#[tokio::test]
async fn a_refusal_lists_each_key_and_what_the_host_said() {
    let (sshd, _) = server();
    let stranger = Key::ed25519();
    let auth = with_key(&stranger).identity_file("/nowhere/id_ed25519").agent("/nowhere/agent");
    let error = login(&sshd, auth).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth);
    assert!(!error.is_transient());
    let said = chain(&error);
    let expected = [
        "web/1",
        &stranger.fingerprint(),
        "key refused",
        "/nowhere/id_ed25519",
        "/nowhere/agent",
        "publickey",
        "authorized_keys",
    ];
    for part in expected {
        assert!(said.contains(part), "no {part:?} in {said:?}");
    }
}

#[tokio::test]
async fn having_nothing_to_offer_is_said_so() {
    let (sshd, _) = server();
    let said = chain(&login(&sshd, Auth::new()).await.unwrap_err());
    assert!(said.contains("there is no key to offer"), "{said}");
}

#[tokio::test]
async fn a_host_that_is_tired_of_our_keys_is_quoted() {
    let keys: Vec<Key> = (0..3).map(|_| Key::ed25519()).collect();
    let sshd = Sshd::setup().authorize(&keys[2].public()).config("MaxAuthTries 2").start();
    let auth = keys.iter().fold(Auth::new(), |auth, key| auth.identity_file(key.path()));
    let error = login(&sshd, auth).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Auth);
    assert!(!error.is_transient());
    assert!(chain(&error).contains("Too many authentication failures"), "{}", chain(&error));
}

#[tokio::test]
async fn the_hosts_notice_is_part_of_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let notice = folder.path().join("notice");
    std::fs::write(&notice, "System is booting up.\n").unwrap();
    let sshd = Sshd::setup().config(&format!("Banner {}", notice.display())).start();
    let said = chain(&login(&sshd, with_key(&Key::ed25519())).await.unwrap_err());
    assert!(said.contains("System is booting up."), "{said}");
}

#[tokio::test]
async fn a_second_proof_that_the_host_wants_is_named() {
    let key = Key::ed25519();
    let sshd = Sshd::setup().authorize(&key.public()).config("AuthenticationMethods publickey,publickey").start();
    let said = chain(&login(&sshd, with_key(&key)).await.unwrap_err());
    assert!(said.contains("second proof"), "{said}");
}
