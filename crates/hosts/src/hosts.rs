//! The ports on hosts, over SSH: looking, preparing, and the way to a host's `host.sh` that delivery and runs share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use airlift_core::action::{InstallProgram, MakeHostKey, Outcome, RemoveAirlift, SwitchHostKey};
use airlift_core::fault::chain;
use airlift_core::id::{Digest, HostId, RunId};
use airlift_core::op::HostQuery;
use airlift_core::seen::Login;
use airlift_engine::feed::Feed;
use airlift_engine::permit::Permit;
use airlift_engine::port::{ActError, HostLook, HostSetup, LookError, Target};
use airlift_engine::spool::{Follower, Stream};
use async_trait::async_trait;
use camino::Utf8PathBuf;

use crate::attendance::{self, Attendance, LOOK};
use crate::bundle::Store;
use crate::delivery::Parcel;
use crate::facts::{self, Look};
use crate::payload::Inline;
use crate::pool::{Logins, Place, Pool};
use crate::remote::{self, Remote, Unseen};
use crate::secrets::SecretSet;
use crate::ssh::{Command, Exec, Limits};
use crate::supply::Supply;
use crate::{program, ssh};

/// How long one wait for a host to take its bundles lasts, seconds.
const TAKEN: u32 = 5;

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
    /// Opened when it is first needed.
    pub(crate) store: Mutex<Option<Arc<Store>>>,
    pub(crate) secrets: OnceLock<SecretSet>,
    /// Releases that were sent to a host, ready for the next.
    pub(crate) parcels: Mutex<HashMap<Digest, Arc<Parcel>>>,
    /// Payloads that are small enough to travel with the start of their run.
    pub(crate) inline: Mutex<HashMap<RunId, Option<Arc<Inline>>>>,
}

