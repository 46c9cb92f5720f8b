//! Whatever is done to the file behind airlift's back is found, and it is said where.

use std::fs;

use airlift_core::event::Event;
use airlift_core::history::{Failure, FailureClass};
use airlift_engine::log::{EventLog, Query, SqliteLog, Tampering, verify};
use proptest::prelude::*;
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};

use crate::support::{Folder, RECORDS, entry, history, run_id};

fn filled() -> Folder {
    let folder = Folder::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = folder.open();
    for batch in history() {
        runtime.block_on(log.append(batch)).unwrap();
    }
    folder
}

fn findings(folder: &Folder) -> Vec<Tampering> {
    verify(&folder.log).unwrap().findings
}

/// Moves records `from` and later by `by` places.
fn renumbered(from: u64, by: i64) -> String {
    format!(
        "UPDATE events SET seq = seq + 1000000 WHERE seq >= {from};
         UPDATE events SET seq = seq - 1000000 + ({by}) WHERE seq >= 1000000;"
    )
}

const SWAPPED: &str = "UPDATE events SET seq = 1000000 WHERE seq = 12; UPDATE events SET seq = 12 WHERE seq = 13;
     UPDATE events SET seq = 13 WHERE seq = 1000000";

#[test]
fn an_untouched_log_is_intact() {
    let verified = verify(&filled().log).unwrap();
    assert!(verified.is_intact() && verified.projections_compared);
    assert_eq!((verified.records, verified.head.seq), (RECORDS, RECORDS));
}

#[test]
fn altered_fields_are_found_in_their_record() {
    for change in [
        "at = '2020-01-01T00:00:00Z'",
        "change = 'c-other'",
        "subject = 'web/5'",
        "payload = replace(payload, 'ready', 'failed')",
        // The same JSON in other bytes is another record.
        "payload = payload || ' '",
    ] {
        let folder = filled();
        folder.tamper(&format!("UPDATE events SET {change} WHERE seq = 5"));
        assert_eq!(findings(&folder), [Tampering::Altered { seq: 5 }], "{change}");
    }
}

#[test]
fn an_altered_hash_is_told_from_altered_content() {
    let folder = filled();
    folder.tamper("UPDATE events SET hash = zeroblob(32) WHERE seq = 17");
    assert_eq!(findings(&folder), [Tampering::HashAltered { seq: 17 }]);
}

#[test]
fn several_altered_records_are_found_each() {
    let folder = filled();
    folder.tamper("UPDATE events SET subject = 'web/6' WHERE seq IN (4, 9, 20)");
    let altered = [4, 9, 20].map(|seq| Tampering::Altered { seq });
    assert_eq!(findings(&folder), altered);
}

#[test]
fn deleted_records_are_missing_renumbered_or_not() {
    for renumber in [false, true] {
        let folder = filled();
        let then = if renumber { renumbered(13, -3) } else { String::new() };
        folder.tamper(&format!("DELETE FROM events WHERE seq BETWEEN 10 AND 12; {then}"));
        assert_eq!(findings(&folder)[0], Tampering::Missing { first: 10, last: 12 }, "{renumber}");
    }
    let folder = filled();
    folder.tamper("DELETE FROM events WHERE seq <= 4");
    assert_eq!(findings(&folder)[0], Tampering::Missing { first: 1, last: 4 });
}

#[test]
fn reordered_records_are_found_where_they_stand() {
    let folder = filled();
    folder.tamper(SWAPPED);
    assert_eq!(findings(&folder), [Tampering::Moved { seq: 12, place: 13 }, Tampering::Moved { seq: 13, place: 12 }]);
}

#[test]
fn an_inserted_record_is_found_where_it_stands() {
    let folder = filled();
    let columns = "at, change, subject, payload, hash";
    let then = format!("INSERT INTO events (seq, {columns}) SELECT 8, {columns} FROM events WHERE seq = 3");
    folder.tamper(&format!("{}{then}", renumbered(8, 1)));
    assert!(findings(&folder).contains(&Tampering::Inserted { place: 8 }), "{:?}", findings(&folder));

    let folder = filled();
    folder.tamper(&format!("INSERT INTO events (seq, {columns}) SELECT 36, {columns} FROM events WHERE seq = 3"));
    assert_eq!(findings(&folder), [Tampering::Broken { seq: 36 }]);
}

