//! `cargo xtask check`: the steps one after the other, each with a heading and its time, then what came of them.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::repo::Repo;
use crate::steps::{Outcome, Step};
use crate::tally::Tally;

struct Done {
    step: Step,
    outcome: Outcome,
    took: Duration,
}

pub(crate) fn run(repo: &Repo, selected: &[Step]) -> ExitCode {
    let mut tally = Tally::default();
    let mut done = Vec::new();
    let steps = in_order(selected);
    for &step in &steps {
        println!("\n== {}", step.name());
        let start = Instant::now();
        let outcome = step.run(repo, &mut tally).unwrap_or_else(|error| Outcome::Failed(error.to_string()));
        let one = Done { step, outcome, took: start.elapsed() };
        println!("{}", line(&one));
        let stop = step == Step::Needs && matches!(one.outcome, Outcome::Failed(_));
        done.push(one);
        if stop {
            break;
        }
    }
    println!("\n== summary");
    for one in &done {
        println!("{}", line(one));
    }
    for step in &steps[done.len()..] {
        println!("{:<11} not run", step.name());
    }
    if steps.contains(&Step::Test) {
        println!("{tally}");
    }
    if done.iter().any(|one| matches!(one.outcome, Outcome::Failed(_))) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What was selected, once each and in the usual order; everything where nothing was.
fn in_order(selected: &[Step]) -> Vec<Step> {
    let all = Step::value_variants().iter().copied();
    all.filter(|step| selected.is_empty() || selected.contains(step)).collect()
}

fn line(Done { step, outcome, took }: &Done) -> String {
    let (word, why) = match outcome {
        Outcome::Passed => ("ok", None),
        Outcome::Skipped(why) => ("skipped", Some(why)),
        Outcome::Failed(why) => ("FAILED", Some(why)),
    };
    let why = why.map(|why| format!("  {why}")).unwrap_or_default();
    format!("{:<11} {word:<7} {:>6.1} s{why}", step.name(), took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_once_and_in_their_usual_order_however_they_are_named() {
        assert_eq!(in_order(&[Step::Clippy, Step::Fmt, Step::Clippy]), [Step::Fmt, Step::Clippy]);
    }

    #[test]
    fn without_a_selection_everything_runs_and_the_needs_come_first() {
        let all = in_order(&[]);
        assert_eq!(all.len(), Step::value_variants().len());
        assert_eq!(all[0], Step::Needs);
    }
}