impl SshHosts {
    /// Ports that log in by `logins` and deliver what is in `cache`.
    pub fn new(logins: Logins, cache: Utf8PathBuf, feed: Feed) -> Self {
        let pool = Pool::new(logins);
        let (store, secrets) = (Mutex::default(), OnceLock::new());
        let (parcels, inline) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { pool, feed, cache, store, secrets, parcels, inline }) }
    }

    /// Hands over the secrets that are to be placed; what was handed over first stays.
    pub fn entrust(&self, secrets: SecretSet) -> &SecretSet {
        self.inner.secrets.get_or_init(|| secrets)
    }

    /// A session with a host, for a person.
    pub async fn session(&self, at: &Target) -> Result<ssh::Session, ssh::ConnectError> {
        self.inner.pool.session(at).await
    }

    /// Whether sessions stay when nothing is left to do on their hosts, for another change of the same process.
    pub fn keep_sessions(&self, keeps: bool) {
        self.inner.pool.keep_sessions(keeps);
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The way to a host for an action: a session, and where airlift is on it.
    pub(crate) async fn remote(&self, at: &Target) -> Result<Remote, ActError> {
        let pool = &self.inner.pool;
        self.free_channels(&at.host).await;
        let session = pool.session(at).await.map_err(|e| remote::no_session(&e))?;
        let place = match pool.place(&at.host).await {
            Some(place) => place,
            None => self.probe(&session, &at.host, &HostQuery::default()).await.map_err(Unseen::act)?.1,
        };
        Ok(Remote { session, place })
    }

    /// Lets go of what waits on a host: it may allow one channel at a time.
    async fn free_channels(&self, host: &HostId) {
        if let Some(attendance) = self.inner.pool.take_attendance(host).await {
            attendance.leave().await;
        }
        if let Some(supply) = self.inner.pool.take_supply(host).await {
            supply.leave().await;
        }
    }

    /// Asks a host about itself, as root where that is allowed and possible.
    async fn probe(&self, session: &ssh::Session, host: &HostId, query: &HostQuery) -> Result<(Look, Place), Unseen> {
        let sudo = self.inner.pool.place(host).await.is_some_and(|place| place.sudo);
        let mut look = ask(session, query, sudo).await?;
        let must_rise = self.must_rise(&look, sudo);
        if must_rise {
            look = ask(session, query, true).await?;
        }
        Ok((look.clone(), self.settle_in(host, &look, sudo || must_rise).await))
    }

    /// Has a host wait for what is to come of a run, and asks it about itself; a host without `host.sh` does not wait.
    pub(crate) async fn attend(&self, at: &Target, run: &RunId) -> Result<(Look, Option<Attendance>), Unreached> {
        let pool = &self.inner.pool;
        // Whoever has just brought a release has a channel for it.
        if let Some(supply) = pool.take_supply(&at.host).await
            && let Ok(Ok((look, attendance))) = tokio::time::timeout(LOOK, supply.attend(run)).await
        {
            return Ok((look, Some(attendance)));
        }
        let command = probe_command("attend", program::digest()).arg(run.as_str());
        let (look, exec) = self.open_channel(at, &command).await?;
        let attendance = exec.map(|exec| Attendance::new(exec, run, &look));
        Ok((look, attendance))
    }

    /// Runs a command by which a host tells of itself and waits, as root where that is allowed and possible; a host without
    /// `host.sh` does not wait.
    async fn open_channel(&self, at: &Target, command: &Command) -> Result<(Look, Option<Exec>), Unreached> {
        let pool = &self.inner.pool;
        self.free_channels(&at.host).await;
        let session = pool.session(at).await?;
        let mut sudo = pool.place(&at.host).await.is_some_and(|place| place.sudo);
        let (mut look, mut exec) = attendance::open(&session, &as_root(sudo, command.clone())).await?;
        if self.must_rise(&look, sudo) {
            sudo = true;
            if let Some(exec) = exec {
                attendance::leave(exec).await;
            }
            (look, exec) = attendance::open(&session, &as_root(sudo, command.clone())).await?;
        }
        self.settle_in(&at.host, &look, sudo).await;
        Ok((look, exec))
    }

    /// The channel on which a host waits to be supplied.
    pub(crate) async fn supply(&self, at: &Target) -> Result<Supply, ActError> {
        if let Some(supply) = self.inner.pool.take_supply(&at.host).await {
            return Ok(supply);
        }
        let (_, supply) = self.open_supply(at, &HostQuery::default()).await.map_err(Unreached::act)?;
        supply.ok_or_else(|| ActError::transient("its host.sh is gone"))
    }

    /// Has a host wait to be supplied, and asks it about itself; a host without `host.sh` does not wait.
    async fn open_supply(&self, at: &Target, query: &HostQuery) -> Result<(Look, Option<Supply>), Unreached> {
        let (look, exec) = self.open_channel(at, &question("supply", query)).await?;
        let supply = exec.map(|exec| Supply::new(exec, query, &look));
        Ok((look, supply))
    }

    /// What a host tells, where it is to wait to be supplied. What it told unasked will do, and what it told a moment ago who
    /// looked ahead.
    async fn look_and_supply(&self, at: &Target, query: &HostQuery) -> Result<Look, Unreached> {
        let pool = &self.inner.pool;
        if let Some(look) = pool.take_supplied(&at.host, query).await {
            return Ok(look);
        }
        let ahead = HostQuery { ahead: true, ..query.clone() };
        if let Some(supply) = pool.take_supply(&at.host).await {
            if let Some(look) = supply.told(&ahead).cloned() {
                pool.keep_supply(&at.host, supply.now_for(query)).await;
                return Ok(look);
            }
            supply.leave().await;
        }
        let (look, supply) = self.open_supply(at, query).await?;
        if let Some(supply) = supply {
            pool.keep_supply(&at.host, supply).await;
        }
        Ok(look)
    }

    /// The session is not root's, and is to become so.
    fn must_rise(&self, look: &Look, sudo: bool) -> bool {
        !sudo && self.inner.pool.sudo_allowed() && look.sudo == Some(true)
    }

    /// Keeps in mind where airlift is on a host.
    async fn settle_in(&self, host: &HostId, look: &Look, sudo: bool) -> Place {
        let place = Place {
            root: look.facts.root.clone().into(),
            sudo,
            zstd: look.facts.tools.contains("zstd"),
            gzip: look.facts.tools.contains("gzip"),
        };
        self.inner.pool.set_place(host, place.clone()).await;
        place
    }

    /// What a host tells, where it is to wait for a run, or has told already.
    async fn look_and_attend(&self, at: &Target, run: &RunId) -> Result<Look, Unreached> {
        let pool = &self.inner.pool;
        if let Some(look) = pool.take_told(&at.host, run).await {
            return Ok(look);
        }
        let (look, attendance) = Box::pin(self.attend(at, run)).await?;
        if let Some(attendance) = attendance {
            pool.keep_attendance(&at.host, attendance).await;
        }
        Ok(look)
    }
}

/// Why a host told nothing.
pub(crate) enum Unreached {
    /// There is no session.
    Session(ssh::ConnectError),
    /// There is one, and no answer.
    Answer(Unseen),
}

