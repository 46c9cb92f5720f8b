//! SIGKILL after every recorded event in turn, and at random moments: `resume` ends in the same final state, and nothing
//! has happened twice.
//!
//! This test is also the program that it kills: started with a command, it is airlift with a log that kills the process
//! after its n-th record. So the program that people run holds no switch for it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed unwrap is a failed test, and this one is its own harness"
)]

mod support;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use airlift_core::event::{Entry, Record};
use airlift_core::id::{ChangeId, Digest, RunId};
use airlift_engine::log::{ChangeFilter, ChangeRow, EventLog, Head, HostRow, LogError, Query, RunRow};
use async_trait::async_trait;

use self::support::{Ran, Sandbox};

/// How many records the process may live to see.
const LIVES: &str = "AIRLIFT_TEST_RECORDS_TO_LIVE";

const CONFIG: &str = "
fleet: mortal
provider: local
instances: {web: 2}
max_lifetime: 10m
bundle: {include: [app, boot.sh]}
bootstrap: boot.sh
secrets: {token: {file: token}}
";

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if std::env::var_os("AIRLIFT_UNDER_TEST").is_some() || words.get(1).is_some_and(|word| word == "instance-serve") {
        return airlift::main(&words, &hooks());
    }
    let tests: [(&str, fn()); 5] = [
        ("up_killed_after_every_record_is_finished_by_resume", up_killed_after_every_record),
        ("run_killed_after_every_record_starts_the_script_once", run_killed_after_every_record),
        ("push_killed_after_every_record_is_finished_by_resume", push_killed_after_every_record),
        ("down_killed_after_every_record_leaves_nothing", down_killed_after_every_record),
        ("killed_at_random_moments_everything_is_finished", killed_at_random_moments),
    ];
    let wanted = words.iter().skip(1).filter_map(|word| word.to_str()).find(|word| !word.starts_with('-'));
    let mut passed = 0;
    for (name, test) in tests {
        if wanted.is_none_or(|wanted| name.contains(wanted)) {
            test();
            println!("test {name} ... ok");
            passed += 1;
        }
    }
    println!("\ntest result: ok. {passed} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    ExitCode::SUCCESS
}

fn hooks() -> airlift::Hooks {
    let lives = std::env::var(LIVES).ok().and_then(|text| text.parse::<i64>().ok());
    airlift::Hooks {
        log: lives.map(|lives| -> airlift::WrapLog {
            Arc::new(move |log| Arc::new(Mortal { log, left: AtomicI64::new(lives) }))
        }),
        ports: None,
    }
}

/// A log after whose n-th record the process is no more.
struct Mortal {
    log: Arc<dyn EventLog>,
    left: AtomicI64,
}

#[async_trait]
impl EventLog for Mortal {
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<Record>, LogError> {
        let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        let records = self.log.append(entries).await?;
        if self.left.fetch_sub(count, Ordering::SeqCst) <= count {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::future::pending::<()>().await;
        }
        Ok(records)
    }

    async fn head(&self) -> Result<Head, LogError> {
        self.log.head().await
    }

    async fn records(&self, query: Query) -> Result<Vec<Record>, LogError> {
        self.log.records(query).await
    }

    async fn changes(&self, filter: ChangeFilter) -> Result<Vec<ChangeRow>, LogError> {
        self.log.changes(filter).await
    }

    async fn change(&self, change: &ChangeId) -> Result<Option<ChangeRow>, LogError> {
        self.log.change(change).await
    }

    async fn hosts(&self) -> Result<Vec<HostRow>, LogError> {
        self.log.hosts().await
    }

    async fn runs(&self, limit: Option<u64>) -> Result<Vec<RunRow>, LogError> {
        self.log.runs(limit).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRow>, LogError> {
        self.log.run(run).await
    }

    async fn rebuild(&self) -> Result<(), LogError> {
        self.log.rebuild().await
    }
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(std::env::current_exe().unwrap(), CONFIG);
    sandbox.write("app/page.html", "one\n");
    sandbox.write("boot.sh", "#!/bin/sh\necho booted\necho x >>\"$HOME/boots-$AIRLIFT_RELEASE\"\n");
    sandbox.write("token", "s3cret\n");
    sandbox.write("work.sh", "#!/bin/sh\necho x >>\"$HOME/starts-$AIRLIFT_RUN\"\nseq 1 2000\nsleep 0.3\necho done\n");
    sandbox
}

/// Runs a command that is killed after `records` records. None: it came to its end before that.
fn killed_after(sandbox: &Sandbox, records: u32, words: &[&str]) -> Option<()> {
    let output = sandbox.command(words).env(LIVES, records.to_string()).output().unwrap();
    if output.status.code().is_some() {
        let ran = Ran::from(output);
        assert_eq!(ran.code, Some(0), "{words:?}: {}{}", ran.stdout, ran.stderr);
        return None;
    }
    Some(())
}

/// Goes on with what was killed. That there is nothing to resume is fine: it was killed before its first record, or after
/// its last.
fn resume(sandbox: &Sandbox) {
    let ran = sandbox.run(&["resume"]);
    assert!(matches!(ran.code, Some(0 | 5)), "resume: {}\n{}", ran.stdout, ran.stderr);
}

fn lines_in(sandbox: &Sandbox, host: &str, prefix: &str) -> Vec<(String, usize)> {
    let home = sandbox.instance("mortal", host).join("root/home");
    home.read_dir_utf8()
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().starts_with(prefix))
        .map(|entry| (entry.file_name().to_owned(), std::fs::read_to_string(entry.path()).unwrap().lines().count()))
        .collect()
}

