//! The event log: how many records a second are stored, synced.

use std::io;

use crate::bench::report::{Goal, Section};
use crate::bench::site::Bench;
use crate::bench::stats::median;

/// Records a second.
const LIMIT: f64 = 10_000.0;

/// What the measurement in the engine's tests prints before its figure.
const BATCHES: &str = "batches of 1000: ";

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let mut rates = Vec::new();
    for _ in 0..bench.rounds {
        bench.stop.check()?;
        let mut test = bench.cargo();
        test.args(["test", "--release", "--package", "airlift-engine", "--test", "log", "--"]);
        let output = test.args(["--ignored", "--nocapture", "the_rate_of_appends"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = rate(&text).ok_or_else(|| {
            io::Error::other(format!("the log's rate is not told: {}", String::from_utf8_lossy(&output.stderr)))
        })?;
        rates.push(rate);
    }
    Ok(Section {
        scenario: "events".to_owned(),
        title: "Records appended to the event log".to_owned(),
        method: "Batches of 1,000, each synced before the next: `cargo test --release -p airlift-engine --test log -- \
                 --ignored the_rate_of_appends`."
            .to_owned(),
        rows: Vec::new(),
        goals: vec![Goal::at_least("records a second", median(rates), LIMIT, "/s")],
        notes: Vec::new(),
    })
}

/// The figure in `batches of 1000: 18900 records/s`.
fn rate(output: &str) -> Option<f64> {
    let told = output.lines().find_map(|line| line.strip_prefix(BATCHES))?;
    told.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn the_rate_of_batches_is_found_among_the_others() {
        let output = "500 hosts at once: 14100 records/s\nbatches of 1000: 18900 records/s\nrebuild of 35000: 1s\n";
        assert_eq!(rate(output), Some(18_900.0));
        assert_eq!(rate("running 1 test\n"), None);
    }
}
