//! Events to record, logs to record them in, and the tampering that only tests do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};

use airlift_core::action::{
    Action, CancelRun, DeliverBundle, LaunchInstance, Outcome, RemoveAirlift, StageRun, StartRun, SwitchRelease,
    TerminateInstance,
};
use airlift_core::decide::Verdict;
use airlift_core::desired::{Desired, HostDesired, Limits, Origin, ReleaseDesired, SecretsDesired};
use airlift_core::event::{Actor, ChangeBegan, ChangeEnd, EVENT_VERSION, Entry, Event, Mode, Phase, Subject};
use airlift_core::history::{Failure, FailureClass};
use airlift_core::id::{ChangeId, Digest, HostId, RunId, Token};
use airlift_core::op::{Operation, Push, Run, Up};
use airlift_core::plan::Envelope;
use airlift_core::seen::{Exit, Id, Output, Pins, RunEnd};
use airlift_engine::log::{SqliteLog, Stamp};
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use proptest::prelude::*;

/// A folder for one log; it goes when it is dropped.
pub(crate) struct Folder {
    _kept: tempfile::TempDir,
    pub(crate) log: Utf8PathBuf,
    pub(crate) anchor: Utf8PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = Utf8Path::from_path(folder.path()).unwrap().join("state");
        Self { log: state.join("log.sqlite"), anchor: state.join("head"), _kept: folder }
    }

    pub(crate) fn state(&self) -> &Utf8Path {
        self.log.parent().unwrap()
    }

    pub(crate) fn open(&self) -> SqliteLog {
        SqliteLog::open_with(&self.log, ticking()).unwrap()
    }

    /// The database itself, for tampering: no trigger stands in the way.
    pub(crate) fn tamper(&self, sql: &str) {
        let log = rusqlite::Connection::open(&self.log).unwrap();
        let triggers = "SELECT group_concat(sql, ';') FROM sqlite_schema WHERE type = 'trigger'";
        let triggers: String = log.query_row(triggers, (), |row| row.get(0)).unwrap();
        let drop = "DROP TRIGGER events_are_not_changed; DROP TRIGGER events_are_not_deleted;";
        log.execute_batch(&format!("PRAGMA foreign_keys = OFF; {drop} {sql}; {triggers};")).unwrap();
    }
}

/// A clock that goes on by a second whenever it is asked.
pub(crate) fn ticking() -> Stamp {
    let seconds = AtomicI64::new(1_700_000_000);
    Box::new(move || Timestamp::from_second(seconds.fetch_add(1, Ordering::Relaxed)).unwrap())
}

pub(crate) fn change(n: u32) -> ChangeId {
    format!("c-test{n}").parse().unwrap()
}

pub(crate) fn host(n: u32) -> HostId {
    format!("web/{n}").parse().unwrap()
}

pub(crate) fn run_id(n: u32) -> RunId {
    format!("r-test{n}").parse().unwrap()
}

pub(crate) fn release(n: u32) -> Digest {
    Digest::of(&n.to_be_bytes())
}

pub(crate) fn entry(change_number: u32, subject: Option<u32>, event: Event) -> Entry {
    let subject = subject.map_or(Subject::Fleet, |number| Subject::Host(host(number)));
    Entry { change: change(change_number), subject, event }
}

fn desired(hosts: u32, with_release: Option<u32>) -> Desired {
    let one = |_| HostDesired {
        origin: Origin::Launched { max_lifetime_s: 3600 },
        labels: BTreeMap::new(),
        region: None,
        instance_type: None,
    };
    Desired {
        fleet: "hello-3f9a".parse().unwrap(),
        hosts: (1..=hosts).map(|number| (host(number), one(number))).collect(),
        program: Digest::of(b"host.sh"),
        release: with_release.map(|number| ReleaseDesired {
            release: release(number),
            bootstraps: true,
            services: BTreeSet::new(),
        }),
        secrets: SecretsDesired::default(),
        limits: Limits { boot_s: 300, reach_s: 60, upload_s: 600 },
    }
}

pub(crate) fn actor() -> Actor {
    Actor {
        user: "kim".to_owned(),
        machine: "laptop".to_owned(),
        pid: 4711,
        command: vec!["airlift".to_owned(), "up".to_owned()],
        airlift: "0.1.0".to_owned(),
    }
}

pub(crate) fn began(operation: Operation, mode: Mode) -> Event {
    Event::ChangeBegan(Box::new(ChangeBegan {
        version: EVENT_VERSION,
        fleet: "hello-3f9a".parse().unwrap(),
        operation,
        envelope: Envelope::default(),
        mode,
        actor: actor(),
        supersedes: Vec::new(),
    }))
}

pub(crate) fn up(hosts: u32, with_release: Option<u32>) -> Operation {
    Operation::Up(Up { desired: desired(hosts, with_release) })
}

pub(crate) fn run(number: u32, hosts: u32) -> Operation {
    Operation::Run(Run {
        run: run_id(number),
        desired: desired(hosts, None),
        hosts: (1..=hosts).map(host).collect(),
        instances: BTreeMap::new(),
        script: "deploy.sh".to_owned(),
        files: 2,
        payload: Digest::of(b"payload"),
        as_user: None,
        timeout_s: 60,
        upload_timeout_s: 60,
    })
}

pub(crate) fn intended(action: Action) -> Event {
    Event::Intended { action, attempt: 1, token: token() }
}

fn token() -> Token {
    "0123456789abcdef".parse().unwrap()
}

pub(crate) fn settled(verdict: Verdict) -> Event {
    Event::Settled { verdict, output: None }
}

pub(crate) fn run_end(code: u8) -> RunEnd {
    let output = Output { bytes: 3, sha256: Digest::of(b"abc") };
    RunEnd { exit: Exit::Code(code), stdout: output, stderr: output }
}

