//! A one-liner on many hosts: what everybody can do, and nobody should do slower.

use std::collections::BTreeSet;
use std::io;

use super::{AIRLIFT, beside_peers};
use crate::bench::fleet::{Host, PORT};
use crate::bench::measure::Sample;
use crate::bench::ours::Ours;
use crate::bench::peers::{Crew, Peer};
use crate::bench::race::{Contender, race};
use crate::bench::report::Section;
use crate::bench::site::Bench;

const COMMAND: &str = "hostname";

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let site = bench.site(bench.hosts)?;
    let crew = bench.crew(&site, bench.hosts)?;
    let ours = Ours::project(&site.operator, &bench.airlift, "airlift")?;
    ours.list(&site.fleet.hosts, PORT, "")?;
    let rows = race(bench, site.meters(), contenders(&bench.peers, &ours, &crew))?;
    Ok(Section {
        scenario: "exec".to_owned(),
        title: format!("`hostname` on {} hosts", bench.hosts),
        method: format!(
            "{} at once for every tool. Every host's answer is checked to be there. Every command connects anew; airlift \
             has been on the hosts before.",
            bench.fan_out
        ),
        goals: beside_peers(&rows),
        rows,
        notes: Vec::new(),
    })
}

/// airlift and these peers, with the command on the crew's hosts.
pub(super) fn contenders<'a>(peers: &[Peer], ours: &'a Ours<'_>, crew: &'a Crew<'_>) -> Vec<Contender<'a>> {
    let mut contenders = vec![Contender::new(AIRLIFT, |_| ours.exec(crew.fan_out, COMMAND))];
    for &peer in peers {
        contenders.push(Contender::new(peer.name(), move |_| Ok(peer.exec(crew, COMMAND))));
    }
    let checked = |contender: Contender<'a>| contender.checked(|_, sample| all_answered(crew.hosts, sample));
    contenders.into_iter().map(checked).collect()
}

/// Every host's name is among what was printed.
fn all_answered(hosts: &[Host], sample: &Sample) -> Result<(), String> {
    let words: BTreeSet<&str> = sample.output.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    match hosts.iter().find(|host| !words.contains(host.name.as_str())) {
        Some(host) => Err(format!("{} did not answer", host.name)),
        None => Ok(()),
    }
}
