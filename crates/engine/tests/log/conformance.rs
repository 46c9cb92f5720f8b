//! Both kinds of log give the same answers to the same questions, and each of these answers is the right one.

use std::sync::Arc;

use airlift_core::action::{Outcome, StartRun, SwitchRelease, TerminateInstance};
use airlift_core::decide::Verdict;
use airlift_core::event::{ChangeEnd, Entry, Event, Mode, Phase, Subject};
use airlift_engine::log::{ChangeFilter, ChangeRow, EventLog, Head, HostRow, MemoryLog, Query, RunRow, stream, verify};
use futures::TryStreamExt as _;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::{
    Folder, began, change, entries, entry, history, host, intended, release, run, run_id, settled, ticking, up,
};

/// Runs `test` against a log of each kind.
async fn for_each_log<F: Future<Output = ()>>(test: impl Fn(Arc<dyn EventLog>) -> F) {
    test(Arc::new(MemoryLog::with_stamp(ticking()))).await;
    let folder = Folder::new();
    test(Arc::new(folder.open())).await;
}

async fn fill(log: &dyn EventLog, batches: Vec<Vec<Entry>>) {
    for batch in batches {
        log.append(batch).await.unwrap();
    }
}

/// Every answer that a log can give.
#[derive(Debug, PartialEq)]
struct Answers {
    records: Vec<airlift_core::event::Record>,
    head: Head,
    hosts: Vec<HostRow>,
    changes: Vec<Vec<ChangeRow>>,
    each: Vec<Option<ChangeRow>>,
    runs: Vec<RunRow>,
    run: Vec<Option<RunRow>>,
    queries: Vec<Vec<u64>>,
}

async fn ask(log: &dyn EventLog) -> Answers {
    let filters = [
        ChangeFilter::default(),
        ChangeFilter { dry_runs: true, newest_first: true, ..ChangeFilter::default() },
        ChangeFilter { unfinished: true, ..ChangeFilter::default() },
        ChangeFilter { operation: Some("run".to_owned()), limit: Some(2), ..ChangeFilter::default() },
    ];
    let queries = [
        Query::change(change(1)),
        Query::change(change(2)).about(Subject::Host(host(1))).newest_first(),
        Query::all().since(3).limit(4),
        Query::all().since(2).about(Subject::Fleet).newest_first().limit(3),
    ];
    let mut answers = Answers {
        records: log.records(Query::all()).await.unwrap(),
        head: log.head().await.unwrap(),
        hosts: log.hosts().await.unwrap(),
        changes: Vec::new(),
        each: Vec::new(),
        runs: log.runs(None).await.unwrap(),
        run: Vec::new(),
        queries: Vec::new(),
    };
    for filter in filters {
        answers.changes.push(log.changes(filter).await.unwrap());
    }
    for number in 1..5 {
        answers.each.push(log.change(&change(number)).await.unwrap());
        answers.run.push(log.run(&run_id(number)).await.unwrap());
    }
    for query in queries {
        answers.queries.push(log.records(query).await.unwrap().iter().map(|record| record.seq).collect());
    }
    answers
}

/// Compared part by part, so that a difference is short enough to read.
fn same(one: &Answers, other: &Answers) -> TestCaseResult {
    prop_assert_eq!(&one.hosts, &other.hosts);
    prop_assert_eq!(&one.runs, &other.runs);
    prop_assert_eq!(&one.changes, &other.changes);
    prop_assert_eq!(&one.queries, &other.queries);
    prop_assert_eq!(one, other);
    Ok(())
}

async fn compare_on(batches: Vec<Vec<Entry>>) -> TestCaseResult {
    let memory = MemoryLog::with_stamp(ticking());
    let folder = Folder::new();
    let file = folder.open();
    for batch in batches {
        let (one, other) = (memory.append(batch.clone()).await.unwrap(), file.append(batch.clone()).await.unwrap());
        prop_assert_eq!(&one, &other);
        for (record, entry) in one.iter().zip(&batch) {
            prop_assert_eq!(&record.event, &entry.event);
        }
    }
    let answers = ask(&memory).await;
    same(&answers, &ask(&file).await)?;

    // What was folded record by record is what is folded all at once, and what another process reads.
    memory.rebuild().await.unwrap();
    same(&answers, &ask(&memory).await)?;
    file.rebuild().await.unwrap();
    same(&answers, &ask(&file).await)?;
    drop(file);
    same(&answers, &ask(&folder.open()).await)?;
    let verified = verify(&folder.log).unwrap();
    prop_assert!(verified.is_intact() && verified.projections_compared, "{:?}", verified);
    prop_assert_eq!(verified.head, answers.head);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_logs_and_rebuilt_ones_give_the_same_answers(batches in entries()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare_on(batches))?;
    }
}

