//! Looking at the hosts that an operation concerns, and planning by what is seen.
//!
//! What could not be seen is said as such, and of it the plan names the most that may be done. So a plan need not wait for a
//! host that does not answer: the change looks again anyway, at each host by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use airlift_core::id::HostId;
use airlift_core::op::{HostQuery, Operation};
use airlift_core::plan::{Plan, plan};
use airlift_core::seen::{HostSeen, InstanceSeen, Login};
use airlift_core::time::Moment;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{CALLS, Engine, Halt, host};

/// For how long a look waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Until every host has answered, or is known not to.
    All,
    /// Once hosts have answered, for as long again as they needed and [`GRACE`].
    Others,
}

/// What is allowed to a host beyond what the others needed: links and machines differ.
const GRACE: Duration = Duration::from_secs(2);

impl Engine {
    /// What `operation` would do to the world as it is. Writes nothing.
    pub async fn plan(&self, operation: &Operation) -> Result<Plan, Halt> {
        self.plan_with(operation, Patience::All).await
    }

    /// The same for who is about to do it: hosts that answer do not wait for those that do not.
    pub async fn plan_promptly(&self, operation: &Operation) -> Result<Plan, Halt> {
        self.plan_with(operation, Patience::Others).await
    }

    /// The most that `operation` may do to hosts of which nothing is known: an envelope for which no host is waited for.
    pub async fn plan_unseen(&self, operation: &Operation) -> Result<Plan, Halt> {
        let mut pins = self.pins().await?;
        let unseen = |(host, instance): (HostId, _)| {
            let pins = pins.remove(&host).unwrap_or_default();
            (host, HostSeen { instance: Some(instance), pins, ..HostSeen::default() })
        };
        let world = self.ports.compute.look().await?.into_iter().map(unseen).collect();
        Ok(plan(operation, &world, self.clock.now())?)
    }

    async fn plan_with(&self, operation: &Operation, patience: Patience) -> Result<Plan, Halt> {
        let world = self.look(operation, patience).await?;
        Ok(plan(operation, &world, self.clock.now())?)
    }

    /// Looks at every host that `operation` concerns. Writes nothing.
    async fn look(&self, operation: &Operation, patience: Patience) -> Result<BTreeMap<HostId, HostSeen>, Halt> {
        let instances = self.ports.compute.look().await?;
        let mut looks = self.looks(operation, &instances, patience == Patience::Others).await?;
        let mut world: BTreeMap<HostId, HostSeen> = instances
            .into_iter()
            .map(|(host, instance)| (host, HostSeen { instance: Some(instance), ..HostSeen::default() }))
            .collect();
        let began = self.clock.now();
        let mut enough: Option<Moment> = None;
        let mut waiting = operation.hosts();
        loop {
            let looked = match enough {
                None => looks.join_next().await,
                Some(enough) => tokio::select! {
                    biased;
                    looked = looks.join_next() => looked,
                    () = self.clock.sleep(enough.since(self.clock.now())) => break,
                },
            };
            let Some(looked) = looked else { break };
            let (host, seen) = looked.map_err(|error| Halt::Task(error.to_string()))?;
            if patience == Patience::Others && seen.facts().is_some() {
                let now = self.clock.now();
                enough = Some(now.after(now.since(began)).after(GRACE));
            }
            waiting.remove(&host);
            world.insert(host, seen);
        }
        let pins = self.pins().await?;
        for host in waiting {
            let seen = world.entry(host.clone()).or_default();
            seen.pins = pins.get(&host).cloned().unwrap_or_default();
            seen.login = Login::Unreachable("it has not answered yet".to_owned());
        }
        Ok(world)
    }

    /// A look at each host that `operation` concerns, under way.
    async fn looks(
        &self,
        operation: &Operation,
        instances: &BTreeMap<HostId, InstanceSeen>,
        ahead: bool,
    ) -> Result<JoinSet<(HostId, HostSeen)>, Halt> {
        let mut pins = self.pins().await?;
        let mut looks = JoinSet::new();
        let gate = Arc::new(Semaphore::new(self.concurrency.map_or(CALLS, |hosts| hosts.clamp(1, CALLS))));
        for host in operation.hosts() {
            let query = HostQuery { ahead, ..operation.query(&host) };
            let (engine, gate) = (self.clone(), gate.clone());
            let pins = pins.remove(&host).unwrap_or_default();
            let instance = instances.get(&host).cloned();
            looks.spawn(async move {
                let _turn = gate.acquire().await;
                let mut seen = HostSeen { instance, pins, ..HostSeen::default() };
                seen.login = host::login(&engine, &host, &seen, &query).await;
                (host, seen)
            });
        }
        Ok(looks)
    }
}
