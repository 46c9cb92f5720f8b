//! One host's part of a change: it is looked at, decided for and acted upon by itself, so that the slowest never holds
//! the others.

use std::collections::BTreeMap;
use std::time::Duration;

use airlift_core::action::{Action, Outcome};
use airlift_core::change::HostPast;
use airlift_core::decide::{Next, On, Verdict, Wait};
use airlift_core::event::{Event, Phase, Subject};
use airlift_core::history::{ActState, History};
use airlift_core::id::{Digest, HostId, RunId};
use airlift_core::op::HostQuery;
use airlift_core::seen::{HostSeen, InstanceState, Login, RunEnd, RunSeen};
use tokio::task::JoinSet;

use super::{Driver, Engine, Halt};
use crate::feed::Signal;
use crate::port::{Target, Trust};
use crate::spool::Follower;

/// How often output that does not have the host's hash is fetched anew before that is reported.
const REFETCHES: u32 = 2;

/// The hosts that are going, each in a task of its own.
pub(super) struct Crew {
    driver: Driver,
    pasts: BTreeMap<HostId, HostPast>,
    verdicts: BTreeMap<HostId, Verdict>,
    going: JoinSet<Result<(HostId, Verdict), Halt>>,
    started: std::collections::BTreeSet<HostId>,
}

impl Crew {
    pub(super) fn new(driver: &Driver, pasts: BTreeMap<HostId, HostPast>) -> Self {
        let verdicts = pasts.iter().filter_map(|(host, past)| Some((host.clone(), past.verdict.clone()?))).collect();
        Self {
            driver: driver.clone(),
            pasts,
            verdicts,
            going: JoinSet::new(),
            started: std::collections::BTreeSet::new(),
        }
    }

    /// Sets a host going, unless it is going or settled already.
    pub(super) fn set_going(&mut self, host: &HostId) {
        if self.verdicts.contains_key(host) || !self.started.insert(host.clone()) {
            return;
        }
        let mut past = self.pasts.remove(host).unwrap_or_default();
        past.history.cancelled = self.driver.cancelled;
        let task = HostTask {
            driver: self.driver.clone(),
            query: self.driver.operation.query(host),
            host: host.clone(),
            history: past.history,
            phase: past.phase.map(|phase| (phase, past.current)),
            followers: BTreeMap::new(),
            refetches: 0,
        };
        self.going.spawn(task.drive());
    }

    /// Settles a host that cannot be set going.
    pub(super) fn give_up(&mut self, host: &HostId, verdict: Verdict) {
        self.verdicts.insert(host.clone(), verdict);
    }

    /// Waits until every host is settled. The first halt stops the others at their next step.
    pub(super) async fn finish(mut self) -> Result<BTreeMap<HostId, Verdict>, Halt> {
        let mut halted = None;
        while let Some(ended) = self.going.join_next().await {
            match ended.map_err(|error| Halt::Task(error.to_string())).and_then(|result| result) {
                Ok((host, verdict)) => {
                    self.verdicts.insert(host, verdict);
                }
                Err(halt) => {
                    self.driver.stop.cancel();
                    // The cause counts, not the stops that it brought about.
                    if halted.is_none() || matches!(halted, Some(Halt::Stopped)) {
                        halted = Some(halt);
                    }
                }
            }
        }
        halted.map_or(Ok(self.verdicts), Err)
    }
}

/// Logs in to a host and asks, as far as there is something to log in to.
pub(super) async fn login(engine: &Engine, host: &HostId, seen: &HostSeen, query: &HostQuery) -> Login {
    match target(engine, host, seen) {
        Ok(Some(target)) if !query.instance_only => engine.ports.look.look(&target, query).await,
        Ok(_) => Login::NotTried,
        Err(refusal) => Login::Refused(refusal),
    }
}

/// Where and how to reach a host; none as long as it has no address.
pub(super) fn target(engine: &Engine, host: &HostId, seen: &HostSeen) -> Result<Option<Target>, String> {
    let Some(instance) = &seen.instance else { return Ok(None) };
    let Some(address) = instance.address.clone().filter(|_| instance.state == InstanceState::Running) else {
        return Ok(None);
    };
    let trust = if !engine.ports.compute.launches() {
        Trust::KnownHosts
    } else if seen.pins.keys().next().is_some() {
        Trust::Pinned(seen.pins.clone())
    } else {
        return Err(format!(
            "no host key is pinned for {host} on this machine; take the fleet over with `airlift adopt`, use the machine that launched it, or end it with `airlift down`"
        ));
    };
    Ok(Some(Target { host: host.clone(), address, trust }))
}

