//! A command whose standard streams are a connection: OpenSSH's `ProxyCommand`.
//!
//! What always holds: the command ends with the connection, also when it does not want to, and is waited for; what it
//! says on its standard error ends up in the message of a connection that failed, the last of it and no more.

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How much of its complaints is kept, in bytes.
const KEPT: usize = 2048;

/// How long it may take to end by itself once its streams are closed.
const GRACE: Duration = Duration::from_millis(300);

/// How long to wait for what a command that was killed has said: another may hold its standard error open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The streams of a command that runs.
pub(super) struct Proxy {
    stdin: ChildStdin,
    stdout: ChildStdout,
    _end: DropGuard,
}

/// What comes of a command.
pub(super) struct Outcome(JoinHandle<(Option<ExitStatus>, String)>);

impl Outcome {
    /// How it ended and what it said. Its streams must be dropped before.
    pub(super) async fn told(self) -> String {
        let Ok((status, said)) = self.0.await else { return "could not be waited for".to_owned() };
        let ended = match status.map(|status| (status.code(), status)) {
            Some((Some(code), _)) => format!("ended with status {code}"),
            Some((None, status)) => format!("was ended ({status})"),
            None => "had to be ended".to_owned(),
        };
        if said.is_empty() { ended } else { format!("{ended}; it said: {said}") }
    }
}

/// Starts a command as `ssh` does: in place of a shell that reads it.
pub(super) fn start(command: &str) -> io::Result<(Proxy, Outcome)> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C at the terminal is for us to answer, and what the command starts ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
        return Err(io::Error::other("a command has no streams"));
    };
    let end = CancellationToken::new();
    let outcome = Outcome(tokio::spawn(attend(child, stderr, end.clone())));
    Ok((Proxy { stdin, stdout, _end: end.drop_guard() }, outcome))
}

/// Waits for the end of a command, and brings it about once nobody uses its streams any more.
async fn attend(mut child: Child, stderr: ChildStderr, end: CancellationToken) -> (Option<ExitStatus>, String) {
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let listening = tokio::spawn(last_words(stderr));
    let over = async {
        end.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let status = tokio::select! {
        biased;
        status = child.wait() => status.ok(),
        () = over => None,
    };
    if status.is_none() {
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::HUP);
        }
        let _ = child.kill().await;
    }
    let said = tokio::time::timeout(LAST_WORDS, listening).await;
    (status, said.ok().and_then(Result::ok).unwrap_or_default())
}

/// The end of what is said until the stream closes, on one line.
async fn last_words(mut stderr: ChildStderr) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 512]);
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        kept.drain(..kept.len().saturating_sub(KEPT));
    }
    let text = String::from_utf8_lossy(&kept);
    let lines: Vec<String> =
        text.lines().map(|line| line.trim().replace(char::is_control, " ")).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

impl AsyncRead for Proxy {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for Proxy {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn the_streams_of_a_command_are_a_connection() {
        let (mut proxy, _) = start("cat").unwrap();
        proxy.write_all(b"there and back").await.unwrap();
        let mut back = [0; 14];
        proxy.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"there and back");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_with_its_status_and_its_words() {
        let (proxy, outcome) = start("sh -c 'echo no way >&2; echo through >&2; exit 3'").unwrap();
        drop(proxy);
        assert_eq!(outcome.told().await, "ended with status 3; it said: no way; through");
    }

    #[tokio::test]
    async fn a_command_that_does_not_want_to_end_is_ended_and_waited_for() {
        let (mut proxy, outcome) = start("sh -c 'trap \"\" HUP; echo $$; while :; do sleep 1; done'").unwrap();
        let mut number = String::new();
        while !number.ends_with('\n') {
            number.push(char::from(proxy.read_u8().await.unwrap()));
        }
        drop(proxy);
        assert!(outcome.told().await.starts_with("had to be ended"));
        assert!(!std::path::Path::new(&format!("/proc/{}", number.trim())).exists());
    }
}
