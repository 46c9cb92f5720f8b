//! Calling `host.sh` on a host: verbs as typed commands, answers as lines, failures as what they mean for trying again.

use std::borrow::Cow;

use airlift_core::fault::chain;
use airlift_core::history::FailureClass;
use airlift_engine::port::{ActError, LookError};

use crate::facts::FactsError;
use crate::pipe::Input;
use crate::pool::Place;
use crate::program;
use crate::ssh::{Command, ConnectError, Exec, ExecError, ExitStatus, Limits, Output, RunError, Session};

/// Exit statuses of `host.sh` (docs/host-protocol.md).
mod status {
    pub(super) const OTHER_FLEET: u32 = 20;
    pub(super) const OTHER_TOKEN: u32 = 21;
    pub(super) const OTHER_VALUE: u32 = 22;
    pub(super) const TOOL: u32 = 24;
    pub(super) const SPACE: u32 = 25;
    pub(super) const PRIVILEGE: u32 = 26;
    pub(super) const USAGE: u32 = 64;
}

/// The longest answer that is read: the list of missing pieces of a bundle of a terabyte.
const ANSWER: Limits = Limits { output: 128 << 20, time: None };

/// A session with a host where `host.sh` is, or will be.
pub(crate) struct Remote {
    pub(crate) session: Session,
    pub(crate) place: Place,
}

impl Remote {
    /// The command for a verb.
    pub(crate) fn verb(&self, verb: &str) -> Command {
        let path = format!("{}/bin/{}/host.sh", self.place.root, program::digest());
        self.privileged(Command::new("sh").arg(path).arg(verb))
    }

    /// The same, ended on the host after `seconds` (timeout(1), of coreutils and of busybox): closing a channel ends nothing
    /// there, so that a wait given up here would go on.
    pub(crate) fn bounded_verb(&self, seconds: u32, verb: &str) -> Command {
        let path = format!("{}/bin/{}/host.sh", self.place.root, program::digest());
        let command = Command::new("timeout").arg(seconds.to_string()).arg("sh").arg(path).arg(verb);
        self.privileged(command)
    }

    /// The same, with [`MARK`] before all that it writes to either stream: what stands before that is the login's.
    pub(crate) fn marked_verb(&self, verb: &str) -> Command {
        let path = format!("{}/bin/{}/host.sh", self.place.root, program::digest());
        let script = format!("{SAY_MARK}{{ {SAY_MARK}}} >&2\nexec \"$@\"");
        self.privileged(Command::new("sh").arg("-c").arg(script).arg("mark").arg("sh").arg(path).arg(verb))
    }

    /// The command with the privileges that this host's session has.
    pub(crate) fn privileged(&self, command: Command) -> Command {
        if self.place.sudo { command.sudo() } else { command }
    }

    /// What a [`marked_verb`](Self::marked_verb) answers, without what the login prints.
    pub(crate) async fn ask_marked(&self, command: &Command, stdin: &[u8]) -> Result<String, ActError> {
        let answer = self.ask(command, stdin).await?;
        let marked = after_mark(&answer).ok_or_else(|| ActError::transient("its answer was cut off"))?;
        Ok(marked.to_owned())
    }

    /// Runs a command that answers briefly.
    pub(crate) async fn ask(&self, command: &Command, stdin: &[u8]) -> Result<String, ActError> {
        let output = self.session.run(command, stdin, ANSWER).await.map_err(|e| lost(&e))?;
        answer(output)
    }

    /// Runs a command with a stream as its input, as it comes.
    pub(crate) async fn pour(&self, command: &Command, input: Input) -> Result<String, ActError> {
        let exec = self.session.exec(command).await.map_err(|e| lost(&RunError::Exec(e)))?;
        pour(exec, input).await
    }
}

/// Gives a running command the rest of its input, as it comes; reads the rest of its answer.
pub(crate) async fn pour(exec: Exec, mut input: Input) -> Result<String, ActError> {
    let (mut stdin, mut stdout, mut stderr) = (exec.stdin, exec.stdout, exec.stderr);
    let pouring = async {
        while let Some(chunk) = input.recv().await {
            let chunk = chunk.map_err(|error| ActError::definite(error.to_string()))?;
            // A host that stops reading has something to say on its other streams.
            if stdin.send(chunk).await.is_err() {
                break;
            }
        }
        let _ = stdin.close().await;
        Ok(())
    };
    let (poured, out, err) = tokio::join!(pouring, collect(&mut stdout), collect(&mut stderr));
    poured?;
    let (stdout, stderr) = (out.map_err(|e| lost(&RunError::Exec(e)))?, err.map_err(|e| lost(&RunError::Exec(e)))?);
    let status = exec.exit.wait().await.map_err(|e| lost(&RunError::Exec(e)))?;
    answer(Output { status, stdout, stderr })
}

/// What stands before output that is told from what some logins print before every command, and between a run's standard output and
/// what is told of its end.
pub(crate) const MARK: &str = "\0airlift\n";

/// The line of a shell's that prints it.
pub(crate) const SAY_MARK: &str = "printf '\\000airlift\\n'\n";

/// What comes after the mark.
pub(crate) fn after_mark(answer: &str) -> Option<&str> {
    answer.split_once(MARK).map(|(_, marked)| marked)
}

/// Passes on what comes after the mark.
#[derive(Default)]
pub(crate) struct AfterMark {
    /// The end of what came before the mark, as long as the mark may have begun in it.
    held: Vec<u8>,
    found: bool,
}

impl AfterMark {
    pub(crate) fn pass<'c>(&mut self, chunk: &'c [u8]) -> Cow<'c, [u8]> {
        if self.found {
            return chunk.into();
        }
        self.held.extend_from_slice(chunk);
        if let Some(at) = self.held.windows(MARK.len()).position(|window| window == MARK.as_bytes()) {
            self.found = true;
            return self.held.split_off(at + MARK.len()).into();
        }
        self.held.drain(..self.held.len().saturating_sub(MARK.len() - 1));
        Cow::Borrowed(&[])
    }
}

