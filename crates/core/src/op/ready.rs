//! Making a host ready: the steps that `up` and `push` share, from the first session to the end of the bootstrap.
//!
//! The order is the order of the tests below. Each step looks at what is, so that it is skipped where it is done already.

use std::time::Duration;

use super::{HostQuery, POLL, reach};
use crate::action::{
    Action, DeliverBundle, HostAction, InstallProgram, Kind, MakeHostKey, PlaceSecrets, SwitchHostKey, TakeBundle,
};
use crate::decide::{Next, On, Verdict, wait};
use crate::desired::{Desired, ReleaseDesired};
use crate::event::Phase;
use crate::history::{ActState, History};
use crate::id::{HostId, RunId};
use crate::seen::{Exit, HostFacts, HostSeen, InstanceState, Login, RunEnd, RunSeen, Watcher};
use crate::time::Moment;

/// How long an armed watcher may take to notice a bundle before the host is asked again.
const NOTICE: Duration = Duration::from_secs(5);

/// How long a bundle may lie in the inbox with nobody at it before the watcher is not counted on any more.
const DEAF: Duration = Duration::from_secs(30);

/// What a look should tell.
pub(super) fn query(desired: &Desired) -> HostQuery {
    HostQuery {
        program: Some(desired.program),
        runs: bootstrap_run(desired).into_iter().collect(),
        supplies: desired.release.is_some(),
        services: desired.release.iter().flat_map(|release| release.services.clone()).collect(),
        ..HostQuery::default()
    }
}

/// What leaves the most to do: nothing is there but secrets of an earlier day, where there should be none.
pub(super) fn expected(desired: &Desired) -> HostFacts {
    let secrets = desired.secrets.digest.is_none().then(|| "(not known yet)".to_owned());
    HostFacts { secrets, ..HostFacts::default() }
}

/// The run under which the release bootstraps, if it does.
fn bootstrap_run(desired: &Desired) -> Option<RunId> {
    desired.release.as_ref().filter(|release| release.bootstraps).map(|release| RunId::bootstrap_of(&release.release))
}

/// The next step for one host.
pub(super) fn next(
    desired: &Desired,
    host: &HostId,
    seen: &HostSeen,
    history: &History,
    now: Moment,
    limit: Duration,
) -> Next<Verdict> {
    let facts = match reach(seen, history, now, limit) {
        Ok(facts) => facts,
        Err(next) => return next,
    };
    if let Some(refusal) = belongs_elsewhere(desired, host, facts) {
        return Next::Done(Verdict::Refused { message: refusal });
    }
    if facts.program != Some(desired.program) || facts.identity.is_none() {
        return history.take(
            InstallProgram {
                host: host.clone(),
                fleet: desired.fleet.clone(),
                program: desired.program,
                fresh: facts.identity.is_none(),
            },
            now,
        );
    }
    if seen.pins.batch.is_some() {
        return match &seen.pins.own {
            None => history.take(MakeHostKey { host: host.clone() }, now),
            Some(public) => history.take(SwitchHostKey { host: host.clone(), public: public.clone() }, now),
        };
    }
    if facts.secrets != desired.secrets.digest {
        return history.take(
            PlaceSecrets {
                host: host.clone(),
                digest: desired.secrets.digest.clone().unwrap_or_else(|| "none".to_owned()),
                names: desired.secrets.names.clone(),
            },
            now,
        );
    }
    match &desired.release {
        None => Next::Done(Verdict::SUCCEEDED),
        Some(release) => activate(desired, release, host, seen, facts, history, now),
    }
}

/// From "the release is not there" to "its bootstrap went well".
fn activate(
    desired: &Desired,
    wanted: &ReleaseDesired,
    host: &HostId,
    seen: &HostSeen,
    facts: &HostFacts,
    history: &History,
    now: Moment,
) -> Next<Verdict> {
    let release = wanted.release;
    let take = || history.take(TakeBundle { host: host.clone(), release, bootstraps: wanted.bootstraps }, now);
    // A bundle stays in the inbox until its bootstrap has ended: what is current and being taken is bootstrapping.
    let taken = facts.current == Some(release) && (facts.taking || !facts.waiting.contains(&release));
    let failed = facts.refused.contains_key(&release) && !facts.taking && !wanted.bootstraps;
    if taken && !failed {
        return bootstrapped(wanted, seen, facts, now);
    }
    if facts.waiting.contains(&release) || facts.taking {
        let is_watched = facts.watcher != Watcher::None && now.since(arrival(history)) < DEAF;
        if !facts.taking && !is_watched {
            return take();
        }
        return Next::Wait(wait("the host to take the bundle", On::Taken, now, NOTICE));
    }
    if let Some(why) = facts.refused.get(&release)
        && delivered(history)
    {
        return Next::Done(Verdict::Failed {
            exit: None,
            message: format!("the host could not take release {}: {why}", release.short()),
        });
    }
    let deliver = history.take(
        DeliverBundle {
            host: host.clone(),
            release,
            replaces: delivery(history).map_or(facts.current, |delivery| delivery.replaces),
            bootstraps: wanted.bootstraps,
            timeout_s: desired.limits.upload_s,
        },
        now,
    );
    if facts.watcher == Watcher::None { deliver.and(take) } else { deliver }
}

