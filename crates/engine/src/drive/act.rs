//! Recording an intent, acting on it with a permit, recording the outcome. The only place that mints permits.

use airlift_core::action::{Action, HostAction, InstanceAction, Kind, Outcome, RunAction};
use airlift_core::event::{Event, Record, Subject};
use airlift_core::history::{Act, History, Turn};
use airlift_core::id::{HostId, Token};
use airlift_core::seen::Pins;

use super::{Driver, Halt};
use crate::permit::Permit;
use crate::port::{ActError, Ports, Target};

/// An action whose intent is in the log, synced: it may be carried out.
pub(super) struct Intended {
    pub(super) intent: u64,
    pub(super) action: Action,
    token: Token,
}

impl Driver {
    /// Records the intent of `action`, or takes up the recorded one whose outcome is not known: the same attempt is then
    /// sent again, under its own token.
    pub(super) async fn intend(&self, action: Action, history: &mut History) -> Result<Intended, Halt> {
        let host = action.host().clone();
        self.intend_all(&host, vec![action], history)
            .await?
            .pop()
            .ok_or_else(|| Halt::Task("an intent was recorded and is gone".to_owned()))
    }

    /// The same for several actions on one host, recorded together.
    pub(super) async fn intend_all(
        &self,
        host: &HostId,
        actions: Vec<Action>,
        history: &mut History,
    ) -> Result<Vec<Intended>, Halt> {
        let (mut intended, mut events) = (Vec::with_capacity(actions.len()), Vec::with_capacity(actions.len()));
        for action in actions {
            let kind = action.kind();
            if let Some(act) = history.unknown(kind, host).cloned() {
                history.sends_again(act.intent);
                intended.push(self.intended(act));
                continue;
            }
            self.within_envelope(kind, host, history)?;
            let Turn::Go { attempt } = history.turn(&action, self.engine.clock.now()) else {
                return Err(Halt::Task(format!("{} was decided out of turn", action.step().plan_line())));
            };
            let token = Token::derive(&self.id, host.as_str(), kind.name(), attempt);
            events.push(Event::Intended { action: action.clone(), attempt, token: token.clone() });
            // The key of the launch batch is accepted from before the machine exists.
            if kind == Kind::LaunchInstance
                && let Some(batch) = self.engine.ports.compute.batch_key(&token)
            {
                let pins = Pins { batch: Some(batch), own: None };
                self.set_pins(host, pins.clone());
                events.push(Event::Pinned { pins });
            }
            intended.push(Intended { intent: 0, action, token });
        }
        if events.is_empty() {
            return Ok(intended);
        }
        let records = self.record_in(host, events, history).await?;
        let recorded = records.iter().filter(|record| matches!(record.event, Event::Intended { .. }));
        let new = intended.iter_mut().filter(|intended| intended.intent == 0);
        for (intended, record) in new.zip(recorded) {
            intended.intent = record.seq;
        }
        Ok(intended)
    }

    /// A recorded act as the intent that it is.
    pub(super) fn intended(&self, act: Act) -> Intended {
        let Act { intent, action, attempt, .. } = act;
        let token = Token::derive(&self.id, action.host().as_str(), action.kind().name(), attempt);
        Intended { intent, action, token }
    }

    /// Carries out a recorded intent. Nothing else in the program changes the world.
    pub(super) async fn carry_out(&self, intended: &Intended, at: Option<&Target>) -> Result<Outcome, ActError> {
        let Intended { action, token, .. } = intended;
        let ports = &self.engine.ports;
        match action {
            Action::Instance(InstanceAction::Launch(action)) => {
                ports.compute.launch(Permit::mint(action.clone(), token.clone())).await
            }
            Action::Instance(InstanceAction::Terminate(action)) => {
                ports.compute.terminate(Permit::mint(action.clone(), token.clone())).await
            }
            Action::Host(_) | Action::Run(_) => match at {
                Some(at) => on_host(ports, at, action, token).await,
                None => Err(ActError::transient(format!("{} has no address", action.host()))),
            },
        }
    }

    /// Carries out two recorded intents that an adapter may do at one stroke; none where they are not such a pair.
    pub(super) async fn carry_out_both(
        &self,
        one: &Intended,
        two: &Intended,
        at: Option<&Target>,
    ) -> Option<[Result<Outcome, ActError>; 2]> {
        let ports = &self.engine.ports;
        match (&one.action, &two.action, at) {
            (Action::Run(RunAction::Stage(stage)), Action::Run(RunAction::Start(start)), Some(at)) => {
                let stage = Permit::mint(stage.clone(), one.token.clone());
                let start = Permit::mint(start.clone(), two.token.clone());
                let launched = ports.runs.launch(at, stage, start).await;
                Some([launched.staged, launched.started])
            }
            (Action::Host(HostAction::Deliver(deliver)), Action::Host(HostAction::Take(take)), Some(at)) => {
                let deliver = Permit::mint(deliver.clone(), one.token.clone());
                let take = Permit::mint(take.clone(), two.token.clone());
                let supplied = ports.delivery.supply(at, deliver, take).await;
                Some([supplied.delivered, supplied.taken])
            }
            _ => None,
        }
    }

