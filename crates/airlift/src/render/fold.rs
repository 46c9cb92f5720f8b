//! What a change looks like at this moment: a pure fold of its records and signals, shared by all renderers.
//!
//! Records decide; signals only add what is never recorded. Time is an argument, so that the same records give the same
//! picture in a test, live, and when they are read back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use airlift_core::action::{Action, HostAction, Kind, RunAction};
use airlift_core::change::Change;
use airlift_core::decide::Verdict;
use airlift_core::event::{ChangeBegan, ChangeEnd, Event, Phase, Record, Subject};
use airlift_core::history::{ActState, History};
use airlift_core::id::{ChangeId, HostId, RunId};
use airlift_core::op::Operation;
use airlift_core::seen::RunEnd;
use airlift_core::time::Moment;
use airlift_engine::feed::Signal;

use super::output::Line;
use super::words;

/// Lines of output that are kept of each host, for its row and for the summary.
pub const TAIL: usize = 5;

/// Milliseconds over which a rate is measured.
const RATE_SPAN: u64 = 500;

/// A change at this moment.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    change: Option<ChangeId>,
    began: Option<Box<ChangeBegan>>,
    hosts: BTreeMap<HostId, HostState>,
    intents: BTreeMap<u64, Action>,
    end: Option<ChangeEnd>,
    sent_before: u64,
}

/// A host at this moment.
#[derive(Debug, Clone, Default)]
pub struct HostState {
    /// The phase last recorded.
    pub phase: Option<Phase>,
    /// What is being done to it.
    pub doing: Option<String>,
    /// What it waits for.
    pub waiting: Option<String>,
    /// What is being sent to it.
    pub transfer: Option<Transfer>,
    /// The last lines that it printed in this change.
    pub tail: VecDeque<Line>,
    /// How it came out.
    pub verdict: Option<Verdict>,
    /// Length and hash of what it printed, where a script ran to its end.
    pub output: Option<RunEnd>,
    /// The script was started on it.
    pub started: bool,
    /// The operation names it; others are touched by the fleet's part alone, and are not counted.
    pub concerned: bool,
}

/// Bytes on their way, counted before compression.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transfer {
    /// Bytes that have gone out.
    pub sent: u64,
    /// Bytes that there are to send, where that is known.
    pub total: Option<u64>,
    /// Bytes per second, once it could be measured.
    pub rate: Option<u64>,
    mark: Option<(Moment, u64)>,
}

/// Where a host stands. The order is the order in which the live view shows hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It is settled and did not succeed.
    Failed,
    /// Something is going on.
    Active,
    /// It waits to be begun with, or to answer.
    Waiting,
    /// It is settled and succeeded.
    Succeeded,
}

/// How many hosts stand where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// All.
    pub hosts: u64,
    /// By standing.
    pub succeeded: u64,
    /// Settled without success.
    pub failed: u64,
    /// Those with which something is going on.
    pub active: u64,
    /// The rest.
    pub waiting: u64,
    /// Settled ones, by the word of [`Verdict::word`].
    pub words: BTreeMap<&'static str, u64>,
}

