//! The table of a large fleet, from what is recorded.

use std::io;
use std::net::Ipv4Addr;

use super::AIRLIFT;
use crate::bench::fleet::Host;
use crate::bench::measure::Sample;
use crate::bench::operator::Operator;
use crate::bench::ours::Ours;
use crate::bench::race::{Contender, Meters, race};
use crate::bench::report::{Goal, Section, named};
use crate::bench::site::Bench;

const INSTANCES: u16 = 10_000;

/// In milliseconds.
const LIMIT: f64 = 200.0;

/// Where nobody listens. A host that refuses is tried for half a minute, so all of them are tried at once.
const CLOSED_PORT: u16 = 9;

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let operator = Operator::make(&bench.folder.join("operator"))?;
    operator.know(&[])?;
    let ours = Ours::project(&operator, &bench.airlift, "airlift")?;
    let hosts: Vec<Host> = (1..=INSTANCES).map(nobody).collect();
    ours.list(&hosts, CLOSED_PORT, "")?;
    let script = ours.path("command.sh");
    std::fs::write(&script, "#!/bin/sh\ntrue\n")?;
    // It fails, and records so for each of them.
    let recorded = Sample::of(
        &ours.command(&["run", &script.to_string_lossy(), "--no-files", "--concurrency", "10000", "--quiet"]),
        &bench.folder,
    )?;
    let known = ours.command(&["status", "--json"]).output()?.stdout;
    if String::from_utf8_lossy(&known).matches("\"updated\":\"").count() < usize::from(INSTANCES) {
        return Err(io::Error::other(format!("the hosts were not recorded: {}", recorded.tail())));
    }
    let contenders = vec![
        Contender::new(AIRLIFT, |_| Ok(ours.command(&["status"]))),
        Contender::new("airlift, as JSON", |_| Ok(ours.command(&["status", "--json"]))),
    ];
    let rows = race(bench, Meters::default(), contenders)?;
    let wall_ms = named(&rows, AIRLIFT).and_then(|row| row.wall_s).map(|wall| wall * 1000.0);
    Ok(Section {
        scenario: "status".to_owned(),
        title: "`airlift status` of 10,000 instances".to_owned(),
        method: "Each has been worked on and has records, a last run and a message.".to_owned(),
        goals: vec![Goal::at_most("wall time", wall_ms, LIMIT, "ms")],
        rows,
        notes: Vec::new(),
    })
}

fn nobody(number: u16) -> Host {
    let [high, low] = number.to_be_bytes();
    Host::elsewhere(format!("n{number:05}"), Ipv4Addr::new(127, 84, high, low))
}
