//! What a change works towards: the config and the bundle, resolved once when the change begins.
//!
//! The first record of a change holds it whole, so that a resumed change goes on with what it began with, whatever has
//! been edited since.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::{Digest, FleetName, HostId};

/// What the fleet should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The fleet.
    pub fleet: FleetName,
    /// Its hosts, by subject.
    pub hosts: BTreeMap<HostId, HostDesired>,
    /// SHA-256 of the `host.sh` that this airlift brings.
    pub program: Digest,
    /// The release that the hosts should have; none where the config has no bundle.
    pub release: Option<ReleaseDesired>,
    /// The secrets that the hosts should have.
    pub secrets: SecretsDesired,
    /// Limits on waiting.
    pub limits: Limits,
}

/// One host that the fleet should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostDesired {
    /// Who makes it.
    pub origin: Origin,
    /// Labels that selectors match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Region, for selectors and status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Instance type, for selectors and status.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
}

/// Who makes a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// airlift launches and terminates it.
    Launched {
        /// Seconds after which it ends by itself.
        max_lifetime_s: u64,
    },
    /// It is there already; airlift never starts or stops it.
    Listed,
}

/// The release that hosts should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseDesired {
    /// Its digest.
    pub release: Digest,
    /// It has a bootstrap.
    pub bootstraps: bool,
    /// systemd units that it declares.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub services: BTreeSet<String>,
}

/// The secrets that hosts should have, without their values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SecretsDesired {
    /// Keyed digest of the set; none where the config names no secrets.
    pub digest: Option<String>,
    /// Their names.
    pub names: Vec<String>,
}

/// Limits on waiting, all in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How long a machine that airlift just launched may take until a session is open.
    pub boot_s: u64,
    /// How long a machine that should be there may stay unreachable.
    pub reach_s: u64,
    /// How long sending a bundle, or a run's files, may take.
    pub upload_s: u64,
}

impl Desired {
    /// The hosts that airlift launches.
    pub fn launched(&self) -> impl Iterator<Item = (&HostId, u64)> {
        self.hosts.iter().filter_map(|(host, desired)| match desired.origin {
            Origin::Launched { max_lifetime_s } => Some((host, max_lifetime_s)),
            Origin::Listed => None,
        })
    }

    /// airlift launched this host, so that it may end it.
    pub fn is_launched(&self, host: &HostId) -> bool {
        self.hosts.get(host).is_some_and(|desired| matches!(desired.origin, Origin::Launched { .. }))
    }
}
