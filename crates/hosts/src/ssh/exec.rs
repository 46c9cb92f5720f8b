//! One running remote command.
//!
//! A pump task takes what arrives for it apart into standard output, standard error and the way it ended. What always
//! holds: the pump holds a bounded number of chunks and waits for the readers beyond that; when every part of an
//! [`Exec`] was dropped, the channel is closed.

use std::fmt;
use std::sync::Arc;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{mpsc, watch};
use tokio_util::bytes::Bytes;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client::Link;
use super::error::ExecError;
use super::streams::{Incoming, Stdin};

/// Chunks that wait for a reader, each at most 64 KiB.
const CHUNKS: usize = 16;

/// The extended data type of standard error (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// How a remote program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this status.
    Code(u32),
    /// By a signal: its name without `SIG`, such as `KILL`.
    Signal(String),
}

impl ExitStatus {
    /// Whether it ended with status 0.
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(name) => write!(f, "signal {name}"),
        }
    }
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Characters in a line.
    pub columns: u32,
    /// Lines.
    pub rows: u32,
}

/// A terminal for a remote program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pty {
    /// The value of `TERM`, such as `xterm-256color`.
    pub term: String,
    /// Its size.
    pub size: Size,
}

/// What to run in a channel.
pub(super) enum Asked {
    Command(Vec<u8>),
    Shell,
}

/// A running command, in parts that can be used at the same time. Dropping all of them closes its channel. That does not
/// kill the program: it ends when it reads or writes the next time, and until then counts against the host's
/// `MaxSessions`.
#[derive(Debug)]
pub struct Exec {
    /// Its standard input.
    pub stdin: Stdin,
    /// Its standard output.
    pub stdout: Incoming,
    /// Its standard error. Empty on a terminal.
    pub stderr: Incoming,
    /// How it ends.
    pub exit: Exit,
    /// Its terminal.
    pub control: Control,
}

/// How a command ends, once it does.
#[derive(Debug, Clone)]
pub struct Exit {
    outcome: watch::Receiver<Option<Result<ExitStatus, ExecError>>>,
    target: String,
    _interest: Interest,
}

impl Exit {
    /// Waits for the program to end. What it left running in the background may still hold its output open.
    pub async fn wait(&self) -> Result<ExitStatus, ExecError> {
        let mut outcome = self.outcome.clone();
        let seen = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        seen.unwrap_or_else(|| Err(ExecError::NoStatus { target: self.target.clone() }))
    }
}

/// Reaches into a running command. It sends no signals: sshd does not pass them on for root.
#[derive(Debug, Clone)]
pub struct Control {
    channel: Arc<ChannelWriteHalf<Msg>>,
    shared: Arc<Shared>,
    _interest: Interest,
}

impl Control {
    /// Tells the terminal its new size.
    pub async fn resize(&self, size: Size) -> Result<(), ExecError> {
        self.channel.window_change(size.columns, size.rows, 0, 0).await.map_err(|_| self.shared.lost())
    }
}

/// Held by every part of an [`Exec`]; the last one to go abandons the command.
pub(super) type Interest = Arc<DropGuard>;

/// What the parts of one command know in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) target: String,
    link: Arc<Link>,
    /// The host said that its output is complete.
    pub(super) complete: CancellationToken,
    /// The channel is closed or lost: nothing will be read any more.
    pub(super) closed: CancellationToken,
}

impl Shared {
    pub(super) fn lost(&self) -> ExecError {
        ExecError::Lost { target: self.target.clone(), source: self.link.reason() }
    }

    /// Why there is no more output although it is not complete.
    pub(super) fn interrupted(&self) -> ExecError {
        if self.link.gone.is_cancelled() || self.link.loss().is_some() {
            self.lost()
        } else {
            ExecError::NoStatus { target: self.target.clone() }
        }
    }
}

