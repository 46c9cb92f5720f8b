//! For programs: JSON lines, each an object with a version and a type. docs/json.md is their reference.
//!
//! Within one [`VERSION`] fields are only added. Bytes are counted, times are RFC 3339, spans are milliseconds: nothing
//! is written as a person would read it, save `message` and `line`.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use airlift_core::action::Action;
use airlift_core::change::Change;
use airlift_core::event::{ChangeEnd, Phase, Record};
use airlift_core::id::{ChangeId, FleetName, HostId, RunId};
use airlift_core::op::Operation;
use airlift_core::plan::Plan;
use airlift_core::seen::Output;
use airlift_core::time::Moment;
use airlift_engine::feed::Signal;
use airlift_engine::spool::{FileSpool, Stream};
use serde::Serialize;

use super::status::StatusRow;
use super::table::{ChangeRow, RunRow};
use super::{Ending, Fold, How, Out, Renderer};

/// The version of every object that is printed.
pub const VERSION: u32 = 1;

/// JSON lines: the records, the signals where they are asked for, and an [`End`] as the last line.
pub struct Json {
    out: Out,
    fold: Fold,
    spool: FileSpool,
    progress: bool,
}

impl Json {
    /// Shows a change on `out`. Signals are shown where `progress` is asked for. `spool` only says where output is.
    pub fn new(out: Box<dyn Write + Send>, spool: FileSpool, progress: bool) -> Self {
        Self { out: Out::new(out), fold: Fold::default(), spool, progress }
    }

    fn print(&mut self, line: &Line<'_>) {
        self.out.line(&to_string(line));
    }
}

impl Renderer for Json {
    fn take_up(&mut self, change: &Change) {
        self.fold.take_up(change);
    }

    fn record(&mut self, record: &Record) {
        self.fold.record(record);
        self.print(&Line::new(Body::Record(record)));
    }

    fn signal(&mut self, signal: &Signal) {
        self.fold.signal(signal);
        if self.progress {
            self.print(&Line::new(Body::Signal(signal.into())));
        }
    }

    fn tick(&mut self, _now: Moment) {}

    fn finish(&mut self, end: &Ending) {
        let end = End::new(&self.fold, end, &self.spool);
        self.out.line(&to_string(&Line::new(Body::End(end))));
    }
}

/// One line: `{"v":1,"type":…}` and the fields of its type.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// [`VERSION`].
    pub v: u32,
    /// The rest.
    #[serde(flatten)]
    pub body: Body<'a>,
}

