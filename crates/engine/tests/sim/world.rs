//! A working model of machines: a provider, hosts with a bundle inbox and runs, and what goes wrong with them.
//!
//! The model keeps counts that a real world would not forget: how often something was launched, bootstrapped, started.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use airlift_core::action::{
    CancelRun, DeliverBundle, InstallProgram, LaunchInstance, MakeHostKey, Outcome, PlaceSecrets, RemoveAirlift,
    StageRun, StartRun, SwitchHostKey, SwitchRelease, TakeBundle, TerminateInstance,
};
use airlift_core::id::{Digest, HostId, RunId, Token};
use airlift_core::op::HostQuery;
use airlift_core::seen::{
    Address, Exit, HostFacts, Id, InstanceSeen, InstanceState, Login, Output, RunEnd, RunSeen, Watcher,
};
use airlift_engine::permit::Permit;
use airlift_engine::port::{ActError, Compute, Delivery, HostLook, HostSetup, LookError, Ports, Runs, Target, Trust};
use airlift_engine::spool::{Follower, Stream};
use async_trait::async_trait;
use tokio::time::Instant;

use crate::chaos::{Chaos, Fate};

/// How long a machine boots, a bundle is taken, a script runs.
const BOOT: Duration = Duration::from_secs(3);
const TAKE: Duration = Duration::from_secs(1);
const SCRIPT: Duration = Duration::from_secs(2);

/// A look shows at least what there was when another one was made half as long ago.
const LAG: Duration = Duration::from_secs(4);

/// What every script prints.
pub(crate) const PRINTED: &[u8] = b"hello\n";

#[derive(Clone)]
pub(crate) struct World {
    inner: Arc<Mutex<Inside>>,
    pub(crate) chaos: Arc<Chaos>,
    pub(crate) launches: bool,
}

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) machines: BTreeMap<HostId, Machine>,
    /// Every launch that made a machine.
    pub(crate) launched: Vec<(HostId, Token)>,
    /// What look showed before the last changes, for stale reads.
    past: Vec<(Instant, BTreeMap<HostId, InstanceSeen>)>,
}

#[derive(Clone, Default)]
pub(crate) struct Machine {
    pub(crate) token: Option<Token>,
    pub(crate) since: Option<Instant>,
    pub(crate) key: String,
    pub(crate) new_key: Option<String>,
    pub(crate) program: Option<Digest>,
    pub(crate) identity: Option<(airlift_core::id::FleetName, HostId)>,
    pub(crate) secrets: Option<String>,
    pub(crate) waiting: BTreeMap<Digest, Instant>,
    pub(crate) current: Option<Digest>,
    pub(crate) releases: BTreeSet<Digest>,
    pub(crate) bootstraps: BTreeMap<Digest, u32>,
    pub(crate) runs: BTreeMap<RunId, SimRun>,
}

#[derive(Clone, Default)]
pub(crate) struct SimRun {
    pub(crate) starts: u32,
    pub(crate) started: Option<Instant>,
    pub(crate) cancelled: bool,
}

impl SimRun {
    pub(crate) fn goes_on(&self) -> bool {
        !self.cancelled && self.started.is_some_and(|since| since.elapsed() < SCRIPT)
    }
}

impl World {
    pub(crate) fn new(launches: bool, chaos: Arc<Chaos>) -> Self {
        Self { inner: Arc::default(), chaos, launches }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inner.lock().unwrap()
    }

    /// A machine that is there already.
    pub(crate) fn add(&self, host: &HostId) {
        self.lock().machines.insert(host.clone(), Machine { since: Some(Instant::now()), ..Machine::default() });
    }

    pub(crate) fn ports(&self) -> Ports {
        let world = Arc::new(self.clone());
        Ports {
            compute: world.clone(),
            look: world.clone(),
            setup: world.clone(),
            delivery: world.clone(),
            runs: world,
        }
    }

