//! Decisions as functions: what an operation does next, given what is seen and what was done before.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use airlift_core::action::{Action, Kind, Left, Outcome, StartRun, SwitchRelease};
use airlift_core::decide::{Next, On, Verdict};
use airlift_core::desired::{Desired, HostDesired, Limits, Origin, ReleaseDesired, SecretsDesired};
use airlift_core::event::{Event, Phase, Record, Subject};
use airlift_core::history::{Act, ActState, Failure, FailureClass, History, Turn};
use airlift_core::id::{ChangeId, Digest, HostId, RunId};
use airlift_core::op::{Operation, Push, Run, Undo, UndoStep, Up, undo};
use airlift_core::plan::plan;
use airlift_core::seen::{
    Address, Exit, HostFacts, HostSeen, Id, InstanceSeen, InstanceState, Login, Output, Pins, RunEnd, RunSeen, Watcher,
};
use airlift_core::time::Moment;

const NOW: Moment = Moment::from_millis(1_000_000);

fn host() -> HostId {
    "web/1".parse().unwrap()
}

fn release() -> Digest {
    Digest::of(b"release")
}

fn desired(origin: Origin) -> Desired {
    let one = HostDesired { origin, labels: BTreeMap::new(), region: None, instance_type: None };
    Desired {
        fleet: "demo".parse().unwrap(),
        hosts: BTreeMap::from([(host(), one)]),
        program: Digest::of(b"host.sh"),
        release: Some(ReleaseDesired {
            release: release(),
            bootstraps: true,
            services: BTreeSet::from(["web.service".to_owned()]),
        }),
        secrets: SecretsDesired { digest: Some("k".to_owned()), names: vec!["token".to_owned()] },
        limits: Limits { boot_s: 300, reach_s: 30, upload_s: 60 },
    }
}

fn up() -> Operation {
    Operation::Up(Up { desired: desired(Origin::Launched { max_lifetime_s: 60 }) })
}

fn running() -> HostSeen {
    HostSeen {
        instance: Some(InstanceSeen {
            id: Id::Actual("i-1".to_owned()),
            state: InstanceState::Running,
            address: Some(Address { host: "127.0.0.1".to_owned(), port: 22 }),
            token: None,
        }),
        pins: Pins { batch: Some("batch".to_owned()), own: None },
        ..HostSeen::default()
    }
}

/// A host at which everything has been done, to be taken back from.
fn ready() -> HostSeen {
    let facts = HostFacts {
        program: Some(Digest::of(b"host.sh")),
        identity: Some(("demo".parse().unwrap(), host())),
        watcher: Watcher::Systemd,
        current: Some(release()),
        releases: BTreeSet::from([release()]),
        secrets: Some("k".to_owned()),
        bootstrap: Some(exited(Exit::Code(0))),
        services: BTreeMap::from([("web.service".to_owned(), "active".to_owned())]),
        ..HostFacts::default()
    };
    HostSeen { login: Login::In(Box::new(facts)), pins: Pins { batch: None, own: Some("own".to_owned()) }, ..running() }
}

fn exited(exit: Exit) -> RunSeen {
    let nothing = Output { bytes: 0, sha256: Digest::of(b"") };
    RunSeen::Exited { token: "t".parse().unwrap(), end: RunEnd { exit, stdout: nothing, stderr: nothing } }
}

fn next(operation: &Operation, seen: &HostSeen) -> Next<Verdict> {
    operation.host_next(&host(), seen, &History::beginning(NOW), NOW)
}

fn kinds(next: &Next<Verdict>) -> Vec<Kind> {
    match next {
        Next::Do(actions) => actions.iter().map(Action::kind).collect(),
        other => panic!("{other:?}"),
    }
}

fn change(seen: &HostSeen, edit: impl FnOnce(&mut HostFacts)) -> HostSeen {
    let mut seen = seen.clone();
    edit(seen.facts_mut().unwrap());
    seen
}

fn run() -> Run {
    Run {
        run: "r-0k3f9x2a".parse().unwrap(),
        desired: desired(Origin::Listed),
        hosts: BTreeSet::from([host()]),
        instances: BTreeMap::new(),
        script: "s".to_owned(),
        files: 0,
        payload: Digest::of(b"payload"),
        as_user: None,
        timeout_s: 60,
        upload_timeout_s: 60,
    }
}

