//! The test step: `cargo test`, which also runs the tests in documentation, shown live and counted.

use std::io::{self, BufReader};
use std::process::Stdio;

use crate::repo::Repo;
use crate::steps::Outcome;
use crate::tally::Tally;

/// Runs all tests and adds their results to `tally`.
pub(crate) fn run(repo: &Repo, tally: &mut Tally) -> io::Result<Outcome> {
    let mut child = repo.cargo().args(["test", "--workspace", "--no-fail-fast"]).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().expect("standard output is piped");
    let counted = Tally::of(BufReader::new(output), io::stdout());
    let status = child.wait()?;
    *tally = counted?;
    Ok(match (status.success(), tally.failed) {
        (true, 0) => Outcome::Passed,
        // The counts alone would look like a success.
        (_, 0) => Outcome::Failed("no test failed, but something did not compile or a test program died".to_owned()),
        (_, 1) => Outcome::Failed("1 test failed".to_owned()),
        (_, failed) => Outcome::Failed(format!("{failed} tests failed")),
    })
}
