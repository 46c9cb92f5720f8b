//! Through jump hosts.

use airlift_hosts::ssh::{ConnectErrorKind, Hop, connect};

use crate::common::{chain, eventually, hop, pinned, run, server, server_with, sh, with_key};
use crate::sshd::Key;

#[tokio::test]
async fn a_chain_of_jump_hosts_leads_to_the_last_one() {
    let (first, first_key) = server();
    let (second, second_key) = server();
    let (last, last_key) = server_with(|setup| setup.set_env("WHERE", "last"));
    let via = [hop(&first, with_key(&first_key)), hop(&second, with_key(&second_key))];
    let session = connect(&hop(&last, with_key(&last_key)), &via).await.unwrap();
    assert_eq!(run(&session, &sh("printf %s \"$WHERE\"")).await.stdout, b"last");
    for jump in [&first, &second] {
        assert!(jump.log().contains("Accepted publickey"));
    }
    session.disconnect().await;
    assert!(session.is_closed());
    eventually("the jump hosts to be left", async || first.connections().is_empty() && second.connections().is_empty())
        .await;
}

#[tokio::test]
async fn the_host_behind_a_jump_host_is_verified_by_itself() {
    let (jump, jump_key) = server();
    let (right, key) = server();
    let pins = pinned(&right);
    let impostor = crate::sshd::Sshd::setup().authorize(&key.public()).at(right.stop()).start();
    let destination = Hop { trust: pins, ..hop(&impostor, with_key(&key)) };
    let error = connect(&destination, &[hop(&jump, with_key(&jump_key))]).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::HostKey);
    assert!(chain(&error).contains(&impostor.host_fingerprint()), "{}", chain(&error));
}

#[tokio::test]
async fn a_jump_host_that_does_not_let_us_in_is_named_as_such() {
    let (jump, _) = server();
    let (last, last_key) = server();
    let via = [hop(&jump, with_key(&Key::ed25519()))];
    let error = connect(&hop(&last, with_key(&last_key)), &via).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Jump(Box::new(ConnectErrorKind::Auth)));
    assert!(!error.is_transient());
    assert!(chain(&error).contains(&jump.port().to_string()), "{}", chain(&error));
}

#[tokio::test]
async fn a_jump_host_that_does_not_forward_says_what_to_change() {
    let (jump, jump_key) = server_with(|setup| setup.config("AllowTcpForwarding no"));
    let (last, last_key) = server();
    let via = [hop(&jump, with_key(&jump_key))];
    let error = connect(&hop(&last, with_key(&last_key)), &via).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Jump(Box::new(ConnectErrorKind::Protocol)));
    assert!(!error.is_transient());
    assert!(chain(&error).contains("AllowTcpForwarding"), "{}", chain(&error));
}

#[tokio::test]
async fn nobody_behind_the_jump_host_is_a_host_that_may_come_up() {
    let (jump, jump_key) = server();
    let (last, last_key) = server();
    let destination = hop(&last, with_key(&last_key));
    last.stop();
    let error = connect(&destination, &[hop(&jump, with_key(&jump_key))]).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Unreachable);
    assert!(error.is_transient());
}
