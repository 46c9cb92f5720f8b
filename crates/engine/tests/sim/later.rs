//! What comes after a fleet is up, under the same misfortunes: pushes, cancelled runs, undoing, an `up` in another's place.

use airlift_core::op::{Cancel, Push, undo};

use super::*;

const HOSTS: u32 = 3;

/// The same fleet with another release and other secrets.
fn edited(desired: &Desired) -> Desired {
    Desired {
        release: desired.release.clone().map(|release| ReleaseDesired { release: Digest::of(b"edited"), ..release }),
        secrets: SecretsDesired { digest: Some("k2".to_owned()), names: vec!["token".to_owned()] },
        ..desired.clone()
    }
}

/// A fleet of listed machines that is up.
async fn up(seed: u64, odds: Odds) -> Option<(Lab, Desired)> {
    let lab = Lab::new(false, seed, odds);
    (1..=HOSTS).for_each(|n| lab.world.add(&host(n)));
    let desired = desired(HOSTS, &Origin::Listed);
    let end = lab.carry_out("c-up01", Operation::Up(Up { desired: desired.clone() })).await;
    lab.world.chaos.resume(odds);
    all_succeeded(&end, u64::from(HOSTS)).then_some((lab, desired))
}

impl Lab {
    /// Drives a change to its end, which is an honest one, and recorded well.
    async fn ends(&self, id: &str, operation: Operation) -> bool {
        let hosts = u64::try_from(hosts_of(&operation)).unwrap();
        let end = self.carry_out(id, operation).await;
        is_well_recorded(&self.records(id).await);
        assert!(matches!(end, ChangeEnd::Finished { .. } | ChangeEnd::Aborted { .. }), "{id}: {end:?}");
        all_succeeded(&end, hosts)
    }

    /// Takes a change back as far as it got.
    async fn undo(&self, id: &str) -> bool {
        let undoing = undo(&id.parse().unwrap(), &self.records(id).await, Digest::of(b"host.sh"), 600);
        if undoing.undo.hosts.is_empty() { true } else { self.ends("c-undo", Operation::Undo(undoing.undo)).await }
    }

    fn each(&self, check: impl FnMut(&world::Machine)) {
        self.world.lock().machines.values().for_each(check);
    }
}

fn hosts_of(operation: &Operation) -> usize {
    match operation {
        Operation::Up(up) => up.desired.hosts.len(),
        Operation::Push(push) => push.hosts.len(),
        Operation::Run(run) => run.hosts.len(),
        Operation::Cancel(cancel) => cancel.hosts.len(),
        Operation::Down(down) => down.hosts.len(),
        Operation::Undo(undo) => undo.hosts.len(),
    }
}

fn bootstrapped_once(machine: &world::Machine) {
    assert!(machine.bootstraps.values().all(|count| *count == 1), "bootstrapped twice: {:?}", machine.bootstraps);
}

#[test]
fn a_push_is_what_is_wanted_and_its_undo_what_was_there_before() {
    by_seed(300, |seed, odds| async move {
        let Some((lab, desired)) = up(seed, odds).await else { return false };
        let wanted = edited(&desired);
        let hosts: BTreeSet<HostId> = desired.hosts.keys().cloned().collect();
        let pushed = lab.ends("c-push", Operation::Push(Push { desired: wanted, hosts })).await;
        lab.each(|machine| {
            bootstrapped_once(machine);
            if pushed {
                assert_eq!((machine.current, machine.secrets.as_deref()), (Some(Digest::of(b"edited")), Some("k2")));
            }
        });
        lab.world.chaos.resume(odds);
        let undone = lab.undo("c-push").await;
        lab.each(|machine| {
            bootstrapped_once(machine);
            if undone {
                assert_eq!(machine.current, Some(Digest::of(b"release")));
            }
        });
        pushed && undone
    });
}

