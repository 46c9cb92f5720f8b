//! Every operation against a simulated world that crashes, loses replies and shows stale reads, by seed.
//!
//! What is protected: once faults cease, a change ends in Done or an honest Abort; nothing ever happens twice; what is
//! driven to its end is what was desired.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "sim/chaos.rs"]
mod chaos;
#[path = "sim/later.rs"]
mod later;
#[path = "sim/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use airlift_core::desired::{Desired, HostDesired, Limits, Origin, ReleaseDesired, SecretsDesired};
use airlift_core::event::{Actor, ChangeEnd, Event};
use airlift_core::id::{ChangeId, Digest, FleetName, HostId, RunId};
use airlift_core::op::{Down, Operation, Run, Up};
use airlift_core::time::Moment;
use airlift_engine::clock::Clock;
use airlift_engine::drive::{Begin, Engine, Halt};
use airlift_engine::feed::Feed;
use airlift_engine::log::{EventLog, MemoryLog, Query};
use airlift_engine::spool::NullSpool;
use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::chaos::{Chaos, Odds};
use self::world::World;

/// Virtual time: the runtime's own, which jumps ahead when everything waits.
struct SimClock(tokio::time::Instant);

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Moment {
        Moment::from_millis(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span.max(Duration::from_millis(1))).await;
    }
}

struct Lab {
    world: World,
    log: Arc<MemoryLog>,
}

impl Lab {
    fn new(launches: bool, seed: u64, odds: Odds) -> Self {
        Self { world: World::new(launches, Arc::new(Chaos::new(seed, odds))), log: Arc::new(MemoryLog::default()) }
    }

    fn engine(&self) -> Engine {
        Engine {
            fleet: fleet(),
            ports: self.world.ports(),
            log: self.log.clone(),
            spool: Arc::new(NullSpool),
            clock: Arc::new(SimClock(tokio::time::Instant::now())),
            feed: Feed::new().0,
            concurrency: None,
        }
    }

    /// Plans, begins and drives; each time the process dies, another one resumes. Faults cease after a few deaths.
    async fn carry_out(&self, id: &str, operation: Operation) -> ChangeEnd {
        let id: ChangeId = id.parse().unwrap();
        let mut lives = 0;
        loop {
            lives += 1;
            if lives > 6 {
                self.world.chaos.cease();
            }
            let life = self.live(&id, &operation);
            let abort = life.abort_handle();
            tokio::select! {
                biased;
                () = self.world.chaos.died.notified() => abort.abort(),
                ended = life => match ended.unwrap() {
                    Ok(end) => return end,
                    Err(Halt::Look(_)) => {}
                    Err(halt) => panic!("{halt}"),
                },
                () = tokio::time::sleep(Duration::from_hours(1)) => panic!("no end after an hour"),
            }
        }
    }

    /// One process: it resumes the change, or plans and begins it, and drives it.
    fn live(&self, id: &ChangeId, operation: &Operation) -> JoinHandle<Result<ChangeEnd, Halt>> {
        self.world.chaos.revive();
        let (engine, id, operation) = (self.engine(), id.clone(), operation.clone());
        tokio::spawn(async move {
            let change = if let Some(change) = engine.resume(&id, actor()).await? {
                change
            } else {
                let envelope = engine.plan(&operation).await?.envelope();
                engine.begin(Begin { id, operation, envelope, actor: actor() }).await?
            };
            engine.drive(change, CancellationToken::new()).await
        })
    }

    /// One process that is killed after a while, wherever it is then.
    async fn cut_off(&self, id: &str, operation: &Operation, after: Duration) {
        let mut life = self.live(&id.parse().unwrap(), operation);
        tokio::select! {
            biased;
            () = self.world.chaos.died.notified() => {}
            () = tokio::time::sleep(after) => {}
            _ = &mut life => {}
        }
        life.abort();
    }

    async fn records(&self, id: &str) -> Vec<airlift_core::event::Record> {
        self.log.records(Query::change(id.parse().unwrap())).await.unwrap()
    }
}

fn fleet() -> FleetName {
    "sim".parse().unwrap()
}

fn actor() -> Actor {
    Actor {
        user: "tester".to_owned(),
        machine: "here".to_owned(),
        pid: 1,
        command: vec!["test".to_owned()],
        airlift: "0".to_owned(),
    }
}

fn host(number: u32) -> HostId {
    HostId::numbered(&"web".parse().unwrap(), number)
}