#[tokio::test]
async fn records_are_numbered_without_gaps_in_the_order_given() {
    for_each_log(|log| async move {
        assert_eq!(log.head().await.unwrap(), Head::EMPTY);
        assert!(log.append(Vec::new()).await.unwrap().is_empty());
        fill(&*log, history()).await;
        let records = log.records(Query::all()).await.unwrap();
        let given: Vec<Entry> = history().into_iter().flatten().collect();
        assert_eq!(records.len(), given.len());
        for ((record, entry), seq) in records.iter().zip(&given).zip(1..) {
            assert_eq!((record.seq, &record.event, &record.subject), (seq, &entry.event, &entry.subject));
        }
        let head = log.head().await.unwrap();
        assert_eq!((head.seq, head.hash), (given.len() as u64, records.last().unwrap().hash));
    })
    .await;
}

#[tokio::test]
async fn an_unfinished_change_is_one_that_acts_and_has_not_ended() {
    for_each_log(|log| async move {
        fill(&*log, history()).await;
        fill(&*log, vec![vec![entry(3, None, began(up(1, None), Mode::DryRun))]]).await;
        let unfinished = log.unfinished().await.unwrap();
        assert_eq!(unfinished.iter().map(|row| &row.change).collect::<Vec<_>>(), [&change(2)]);
        assert_eq!(unfinished[0].began.operation, run(1, 3));

        let end = ChangeEnd::Aborted { message: "plan exceeded".to_owned() };
        fill(&*log, vec![vec![entry(2, None, Event::ChangeEnded { end: end.clone() })]]).await;
        assert!(log.unfinished().await.unwrap().is_empty());
        let row = log.change(&change(2)).await.unwrap().unwrap();
        assert_eq!(row.ended.unwrap().1, end);
        assert!(log.run(&run_id(1)).await.unwrap().unwrap().ended.is_some());
    })
    .await;
}

#[tokio::test]
async fn a_hosts_row_follows_what_is_recorded_about_it() {
    for_each_log(|log| async move {
        fill(&*log, history()).await;
        let row = log.hosts().await.unwrap().swap_remove(0);
        assert_eq!(row.host, host(1));
        assert_eq!(row.phase, Some(Phase::Ready));
        assert_eq!(row.instance.as_deref(), Some("i-0001"));
        assert_eq!(row.release, Some(release(1)));
        assert_eq!(row.pins.batch.as_deref(), Some("ssh-ed25519 AAAA1"));
        assert_eq!(row.last_change, change(2));
        assert_eq!(row.last_verdict.unwrap().word(), "succeeded");

        let failed = Event::Phase { phase: Phase::Failed, current: Some(release(3)) };
        fill(&*log, vec![vec![entry(2, Some(1), failed)]]).await;
        assert_eq!(log.hosts().await.unwrap().swap_remove(0).release, Some(release(3)), "what was seen there");

        let switch = SwitchRelease { host: host(1), to: Some(release(2)), from: Some(release(1)) };
        let start = StartRun { host: host(1), run: run_id(9), script: "x".to_owned() };
        let at = log.head().await.unwrap().seq;
        fill(
            &*log,
            vec![vec![
                entry(2, Some(1), intended(switch.into())),
                entry(2, Some(1), Event::Succeeded { intent: at + 1, outcome: Outcome::Done }),
                entry(2, Some(1), intended(start.into())),
            ]],
        )
        .await;
        let row = log.hosts().await.unwrap().swap_remove(0);
        assert_eq!((row.release, row.last_run), (Some(release(2)), Some(run_id(9))));

        let terminate = TerminateInstance { host: host(1), lost: false };
        fill(
            &*log,
            vec![vec![
                entry(2, Some(1), intended(terminate.into())),
                entry(2, Some(1), Event::Succeeded { intent: at + 4, outcome: Outcome::Done }),
            ]],
        )
        .await;
        let row = log.hosts().await.unwrap().swap_remove(0);
        assert_eq!((row.release, row.instance), (None, None));
    })
    .await;
}