const HOSTS: [&str; 2] = ["web/1", "web/2"];

/// Both hosts are ready, each bootstrapped each release once.
fn is_up(sandbox: &Sandbox) {
    let status = sandbox.ok(&["status", "--json"]).json().remove(0);
    for instance in status["instances"].as_array().unwrap() {
        assert_eq!(instance["phase"], "ready", "{status}");
    }
    assert_eq!(status["instances"].as_array().unwrap().len(), 2);
    for host in HOSTS {
        let boots = lines_in(sandbox, host, "boots-");
        assert!(!boots.is_empty());
        assert!(boots.iter().all(|(_, count)| *count == 1), "{host} bootstrapped twice: {boots:?}");
        let token = sandbox.instance("mortal", host).join("root/opt/airlift/secrets/token");
        assert_eq!(std::fs::read_to_string(token).unwrap(), "s3cret\n");
    }
    sandbox.ok(&["audit", "verify"]);
    assert_eq!(sandbox.run(&["plan", "--exit-code"]).code, Some(0), "a second up would do something");
}

fn up_killed_after_every_record() {
    let mut records = 1;
    loop {
        let sandbox = sandbox();
        let killed = killed_after(&sandbox, records, &["up", "--yes"]);
        if killed.is_some() {
            resume(&sandbox);
        }
        is_up(&sandbox);
        if killed.is_none() {
            break;
        }
        records += 1;
    }
    assert!(records > 20, "an up of two hosts has more than {records} records");
}

fn run_killed_after_every_record() {
    let sandbox = sandbox();
    sandbox.ok(&["up", "--yes"]);
    let mut records = 1;
    while killed_after(&sandbox, records, &["run", "work.sh"]).is_some() {
        resume(&sandbox);
        records += 1;
    }
    assert!(records > 8, "a run on two hosts has more than {records} records");
    all_runs_are_whole(&sandbox);
}

/// Every run that was recorded ended with success on both hosts, started once there, and its output here is the host's.
fn all_runs_are_whole(sandbox: &Sandbox) {
    let runs: Vec<_> = sandbox.ok(&["runs", "--json", "--limit", "1000"]).json();
    assert!(!runs.is_empty());
    for run in runs {
        let id = run["run"].as_str().unwrap();
        assert_eq!(run["results"]["succeeded"], 2, "{run}");
        for host in HOSTS {
            let there = sandbox.instance("mortal", host).join("root/opt/airlift/runs").join(id).join("stdout");
            let here = sandbox.state().join("airlift/mortal/runs").join(id).join(host).join("stdout");
            let digest = |path| Digest::of(&std::fs::read(path).unwrap());
            assert_eq!(digest(there), digest(here), "{id} on {host}");
        }
    }
    for host in HOSTS {
        let starts = lines_in(sandbox, host, "starts-");
        assert!(starts.iter().all(|(_, count)| *count == 1), "{host}: {starts:?}");
    }
}

fn push_killed_after_every_record() {
    let sandbox = sandbox();
    sandbox.ok(&["up", "--yes"]);
    let mut records = 1;
    loop {
        sandbox.write("app/page.html", &format!("edition {records}\n"));
        let killed = killed_after(&sandbox, records, &["push"]);
        if killed.is_some() {
            resume(&sandbox);
        }
        is_up(&sandbox);
        for host in HOSTS {
            let page = sandbox.instance("mortal", host).join("root/opt/airlift/current/app/page.html");
            assert_eq!(std::fs::read_to_string(page).unwrap(), format!("edition {records}\n"));
        }
        if killed.is_none() {
            break;
        }
        records += 1;
    }
}

fn down_killed_after_every_record() {
    let sandbox = sandbox();
    let mut records = 1;
    loop {
        sandbox.ok(&["up", "--yes"]);
        let killed = killed_after(&sandbox, records, &["down", "--yes"]);
        if killed.is_some() {
            resume(&sandbox);
        }
        let left: Vec<_> = sandbox.processes();
        assert!(left.is_empty(), "after {records} records: {left:?}");
        // The group's folder may be left, if the process was killed just before its removal: it is empty.
        let files = Sandbox::snapshot(&sandbox.instance("mortal", "web"));
        assert!(files.is_empty(), "after {records} records: {:?}", files.keys());
        if killed.is_none() {
            break;
        }
        records += 1;
    }
}

fn killed_at_random_moments() {
    let sandbox = sandbox();
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    for round in 0..6 {
        let delay = (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round * 7919) >> 16) % 900;
        for words in [&["up", "--yes"][..], &["run", "work.sh"][..]] {
            let mut child = sandbox
                .command(words)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(delay));
            let _ = child.kill();
            child.wait().unwrap();
            while sandbox.run(&["resume"]).code != Some(5) {}
            if words[0] == "up" {
                sandbox.ok(&["up", "--yes"]);
                is_up(&sandbox);
            }
        }
        sandbox.write("app/page.html", &format!("round {round}\n"));
    }
    for host in HOSTS {
        let starts = lines_in(&sandbox, host, "starts-");
        assert!(starts.iter().all(|(_, count)| *count == 1), "{host}: {starts:?}");
    }
}
