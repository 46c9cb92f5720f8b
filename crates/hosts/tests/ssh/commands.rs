//! Commands, how they end, and what is around them.

use std::time::Duration;

use airlift_hosts::ssh::{ChannelRefusal, Command, ExecError, ExitStatus, Limits, Pty, RunError, Session, Size};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{chain, eventually, run, session, session_with, sh};

#[tokio::test]
async fn output_and_errors_come_apart() {
    let (_sshd, session) = session().await;
    let output = run(&session, &sh("echo out; echo err >&2; echo out2")).await;
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (b"out\nout2\n".as_slice(), b"err\n".as_slice()));
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    let (_sshd, session) = session().await;
    for code in [0, 1, 127, 255] {
        assert_eq!(run(&session, &sh(&format!("exit {code}"))).await.status, ExitStatus::Code(code));
    }
    for name in ["KILL", "TERM", "SEGV"] {
        assert_eq!(run(&session, &sh(&format!("kill -{name} $$"))).await.status, ExitStatus::Signal(name.to_owned()));
    }
}

#[tokio::test]
async fn words_with_every_kind_of_byte_arrive_as_they_are() {
    let (_sshd, session) = session().await;
    let nasty: Vec<u8> = (1..=255).collect();
    let command = sh(r#"for w in "$@"; do printf '%s\0' "$w"; done; printf %s "$V""#)
        .args([b"sh".to_vec(), Vec::new(), nasty.clone(), b"$(reboot) `x` \\ '\" \n!".to_vec(), "Übung".into()])
        .env("V", nasty.clone());
    let mut expected = vec![0];
    expected.extend(&nasty);
    expected.extend(b"\0$(reboot) `x` \\ '\" \n!\0");
    expected.extend("Übung\0".bytes());
    expected.extend(&nasty);
    assert_eq!(run(&session, &command).await.stdout, expected);
}

#[tokio::test]
async fn the_servers_variables_and_ours_reach_the_command() {
    let (_sshd, session) = session_with(|setup| setup.set_env("AIRLIFT_ROOT", "/srv/a b").set_env("OTHER", "1")).await;
    assert_eq!(run(&session, &sh("printf %s \"$AIRLIFT_ROOT$OTHER\"")).await.stdout, b"/srv/a b1");
    assert_eq!(run(&session, &sh("printf %s \"$AIRLIFT_ROOT\"").env("AIRLIFT_ROOT", "/mine")).await.stdout, b"/mine");
}

#[tokio::test]
async fn a_command_that_cannot_be_sent_never_reaches_the_host() {
    let (_sshd, session) = session().await;
    let error = session.exec(&Command::new("echo").arg("a\0b")).await.unwrap_err();
    assert!(matches!(error, ExecError::Command(_)), "{error}");
}

#[tokio::test]
async fn many_commands_share_one_connection() {
    let (sshd, session) = session_with(|setup| setup.config("MaxSessions 100")).await;
    let runs: Vec<_> = (0..20_u32)
        .map(|number| {
            let session = session.clone();
            tokio::spawn(async move { run(&session, &sh(&format!("exit {number}"))).await.status })
        })
        .collect();
    for (number, run) in (0..20).zip(runs) {
        assert_eq!(run.await.unwrap(), ExitStatus::Code(number));
    }
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1);
}

#[tokio::test]
async fn a_host_that_gives_no_further_session_is_told_from_other_failures() {
    let (_sshd, session) = session_with(|setup| setup.config("MaxSessions 1")).await;
    let first = session.exec(&Command::new("cat")).await.unwrap();
    let error = session.exec(&Command::new("true")).await.unwrap_err();
    assert!(matches!(&error, ExecError::SessionRefused { refusal: ChannelRefusal::Unreachable, .. }), "{error:?}");
    assert!(chain(&error).contains("MaxSessions"));
    assert!(!session.is_closed());
    first.stdin.close().await.unwrap();
    assert_eq!(first.exit.wait().await.unwrap(), ExitStatus::Code(0));
}