#[tokio::test]
async fn a_run_lists_all_its_hosts_settled_or_not() {
    for_each_log(|log| async move {
        fill(&*log, history()).await;
        let row = log.run(&run_id(1)).await.unwrap().unwrap();
        assert_eq!((row.change, row.script.as_str()), (change(2), "deploy.sh"));
        let verdicts: Vec<Option<bool>> =
            row.hosts.iter().map(|host| host.verdict.as_ref().map(Verdict::is_success)).collect();
        assert_eq!(verdicts, [Some(true), Some(true), None]);
        assert!(row.hosts[0].output.is_some() && row.hosts[2].output.is_none());
        assert!(row.ended.is_none());
        assert!(log.run(&run_id(7)).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn what_a_dry_run_says_of_a_host_changes_no_row() {
    for_each_log(|log| async move {
        fill(
            &*log,
            vec![vec![
                entry(1, None, began(run(1, 2), Mode::DryRun)),
                entry(1, Some(1), settled(Verdict::SUCCEEDED)),
                entry(1, None, Event::ChangeEnded { end: ChangeEnd::Shown { actions: 2 } }),
            ]],
        )
        .await;
        assert!(log.hosts().await.unwrap().is_empty());
        assert!(log.runs(None).await.unwrap().is_empty());
        assert!(log.changes(ChangeFilter::default()).await.unwrap().is_empty());
        assert!(log.change(&change(1)).await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn hosts_are_listed_in_the_order_of_their_numbers() {
    for_each_log(|log| async move {
        let phase = || Event::Phase { phase: Phase::Ready, current: None };
        fill(&*log, vec![[10, 2, 1].map(|number| entry(1, Some(number), phase())).to_vec()]).await;
        let hosts: Vec<_> = log.hosts().await.unwrap().into_iter().map(|row| row.host).collect();
        assert_eq!(hosts, [host(1), host(2), host(10)]);
    })
    .await;
}

#[tokio::test]
async fn a_stream_reads_everything_page_by_page() {
    for_each_log(|log| async move {
        let phase = || Event::Phase { phase: Phase::Ready, current: None };
        for batch in 0..3 {
            let entries = (0..437).map(|n| entry(1, Some(batch * 437 + n + 1), phase())).collect();
            log.append(entries).await.unwrap();
        }
        let all: Vec<_> = stream(log.clone(), Query::all()).try_collect().await.unwrap();
        assert_eq!(all, log.records(Query::all()).await.unwrap());
        let some: Vec<_> = stream(log.clone(), Query::all().since(3).limit(1001)).try_collect().await.unwrap();
        assert_eq!((some.len(), some[0].seq), (1001, 4));
        let last: Vec<_> = stream(log.clone(), Query::all().newest_first()).try_collect().await.unwrap();
        assert_eq!((last.len(), last[0].seq), (1311, 1311));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_from_many_tasks_keep_each_of_them_together() {
    for_each_log(|log| async move {
        let tasks: Vec<_> = (1..=60)
            .map(|number| {
                let log = log.clone();
                tokio::spawn(async move {
                    let phase = |phase| entry(1, Some(number), Event::Phase { phase, current: None });
                    log.append(vec![phase(Phase::Pending), phase(Phase::Running), phase(Phase::Ready)]).await
                })
            })
            .collect();
        for task in tasks {
            let records = task.await.unwrap().unwrap();
            assert_eq!(records[2].seq, records[0].seq + 2);
        }
        let records = log.records(Query::all()).await.unwrap();
        assert_eq!(records.len(), 180);
        for together in records.chunks(3) {
            assert!(together.iter().all(|record| record.subject == together[0].subject));
        }
    })
    .await;
}
