//! Carrying out a change, the same way for every command: plan it, show it, ask where something is destroyed, begin, drive
//! with a renderer, end with the code that the hosts' results call for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use airlift_core::action::Kind;
use airlift_core::change::Change;
use airlift_core::decide::Verdict;
use airlift_core::event::{ChangeEnd, Event, Phase, Record, Subject};
use airlift_core::id::{ChangeId, HostId};
use airlift_core::op::Operation;
use airlift_core::plan::{Envelope, Plan};
use airlift_engine::clock::{Clock as _, SystemClock};
use airlift_engine::drive::{Begin, Halt};
use airlift_engine::feed::Reader;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::fleet::{Fleet, note, unaudited, warn};
use super::{random_id, say, say_json};
use crate::cli::Acting;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::{self, Ending, How, Renderer};
use crate::settings::size_of;

/// How often a view is drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// What a command wants done.
pub(crate) struct Wanted {
    /// The operation.
    pub operation: Operation,
    /// The envelope of a saved plan, in place of the one that a look gives now.
    pub envelope: Option<Envelope>,
    /// Show the plan before acting.
    pub shows_plan: bool,
    /// What cannot be taken back or restored, to be named before anything happens.
    pub warnings: Vec<String>,
    /// To be confirmed whatever it does: it takes back what somebody wanted.
    pub confirmed: bool,
    /// Come back as soon as nothing is left to send (`run --detach`).
    pub detach: bool,
}

impl Wanted {
    /// An operation without further ado.
    pub(crate) fn new(operation: Operation) -> Self {
        Self { operation, envelope: None, shows_plan: false, warnings: Vec::new(), confirmed: false, detach: false }
    }
}

/// The id of a change that begins now.
pub(crate) fn new_id() -> Result<ChangeId, Error> {
    random_id("c-")?.parse().map_err(|error| Error::failed(format!("{error}")))
}

/// Carries it out, or shows it where this is a dry run.
pub(crate) async fn carry_out(fleet: &mut Fleet, wanted: Wanted, acting: &Acting) -> Result<Exit, Error> {
    let began = Instant::now();
    let id = new_id()?;
    let engine = fleet.engine();
    if matches!(&wanted.operation, Operation::Up(_) | Operation::Push(_) | Operation::Run(_)) && !fleet.settings.quiet {
        fleet.project.not_honoured().iter().for_each(|line| warn(line));
    }
    // Whoever is about to act must not wait for the slowest host's look before beginning on the others; `run` and `cancel`,
    // which show no plan, for none at all.
    let plan = match &wanted.operation {
        operation if fleet.is_dry() => engine.plan(operation).await?,
        operation @ (Operation::Run(_) | Operation::Cancel(_)) => engine.plan_unseen(operation).await?,
        operation => engine.plan_promptly(operation).await?,
    };
    let begin = Begin {
        id: id.clone(),
        envelope: wanted.envelope.unwrap_or_else(|| plan.envelope()),
        operation: wanted.operation,
        actor: fleet.actor(),
    };
    if fleet.is_dry() {
        return show(fleet, begin, &plan, &wanted.warnings).await;
    }
    if is_settled(fleet, &begin.operation, &plan).await? {
        return nothing_to_do(fleet, &begin.operation, &plan, began.elapsed());
    }
    if wanted.shows_plan && !fleet.settings.quiet && !plan.is_empty() {
        show_plan(fleet, &plan)?;
    }
    confirm(fleet, &plan, &wanted.warnings, wanted.confirmed, acting)?;
    let change = engine.begin(begin).await?;
    // The live view shows the change itself and nothing of others; the plain one says this.
    let live = fleet.settings.terminal && !fleet.settings.json && !fleet.settings.quiet;
    for old in change.began.supersedes.iter().filter(|_| live) {
        note(&format!("{id} takes the place of {old}, which was unfinished"));
    }
    drive(fleet, change, wanted.detach).await
}