impl Fold {
    /// The records so far, folded.
    pub fn of<'r>(records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut fold = Self::default();
        for record in records {
            fold.record(record);
        }
        fold
    }

    /// The record belongs to the change that this is about. (A change that takes the place of others ends them first.)
    pub fn concerns(&self, record: &Record) -> bool {
        match &self.change {
            Some(change) => *change == record.change,
            None => !matches!(record.event, Event::ChangeEnded { .. }),
        }
    }

    /// Takes up a change as its records tell it so far.
    pub fn take_up(&mut self, change: &Change) {
        self.change = Some(change.id.clone());
        self.begin(Box::new(change.began.clone()));
        self.end.clone_from(&change.end);
        let mut pasts: Vec<&History> = vec![&change.fleet];
        for (host, past) in &change.hosts {
            let state = self.hosts.entry(host.clone()).or_default();
            state.phase = past.phase;
            state.verdict.clone_from(&past.verdict);
            state.started = past.history.has_succeeded(Kind::StartRun);
            pasts.push(&past.history);
        }
        let open = pasts.into_iter().flat_map(|past| &past.acts);
        self.intents.extend(
            open.filter(|act| matches!(act.state, ActState::Unknown { .. } | ActState::InFlight { .. }))
                .map(|act| (act.intent, act.action.clone())),
        );
    }

    fn begin(&mut self, began: Box<ChangeBegan>) {
        for host in began.operation.hosts() {
            self.hosts.entry(host).or_default().concerned = true;
        }
        self.began = Some(began);
    }

    /// Folds a record; those of other changes are ignored.
    pub fn record(&mut self, record: &Record) {
        if !self.concerns(record) {
            return;
        }
        if self.change.is_none() {
            self.change = Some(record.change.clone());
        }
        match (&record.subject, &record.event) {
            (_, Event::ChangeBegan(began)) => self.begin(began.clone()),
            (_, Event::ChangeEnded { end }) => self.end = Some(end.clone()),
            (Subject::Host(host), event) => {
                let action = match event {
                    Event::Intended { action, .. } => {
                        self.intents.insert(record.seq, action.clone());
                        None
                    }
                    Event::Succeeded { intent, .. } | Event::Failed { intent, .. } => self.intents.remove(intent),
                    _ => None,
                };
                let state = self.hosts.entry(host.clone()).or_default();
                self.sent_before += state.apply(event, action.as_ref());
            }
            (Subject::Fleet, _) => {}
        }
    }

    /// Folds a signal.
    pub fn signal(&mut self, signal: &Signal) {
        match signal {
            Signal::Sent { host, bytes, total } => {
                let state = self.hosts.entry(host.clone()).or_default();
                if state.doing.is_none() {
                    // It comes late: the record that the transfer is over was quicker.
                    return;
                }
                let transfer = state.transfer.get_or_insert_default();
                if *bytes < transfer.sent {
                    *transfer = Transfer::default();
                }
                (transfer.sent, transfer.total) = (*bytes, *total);
            }
            Signal::Waiting { host, reason } => {
                let state = self.hosts.entry(host.clone()).or_default();
                if state.verdict.is_none() {
                    state.waiting = Some(super::clean::message(reason));
                }
            }
            Signal::Output { host, .. } => self.hosts.entry(host.clone()).or_default().started = true,
        }
    }

    /// Folds a line of output.
    pub fn line(&mut self, host: &HostId, line: Line) {
        let state = self.hosts.entry(host.clone()).or_default();
        if state.tail.len() == TAIL {
            state.tail.pop_front();
        }
        state.tail.push_back(line);
    }

    /// Time goes on: rates are measured.
    pub fn tick(&mut self, now: Moment) {
        for transfer in self.hosts.values_mut().filter_map(|state| state.transfer.as_mut()) {
            transfer.tick(now);
        }
    }

    /// The change, once a record of it was folded.
    pub fn change(&self) -> Option<&ChangeId> {
        self.change.as_ref()
    }

    /// Its first record, once that was folded.
    pub fn began(&self) -> Option<&ChangeBegan> {
        self.began.as_deref()
    }

    /// What it is an execution of.
    pub fn operation(&self) -> Option<&Operation> {
        self.began().map(|began| &began.operation)
    }

    /// The run whose output belongs to this change: that of a script, or the bootstrap of the release.
    pub fn run(&self) -> Option<RunId> {
        let desired = match self.operation()? {
            Operation::Run(run) => return Some(run.run.clone()),
            Operation::Up(up) => &up.desired,
            Operation::Push(push) => &push.desired,
            Operation::Cancel(_) | Operation::Down(_) | Operation::Undo(_) => return None,
        };
        let release = desired.release.as_ref().filter(|release| release.bootstraps)?;
        Some(RunId::bootstrap_of(&release.release))
    }

    /// A script is run: its output is what the operator came for.
    pub fn is_script(&self) -> bool {
        matches!(self.operation(), Some(Operation::Run(_)))
    }

    /// The action that a recorded intent names, until its outcome is folded.
    pub fn intended(&self, intent: u64) -> Option<&Action> {
        self.intents.get(&intent)
    }

    /// How the change ended.
    pub fn end(&self) -> Option<&ChangeEnd> {
        self.end.as_ref()
    }

    /// One host.
    pub fn host(&self, host: &HostId) -> Option<&HostState> {
        self.hosts.get(host)
    }

    /// The hosts that are counted, in their natural order.
    pub fn hosts(&self) -> Vec<(&HostId, &HostState)> {
        let mut hosts: Vec<_> =
            self.hosts.iter().filter(|(_, state)| state.concerned || state.verdict.is_some()).collect();
        hosts.sort_by_key(|(host, _)| host.sort_key());
        hosts
    }

    /// How many hosts stand where.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (_, state) in self.hosts() {
            counts.hosts += 1;
            match state.standing() {
                Standing::Failed => counts.failed += 1,
                Standing::Active => counts.active += 1,
                Standing::Waiting => counts.waiting += 1,
                Standing::Succeeded => counts.succeeded += 1,
            }
            if let Some(verdict) = &state.verdict {
                *counts.words.entry(verdict.word()).or_default() += 1;
            }
        }
        counts
    }

    /// All bytes that have gone out, and how many go out per second now.
    pub fn sent(&self) -> (u64, u64) {
        let transfers = self.hosts.values().filter_map(|state| state.transfer.as_ref());
        transfers.fold((self.sent_before, 0), |(sent, rate), transfer| {
            (sent + transfer.sent, rate + transfer.rate.unwrap_or(0))
        })
    }

    /// How long the slowest of the transfers that are going on will still take, where that is known of all of them.
    pub fn left(&self) -> Option<Duration> {
        let transfers = self.hosts.values().filter_map(|state| state.transfer.as_ref());
        transfers.map(Transfer::left).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The widest host id.
    pub fn id_width(&self) -> usize {
        self.hosts.keys().map(|host| host.as_str().len()).max().unwrap_or(0)
    }

    /// Where the host stands, in a word.
    pub fn word(&self, state: &HostState) -> &'static str {
        if let Some(verdict) = &state.verdict {
            return words::verdict_word(verdict, self.operation());
        }
        match state.phase {
            Some(phase) => phase.word(),
            None if state.started => "running",
            None if state.transfer.is_some() => "sending",
            None if state.doing.is_some() => "working",
            None => "waiting",
        }
    }
}