    /// Does `effect` to the machine, or not, or does it and loses the answer: as fate has it.
    async fn act<T>(
        &self,
        at: &Target,
        effect: impl FnOnce(&mut Machine) -> Result<T, ActError>,
    ) -> Result<T, ActError> {
        let fate = self.chaos.fate().await;
        if fate == Fate::FailBefore {
            return Err(ActError::transient("the connection was refused"));
        }
        let result = {
            let mut world = self.lock();
            match world.machines.get_mut(&at.host) {
                Some(machine) if machine.answers(at) => effect(machine),
                _ => return Err(ActError::transient("it does not answer")),
            }
        };
        self.chaos.after(fate).await;
        if fate == Fate::LoseReply { Err(ActError::unknown("the connection was lost")) } else { result }
    }
}

impl Machine {
    fn is_up(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= BOOT)
    }

    fn answers(&self, at: &Target) -> bool {
        self.is_up()
            && match &at.trust {
                Trust::KnownHosts => true,
                Trust::Pinned(pins) => pins.keys().any(|key| key == self.key),
            }
    }

    /// What happens by itself: bundles are taken and bootstrapped, once per release.
    fn live(&mut self) {
        let ripe: Vec<Digest> =
            self.waiting.iter().filter(|(_, since)| since.elapsed() >= TAKE).map(|(release, _)| *release).collect();
        for release in ripe {
            self.waiting.remove(&release);
            self.releases.insert(release);
            self.current = Some(release);
            *self.bootstraps.entry(release).or_default() += u32::from(!self.bootstraps.contains_key(&release));
        }
    }

    fn facts(&mut self, query: &HostQuery) -> HostFacts {
        self.live();
        let runs = query.runs.iter().map(|run| (run.clone(), self.run(run))).collect();
        HostFacts {
            program: self.program.filter(|program| query.program.is_none_or(|wanted| wanted == *program)),
            identity: self.identity.clone(),
            watcher: Watcher::Supervisor,
            waiting: self.waiting.keys().copied().collect(),
            taking: !self.waiting.is_empty(),
            current: self.current,
            releases: self.releases.clone(),
            secrets: self.secrets.clone(),
            bootstrap: self.current.map(|release| exited(&RunId::bootstrap_of(&release), Exit::Code(0), b"")),
            runs,
            ..HostFacts::default()
        }
    }

    fn run(&self, run: &RunId) -> RunSeen {
        let token: Token = run.as_str().parse().unwrap();
        match self.runs.get(run) {
            None => RunSeen::Absent,
            Some(SimRun { cancelled: true, .. }) => exited(run, Exit::Cancelled, PRINTED),
            Some(SimRun { started: None, .. }) => RunSeen::Staged { token },
            Some(SimRun { started: Some(since), .. }) if since.elapsed() < SCRIPT => RunSeen::Running { token },
            Some(_) => exited(run, Exit::Code(0), PRINTED),
        }
    }
}

/// No two launches make what has one name.
fn instance_id(host: &HostId, token: Option<&Token>) -> Id {
    Id::Actual(format!("i-{host}-{}", token.map_or("listed", Token::as_str)))
}

fn exited(run: &RunId, exit: Exit, printed: &[u8]) -> RunSeen {
    let output = |bytes: &[u8]| Output { bytes: bytes.len() as u64, sha256: Digest::of(bytes) };
    RunSeen::Exited {
        token: run.as_str().parse().unwrap(),
        end: RunEnd { exit, stdout: output(printed), stderr: output(b"") },
    }
}

#[async_trait]
impl Compute for World {
    fn launches(&self) -> bool {
        self.launches
    }

    fn lag(&self) -> Duration {
        if self.launches { LAG } else { Duration::ZERO }
    }

