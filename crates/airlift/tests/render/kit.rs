//! Stories for renderers: changes of any size, host by host, with their output in a real spool.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use airlift::render::{Ending, How, Renderer};
use airlift_core::action::{Action, DeliverBundle, InstallProgram, LaunchInstance, Outcome, StageRun, StartRun};
use airlift_core::change::Change;
use airlift_core::decide::Verdict;
use airlift_core::desired::{Desired, HostDesired, Limits, Origin, ReleaseDesired, SecretsDesired};
use airlift_core::event::{Actor, ChangeBegan, ChangeEnd, EVENT_VERSION, Event, Mode, Phase, Record, Subject};
use airlift_core::history::{Failure, FailureClass};
use airlift_core::id::{ChangeId, Digest, HostId, RunId, Token};
use airlift_core::op::{Operation, Run, Up};
use airlift_core::plan::Envelope;
use airlift_core::seen::{Exit, Output, RunEnd};
use airlift_core::time::Moment;
use airlift_engine::feed::Signal;
use airlift_engine::spool::{FileSpool, Stream};
use jiff::Timestamp;
use tempfile::TempDir;

/// What is written, to be read by the test.
#[derive(Clone, Default)]
pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One thing that happens to a host.
pub(crate) enum Step {
    Intend(Action),
    Succeed(Outcome),
    Fail(FailureClass, &'static str),
    Phase(Phase),
    Sent(u64, u64),
    Wait(&'static str),
    Print(Stream, Vec<u8>),
    Settle(Verdict),
}

/// A change in which something happens to each of its hosts.
pub(crate) struct Story {
    _dir: TempDir,
    pub(crate) spool: FileSpool,
    pub(crate) change: ChangeId,
    pub(crate) operation: Operation,
    pub(crate) run: RunId,
    /// Signals get lost, all of them.
    pub(crate) deaf: bool,
    steps: BTreeMap<u32, VecDeque<Step>>,
    intents: BTreeMap<u32, u64>,
    verdicts: Vec<Verdict>,
    seq: u64,
}

pub(crate) fn host(number: u32) -> HostId {
    format!("web/{number}").parse().unwrap()
}

pub(crate) fn desired(hosts: u32, bootstraps: bool) -> Desired {
    let one = || HostDesired {
        origin: Origin::Launched { max_lifetime_s: 3600 },
        labels: BTreeMap::new(),
        region: None,
        instance_type: None,
    };
    Desired {
        fleet: "hello-3f9a".parse().unwrap(),
        hosts: (1..=hosts).map(|n| (host(n), one())).collect(),
        program: Digest::of(b"host.sh"),
        release: Some(ReleaseDesired { release: Digest::of(b"release"), bootstraps, services: [].into() }),
        secrets: SecretsDesired::default(),
        limits: Limits { boot_s: 300, reach_s: 60, upload_s: 600 },
    }
}

impl Story {
    fn new(operation: Operation, run: RunId, steps: BTreeMap<u32, VecDeque<Step>>) -> Self {
        // Thousands of small files: in memory, where the system has a folder for that.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let spool = FileSpool::new(camino::Utf8PathBuf::try_from(dir.path().to_owned()).unwrap());
        Self {
            _dir: dir,
            spool,
            change: "c-0k3f9x2a".parse().unwrap(),
            operation,
            run,
            deaf: false,
            steps,
            intents: BTreeMap::new(),
            verdicts: Vec::new(),
            seq: 0,
        }
    }

    /// A script on `hosts` hosts. Some fail, some are lost, one prints what no terminal should see.
    pub(crate) fn run(hosts: u32) -> Self {
        let run: RunId = "r-7p2m4q8z".parse().unwrap();
        let steps = (1..=hosts).map(|n| (n, script(n, hosts, &run))).collect();
        let operation = Operation::Run(Run {
            run: run.clone(),
            desired: desired(hosts, false),
            hosts: (1..=hosts).map(host).collect(),
            instances: BTreeMap::new(),
            script: "setup.sh".to_owned(),
            files: 2,
            payload: Digest::of(b"payload"),
            as_user: None,
            timeout_s: 600,
            upload_timeout_s: 600,
        });
        Self::new(operation, run, steps)
    }

    /// A fleet of `hosts` hosts comes up. Some bootstraps fail, some hosts do not answer.
    pub(crate) fn up(hosts: u32) -> Self {
        let run = RunId::bootstrap_of(&Digest::of(b"release"));
        let steps = (1..=hosts).map(|n| (n, bootstrap(n, hosts))).collect();
        Self::new(Operation::Up(Up { desired: desired(hosts, true) }), run, steps)
    }

    /// A change on one host that goes as told.
    pub(crate) fn of(operation: Operation, run: &str, steps: Vec<Step>) -> Self {
        Self::new(operation, run.parse().unwrap(), [(1, steps.into())].into())
    }

    pub(crate) fn began(&self) -> ChangeBegan {
        ChangeBegan {
            version: EVENT_VERSION,
            fleet: "hello-3f9a".parse().unwrap(),
            operation: self.operation.clone(),
            envelope: Envelope::default(),
            mode: Mode::Apply,
            actor: Actor {
                user: "ada".to_owned(),
                machine: "laptop".to_owned(),
                pid: 4711,
                command: vec!["airlift".to_owned(), self.operation.name().to_owned()],
                airlift: "0.1.0".to_owned(),
            },
            supersedes: Vec::new(),
        }
    }

    pub(crate) fn record(&mut self, subject: Subject, event: Event) -> Record {
        self.seq += 1;
        Record {
            seq: self.seq,
            at: Timestamp::from_second(1_800_000_000 + i64::try_from(self.seq).unwrap()).unwrap(),
            change: self.change.clone(),
            subject,
            event,
            hash: Digest::of(&self.seq.to_be_bytes()),
        }
    }

    pub(crate) fn take_up(&self, renderer: &mut dyn Renderer) {
        renderer.take_up(&Change::new(self.change.clone(), self.began()));
    }

    /// From the beginning to about the middle: some hosts are further than others.
    pub(crate) fn begin(&mut self, renderer: &mut dyn Renderer) {
        self.take_up(renderer);
        let began = self.record(Subject::Fleet, Event::ChangeBegan(Box::new(self.began())));
        renderer.record(&began);
        renderer.tick(Moment::from_millis(1000));
        let hosts: Vec<u32> = self.steps.keys().copied().collect();
        for n in hosts {
            let (number, steps) = (usize::try_from(n).unwrap(), self.steps[&n].len());
            for _ in 0..(number * 7 + number / 9) % (steps + 1) {
                self.step(n, renderer);
            }
        }
        renderer.tick(Moment::from_millis(2000));
    }

    /// All that is left, every host in turn.
    pub(crate) fn go_on(&mut self, renderer: &mut dyn Renderer) {
        let hosts: Vec<u32> = self.steps.keys().copied().collect();
        let mut now = 2000;
        while self.steps.values().any(|steps| !steps.is_empty()) {
            for n in &hosts {
                self.step(*n, renderer);
            }
            now += 150;
            renderer.tick(Moment::from_millis(now));
        }
    }

    pub(crate) fn end(&mut self, renderer: &mut dyn Renderer) {
        let mut hosts: BTreeMap<String, u64> = BTreeMap::new();
        for verdict in &self.verdicts {
            *hosts.entry(verdict.word().to_owned()).or_default() += 1;
        }
        let end = ChangeEnd::Finished { hosts };
        let record = self.record(Subject::Fleet, Event::ChangeEnded { end: end.clone() });
        renderer.record(&record);
        renderer.finish(&ending(How::Ended(end)));
    }

    pub(crate) fn play(&mut self, renderer: &mut dyn Renderer) {
        self.begin(renderer);
        self.go_on(renderer);
        self.end(renderer);
    }

    /// The next thing that happens to a host.
    pub(crate) fn step(&mut self, n: u32, renderer: &mut dyn Renderer) {
        let Some(step) = self.steps.get_mut(&n).and_then(VecDeque::pop_front) else { return };
        let id = host(n);
        let event = match step {
            Step::Intend(action) => {
                let token: Token = format!("token-{n}").parse().unwrap();
                let record = self.record(Subject::Host(id), Event::Intended { action, attempt: 1, token });
                self.intents.insert(n, record.seq);
                return renderer.record(&record);
            }
            Step::Succeed(outcome) => Event::Succeeded { intent: self.intents[&n], outcome },
            Step::Fail(class, message) => {
                Event::Failed { intent: self.intents[&n], failure: Failure { class, message: message.to_owned() } }
            }
            Step::Phase(phase) => Event::Phase { phase, current: None },
            Step::Settle(verdict) => {
                self.verdicts.push(verdict.clone());
                let exit = match &verdict {
                    Verdict::Succeeded { .. } => Some(Exit::Code(0)),
                    Verdict::Failed { exit, .. } => *exit,
                    Verdict::Interrupted { exit } => Some(*exit),
                    _ => None,
                };
                let output = exit.map(|exit| self.printed(&id, exit));
                Event::Settled { verdict, output }
            }
            Step::Sent(bytes, total) => return renderer.signal(&Signal::Sent { host: id, bytes, total: Some(total) }),
            Step::Wait(reason) => {
                return renderer.signal(&Signal::Waiting { host: id, reason: reason.to_owned() });
            }
            Step::Print(stream, bytes) => {
                self.spooled(&id, stream, &bytes);
                if !self.deaf {
                    renderer.signal(&Signal::Output { host: id, run: self.run.clone() });
                }
                return;
            }
        };
        let record = self.record(Subject::Host(id), event);
        renderer.record(&record);
    }

    /// Adds to the spool, as a follower would.
    pub(crate) fn spooled(&self, host: &HostId, stream: Stream, bytes: &[u8]) {
        let path = self.spool.path(&self.run, host, stream);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }

    pub(crate) fn printed(&self, host: &HostId, exit: Exit) -> RunEnd {
        let read = |stream| {
            let bytes = std::fs::read(self.spool.path(&self.run, host, stream)).unwrap_or_default();
            Output { bytes: bytes.len() as u64, sha256: Digest::of(&bytes) }
        };
        RunEnd { exit, stdout: read(Stream::Stdout), stderr: read(Stream::Stderr) }
    }
}

pub(crate) fn ending(how: How) -> Ending {
    let exit_code = match &how {
        How::Ended(end) if end.failed_of_all().0 == 0 => 0,
        How::Ended(_) => 3,
        _ => 130,
    };
    Ending { how, elapsed: Duration::from_millis(4_200), exit_code }
}

fn script(n: u32, hosts: u32, run: &RunId) -> VecDeque<Step> {
    let (id, script) = (host(n), "setup.sh".to_owned());
    if n % 10 == 9 {
        return [
            Step::Wait("a session: connect to 10.0.0.9:22: no route to host"),
            Step::Settle(Verdict::Unreachable { message: "connect to 10.0.0.9:22: no route to host".to_owned() }),
        ]
        .into();
    }
    let stage =
        StageRun { host: id.clone(), run: run.clone(), script: script.clone(), files: 2, upload_timeout_s: 600 };
    let start = StartRun { host: id, run: run.clone(), script };
    let mut steps: VecDeque<Step> = [
        Step::Intend(stage.into()),
        Step::Sent(1_000_000, 4_000_000),
        Step::Sent(3_000_000, 4_000_000),
        Step::Succeed(Outcome::Sent { bytes: 4_000_000, pieces: 0 }),
        Step::Intend(start.into()),
        Step::Succeed(Outcome::Done),
        Step::Wait("the script to end"),
        Step::Print(Stream::Stdout, format!("hello from web/{n}\nhalf a li").into_bytes()),
        Step::Print(Stream::Stdout, b"ne\n".to_vec()),
    ]
    .into();
    match n % 20 {
        2 => {
            steps.push_back(Step::Print(Stream::Stdout, b"\x1b[2J\x1b]0;owned\x07 not \xff\xfe UTF-8\n".to_vec()));
            steps.push_back(Step::Print(Stream::Stderr, b"tab\there, end missing".to_vec()));
            let exit = Some(Exit::Code(3));
            steps.push_back(Step::Settle(Verdict::Failed { exit, message: "exit 3".to_owned() }));
        }
        5 => steps.push_back(Step::Settle(Verdict::Interrupted { exit: Exit::Rebooted })),
        14 => steps.push_back(Step::Settle(Verdict::Lost {
            message: "the script was started, then the host was lost: connection reset\nby peer".to_owned(),
        })),
        16 if hosts < 100 => steps.push_back(Step::Settle(Verdict::Failed {
            exit: Some(Exit::TimedOut),
            message: "it ran longer than 600 s and was killed".to_owned(),
        })),
        _ => steps.push_back(Step::Settle(Verdict::Succeeded { exit: Some(Exit::Code(0)) })),
    }
    steps
}

fn bootstrap(n: u32, hosts: u32) -> VecDeque<Step> {
    let id = host(n);
    let desired = desired(hosts, true);
    let release = Digest::of(b"release");
    let mut steps: VecDeque<Step> = [
        Step::Phase(Phase::Requested),
        Step::Intend(LaunchInstance { host: id.clone(), max_lifetime_s: 3600 }.into()),
        Step::Succeed(Outcome::Done),
        Step::Phase(Phase::Running),
        Step::Wait("a session: connection refused"),
        Step::Phase(Phase::Reachable),
    ]
    .into();
    if n % 20 == 9 {
        steps.truncate(5);
        steps.push_back(Step::Settle(Verdict::Unreachable { message: "connection refused".to_owned() }));
        return steps;
    }
    let install = InstallProgram { host: id.clone(), fleet: desired.fleet, program: desired.program, fresh: true };
    let deliver = DeliverBundle { host: id, release, replaces: None, bootstraps: true, timeout_s: 600 };
    let rest = [
        Step::Intend(install.into()),
        Step::Succeed(Outcome::Done),
        Step::Intend(deliver.clone().into()),
        Step::Sent(12_400, 24_800),
        Step::Fail(FailureClass::Transient, "the connection was reset"),
        Step::Intend(deliver.into()),
        Step::Sent(20_000, 24_800),
        Step::Succeed(Outcome::Sent { bytes: 24_800, pieces: 3 }),
        Step::Phase(Phase::Staged),
        Step::Wait("the bootstrap to end"),
        Step::Print(Stream::Stdout, b"installing nginx\n".to_vec()),
        Step::Print(Stream::Stderr, b"warning: no swap\n".to_vec()),
    ];
    steps.extend(rest);
    if n % 20 == 2 {
        steps.push_back(Step::Print(Stream::Stderr, b"E: \x1b[31munable to locate package\x1b[0m nginxx\n".to_vec()));
        steps.push_back(Step::Phase(Phase::Failed));
        let message = "the bootstrap failed (exit 100); see `airlift logs boot-a4fd8205b5a3a1e8`".to_owned();
        steps.push_back(Step::Settle(Verdict::Failed { exit: Some(Exit::Code(100)), message }));
    } else {
        steps.push_back(Step::Phase(Phase::Ready));
        steps.push_back(Step::Settle(Verdict::SUCCEEDED));
    }
    steps
}
