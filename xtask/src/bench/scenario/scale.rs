//! The same one-liner on more and more hosts: how time and memory grow, and how much of it is the hosts' own.

use std::io;

use super::AIRLIFT;
use super::exec::contenders;
use crate::bench::fleet::PORT;
use crate::bench::ours::Ours;
use crate::bench::peers::Peer;
use crate::bench::race::race;
use crate::bench::report::{Goal, Row, Section, figure, least, megabytes, named};
use crate::bench::site::Bench;

/// Hosts, in hundredths of those that the bench was asked for: with 100 of them, 50 to 500.
const SIZES: [usize; 4] = [50, 100, 250, 500];

/// The peers that are worth a comparison: the fastest and the leanest.
const PEERS: [Peer; 2] = [Peer::SshCurve25519, Peer::ParallelSsh];

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let sizes = SIZES.map(|hundredths| (bench.hosts * hundredths / 100).max(1));
    let most = sizes[sizes.len() - 1];
    let site = bench.site(most)?;
    let peers: Vec<Peer> = PEERS.into_iter().filter(|peer| bench.peers.contains(peer)).collect();
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for size in sizes {
        let hosts = &site.fleet.hosts[..size];
        let crew = bench.crew(&site, size)?;
        let ours = Ours::project(&site.operator, &bench.airlift, &format!("airlift-{size}"))?;
        site.fleet.wipe()?;
        ours.list(hosts, PORT, "")?;
        let mut measured = race(bench, site.meters(), contenders(&peers, &ours, &crew))?;
        notes.extend(distance(&measured, size));
        for row in &mut measured {
            row.name = on(&row.name, size);
        }
        rows.extend(measured);
    }
    let (few, many) = (named(&rows, &on(AIRLIFT, sizes[0])), named(&rows, &on(AIRLIFT, most)));
    let grown = |of: fn(&Row) -> Option<f64>| {
        let ratio = |many: f64, few: f64| many / few;
        Some(ratio(many.and_then(of)?, few.and_then(of)?))
    };
    let times = ratio(most, sizes[0]);
    Ok(Section {
        scenario: "scale".to_owned(),
        title: format!("`hostname` on {} to {most} hosts", sizes[0]),
        method: format!(
            "As with `exec`, {} at once. Operator and hosts share this machine's cores: what sshd costs is the part of \
             the wall time that no operator can save.",
            bench.fan_out
        ),
        goals: vec![
            Goal::at_most(
                format!("wall time, {} times the hosts", figure(times)),
                grown(|row| row.wall_s),
                times * TOLERANCE,
                "×",
            ),
            Goal::at_most(
                format!("operator's CPU, {} times the hosts", figure(times)),
                grown(|row| row.cpu_s),
                times * TOLERANCE,
                "×",
            ),
            Goal::at_most(
                format!("peak memory, {} times the hosts", figure(times)),
                grown(|row| row.memory.map(megabytes)),
                times,
                "×",
            ),
        ],
        rows,
        notes,
    })
}

/// Growth in proportion, and what a measurement may be off.
const TOLERANCE: f64 = 1.1;

fn on(name: &str, hosts: usize) -> String {
    format!("{name}, {hosts} hosts")
}

#[expect(clippy::cast_precision_loss, reason = "numbers of hosts are small")]
fn ratio(many: usize, few: usize) -> f64 {
    many as f64 / few as f64
}

/// How far airlift is from what sshd alone costs: from all cores busy with nothing but the leanest sessions that anybody
/// had with as many hosts.
fn distance(rows: &[Row], size: usize) -> Option<String> {
    let ours = named(rows, AIRLIFT)?;
    let sshd = least(rows, |_| true, |row| row.hosts_cpu_s)?.hosts_cpu_s?;
    let cores = std::thread::available_parallelism().ok()?.get();
    let floor = sshd / ratio(cores, 1);
    Some(format!(
        "{size} hosts: sshd by itself costs {} s of CPU, {} s on {cores} cores. airlift took {} × that; of its CPU time {} s \
         were the operator's, {} s the hosts'.",
        figure(sshd),
        figure(floor),
        figure(ours.wall_s? / floor),
        figure(ours.cpu_s?),
        figure(ours.hosts_cpu_s?)
    ))
}
