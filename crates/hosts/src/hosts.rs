//! The ports on hosts, over SSH: looking, preparing, and the way to a host's `host.sh` that delivery and runs share.

use std::sync::{Arc, OnceLock};

use airlift_core::action::{InstallProgram, MakeHostKey, Outcome, RemoveAirlift, SwitchHostKey};
use airlift_core::fault::chain;
use airlift_core::history::FailureClass;
use airlift_core::id::{HostId, RunId};
use airlift_core::op::HostQuery;
use airlift_core::seen::Login;
use airlift_engine::feed::Feed;
use airlift_engine::permit::Permit;
use airlift_engine::port::{ActError, HostLook, HostSetup, LookError, Target};
use airlift_engine::spool::{Follower, Stream};
use async_trait::async_trait;
use camino::Utf8PathBuf;

use crate::facts::{self, Look};
use crate::pool::{Logins, Place, Pool};
use crate::remote::{self, AfterMark, Remote};
use crate::secrets::SecretSet;
use crate::ssh::{Command, Limits, RunError};
use crate::{program, ssh};

/// How long one wait for a host to take its bundles lasts, seconds.
const TAKEN: u32 = 5;

/// How long a look may take once a session is open.
const LOOK: std::time::Duration = std::time::Duration::from_secs(20);

/// The ports on hosts, over SSH.
#[derive(Clone)]
pub struct SshHosts {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) pool: Pool,
    pub(crate) feed: Feed,
    /// Where bundles and payloads of unfinished changes are kept.
    pub(crate) cache: Utf8PathBuf,
    pub(crate) secrets: OnceLock<SecretSet>,
}

impl SshHosts {
    /// Ports that log in by `logins` and deliver what is in `cache`.
    pub fn new(logins: Logins, cache: Utf8PathBuf, feed: Feed) -> Self {
        Self { inner: Arc::new(Inner { pool: Pool::new(logins), feed, cache, secrets: OnceLock::new() }) }
    }

    /// Hands over the secrets that are to be placed; what was handed over first stays.
    pub fn entrust(&self, secrets: SecretSet) -> &SecretSet {
        self.inner.secrets.get_or_init(|| secrets)
    }

    /// A session with a host, for a person.
    pub async fn session(&self, at: &Target) -> Result<ssh::Session, ssh::ConnectError> {
        self.inner.pool.session(at).await
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The way to a host for an action: a session, and where airlift is on it.
    pub(crate) async fn remote(&self, at: &Target) -> Result<Remote, ActError> {
        let session = self.inner.pool.session(at).await.map_err(|e| remote::no_session(&e))?;
        let place = match self.inner.pool.place(&at.host).await {
            Some(place) => place,
            None => self.probe(&session, &at.host, &HostQuery::default()).await.map_err(Unseen::act)?.1,
        };
        Ok(Remote { session, place })
    }

    /// Asks a host about itself, as root where that is allowed and possible.
    async fn probe(&self, session: &ssh::Session, host: &HostId, query: &HostQuery) -> Result<(Look, Place), Unseen> {
        let known = self.inner.pool.place(host).await;
        let mut sudo = known.as_ref().is_some_and(|place| place.sudo);
        let mut look = ask(session, query, sudo).await?;
        if !sudo && self.inner.pool.sudo_allowed() && look.sudo == Some(true) {
            sudo = true;
            look = ask(session, query, sudo).await?;
        }
        let place = Place {
            root: look.facts.root.clone().into(),
            sudo,
            zstd: look.facts.tools.contains("zstd"),
            gzip: look.facts.tools.contains("gzip"),
        };
        self.inner.pool.set_place(host, place.clone()).await;
        Ok((look, place))
    }
}

/// Why a look told nothing.
enum Unseen {
    /// The connection or the answer was cut off; it may go better in a moment.
    Lost(String),
    /// What answered will answer the same again.
    Odd(String),
}

impl Unseen {
    fn act(self) -> ActError {
        match self {
            Self::Lost(message) => ActError { class: FailureClass::Transient, message },
            Self::Odd(message) => ActError::definite(message),
        }
    }
}

async fn ask(session: &ssh::Session, query: &HostQuery, sudo: bool) -> Result<Look, Unseen> {
    let wanted = query.program.unwrap_or_else(program::digest);
    let mut command = Command::new("sh").arg("-s").arg("--").arg(wanted.to_string());
    for run in &query.runs {
        command = command.arg("run").arg(run.as_str());
    }
    for service in &query.services {
        command = command.arg("service").arg(service.as_str());
    }
    if sudo {
        command = command.sudo();
    }
    let limits = Limits { time: Some(LOOK), ..Limits::default() };
    let output = session
        .run(&command, [remote::SAY_MARK, program::PROBE_SH].concat().as_bytes(), limits)
        .await
        .map_err(|error: RunError| Unseen::Lost(chain(&error)))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    let look = remote::after_mark(&answer).ok_or_else(|| facts::FactsError::noise(&answer)).and_then(facts::read);
    look.map_err(|error| match error {
        facts::FactsError::CutOff => Unseen::Lost(error.to_string()),
        facts::FactsError::Noise(_) if answer.is_empty() => {
            let said = String::from_utf8_lossy(&output.stderr);
            Unseen::Odd(format!("it cannot run `sh`: {}", said.lines().next().unwrap_or("it said nothing")))
        }
        other => Unseen::Odd(other.to_string()),
    })
}

#[async_trait]
impl HostLook for SshHosts {
    async fn look(&self, at: &Target, query: &HostQuery) -> Login {
        let session = match self.inner.pool.session(at).await {
            Ok(session) => session,
            Err(error) if error.is_transient() => return Login::Unreachable(chain(&error)),
            Err(error) => return Login::Refused(chain(&error)),
        };
        match self.probe(&session, &at.host, query).await {
            Ok((look, _)) => Login::In(Box::new(look.facts)),
            Err(Unseen::Lost(why)) => Login::Unreachable(why),
            Err(Unseen::Odd(why)) => Login::Refused(why),
        }
    }

