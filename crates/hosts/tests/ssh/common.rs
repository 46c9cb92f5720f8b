//! What the tests of the SSH layer share.
#![expect(clippy::unwrap_used, reason = "a test whose surroundings cannot be made has failed")]

use std::error::Error;
use std::time::Duration;

use airlift_hosts::ssh::{Auth, Command, ConnectError, Hop, Limits, Options, Output, Session, Target, Trust, connect};

use crate::sshd::{Key, Setup, Sshd, user};

/// A server that lets one key in.
pub(crate) fn server() -> (Sshd, Key) {
    server_with(|setup| setup)
}

pub(crate) fn server_with(change: impl FnOnce(Setup) -> Setup) -> (Sshd, Key) {
    let key = Key::ed25519();
    (change(Sshd::setup().authorize(&key.public())).start(), key)
}

pub(crate) fn target(sshd: &Sshd) -> Target {
    Target { name: "web/1".to_owned(), host: sshd.host(), port: sshd.port(), user: user() }
}

pub(crate) fn pinned(sshd: &Sshd) -> Trust {
    Trust::Pinned(vec![sshd.host_public().parse().unwrap()])
}

pub(crate) fn with_key(key: &Key) -> Auth {
    Auth::new().identity_file(key.path())
}

pub(crate) fn hop(sshd: &Sshd, auth: Auth) -> Hop {
    Hop { target: target(sshd), trust: pinned(sshd), auth, options: Options::default() }
}

pub(crate) async fn login(sshd: &Sshd, auth: Auth) -> Result<Session, ConnectError> {
    connect(&hop(sshd, auth), &[]).await
}

pub(crate) async fn session() -> (Sshd, Session) {
    session_with(|setup| setup).await
}

pub(crate) async fn session_with(change: impl FnOnce(Setup) -> Setup) -> (Sshd, Session) {
    let (sshd, key) = server_with(change);
    let session = login(&sshd, with_key(&key)).await.unwrap();
    (sshd, session)
}

/// A script for `sh -c`.
pub(crate) fn sh(script: &str) -> Command {
    Command::new("sh").arg("-c").arg(script)
}

pub(crate) async fn run(session: &Session, command: &Command) -> Output {
    session.run(command, b"", Limits::default()).await.unwrap()
}

/// Everything that an error says, down to its cause.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// Waits, for as long as any machine may need, until `done` holds.
pub(crate) async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done().await {
        assert!(start.elapsed() < crate::sshd::PATIENCE, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
