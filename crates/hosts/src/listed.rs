//! The provider `hosts`: machines that are there already. airlift never starts or stops one.

use std::collections::BTreeMap;

use airlift_core::action::{LaunchInstance, Outcome, TerminateInstance};
use airlift_core::id::{HostId, Token};
use airlift_core::seen::{Address, Id, InstanceSeen, InstanceState};
use airlift_engine::permit::Permit;
use airlift_engine::port::{ActError, Compute, LookError};
use async_trait::async_trait;

/// The machines that the config lists.
#[derive(Debug, Clone)]
pub struct Listed {
    hosts: BTreeMap<HostId, InstanceSeen>,
}

impl Listed {
    /// Machines at these addresses.
    pub fn new(hosts: impl IntoIterator<Item = (HostId, Address)>) -> Self {
        let hosts = hosts
            .into_iter()
            .map(|(host, address)| {
                let seen = InstanceSeen {
                    id: Id::Actual(host.to_string()),
                    state: InstanceState::Running,
                    address: Some(address),
                    token: None,
                };
                (host, seen)
            })
            .collect();
        Self { hosts }
    }
}

#[async_trait]
impl Compute for Listed {
    fn launches(&self) -> bool {
        false
    }

    async fn look(&self) -> Result<BTreeMap<HostId, InstanceSeen>, LookError> {
        Ok(self.hosts.clone())
    }

    async fn find(&self, host: &HostId) -> Result<Option<InstanceSeen>, LookError> {
        Ok(self.hosts.get(host).cloned())
    }

    fn batch_key(&self, _: &Token) -> Option<String> {
        None
    }

    async fn launch(&self, permit: Permit<LaunchInstance>) -> Result<Outcome, ActError> {
        Err(never(&permit.action().host, "started"))
    }

    async fn terminate(&self, permit: Permit<TerminateInstance>) -> Result<Outcome, ActError> {
        Err(never(&permit.action().host, "stopped"))
    }
}

fn never(host: &HostId, what: &str) -> ActError {
    ActError::definite(format!("{host} is listed in the config (provider hosts); such a machine is never {what}"))
}