struct HostTask {
    driver: Driver,
    host: HostId,
    query: HostQuery,
    history: History,
    /// The phase and the active release that were recorded last.
    phase: Option<(Phase, Option<Digest>)>,
    followers: BTreeMap<RunId, Follower>,
    refetches: u32,
}

impl HostTask {
    async fn drive(mut self) -> Result<(HostId, Verdict), Halt> {
        let driver = self.driver.clone();
        let _turn = tokio::select! {
            biased;
            () = driver.stop.cancelled() => return Err(Halt::Stopped),
            turn = driver.turns.acquire() => turn,
        };
        self.history.since = driver.engine.clock.now();
        loop {
            if self.driver.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
            let seen = self.look().await?;
            self.note_phase(&seen).await?;
            let now = self.driver.engine.clock.now();
            let next = self.driver.operation.host_next(&self.host, &seen, &self.history, now);
            self.close_found(&next, &seen).await?;
            match next {
                Next::Do(actions) => self.act(actions, &seen).await?,
                Next::Wait(wait) => self.wait(wait, &seen).await?,
                Next::Done(verdict) => {
                    if let Some(verdict) = self.settle(verdict, &seen).await? {
                        self.driver.engine.ports.look.let_go(&self.host);
                        return Ok((self.host, verdict));
                    }
                }
            }
        }
    }

