//! A changed bundle of 25 KB to many hosts, and a script there: a deployment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{AIRLIFT, beside_peers};
use crate::bench::content::Noise;
use crate::bench::fleet::{Fleet, PORT, remove};
use crate::bench::measure::Sample;
use crate::bench::operator::Operator;
use crate::bench::ours::Ours;
use crate::bench::peers::Peer;
use crate::bench::race::{Contender, race};
use crate::bench::report::{Goal, Row, Section, named};
use crate::bench::site::Bench;

const FIRST: &str = "airlift, first contact";

/// Where the script runs, the release is the working folder: for everyone.
const SCRIPT: &str = "#!/bin/sh\nhostname\ntouch \"$HOME/ran-$(cat app/round)\"\n";

const FILES: usize = 5;
const FILE_BYTES: usize = 5000;

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let site = bench.site(bench.hosts)?;
    let crew = bench.crew(&site, bench.hosts)?;
    let ours = Ours::project(&site.operator, &bench.airlift, "airlift")?;
    ours.list(&site.fleet.hosts, PORT, "bundle: {include: [app]}\n")?;
    let fan_out = bench.fan_out.to_string();
    let up = |round: usize| {
        let project = ours.path("project");
        write(&project, round)?;
        let script = project.join("app/script.sh");
        Ok(ours.command(&["up", "--run", &script.to_string_lossy(), "--concurrency", &fan_out]))
    };
    let ran = |round: usize, _: &Sample| ran_everywhere(&site.fleet, round);
    let mut contenders = vec![Contender::new(AIRLIFT, up).checked(ran)];
    for &peer in &bench.peers {
        let (crew, operator) = (&crew, &site.operator);
        let push = move |round| Ok(peer.push(crew, &archive(operator, round)?, &there(round)));
        contenders.push(Contender::new(peer.name(), push).checked(ran));
    }
    let mut rows = race(bench, site.meters(), contenders)?;
    let first = Contender::new(FIRST, |round| {
        site.fleet.wipe()?;
        ours.forget()?;
        up(round)
    });
    rows.extend(race(bench, site.meters(), vec![first.checked(ran)])?);
    Ok(Section {
        scenario: "push-run".to_owned(),
        title: format!("A changed bundle of 25 KB and a script on {} hosts", bench.hosts),
        method: format!(
            "{} at once for every tool. airlift: `up --run`, on hosts that it knows; each round has new content. It \
             delivers verified, into a folder of the release's own, and runs the script detached and supervised. The \
             peers bring a tar archive, unpack it into a folder of its own, check it with `sha256sum -c` and run the \
             script in the session. It is checked that the script ran on every host with the content of the round. \
             *First contact*: hosts where airlift never was, and an operator who knows nothing of them but their keys.",
            bench.fan_out
        ),
        goals: goals(&rows),
        rows,
        notes: Vec::new(),
    })
}

/// The round's content, as `app` in `folder`.
fn write(folder: &Path, round: usize) -> io::Result<()> {
    let app = folder.join("app");
    let mut noise = Noise::new(round as u64 + 1);
    for number in 1..=FILES {
        noise.text(&app.join(format!("file-{number}")), FILE_BYTES)?;
    }
    fs::write(app.join("round"), round.to_string())?;
    fs::write(app.join("script.sh"), SCRIPT)
}

/// The same as a tar archive, with its digests.
fn archive(operator: &Operator, round: usize) -> io::Result<PathBuf> {
    let folder = operator.path("archive");
    write(&folder, round)?;
    let pack =
        "cd \"$1\" && sha256sum app/file-* app/round app/script.sh > app/SUMS && exec tar -cf ../archive.tar app";
    let packed = operator.shell(pack, &[&folder.to_string_lossy()]).status()?;
    if !packed.success() {
        return Err(io::Error::other(format!("the archive cannot be made: {packed}")));
    }
    Ok(operator.path("archive.tar"))
}

/// What a peer does with the archive on the host.
fn there(round: usize) -> String {
    format!(
        "mkdir -p releases/{round} && tar -xf archive.tar -C releases/{round} && cd releases/{round} && \
         sha256sum -c --quiet app/SUMS && sh app/script.sh"
    )
}

/// The script left its mark on every host. The marks are taken away for the next one.
fn ran_everywhere(fleet: &Fleet, round: usize) -> Result<(), String> {
    for host in &fleet.hosts {
        let mark = host.home().join(format!("ran-{round}"));
        if !mark.exists() {
            return Err(format!("the script did not run on {}", host.name));
        }
        remove(&mark).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn goals(rows: &[Row]) -> Vec<Goal> {
    let wall = |name: &str| named(rows, name).and_then(|row| row.wall_s);
    let mut goals = beside_peers(rows);
    goals.push(Goal::ratio("wall time, of ansible's", wall(AIRLIFT), wall(Peer::Ansible.name()), 0.1));
    goals
}