#[test]
fn a_run_is_for_the_machines_that_it_began_with_and_for_no_others() {
    let mine = || Run {
        desired: desired(Origin::Launched { max_lifetime_s: 60 }),
        instances: BTreeMap::from([(host(), "i-1".to_owned())]),
        ..run()
    };
    let told = |run: Run, seen: HostSeen| match next(&Operation::Run(run), &seen) {
        Next::Done(Verdict::Lost { message }) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(kinds(&next(&Operation::Run(mine()), &ready())), [Kind::StageRun, Kind::StartRun]);
    let other = |seen: &HostSeen, edit: fn(&mut InstanceSeen)| {
        let mut seen = seen.clone();
        edit(seen.instance.as_mut().unwrap());
        seen
    };
    let replaced = other(&ready(), |instance| instance.id = Id::Actual("i-2".to_owned()));
    assert!(told(mine(), replaced.clone()).contains("the one that has its name now gets nothing of it"));
    let stopped = other(&running(), |instance| instance.state = InstanceState::Stopped);
    assert!(told(mine(), stopped).contains("does not run any more"));
    assert!(told(mine(), HostSeen::default()).contains("the machine it was meant for is gone"));
    let never_up = Run { instances: BTreeMap::new(), ..mine() };
    assert!(told(never_up, HostSeen::default()).contains("there is no such instance"));

    // What is shown may be what was there before.
    let behind = HostSeen { lags: true, ..replaced };
    assert!(matches!(next(&Operation::Run(mine()), &behind), Next::Wait(_)));
    // Listed machines are what the config says they are.
    assert_eq!(kinds(&next(&Operation::Run(run()), &ready())), [Kind::StageRun, Kind::StartRun]);
}

#[test]
fn a_cancelled_run_starts_nothing_and_ends_what_may_start_yet() {
    let run = run();
    let start = StartRun { host: host(), run: run.run.clone(), script: run.script.clone() };
    let start = act(&start.into(), ActState::Unknown { at: NOW, sends: 0, message: None });
    let cancelled = |acts| History { acts, cancelled: true, ..History::beginning(NOW) };
    let next = |seen: &HostSeen, history: &History| Operation::Run(run.clone()).host_next(&host(), seen, history, NOW);

    assert_eq!(next(&ready(), &cancelled(Vec::new())), Next::Done(Verdict::Cancelled));
    assert_eq!(next(&running(), &cancelled(Vec::new())), Next::Done(Verdict::Cancelled), "it need not be reached");

    let token = || "r-0k3f9x2a".parse().unwrap();
    for seen in [RunSeen::Staged { token: token() }, RunSeen::Running { token: token() }] {
        let seen = change(&ready(), |facts| drop(facts.runs.insert(run.run.clone(), seen)));
        assert_eq!(kinds(&next(&seen, &cancelled(vec![start.clone()]))), [Kind::CancelRun]);
    }
    let envelope = plan(&Operation::Run(run.clone()), &BTreeMap::from([(host(), ready())]), NOW).unwrap().envelope();
    assert!(envelope.most(Kind::CancelRun, &host()) > 0, "a run may be cancelled inside its plan");
}

#[test]
fn a_plan_says_which_hosts_it_did_not_see_and_names_the_most_for_them() {
    let mut desired = desired(Origin::Listed);
    desired.secrets = SecretsDesired::default();
    let push = Operation::Push(Push { desired, hosts: BTreeSet::from([host()]) });
    let login = Login::Unreachable("no route".to_owned());
    let silent = HostSeen { login, pins: Pins::default(), ..running() };
    let blind = plan(&push, &BTreeMap::from([(host(), silent)]), NOW).unwrap();
    assert_eq!(blind.unseen, BTreeMap::from([(host(), "no route".to_owned())]));
    assert_eq!(blind.verdicts, BTreeMap::from([(host(), Verdict::SUCCEEDED)]));

    // It may turn out to hold secrets of an earlier day, which the config does not name any more.
    let envelope = blind.envelope();
    let holding = change(&ready(), |facts| facts.current = None);
    let seen = plan(&push, &BTreeMap::from([(host(), holding)]), NOW).unwrap();
    assert_eq!(seen.verdicts, BTreeMap::from([(host(), Verdict::SUCCEEDED)]));
    assert_eq!(seen.actions[0].kind(), Kind::PlaceSecrets);
    for action in seen.actions {
        assert!(envelope.most(action.kind(), &host()) > 0, "{:?} is outside of the plan", action.kind());
    }
}

#[test]
fn a_host_is_made_ready_one_step_at_a_time_and_what_is_done_is_skipped() {
    let up = up();
    assert_eq!(next(&up, &ready()), Next::Done(Verdict::SUCCEEDED));

    let fresh = change(&ready(), |facts| *facts = HostFacts::default());
    assert_eq!(kinds(&next(&up, &fresh)), [Kind::InstallProgram]);

    let old_program = change(&ready(), |facts| facts.program = None);
    assert_eq!(kinds(&next(&up, &old_program)), [Kind::InstallProgram]);

    let mut batch_key = ready();
    batch_key.pins = Pins { batch: Some("b".to_owned()), own: None };
    assert_eq!(kinds(&next(&up, &batch_key)), [Kind::MakeHostKey]);
    batch_key.pins.own = Some("own".to_owned());
    assert_eq!(kinds(&next(&up, &batch_key)), [Kind::SwitchHostKey]);

    let no_secrets = change(&ready(), |facts| facts.secrets = None);
    assert_eq!(kinds(&next(&up, &no_secrets)), [Kind::PlaceSecrets]);

    let no_release = change(&ready(), |facts| facts.current = None);
    assert_eq!(kinds(&next(&up, &no_release)), [Kind::DeliverBundle]);
}

#[test]
fn a_bundle_in_the_inbox_is_waited_for_where_somebody_takes_it_and_taken_where_nobody_does() {
    let waiting = change(&ready(), |facts| {
        facts.current = None;
        facts.waiting.insert(release());
    });
    assert!(matches!(next(&up(), &waiting), Next::Wait(wait) if wait.on == On::Taken));
    let nobody = change(&waiting, |facts| facts.watcher = Watcher::None);
    assert_eq!(kinds(&next(&up(), &nobody)), [Kind::TakeBundle]);
}

#[test]
fn a_watcher_that_notices_nothing_is_not_waited_for_without_end() {
    let waiting = change(&ready(), |facts| {
        facts.current = None;
        facts.waiting.insert(release());
    });
    let late = NOW.after(Duration::from_secs(31));
    let history = History::beginning(NOW);
    assert_eq!(kinds(&up().host_next(&host(), &waiting, &history, late)), [Kind::TakeBundle]);
    let taking = change(&waiting, |facts| facts.taking = true);
    assert!(matches!(up().host_next(&host(), &taking, &history, late), Next::Wait(_)), "somebody is at it");

    let Next::Do(deliver) = next(&up(), &change(&ready(), |facts| facts.current = None)) else { panic!() };
    let mut delivered = History::beginning(NOW);
    delivered.acts.push(act(&deliver[0], ActState::Succeeded { at: late, outcome: Outcome::Done }));
    assert!(matches!(up().host_next(&host(), &waiting, &delivered, late), Next::Wait(_)), "it has only just arrived");

    // Both stay inside their plans.
    for world in [&waiting, &change(&ready(), |facts| facts.current = None)] {
        let plan = plan(&up(), &BTreeMap::from([(host(), world.clone())]), NOW).unwrap();
        assert!(plan.envelope().most(Kind::TakeBundle, &host()) > 0, "{plan:?}");
    }
}

#[test]
fn a_bootstrap_is_followed_and_its_end_is_the_hosts() {
    let with = |bootstrap: RunSeen| change(&ready(), |facts| facts.bootstrap = Some(bootstrap));
    let running = with(RunSeen::Running { token: "t".parse().unwrap() });
    assert!(matches!(next(&up(), &running), Next::Wait(wait) if wait.on == On::Run(RunId::bootstrap_of(&release()))));
    // The bundle lies in the inbox until its bootstrap has ended.
    let in_the_inbox = change(&running, |facts| {
        facts.waiting.insert(release());
        facts.taking = true;
    });
    assert!(matches!(next(&up(), &in_the_inbox), Next::Wait(wait) if matches!(wait.on, On::Run(_))));
    assert!(matches!(
        next(&up(), &with(exited(Exit::Code(3)))),
        Next::Done(Verdict::Failed { exit: Some(Exit::Code(3)), .. })
    ));
    assert_eq!(next(&up(), &with(exited(Exit::Rebooted))), Next::Done(Verdict::Interrupted { exit: Exit::Rebooted }));
}

#[test]
fn a_declared_service_that_failed_is_the_hosts_failure() {
    let failed = change(&ready(), |facts| {
        facts.services.insert("web.service".to_owned(), "failed".to_owned());
    });
    assert!(
        matches!(next(&up(), &failed), Next::Done(Verdict::Failed { message, .. }) if message.contains("web.service"))
    );
    let starting = change(&ready(), |facts| {
        facts.services.insert("web.service".to_owned(), "activating".to_owned());
    });
    assert!(matches!(next(&up(), &starting), Next::Wait(_)));
}

#[test]
fn a_host_of_another_fleet_or_under_another_name_is_never_touched() {
    for identity in [("other".parse().unwrap(), host()), ("demo".parse().unwrap(), "web/2".parse().unwrap())] {
        let foreign = change(&ready(), |facts| facts.identity = Some(identity.clone()));
        assert!(matches!(next(&up(), &foreign), Next::Done(Verdict::Refused { .. })));
    }
}

#[test]
fn a_refused_login_is_final_and_a_silent_host_is_given_up_at_its_limit() {
    let mut seen = ready();
    seen.login = Login::Refused("another host key".to_owned());
    assert!(matches!(next(&up(), &seen), Next::Done(Verdict::Refused { .. })));
    seen.login = Login::Unreachable("no answer".to_owned());
    assert!(matches!(next(&up(), &seen), Next::Wait(_)));
    let history = History::beginning(NOW);
    let late = NOW.after(Duration::from_secs(301));
    assert!(matches!(up().host_next(&host(), &seen, &history, late), Next::Done(Verdict::Unreachable { .. })));
}

#[test]
fn a_run_that_was_started_is_never_staged_again() {
    let operation = Operation::Run(run());
    let run = run().run;
    assert_eq!(kinds(&next(&operation, &ready())), [Kind::StageRun, Kind::StartRun]);
    let staged = change(&ready(), |facts| {
        facts.runs.insert(run.clone(), RunSeen::Staged { token: "t".parse().unwrap() });
    });
    let Next::Do(start) = next(&operation, &staged) else { panic!() };
    let mut history = History::beginning(NOW);
    history.acts.push(act(&start[0], ActState::Succeeded { at: NOW, outcome: Outcome::Done }));
    assert!(matches!(operation.host_next(&host(), &ready(), &history, NOW), Next::Done(Verdict::Lost { .. })));
}

fn act(action: &Action, state: ActState) -> Act {
    Act { intent: 1, action: action.clone(), attempt: 1, state }
}

#[test]
fn an_unknown_outcome_keeps_its_attempt_a_definite_failure_ends_and_a_transient_one_waits() {
    let Next::Do(actions) = next(&up(), &change(&ready(), |facts| facts.secrets = None)) else { panic!() };
    let turn = |state: ActState, now: Moment| {
        let mut history = History::beginning(NOW);
        history.acts.push(act(&actions[0], state));
        history.turn(&actions[0], now)
    };
    let failed = |class| ActState::Failed { at: NOW, failure: Failure { class, message: "no".to_owned() } };
    let later = NOW.after(Duration::from_mins(1));
    assert_eq!(turn(ActState::Unknown { at: NOW, sends: 0, message: None }, NOW), Turn::Go { attempt: 1 });
    assert!(matches!(turn(failed(FailureClass::Definite), later), Turn::GiveUp(_)));
    assert!(matches!(turn(failed(FailureClass::Transient), NOW), Turn::After(_)));
    assert_eq!(turn(failed(FailureClass::Transient), later), Turn::Go { attempt: 2 });
    assert_eq!(turn(ActState::InFlight { sends: 0 }, later), Turn::InFlight);
}

#[test]
fn a_plan_names_all_that_an_up_will_do_and_nothing_where_all_is_done() {
    let nothing_there = BTreeMap::new();
    let made = plan(&up(), &nothing_there, NOW).unwrap();
    let kinds: Vec<Kind> = made.actions.iter().map(Action::kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::LaunchInstance,
            Kind::InstallProgram,
            Kind::MakeHostKey,
            Kind::SwitchHostKey,
            Kind::PlaceSecrets,
            Kind::DeliverBundle
        ]
    );
    assert_eq!(made.verdicts[&host()], Verdict::SUCCEEDED);
    let done = plan(&up(), &BTreeMap::from([(host(), ready())]), NOW).unwrap();
    assert!(done.is_empty());
    // A launch may be replaced inside the plan; a host that was not to be launched may not be ended.
    assert!(made.envelope().most(Kind::TerminateInstance, &host()) > 0);
    assert_eq!(done.envelope().most(Kind::TerminateInstance, &host()), 0);
}

