//! One session channel: a command or a shell, on pipes or on a terminal, from its start to its last byte.
//!
//! It behaves as sshd does. The status is sent as soon as the process has ended, the channel is closed when nobody holds its
//! output any more. A client that closes the channel closes the pipes; the process itself gets no signal unless it has a
//! terminal, whose hang-up the kernel announces. What always holds: the process is waited for, whatever the client does; output
//! is read only as fast as the client's window opens, so that memory stays bounded.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use pty_process::{Pty, Size};
use russh::server::{Handle, Msg};
use russh::{ChannelWriteHalf, Sig};
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};

use super::Instance;
use super::children::{Group, Started};
use super::stdin::{Feeder, Stdin, input};

/// How much output is read at once; the size of a packet.
const BLOCK: usize = 32 << 10;

/// The code of standard error in extended data (RFC 4254, section 5.2).
const STDERR: u32 = 1;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program<'a> {
    /// A command line for the shell, as it came.
    Command(&'a [u8]),
    /// The login shell.
    Shell,
}

/// A terminal that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    /// Its kind: `TERM`.
    pub(super) term: String,
    /// Its size.
    pub(super) size: Size,
}

/// The connection's hold on a running channel. Dropping it hangs up.
#[derive(Debug)]
pub(super) struct Running {
    /// Where the client's input goes.
    pub(super) stdin: Feeder,
    group: Group,
    sizes: mpsc::Sender<Size>,
    hangup: oneshot::Sender<()>,
}

impl Running {
    /// The process has ended and its output was sent.
    pub(super) fn is_over(&self) -> bool {
        self.hangup.is_closed()
    }

    /// Signals the process and those it started in its group.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.is_over() {
            self.group.signal(signal);
        }
    }

    /// The client's window has another size. One that comes faster than it can be passed on is forgotten.
    pub(super) fn resize(&self, size: Size) {
        let _ = self.sizes.try_send(size);
    }
}

/// The channel's way to the client.
struct Client {
    write: ChannelWriteHalf<Msg>,
    handle: Handle,
}

/// Starts `program`, on a terminal if one was asked for.
pub(super) fn start(
    instance: &Arc<Instance>,
    write: ChannelWriteHalf<Msg>,
    handle: Handle,
    terminal: Option<&Terminal>,
    program: Program<'_>,
) -> io::Result<Running> {
    let (feeder, stdin) = input(&instance.folder.tmp());
    let (sizes, resized) = mpsc::channel(4);
    let (hangup, hung_up) = oneshot::channel();
    let client = Client { write, handle };
    let group = match terminal {
        None => {
            let started = on_pipes(instance, program)?;
            let group = started.group();
            tokio::spawn(serve_pipes(started, client, stdin, hung_up));
            group
        }
        Some(terminal) => {
            let (started, pty) = on_terminal(instance, terminal, program).map_err(io::Error::other)?;
            let group = started.group();
            tokio::spawn(serve_terminal(started, pty, client, stdin, resized, hung_up));
            group
        }
    };
    Ok(Running { stdin: feeder, group, sizes, hangup })
}

fn on_pipes(instance: &Arc<Instance>, program: Program<'_>) -> io::Result<Started> {
    let mut command = tokio::process::Command::new("/bin/sh");
    match program {
        Program::Command(line) => command.arg("-c").arg(OsStr::from_bytes(line)),
        Program::Shell => command.arg0("-sh"),
    };
    command
        .env_clear()
        .envs(instance.environment())
        .current_dir(instance.folder.home())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    instance.children.start(|| command.spawn())
}

fn on_terminal(
    instance: &Arc<Instance>,
    terminal: &Terminal,
    program: Program<'_>,
) -> pty_process::Result<(Started, Pty)> {
    let (pty, pts) = pty_process::open()?;
    pty.resize(terminal.size)?;
    let command = pty_process::Command::new("/bin/sh");
    let command = match program {
        Program::Command(line) => command.arg("-c").arg(OsStr::from_bytes(line)),
        Program::Shell => command.arg0("-sh"),
    };
    let command = command
        .env_clear()
        .envs(instance.environment())
        .env("TERM", &terminal.term)
        .current_dir(instance.folder.home());
    // It makes itself the leader of a session, and so of a process group.
    let started = instance.children.start(|| command.spawn(pts))?;
    Ok((started, pty))
}

