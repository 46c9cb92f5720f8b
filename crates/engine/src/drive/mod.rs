//! The loop: look, decide, record, act. Everything airlift does is one change driven by it.
//!
//! There are two levels and no barrier between hosts: the fleet's decision launches and ends instances, each host is
//! looked at, decided for and acted upon by itself. A crash needs no special path: whoever drives the change next folds
//! its records, looks again and goes on.

mod act;
mod fleet;
mod host;
mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use airlift_core::change::{Change, HostPast};
use airlift_core::decide::Verdict;
use airlift_core::event::{Actor, ChangeBegan, ChangeEnd, EVENT_VERSION, Entry, Event, Mode, Phase, Record, Subject};
use airlift_core::id::{ChangeId, FleetName, HostId};
use airlift_core::op::Operation;
use airlift_core::plan::{Endless, Envelope, Plan};
use airlift_core::seen::{HostSeen, Id, InstanceSeen, InstanceState, Pins};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::feed::Feed;
use crate::log::{EventLog, HostRow, LogError, Query};
use crate::port::{LookError, Ports, Target};
use crate::spool::Spool;

/// How many looks and acts are under way at once: as many logins as two processors and a default sshd take without losing
/// time (docs/performance.md). Waiting for a host, and following what it prints, is not limited.
const CALLS: usize = 64;

/// What drives changes of one fleet.
#[derive(Clone)]
pub struct Engine {
    /// The fleet.
    pub fleet: FleetName,
    /// The world.
    pub ports: Ports,
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// The spool.
    pub spool: Arc<dyn Spool>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who watches.
    pub feed: Feed,
    /// How many hosts are worked on at once, each from its first look until it is settled; all where there is no limit.
    pub concurrency: Option<usize>,
}

