//! A run attended over one channel: the host tells what is to be known before, is sent the script and starts it, passes on its
//! output, and tells how it ended ("attend" in docs/host-protocol.md). A run of a script takes one command on the host.

use std::borrow::Cow;
use std::time::Duration;

use airlift_core::id::RunId;
use airlift_core::seen::RunSeen;
use airlift_engine::port::{ActError, LookError};
use airlift_engine::spool::{Follower, Stream};
use tokio::io::AsyncWriteExt as _;

use crate::facts::{self, FactsError, Look};
use crate::payload::Inline;
use crate::remote::{self, AfterMark, MARK, Unseen, collect};
use crate::ssh::{Command, Exec, ExecError, Incoming, RunError, Session};

/// How long a look may take once a session is open.
pub(crate) const LOOK: Duration = Duration::from_secs(20);

/// The longest answer to the look: facts, and what a login prints before.
const ANSWER: usize = 1 << 20;

/// How long the host may take to let go of a channel that is not needed.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long a run that was just launched may last until its output is asked for as it comes. A host has to start programs for
/// that; output of a run that is over sooner takes none.
const MOMENT: Duration = Duration::from_millis(200);

/// A channel on which a host waits to be told about one run.
pub(crate) struct Attendance {
    run: RunId,
    exec: Exec,
    /// What the host told first.
    look: Look,
    /// It passes on the output from the beginning.
    follows: bool,
}

impl Attendance {
    /// A host that waits to be told about `run`, and what it told first.
    pub(crate) fn new(exec: Exec, run: &RunId, look: &Look) -> Self {
        Self { run: run.clone(), exec, look: look.clone(), follows: false }
    }

    /// Has a host that waits on a channel attend to a run.
    pub(crate) async fn go_on(mut exec: Exec, run: &RunId) -> Result<(Look, Self), Unseen> {
        // A host that does not read has something to say.
        let _ = exec.stdin.write_all(format!("attend {run}\n").as_bytes()).await;
        let look = next_look(&mut exec).await?;
        let attendance = Self::new(exec, run, &look);
        Ok((look, attendance))
    }

    pub(crate) fn is_of(&self, run: &RunId) -> bool {
        self.run == *run
    }

    /// Whether following it gives what a reader lacks: one that has nothing yet lacks everything.
    pub(crate) fn gives_what_follows(&self, is_new: bool) -> bool {
        is_new || !self.follows
    }

    /// What the host told before, with the run as it is since.
    pub(crate) fn look_with(&self, state: RunSeen) -> Look {
        let mut look = self.look.clone();
        look.facts.runs.insert(self.run.clone(), state);
        look
    }

    /// Sends the script, unless it is there, and has it started; the host goes on to pass on what it prints. The host decides by
    /// the token whether this is the first time.
    pub(crate) async fn launch(&mut self, payload: Option<&Inline>) -> Result<(), ActError> {
        let (form, bytes) = payload.map_or(("none", &[][..]), |payload| (payload.form, &payload.bytes[..]));
        let mut request = format!("launch {} {form} {}\n", self.run, bytes.len()).into_bytes();
        request.extend_from_slice(bytes);
        // A host that does not read has something to say.
        let _ = self.exec.stdin.write_all(&request).await;
        let answer = self.exec.stdout.line(ANSWER).await.map_err(|error| remote::lost(&RunError::Exec(error)))?;
        match answer.as_deref().and_then(|line| line.split_once(' ')) {
            Some(("started" | "already", run)) if run == self.run.as_str() => {
                self.follows = true;
                Ok(())
            }
            _ => Err(remote::complaint_of(&mut self.exec).await),
        }
    }

