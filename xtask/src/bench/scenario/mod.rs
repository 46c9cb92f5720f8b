//! What is measured: one scenario in each file, with its goals.

mod build;
mod bundle;
mod events;
mod exec;
mod file;
mod one_byte;
mod profile;
mod push_run;
mod scale;
mod small_files;
mod status;
mod version;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use super::measure::Sample;
use super::operator::{Kex, RELAY_PORT};
use super::report::{Goal, Row, Section, least, named};
use super::site::{Bench, Site};

/// The contender that goals are about.
const AIRLIFT: &str = "airlift";

/// A scenario. The order of the variants is the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Scenario {
    /// A one-liner on many hosts
    Exec,
    /// A changed bundle of 25 KB to many hosts, and a script there
    PushRun,
    /// 256 MiB to one host, until verified in place
    File,
    /// One changed byte in 256 MiB
    OneByte,
    /// 10,000 small files to one host
    SmallFiles,
    /// A bundle of 1 GiB, and its plan when nothing has changed
    Bundle,
    /// A one-liner on ever more hosts
    Scale,
    /// `status` of 10,000 instances
    Status,
    /// Records appended to the event log
    Events,
    /// `--version`
    Version,
    /// Where the time goes (only where it is asked for: it builds airlift with symbols, and needs perf)
    Profile,
    /// A cold build (only where it is asked for: it takes minutes)
    Build,
}

impl Scenario {
    /// Only where it is asked for.
    fn is_on_demand(self) -> bool {
        matches!(self, Self::Profile | Self::Build)
    }

    /// Those that were asked for, in order; by default all but the long ones.
    pub(crate) fn chosen(asked: &[Self]) -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|one| if asked.is_empty() { !one.is_on_demand() } else { asked.contains(one) }).collect()
    }

    pub(crate) fn measure(self, bench: &Bench<'_>) -> io::Result<Section> {
        match self {
            Self::Exec => exec::measure(bench),
            Self::PushRun => push_run::measure(bench),
            Self::File => file::measure(bench),
            Self::OneByte => one_byte::measure(bench),
            Self::SmallFiles => small_files::measure(bench),
            Self::Bundle => bundle::measure(bench),
            Self::Scale => scale::measure(bench),
            Self::Status => status::measure(bench),
            Self::Events => events::measure(bench),
            Self::Version => version::measure(bench),
            Self::Profile => profile::measure(bench),
            Self::Build => build::measure(bench),
        }
    }
}

/// Wall time below the fastest peer's, and at most half of the leanest one's CPU time.
fn beside_peers(rows: &[Row]) -> Vec<Goal> {
    let ours = named(rows, AIRLIFT);
    let theirs = |row: &Row| !row.name.starts_with(AIRLIFT);
    let name = |row: Option<&Row>| row.map_or("none", |row| row.name.as_str()).to_owned();
    let fastest = least(rows, theirs, |row| row.wall_s);
    let leanest = least(rows, theirs, |row| row.cpu_s);
    vec![
        Goal::ratio(
            format!("wall time, of the fastest peer's ({})", name(fastest)),
            ours.and_then(|row| row.wall_s),
            fastest.and_then(|row| row.wall_s),
            1.0,
        ),
        Goal::ratio(
            format!("operator's CPU, of the leanest peer's ({})", name(leanest)),
            ours.and_then(|row| row.cpu_s),
            leanest.and_then(|row| row.cpu_s),
            0.5,
        ),
    ]
}

/// A script for one host. Its arguments are OpenSSH's configuration, what is to be delivered, the host, and the port of the
/// relay before it.
fn openssh(site: &Site, kex: Kex, script: &str, file: &Path) -> Command {
    let (config, host) = (site.operator.ssh_config(kex), site.fleet.hosts[0].address.to_string());
    let port = RELAY_PORT.to_string();
    site.operator.shell(script, &[&config.to_string_lossy(), &file.to_string_lossy(), &host, &port])
}

/// The file is there, byte for byte.
fn delivered(file: &Path, place: PathBuf) -> impl Fn(usize, &Sample) -> Result<(), String> {
    move |_, _| match Command::new("cmp").arg("-s").arg(file).arg(&place).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err("the file on the host is not the same".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::Scenario;

    #[test]
    fn what_takes_long_runs_only_where_it_is_asked_for() {
        assert!(!Scenario::chosen(&[]).contains(&Scenario::Build));
        assert_eq!(Scenario::chosen(&[Scenario::Build, Scenario::Exec]), [Scenario::Exec, Scenario::Build]);
    }
}
