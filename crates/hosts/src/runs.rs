//! Running scripts: a run's payload is put in place, the script is started once, and it can be cancelled.
//!
//! The run's id is the token that the host knows it by: whatever the network does, a run starts once on a host.

use airlift_core::action::{CancelRun, Outcome, StageRun, StartRun};
use airlift_engine::permit::Permit;
use airlift_engine::port::{ActError, Runs, Target};
use async_trait::async_trait;

use crate::SshHosts;
use crate::delivery::read_file;
use crate::payload;
use crate::pipe::{Progress, limited};

#[async_trait]
impl Runs for SshHosts {
    async fn stage(&self, at: &Target, permit: Permit<StageRun>) -> Result<Outcome, ActError> {
        let action = permit.action();
        let path = payload::path(&self.inner().cache, &action.run);
        let remote = self.remote(at).await?;
        let compression = remote.place.compression();
        let progress = Progress::new(&self.inner().feed, &action.host);
        let (input, sent) = read_file(path, compression, progress);
        let command = remote.verb("stage").arg(action.run.as_str()).arg(action.run.as_str()).arg(compression.word());
        limited(action.upload_timeout_s, "sending the script and its files", remote.pour(&command, input)).await?;
        Ok(Outcome::Sent { bytes: sent.bytes(), pieces: 0 })
    }

    async fn start(&self, at: &Target, permit: Permit<StartRun>) -> Result<Outcome, ActError> {
        let run = permit.action().run.as_str();
        let remote = self.remote(at).await?;
        remote.ask(&remote.verb("start").arg(run).arg(run), b"").await?;
        Ok(Outcome::Done)
    }

    async fn cancel(&self, at: &Target, permit: Permit<CancelRun>) -> Result<Outcome, ActError> {
        let run = permit.action().run.as_str();
        let remote = self.remote(at).await?;
        remote.ask(&remote.verb("cancel").arg(run).arg(run), b"").await?;
        Ok(Outcome::Done)
    }
}