impl HostState {
    /// Folds an event; gives the bytes of a transfer that is over.
    fn apply(&mut self, event: &Event, action: Option<&Action>) -> u64 {
        match event {
            Event::Intended { action, .. } => {
                self.doing = Some(words::doing(action));
                self.waiting = None;
                self.transfer = None;
            }
            Event::Succeeded { outcome, .. } => {
                self.doing = None;
                self.started |= action.is_some_and(|action| action.kind() == Kind::StartRun);
                let sent = match outcome {
                    airlift_core::action::Outcome::Sent { bytes, .. } => Some(*bytes),
                    _ => None,
                };
                let transfer = self.transfer.take();
                if sends(action) {
                    // What was compressed on its way counts as what it is, like all that is still going out.
                    return transfer.map(|transfer| transfer.total.unwrap_or(transfer.sent)).or(sent).unwrap_or(0);
                }
            }
            Event::Failed { .. } => {
                self.doing = None;
                return self.transfer.take().map_or(0, |transfer| transfer.sent);
            }
            Event::Phase { phase, .. } => self.phase = Some(*phase),
            Event::Settled { verdict, output } => {
                self.verdict = Some(verdict.clone());
                self.output.clone_from(output);
                (self.doing, self.waiting, self.transfer) = (None, None, None);
            }
            Event::ChangeBegan(_)
            | Event::ChangeResumed { .. }
            | Event::RunCancelled { .. }
            | Event::ChangeEnded { .. }
            | Event::Pinned { .. } => {}
        }
        0
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        match &self.verdict {
            Some(verdict) if verdict.is_success() => Standing::Succeeded,
            Some(_) => Standing::Failed,
            None if self.doing.is_some() || self.transfer.is_some() || self.started => Standing::Active,
            None if matches!(self.phase, Some(Phase::Reachable | Phase::Staged | Phase::Ready)) => Standing::Active,
            None => Standing::Waiting,
        }
    }
}

/// The action sends bytes, so that a transfer belongs to it.
fn sends(action: Option<&Action>) -> bool {
    matches!(
        action,
        Some(
            Action::Host(HostAction::Deliver(_) | HostAction::Install(_) | HostAction::Secrets(_))
                | Action::Run(RunAction::Stage(_))
        )
    )
}

impl Transfer {
    /// How long the rest will take at the rate of now, where both are known.
    pub fn left(&self) -> Option<Duration> {
        let rate = self.rate.filter(|rate| *rate > 0)?;
        let millis = u128::from(self.total?.saturating_sub(self.sent)) * 1000 / u128::from(rate);
        Some(Duration::from_millis(u64::try_from(millis).ok()?))
    }

    fn tick(&mut self, now: Moment) {
        let Some((at, sent)) = self.mark else {
            self.mark = Some((now, self.sent));
            return;
        };
        let millis = now.as_millis().saturating_sub(at.as_millis());
        if millis >= RATE_SPAN {
            let measured = self.sent.saturating_sub(sent).saturating_mul(1000) / millis;
            self.rate = Some(self.rate.map_or(measured, |rate| u64::midpoint(rate, measured)));
            self.mark = Some((now, self.sent));
        }
    }
}
