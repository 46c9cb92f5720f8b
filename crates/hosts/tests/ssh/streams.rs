//! Large inputs and outputs: whole, in order, and held back where the reader is slow.

use std::time::Duration;

use airlift_core::id::Digest;
use airlift_hosts::ssh::{Command, ExitStatus, Limits};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::bytes::Bytes;

use crate::common::{chain, run, session, sh};

const MIB: usize = 1 << 20;

/// Bytes that repeat nowhere nearby, so that a lost or doubled packet shows.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    words.take(length.div_ceil(8)).flat_map(u64::to_le_bytes).take(length).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_mib_of_input_arrive_whole() {
    let (_sshd, session) = session().await;
    let data = noise(64 * MIB);
    let output = session.run(&Command::new("sha256sum"), &data, Limits::default()).await.unwrap();
    let expected = format!("{:x}  -\n", Bytes::copy_from_slice(&Sha256::digest(&data)));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn input_and_output_flow_at_the_same_time() {
    let (_sshd, session) = session().await;
    let data = noise(24 * MIB);
    let output = session.run(&Command::new("cat"), &data, Limits { output: 24 * MIB, time: None }).await.unwrap();
    assert!(output.stdout == data, "what came back differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_the_host_back_and_gets_everything_in_the_end() {
    let (sshd, session) = session().await;
    let progress = sshd.folder().join("progress");
    let script = format!(
        "i=0; while [ $i -lt 64 ]; do head -c {MIB} /dev/zero; i=$((i+1)); echo $i > {0}.new; mv {0}.new {0}; done",
        progress.display()
    );
    let mut exec = session.exec(&sh(&script)).await.unwrap();
    let sent =
        || std::fs::read_to_string(&progress).ok().and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0);

    // Nobody reads: the host stops by itself, well before its end.
    let mut last = 0;
    let mut still = 0;
    while still < 10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        still = if sent() == last && last > 0 { still + 1 } else { 0 };
        last = sent();
    }
    // What waits on our side (4 MiB and 1 MiB), in the window (8 MiB) and in the buffers of the system and sshd.
    assert!(last <= 32, "the host could send {last} MiB although nobody read");

    let mut total = 0;
    let mut buffer = vec![0; 300_000];
    loop {
        let read = exec.stdout.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        total += read;
    }
    assert_eq!(total, 64 * MIB);
    assert_eq!(exec.exit.wait().await.unwrap(), ExitStatus::Code(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_was_dropped_holds_nothing_up() {
    let (_sshd, session) = session().await;
    let exec = session.exec(&sh("head -c 50000000 /dev/zero; echo done >&2")).await.unwrap();
    drop(exec.stdout);
    let mut stderr = exec.stderr;
    let mut said = String::new();
    stderr.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "done\n");
    assert_eq!(exec.exit.wait().await.unwrap(), ExitStatus::Code(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_to_a_program_that_ended_is_an_error_and_no_endless_wait() {
    let (_sshd, session) = session().await;
    let mut exec = session.exec(&sh("exit 3")).await.unwrap();
    let data = vec![0; 64 * MIB];
    let error = tokio::time::timeout(crate::sshd::PATIENCE, exec.stdin.write_all(&data)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "{}", chain(&error));
    assert_eq!(exec.exit.wait().await.unwrap(), ExitStatus::Code(3));
    let mut exec = session.exec(&sh("exit 3")).await.unwrap();
    let sending = exec.stdin.send(data.clone().into());
    let error = tokio::time::timeout(crate::sshd::PATIENCE, sending).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "{}", chain(&error));
    let output = session.run(&sh("exit 4"), &data, Limits::default()).await.unwrap();
    assert_eq!(output.status, ExitStatus::Code(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_handed_on_arrive_whole_and_in_order_whatever_their_lengths() {
    let (_sshd, session) = session().await;
    let mut exec = session.exec(&Command::new("sha256sum")).await.unwrap();
    let data = Bytes::from(noise(9 * MIB));
    let mut rest = data.clone();
    for length in (0..).map(|n: usize| 1 + n * n * 997) {
        if rest.is_empty() {
            break;
        }
        exec.stdin.send(rest.split_to(length.min(rest.len()))).await.unwrap();
    }
    exec.stdin.close().await.unwrap();
    let mut seen = String::new();
    exec.stdout.read_to_string(&mut seen).await.unwrap();
    assert!(seen.starts_with(&Digest::of(&data).to_string()), "{seen}");
}

#[tokio::test]
async fn dropping_the_input_ends_it() {
    let (_sshd, session) = session().await;
    let mut exec = session.exec(&Command::new("cat")).await.unwrap();
    exec.stdin.write_all(b"some").await.unwrap();
    drop(exec.stdin);
    let mut seen = String::new();
    exec.stdout.read_to_string(&mut seen).await.unwrap();
    assert_eq!(seen, "some");
    assert_eq!(exec.exit.wait().await.unwrap(), ExitStatus::Code(0));
}

#[tokio::test]
async fn a_command_outlives_the_session_value_it_was_started_with() {
    let (_sshd, session) = session().await;
    let mut exec = session.exec(&sh("read line; echo got $line")).await.unwrap();
    drop(session);
    exec.stdin.write_all(b"it\n").await.unwrap();
    let mut seen = String::new();
    exec.stdout.read_to_string(&mut seen).await.unwrap();
    assert_eq!(seen, "got it\n");
}

#[tokio::test]
async fn the_last_one_to_leave_ends_the_connection() {
    let (sshd, session) = session().await;
    run(&session, &Command::new("true")).await;
    assert!(!sshd.connections().is_empty());
    drop(session);
    crate::common::eventually("the connection to end", async || sshd.connections().is_empty()).await;
}