/// Reads a stream to its end; keeps its beginning.
pub(crate) async fn collect(stream: &mut crate::ssh::Incoming) -> Result<Vec<u8>, ExecError> {
    const KEPT: usize = 1 << 20;
    let mut kept = Vec::new();
    while let Some(chunk) = stream.chunk().await? {
        let room = KEPT.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(kept)
}

/// The answer of a command that went well; else what its failure means.
pub(crate) fn answer(output: Output) -> Result<String, ActError> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    match output.status {
        ExitStatus::Code(0) => Ok(text(output.stdout)),
        ExitStatus::Code(code) => {
            let class = match code {
                status::OTHER_FLEET
                | status::OTHER_TOKEN
                | status::OTHER_VALUE
                | status::TOOL
                | status::SPACE
                | status::PRIVILEGE
                | status::USAGE => FailureClass::Definite,
                // Among them 23: it did not arrive whole.
                _ => FailureClass::Transient,
            };
            let message = complaint(&text(output.stderr))
                .unwrap_or_else(|| format!("the host's program ended with status {code} and said nothing"));
            Err(ActError { class, message })
        }
        ExitStatus::Signal(name) => Err(ActError::unknown(format!("the host's program was killed by signal {name}"))),
    }
}

/// What `host.sh` said was wrong; else the last line of what anything said.
fn complaint(stderr: &str) -> Option<String> {
    let said = |line: &&str| !line.trim().is_empty();
    stderr
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("airlift: "))
        .or_else(|| stderr.lines().rev().find(said))
        .map(str::to_owned)
}

/// Why a command that was to answer ended without.
pub(crate) async fn complaint_of(exec: &mut Exec) -> ActError {
    let ended = async {
        let stderr = collect(&mut exec.stderr).await?;
        Ok(Output { status: exec.exit.wait().await?, stdout: Vec::new(), stderr })
    };
    match ended.await {
        Ok(output) => answer(output).err().unwrap_or_else(|| ActError {
            class: FailureClass::Unknown,
            message: "the host's program ended without an answer".to_owned(),
        }),
        Err(error) => lost(&RunError::Exec(error)),
    }
}

/// A command whose outcome is not known because its connection is gone, or that never began.
pub(crate) fn lost(error: &RunError) -> ActError {
    let class = match error {
        RunError::Exec(ExecError::Command(_) | ExecError::RequestRefused { .. }) => FailureClass::Definite,
        RunError::Exec(ExecError::SessionRefused { .. }) => FailureClass::Transient,
        _ => FailureClass::Unknown,
    };
    ActError { class, message: chain(error) }
}

/// Why a look told nothing.
pub(crate) enum Unseen {
    /// The connection or the answer was cut off; it may go better in a moment.
    Lost(String),
    /// What answered will answer the same again.
    Odd(String),
}

impl Unseen {
    pub(crate) fn lost(error: &RunError) -> Self {
        Self::Lost(chain(error))
    }

    /// An answer that cannot be read.
    pub(crate) fn unread(error: FactsError, answer: &str, stderr: &[u8]) -> Self {
        match error {
            FactsError::CutOff => Self::Lost(error.to_string()),
            FactsError::Noise(_) if answer.is_empty() => {
                let said = String::from_utf8_lossy(stderr);
                Self::Odd(format!("it cannot run `sh`: {}", said.lines().next().unwrap_or("it said nothing")))
            }
            other => Self::Odd(other.to_string()),
        }
    }

    /// The same of an act that came before.
    pub(crate) fn after(self) -> ActError {
        match self {
            Self::Lost(message) | Self::Odd(message) => ActError::unknown(message),
        }
    }

    pub(crate) fn act(self) -> ActError {
        match self {
            Self::Lost(message) => ActError { class: FailureClass::Transient, message },
            Self::Odd(message) => ActError::definite(message),
        }
    }
}

/// A session that could not be had: the action did not begin.
pub(crate) fn no_session(error: &ConnectError) -> ActError {
    let class = if error.is_transient() { FailureClass::Transient } else { FailureClass::Definite };
    ActError { class, message: chain(error) }
}

/// The same for a look.
pub(crate) fn unseen(error: &(dyn std::error::Error + 'static)) -> LookError {
    LookError(chain(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: u32, stderr: &str) -> Output {
        Output { status: ExitStatus::Code(code), stdout: Vec::new(), stderr: stderr.into() }
    }

    #[test]
    fn the_hosts_own_complaint_is_the_message() {
        let error = answer(ended(25, "mv: warning\nairlift: no space left; make room\nnoise\n")).unwrap_err();
        assert_eq!(error.message, "no space left; make room");
        assert_eq!(error.class, FailureClass::Definite);
    }

    #[test]
    fn what_a_login_prints_before_the_mark_is_not_passed_on_wherever_the_chunks_end() {
        let stream = b"welcome\n\0air\0airlift\nout\0airlift\nput";
        for size in 1..stream.len() {
            let mut mark = AfterMark::default();
            let passed: Vec<u8> = stream.chunks(size).flat_map(|chunk| mark.pass(chunk).into_owned()).collect();
            assert_eq!(passed, b"out\0airlift\nput", "in chunks of {size}");
        }
    }

    #[test]
    fn damage_on_the_way_is_tried_again_and_another_fleets_host_is_not() {
        assert_eq!(answer(ended(23, "")).unwrap_err().class, FailureClass::Transient);
        assert_eq!(answer(ended(20, "")).unwrap_err().class, FailureClass::Definite);
    }
}