    /// Passes the run's output on until the run is over; gives what the host told then.
    pub(crate) async fn follow(mut self, into: &mut Follower) -> Result<Option<Look>, LookError> {
        let mut waits = self.follows;
        if !self.follows {
            let (out, err) = (into.offset(Stream::Stdout), into.offset(Stream::Stderr));
            let request = format!("follow {out} {err}\n");
            // How the connection fares shows in the output.
            let _ = self.exec.stdin.write_all(request.as_bytes()).await;
        }
        let (stdin, stdout, stderr) = (&mut self.exec.stdin, &mut self.exec.stdout, &mut self.exec.stderr);
        let moment = tokio::time::sleep(MOMENT);
        tokio::pin!(moment);
        let (mut out_mark, mut err_mark) = (AfterMark::default(), AfterMark::default());
        let (mut out_open, mut err_open) = (true, true);
        let mut ending = Ending::default();
        let spool = |error| LookError(format!("cannot write the spool: {error}"));
        while out_open || err_open {
            let (stream, chunk) = tokio::select! {
                chunk = stdout.chunk(), if out_open => (Stream::Stdout, chunk),
                chunk = stderr.chunk(), if err_open => (Stream::Stderr, chunk),
                () = &mut moment, if waits => {
                    waits = false;
                    let _ = stdin.write_all(b"follow\n").await;
                    continue;
                }
            };
            match (stream, chunk.map_err(|error| remote::unseen(&error))?) {
                (Stream::Stdout, Some(bytes)) => {
                    let bytes = out_mark.pass(&bytes);
                    into.write(stream, &ending.pass(&bytes)).map_err(spool)?;
                }
                (Stream::Stderr, Some(bytes)) => into.write(stream, &err_mark.pass(&bytes)).map_err(spool)?,
                (Stream::Stdout, None) => out_open = false,
                (Stream::Stderr, None) => err_open = false,
            }
        }
        self.exec.exit.wait().await.map_err(|error| remote::unseen(&error))?;
        let (rest, told) = ending.end();
        into.write(Stream::Stdout, &rest).map_err(spool)?;
        let state = told
            .as_deref()
            .and_then(|line| line.strip_prefix("run ")?.split_once(' '))
            .and_then(|(run, state)| if run == self.run.as_str() { facts::run_state(state) } else { None });
        Ok(state.map(|state| self.look_with(state)))
    }

    /// Has the host stop waiting.
    pub(crate) async fn leave(self) {
        leave(self.exec).await;
    }
}

/// Runs a command by which a host tells of itself, then waits to be told what to do. One that has no `host.sh` yet does not wait.
pub(crate) async fn open(session: &Session, command: &Command) -> Result<(Look, Option<Exec>), Unseen> {
    let too_slow = || Unseen::lost(&RunError::TooSlow { target: session.target().to_string(), limit: LOOK });
    let lost = |error| Unseen::lost(&RunError::Exec(error));
    let opened = tokio::time::timeout(LOOK, session.exec(command)).await;
    let mut exec = opened.map_err(|_| too_slow())?.map_err(lost)?;
    let mut answer = Vec::new();
    match tokio::time::timeout(LOOK, told(&mut exec.stdout, &mut answer)).await {
        Ok(told) => told.map_err(lost)?,
        Err(_) => return Err(noise_instead(exec, answer).await.unwrap_or_else(too_slow)),
    }
    let answer = String::from_utf8_lossy(&answer);
    let read = remote::after_mark(&answer).ok_or_else(|| FactsError::noise(&answer)).and_then(facts::read);
    match read {
        Ok(look) => {
            let waits = look.facts.program.is_some();
            Ok((look, waits.then_some(exec)))
        }
        Err(error) => {
            let said = if answer.is_empty() { collect(&mut exec.stderr).await.unwrap_or_default() } else { Vec::new() };
            Err(Unseen::unread(error, &answer, &said))
        }
    }
}

/// What a host tells of itself once more.
pub(crate) async fn next_look(exec: &mut Exec) -> Result<Look, Unseen> {
    let mut answer = String::new();
    while !answer.ends_with("\nend\n") {
        let line = exec.stdout.line(ANSWER).await.map_err(|error| Unseen::lost(&RunError::Exec(error)))?;
        let Some(line) = line else { break };
        answer.push_str(&line);
        answer.push('\n');
    }
    facts::read(&answer).map_err(|error| Unseen::unread(error, &answer, &[]))
}