    async fn look(&self) -> Result<BTreeMap<HostId, InstanceSeen>, LookError> {
        self.chaos.step().await;
        let now = self.shown();
        let mut world = self.lock();
        world.past.push((Instant::now(), now.clone()));
        // Eventually consistent: a look may show what an earlier one showed.
        let stale = world.past.iter().rev().find(|(when, _)| when.elapsed() >= LAG / 2).map(|(_, seen)| seen.clone());
        Ok(if self.launches && self.chaos.is_stale() { stale.unwrap_or_default() } else { now })
    }

    async fn find(&self, host: &HostId) -> Result<Option<InstanceSeen>, LookError> {
        self.chaos.step().await;
        Ok(self.shown().remove(host))
    }

    fn batch_key(&self, token: &Token) -> Option<String> {
        self.launches.then(|| format!("batch {token}"))
    }

    async fn launch(&self, permit: Permit<LaunchInstance>) -> Result<Outcome, ActError> {
        let fate = self.chaos.fate().await;
        if fate == Fate::FailBefore {
            return Err(ActError::transient("no capacity"));
        }
        let (host, token) = (permit.action().host.clone(), permit.token().clone());
        {
            let mut world = self.lock();
            // A provider that is asked again with the same token answers with what it made.
            let there = world.machines.get(&host).is_some_and(|machine| machine.token.as_ref() == Some(&token));
            if !there {
                assert!(!world.machines.contains_key(&host), "{host} was launched while it existed");
                world.launched.push((host.clone(), token.clone()));
                let machine = Machine {
                    key: format!("batch {token}"),
                    token: Some(token.clone()),
                    since: Some(Instant::now()),
                    ..Machine::default()
                };
                world.machines.insert(host.clone(), machine);
            }
        }
        self.chaos.after(fate).await;
        if fate == Fate::LoseReply {
            return Err(ActError::unknown("the connection was lost"));
        }
        Ok(Outcome::Launched { id: instance_id(&host, Some(&token)) })
    }

    async fn terminate(&self, permit: Permit<TerminateInstance>) -> Result<Outcome, ActError> {
        let fate = self.chaos.fate().await;
        if fate == Fate::FailBefore {
            return Err(ActError::transient("throttled"));
        }
        self.lock().machines.remove(&permit.action().host);
        self.chaos.after(fate).await;
        if fate == Fate::LoseReply { Err(ActError::unknown("the connection was lost")) } else { Ok(Outcome::Done) }
    }
}

impl World {
    fn shown(&self) -> BTreeMap<HostId, InstanceSeen> {
        let world = self.lock();
        world
            .machines
            .iter()
            .map(|(host, machine)| {
                let seen = InstanceSeen {
                    id: instance_id(host, machine.token.as_ref()),
                    state: if machine.is_up() { InstanceState::Running } else { InstanceState::Pending },
                    address: machine.is_up().then(|| Address { host: host.to_string(), port: 22 }),
                    token: machine.token.clone(),
                };
                (host.clone(), seen)
            })
            .collect()
    }
}

#[async_trait]
impl HostLook for World {
    async fn look(&self, at: &Target, query: &HostQuery) -> Login {
        if self.chaos.fate().await != Fate::Fine {
            return Login::Unreachable("the connection was lost".to_owned());
        }
        let mut world = self.lock();
        match world.machines.get_mut(&at.host) {
            Some(machine) if machine.answers(at) => Login::In(Box::new(machine.facts(query))),
            Some(machine) if machine.is_up() => Login::Refused("it shows another host key".to_owned()),
            _ => Login::Unreachable("it does not answer".to_owned()),
        }
    }

    async fn taken(&self, _: &Target) -> Result<(), LookError> {
        self.chaos.step().await;
        tokio::time::sleep(TAKE).await;
        Ok(())
    }

    async fn follow(&self, at: &Target, run: &RunId, into: &mut Follower) -> Result<(), LookError> {
        if self.chaos.fate().await != Fate::Fine {
            return Err(LookError("the connection was lost".to_owned()));
        }
        tokio::time::sleep(SCRIPT).await;
        let printed = {
            let mut world = self.lock();
            let started = world.machines.get_mut(&at.host).and_then(|machine| machine.runs.get(run)).is_some();
            if started && run.as_str().starts_with("r-") { PRINTED } else { b"" }
        };
        let from = usize::try_from(into.offset(Stream::Stdout)).unwrap().min(printed.len());
        into.write(Stream::Stdout, &printed[from..]).unwrap();
        Ok(())
    }
}

