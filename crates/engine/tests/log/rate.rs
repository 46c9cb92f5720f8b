//! How fast records are stored. Measured on demand: `cargo test -p airlift-engine --test log rate -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::Instant;

use airlift_core::action::{Outcome, StartRun};
use airlift_core::event::{Event, Mode, Phase};
use airlift_engine::log::EventLog;

use crate::support::{Folder, began, entry, host, intended, run, run_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_rate_of_appends() {
    let folder = Folder::new();
    let log: Arc<dyn EventLog> = Arc::new(folder.open());
    log.append(vec![entry(1, None, began(run(1, 500), Mode::Apply))]).await.unwrap();

    let began = Instant::now();
    for _ in 0..100 {
        log.append(vec![entry(1, Some(1), Event::Phase { phase: Phase::Ready, current: None })]).await.unwrap();
    }
    println!("one after the other: {:?} for each", began.elapsed() / 100);

    // 500 hosts, each of which records an intent, then its outcome and a phase, ten times.
    let (hosts, rounds) = (500, 10);
    let began = Instant::now();
    let tasks: Vec<_> = (1..=hosts)
        .map(|number| {
            let log = log.clone();
            tokio::spawn(async move {
                for _ in 0..rounds {
                    let start = StartRun { host: host(number), run: run_id(1), script: "x.sh".to_owned() };
                    let records = log.append(vec![entry(1, Some(number), intended(start.into()))]).await.unwrap();
                    let intent = records[0].seq;
                    log.append(vec![
                        entry(1, Some(number), Event::Succeeded { intent, outcome: Outcome::Done }),
                        entry(1, Some(number), Event::Phase { phase: Phase::Ready, current: None }),
                    ])
                    .await
                    .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let records = f64::from(hosts * rounds * 3);
    println!("{hosts} hosts at once: {:.0} records/s", records / began.elapsed().as_secs_f64());

    let began = Instant::now();
    for _ in 0..20 {
        let batch =
            (1..=1000).map(|n| entry(1, Some(n), Event::Phase { phase: Phase::Running, current: None })).collect();
        log.append(batch).await.unwrap();
    }
    println!("batches of 1000: {:.0} records/s", 20_000.0 / began.elapsed().as_secs_f64());

    let began = Instant::now();
    log.rebuild().await.unwrap();
    println!("rebuild of {} records: {:?}", log.head().await.unwrap().seq, began.elapsed());
    let began = Instant::now();
    let verified = airlift_engine::log::verify(&folder.log).unwrap();
    assert!(verified.is_intact());
    println!("verify of {} records: {:?}", verified.records, began.elapsed());
}