impl Exec {
    pub(super) async fn start(
        channel: Channel<Msg>,
        target: String,
        link: Arc<Link>,
        pty: Option<Pty>,
        asked: Asked,
    ) -> Result<Self, ExecError> {
        let (read, write) = channel.split();
        let channel = Arc::new(write);
        let shared = Arc::new(Shared {
            target: target.clone(),
            link,
            complete: CancellationToken::new(),
            closed: CancellationToken::new(),
        });
        let abandoned = CancellationToken::new();
        let interest: Interest = Arc::new(abandoned.clone().drop_guard());
        let (stdout, stdout_chunks) = mpsc::channel(CHUNKS);
        let (stderr, stderr_chunks) = mpsc::channel(CHUNKS);
        let (outcome, outcome_seen) = watch::channel(None);
        let (answers, mut answered) = mpsc::channel(2);
        let pump = Pump {
            read,
            channel: Arc::clone(&channel),
            shared: Arc::clone(&shared),
            abandoned,
            outputs: Some(Outputs { stdout, stderr }),
            outcome,
            answers: Some(answers),
        };
        tokio::spawn(pump.run());

        let exec = Self {
            stdin: Stdin::new(Arc::clone(&channel), Arc::clone(&shared), Arc::clone(&interest)),
            stdout: Incoming::new(stdout_chunks, Arc::clone(&shared), Arc::clone(&interest)),
            stderr: Incoming::new(stderr_chunks, Arc::clone(&shared), Arc::clone(&interest)),
            exit: Exit { outcome: outcome_seen, target, _interest: Arc::clone(&interest) },
            control: Control { channel, shared: Arc::clone(&shared), _interest: interest },
        };
        let channel = &exec.control.channel;
        if let Some(Pty { term, size }) = pty {
            let sent = channel.request_pty(true, &term, size.columns, size.rows, 0, 0, &[]).await;
            granted(sent, &mut answered, &shared, "open a terminal").await?;
        }
        match asked {
            Asked::Command(words) => {
                let sent = channel.exec(true, words).await;
                granted(sent, &mut answered, &shared, "run a command").await?;
            }
            Asked::Shell => {
                let sent = channel.request_shell(true).await;
                granted(sent, &mut answered, &shared, "start a shell").await?;
            }
        }
        Ok(exec)
    }
}

async fn granted(
    sent: Result<(), russh::Error>,
    answered: &mut mpsc::Receiver<bool>,
    shared: &Shared,
    asked: &'static str,
) -> Result<(), ExecError> {
    sent.map_err(|_| shared.lost())?;
    match answered.recv().await {
        Some(true) => Ok(()),
        Some(false) => Err(ExecError::RequestRefused { target: shared.target.clone(), asked }),
        None => Err(shared.interrupted()),
    }
}

struct Outputs {
    stdout: mpsc::Sender<Bytes>,
    stderr: mpsc::Sender<Bytes>,
}

struct Pump {
    read: ChannelReadHalf,
    channel: Arc<ChannelWriteHalf<Msg>>,
    shared: Arc<Shared>,
    abandoned: CancellationToken,
    outputs: Option<Outputs>,
    outcome: watch::Sender<Option<Result<ExitStatus, ExecError>>>,
    answers: Option<mpsc::Sender<bool>>,
}

impl Pump {
    async fn run(mut self) {
        let abandoned = self.abandoned.clone();
        tokio::select! {
            // Here too when the pump waits for a reader that is being dropped.
            () = abandoned.cancelled() => {
                let _ = self.channel.close().await;
            }
            () = self.take_apart() => {}
        }
        self.shared.closed.cancel();
    }

    async fn take_apart(&mut self) {
        loop {
            match self.read.wait().await {
                Some(ChannelMsg::Data { data }) => self.pass_on(data, false).await,
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => self.pass_on(data, true).await,
                Some(ChannelMsg::Success) => self.answer(true).await,
                Some(ChannelMsg::Failure) => self.answer(false).await,
                Some(ChannelMsg::ExitStatus { exit_status }) => self.ended(Ok(ExitStatus::Code(exit_status))),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    self.ended(Ok(ExitStatus::Signal(name_of(signal_name))));
                }
                Some(ChannelMsg::Eof) => self.end_of_output(),
                Some(ChannelMsg::Close) => {
                    self.end_of_output();
                    self.ended(Err(ExecError::NoStatus { target: self.shared.target.clone() }));
                    return;
                }
                Some(_) => {}
                None => {
                    self.ended(Err(self.shared.lost()));
                    return;
                }
            }
        }
    }

    /// A reader that was dropped wants nothing; the command goes on without it.
    async fn pass_on(&self, data: Bytes, is_stderr: bool) {
        if let Some(Outputs { stdout, stderr }) = &self.outputs {
            let _ = if is_stderr { stderr.send(data).await } else { stdout.send(data).await };
        }
    }

    async fn answer(&self, granted: bool) {
        if let Some(answers) = &self.answers {
            let _ = answers.send(granted).await;
        }
    }

    fn end_of_output(&mut self) {
        self.shared.complete.cancel();
        self.outputs = None;
    }

    /// What is said first holds.
    fn ended(&mut self, outcome: Result<ExitStatus, ExecError>) {
        self.answers = None;
        self.outcome.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(outcome);
            first
        });
    }
}

fn name_of(signal: Sig) -> String {
    match signal {
        Sig::Custom(name) => name,
        known => format!("{known:?}"),
    }
}
