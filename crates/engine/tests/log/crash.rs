//! A process that is killed while it writes: what it was told is stored is there, and nothing is half there.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use airlift_core::event::{Event, Phase};
use airlift_engine::log::{Access, EventLog, Query, SqliteLog, verify};

use crate::support::{Folder, entry};

/// How many records each append has.
const TOGETHER: u64 = 3;

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_groups_are_whole() {
    let folder = Folder::new();
    let mut acknowledged = 0;
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::append_until_killed", "--ignored", "--nocapture"])
            .env("AIRLIFT_TEST_LOG", &folder.log)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed at another place each time: the child does not wait for anybody to read.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut stored = lines.filter_map(|line| line.strip_prefix("stored ")?.parse::<u64>().ok());
        acknowledged = stored.by_ref().take(5 * round).last().unwrap();
        child.kill().unwrap();
        acknowledged = stored.last().unwrap_or(acknowledged);
        child.wait().unwrap();

        let verified = verify(&folder.log).unwrap();
        assert!(verified.is_intact() && verified.projections_compared, "{:?}", verified.findings);
        assert!(verified.head.seq >= acknowledged, "{acknowledged} was acknowledged");
        assert_eq!(verified.head.seq % TOGETHER, 0, "entries of one append are stored together");
    }
    let log = SqliteLog::open(&folder.log).unwrap();
    assert_eq!(log.access(), &Access::ReadWrite);
    assert!(log.records(Query::all()).await.unwrap().len() as u64 >= acknowledged);
}

#[tokio::test]
#[ignore = "run by another test, which kills it"]
async fn append_until_killed() {
    let path = std::env::var("AIRLIFT_TEST_LOG").unwrap();
    let log = SqliteLog::open(path.as_str().into()).unwrap();
    loop {
        let phase = |phase| entry(1, Some(1), Event::Phase { phase, current: None });
        let entries = vec![phase(Phase::Pending), phase(Phase::Running), phase(Phase::Ready)];
        let records = log.append(entries).await.unwrap();
        println!("stored {}", records[2].seq);
    }
}