async fn serve_pipes(mut started: Started, client: Client, stdin: Stdin, mut hung_up: oneshot::Receiver<()>) {
    let pipes = started.pipes();
    let (mut to, out, err) = (pipes.stdin.take(), pipes.stdout.take(), pipes.stderr.take());
    let feed = async {
        while let (Some(pipe), Ok(Some(bytes))) = (&mut to, stdin.next().await) {
            if pipe.write_all(&bytes).await.is_err() {
                break;
            }
        }
        drop(to);
        stdin.close();
    };
    let drain = async {
        tokio::join!(client.pass_on(out, None), client.pass_on(err, Some(STDERR)));
    };
    let ended = async {
        let status = started.wait().await;
        stdin.close();
        client.report(status).await;
    };
    let talk = async {
        tokio::select! {
            () = drain => {
                let _ = client.write.eof().await;
            }
            _ = &mut hung_up => {}
        }
    };
    // A process may have closed its output and still read. The channel is over, which `hung_up` tells, when all three are.
    tokio::join!(feed, talk, ended);
    let _ = client.write.close().await;
}

async fn serve_terminal(
    started: Started,
    pty: Pty,
    client: Client,
    stdin: Stdin,
    mut sizes: mpsc::Receiver<Size>,
    mut hung_up: oneshot::Receiver<()>,
) {
    let talk = async {
        // Leaving this block closes our side, which is what hangs up.
        let mut pty = pty;
        let (out, mut to) = pty.split();
        let feed = async {
            // The end of the client's input is not the end of a terminal's: only typing its end character is.
            let mut open = true;
            loop {
                tokio::select! {
                    bytes = stdin.next(), if open => match bytes {
                        Ok(Some(bytes)) => open = to.write_all(&bytes).await.is_ok(),
                        _ => open = false,
                    },
                    Some(size) = sizes.recv() => {
                        let _ = to.resize(size);
                    }
                    else => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            // Reading fails once nobody has the other side open any more: that is its end.
            () = client.pass_on(Some(out), None) => {
                let _ = client.write.eof().await;
            }
            () = feed => {}
            _ = &mut hung_up => {}
        }
        stdin.close();
    };
    let ended = async {
        let status = started.wait().await;
        client.report(status).await;
    };
    tokio::join!(talk, ended);
    let _ = client.write.close().await;
}

impl Client {
    /// Sends what `from` gives until its end. The client's window is waited for.
    async fn pass_on(&self, from: Option<impl AsyncRead + Unpin>, extended: Option<u32>) {
        let Some(mut from) = from else { return };
        let mut block = vec![0; BLOCK];
        while let Ok(read @ 1..) = from.read(&mut block).await {
            let bytes = Bytes::copy_from_slice(&block[..read]);
            let sent = match extended {
                None => self.write.data_bytes(bytes).await,
                Some(code) => self.write.extended_data_bytes(code, bytes).await,
            };
            if sent.is_err() {
                break;
            }
        }
    }

    /// Tells how the process ended. A client that is gone is not told.
    async fn report(&self, status: io::Result<ExitStatus>) {
        let Ok(status) = status else { return };
        if let Some(code) = status.code() {
            let _ = self.write.exit_status(code.unsigned_abs()).await;
        } else if let Some(signal) = status.signal() {
            let (name, core) = (name_of(signal), status.core_dumped());
            let _ = self.handle.exit_signal_request(self.write.id(), name, core, String::new(), String::new()).await;
        }
    }
}

/// The signals that have names in the protocol (RFC 4254, section 6.10).
const NAMED: [(Sig, Signal); 12] = [
    (Sig::ABRT, Signal::ABORT),
    (Sig::ALRM, Signal::ALARM),
    (Sig::FPE, Signal::FPE),
    (Sig::HUP, Signal::HUP),
    (Sig::ILL, Signal::ILL),
    (Sig::INT, Signal::INT),
    (Sig::KILL, Signal::KILL),
    (Sig::PIPE, Signal::PIPE),
    (Sig::QUIT, Signal::QUIT),
    (Sig::SEGV, Signal::SEGV),
    (Sig::TERM, Signal::TERM),
    (Sig::USR1, Signal::USR1),
];

fn name_of(signal: i32) -> Sig {
    NAMED
        .into_iter()
        .find(|(_, known)| known.as_raw() == signal)
        // As sshd names those that the protocol does not.
        .map_or_else(|| Sig::Custom("SIG@openssh.com".to_owned()), |(name, _)| name)
}

/// The signal that a client asks to send; none where the protocol does not name it.
pub(super) fn signal_of(name: &Sig) -> Option<Signal> {
    let same = |(known, _): &(Sig, Signal)| std::mem::discriminant(known) == std::mem::discriminant(name);
    NAMED.into_iter().find(same).map(|(_, signal)| signal)
}
