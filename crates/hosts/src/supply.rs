//! A host supplied with a release over one channel: it tells of itself, is asked what it lacks, is sent that, puts it in its place
//! and tells of itself again ("supply" in docs/host-protocol.md).

use std::collections::HashSet;
use std::time::Duration;

use airlift_core::bundle::Manifest;
use airlift_core::id::{Digest, RunId};
use airlift_core::op::HostQuery;
use airlift_engine::port::ActError;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::attendance::{self, Attendance};
use crate::facts::{self, Look};
use crate::pipe::Input;
use crate::remote::{self, Unseen};
use crate::ssh::{Exec, RunError};

/// The longest line of an answer: a word and a digest.
const LINE: usize = 1 << 10;

/// How long what a host told is good for the change that follows. It is the time that many hosts take to be looked at; what
/// happens on a host in between is found by the host itself.
const A_MOMENT: Duration = Duration::from_secs(30);

/// A channel on which a host waits to be supplied.
pub(crate) struct Supply {
    exec: Exec,
    /// What it was asked to tell of itself.
    query: HostQuery,
    /// What it told.
    look: Look,
    since: Instant,
}

impl Supply {
    /// A host that waits to be supplied, and has told this when it was asked `query` a moment ago.
    pub(crate) fn new(exec: Exec, query: &HostQuery, look: &Look) -> Self {
        Self { exec, query: query.clone(), look: look.clone(), since: Instant::now() }
    }

    /// What the host told, if that was an answer to this and only a moment ago.
    pub(crate) fn told(&self, query: &HostQuery) -> Option<&Look> {
        (self.query == *query && self.since.elapsed() < A_MOMENT).then_some(&self.look)
    }

    /// From now on it is another question that was answered: each answer is good for one look.
    pub(crate) fn now_for(self, query: &HostQuery) -> Self {
        Self { query: query.clone(), ..self }
    }

    /// Asks which pieces of a release the host lacks.
    pub(crate) async fn missing(&mut self, manifest: &Manifest) -> Result<HashSet<Digest>, ActError> {
        let digests: Vec<String> = manifest.distinct().map(|piece| piece.digest.to_string()).collect();
        let request = format!("have {}\n{}\n", digests.len(), digests.join("\n"));
        // A host that does not read has something to say.
        let _ = self.exec.stdin.write_all(request.as_bytes()).await;
        let mut missing = HashSet::new();
        loop {
            let line = self.exec.stdout.line(LINE).await.map_err(|error| remote::lost(&RunError::Exec(error)))?;
            match line.as_deref() {
                Some("end") => return Ok(missing),
                Some(line) => {
                    let digest = line.strip_prefix("missing ").and_then(|digest| digest.parse().ok());
                    missing.insert(digest.ok_or_else(|| ActError::transient(format!("it answered oddly: {line:?}")))?);
                }
                None => return Err(remote::complaint_of(&mut self.exec).await),
            }
        }
    }

    /// Sends a request with what belongs to it. What the host tells of itself then is what it told.
    pub(crate) async fn deliver(&mut self, request: &str, payload: &[u8]) -> Result<(), ActError> {
        let _ = self.exec.stdin.write_all(&[request.as_bytes(), payload].concat()).await;
        let lost = |error| remote::lost(&RunError::Exec(error));
        // What came of it stands on the first line, and is told by the facts as well.
        match self.exec.stdout.line(LINE).await.map_err(lost)? {
            Some(_) => {}
            None => return Err(remote::complaint_of(&mut self.exec).await),
        }
        self.look = attendance::next_look(&mut self.exec).await.map_err(Unseen::after)?;
        Ok(())
    }

    /// Sends a request with a stream that belongs to it, which is the last.
    pub(crate) async fn pour(mut self, request: &str, payload: Input) -> Result<(HostQuery, Look), ActError> {
        let _ = self.exec.stdin.write_all(request.as_bytes()).await;
        let answer = remote::pour(self.exec, payload).await?;
        let (_, look) = answer.split_once('\n').ok_or_else(|| ActError::unknown("its answer was cut off"))?;
        let look = facts::read(look).map_err(|error| ActError::unknown(error.to_string()))?;
        Ok((self.query, look))
    }

    /// What the host told, as the answer that it was.
    pub(crate) fn answer(&self) -> (HostQuery, Look) {
        (self.query.clone(), self.look.clone())
    }

    /// Has the host attend to a run instead.
    pub(crate) async fn attend(self, run: &RunId) -> Result<(Look, Attendance), Unseen> {
        Attendance::go_on(self.exec, run).await
    }

    /// Has the host stop waiting.
    pub(crate) async fn leave(self) {
        attendance::leave(self.exec).await;
    }
}