/// What a line is about.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body<'a> {
    /// A record of the event log, as it is stored.
    Record(&'a Record),
    /// Progress, where it was asked for.
    Signal(Progress<'a>),
    /// The last line of a change.
    End(End<'a>),
    /// A plan.
    Plan(PlanBody<'a>),
    /// The fleet, as `status` shows it.
    Status(StatusBody<'a>),
    /// A run, as `runs` shows it.
    Run(&'a RunRow),
    /// A change, as `audit list` shows it.
    Change(&'a ChangeRow<'a>),
}

impl<'a> Line<'a> {
    /// A line of the present version.
    pub fn new(body: Body<'a>) -> Self {
        Self { v: VERSION, body }
    }
}

/// A signal.
#[derive(Debug, Serialize)]
#[serde(tag = "signal", rename_all = "snake_case")]
pub enum Progress<'a> {
    /// Bytes have gone out.
    Sent {
        /// To which host.
        host: &'a HostId,
        /// How many so far.
        bytes: u64,
        /// How many there are; null where that is not known.
        total: Option<u64>,
    },
    /// A run's output in the spool has grown.
    Output {
        /// From which host.
        host: &'a HostId,
        /// Of which run.
        run: &'a RunId,
    },
    /// The host waits.
    Waiting {
        /// Which host.
        host: &'a HostId,
        /// For what, in words.
        reason: &'a str,
    },
}

impl<'a> From<&'a Signal> for Progress<'a> {
    fn from(signal: &'a Signal) -> Self {
        match signal {
            Signal::Sent { host, bytes, total } => Self::Sent { host, bytes: *bytes, total: *total },
            Signal::Output { host, run } => Self::Output { host, run },
            Signal::Waiting { host, reason } => Self::Waiting { host, reason },
        }
    }
}

/// The end of a change for this process.
#[derive(Debug, Serialize)]
pub struct End<'a> {
    /// The change; null when it never began.
    pub change: Option<&'a ChangeId>,
    /// The fleet.
    pub fleet: Option<&'a FleetName>,
    /// The operation's name.
    pub operation: Option<&'static str>,
    /// The run whose output belongs to it: of the script, or of the bootstrap.
    pub run: Option<RunId>,
    /// `finished`, `aborted`, `superseded`, `shown`, `stopped`, `detached` or `halted`.
    pub end: &'static str,
    /// Why, for `aborted` and `halted`; by which change, for `superseded`.
    pub message: Option<String>,
    /// Hosts that the change concerns.
    pub total: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Settled hosts by result.
    pub results: BTreeMap<&'static str, u64>,
    /// How long this process was at it.
    pub elapsed_ms: u64,
    /// What the process ends with.
    pub exit_code: u8,
    /// Every host.
    pub hosts: Vec<EndHost<'a>>,
}

/// A host at the end of a change.
#[derive(Debug, Serialize)]
pub struct EndHost<'a> {
    /// The host.
    pub id: &'a HostId,
    /// The verdict's word; null when it was not settled.
    pub result: Option<&'static str>,
    /// The script's exit status, where it exited by itself.
    pub exit_code: Option<u8>,
    /// What there is to say beyond the result.
    pub message: Option<String>,
    /// The phase last recorded; null for operations that do not change it.
    pub phase: Option<Phase>,
    /// Standard output, where a script ran to its end.
    pub stdout: Option<Printed>,
    /// Standard error, where a script ran to its end.
    pub stderr: Option<Printed>,
}

/// One stream of output.
#[derive(Debug, Serialize)]
pub struct Printed {
    /// Length and SHA-256.
    #[serde(flatten)]
    pub output: Output,
    /// The file in the spool that holds it, byte for byte.
    pub path: String,
}

impl<'a> End<'a> {
    /// The end of the change that `fold` shows.
    pub fn new(fold: &'a Fold, ending: &Ending, spool: &FileSpool) -> Self {
        let run = fold.run();
        let hosts = fold
            .hosts()
            .into_iter()
            .map(|(id, state)| {
                let printed = |stream: Stream| {
                    let (end, run) = (state.output.as_ref()?, run.as_ref()?);
                    let output = match stream {
                        Stream::Stdout => end.stdout,
                        Stream::Stderr => end.stderr,
                    };
                    Some(Printed { output, path: spool.path(run, id, stream).into_string() })
                };
                EndHost {
                    id,
                    result: state.verdict.as_ref().map(airlift_core::decide::Verdict::word),
                    exit_code: state.verdict.as_ref().and_then(airlift_core::decide::Verdict::exit_code),
                    message: state.verdict.as_ref().and_then(airlift_core::decide::Verdict::message),
                    phase: state.phase,
                    stdout: printed(Stream::Stdout),
                    stderr: printed(Stream::Stderr),
                }
            })
            .collect();
        let counts = fold.counts();
        let (end, message) = how(&ending.how);
        Self {
            change: fold.change(),
            fleet: fold.began().map(|began| &began.fleet),
            operation: fold.operation().map(Operation::name),
            run,
            end,
            message,
            total: counts.hosts,
            succeeded: counts.succeeded,
            results: counts.words,
            elapsed_ms: u64::try_from(ending.elapsed.as_millis()).unwrap_or(u64::MAX),
            exit_code: ending.exit_code,
            hosts,
        }
    }
}

fn how(how: &How) -> (&'static str, Option<String>) {
    match how {
        How::Ended(ChangeEnd::Finished { .. }) => ("finished", None),
        How::Ended(ChangeEnd::Aborted { message }) => ("aborted", Some(message.clone())),
        How::Ended(ChangeEnd::Superseded { by }) => ("superseded", Some(by.to_string())),
        How::Ended(ChangeEnd::Shown { .. }) => ("shown", None),
        How::Stopped => ("stopped", None),
        How::Detached => ("detached", None),
        How::Halted { message } => ("halted", Some(message.clone())),
    }
}

/// The fleet.
#[derive(Debug, Serialize)]
pub struct StatusBody<'a> {
    /// The fleet.
    pub fleet: &'a FleetName,
    /// Its hosts in their natural order.
    pub instances: &'a [StatusRow],
}