    async fn act(&mut self, actions: Vec<Action>, seen: &HostSeen) -> Result<(), Halt> {
        let driver = self.driver.clone();
        let at = target(&driver.engine, &self.host, seen).ok().flatten();
        let intended = driver.intend_all(&self.host, actions, &mut self.history).await?;
        if let [one, two] = &intended[..] {
            let both = {
                let _turn = driver.gate.acquire().await;
                driver.carry_out_both(one, two, at.as_ref()).await
            };
            if let Some(results) = both {
                return driver.conclude_both([one, two], results, &mut self.history).await;
            }
        }
        for intended in &intended {
            let result = {
                let _turn = driver.gate.acquire().await;
                driver.carry_out(intended, at.as_ref()).await
            };
            driver.conclude(intended, result, &mut self.history).await?;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<HostSeen, Halt> {
        let engine = &self.driver.engine;
        let _turn = self.driver.gate.acquire().await;
        let mut seen = HostSeen {
            instance: engine.ports.compute.find(&self.host).await?,
            lags: engine.clock.now().since(self.history.since) < engine.ports.compute.lag(),
            pins: self.driver.pins_of(&self.host),
            ..HostSeen::default()
        };
        seen.login = login(engine, &self.host, &seen, &self.query).await;
        for run in &self.query.runs {
            if let Some(follower) = self.followers.get(run) {
                seen.spooled.insert(run.clone(), follower.spooled());
            } else if started(&seen, run) {
                let follower = self.open_follower(run)?;
                seen.spooled.insert(run.clone(), follower.spooled());
                self.followers.insert(run.clone(), follower);
            }
        }
        Ok(seen)
    }

    async fn note_phase(&mut self, seen: &HostSeen) -> Result<(), Halt> {
        let Some(phase) = self.driver.operation.phase(&self.host, seen) else { return Ok(()) };
        let now = (phase, seen.facts().and_then(|facts| facts.current));
        if self.phase == Some(now) {
            return Ok(());
        }
        self.phase = Some(now);
        let (phase, current) = now;
        self.record(vec![Event::Phase { phase, current }]).await
    }

    /// Records as found what was intended, had no outcome, and by what is seen now needs not be done any more.
    async fn close_found(&mut self, next: &Next<Verdict>, seen: &HostSeen) -> Result<(), Halt> {
        if seen.facts().is_none() {
            return Ok(());
        }
        let wanted = match next {
            Next::Do(actions) => actions.iter().map(Action::kind).collect(),
            Next::Wait(Wait { on: On::Time, .. }) => return Ok(()),
            Next::Wait(_) | Next::Done(_) => Vec::new(),
        };
        let found: Vec<Event> = self
            .history
            .acts
            .iter()
            .filter(|act| matches!(act.state, ActState::Unknown { .. }))
            .filter(|act| !wanted.contains(&act.action.kind()))
            .map(|act| Event::Succeeded { intent: act.intent, outcome: Outcome::Found })
            .collect();
        if found.is_empty() { Ok(()) } else { self.record(found).await }
    }

    async fn wait(&mut self, wait: Wait, seen: &HostSeen) -> Result<(), Halt> {
        let engine = self.driver.engine.clone();
        engine.feed.signal(Signal::Waiting { host: self.host.clone(), reason: wait.reason });
        let pause = wait.until.since(engine.clock.now());
        let at = target(&engine, &self.host, seen).ok().flatten();
        let stop = self.driver.stop.clone();
        match (wait.on, at) {
            (On::Taken, Some(at)) => {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    done = engine.ports.look.taken(&at) => if done.is_err() { breathe(&engine).await },
                    () = engine.clock.sleep(pause) => {}
                }
            }
            (On::Run(run), Some(at)) => {
                let mut follower = match self.followers.remove(&run) {
                    Some(follower) => follower,
                    None => self.open_follower(&run)?,
                };
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    done = engine.ports.look.follow(&at, &run, &mut follower) => if done.is_err() { breathe(&engine).await },
                    () = engine.clock.sleep(pause) => {}
                }
                if let Some(fault) = follower.fault() {
                    let source = std::io::Error::new(fault.kind(), fault.to_string());
                    return Err(Halt::Spool { host: self.host.clone(), source });
                }
                self.followers.insert(run, follower);
            }
            _ => {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = engine.clock.sleep(pause) => {}
                }
            }
        }
        Ok(())
    }

    /// Records how the host came out. Output that does not have the host's hash is fetched anew first.
    async fn settle(&mut self, verdict: Verdict, seen: &HostSeen) -> Result<Option<Verdict>, Halt> {
        let output = self.query.runs.iter().find_map(|run| ended(seen, run).map(|end| (run.clone(), end)));
        if let Some((run, end)) = &output
            && let Some(spooled) = seen.spooled.get(run)
            && (spooled.stdout != end.stdout || spooled.stderr != end.stderr)
            && self.refetches < REFETCHES
        {
            self.refetches += 1;
            self.followers.remove(run);
            self.driver
                .engine
                .spool
                .discard(run, &self.host)
                .map_err(|source| Halt::Spool { host: self.host.clone(), source })?;
            return Ok(None);
        }
        let event = Event::Settled { verdict: verdict.clone(), output: output.map(|(_, end)| end) };
        self.record(vec![event]).await?;
        Ok(Some(verdict))
    }

    async fn record(&mut self, events: Vec<Event>) -> Result<(), Halt> {
        let records = self.driver.record(Subject::Host(self.host.clone()), events).await?;
        let now = self.driver.engine.clock.now();
        for record in &records {
            self.history.apply(record, now);
        }
        Ok(())
    }

    fn open_follower(&self, run: &RunId) -> Result<Follower, Halt> {
        let engine = &self.driver.engine;
        engine
            .spool
            .follower(run, &self.host, &engine.feed)
            .map_err(|source| Halt::Spool { host: self.host.clone(), source })
    }
}

/// A connection was lost while waiting: a moment before the next look, so that a host that fails at once is not spun on.
async fn breathe(engine: &Engine) {
    engine.clock.sleep(Duration::from_millis(200)).await;
}

fn run_seen<'s>(seen: &'s HostSeen, run: &RunId) -> Option<&'s RunSeen> {
    let facts = seen.facts()?;
    facts.runs.get(run)
}

fn started(seen: &HostSeen, run: &RunId) -> bool {
    matches!(run_seen(seen, run), Some(RunSeen::Running { .. } | RunSeen::Exited { .. }))
}

fn ended(seen: &HostSeen, run: &RunId) -> Option<RunEnd> {
    match run_seen(seen, run)? {
        RunSeen::Exited { end, .. } => Some(end.clone()),
        _ => None,
    }
}
