//! A cold build, as a newcomer has it, and the size of what is shipped.

use std::io;
use std::time::Instant;

use crate::bench::report::{Goal, Row, Section, megabytes};
use crate::bench::site::Bench;

/// In minutes: README's first command on two cores.
const LIMIT: f64 = 5.0;

const MINUTE: f64 = 60.0;

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let target = bench.fresh("build")?;
    let start = Instant::now();
    let built = bench.cargo().args(["build", "--locked"]).env("CARGO_TARGET_DIR", &target).status()?;
    if !built.success() {
        return Err(io::Error::other("airlift does not build"));
    }
    let wall = start.elapsed().as_secs_f64();
    let size = megabytes(bench.airlift.metadata()?.len());
    Ok(Section {
        scenario: "build".to_owned(),
        title: "A cold build".to_owned(),
        method: "`cargo build` into an empty target folder, once; the sources of the dependencies are there already."
            .to_owned(),
        rows: vec![Row { wall_s: Some(wall), ..Row::named("cargo build") }],
        goals: vec![Goal::at_most("wall time", Some(wall / MINUTE), LIMIT, "min")],
        notes: vec![format!("The release binary that was measured has {} MB.", crate::bench::report::figure(size))],
    })
}