#[test]
fn a_run_that_is_cancelled_wherever_it_is_has_ended_everywhere_and_never_starts_later() {
    by_seed(300, |seed, odds| async move {
        let Some((lab, desired)) = up(seed, odds).await else { return false };
        let (id, operation) = run(desired.clone());
        let cut = Duration::from_millis(lab.world.chaos.below(4000));
        lab.cut_off("c-run1", &operation, cut).await;
        let hosts = desired.hosts.keys().cloned().collect();
        let cancel = Cancel { run: id.clone(), hosts, program: desired.program, reach_s: 600 };
        let cancelled = lab.ends("c-canc", Operation::Cancel(cancel)).await;
        lab.each(|machine| {
            let goes_on = machine.runs.get(&id).is_some_and(world::SimRun::goes_on);
            assert!(!(cancelled && goes_on), "it goes on though it was cancelled");
        });
        lab.world.chaos.resume(odds);
        lab.carry_out("c-run1", operation).await;
        is_well_recorded(&lab.records("c-run1").await);
        lab.each(|machine| {
            let starts = machine.runs.get(&id).map_or(0, |run| run.starts);
            assert!(starts <= 1, "started {starts} times");
        });
        cancelled
    });
}

#[test]
fn undoing_an_up_wherever_it_was_cut_off_leaves_no_instance() {
    by_seed(300, |seed, odds| async move {
        let lab = Lab::new(true, seed, odds);
        let cut = Duration::from_millis(lab.world.chaos.below(12_000));
        lab.cut_off("c-up01", &Operation::Up(Up { desired: launched(HOSTS) }), cut).await;
        let undone = lab.undo("c-up01").await;
        if undone {
            let left: Vec<HostId> = lab.world.lock().machines.keys().cloned().collect();
            assert!(left.is_empty(), "{left:?} outlived the undo");
        }
        undone
    });
}

#[test]
fn an_up_in_the_place_of_one_that_was_cut_off_launches_and_bootstraps_nothing_twice() {
    by_seed(300, |seed, odds| async move {
        let lab = Lab::new(true, seed, odds);
        let cut = Duration::from_millis(lab.world.chaos.below(12_000));
        lab.cut_off("c-up01", &Operation::Up(Up { desired: launched(HOSTS) }), cut).await;
        let wanted = edited(&launched(HOSTS + 1));
        let came_up = lab.ends("c-up02", Operation::Up(Up { desired: wanted })).await;
        lab.each(bootstrapped_once);
        if came_up {
            assert_eq!(lab.world.lock().machines.len(), HOSTS as usize + 1);
            lab.each(|machine| assert_eq!(machine.current, Some(Digest::of(b"edited"))));
        }
        let first = lab.log.change(&"c-up01".parse().unwrap()).await.unwrap();
        assert!(first.is_none_or(|row| row.ended.is_some()), "the first one could still be resumed");
        came_up
    });
}

#[test]
fn a_run_that_was_cut_off_is_lost_on_machines_that_are_replaced_and_starts_on_no_other() {
    by_seed(300, |seed, odds| async move {
        // Misfortune is the run's: the fleet comes up and is replaced without.
        let lab = Lab::new(true, seed, Odds::default());
        let desired = launched(HOSTS);
        let first = lab.ends("c-up01", Operation::Up(Up { desired: desired.clone() })).await;
        lab.world.chaos.resume(odds);
        let (id, operation) = run(desired.clone());
        let cut = Duration::from_millis(lab.world.chaos.below(4000));
        lab.cut_off("c-run1", &operation, cut).await;
        let settled = settled(&lab.records("c-run1").await);
        lab.world.chaos.cease();
        let hosts = desired.hosts.keys().map(|host| (host.clone(), true)).collect();
        let down = Down { fleet: fleet(), hosts, program: desired.program, reach_s: 600 };
        assert!(lab.ends("c-down", Operation::Down(down)).await && first);
        if lab.records("c-run1").await.is_empty() {
            // It was killed before it began: what begins now is for the machines of now.
            return true;
        }
        assert!(lab.ends("c-up02", Operation::Up(Up { desired })).await);
        lab.world.chaos.resume(odds);
        lab.carry_out("c-run1", operation).await;
        let records = lab.records("c-run1").await;
        is_well_recorded(&records);
        lab.each(|machine| assert!(!machine.runs.contains_key(&id), "it came to a machine that it was not meant for"));
        let later = records.iter().filter_map(|record| match &record.event {
            Event::Settled { verdict, .. } if !settled.contains(&record.subject) => Some(verdict.word()),
            _ => None,
        });
        later.for_each(|word| assert_eq!(word, "lost"));
        true
    });
}

fn settled(records: &[airlift_core::event::Record]) -> Vec<airlift_core::event::Subject> {
    let settled = records.iter().filter(|record| matches!(record.event, Event::Settled { .. }));
    settled.map(|record| record.subject.clone()).collect()
}