/// Waits until the host gives another session.
async fn becomes_free(session: &Session) {
    eventually("the session to be free again", async || {
        session.run(&Command::new("true"), b"", Limits::default()).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_command_that_nobody_wants_any_more_gives_its_session_back() {
    let (_sshd, session) = session_with(|setup| setup.config("MaxSessions 1")).await;
    // It neither waits for input nor ends by itself: only closing its channel makes it fail to write. Slowly, for nobody
    // reads it, and a connection that is full of it would not tell that a session is refused.
    let abandoned = session.exec(&sh("while sleep 0.1; do echo x; done")).await.unwrap();
    assert!(session.exec(&Command::new("true")).await.is_err(), "MaxSessions has no effect");
    drop(abandoned);
    becomes_free(&session).await;
}

#[tokio::test]
async fn giving_up_while_a_session_is_being_opened_leaves_none_behind() {
    let (_sshd, session) = session_with(|setup| setup.config("MaxSessions 1")).await;
    for microseconds in (0..2000).step_by(100) {
        let _ = tokio::time::timeout(Duration::from_micros(microseconds), session.exec(&Command::new("cat"))).await;
    }
    becomes_free(&session).await;
}

#[tokio::test]
async fn output_beyond_the_limit_is_an_error_and_not_kept() {
    let (_sshd, session) = session().await;
    let limits = Limits { output: 1000, time: None };
    let exactly = session.run(&sh("head -c 1000 /dev/zero"), b"", limits).await.unwrap();
    assert_eq!(exactly.stdout.len(), 1000);
    for (script, stream) in [("yes", "standard output"), ("yes >&2", "standard error")] {
        let error = session.run(&sh(script), b"", limits).await.unwrap_err();
        assert!(
            matches!(error, RunError::TooMuchOutput { stream: named, limit: 1000, .. } if named == stream),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_given_up_and_the_session_lives_on() {
    let (_sshd, session) = session().await;
    let limits = Limits { time: Some(Duration::from_millis(100)), ..Limits::default() };
    let error = session.run(&sh("sleep 60"), b"", limits).await.unwrap_err();
    assert!(matches!(error, RunError::TooSlow { .. }), "{error}");
    assert!(run(&session, &Command::new("true")).await.status.success());
}

#[tokio::test]
async fn the_end_of_a_program_is_known_although_something_it_left_holds_its_output() {
    let (_sshd, session) = session().await;
    let exec = session.exec(&sh("sleep 30 & exit 5")).await.unwrap();
    let status = tokio::time::timeout(crate::sshd::PATIENCE, exec.exit.wait()).await.unwrap();
    assert_eq!(status.unwrap(), ExitStatus::Code(5));
}

fn pty() -> Pty {
    Pty { term: "xterm".to_owned(), size: Size { columns: 90, rows: 30 } }
}

#[tokio::test]
async fn a_terminal_has_the_size_we_say_also_after_a_change() {
    let (_sshd, session) = session().await;
    let mut exec = session.exec_on_terminal(&sh("stty size; read line; stty size; echo $TERM"), pty()).await.unwrap();
    assert_eq!(exec.stdout.chunk().await.unwrap().unwrap().as_ref(), b"30 90\r\n");
    exec.control.resize(Size { columns: 120, rows: 40 }).await.unwrap();
    exec.stdin.write_all(b"go\n").await.unwrap();
    let mut rest = String::new();
    exec.stdout.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "go\r\n40 120\r\nxterm\r\n");
}

#[tokio::test]
async fn a_shell_takes_commands_and_ends_with_its_input() {
    let (_sshd, session) = session().await;
    for terminal in [None, Some(pty())] {
        let mut shell = session.shell(terminal).await.unwrap();
        shell.stdin.write_all(b"echo $((6*7)); exit 3\n").await.unwrap();
        let mut seen = String::new();
        shell.stdout.read_to_string(&mut seen).await.unwrap();
        assert!(seen.contains("42"), "{seen}");
        assert_eq!(shell.exit.wait().await.unwrap(), ExitStatus::Code(3));
    }
}

#[tokio::test]
async fn a_terminal_that_the_host_forbids_is_named() {
    let (_sshd, session) = session_with(|setup| setup.config("PermitTTY no")).await;
    let error = session.shell(Some(pty())).await.unwrap_err();
    assert!(matches!(error, ExecError::RequestRefused { asked: "open a terminal", .. }), "{error:?}");
}
