//! A session: one verified, logged-in connection that runs any number of commands.
//!
//! What always holds: a command whose result is unknown because the connection was lost is never reported as one that
//! ended.
//!
//! All commands of a session share its connection. A command whose output nobody reads (neither drained nor dropped)
//! stops, after a few MiB, the whole connection and not only itself: the SSH library opens the window of a channel by
//! itself, so that holding back can only be done to all of them. Read output, or drop it, before waiting for
//! something else on the same session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, Disconnect};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;

use super::client::{Client, Link};
use super::command::Command;
use super::connect::Target;
use super::error::{ChannelRefusal, ExecError, Loss, RunError};
use super::exec::{Asked, Exec, ExitStatus, Pty};
use super::streams::Incoming;

/// The waits between asking a host for a session again that it refused, in milliseconds. One that has just ended counts
/// against its `MaxSessions` until its channel is closed from both sides and its program is gone: where that is 1, every
/// second command would meet a refusal.
const ASK_AGAIN: [u64; 7] = [25, 50, 100, 200, 400, 800, 1600];

/// How long saying goodbye may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// A connection that is logged in. Clones share it; it ends with the last clone and the last command.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    handle: Handle<Client>,
    link: Arc<Link>,
    carrier: Option<Session>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.inner.target)
    }
}

/// How much of a command's output to keep, and how long to wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of standard output, and as many of standard error.
    pub output: usize,
    /// Until the end of the command. None: as long as the connection lives.
    pub time: Option<Duration>,
}

impl Default for Limits {
    /// 1 MiB of each, and no limit of time.
    fn default() -> Self {
        Self { output: 1 << 20, time: None }
    }
}

/// What a command that ended has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Session {
    pub(super) fn new(target: Target, handle: Handle<Client>, link: Arc<Link>, carrier: Option<Self>) -> Self {
        Self { inner: Arc::new(Inner { target, handle, link, carrier }) }
    }

    /// Where it is logged in.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    pub(super) fn handle(&self) -> &Handle<Client> {
        &self.inner.handle
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.inner.link
    }

    /// Starts a command.
    pub async fn exec(&self, command: &Command) -> Result<Exec, ExecError> {
        self.start(None, Asked::Command(command.render()?)).await
    }

    /// Starts a command on a terminal. Its standard error then comes with its standard output.
    pub async fn exec_on_terminal(&self, command: &Command, pty: Pty) -> Result<Exec, ExecError> {
        self.start(Some(pty), Asked::Command(command.render()?)).await
    }

    /// Starts the login shell, on a terminal if one is given.
    pub async fn shell(&self, pty: Option<Pty>) -> Result<Exec, ExecError> {
        self.start(pty, Asked::Shell).await
    }

    /// Runs a command to its end, with `stdin` as its input, and keeps its output. A command that does not read all
    /// of its input is no error.
    pub async fn run(&self, command: &Command, stdin: &[u8], limits: Limits) -> Result<Output, RunError> {
        match limits.time {
            None => self.collect(command, stdin, limits.output).await,
            Some(limit) => match tokio::time::timeout(limit, self.collect(command, stdin, limits.output)).await {
                Ok(result) => result,
                Err(_) => Err(RunError::TooSlow { target: self.inner.target.to_string(), limit }),
            },
        }
    }

    /// Whether the connection has ended, from either side.
    pub fn is_closed(&self) -> bool {
        self.inner.handle.is_closed() || self.inner.link.gone.is_cancelled()
    }

    /// Says goodbye and ends the connection, and those to the jump hosts that carry it. What still runs loses it.
    pub async fn disconnect(&self) {
        self.inner.link.lost(Loss::ClosedHere);
        let farewell = async {
            // A connection that is gone already needs no goodbye.
            let _ = self.inner.handle.disconnect(Disconnect::ByApplication, "", "").await;
            self.inner.link.gone.cancelled().await;
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        self.inner.link.cut.cancel();
        if let Some(carrier) = &self.inner.carrier {
            Box::pin(carrier.disconnect()).await;
        }
    }

    async fn start(&self, pty: Option<Pty>, asked: Asked) -> Result<Exec, ExecError> {
        let channel = self.open().await?;
        Exec::start(channel, self.inner.target.to_string(), Arc::clone(&self.inner.link), pty, asked).await
    }

    /// Opens a channel, if need be as soon as another is over.
    async fn open(&self) -> Result<Channel<Msg>, ExecError> {
        for pause in ASK_AGAIN {
            match self.try_open().await {
                Err(ExecError::SessionRefused { .. }) => tokio::time::sleep(Duration::from_millis(pause)).await,
                opened => return opened,
            }
        }
        self.try_open().await
    }

    /// Opens a channel. In a task, so that one that opens after its caller gave up is closed again and does not count
    /// against the host's limit.
    async fn try_open(&self) -> Result<Channel<Msg>, ExecError> {
        let (give, take) = oneshot::channel();
        let session = self.clone();
        tokio::spawn(async move {
            let opened = session.inner.handle.channel_open_session().await;
            if let Err(Ok(unwanted)) = give.send(opened) {
                let _ = unwanted.close().await;
            }
        });
        let target = || self.inner.target.to_string();
        match take.await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(russh::Error::ChannelOpenFailure(failure))) => {
                Err(ExecError::SessionRefused { target: target(), refusal: ChannelRefusal::from_library(&failure) })
            }
            Ok(Err(_)) | Err(_) => Err(ExecError::Lost { target: target(), source: self.inner.link.reason() }),
        }
    }

    async fn collect(&self, command: &Command, stdin: &[u8], limit: usize) -> Result<Output, RunError> {
        let Exec { stdin: mut input, stdout, stderr, exit, control: _control } = self.exec(command).await?;
        let feed = async {
            // A program may end without reading its input; how the connection fares shows in its output.
            let _ = input.write_all(stdin).await;
            let _ = input.close().await;
            Ok::<_, RunError>(())
        };
        let ((), stdout, stderr) = tokio::try_join!(
            feed,
            self.keep(stdout, "standard output", limit),
            self.keep(stderr, "standard error", limit)
        )?;
        Ok(Output { status: exit.wait().await?, stdout, stderr })
    }

    async fn keep(&self, mut incoming: Incoming, stream: &'static str, limit: usize) -> Result<Vec<u8>, RunError> {
        let mut kept = Vec::new();
        while let Some(chunk) = incoming.chunk().await? {
            if kept.len() + chunk.len() > limit {
                return Err(RunError::TooMuchOutput { target: self.inner.target.to_string(), stream, limit });
            }
            kept.extend_from_slice(&chunk);
        }
        Ok(kept)
    }
}
