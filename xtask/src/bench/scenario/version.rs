//! The smallest command there is: what every other one costs at least.

use std::io;

use super::AIRLIFT;
use crate::bench::operator::Operator;
use crate::bench::ours::Ours;
use crate::bench::race::{Contender, Meters, race};
use crate::bench::report::{Goal, Section, megabytes, named};
use crate::bench::site::Bench;

/// In milliseconds.
const LIMIT: f64 = 20.0;

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let operator = Operator::make(&bench.folder.join("operator"))?;
    let ours = Ours::project(&operator, &bench.airlift, "airlift")?;
    let contenders = vec![Contender::new(AIRLIFT, |_| Ok(ours.command(&["--version"])))];
    let rows = race(bench, Meters::default(), contenders)?;
    let wall_ms = named(&rows, AIRLIFT).and_then(|row| row.wall_s).map(|wall| wall * 1000.0);
    let size = megabytes(bench.airlift.metadata()?.len());
    Ok(Section {
        scenario: "version".to_owned(),
        title: "`airlift --version`".to_owned(),
        method: "From the start of the process to its end.".to_owned(),
        goals: vec![Goal::at_most("wall time", wall_ms, LIMIT, "ms")],
        rows,
        notes: vec![format!(
            "The binary that was measured has {} MB; a profile adds the names of its functions.",
            crate::bench::report::figure(size)
        )],
    })
}