#[async_trait]
impl HostSetup for World {
    async fn install(&self, at: &Target, permit: Permit<InstallProgram>) -> Result<Outcome, ActError> {
        let action = permit.action();
        self.act(at, |machine| {
            machine.program = Some(action.program);
            machine.identity = Some((action.fleet.clone(), action.host.clone()));
            Ok(Outcome::Done)
        })
        .await
    }

    async fn make_key(&self, at: &Target, _: Permit<MakeHostKey>) -> Result<Outcome, ActError> {
        self.act(at, |machine| {
            let key = machine.new_key.get_or_insert_with(|| format!("own {}", at.host));
            Ok(Outcome::KeyMade { public: key.clone() })
        })
        .await
    }

    async fn switch_key(&self, at: &Target, permit: Permit<SwitchHostKey>) -> Result<Outcome, ActError> {
        self.act(at, |machine| {
            machine.key.clone_from(&permit.action().public);
            Ok(Outcome::Done)
        })
        .await
    }

    async fn remove(&self, at: &Target, _: Permit<RemoveAirlift>) -> Result<Outcome, ActError> {
        self.act(at, |machine| {
            *machine = Machine { since: machine.since, key: machine.key.clone(), ..Machine::default() };
            Ok(Outcome::Done)
        })
        .await
    }
}

#[async_trait]
impl Delivery for World {
    async fn place_secrets(&self, at: &Target, permit: Permit<PlaceSecrets>) -> Result<Outcome, ActError> {
        self.act(at, |machine| {
            machine.secrets = Some(permit.action().digest.clone());
            Ok(Outcome::Done)
        })
        .await
    }

    async fn deliver(&self, at: &Target, permit: Permit<DeliverBundle>) -> Result<Outcome, ActError> {
        self.act(at, |machine| {
            machine.live();
            machine.waiting.insert(permit.action().release, Instant::now());
            Ok(Outcome::Sent { bytes: 10, pieces: 1 })
        })
        .await
    }

    async fn take(&self, at: &Target, _: Permit<TakeBundle>) -> Result<Outcome, ActError> {
        self.act(at, |_| Ok(Outcome::Done)).await
    }

    async fn switch(&self, at: &Target, permit: Permit<SwitchRelease>) -> Result<Outcome, ActError> {
        self.act(at, |machine| {
            let action = permit.action();
            if machine.current != action.from && machine.current != action.to {
                return Err(ActError::definite("another release is current"));
            }
            machine.current = action.to;
            Ok(Outcome::Done)
        })
        .await
    }
}

#[async_trait]
impl Runs for World {
    async fn stage(&self, at: &Target, permit: Permit<StageRun>) -> Result<Outcome, ActError> {
        self.act(at, |machine| {
            machine.runs.entry(permit.action().run.clone()).or_default();
            Ok(Outcome::Sent { bytes: 1, pieces: 0 })
        })
        .await
    }

    async fn start(&self, at: &Target, permit: Permit<StartRun>) -> Result<Outcome, ActError> {
        self.act(at, |machine| {
            let run = machine.runs.get_mut(&permit.action().run).expect("it was staged");
            if run.started.is_none() && !run.cancelled {
                run.started = Some(Instant::now());
                run.starts += 1;
            }
            Ok(Outcome::Done)
        })
        .await
    }

    async fn cancel(&self, at: &Target, permit: Permit<CancelRun>) -> Result<Outcome, ActError> {
        self.act(at, |machine| {
            machine.runs.entry(permit.action().run.clone()).or_default().cancelled = true;
            Ok(Outcome::Done)
        })
        .await
    }
}
