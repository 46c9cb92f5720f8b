//! The projections as a pure fold: which rows one more record changes.
//!
//! Whether rows are kept as tables or in memory, and whether they are made record by record or all at once, they are
//! what these updates make of them. A row holds numbers of records, not what the records say.

use airlift_core::action::{Action, HostAction, InstanceAction, Outcome, RunAction};
use airlift_core::event::{ChangeBegan, Event, Mode, Phase, Record, Subject};
use airlift_core::id::{ChangeId, Digest, HostId, RunId};
use airlift_core::op::Operation;
use airlift_core::seen::Id;

/// What the fold needs to know of the past.
pub(super) trait Facts {
    type Error;

    /// What is known of a change, if it has begun.
    fn change(&self, change: &ChangeId) -> Result<Option<ChangeFacts>, Self::Error>;

    /// The action that the record with this number intends, if it does.
    fn intended(&self, seq: u64) -> Result<Option<Action>, Self::Error>;
}

/// What the fold needs to know of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChangeFacts {
    /// [`airlift_core::event::EVENT_VERSION`] of whoever began it.
    pub(super) version: u32,
    /// The operation's name.
    pub(super) operation: String,
    /// It is a dry run.
    pub(super) dry: bool,
    /// The run that it is.
    pub(super) run: Option<RunId>,
    /// The release that a host has when it is ready.
    pub(super) release: Option<Digest>,
}

/// A change of the projections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Update {
    /// A row for a change that has none.
    ChangeBegan { change: ChangeId, seq: u64, facts: ChangeFacts },
    /// The change ended with this record, and so did its run. A later end takes the place of an earlier one.
    ChangeEnded { change: ChangeId, seq: u64 },
    /// A row for the run, with its hosts, unless there is one: the first change that is this run keeps it.
    RunBegan { run: RunId, change: ChangeId, seq: u64, hosts: Vec<HostId> },
    /// The host came out of the run.
    RunSettled { run: RunId, host: HostId, seq: u64 },
    /// Something was recorded about a host, which gets a row if it has none.
    Host { host: HostId, change: ChangeId, seq: u64, fields: Vec<HostField> },
}

/// What changed in a host's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostField {
    Phase(Phase),
    Instance(Option<String>),
    Release(Option<Digest>),
    Run(RunId),
    /// The record that says which keys are accepted.
    Pinned(u64),
    /// The record of its last verdict.
    Settled(u64),
}

/// The updates that `record` means.
pub(super) fn fold<F: Facts>(record: &Record, facts: &F) -> Result<Vec<Update>, F::Error> {
    let (change, seq) = (&record.change, record.seq);
    let known = facts.change(change)?;
    let mut updates = Vec::with_capacity(2);
    match &record.event {
        Event::ChangeBegan(began) if known.is_none() => {
            let facts = facts_of(began);
            let run = began.operation.run().filter(|_| !facts.dry);
            let run = run.map(|run| Update::RunBegan {
                run: run.run.clone(),
                change: change.clone(),
                seq,
                hosts: run.hosts.iter().cloned().collect(),
            });
            updates.push(Update::ChangeBegan { change: change.clone(), seq, facts });
            updates.extend(run);
        }
        Event::ChangeEnded { .. } => updates.push(Update::ChangeEnded { change: change.clone(), seq }),
        _ => {}
    }
    // What a dry run says of a host did not happen.
    if let Subject::Host(host) = &record.subject
        && known.as_ref().is_none_or(|known| !known.dry)
    {
        if let (Event::Settled { .. }, Some(run)) = (&record.event, known.as_ref().and_then(|known| known.run.as_ref()))
        {
            updates.push(Update::RunSettled { run: run.clone(), host: host.clone(), seq });
        }
        let fields = host_fields(record, known.as_ref(), facts)?;
        updates.push(Update::Host { host: host.clone(), change: change.clone(), seq, fields });
    }
    Ok(updates)
}

fn facts_of(began: &ChangeBegan) -> ChangeFacts {
    let dry = began.mode == Mode::DryRun;
    let desired = match &began.operation {
        Operation::Up(op) => Some(&op.desired),
        Operation::Push(op) => Some(&op.desired),
        Operation::Run(_) | Operation::Cancel(_) | Operation::Down(_) | Operation::Undo(_) => None,
    };
    ChangeFacts {
        version: began.version,
        operation: began.operation.name().to_owned(),
        dry,
        run: began.operation.run().filter(|_| !dry).map(|run| run.run.clone()),
        release: desired.and_then(|desired| desired.release.as_ref()).map(|release| release.release),
    }
}

fn host_fields<F: Facts>(record: &Record, known: Option<&ChangeFacts>, facts: &F) -> Result<Vec<HostField>, F::Error> {
    Ok(match &record.event {
        Event::Intended { action: Action::Instance(InstanceAction::Launch(_)), .. } => {
            vec![HostField::Phase(Phase::Requested)]
        }
        Event::Intended { action: Action::Run(action), .. } => match action {
            RunAction::Stage(stage) => vec![HostField::Run(stage.run.clone())],
            RunAction::Start(start) => vec![HostField::Run(start.run.clone())],
            RunAction::Cancel(_) => Vec::new(),
        },
        Event::Succeeded { outcome: Outcome::Launched { id: Id::Actual(id) }, .. } => {
            vec![HostField::Instance(Some(id.clone()))]
        }
        // Only what is past counts: a fold that sees the whole log must not see more than one record by record.
        Event::Succeeded { intent, .. } if *intent < record.seq => match facts.intended(*intent)? {
            Some(Action::Instance(InstanceAction::Terminate(_))) => {
                vec![HostField::Instance(None), HostField::Release(None)]
            }
            Some(Action::Host(HostAction::Remove(_))) => vec![HostField::Release(None)],
            Some(Action::Host(HostAction::Switch(switch))) => vec![HostField::Release(switch.to)],
            _ => Vec::new(),
        },
        Event::Pinned { .. } => vec![HostField::Pinned(record.seq)],
        Event::Phase { phase: phase @ Phase::Gone, .. } => {
            vec![HostField::Phase(*phase), HostField::Instance(None), HostField::Release(None)]
        }
        // Deliveries are taken by the host itself: which release is current shows when the host is looked at, and in that
        // it is ready.
        Event::Phase { phase, current } => {
            let ready = known.and_then(|known| known.release).filter(|_| *phase == Phase::Ready);
            let release = current.or(ready).map(|release| HostField::Release(Some(release)));
            std::iter::once(HostField::Phase(*phase)).chain(release).collect()
        }
        Event::Settled { .. } => vec![HostField::Settled(record.seq)],
        Event::ChangeBegan(_)
        | Event::ChangeResumed { .. }
        | Event::RunCancelled { .. }
        | Event::Intended { .. }
        | Event::Succeeded { .. }
        | Event::Failed { .. }
        | Event::ChangeEnded { .. } => Vec::new(),
    })
}