    async fn taken(&self, at: &Target) -> Result<(), LookError> {
        let remote = self.remote(at).await.map_err(|error| remote::unseen(&error))?;
        let command = remote.bounded_verb(TAKEN, "await").arg("take");
        remote.ask(&command, b"").await.map_err(|error| remote::unseen(&error))?;
        Ok(())
    }

    async fn follow(&self, at: &Target, run: &RunId, into: &mut Follower) -> Result<(), LookError> {
        let remote = self.remote(at).await.map_err(|error| remote::unseen(&error))?;
        let command = remote
            .marked_verb("follow")
            .arg(run.as_str())
            .arg(into.offset(Stream::Stdout).to_string())
            .arg(into.offset(Stream::Stderr).to_string());
        let exec = remote.session.exec(&command).await.map_err(|error| remote::unseen(&error))?;
        // Held open: the host stops following when it closes.
        let _stdin = exec.stdin;
        let (mut stdout, mut stderr) = (exec.stdout, exec.stderr);
        let (mut out_mark, mut err_mark) = (AfterMark::default(), AfterMark::default());
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            let (stream, chunk) = tokio::select! {
                chunk = stdout.chunk(), if out_open => (Stream::Stdout, chunk),
                chunk = stderr.chunk(), if err_open => (Stream::Stderr, chunk),
            };
            match chunk.map_err(|error| remote::unseen(&error))? {
                Some(bytes) => {
                    let mark = if stream == Stream::Stdout { &mut out_mark } else { &mut err_mark };
                    into.write(stream, &mark.pass(&bytes))
                        .map_err(|error| LookError(format!("cannot write the spool: {error}")))?;
                }
                None if stream == Stream::Stdout => out_open = false,
                None => err_open = false,
            }
        }
        exec.exit.wait().await.map_err(|error| remote::unseen(&error))?;
        Ok(())
    }
}

#[async_trait]
impl HostSetup for SshHosts {
    async fn install(&self, at: &Target, permit: Permit<InstallProgram>) -> Result<Outcome, ActError> {
        let action = permit.action();
        if action.program != program::digest() {
            return Err(ActError::definite(format!(
                "this change began with another airlift, whose host.sh was {}; finish it with that one, or begin anew",
                action.program.short()
            )));
        }
        let remote = self.remote(at).await?;
        let install =
            Command::new("sh").arg("-c").arg(program::INSTALL_SH).arg("install").arg(action.program.to_string());
        remote.ask(&remote.privileged(install), program::HOST_SH.as_bytes()).await?;
        let identify = remote.verb("identify").arg(action.fleet.as_str()).arg(action.host.as_str());
        remote.ask(&identify, b"").await?;
        remote.ask(&remote.verb("watch"), b"").await?;
        Ok(Outcome::Done)
    }

    async fn make_key(&self, at: &Target, _permit: Permit<MakeHostKey>) -> Result<Outcome, ActError> {
        let remote = self.remote(at).await?;
        let answer = remote.ask_marked(&remote.marked_verb("hostkey").arg("new"), b"").await?;
        answer
            .lines()
            .find_map(|line| line.strip_prefix("hostkey "))
            .and_then(|line| line.parse::<ssh::PublicKey>().ok())
            .map(|key| Outcome::KeyMade { public: key.to_string() })
            .ok_or_else(|| ActError::transient(format!("it did not answer with a public key: {answer:?}")))
    }

    async fn switch_key(&self, at: &Target, permit: Permit<SwitchHostKey>) -> Result<Outcome, ActError> {
        let remote = self.remote(at).await?;
        let command = remote.verb("hostkey").arg("switch").arg(permit.action().public.as_str());
        remote.ask(&command, b"").await?;
        Ok(Outcome::Done)
    }

    async fn remove(&self, at: &Target, permit: Permit<RemoveAirlift>) -> Result<Outcome, ActError> {
        let remote = self.remote(at).await?;
        remote.ask(&remote.verb("uninstall").arg(permit.action().fleet.as_str()), b"").await?;
        Ok(Outcome::Done)
    }
}