/// How many records [`history`] has.
pub(crate) const RECORDS: u64 = 35;

/// A log with several changes of several kinds.
pub(crate) fn history() -> Vec<Vec<Entry>> {
    let mut batches = vec![vec![entry(1, None, began(up(6, Some(1)), Mode::Apply))]];
    for number in 1..=6 {
        let launch = LaunchInstance { host: host(number), max_lifetime_s: 3600 };
        batches.push(vec![entry(1, Some(number), intended(launch.into()))]);
        let launched = Outcome::Launched { id: Id::Actual(format!("i-{number:04}")) };
        let pins = Pins { batch: Some(format!("ssh-ed25519 AAAA{number}")), own: None };
        batches.push(vec![
            entry(1, Some(number), Event::Succeeded { intent: u64::from(number) * 5 - 3, outcome: launched }),
            entry(1, Some(number), Event::Pinned { pins }),
            entry(1, Some(number), Event::Phase { phase: Phase::Ready, current: None }),
            entry(1, Some(number), settled(Verdict::SUCCEEDED)),
        ]);
    }
    let finished = ChangeEnd::Finished { hosts: [("succeeded".to_owned(), 6)].into() };
    batches.push(vec![entry(1, None, Event::ChangeEnded { end: finished })]);
    batches.push(vec![entry(2, None, began(run(1, 3), Mode::Apply))]);
    for number in 1..=2 {
        batches.push(vec![entry(
            2,
            Some(number),
            Event::Settled { verdict: Verdict::Succeeded { exit: Some(Exit::Code(0)) }, output: Some(run_end(0)) },
        )]);
    }
    batches
}

/// Any sequence of entries, sensible or not: numbers of intents may point anywhere.
pub(crate) fn entries() -> impl Strategy<Value = Vec<Vec<Entry>>> {
    let one =
        (1..5u32, prop::option::of(1..5u32), event()).prop_map(|(change, host, event)| entry(change, host, event));
    prop::collection::vec(prop::collection::vec(one, 1..4), 1..16)
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (operation(), any::<bool>())
            .prop_map(|(operation, dry)| began(operation, if dry { Mode::DryRun } else { Mode::Apply })),
        1 => Just(Event::ChangeResumed { actor: actor() }),
        1 => (1..5u32).prop_map(|by| Event::RunCancelled { by: change(by) }),
        6 => action().prop_map(intended),
        6 => (1..40u64, outcome()).prop_map(|(intent, outcome)| Event::Succeeded { intent, outcome }),
        1 => (1..40u64, "[a-z \"é]{0,12}").prop_map(|(intent, message)| Event::Failed {
            intent,
            failure: Failure { class: FailureClass::Transient, message }
        }),
        1 => (prop::option::of("[a-z ]{1,8}"), prop::option::of("[a-z ]{1,8}"))
            .prop_map(|(batch, own)| Event::Pinned { pins: Pins { batch, own } }),
        3 => (prop::sample::select(vec![Phase::Pending, Phase::Ready, Phase::Failed, Phase::Gone]), prop::option::of(0..3u32))
            .prop_map(|(phase, current)| Event::Phase { phase, current: current.map(release) }),
        3 => (verdict(), prop::option::of(0..3u8))
            .prop_map(|(verdict, code)| Event::Settled { verdict, output: code.map(run_end) }),
        2 => prop_oneof![
            Just(ChangeEnd::Finished { hosts: [("failed".to_owned(), 2)].into() }),
            Just(ChangeEnd::Aborted { message: "plan exceeded".to_owned() }),
            (1..5u32).prop_map(|by| ChangeEnd::Superseded { by: change(by) }),
            Just(ChangeEnd::Shown { actions: 7 }),
        ]
        .prop_map(|end| Event::ChangeEnded { end }),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (1..4u32, prop::option::of(1..3u32)).prop_map(|(hosts, release)| up(hosts, release)),
        (1..3u32).prop_map(|number| {
            Operation::Push(Push { desired: desired(2, Some(number)), hosts: [host(1)].into() })
        }),
        (1..3u32, 1..4u32).prop_map(|(number, hosts)| run(number, hosts)),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let script = || "deploy.sh".to_owned();
    (1..5u32, 1..3u32, 0..8u8).prop_map(move |(number, other, kind)| {
        let host = host(number);
        match kind {
            0 => LaunchInstance { host, max_lifetime_s: 60 }.into(),
            1 => TerminateInstance { host, lost: false }.into(),
            2 => SwitchRelease { host, to: Some(release(other)), from: None }.into(),
            3 => RemoveAirlift { host, fleet: "hello-3f9a".parse().unwrap() }.into(),
            4 => StartRun { host, run: run_id(other), script: script() }.into(),
            5 => CancelRun { host, run: run_id(other) }.into(),
            6 => StageRun { host, run: run_id(other), script: script(), files: 0, upload_timeout_s: 9 }.into(),
            _ => {
                DeliverBundle { host, release: release(other), replaces: None, bootstraps: false, timeout_s: 60 }.into()
            }
        }
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Done),
        1 => Just(Outcome::Found),
        1 => (0..9u32).prop_map(|n| Outcome::Launched { id: Id::Actual(format!("i-{n}")) }),
        1 => Just(Outcome::Sent { bytes: 12, pieces: 3 }),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::SUCCEEDED),
        Just(Verdict::Failed { exit: Some(Exit::Code(3)), message: "exit 3".to_owned() }),
        Just(Verdict::Interrupted { exit: Exit::Rebooted }),
        Just(Verdict::Cancelled),
        Just(Verdict::Unreachable { message: "timed out".to_owned() }),
    ]
}