/// What an operation would do.
#[derive(Debug, Serialize)]
pub struct PlanBody<'a> {
    /// The fleet.
    pub fleet: &'a FleetName,
    /// What it would cost, in words; null where that is not known.
    pub cost: Option<&'a str>,
    /// The actions in their order.
    pub actions: Vec<PlanAction<'a>>,
    /// How many there are of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// How many of them destroy something.
    pub destroys: u64,
    /// How each host is expected to come out.
    pub hosts: Vec<PlanHost<'a>>,
    /// Hosts that did not answer, and why: of what they need, the actions are the most.
    pub unseen: &'a BTreeMap<HostId, String>,
}

/// One action of a plan.
#[derive(Debug, Serialize)]
pub struct PlanAction<'a> {
    /// The host it acts on or for.
    pub host: &'a HostId,
    /// Its kind.
    pub kind: &'static str,
    /// It destroys something.
    pub destroys: bool,
    /// What it does, in words.
    pub line: String,
    /// All of it, as the event log would store it.
    pub action: &'a Action,
}

/// What is expected of one host.
#[derive(Debug, Serialize)]
pub struct PlanHost<'a> {
    /// The host.
    pub id: &'a HostId,
    /// The verdict's word.
    pub result: &'static str,
    /// What there is to say beyond it.
    pub message: Option<String>,
}

/// A plan. `cost` is empty where it is not known.
pub fn plan<'a>(plan: &'a Plan, fleet: &'a FleetName, cost: &'a str) -> Line<'a> {
    let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
    for action in &plan.actions {
        *kinds.entry(action.kind().name()).or_default() += 1;
    }
    let actions = plan
        .actions
        .iter()
        .map(|action| PlanAction {
            host: action.host(),
            kind: action.kind().name(),
            destroys: action.step().destroys(),
            line: action.step().plan_line(),
            action,
        })
        .collect();
    let mut hosts: Vec<PlanHost<'_>> = plan
        .verdicts
        .iter()
        .map(|(id, verdict)| PlanHost { id, result: verdict.word(), message: verdict.message() })
        .collect();
    hosts.sort_by_key(|host| host.id.sort_key());
    let cost = Some(cost).filter(|cost| !cost.is_empty());
    let destroys = plan.destroys().count() as u64;
    Line::new(Body::Plan(PlanBody { fleet, cost, actions, kinds, destroys, hosts, unseen: &plan.unseen }))
}

/// The line of `status`.
pub fn status<'a>(fleet: &'a FleetName, instances: &'a [StatusRow]) -> Line<'a> {
    Line::new(Body::Status(StatusBody { fleet, instances }))
}

/// The end of a change that did not begin, because every host is as it should be.
pub fn nothing_to_do<'a>(plan: &'a Plan, fleet: &'a FleetName, operation: &Operation, elapsed: Duration) -> Line<'a> {
    let mut hosts: Vec<EndHost<'a>> = plan
        .verdicts
        .iter()
        .map(|(id, verdict)| EndHost {
            id,
            result: Some(verdict.word()),
            exit_code: None,
            message: None,
            phase: Some(Phase::Ready),
            stdout: None,
            stderr: None,
        })
        .collect();
    hosts.sort_by_key(|host| host.id.sort_key());
    let total = hosts.len() as u64;
    Line::new(Body::End(End {
        change: None,
        fleet: Some(fleet),
        operation: Some(operation.name()),
        run: None,
        end: "finished",
        message: None,
        total,
        succeeded: total,
        results: BTreeMap::from([("succeeded", total)]),
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        exit_code: 0,
        hosts,
    }))
}

/// A line of `runs`.
pub fn run(row: &RunRow) -> Line<'_> {
    Line::new(Body::Run(row))
}

/// A line of `audit list`.
pub fn change<'a>(row: &'a ChangeRow<'a>) -> Line<'a> {
    Line::new(Body::Change(row))
}

/// A record, as in a change.
pub fn record(record: &Record) -> Line<'_> {
    Line::new(Body::Record(record))
}

fn to_string(line: &Line<'_>) -> String {
    text(line).expect("every key of these types is a string and none of their fields can fail")
}

/// Any value as one line, which holds nothing that a terminal could take for a command.
pub fn text(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value).map(|text| super::clean::json(&text))
}
