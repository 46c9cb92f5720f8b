//! Agents that refuse, that are gone, and hosts that want something else than keys.
#![expect(clippy::unwrap_used, reason = "a test whose surroundings cannot be made has failed")]

use std::path::{Path, PathBuf};

use airlift_hosts::ssh::{Auth, ConnectErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::common::{chain, login, server, with_key};
use crate::sshd::{Agent, Key, Sshd};

/// The message by which an agent is asked to sign.
const SIGN_REQUEST: u8 = 13;

/// Passes everything on to an agent, until it is to sign: then it is gone, socket and all.
struct Mortal {
    folder: tempfile::TempDir,
}

impl Mortal {
    fn before(agent: &Agent) -> Self {
        let mortal = Self { folder: tempfile::tempdir().unwrap() };
        let listener = UnixListener::bind(mortal.socket()).unwrap();
        tokio::spawn(pass_on(listener, mortal.socket(), agent.socket()));
        mortal
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }
}

async fn pass_on(listener: UnixListener, socket: PathBuf, agent: PathBuf) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut agent = UnixStream::connect(&agent).await.unwrap();
        while let Some(request) = message(&mut client).await {
            if request[4] == SIGN_REQUEST {
                std::fs::remove_file(&socket).unwrap();
                return;
            }
            agent.write_all(&request).await.unwrap();
            let answer = message(&mut agent).await.unwrap();
            client.write_all(&answer).await.unwrap();
        }
    }
}

/// A whole message, its length in front.
async fn message(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut message = length.to_be_bytes().to_vec();
    message.resize(4 + length as usize, 0);
    stream.read_exact(&mut message[4..]).await.ok()?;
    Some(message)
}

async fn refused(sshd: &Sshd, auth: Auth) -> String {
    let error = login(sshd, auth).await.expect_err("must be refused");
    assert_eq!(error.kind(), ConnectErrorKind::Auth, "{}", chain(&error));
    assert!(!error.is_transient());
    chain(&error)
}

fn says_where(said: &str, socket: &Path, what: &str) {
    assert!(said.contains(&format!("the agent at {} {what}", socket.display())), "{said}");
}

#[tokio::test]
async fn an_agent_that_dies_before_it_signs_is_named_here_and_at_the_next_host() {
    let keys = [Key::ed25519(), Key::ed25519()];
    let sshd = Sshd::setup().authorize(&keys[0].public()).authorize(&keys[1].public()).start();
    let agent = Agent::start();
    for key in &keys {
        agent.add(key);
    }
    let mortal = Mortal::before(&agent);
    let auth = Auth::new().agent(mortal.socket());
    let said = refused(&sshd, auth.clone()).await;
    says_where(&said, &mortal.socket(), "went away before it signed");
    assert!(said.contains("cannot be used: the agent"), "{said}");
    let said = refused(&sshd, auth).await;
    says_where(&said, &mortal.socket(), "cannot be reached");
}

#[tokio::test]
async fn what_is_in_files_lets_us_in_after_the_agent_died() {
    let in_file = Key::ed25519();
    let in_agent = Key::ed25519();
    let sshd = Sshd::setup().authorize(&in_agent.public()).authorize(&in_file.public()).start();
    let agent = Agent::start();
    agent.add(&in_agent);
    let mortal = Mortal::before(&agent);
    let auth = with_key(&in_file).agent(mortal.socket());
    login(&sshd, auth.clone()).await.unwrap();
    assert!(!mortal.socket().exists(), "the agent was never asked to sign");
    login(&sshd, auth).await.unwrap();
}

#[tokio::test]
async fn other_hosts_go_on_when_the_agent_dies() {
    let agent = Agent::start();
    let in_agent = Key::ed25519();
    agent.add(&in_agent);
    let mortal = Mortal::before(&agent);
    let needs_agent = Sshd::setup().authorize(&in_agent.public()).start();
    let (other, in_file) = server();
    let auth = with_key(&in_file).agent(mortal.socket());
    let (dies, goes_on) = tokio::join!(login(&needs_agent, auth.clone()), login(&other, auth));
    assert!(chain(&dies.unwrap_err()).contains("the agent at"));
    goes_on.unwrap();
}

#[tokio::test]
async fn a_key_that_the_agent_refuses_to_sign_with_gives_way_to_the_next() {
    let (guarded, free) = (Key::ed25519(), Key::ed25519());
    let sshd = Sshd::setup().authorize(&guarded.public()).authorize(&free.public()).start();
    let agent = Agent::start();
    agent.add_with(&guarded, &["-c"]);
    let said = refused(&sshd, Auth::new().agent(agent.socket())).await;
    says_where(&said, &agent.socket(), "refused to sign with it");
    agent.add(&free);
    login(&sshd, Auth::new().agent(agent.socket())).await.unwrap();
    assert!(sshd.log().contains(&guarded.fingerprint()), "the guarded key was never offered");
}

#[tokio::test]
async fn a_host_that_takes_passwords_only_is_said_to_be_so_with_and_without_a_key() {
    let sshd = Sshd::setup().config("PubkeyAuthentication no").config("PasswordAuthentication yes").start();
    for auth in [with_key(&Key::ed25519()), Auth::new()] {
        let said = refused(&sshd, auth).await;
        assert!(said.contains("only with password, which airlift does not do"), "{said}");
    }
}

#[tokio::test]
async fn a_password_that_is_wanted_after_the_key_is_named() {
    let key = Key::ed25519();
    let setup = Sshd::setup().authorize(&key.public()).config("PasswordAuthentication yes");
    let sshd = setup.config("AuthenticationMethods publickey,password").start();
    let said = refused(&sshd, with_key(&key)).await;
    let expected = format!("only with password after {}, which airlift does not do", key.path().display());
    assert!(said.contains(&expected), "{said}");
}
