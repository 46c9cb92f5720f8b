//! Connections that are never made, and connections that are lost.

use std::time::{Duration, Instant};

use airlift_hosts::ssh::{
    Auth, Command, ConnectError, ConnectErrorKind, ExecError, Hop, Keepalive, Loss, Options, Stage, Target, Trust,
    connect,
};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::common::{chain, eventually, hop, run, server, server_with, session, sh, with_key};
use crate::sshd::PATIENCE;

fn quick(timeout: u64) -> Options {
    Options { timeout: Duration::from_millis(timeout), ..Options::default() }
}

/// Notices a dead host within about a second.
fn watchful() -> Options {
    Options { keepalive: Keepalive { interval: Duration::from_millis(300), missed: 2 }, ..Options::default() }
}

fn somewhere(port: u16, options: Options) -> Hop {
    let target = Target { name: "web/1".to_owned(), host: "127.0.0.1".to_owned(), port, user: "root".to_owned() };
    Hop { target, trust: Trust::Pinned(Vec::new()), auth: Auth::new(), options }
}

#[tokio::test]
async fn a_closed_port_is_unreachable_for_now() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = connect(&somewhere(port, quick(5000)), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Unreachable);
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_listener_that_never_answers_runs_into_the_timeout_and_is_let_go() {
    for greeting in ["", "SSH-2.0-OpenSSH_9.9\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(greeting.as_bytes()).await.unwrap();
            let mut received = Vec::new();
            // Ends when we let go of it.
            let _ = socket.read_to_end(&mut received).await;
        });
        let error = connect(&somewhere(port, quick(200)), &[]).await.unwrap_err();
        assert!(matches!(error, ConnectError::Timeout { stage: Stage::Greeting, .. }), "{}", chain(&error));
        assert_eq!(error.kind(), ConnectErrorKind::Timeout);
        assert!(error.is_transient());
        tokio::time::timeout(PATIENCE, silent).await.expect("the socket was left open").unwrap();
    }
}

#[tokio::test]
async fn a_host_that_hangs_up_may_be_tried_again_and_one_that_speaks_no_ssh_may_not() {
    for (greeting, transient) in [(String::new(), true), ("x".repeat(300), false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut ours = [0; 10];
            socket.read_exact(&mut ours).await.unwrap();
            socket.write_all(greeting.as_bytes()).await.unwrap();
        });
        let error = connect(&somewhere(port, quick(5000)), &[]).await.unwrap_err();
        assert_eq!(error.is_transient(), transient, "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_command_is_no_exit() {
    let (sshd, session) = session().await;
    let mut exec = session.exec(&sh("echo started; sleep 60")).await.unwrap();
    assert_eq!(exec.stdout.chunk().await.unwrap().unwrap().as_ref(), b"started\n");
    sshd.signal_connections(Signal::KILL);
    let error = exec.exit.wait().await.unwrap_err();
    assert!(matches!(error, ExecError::Lost { source: Loss::ClosedByHost, .. }), "{error:?}");
    let mut rest = Vec::new();
    let error = exec.stdout.read_to_end(&mut rest).await.expect_err("cut output must not look complete");
    assert!(chain(&error).contains("lost the connection"), "{}", chain(&error));
    eventually("the session to know", async || session.is_closed()).await;
    assert!(matches!(session.exec(&Command::new("true")).await, Err(ExecError::Lost { .. })));
}

#[tokio::test]
async fn an_idle_host_that_plays_dead_is_noticed() {
    let (sshd, key) = server();
    let session = connect(&Hop { options: watchful(), ..hop(&sshd, with_key(&key)) }, &[]).await.unwrap();
    let exec = session.exec(&Command::new("cat")).await.unwrap();
    // Silence alone is no death: answered keepalives keep the connection.
    tokio::time::sleep(watchful().keepalive.patience() * 2).await;
    assert!(!session.is_closed());
    sshd.signal_connections(Signal::STOP);
    let error = tokio::time::timeout(PATIENCE, exec.exit.wait()).await.unwrap().unwrap_err();
    assert!(matches!(error, ExecError::Lost { source: Loss::Unanswered, .. }), "{error:?}");
}

#[tokio::test]
async fn a_host_that_plays_dead_during_uploads_is_noticed() {
    let (sshd, key) = server_with(|setup| setup.config("MaxSessions 100"));
    let session = connect(&Hop { options: watchful(), ..hop(&sshd, with_key(&key)) }, &[]).await.unwrap();
    let mut uploads = Vec::new();
    for _ in 0..16 {
        uploads.push(session.exec(&sh("cat > /dev/null")).await.unwrap());
    }
    sshd.signal_connections(Signal::STOP);
    // Each fills the 2 MiB that sshd lets a channel be ahead: together more than the system buffers for a socket, so that
    // the connection waits for room to write.
    let uploads = uploads.into_iter().map(|mut exec| {
        tokio::spawn(async move {
            while exec.stdin.write_all(&[0; 1 << 14]).await.is_ok() {}
            exec.exit.wait().await.unwrap_err()
        })
    });
    for upload in uploads.collect::<Vec<_>>() {
        let error = tokio::time::timeout(PATIENCE, upload).await.expect("the dead host was never noticed").unwrap();
        assert!(matches!(error, ExecError::Lost { source: Loss::Unanswered, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn output_that_waits_long_for_its_reader_does_not_look_like_a_dead_host() {
    let (sshd, key) = server();
    let session = connect(&Hop { options: watchful(), ..hop(&sshd, with_key(&key)) }, &[]).await.unwrap();
    let mut exec = session.exec(&sh("head -c 40000000 /dev/zero")).await.unwrap();
    tokio::time::sleep(watchful().keepalive.patience() * 3).await;
    let mut total = 0;
    while let Some(chunk) = exec.stdout.chunk().await.unwrap() {
        total += chunk.len();
    }
    assert_eq!(total, 40_000_000);
}

#[tokio::test]
async fn leaving_is_quick_and_told_from_being_left() {
    let (sshd, session) = session().await;
    run(&session, &Command::new("true")).await;
    let exec = session.exec(&sh("sleep 60")).await.unwrap();
    let start = Instant::now();
    session.disconnect().await;
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
    assert!(session.is_closed());
    let error = exec.exit.wait().await.unwrap_err();
    assert!(matches!(error, ExecError::Lost { source: Loss::ClosedHere, .. }), "{error:?}");
    eventually("the host to notice", async || sshd.connections().is_empty()).await;
}

#[tokio::test]
async fn leaving_a_dead_host_does_not_take_forever() {
    let (sshd, session) = session().await;
    sshd.signal_connections(Signal::STOP);
    tokio::time::timeout(PATIENCE, session.disconnect()).await.unwrap();
    eventually("the connection to be closed", async || session.is_closed()).await;
}