fn desired(hosts: u32, origin: &Origin) -> Desired {
    let hosts = (1..=hosts)
        .map(|n| {
            let desired =
                HostDesired { origin: origin.clone(), labels: BTreeMap::new(), region: None, instance_type: None };
            (host(n), desired)
        })
        .collect();
    Desired {
        fleet: fleet(),
        hosts,
        program: Digest::of(b"host.sh"),
        release: Some(ReleaseDesired { release: Digest::of(b"release"), bootstraps: true, services: BTreeSet::new() }),
        secrets: SecretsDesired { digest: Some("k".to_owned()), names: vec!["token".to_owned()] },
        limits: Limits { boot_s: 600, reach_s: 600, upload_s: 60 },
    }
}

fn launched(hosts: u32) -> Desired {
    desired(hosts, &Origin::Launched { max_lifetime_s: 3600 })
}

fn run(desired: Desired) -> (RunId, Operation) {
    let run: RunId = "r-sim1".parse().unwrap();
    let operation = Operation::Run(Run {
        run: run.clone(),
        hosts: desired.hosts.keys().cloned().collect(),
        desired,
        instances: BTreeMap::new(),
        script: "hello.sh".to_owned(),
        files: 0,
        payload: Digest::of(b"payload"),
        as_user: None,
        timeout_s: 60,
        upload_timeout_s: 60,
    });
    (run, operation)
}

fn all_succeeded(end: &ChangeEnd, hosts: u64) -> bool {
    matches!(end, ChangeEnd::Finished { hosts: counts } if counts.get("succeeded") == Some(&hosts) && counts.len() == 1)
}

/// Every host that settled did so with a recorded verdict, and every outcome belongs to a recorded intent before it.
fn is_well_recorded(records: &[airlift_core::event::Record]) {
    let mut open = BTreeSet::new();
    for record in records {
        match &record.event {
            Event::Intended { .. } => {
                open.insert(record.seq);
            }
            Event::Succeeded { intent, .. } => assert!(open.remove(intent), "an outcome without an intent"),
            Event::Failed { intent, .. } => assert!(open.contains(intent), "a failure without an intent"),
            _ => {}
        }
    }
}

/// Whether everything succeeded: faults may also lead to honest failures.
async fn whole_life(seed: u64, launches: bool, odds: Odds) -> bool {
    const HOSTS: u32 = 3;
    let lab = Lab::new(launches, seed, odds);
    let desired = if launches { launched(HOSTS) } else { desired(HOSTS, &Origin::Listed) };
    if !launches {
        (1..=HOSTS).for_each(|n| lab.world.add(&host(n)));
    }

    let end = lab.carry_out("c-up01", Operation::Up(Up { desired: desired.clone() })).await;
    is_well_recorded(&lab.records("c-up01").await);
    let honest = |end: &ChangeEnd| matches!(end, ChangeEnd::Finished { .. } | ChangeEnd::Aborted { .. });
    assert!(honest(&end), "{end:?}");
    {
        let world = lab.world.lock();
        let launches_of: Vec<_> = world.launched.iter().map(|(host, _)| host).collect();
        assert_eq!(launches_of.len(), launches_of.iter().collect::<BTreeSet<_>>().len(), "launched twice");
        for machine in world.machines.values() {
            assert!(machine.bootstraps.values().all(|count| *count == 1), "bootstrapped twice");
        }
        if all_succeeded(&end, u64::from(HOSTS)) {
            assert_eq!(world.machines.len(), HOSTS as usize);
            for machine in world.machines.values() {
                assert_eq!(machine.current, Some(Digest::of(b"release")));
                assert_eq!(machine.secrets.as_deref(), Some("k"));
                assert!(!launches || machine.key.starts_with("own "), "the batch key is still in use");
            }
        }
    }

    let came_up = all_succeeded(&end, u64::from(HOSTS));

    let (id, operation) = run(desired.clone());
    let end = lab.carry_out("c-run1", operation).await;
    is_well_recorded(&lab.records("c-run1").await);
    assert!(honest(&end), "{end:?}");
    for machine in lab.world.lock().machines.values() {
        let starts = machine.runs.get(&id).map_or(0, |run| run.starts);
        assert!(starts <= 1, "started {starts} times");
    }

    let ran = all_succeeded(&end, u64::from(HOSTS));
    let hosts = desired.hosts.keys().map(|host| (host.clone(), launches)).collect();
    let down = Down { fleet: fleet(), hosts, program: desired.program, reach_s: 600 };
    let end = lab.carry_out("c-down", Operation::Down(down)).await;
    assert!(honest(&end), "{end:?}");
    if launches && all_succeeded(&end, u64::from(HOSTS)) {
        assert!(lab.world.lock().machines.is_empty(), "an instance outlived down");
    }
    came_up && ran && all_succeeded(&end, u64::from(HOSTS))
}

