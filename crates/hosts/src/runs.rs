//! Running scripts: a run's payload is put in place, the script is started once, and it can be cancelled.
//!
//! The run's id is the token that the host knows it by: whatever the network does, a run starts once on a host.

use std::sync::Arc;
use std::time::Duration;

use airlift_core::action::{CancelRun, Outcome, StageRun, StartRun};
use airlift_core::id::RunId;
use airlift_core::seen::RunSeen;
use airlift_engine::permit::Permit;
use airlift_engine::port::{ActError, Launched, Runs, Target};
use async_trait::async_trait;

use crate::SshHosts;
use crate::delivery::read_file;
use crate::payload::{self, Inline};
use crate::pipe::{Progress, limited, too_long};

/// What the limit on sending is about.
const SENDING: &str = "sending the script and its files";

#[async_trait]
impl Runs for SshHosts {
    async fn stage(&self, at: &Target, permit: Permit<StageRun>) -> Result<Outcome, ActError> {
        self.send(at, permit.action()).await
    }

    async fn start(&self, at: &Target, permit: Permit<StartRun>) -> Result<Outcome, ActError> {
        self.set_going(at, &permit.action().run, None).await
    }

    async fn launch(&self, at: &Target, stage: Permit<StageRun>, start: Permit<StartRun>) -> Launched {
        let staging = stage.action();
        let inline = match self.inline(&staging.run) {
            Ok(inline) => inline,
            Err(error) => return Launched::neither(error),
        };
        let staged = match &inline {
            Some(inline) => Ok(Outcome::Sent { bytes: inline.bytes.len() as u64, pieces: 0 }),
            None => self.send(at, staging).await,
        };
        if let Err(error) = staged {
            return Launched::neither(error);
        }
        let limit = staging.upload_timeout_s;
        let starting = self.set_going(at, &start.action().run, inline.as_deref());
        let started = match tokio::time::timeout(Duration::from_secs(limit), starting).await {
            Ok(started) => started,
            // The host may be about to start it.
            Err(_) => Err(ActError::unknown(too_long(limit, SENDING))),
        };
        match started {
            Err(error) if inline.is_some() => Launched::neither(error),
            started => Launched { staged, started },
        }
    }

    async fn cancel(&self, at: &Target, permit: Permit<CancelRun>) -> Result<Outcome, ActError> {
        let run = permit.action().run.as_str();
        let remote = self.remote(at).await?;
        remote.ask(&remote.verb("cancel").arg(run).arg(run), b"").await?;
        Ok(Outcome::Done)
    }
}

impl SshHosts {
    /// The payload of a run, where it is small enough to travel with the start.
    fn inline(&self, run: &RunId) -> Result<Option<Arc<Inline>>, ActError> {
        let mut known = self.inner().inline.lock().expect("no holder of this lock panics");
        if let Some(inline) = known.get(run) {
            return Ok(inline.clone());
        }
        let inline = payload::inline(&payload::path(&self.inner().cache, run))
            .map_err(|error| ActError::definite(format!("the run's files cannot be read: {error}")))?
            .map(Arc::new);
        known.insert(run.clone(), inline.clone());
        Ok(inline)
    }

    /// Sends a payload by itself.
    async fn send(&self, at: &Target, action: &StageRun) -> Result<Outcome, ActError> {
        let path = payload::path(&self.inner().cache, &action.run);
        let remote = self.remote(at).await?;
        let compression = remote.place.compression();
        let progress = Progress::new(&self.inner().feed, &action.host);
        let (input, sent) = read_file(path, compression, progress);
        let command = remote.verb("stage").arg(action.run.as_str()).arg(action.run.as_str()).arg(compression.word());
        limited(action.upload_timeout_s, SENDING, remote.pour(&command, input)).await?;
        Ok(Outcome::Sent { bytes: sent.bytes(), pieces: 0 })
    }

    /// Has the script started, after sending it where it is not there yet.
    async fn set_going(&self, at: &Target, run: &RunId, payload: Option<&Inline>) -> Result<Outcome, ActError> {
        let pool = &self.inner().pool;
        let mut attendance = match pool.take_attendance(&at.host).await {
            Some(attendance) if attendance.is_of(run) => attendance,
            other => {
                if let Some(other) = other {
                    other.leave().await;
                }
                let (_, attendance) = Box::pin(self.attend(at, run)).await.map_err(crate::hosts::Unreached::act)?;
                attendance.ok_or_else(|| ActError::transient("its host.sh is gone"))?
            }
        };
        attendance.launch(payload).await?;
        let token = run.as_str().parse().map_err(|error| ActError::definite(format!("{error}")))?;
        pool.keep_told(&at.host, run, attendance.look_with(RunSeen::Running { token })).await;
        pool.keep_attendance(&at.host, attendance).await;
        Ok(Outcome::Done)
    }
}