/// Why a change stopped before its end. Each of them can be resumed, but for a plan that was exceeded.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The event log could not be written: nothing more is done, because nothing more could be recorded.
    #[error("the event log cannot be written, so nothing more is done: {0}")]
    Log(#[from] LogError),
    /// The provider did not answer.
    #[error("the provider did not answer: {0}")]
    Look(#[from] LookError),
    /// The world turned out to need more than the plan names.
    #[error("plan exceeded: {0}")]
    PlanExceeded(String),
    /// An operation does not come to an end in its own predictions.
    #[error(transparent)]
    Endless(#[from] Endless),
    /// Output could not be kept.
    #[error("cannot keep the output of {host}: {source}")]
    Spool {
        /// Whose output.
        host: HostId,
        /// Why.
        source: std::io::Error,
    },
    /// The operator stopped it.
    #[error("stopped")]
    Stopped,
    /// A part of the program panicked: a defect.
    #[error("an internal task failed: {0}; please report this")]
    Task(String),
}

/// What a new change begins with.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Its id.
    pub id: ChangeId,
    /// The operation.
    pub operation: Operation,
    /// What it may do.
    pub envelope: Envelope,
    /// Who began it.
    pub actor: Actor,
}

impl Engine {
    /// Where and how to reach a host that was seen so; none as long as it has no address. The error says why it is refused.
    pub fn target(&self, host: &HostId, seen: &HostSeen) -> Result<Option<Target>, String> {
        host::target(self, host, seen)
    }

    /// Records that a dry run showed `plan`: the only thing that a dry run writes.
    pub async fn record_dry_run(&self, begin: Begin, plan: &Plan) -> Result<(), Halt> {
        let id = begin.id.clone();
        let began = self.began(begin, Mode::DryRun, Vec::new());
        let shown = ChangeEnd::Shown { actions: plan.actions.len() as u64 };
        self.record(vec![
            Entry { change: id.clone(), subject: Subject::Fleet, event: Event::ChangeBegan(Box::new(began)) },
            Entry { change: id, subject: Subject::Fleet, event: Event::ChangeEnded { end: shown } },
        ])
        .await?;
        Ok(())
    }

    /// Records the beginning of a change, the end of those unfinished ones whose place it takes, and that the run which it
    /// cancels is cancelled.
    pub async fn begin(&self, mut begin: Begin) -> Result<Change, Halt> {
        if let Operation::Run(run) = &mut begin.operation {
            run.instances = self.instances_of(&run.hosts).await?;
        }
        let superseded = self.superseded_by(&begin.operation).await?;
        let cancelled = self.cancelled_by(&begin.operation).await?;
        let id = begin.id.clone();
        let began = self.began(begin, Mode::Apply, superseded.clone());
        let mut entries: Vec<Entry> = superseded
            .into_iter()
            .map(|old| Entry {
                change: old,
                subject: Subject::Fleet,
                event: Event::ChangeEnded { end: ChangeEnd::Superseded { by: id.clone() } },
            })
            .collect();
        entries.push(Entry {
            change: id.clone(),
            subject: Subject::Fleet,
            event: Event::ChangeBegan(Box::new(began.clone())),
        });
        entries.extend(cancelled.map(|run| Entry {
            change: run,
            subject: Subject::Fleet,
            event: Event::RunCancelled { by: id.clone() },
        }));
        self.record(entries).await?;
        let mut change = Change::new(id, began);
        change.fleet.since = self.clock.now();
        Ok(change)
    }

    /// Reads an unfinished change back and records that it is taken up again.
    pub async fn resume(&self, id: &ChangeId, actor: Actor) -> Result<Option<Change>, Halt> {
        let records = self.log.records(Query::change(id.clone())).await?;
        let Some(change) = Change::read(&records, self.clock.now()) else { return Ok(None) };
        self.record(vec![Entry { change: id.clone(), subject: Subject::Fleet, event: Event::ChangeResumed { actor } }])
            .await?;
        Ok(Some(change))
    }

    /// Drives a change to its end. Ends early, and can be resumed, when `stop` is cancelled or the log cannot be written.
    pub async fn drive(&self, change: Change, stop: CancellationToken) -> Result<ChangeEnd, Halt> {
        if let Some(end) = change.end {
            return Ok(end);
        }
        let driver = Driver {
            engine: self.clone(),
            id: change.id,
            operation: Arc::new(change.began.operation),
            envelope: Arc::new(change.began.envelope),
            pins: Arc::new(Mutex::new(self.pins().await?)),
            turns: Arc::new(Semaphore::new(self.concurrency.map_or(Semaphore::MAX_PERMITS, |hosts| hosts.max(1)))),
            gate: Arc::new(Semaphore::new(CALLS)),
            cancelled: change.cancelled,
            stop: stop.child_token(),
        };
        driver.run(change.fleet, change.hosts).await
    }

    /// Appends to the log and tells the feed.
    pub(crate) async fn record(&self, entries: Vec<Entry>) -> Result<Vec<Record>, LogError> {
        let records = self.log.append(entries).await?;
        self.feed.records(&records);
        Ok(records)
    }

    async fn pins(&self) -> Result<BTreeMap<HostId, Pins>, Halt> {
        let hosts = self.log.hosts().await?;
        Ok(hosts.into_iter().map(|row| (row.host, row.pins)).collect())
    }

    /// The hosts that were launched, or were to be, and were not ended, by the log; none where looks show all there is.
    async fn launched_before(&self) -> Result<BTreeSet<HostId>, Halt> {
        if self.ports.compute.lag().is_zero() {
            return Ok(BTreeSet::new());
        }
        let hosts = self.log.hosts().await?;
        let stand = |row: &HostRow| row.instance.is_some() || row.phase == Some(Phase::Requested);
        Ok(hosts.into_iter().filter(stand).map(|row| row.host).collect())
    }

    /// What the instances of these hosts are called now. Where looks lag behind, the log knows better.
    async fn instances_of(&self, hosts: &BTreeSet<HostId>) -> Result<BTreeMap<HostId, String>, Halt> {
        let compute = &self.ports.compute;
        if !compute.launches() {
            return Ok(BTreeMap::new());
        }
        let shown = compute.look().await?.into_iter().filter_map(|(host, instance)| match instance {
            InstanceSeen { id: Id::Actual(id), state, .. } if state != InstanceState::Stopped => Some((host, id)),
            _ => None,
        });
        let known = self.log.hosts().await?.into_iter().filter_map(|row| Some((row.host, row.instance?)));
        let mut instances: BTreeMap<HostId, String> =
            if compute.lag().is_zero() { known.chain(shown).collect() } else { shown.chain(known).collect() };
        instances.retain(|host, _| hosts.contains(host));
        Ok(instances)
    }

    fn began(&self, begin: Begin, mode: Mode, supersedes: Vec<ChangeId>) -> ChangeBegan {
        ChangeBegan {
            version: EVENT_VERSION,
            fleet: self.fleet.clone(),
            operation: begin.operation,
            envelope: begin.envelope,
            mode,
            actor: begin.actor,
            supersedes,
        }
    }

    /// Unfinished changes that a new one replaces: two changes of the fleet's shape cannot both go on. Pushes to hosts of
    /// their own can: one of them may be under way right now.
    async fn superseded_by(&self, operation: &Operation) -> Result<Vec<ChangeId>, Halt> {
        if !operation.shapes_fleet() {
            return Ok(Vec::new());
        }
        let unfinished = self.log.unfinished().await?;
        Ok(unfinished
            .into_iter()
            .filter(|row| row.began.operation.shapes_fleet() && !row.began.operation.goes_beside(operation))
            .map(|row| row.change)
            .collect())
    }

    /// The change of the run that `operation` cancels, while that has not ended.
    async fn cancelled_by(&self, operation: &Operation) -> Result<Option<ChangeId>, Halt> {
        let Operation::Cancel(cancel) = operation else { return Ok(None) };
        let row = self.log.run(&cancel.run).await?;
        Ok(row.filter(|row| row.ended.is_none()).map(|row| row.change))
    }
}

/// One change under way: what its tasks share.
#[derive(Clone)]
struct Driver {
    engine: Engine,
    id: ChangeId,
    operation: Arc<Operation>,
    envelope: Arc<Envelope>,
    pins: Arc<Mutex<BTreeMap<HostId, Pins>>>,
    /// Of hosts: who has one is worked on until it is settled.
    turns: Arc<Semaphore>,
    /// Of calls.
    gate: Arc<Semaphore>,
    cancelled: bool,
    stop: CancellationToken,
}

impl Driver {
    async fn run(
        self,
        fleet: airlift_core::history::History,
        hosts: BTreeMap<HostId, HostPast>,
    ) -> Result<ChangeEnd, Halt> {
        let mut crew = host::Crew::new(&self, hosts);
        let end = match self.drive_fleet(fleet, &mut crew).await {
            Ok(()) => crew.finish().await,
            Err(halt) => {
                // The others come to rest before the change does: what they have begun gets its outcome recorded.
                self.stop.cancel();
                let _ = crew.finish().await;
                Err(halt)
            }
        };
        match end {
            Ok(verdicts) => self.end(ChangeEnd::Finished { hosts: tally(verdicts.values()) }).await,
            Err(Halt::PlanExceeded(difference)) => {
                let message = format!("plan exceeded: {difference}; make a new plan with `airlift plan`");
                self.end(ChangeEnd::Aborted { message }).await
            }
            Err(halt) => Err(halt),
        }
    }

    async fn end(&self, end: ChangeEnd) -> Result<ChangeEnd, Halt> {
        self.record(Subject::Fleet, vec![Event::ChangeEnded { end: end.clone() }]).await?;
        Ok(end)
    }

    async fn record(&self, subject: Subject, events: Vec<Event>) -> Result<Vec<Record>, Halt> {
        let entries = events
            .into_iter()
            .map(|event| Entry { change: self.id.clone(), subject: subject.clone(), event })
            .collect();
        Ok(self.engine.record(entries).await?)
    }

    fn pins_of(&self, host: &HostId) -> Pins {
        self.pins.lock().expect("no holder of this lock panics").get(host).cloned().unwrap_or_default()
    }

    fn set_pins(&self, host: &HostId, pins: Pins) {
        self.pins.lock().expect("no holder of this lock panics").insert(host.clone(), pins);
    }
}

/// How many hosts came out in which way.
fn tally<'v>(verdicts: impl Iterator<Item = &'v Verdict>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for verdict in verdicts {
        *counts.entry(verdict.word().to_owned()).or_default() += 1;
    }
    counts
}
