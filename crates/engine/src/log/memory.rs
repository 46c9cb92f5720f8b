//! The event log in memory: a working model with the same chain, fold and answers, for simulation.
//!
//! It is lost with the process. Whatever is asked of it is done at once; nothing ever fails.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use airlift_core::action::Action;
use airlift_core::event::{Entry, Event, Phase, Record};
use airlift_core::id::{ChangeId, Digest, HostId, RunId};
use async_trait::async_trait;

use super::chain::{self, Head, Linked, Prepared};
use super::project::{ChangeFacts, Facts, HostField, Update, fold};
use super::rows::{ChangeFilter, ChangeRow, HostRow, Query, RunHostRow, RunRow};
use super::sqlite::Stamp;
use super::{EventLog, LogError, read};

/// An event log in memory.
pub struct MemoryLog {
    state: Mutex<State>,
}

struct State {
    stamp: Stamp,
    records: Vec<Record>,
    projections: Projections,
}

#[derive(Default)]
struct Projections {
    changes: BTreeMap<ChangeId, ChangeState>,
    hosts: BTreeMap<HostId, HostState>,
    runs: BTreeMap<RunId, RunState>,
}

struct ChangeState {
    began: u64,
    ended: Option<u64>,
    facts: ChangeFacts,
}

#[derive(Default)]
struct HostState {
    change: Option<ChangeId>,
    updated: u64,
    phase: Option<Phase>,
    instance: Option<String>,
    release: Option<Digest>,
    run: Option<RunId>,
    pinned: Option<u64>,
    settled: Option<u64>,
}

struct RunState {
    change: ChangeId,
    began: u64,
    ended: Option<u64>,
    hosts: BTreeMap<HostId, Option<u64>>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::with_stamp(Box::new(chain::now))
    }

    /// An empty log whose records carry the time that `stamp` tells.
    pub fn with_stamp(stamp: Stamp) -> Self {
        let (records, projections) = (Vec::new(), Projections::default());
        Self { state: Mutex::new(State { stamp, records, projections }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLog").field("records", &self.state().records.len()).finish_non_exhaustive()
    }
}

impl Facts for State {
    type Error = std::convert::Infallible;

    fn change(&self, change: &ChangeId) -> Result<Option<ChangeFacts>, Self::Error> {
        Ok(self.projections.changes.get(change).map(|state| state.facts.clone()))
    }

    fn intended(&self, seq: u64) -> Result<Option<Action>, Self::Error> {
        Ok(match self.record(seq).map(|record| &record.event) {
            Some(Event::Intended { action, .. }) => Some(action.clone()),
            _ => None,
        })
    }
}

impl State {
    fn head(&self) -> Head {
        self.records.last().map_or(Head::EMPTY, |last| Head { seq: last.seq, hash: last.hash })
    }

    fn record(&self, seq: u64) -> Option<&Record> {
        self.records.get(usize::try_from(seq).ok()?.checked_sub(1)?)
    }

    /// The event of a record that a row points at.
    fn event(&self, seq: Option<u64>) -> Option<Event> {
        Some(self.record(seq?)?.event.clone())
    }

    fn project(&mut self, record: &Record) {
        let Ok(updates) = fold(record, self);
        for update in updates {
            self.projections.apply(update);
        }
    }

    fn change_row(&self, change: &ChangeId, state: &ChangeState) -> Option<ChangeRow> {
        let first = self.record(state.began)?;
        let ended = state.ended.and_then(|seq| self.record(seq));
        Some(ChangeRow {
            change: change.clone(),
            began: read::began(first.event.clone())?,
            seq: first.seq,
            began_at: first.at,
            ended: ended.and_then(|record| Some((record.at, read::ended(record.event.clone())?))),
        })
    }

    fn host_row(&self, host: &HostId, state: &HostState) -> Option<HostRow> {
        Some(HostRow {
            host: host.clone(),
            phase: state.phase,
            instance: state.instance.clone(),
            pins: self.event(state.pinned).and_then(read::pins).unwrap_or_default(),
            release: state.release,
            last_change: state.change.clone()?,
            last_run: state.run.clone(),
            last_verdict: self.event(state.settled).and_then(read::verdict).map(|(verdict, _)| verdict),
            updated: self.record(state.updated)?.at,
        })
    }

    fn run_row(&self, run: &RunId, state: &RunState) -> Option<RunRow> {
        let first = self.record(state.began)?;
        let mut hosts: Vec<RunHostRow> = state
            .hosts
            .iter()
            .map(|(host, settled)| {
                let (verdict, output) = self.event(*settled).and_then(read::verdict).unzip();
                RunHostRow { host: host.clone(), verdict, output: output.flatten() }
            })
            .collect();
        hosts.sort_by(|a, b| a.host.sort_key().cmp(&b.host.sort_key()));
        Some(RunRow {
            run: run.clone(),
            change: state.change.clone(),
            script: read::began(first.event.clone())?.operation.run()?.script.clone(),
            began: first.at,
            ended: state.ended.and_then(|seq| self.record(seq)).map(|record| record.at),
            hosts,
        })
    }
}

impl Projections {
    fn apply(&mut self, update: Update) {
        match update {
            Update::ChangeBegan { change, seq, facts } => {
                self.changes.insert(change, ChangeState { began: seq, ended: None, facts });
            }
            Update::ChangeEnded { change, seq } => {
                if let Some(state) = self.changes.get_mut(&change) {
                    state.ended = Some(seq);
                }
                for run in self.runs.values_mut().filter(|run| run.change == change) {
                    run.ended = Some(seq);
                }
            }
            Update::RunBegan { run, change, seq, hosts } => {
                let hosts = hosts.into_iter().map(|host| (host, None)).collect();
                self.runs.entry(run).or_insert(RunState { change, began: seq, ended: None, hosts });
            }
            Update::RunSettled { run, host, seq } => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.hosts.insert(host, Some(seq));
                }
            }
            Update::Host { host, change, seq, fields } => {
                let state = self.hosts.entry(host).or_default();
                state.change = Some(change);
                state.updated = seq;
                for field in fields {
                    match field {
                        HostField::Phase(phase) => state.phase = Some(phase),
                        HostField::Instance(instance) => state.instance = instance,
                        HostField::Release(release) => state.release = release,
                        HostField::Run(run) => state.run = Some(run),
                        HostField::Pinned(seq) => state.pinned = Some(seq),
                        HostField::Settled(seq) => state.settled = Some(seq),
                    }
                }
            }
        }
    }
}