/// Has a host stop waiting, so that the channel is free for something else.
pub(crate) async fn leave(exec: Exec) {
    let farewell = async {
        let _ = exec.stdin.close().await;
        let _ = exec.exit.wait().await;
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// Reads up to the end of what a host tells of itself, or to the end of all. What is read is in `answer` also when this is
/// given up.
async fn told(stdout: &mut Incoming, answer: &mut Vec<u8>) -> Result<(), ExecError> {
    while answer.len() < ANSWER
        && let Some(mut chunk) = stdout.chunk().await?
    {
        let before = answer.len();
        answer.extend_from_slice(&chunk);
        if let Some(end) = end_of_look(answer) {
            stdout.put_back(chunk.split_off(end - before));
            answer.truncate(end);
            break;
        }
    }
    Ok(())
}

/// Where the answer to a look ends.
fn end_of_look(answer: &[u8]) -> Option<usize> {
    const LAST: &[u8] = b"\nend\n";
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
    let mark = find(answer, MARK.as_bytes())?;
    find(&answer[mark..], LAST).map(|at| mark + at + LAST.len())
}

/// What a login says that keeps the command from its input, and perhaps lets it answer only when that has ended.
async fn noise_instead(mut exec: Exec, mut answer: Vec<u8>) -> Option<Unseen> {
    let _ = exec.stdin.close().await;
    let _ = tokio::time::timeout(FAREWELL, told(&mut exec.stdout, &mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    let said = answer.split(MARK).next().unwrap_or_default();
    (!said.is_empty()).then(|| Unseen::unread(FactsError::noise(said), said, &[]))
}

/// The longest line that stands after the mark at the end.
const LINE: usize = 512;

/// Takes what the host tells at the end of a run's output, after the mark, off that output. What looks like it and is not at
/// the end is output.
#[derive(Default)]
struct Ending {
    /// The mark or its beginning, and what follows it.
    held: Vec<u8>,
}

impl Ending {
    fn pass<'c>(&mut self, chunk: &'c [u8]) -> Cow<'c, [u8]> {
        if self.held.is_empty() && !chunk.contains(&MARK.as_bytes()[0]) {
            return chunk.into();
        }
        self.held.extend_from_slice(chunk);
        let end = self.held.len();
        let may_be_the_end = |at: &usize| {
            let tail = &self.held[*at..];
            tail.starts_with(MARK.as_bytes()) || MARK.as_bytes().starts_with(tail)
        };
        let keep = (end.saturating_sub(MARK.len() + LINE)..end).find(may_be_the_end).unwrap_or(end);
        let rest = self.held.split_off(keep);
        std::mem::replace(&mut self.held, rest).into()
    }

    /// The output that was held, and the line that was told.
    fn end(mut self) -> (Vec<u8>, Option<String>) {
        let Some(at) = self.held.windows(MARK.len()).rposition(|window| window == MARK.as_bytes()) else {
            return (self.held, None);
        };
        let line = String::from_utf8_lossy(&self.held[at + MARK.len()..]).trim_end().to_owned();
        self.held.truncate(at);
        (self.held, Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(stream: &[u8], size: usize) -> (Vec<u8>, Option<String>) {
        let mut ending = Ending::default();
        let mut output: Vec<u8> = stream.chunks(size).flat_map(|chunk| ending.pass(chunk).into_owned()).collect();
        let (rest, told) = ending.end();
        output.extend(rest);
        (output, told)
    }

    #[test]
    fn what_is_told_at_the_end_is_no_output_wherever_the_chunks_end() {
        let stream = b"out\0air\0airlift\nput\0airlift\nrun r-1 exited\n";
        for size in 1..=stream.len() {
            let (output, told) = parted(stream, size);
            assert_eq!(output, b"out\0air\0airlift\nput", "in chunks of {size}");
            assert_eq!(told.as_deref(), Some("run r-1 exited"));
        }
    }

    #[test]
    fn output_that_ends_like_the_mark_is_output() {
        assert_eq!(parted(b"out\0airli", 4), (b"out\0airli".to_vec(), None));
        let long = [b"\0airlift\n".as_slice(), &[b'x'; 4 * LINE]].concat();
        assert_eq!(parted(&long, 100).0, long);
    }

    #[test]
    fn output_is_held_back_only_as_long_as_it_may_be_the_end() {
        let mut ending = Ending::default();
        assert_eq!(&*ending.pass(b"one\0"), b"one");
        assert_eq!(&*ending.pass(b"two"), b"\0two");
    }
}