    /// Records what came of it, with the host keys that are accepted from now on where that changed.
    pub(super) async fn conclude(
        &self,
        intended: &Intended,
        result: Result<Outcome, ActError>,
        history: &mut History,
    ) -> Result<(), Halt> {
        let host = intended.action.host();
        let pins = result.as_ref().ok().and_then(|outcome| self.pins_after(&intended.action, outcome));
        let mut events = vec![came_of(intended, result)];
        events.extend(pins.clone().map(|pins| Event::Pinned { pins }));
        if let Action::Instance(InstanceAction::Launch(_)) = &intended.action {
            self.forget_bootstraps(host)?;
        }
        self.record_in(host, events, history).await?;
        if let Some(pins) = pins {
            self.set_pins(host, pins);
        }
        Ok(())
    }

    /// Records what came of both.
    pub(super) async fn conclude_both(
        &self,
        intended: [&Intended; 2],
        results: [Result<Outcome, ActError>; 2],
        history: &mut History,
    ) -> Result<(), Halt> {
        let events = intended.into_iter().zip(results).map(|(intended, result)| came_of(intended, result)).collect();
        self.record_in(intended[0].action.host(), events, history).await?;
        Ok(())
    }

    /// Records what concerns a host, in the log and in the host's own history.
    async fn record_in(&self, host: &HostId, events: Vec<Event>, history: &mut History) -> Result<Vec<Record>, Halt> {
        let records = self.record(Subject::Host(host.clone()), events).await?;
        let now = self.engine.clock.now();
        for record in &records {
            history.apply(record, now);
        }
        Ok(records)
    }

    /// A new machine bootstraps anew: what an earlier one of the same subject printed is not its output.
    fn forget_bootstraps(&self, host: &HostId) -> Result<(), Halt> {
        for run in self.operation.query(host).runs {
            let discarded = self.engine.spool.discard(&run, host);
            discarded.map_err(|source| Halt::Spool { host: host.clone(), source })?;
        }
        Ok(())
    }

    /// The host keys that are accepted after this outcome, where it changes them.
    fn pins_after(&self, action: &Action, outcome: &Outcome) -> Option<Pins> {
        let pins = self.pins_of(action.host());
        match (action, outcome) {
            (Action::Host(HostAction::MakeKey(_)), Outcome::KeyMade { public }) => {
                Some(Pins { own: Some(public.clone()), ..pins })
            }
            (Action::Host(HostAction::SwitchKey(action)), _) => {
                Some(Pins { batch: None, own: Some(action.public.clone()) })
            }
            (Action::Instance(InstanceAction::Terminate(_)), _) => Some(Pins::default()),
            _ => None,
        }
    }

    /// A permit is minted only inside the plan's envelope.
    fn within_envelope(&self, kind: Kind, host: &HostId, history: &History) -> Result<(), Halt> {
        let most = self.envelope.most(kind, host);
        let count = history.count(kind, host);
        if count < most {
            return Ok(());
        }
        Err(Halt::PlanExceeded(if most == 0 {
            format!("{host} now needs {}, which the plan does not name", kind.name())
        } else {
            format!("{host} needs {} more than the {most} times that the plan allows", kind.name())
        }))
    }
}

fn came_of(intended: &Intended, result: Result<Outcome, ActError>) -> Event {
    match result {
        Ok(outcome) => Event::Succeeded { intent: intended.intent, outcome },
        Err(error) => Event::Failed { intent: intended.intent, failure: error.into() },
    }
}

async fn on_host(ports: &Ports, at: &Target, action: &Action, token: &Token) -> Result<Outcome, ActError> {
    /// A permit for this action under this token.
    macro_rules! permit {
        ($action:ident) => {
            Permit::mint($action.clone(), token.clone())
        };
    }
    match action {
        Action::Host(HostAction::Install(action)) => ports.setup.install(at, permit!(action)).await,
        Action::Host(HostAction::MakeKey(action)) => ports.setup.make_key(at, permit!(action)).await,
        Action::Host(HostAction::SwitchKey(action)) => ports.setup.switch_key(at, permit!(action)).await,
        Action::Host(HostAction::Remove(action)) => ports.setup.remove(at, permit!(action)).await,
        Action::Host(HostAction::Secrets(action)) => ports.delivery.place_secrets(at, permit!(action)).await,
        Action::Host(HostAction::Deliver(action)) => ports.delivery.deliver(at, permit!(action)).await,
        Action::Host(HostAction::Take(action)) => ports.delivery.take(at, permit!(action)).await,
        Action::Host(HostAction::Switch(action)) => ports.delivery.switch(at, permit!(action)).await,
        Action::Run(RunAction::Stage(action)) => ports.runs.stage(at, permit!(action)).await,
        Action::Run(RunAction::Start(action)) => ports.runs.start(at, permit!(action)).await,
        Action::Run(RunAction::Cancel(action)) => ports.runs.cancel(at, permit!(action)).await,
        Action::Instance(_) => Err(ActError::definite("an instance's action was sent to a host".to_owned())),
    }
}
