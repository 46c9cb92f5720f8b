//! Everything that scenarios share: settings of the bench, and hosts with an operator who knows them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::fleet::Fleet;
use super::operator::Operator;
use super::peers::{Crew, Peer};
use super::race::Meters;
use super::stop::Stop;
use crate::repo::Repo;

/// What a bench was asked for.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    /// Everything that it makes is beneath this folder.
    pub(crate) folder: PathBuf,
    /// The checkout.
    pub(crate) repo: &'a Repo,
    /// The airlift that is measured.
    pub(crate) airlift: PathBuf,
    /// How many rounds count; one more warms up.
    pub(crate) rounds: usize,
    pub(crate) hosts: usize,
    pub(crate) fan_out: usize,
    /// The peers that were chosen and are there.
    pub(crate) peers: Vec<Peer>,
    pub(crate) account: Account,
    pub(crate) stop: Stop,
}

/// Running hosts, and an operator who knows them.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) operator: Operator,
    pub(crate) fleet: Fleet,
}

impl Site {
    /// What its hosts spend is read.
    pub(crate) fn meters(&self) -> Meters<'_> {
        Meters { fleet: Some(&self.fleet), relay: None }
    }
}

impl Bench<'_> {
    /// Starts so many hosts.
    pub(crate) fn site(&self, hosts: usize) -> io::Result<Site> {
        let operator = Operator::make(&self.folder.join("operator"))?;
        let homes = self.folder.join("hosts");
        let fleet = Fleet::start(hosts, &operator.public, &homes, &self.account, &self.stop)?;
        operator.know(&fleet.hosts)?;
        Ok(Site { operator, fleet })
    }

    /// The peers, ready to work on the first `hosts` of a site.
    pub(crate) fn crew<'s>(&self, site: &'s Site, hosts: usize) -> io::Result<Crew<'s>> {
        Crew::gather(&site.operator, &site.fleet.hosts[..hosts], self.fan_out, &self.peers_folder())
    }

    pub(crate) fn peers_folder(&self) -> PathBuf {
        peers_folder(&self.folder)
    }

    /// cargo, in the checkout.
    pub(crate) fn cargo(&self) -> Command {
        self.repo.cargo()
    }

    /// An empty folder of this name.
    pub(crate) fn fresh(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.folder.join(name);
        super::fleet::remove(&folder)?;
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Where the peers are, in the folder of benches.
pub(crate) fn peers_folder(folder: &Path) -> PathBuf {
    folder.join("peers")
}