/// Whether nothing is left to do, nor to record: every host is as it should be, and known to be.
async fn is_settled(fleet: &Fleet, operation: &Operation, plan: &Plan) -> Result<bool, Error> {
    let desired = match operation {
        Operation::Up(up) => &up.desired,
        Operation::Push(push) => &push.desired,
        _ => return Ok(false),
    };
    if !plan.is_empty() || !plan.unseen.is_empty() || !plan.verdicts.values().all(Verdict::is_success) {
        return Ok(false);
    }
    let release = desired.release.as_ref().map(|release| release.release);
    let rows = fleet.log.hosts().await?;
    let ready = rows.into_iter().filter(|row| row.phase == Some(Phase::Ready) && row.release == release);
    let ready: BTreeSet<HostId> = ready.map(|row| row.host).collect();
    // A change that was interrupted is to be closed, which a new one does.
    Ok(plan.verdicts.keys().all(|host| ready.contains(host)) && fleet.log.unfinished().await?.is_empty())
}

fn nothing_to_do(fleet: &Fleet, operation: &Operation, plan: &Plan, elapsed: Duration) -> Result<Exit, Error> {
    if fleet.settings.json {
        say_json(&render::nothing_to_do_json(plan, &fleet.config.fleet, operation, elapsed))?;
    } else {
        let hosts = render::human::count(plan.verdicts.len() as u64, "host");
        let verb = if plan.verdicts.len() == 1 { "is" } else { "are" };
        say(&format!("nothing to do: {hosts} {verb} ready"))?;
    }
    Ok(Exit::Success)
}

/// Shows what would be done, and records that.
pub(crate) async fn show(fleet: &Fleet, begin: Begin, plan: &Plan, warnings: &[String]) -> Result<Exit, Error> {
    show_plan(fleet, plan)?;
    for warning in warnings {
        note(&format!("cannot be taken back: {warning}"));
    }
    // The audit record is all that a dry run writes; where it cannot be written the dry run still is of use.
    if let Err(error) = fleet.engine().record_dry_run(begin, plan).await {
        warn(&unaudited(&error));
    }
    Ok(Exit::Success)
}

/// Drives a change that has begun, showing what happens.
pub(crate) async fn drive(fleet: &mut Fleet, change: Change, detach: bool) -> Result<Exit, Error> {
    let id = change.id.clone();
    let operation = change.began.operation.clone();
    let reader = fleet.take_reader();
    let engine = fleet.engine();
    let stop = CancellationToken::new();
    let mut renderer = fleet.renderer();
    renderer.take_up(&change);
    let began = Instant::now();
    let (interrupts, resized) = (Interrupts::listen()?, signal(SignalKind::window_change())?);
    let driving = tokio::spawn({
        let stop = stop.clone();
        async move { engine.drive(change, stop).await }
    });
    let result =
        watch(driving, reader, renderer.as_mut(), &stop, StartsLeft::new(&operation, detach), interrupts, resized)
            .await;
    fleet.forget_caches(&operation, result.is_ok()).await;
    let (how, exit) = match &result {
        Ok(end) => (How::Ended(end.clone()), exit_of(end)),
        Err(Halt::Stopped) if detach => (How::Detached, Exit::Success),
        Err(Halt::Stopped) if operation.run().is_some() => (How::Detached, Exit::Stopped),
        Err(Halt::Stopped) => (How::Stopped, Exit::Stopped),
        Err(halt) => (How::Halted { message: crate::error::chain(halt) }, Exit::Failed),
    };
    renderer.finish(&Ending { how, elapsed: began.elapsed(), exit_code: exit.code() });
    match result {
        Err(halt) if exit == Exit::Failed => {
            Err(Error::from(halt).help(format!("`airlift resume {id}` goes on where this ended")))
        }
        _ => Ok(exit),
    }
}

/// Feeds the renderer until the change is over. The first Ctrl-C stops cleanly, the second at once.
async fn watch(
    mut driving: tokio::task::JoinHandle<Result<ChangeEnd, Halt>>,
    mut reader: Reader,
    renderer: &mut dyn Renderer,
    stop: &CancellationToken,
    mut starts: StartsLeft,
    mut interrupts: Interrupts,
    mut resized: Signal,
) -> Result<ChangeEnd, Halt> {
    let clock = SystemClock::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = interrupts.next() => {
                if stop.is_cancelled() {
                    return Err(Halt::Stopped);
                }
                stop.cancel();
            }
            _ = resized.recv() => {
                if let Some((width, height)) = size_of(std::io::stdout()) {
                    renderer.resize(width, height);
                }
            }
            Some(record) = reader.records.recv() => {
                starts.record(&record);
                renderer.record(&record);
                if starts.are_none() {
                    stop.cancel();
                }
            }
            Some(signal) = reader.signals.recv() => renderer.signal(&signal),
            ended = &mut driving => {
                while let Ok(record) = reader.records.try_recv() {
                    renderer.record(&record);
                }
                return ended.unwrap_or_else(|error| Err(Halt::Task(error.to_string())));
            }
            _ = ticks.tick() => renderer.tick(clock.now()),
        }
    }
}