impl From<ssh::ConnectError> for Unreached {
    fn from(error: ssh::ConnectError) -> Self {
        Self::Session(error)
    }
}

impl From<Unseen> for Unreached {
    fn from(unseen: Unseen) -> Self {
        Self::Answer(unseen)
    }
}

impl Unreached {
    fn login(self) -> Login {
        match self {
            Self::Session(error) if error.is_transient() => Login::Unreachable(chain(&error)),
            Self::Session(error) => Login::Refused(chain(&error)),
            Self::Answer(Unseen::Lost(why)) => Login::Unreachable(why),
            Self::Answer(Unseen::Odd(why)) => Login::Refused(why),
        }
    }

    pub(crate) fn act(self) -> ActError {
        match self {
            Self::Session(error) => remote::no_session(&error),
            Self::Answer(unseen) => unseen.act(),
        }
    }
}

/// The command that finds `host.sh` and has it answer.
fn probe_command(verb: &str, wanted: Digest) -> Command {
    let script = [remote::SAY_MARK, program::PROBE_SH].concat();
    Command::new("sh").arg("-c").arg(script).arg("probe").arg(wanted.to_string()).arg(verb)
}

/// The command by which a host tells of itself what is asked.
fn question(verb: &str, query: &HostQuery) -> Command {
    let mut command = probe_command(verb, query.program.unwrap_or_else(program::digest));
    for run in &query.runs {
        command = command.arg("run").arg(run.as_str());
    }
    for service in &query.services {
        command = command.arg("service").arg(service.as_str());
    }
    command
}

fn as_root(sudo: bool, command: Command) -> Command {
    if sudo { command.sudo() } else { command }
}

async fn ask(session: &ssh::Session, query: &HostQuery, sudo: bool) -> Result<Look, Unseen> {
    let command = question("look", query);
    let limits = Limits { time: Some(LOOK), ..Limits::default() };
    let output = session.run(&as_root(sudo, command), b"", limits).await.map_err(|error| Unseen::lost(&error))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    let look = remote::after_mark(&answer).ok_or_else(|| facts::FactsError::noise(&answer)).and_then(facts::read);
    look.map_err(|error| Unseen::unread(error, &answer, &output.stderr))
}

#[async_trait]
impl HostLook for SshHosts {
    async fn look(&self, at: &Target, query: &HostQuery) -> Login {
        let look = match &query.attends {
            Some(run) => self.look_and_attend(at, run).await,
            None if query.supplies => self.look_and_supply(at, query).await,
            None => match self.inner.pool.session(at).await {
                Ok(session) => {
                    self.probe(&session, &at.host, query).await.map(|(look, _)| look).map_err(Unreached::from)
                }
                Err(error) => Err(error.into()),
            },
        };
        look.map_or_else(Unreached::login, |look| Login::In(Box::new(look.facts)))
    }

    fn let_go(&self, host: &HostId) {
        self.inner.pool.let_go(host);
    }

    async fn taken(&self, at: &Target) -> Result<(), LookError> {
        let remote = self.remote(at).await.map_err(|error| remote::unseen(&error))?;
        let command = remote.bounded_verb(TAKEN, "await").arg("take");
        remote.ask(&command, b"").await.map_err(|error| remote::unseen(&error))?;
        Ok(())
    }

    async fn follow(&self, at: &Target, run: &RunId, into: &mut Follower) -> Result<(), LookError> {
        let pool = &self.inner.pool;
        let is_new = into.offset(Stream::Stdout) == 0 && into.offset(Stream::Stderr) == 0;
        let attendance = match pool.take_attendance(&at.host).await {
            Some(attendance) if attendance.is_of(run) && attendance.gives_what_follows(is_new) => attendance,
            other => {
                if let Some(other) = other {
                    other.leave().await;
                }
                let (_, attendance) =
                    Box::pin(self.attend(at, run)).await.map_err(|error| remote::unseen(&error.act()))?;
                attendance.ok_or_else(|| LookError("its host.sh is gone".to_owned()))?
            }
        };
        if let Some(look) = attendance.follow(into).await? {
            pool.keep_told(&at.host, run, look).await;
        }
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
        let install = Command::new("sh").arg("-c").arg(program::INSTALL_SH).arg("install");
        let install = install.arg(action.program.to_string()).arg(action.fleet.as_str()).arg(action.host.as_str());
        remote.ask(&remote.privileged(install), program::HOST_SH.as_bytes()).await?;
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