#[test]
fn a_dropped_end_is_found_by_the_anchor() {
    let folder = filled();
    folder.tamper("DELETE FROM events WHERE seq > 25");
    assert_eq!(findings(&folder)[0], Tampering::TailDropped { last: 25, anchor: RECORDS });
    let folder = filled();
    folder.tamper("DELETE FROM events");
    assert_eq!(findings(&folder)[0], Tampering::TailDropped { last: 0, anchor: RECORDS });
}

/// The chain as its definition says, written down a second time.
fn rechain(folder: &Folder) {
    folder.tamper("SELECT 1");
    let log = Connection::open(&folder.log).unwrap();
    log.execute_batch("DROP TRIGGER events_are_not_changed").unwrap();
    let mut previous = vec![0u8; 32];
    for seq in 1..=RECORDS {
        let texts: [String; 4] = log
            .query_row("SELECT at, change, subject, payload FROM events WHERE seq = ?1", [seq.cast_signed()], |row| {
                Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
            })
            .unwrap();
        let mut hash = Sha256::new();
        hash.update(&previous);
        hash.update(seq.to_be_bytes());
        for text in texts {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        previous = hash.finalize().to_vec();
        log.execute("UPDATE events SET hash = ?2 WHERE seq = ?1", (seq.cast_signed(), &previous)).unwrap();
    }
    log.execute_batch(
        "CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END",
    )
    .unwrap();
}

#[test]
fn the_chain_is_what_its_definition_says() {
    let folder = filled();
    let before = fs::read(&folder.anchor).unwrap();
    rechain(&folder);
    assert_eq!(findings(&folder), []);
    assert_eq!(fs::read(&folder.anchor).unwrap(), before);
}

#[test]
fn a_log_rewritten_with_a_chain_of_its_own_disagrees_with_its_anchor() {
    let folder = filled();
    folder.tamper("UPDATE events SET payload = replace(payload, 'deploy.sh', 'other.sh') WHERE seq = 33");
    rechain(&folder);
    assert_eq!(findings(&folder), [Tampering::Rewritten { seq: RECORDS }]);
}

#[test]
fn a_missing_anchor_is_a_finding() {
    let folder = filled();
    fs::remove_file(&folder.anchor).unwrap();
    assert_eq!(findings(&folder), [Tampering::AnchorMissing { path: folder.anchor.clone() }]);
    fs::write(&folder.anchor, "{}").unwrap();
    assert!(matches!(findings(&folder)[..], [Tampering::AnchorUnreadable { .. }]));
}

#[test]
fn rewritten_projections_are_found_row_by_row() {
    let run = run_id(1);
    for (sql, table, key, difference) in [
        ("UPDATE hosts SET phase = 'gone' WHERE host = 'web/2'", "hosts", "web/2", "the row is not what"),
        ("DELETE FROM hosts WHERE host = 'web/4'", "hosts", "web/4", "missing"),
        ("INSERT INTO hosts (host, change, updated) VALUES ('a', 'c-test1', 1)", "hosts", "a", "nothing"),
        ("UPDATE changes SET ended = 3 WHERE change = 'c-test2'", "changes", "c-test2", "not what"),
        ("UPDATE runs SET ended = 3", "runs", run.as_str(), "not what"),
        ("DELETE FROM run_hosts WHERE host = 'web/3'", "run_hosts", "r-test1 web/3", "missing"),
    ] {
        let folder = filled();
        folder.tamper(sql);
        let found = findings(&folder);
        let [Tampering::Projection { table: where_, key: row, difference: how }] = &found[..] else {
            panic!("{sql}: {found:?}")
        };
        assert!(*where_ == table && row == key && how.contains(difference), "{found:?}");

        // And mended by rebuilding.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(folder.open().rebuild()).unwrap();
        assert_eq!(findings(&folder), [], "{sql}");
    }
}

#[test]
fn changed_definitions_are_found() {
    for sql in ["DROP TRIGGER events_are_not_deleted", "DROP INDEX events_of_change", "CREATE TABLE extra (a)"] {
        let folder = filled();
        Connection::open(&folder.log).unwrap().execute_batch(sql).unwrap();
        assert!(matches!(findings(&folder)[..], [Tampering::Schema { .. }]), "{sql}: {:?}", findings(&folder));
    }
}

#[test]
fn records_change_only_behind_airlifts_back() {
    let folder = filled();
    let log = Connection::open(&folder.log).unwrap();
    for sql in ["UPDATE events SET at = ''", "DELETE FROM events WHERE seq = 35"] {
        assert!(log.execute_batch(sql).unwrap_err().to_string().contains("append-only"), "{sql}");
    }
}

#[test]
fn records_on_both_sides_of_a_destroyed_page_are_read() {
    let folder = filled();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = folder.open();
    let records = 400;
    let more = (RECORDS + 1..=records).map(|seq| {
        let failure = Failure { class: FailureClass::Transient, message: format!("at record {seq}") };
        entry(2, Some(1), Event::Failed { intent: 1, failure })
    });
    runtime.block_on(log.append(more.collect())).unwrap();
    drop(log);
    let mut bytes = fs::read(&folder.log).unwrap();
    let size = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    let marker = b"at record 200";
    let page = bytes.windows(marker.len()).position(|bytes| bytes == marker).unwrap() / size;
    bytes[page * size..(page + 1) * size].fill(0xff);
    fs::write(&folder.log, bytes).unwrap();

    let verified = verify(&folder.log).unwrap();
    let gap = verified.findings.iter().find_map(|finding| match finding {
        Tampering::Unreadable { first, last: Some(last), .. } => Some((*first, *last)),
        _ => None,
    });
    let (first, last) = gap.unwrap_or_else(|| panic!("{:?}", verified.findings));
    assert!((100..=200).contains(&first) && (200..300).contains(&last), "{first} to {last}");
    assert_eq!(verified.records, records - u64::try_from(last - first + 1).unwrap());
    assert_eq!(verified.head.seq, records);
    assert!(!verified.findings.iter().any(|finding| matches!(
        finding,
        Tampering::Altered { .. }
            | Tampering::Broken { .. }
            | Tampering::Missing { .. }
            | Tampering::TailDropped { .. }
    )));
}

/// All that a reader of the log is told.
async fn told(folder: &Folder) -> Option<String> {
    let log = SqliteLog::open_for_reading(&folder.log).ok()?;
    let records = log.records(Query::all()).await.ok()?;
    Some(format!("{records:?} {:?} {:?}", log.hosts().await.ok()?, log.runs(None).await.ok()?))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_is_found_or_makes_no_difference(flips in prop::collection::vec(any::<(u32, u8)>(), 12)) {
        let folder = filled();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let whole = fs::read(&folder.log).unwrap();
        let before = runtime.block_on(told(&folder)).unwrap();
        for (place, bit) in flips {
            let mut flipped = whole.clone();
            let place = place as usize % whole.len();
            flipped[place] ^= 1 << (bit % 8);
            fs::write(&folder.log, &flipped).unwrap();
            let intact = verify(&folder.log).is_ok_and(|verified| verified.is_intact());
            if intact {
                let after = runtime.block_on(told(&folder));
                prop_assert_eq!(after.as_ref(), Some(&before), "byte {}", place);
            }
        }
    }

    #[test]
    fn any_meddling_with_records_is_found_near_its_place(kind in 0..4u8, place in 2..30u64, count in 1..4u64) {
        let folder = filled();
        let end = place + count - 1;
        let sql = match kind {
            0 => format!("UPDATE events SET subject = subject || '1' WHERE seq BETWEEN {place} AND {end}"),
            1 => format!("DELETE FROM events WHERE seq BETWEEN {place} AND {end}"),
            2 => format!("DELETE FROM events WHERE seq BETWEEN {place} AND {end}; {}", renumbered(end + 1, -count.cast_signed())),
            _ => format!(
                "UPDATE events SET seq = seq + 1000000 WHERE seq BETWEEN {place} AND {0};
                 UPDATE events SET seq = 1000000 + 2 * {place} + {count} - seq WHERE seq >= 1000000", end + 1
            ),
        };
        folder.tamper(&sql);
        let found = findings(&folder);
        let near = |seq: u64| (place..=end + 1).contains(&seq);
        prop_assert!(!found.is_empty());
        for finding in &found {
            let located = match finding {
                Tampering::Altered { seq } | Tampering::Broken { seq } | Tampering::Moved { seq, .. } => near(*seq),
                Tampering::Missing { first, last } => near(*first) && near(*last),
                _ => false,
            };
            prop_assert!(located, "{:?}", found);
        }
    }
}
