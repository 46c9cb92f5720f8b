//! Opening a log: new, old, newer, damaged, in folders that can and cannot be written. Nothing is ever deleted.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use airlift_core::event::{Event, Phase};
use airlift_engine::log::{Access, EventLog, Head, LogError, Query, ReadOnlyReason, SqliteLog, verify};

use crate::support::{Folder, RECORDS, entry, history, ticking};

/// The log that airlift 0.1.0 wrote with schema 1, as SQL.
const VERSION_1: &str = include_str!("fixtures/v1.sql");

fn mode(path: impl AsRef<std::path::Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn filled() -> Folder {
    let folder = Folder::new();
    let log = folder.open();
    for batch in history() {
        log.append(batch).await.unwrap();
    }
    folder
}

fn one_more() -> Vec<airlift_core::event::Entry> {
    vec![entry(2, Some(3), Event::Phase { phase: Phase::Ready, current: None })]
}

/// Records can be read and not appended; the error says so, and with it comes the reason.
async fn is_read_only(log: &SqliteLog, records: u64) -> ReadOnlyReason {
    assert_eq!(log.records(Query::all()).await.unwrap().len() as u64, records);
    assert!(!log.hosts().await.unwrap().is_empty());
    let Err(LogError::ReadOnly { reason, .. }) = log.append(one_more()).await else { panic!("it was written") };
    assert_eq!(log.access(), &Access::ReadOnly(reason.clone()));
    reason
}

#[tokio::test]
async fn only_its_owner_can_read_a_log() {
    let folder = Folder::new();
    let log = folder.open();
    log.append(one_more()).await.unwrap();
    assert_eq!(mode(folder.state()), 0o700);
    for file in fs::read_dir(folder.state()).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert!(folder.anchor.exists());
}

#[tokio::test]
async fn what_was_appended_is_there_after_opening_again() {
    let folder = filled().await;
    let log = folder.open();
    assert_eq!(log.access(), &Access::ReadWrite);
    assert_eq!(log.records(Query::all()).await.unwrap().len() as u64, RECORDS);
    assert_eq!(log.append(one_more()).await.unwrap()[0].seq, RECORDS + 1);
    drop(log);
    let left: Vec<_> = fs::read_dir(folder.state()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "a closed log is a database and an anchor: {left:?}");
}

#[tokio::test]
async fn opening_for_reading_makes_nothing_and_changes_nothing() {
    let folder = Folder::new();
    let error = SqliteLog::open_for_reading(&folder.log).unwrap_err();
    assert_eq!(error, LogError::Missing { path: folder.log.clone() });
    assert!(!folder.state().exists());

    let folder = filled().await;
    let before = fs::read(&folder.log).unwrap();
    let log = SqliteLog::open_for_reading(&folder.log).unwrap();
    assert_eq!(is_read_only(&log, RECORDS).await, ReadOnlyReason::Asked);
    drop(log);
    assert_eq!(fs::read(&folder.log).unwrap(), before);
}

#[tokio::test]
async fn a_log_of_version_1_opens_reads_verifies_and_goes_on() {
    let folder = Folder::new();
    fs::create_dir(folder.state()).unwrap();
    rusqlite::Connection::open(&folder.log).unwrap().execute_batch(VERSION_1).unwrap();
    SqliteLog::accept(&folder.log).unwrap(); // the fixture is the log alone, without its anchor
    let log = folder.open();
    let records = log.records(Query::all()).await.unwrap();
    let given: Vec<_> = history().into_iter().flatten().map(|entry| entry.event).collect();
    assert_eq!(records.into_iter().map(|record| record.event).collect::<Vec<_>>(), given);
    assert_eq!(log.hosts().await.unwrap().len(), 6);
    assert_eq!(log.append(one_more()).await.unwrap()[0].seq, RECORDS + 1);
    let verified = verify(&folder.log).unwrap();
    assert!(verified.is_intact() && verified.projections_compared, "{:?}", verified.findings);
}

/// Writes the fixture anew, for when events of a version that was never released change:
/// `cargo test -p airlift-engine --test log write_the_fixture -- --ignored`.
#[tokio::test]
#[ignore = "writes a file of the repository"]
async fn write_the_fixture() {
    let folder = filled().await;
    let log = rusqlite::Connection::open(&folder.log).unwrap();
    let mut text =
        "PRAGMA foreign_keys = OFF;\nPRAGMA application_id = 1634300524;\nPRAGMA user_version = 1;\n".to_owned();
    let mut definitions =
        log.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'trigger', rowid").unwrap();
    for sql in definitions.query_map((), |row| row.get::<_, String>(0)).unwrap() {
        text.push_str(&sql.unwrap());
        text.push_str(";\n");
    }
    for table in ["schema_history", "events", "changes", "hosts", "runs", "run_hosts"] {
        let names = log.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let quoted: Vec<String> = names.column_names().map(|name| format!("quote({name})")).collect();
        let select = format!("SELECT {} FROM {table}", quoted.join(" || ', ' || "));
        let mut rows = log.prepare(&select).unwrap();
        for row in rows.query_map((), |row| row.get::<_, String>(0)).unwrap() {
            text.extend(["INSERT INTO ", table, " VALUES (", &row.unwrap(), ");\n"]);
        }
    }
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/log/fixtures/v1.sql"), text).unwrap();
}

#[tokio::test]
async fn a_log_of_a_newer_schema_is_read_and_not_written() {
    let folder = filled().await;
    let log = rusqlite::Connection::open(&folder.log).unwrap();
    log.execute_batch(
        "INSERT INTO schema_history VALUES (7, '3.2.1', '2031-01-01T00:00:00Z'); PRAGMA user_version = 7;",
    )
    .unwrap();
    drop(log);
    for log in [folder.open(), SqliteLog::open_for_reading(&folder.log).unwrap()] {
        let reason = is_read_only(&log, RECORDS).await;
        assert_eq!(reason, ReadOnlyReason::NewerSchema { airlift: "3.2.1".to_owned(), schema: 7, known: 1 });
        assert!(reason.to_string().contains("Use airlift 3.2.1 or newer"));
    }
}

#[tokio::test]
async fn a_log_that_becomes_newer_while_it_is_open_is_not_written_any_more() {
    let folder = filled().await;
    let log = folder.open();
    log.append(one_more()).await.unwrap();
    rusqlite::Connection::open(&folder.log).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    let error = log.append(one_more()).await.unwrap_err();
    assert!(matches!(error, LogError::ReadOnly { reason: ReadOnlyReason::NewerSchema { .. }, .. }), "{error}");
    assert_eq!(log.head().await.unwrap().seq, RECORDS + 1);
}

#[tokio::test]
async fn a_log_with_newer_events_is_read_and_not_written() {
    let folder = filled().await;
    folder.tamper("UPDATE changes SET version = 9 WHERE change = 'c-test2'");
    let reason = is_read_only(&folder.open(), RECORDS).await;
    assert_eq!(reason, ReadOnlyReason::NewerEvents { version: 9, known: 1 });
}

#[tokio::test]
async fn a_record_that_is_not_understood_is_named_and_the_others_are_read() {
    let folder = filled().await;
    folder.tamper(r#"UPDATE events SET payload = '{"event":"teleported"}' WHERE seq = 20"#);
    let log = folder.open();
    let error = log.records(Query::all()).await.unwrap_err();
    assert!(matches!(error, LogError::Undecodable { seq: 20, .. }), "{error}");
    assert_eq!(log.records(Query::all().since(20)).await.unwrap().len() as u64, RECORDS - 20);
}

#[tokio::test]
async fn a_damaged_file_is_an_error_that_names_file_and_remedy_and_is_left_alone() {
    let whole = fs::read(&filled().await.log).unwrap();
    let half = whole.len() / 2;
    let mut overwritten = whole.clone();
    overwritten[..64].fill(b'x');
    for damaged in [whole[..half].to_vec(), whole[..100].to_vec(), overwritten, b"not a database".repeat(50)] {
        let folder = filled().await;
        fs::write(&folder.log, &damaged).unwrap();
        for error in [SqliteLog::open(&folder.log), SqliteLog::open_for_reading(&folder.log)] {
            let error = error.unwrap_err();
            assert!(matches!(error, LogError::Damaged { .. }), "{error}");
            let text = error.to_string();
            for part in [folder.log.as_str(), folder.anchor.as_str(), "airlift audit verify", "airlift up"] {
                assert!(text.contains(part), "{text}");
            }
        }
        assert_eq!(fs::read(&folder.log).unwrap(), damaged);
        assert!(!verify(&folder.log).unwrap().is_intact());
    }
}

#[tokio::test]
async fn a_last_record_that_was_altered_is_not_built_upon() {
    let folder = filled().await;
    folder.tamper("UPDATE events SET subject = 'web/6' WHERE seq = 35");
    let error = SqliteLog::open(&folder.log).unwrap_err();
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    assert_eq!(SqliteLog::open_for_reading(&folder.log).unwrap().head().await.unwrap().seq, RECORDS);
}

#[tokio::test]
async fn somebody_elses_database_is_not_touched() {
    let folder = Folder::new();
    fs::create_dir(folder.state()).unwrap();
    rusqlite::Connection::open(&folder.log).unwrap().execute_batch("CREATE TABLE photos (name TEXT)").unwrap();
    let before = fs::read(&folder.log).unwrap();
    assert_eq!(SqliteLog::open(&folder.log).unwrap_err(), LogError::NotALog { path: folder.log.clone() });
    assert_eq!(fs::read(&folder.log).unwrap(), before);
}

#[tokio::test]
async fn a_log_that_is_gone_is_not_silently_begun_anew() {
    let folder = filled().await;
    fs::remove_file(&folder.log).unwrap();
    let error = SqliteLog::open(&folder.log).unwrap_err();
    assert!(matches!(error, LogError::Gone { records: RECORDS, .. }), "{error}");
    assert!(!folder.log.exists());
    // Moving the anchor aside, as the error says, begins a new one.
    fs::rename(&folder.anchor, folder.state().join("head.old")).unwrap();
    assert_eq!(folder.open().head().await.unwrap(), Head::EMPTY);
}

#[tokio::test]
async fn a_log_whose_end_was_cut_off_is_read_and_not_written() {
    let folder = filled().await;
    folder.tamper("DELETE FROM events WHERE seq > 26");
    let log = folder.open();
    let Access::ReadOnly(reason @ ReadOnlyReason::AnchorDisagrees { .. }) = log.access().clone() else {
        panic!("{:?}", log.access())
    };
    assert!(reason.to_string().contains("record 35"), "{reason}");
    assert_eq!(log.records(Query::all()).await.unwrap().len(), 26);
    assert!(log.append(one_more()).await.is_err());
}

#[tokio::test]
async fn an_older_anchor_is_what_a_crash_leaves_and_is_made_up_for() {
    let folder = filled().await;
    let older = fs::read(&folder.anchor).unwrap();
    folder.open().append(one_more()).await.unwrap();
    fs::write(&folder.anchor, older).unwrap();
    let log = folder.open();
    assert_eq!(log.access(), &Access::ReadWrite);
    log.append(one_more()).await.unwrap();
    assert!(fs::read_to_string(&folder.anchor).unwrap().contains("\"seq\":37"));
    assert!(verify(&folder.log).unwrap().is_intact());
}

#[tokio::test]
async fn an_anchor_that_cannot_be_read_or_is_gone_stops_writing_until_the_log_is_accepted() {
    let folder = filled().await;
    fs::write(&folder.anchor, "seq 12").unwrap();
    let reason = is_read_only(&folder.open(), RECORDS).await;
    assert!(matches!(reason, ReadOnlyReason::AnchorUnreadable { .. }), "{reason}");
    fs::remove_file(&folder.anchor).unwrap();
    let reason = is_read_only(&folder.open(), RECORDS).await;
    assert!(matches!(reason, ReadOnlyReason::AnchorMissing { .. }), "{reason}");
    assert!(!folder.anchor.exists(), "opening it makes no new anchor");

    SqliteLog::accept(&folder.log).unwrap();
    let log = folder.open();
    assert_eq!(log.access(), &Access::ReadWrite);
    log.append(one_more()).await.unwrap();
    assert!(verify(&folder.log).unwrap().is_intact());
}

#[tokio::test]
async fn what_killed_processes_left_of_the_anchor_is_swept_and_what_is_being_written_stays() {
    let folder = filled().await;
    let [old, new] = [".head-1-0", ".head-2-0"].map(|name| folder.state().join(name));
    fs::write(&new, "").unwrap();
    let long_ago = SystemTime::now() - Duration::from_hours(2);
    fs::File::create(&old).unwrap().set_modified(long_ago).unwrap();
    folder.open();
    assert!(!old.exists() && new.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_may_make_open_and_write_one_log() {
    let folder = Arc::new(Folder::new());
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || SqliteLog::open_with(&folder.log, ticking()).unwrap())
        })
        .collect();
    let mut logs = Vec::new();
    for task in tasks {
        logs.push(Arc::new(task.await.unwrap()));
    }
    let tasks: Vec<_> = logs
        .iter()
        .flat_map(|log| {
            (0..10).map(|_| {
                let log = log.clone();
                tokio::spawn(async move { log.append(one_more()).await.map(drop) })
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(logs[3].head().await.unwrap().seq, 40);
    let verified = verify(&folder.log).unwrap();
    assert!(verified.is_intact(), "{:?}", verified.findings);
}

#[tokio::test]
async fn a_writer_at_work_does_not_hold_up_readers() {
    let folder = filled().await;
    let log = folder.open();
    let other = rusqlite::Connection::open(&folder.log).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE hosts SET phase = 'lost'").unwrap();
    let began = Instant::now();
    assert_eq!(log.records(Query::all()).await.unwrap().len() as u64, RECORDS);
    assert_ne!(log.hosts().await.unwrap()[0].phase, Some(Phase::Lost));
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Runs an ignored test of this program on `folder` as a user who cannot write there.
fn as_somebody_else(test: &str, folder: &Folder) {
    let program = folder.state().join("../program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(folder.state().parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    for file in fs::read_dir(folder.state()).unwrap() {
        fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(folder.state(), fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = Command::new(program.as_std_path());
    command.args(["--exact", test, "--ignored"]).env("AIRLIFT_TEST_LOG", &folder.log).current_dir("/");
    // The superuser can write anywhere: the test is another's.
    if fs::metadata(folder.state()).unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    fs::set_permissions(folder.state(), fs::Permissions::from_mode(0o755)).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn given() -> camino::Utf8PathBuf {
    std::env::var("AIRLIFT_TEST_LOG").unwrap().into()
}

#[tokio::test]
async fn in_a_folder_that_cannot_be_written_a_log_is_read_and_appending_says_why_not() {
    as_somebody_else("opening::read_where_nothing_can_be_written", &filled().await);
}

#[tokio::test]
#[ignore = "run by another test, as another user"]
async fn read_where_nothing_can_be_written() {
    let path = given();
    let log = SqliteLog::open(&path).unwrap();
    let reason = is_read_only(&log, RECORDS).await;
    assert!(matches!(reason, ReadOnlyReason::NotWritable { .. }), "{reason}");
    let text = log.append(one_more()).await.unwrap_err().to_string();
    assert!(text.contains(path.as_str()) && text.contains("writable for this user"), "{text}");
    drop(log);
    is_read_only(&SqliteLog::open_for_reading(&path).unwrap(), RECORDS).await;
    assert!(verify(&path).unwrap().is_intact());

    let elsewhere = path.with_file_name("other.sqlite");
    let error = SqliteLog::open(&elsewhere);
    assert!(error.is_err(), "a log cannot be made here");
}

#[tokio::test]
async fn records_that_only_a_writable_folder_shows_are_not_passed_over_in_silence() {
    let folder = filled().await;
    let log = folder.open();
    log.append(one_more()).await.unwrap();
    // A copy as a crash would leave it, with its newest record in the write-ahead log.
    let copy = Folder::new();
    fs::create_dir(copy.state()).unwrap();
    let waiting = |folder: &Folder| format!("{}-wal", folder.log);
    fs::copy(&folder.log, &copy.log).unwrap();
    fs::copy(waiting(&folder), waiting(&copy)).unwrap();
    as_somebody_else("opening::read_with_records_waiting", &copy);
    assert_eq!(copy.open().head().await.unwrap().seq, RECORDS + 1);
}

#[tokio::test]
#[ignore = "run by another test, as another user"]
async fn read_with_records_waiting() {
    let error = SqliteLog::open_for_reading(&given()).unwrap_err();
    assert!(matches!(error, LogError::Unreadable { .. }), "{error}");
    assert!(error.to_string().contains("-wal"), "{error}");
}