/// The release is current: what became of its bootstrap?
fn bootstrapped(wanted: &ReleaseDesired, seen: &HostSeen, facts: &HostFacts, now: Moment) -> Next<Verdict> {
    if !wanted.bootstraps {
        return if facts.taking {
            Next::Wait(wait("services to start", On::Taken, now, NOTICE))
        } else {
            services_run(wanted, facts, now)
        };
    }
    let run = RunId::bootstrap_of(&wanted.release);
    match &facts.bootstrap {
        Some(RunSeen::Running { .. }) => {
            Next::Wait(wait("the bootstrap to end", On::Run(run), now, Duration::from_secs(30)))
        }
        Some(RunSeen::Exited { end, .. }) if !seen.has_spooled(&run, end) => {
            Next::Wait(wait("the bootstrap's output", On::Run(run), now, Duration::from_secs(30)))
        }
        Some(RunSeen::Exited { end, .. }) if end.exit.is_success() => services_run(wanted, facts, now),
        Some(RunSeen::Exited { end, .. }) => Next::Done(bootstrap_verdict(end, &run)),
        _ if facts.taking => Next::Wait(wait("the bootstrap to start", On::Taken, now, POLL)),
        None | Some(RunSeen::Absent | RunSeen::Staged { .. }) => {
            if let Some(why) = facts.refused.get(&wanted.release) {
                return Next::Done(Verdict::Failed {
                    exit: None,
                    message: format!("release {} is there, but {why}", wanted.release.short()),
                });
            }
            Next::Done(Verdict::Failed {
                exit: None,
                message: format!(
                    "release {} is current, but its bootstrap never started; `airlift push` takes it again",
                    wanted.release.short()
                ),
            })
        }
    }
}

/// Bootstrapped; how are the services that the release declares? The words are those of `systemctl is-active`
/// (systemctl(1)).
fn services_run(wanted: &ReleaseDesired, facts: &HostFacts, now: Moment) -> Next<Verdict> {
    for service in &wanted.services {
        match facts.services.get(service).map(String::as_str) {
            Some("activating" | "reloading") => {
                return Next::Wait(wait(format!("{service} to start"), On::Time, now, POLL));
            }
            Some("failed") => {
                return Next::Done(Verdict::Failed {
                    exit: None,
                    message: format!("the service {service} failed; `systemctl status {service}` on the host says why"),
                });
            }
            _ => {}
        }
    }
    Next::Done(Verdict::SUCCEEDED)
}

fn bootstrap_verdict(end: &RunEnd, run: &RunId) -> Verdict {
    match end.exit {
        exit @ (Exit::Rebooted | Exit::Killed) => Verdict::Interrupted { exit },
        exit => Verdict::Failed {
            exit: Some(exit),
            message: format!("the bootstrap failed ({exit}); see `airlift logs {run}`"),
        },
    }
}

/// The delivery that this change already made: its before-value stands, so that a retry does not take its own effect for it.
fn delivery(history: &History) -> Option<&DeliverBundle> {
    history.acts.iter().find_map(|act| match &act.action {
        Action::Host(HostAction::Deliver(deliver)) => Some(deliver),
        _ => None,
    })
}

/// Since when the bundle is surely in the inbox, where it is: since it was delivered, or this change looks at it.
fn arrival(history: &History) -> Moment {
    match history.last(Kind::DeliverBundle).map(|act| &act.state) {
        Some(ActState::Succeeded { at, .. }) => *at,
        _ => history.since,
    }
}

fn delivered(history: &History) -> bool {
    history.last(Kind::DeliverBundle).is_some_and(|act| matches!(act.state, ActState::Succeeded { .. }))
}

/// The reason why this host is not ours to touch, if it is not.
pub(super) fn belongs_elsewhere(desired: &Desired, host: &HostId, facts: &HostFacts) -> Option<String> {
    let (fleet, id) = facts.identity.as_ref()?;
    if *fleet != desired.fleet {
        return Some(format!(
            "it belongs to the fleet {fleet}; take it out of that fleet with `airlift down` there, or out of this config"
        ));
    }
    (id != host)
        .then(|| format!("it is known as {id} in this fleet; two names for one machine would run everything twice"))
}

/// The phase in which a host is seen to be; none where that cannot be seen: nobody vouches for a listed machine that does
/// not answer.
pub(super) fn phase(desired: &Desired, host: &HostId, seen: &HostSeen) -> Option<Phase> {
    let Some(instance) = &seen.instance else { return Some(Phase::Requested) };
    match (&seen.login, instance.state) {
        (Login::In(facts), _) => Some(phase_by(facts, desired.release.as_ref())),
        (_, InstanceState::Pending) => Some(Phase::Pending),
        (_, InstanceState::Stopped) => Some(Phase::Lost),
        (_, InstanceState::Running) => desired.is_launched(host).then_some(Phase::Running),
    }
}

/// The phase of a host that one can log in to.
fn phase_by(facts: &HostFacts, wanted: Option<&ReleaseDesired>) -> Phase {
    let Some(wanted) = wanted else { return Phase::Ready };
    if facts.current != Some(wanted.release) {
        return if facts.refused.contains_key(&wanted.release) {
            Phase::Failed
        } else if facts.waiting.contains(&wanted.release) || facts.taking {
            Phase::Staged
        } else {
            Phase::Reachable
        };
    }
    match &facts.bootstrap {
        _ if !wanted.bootstraps => Phase::Ready,
        Some(RunSeen::Exited { end, .. }) if end.exit.is_success() => Phase::Ready,
        Some(RunSeen::Exited { .. }) => Phase::Failed,
        _ => Phase::Staged,
    }
}