#[test]
fn a_host_that_does_not_answer_is_planned_for_as_one_that_has_nothing() {
    let mut seen = running();
    seen.pins = Pins::default();
    seen.login = Login::Unreachable("no answer".to_owned());
    let push = Operation::Push(Push { desired: desired(Origin::Listed), hosts: BTreeSet::from([host()]) });
    let made = plan(&push, &BTreeMap::from([(host(), seen)]), NOW).unwrap();
    for kind in [Kind::InstallProgram, Kind::PlaceSecrets, Kind::DeliverBundle, Kind::TakeBundle] {
        assert!(made.envelope().most(kind, &host()) > 0, "{kind:?}");
    }
}

#[test]
fn a_host_whose_instance_is_not_there_ends_in_the_plan_too() {
    let push = Operation::Push(Push { desired: desired(Origin::Listed), hosts: BTreeSet::from([host()]) });
    let made = plan(&push, &BTreeMap::new(), NOW).unwrap();
    assert!(matches!(made.verdicts[&host()], Verdict::Unreachable { .. }));
}

#[test]
fn undoing_a_delivery_goes_back_to_the_release_before_and_never_tramples_on_a_later_one() {
    let before = Digest::of(b"before");
    let old = change(&ready(), |facts| facts.current = Some(before));
    let Next::Do(actions) = next(&up(), &old) else { panic!() };
    let id: ChangeId = "c-test".parse().unwrap();
    let record = Record {
        seq: 1,
        at: jiff::Timestamp::UNIX_EPOCH,
        change: id.clone(),
        subject: Subject::Host(host()),
        event: Event::Intended { action: actions[0].clone(), attempt: 1, token: "t".parse().unwrap() },
        hash: Digest::of(b""),
    };
    let undoing = undo(&id, &[record], Digest::of(b"host.sh"), 30);
    let operation = Operation::Undo(undoing.undo);
    assert_eq!(kinds(&next(&operation, &ready())), [Kind::SwitchRelease]);
    assert_eq!(next(&operation, &old), Next::Done(Verdict::SUCCEEDED));
    let later = change(&ready(), |facts| facts.current = Some(Digest::of(b"later")));
    assert!(matches!(next(&operation, &later), Next::Done(Verdict::Refused { .. })));
}