/// The first `limit` of `items`, or all.
fn limited<T>(items: impl Iterator<Item = T>, limit: Option<u64>) -> Vec<T> {
    items.take(limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))).collect()
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<Record>, LogError> {
        let mut state = self.state();
        let at = (state.stamp)();
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            let record = Linked::after(&state.head(), at, Prepared::new(entry)).record;
            state.records.push(record.clone());
            state.project(&record);
            records.push(record);
        }
        Ok(records)
    }

    async fn head(&self) -> Result<Head, LogError> {
        Ok(self.state().head())
    }

    async fn records(&self, query: Query) -> Result<Vec<Record>, LogError> {
        let state = self.state();
        let asked = |record: &&Record| {
            record.seq > query.since
                && query.change.as_ref().is_none_or(|change| record.change == *change)
                && query.subject.as_ref().is_none_or(|subject| record.subject == *subject)
        };
        let records = state.records.iter().filter(asked);
        Ok(if query.newest_first {
            limited(records.rev().cloned(), query.limit)
        } else {
            limited(records.cloned(), query.limit)
        })
    }

    async fn changes(&self, filter: ChangeFilter) -> Result<Vec<ChangeRow>, LogError> {
        let state = self.state();
        let mut changes: Vec<_> = state
            .projections
            .changes
            .iter()
            .filter(|(_, change)| {
                (filter.dry_runs || !change.facts.dry)
                    && (!filter.unfinished || change.ended.is_none())
                    && filter.operation.as_ref().is_none_or(|operation| change.facts.operation == *operation)
            })
            .collect();
        changes.sort_by_key(|(_, change)| change.began);
        if filter.newest_first {
            changes.reverse();
        }
        let rows = changes.into_iter().filter_map(|(id, change)| state.change_row(id, change));
        Ok(limited(rows, filter.limit))
    }

    async fn change(&self, change: &ChangeId) -> Result<Option<ChangeRow>, LogError> {
        let state = self.state();
        Ok(state.projections.changes.get(change).and_then(|row| state.change_row(change, row)))
    }

    async fn hosts(&self) -> Result<Vec<HostRow>, LogError> {
        let state = self.state();
        let mut hosts: Vec<HostRow> =
            state.projections.hosts.iter().filter_map(|(host, row)| state.host_row(host, row)).collect();
        hosts.sort_by(|a, b| a.host.sort_key().cmp(&b.host.sort_key()));
        Ok(hosts)
    }

    async fn runs(&self, limit: Option<u64>) -> Result<Vec<RunRow>, LogError> {
        let state = self.state();
        let mut runs: Vec<_> = state.projections.runs.iter().collect();
        runs.sort_by_key(|(_, run)| std::cmp::Reverse(run.began));
        Ok(limited(runs.into_iter().filter_map(|(run, row)| state.run_row(run, row)), limit))
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRow>, LogError> {
        let state = self.state();
        Ok(state.projections.runs.get(run).and_then(|row| state.run_row(run, row)))
    }

    async fn rebuild(&self) -> Result<(), LogError> {
        let mut state = self.state();
        state.projections = Projections::default();
        for record in state.records.clone() {
            state.project(&record);
        }
        Ok(())
    }
}