/// The hosts on which the script is still to be started, for a run that is left alone as soon as there are none.
struct StartsLeft {
    hosts: Option<BTreeSet<HostId>>,
    starts: BTreeSet<u64>,
}

impl StartsLeft {
    fn new(operation: &Operation, detach: bool) -> Self {
        Self { hosts: detach.then(|| operation.hosts()), starts: BTreeSet::new() }
    }

    fn record(&mut self, record: &Record) {
        let (Some(hosts), Subject::Host(host)) = (&mut self.hosts, &record.subject) else { return };
        match &record.event {
            Event::Intended { action, .. } if action.kind() == Kind::StartRun => {
                self.starts.insert(record.seq);
            }
            Event::Succeeded { intent, .. } if self.starts.contains(intent) => {
                hosts.remove(host);
            }
            Event::Settled { .. } => {
                hosts.remove(host);
            }
            _ => {}
        }
    }

    fn are_none(&self) -> bool {
        self.hosts.as_ref().is_some_and(BTreeSet::is_empty)
    }
}

/// Ctrl-C, or being asked to end. Listened for from the first moment to the last: what arrives in between is kept.
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(crate) fn listen() -> Result<Self, Error> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn exit_of(end: &ChangeEnd) -> Exit {
    match end {
        ChangeEnd::Finished { .. } => {
            let (failed, all) = end.failed_of_all();
            Exit::of_hosts(failed, all)
        }
        ChangeEnd::Aborted { .. } => Exit::Failed,
        ChangeEnd::Superseded { .. } => Exit::Refused,
        ChangeEnd::Shown { .. } => Exit::Success,
    }
}

/// Shows a plan as text or JSON.
pub(crate) fn show_plan(fleet: &Fleet, plan: &Plan) -> Result<(), Error> {
    if fleet.settings.json {
        say_json(&render::plan_json(plan, &fleet.config.fleet, super::fleet::cost(plan)))
    } else {
        say(render::plan_text(plan, super::fleet::cost(plan), fleet.style()).trim_end())
    }
}

/// Asks in a terminal before something is destroyed or taken back; elsewhere refuses without `--yes`.
fn confirm(fleet: &Fleet, plan: &Plan, warnings: &[String], any: bool, acting: &Acting) -> Result<(), Error> {
    let lines: Vec<String> = plan
        .actions
        .iter()
        .filter(|action| any || action.step().destroys())
        .map(|action| action.step().plan_line())
        .chain(warnings.iter().map(|warning| format!("cannot be taken back: {warning}")))
        .collect();
    if lines.is_empty() || acting.yes {
        return Ok(());
    }
    let shown: Vec<&str> = lines.iter().take(12).map(String::as_str).collect();
    let more = lines.len().saturating_sub(shown.len());
    let mut list = shown.join("\n  ");
    if more > 0 {
        list = format!("{list}\n  … and {more} more");
    }
    if !fleet.settings.can_ask {
        return Err(Error::refused(format!("this must be confirmed, and nobody can be asked here:\n  {list}"))
            .help("say --yes to go on, or --dry-run to see the whole plan"));
    }
    say(&format!("To be confirmed:\n  {list}"))?;
    if super::ask("Go on? [y/N] ")? { Ok(()) } else { Err(Error::refused("not confirmed; nothing was done")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough for anything that comes at all.
    const AT_ALL: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn an_interrupt_that_comes_while_nobody_asks_is_not_missed() {
        let mut interrupts = Interrupts::listen().unwrap();
        for _ in 0..3 {
            // Something else is quicker, as in a loop that has much to show: the question is dropped before the answer.
            tokio::select! {
                biased;
                () = interrupts.next() => panic!("nobody has interrupted anything yet"),
                () = tokio::task::yield_now() => {}
            }
            // It arrives, and is known to have, before anybody asks again.
            let mut witness = signal(SignalKind::interrupt()).unwrap();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
            tokio::time::timeout(AT_ALL, witness.recv()).await.expect("the signal arrives");
            tokio::time::timeout(AT_ALL, interrupts.next()).await.expect("it was kept");
        }
    }
}