#[test]
fn phases_follow_what_is_seen() {
    let up = up();
    let phase = |seen: &HostSeen| up.phase(&host(), seen).unwrap();
    assert_eq!(phase(&HostSeen::default()), Phase::Requested);
    assert_eq!(phase(&running()), Phase::Running);
    assert_eq!(phase(&change(&ready(), |facts| facts.current = None)), Phase::Reachable);
    assert_eq!(phase(&change(&ready(), |facts| facts.bootstrap = Some(exited(Exit::Code(1))))), Phase::Failed);
    assert_eq!(phase(&ready()), Phase::Ready);
}

#[test]
fn a_listed_machine_that_does_not_answer_is_in_no_phase_that_anybody_knows() {
    let up = Operation::Up(Up { desired: desired(Origin::Listed) });
    assert_eq!(up.phase(&host(), &running()), None);
    assert_eq!(up.phase(&host(), &ready()), Some(Phase::Ready));
}

#[test]
fn a_switch_back_whose_end_is_not_known_is_made_again_though_its_release_is_current() {
    let (old, new) = (Digest::of(b"old"), release());
    let switch: Action = SwitchRelease { host: host(), to: Some(old), from: Some(new) }.into();
    let step = UndoStep { action: switch.clone(), left: Left::Release { release: Some(new) } };
    let undo = Operation::Undo(Undo {
        of: "c-test".parse().unwrap(),
        hosts: BTreeMap::from([(host(), vec![step])]),
        program: Digest::of(b"host.sh"),
        reach_s: 30,
    });
    let back = change(&ready(), |facts| facts.current = Some(old));
    let next = |acts| undo.host_next(&host(), &back, &History { acts, ..History::beginning(NOW) }, NOW);
    assert_eq!(next(Vec::new()), Next::Done(Verdict::SUCCEEDED));
    let done = ActState::Succeeded { at: NOW, outcome: Outcome::Done };
    assert_eq!(next(vec![act(&switch, done)]), Next::Done(Verdict::SUCCEEDED));
    // The services of the release may not have been restarted.
    let unknown = ActState::Unknown { at: NOW, sends: 0, message: None };
    assert_eq!(kinds(&next(vec![act(&switch, unknown)])), [Kind::SwitchRelease]);
    let failure = Failure { class: FailureClass::Definite, message: "web.service did not start".to_owned() };
    let failed = next(vec![act(&switch, ActState::Failed { at: NOW, failure })]);
    assert!(matches!(failed, Next::Done(Verdict::Failed { .. })), "{failed:?}");
}