/// Runs `life` in virtual time.
fn in_virtual_time<T>(life: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(life)
}

/// Lives under each kind of misfortune. Each tells whether all of it succeeded: honest failures are allowed; were they the
/// rule, this would test nothing.
fn by_seed<L: Future<Output = bool>>(seeds: u64, life: impl Fn(u64, Odds) -> L + std::panic::RefUnwindSafe) {
    let mut successes = 0;
    for seed in 0..seeds {
        let odds = match seed % 3 {
            0 => Odds { fail: 60, lose: 60, die: 20, stale: 200 },
            1 => Odds { fail: 0, lose: 0, die: 60, stale: 0 },
            _ => Odds { fail: 20, lose: 120, die: 0, stale: 400 },
        };
        let outcome = std::panic::catch_unwind(|| in_virtual_time(life(seed, odds)));
        successes += u64::from(outcome.unwrap_or_else(|_| panic!("seed {seed}")));
    }
    assert!(successes > seeds * 8 / 10, "only {successes} of {seeds} lives succeeded as a whole");
}

#[test]
fn without_faults_everything_succeeds_and_is_planned() {
    in_virtual_time(async {
        let lab = Lab::new(true, 1, Odds::default());
        let up = Operation::Up(Up { desired: launched(5) });
        let plan = lab.engine().plan(&up).await.unwrap();
        let end = lab.carry_out("c-up01", up.clone()).await;
        assert!(all_succeeded(&end, 5), "{end:?}");
        let intended =
            lab.records("c-up01").await.iter().filter(|record| matches!(record.event, Event::Intended { .. })).count();
        assert_eq!(plan.actions.len(), intended, "the plan and what was done differ");
        let again = lab.engine().plan(&up).await.unwrap();
        assert!(again.is_empty(), "a second up would do: {:?}", again.actions);
    });
}

#[test]
fn crashes_lost_replies_and_stale_reads_never_make_anything_happen_twice() {
    const SEEDS: u64 = 1500;
    by_seed(SEEDS, |seed, odds| whole_life(seed, seed % 2 == 0, odds));
}

#[test]
fn an_action_that_the_plan_does_not_name_stops_the_change() {
    in_virtual_time(async {
        let lab = Lab::new(true, 1, Odds::default());
        let operation = Operation::Up(Up { desired: launched(2) });
        let mut envelope = lab.engine().plan(&operation).await.unwrap().envelope();
        envelope.lines.retain(|line| line.kind != airlift_core::action::Kind::DeliverBundle);
        let engine = lab.engine();
        let id: ChangeId = "c-envl".parse().unwrap();
        let change = engine.begin(Begin { id, operation, envelope, actor: actor() }).await.unwrap();
        let end = engine.drive(change, CancellationToken::new()).await.unwrap();
        assert!(matches!(&end, ChangeEnd::Aborted { message } if message.contains("deliver_bundle")), "{end:?}");
    });
}

/// Counts decisions: one host's progress must not make the others be decided for again.
#[test]
fn looks_grow_linearly_with_the_number_of_hosts() {
    fn calls(hosts: u32) -> usize {
        let count = Arc::new(AtomicUsize::new(0));
        let seen = count.clone();
        in_virtual_time(async move {
            let lab = Lab::new(false, 1, Odds::default());
            (1..=hosts).for_each(|n| lab.world.add(&host(n)));
            tokio::time::sleep(Duration::from_secs(10)).await;
            let (_, operation) = run(desired(hosts, &Origin::Listed));
            let end = lab.carry_out("c-run1", operation).await;
            assert!(all_succeeded(&end, u64::from(hosts)), "{end:?}");
            seen.store(lab.world.chaos.calls(), Ordering::SeqCst);
        });
        count.load(Ordering::SeqCst)
    }
    let (few, many) = (calls(10), calls(100));
    assert!(many <= few * 11, "10 hosts took {few} calls, 100 took {many}");
}
