//! The example of a job that outlives being stopped: what was done before is not done again, and the result is the same.

use super::AIRLIFT;
use super::support::{Sandbox, eventually};

/// What training comes to when nothing stops it.
fn trained(steps: u64) -> u64 {
    (0..steps).fold(1, |weight, step| (weight * 31 + step) % 1_000_003)
}

/// The steps of which a run printed checkpoints.
fn checkpoints(log: &str) -> Vec<u64> {
    let saved = log.lines().filter_map(|line| line.split_once("checkpoint: step "));
    saved.map(|(_, rest)| rest.split(',').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_job_that_is_cancelled_goes_on_from_its_checkpoint() {
    let example = |file: &str| {
        let path = format!("{}/../../examples/training/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let sandbox = Sandbox::new(AIRLIFT, &example("airlift.yaml"));
    sandbox.write("train.sh", &example("train.sh"));
    sandbox.ok(&["up", "--quiet"]);

    sandbox.ok(&["run", "train.sh", "--detach", "--quiet", "--", "1000000"]);
    let runs = sandbox.ok(&["runs", "--json"]).stdout;
    let run: serde_json::Value = serde_json::from_str(runs.lines().next().unwrap()).unwrap();
    let run = run["run"].as_str().unwrap();
    let log = |run: &str, host: &str| sandbox.run(&["logs", run, "--host", host, "--stream", "stdout"]).stdout;
    for host in ["trainer/1", "trainer/2"] {
        eventually("a checkpoint", || log(run, host).contains("checkpoint") || is_saved(&sandbox, host));
    }
    sandbox.run(&["cancel", run, "--quiet", "--yes"]);
    sandbox.run(&["attach", run, "--quiet"]);

    for host in ["trainer/1", "trainer/2"] {
        let first = log(run, host);
        assert!(first.contains("starting from scratch") && first.contains("asked to stop"), "{host}: {first}");
        let saved = *checkpoints(&first).last().unwrap();
        let steps = saved + 15;
        sandbox.ok(&["run", "train.sh", "--quiet", "--host", host, "--", &steps.to_string()]);
        let second = sandbox.ok(&["logs", "--host", host]).stdout;
        assert!(second.contains(&format!("going on from step {saved}\n")), "{host}: {second}");
        assert!(checkpoints(&second).iter().all(|step| *step > saved), "{host} did steps again: {second}");
        assert!(second.contains(&format!("trained {steps} steps: weight {}", trained(steps))), "{host}: {second}");
    }
}

/// The host's file `latest` is there.
fn is_saved(sandbox: &Sandbox, host: &str) -> bool {
    Sandbox::snapshot(&sandbox.instance("training", host)).keys().any(|path| path.ends_with("checkpoints/latest"))
}
