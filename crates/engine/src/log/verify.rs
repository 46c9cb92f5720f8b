//! Verifying a log: is it what was recorded, and if not, where does it differ?
//!
//! Nothing is written, and nothing that the file says is trusted: it may be damaged, or edited by somebody who knows
//! SQLite. What can be read is read to its end. Memory does not grow with the log.

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, Rows};

use super::chain::Head;
use super::error::{Fault, LogError};
use super::walk::{Standing, Walk};
use super::{anchor, open, schema, tables};

/// Findings beyond so many are only counted.
const LISTED: usize = 100;

/// How many records are read at a time.
const PAGE: usize = 64;

/// The projections and the number of columns in their keys, which come first.
const PROJECTIONS: [(&str, usize); 4] = [("changes", 1), ("hosts", 1), ("runs", 1), ("run_hosts", 2)];

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many records could be read.
    pub records: u64,
    /// The last record of the chain, as far as it is known.
    pub head: Head,
    /// What is not as it was recorded, at most a hundred of it.
    pub findings: Vec<Tampering>,
    /// How many findings there are beyond those.
    pub more: u64,
    /// The projections were compared with the records. They are not where the records are not intact, or are of a
    /// version that this program does not know.
    pub projections_compared: bool,
}

impl Verified {
    /// Nothing was found.
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty()
    }
}

/// One thing that is not as it was recorded. Numbers of records are those that they were written with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Tampering {
    /// The record is there with another content.
    #[error("record {seq}: its content is not what was recorded")]
    Altered {
        /// The record.
        seq: u64,
    },
    /// The record's content is right and its hash is not.
    #[error("record {seq}: its hash was altered; its content is what was recorded")]
    HashAltered {
        /// The record.
        seq: u64,
    },
    /// The record was altered, or added, and so was the next, or it is the last: more cannot be said.
    #[error("record {seq}: it does not follow the one before it: it was altered or added")]
    Broken {
        /// The record.
        seq: u64,
    },
    /// Records were taken out.
    #[error("records {first} to {last} are missing")]
    Missing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// A record was added that was never part of the log.
    #[error("the record in place {place} was never recorded there: it was inserted")]
    Inserted {
        /// Where it stands.
        place: i64,
    },
    /// A record, and those after it that are off by as much, stand in another place.
    #[error("record {seq} stands in place {place}")]
    Moved {
        /// The record.
        seq: u64,
        /// Where it stands.
        place: i64,
    },
    /// The log ends before the record that its anchor names.
    #[error("the log ends with record {last}, but its anchor names record {anchor}: its end was cut off")]
    TailDropped {
        /// The last record that is there.
        last: u64,
        /// The record that the anchor names.
        anchor: u64,
    },
    /// The chain is whole, but another one than the anchor knows.
    #[error("record {seq} is not the one that the anchor names: it or records before it were rewritten")]
    Rewritten {
        /// The record that the anchor names.
        seq: u64,
    },
    /// There are records and no anchor.
    #[error("there is no anchor {path}: whether the end was cut off cannot be told")]
    AnchorMissing {
        /// Where it should be.
        path: Utf8PathBuf,
    },
    /// The anchor cannot be read.
    #[error("the anchor {path} cannot be read: {cause}")]
    AnchorUnreadable {
        /// The anchor.
        path: Utf8PathBuf,
        /// Why.
        cause: String,
    },
    /// Records lie in a part of the file that cannot be read.
    #[error("records from {first} {} cannot be read: {cause}", last.map_or("on".to_owned(), |last| format!("to {last}")))]
    Unreadable {
        /// The first of them.
        first: i64,
        /// The last of them, where any can be read after them.
        last: Option<i64>,
        /// Why.
        cause: String,
    },
    /// The file is damaged.
    #[error("the file is damaged: {cause}")]
    File {
        /// What SQLite says.
        cause: String,
    },
    /// Tables, indexes or triggers are not those that airlift made.
    #[error("the tables are not those that airlift made: {cause}")]
    Schema {
        /// What differs.
        cause: String,
    },
    /// A row of a projection is not what the records mean.
    #[error("table {table}, {key}: {difference} (the records are intact: `airlift audit rebuild` mends it)")]
    Projection {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
        /// How it differs.
        difference: &'static str,
    },
}

#[derive(Default)]
struct Findings {
    listed: Vec<Tampering>,
    more: u64,
}

impl Findings {
    fn add(&mut self, finding: Tampering) {
        if self.listed.len() < LISTED {
            self.listed.push(finding);
        } else {
            self.more += 1;
        }
    }
}

/// Verifies the log at `path` against its own chain, its anchor and its projections.
pub fn verify(path: &Utf8Path) -> Result<Verified, LogError> {
    let mut findings = Findings::default();
    let anchor_path = anchor::beside(path);
    let named = match anchor::read(&anchor_path) {
        Ok(named) => named,
        Err(error) => {
            findings.add(Tampering::AnchorUnreadable { path: anchor_path.clone(), cause: error.to_string() });
            None
        }
    };
    let log = match open::open_reader(path) {
        Ok(log) => log,
        Err(LogError::Damaged { cause, .. }) => {
            findings.add(Tampering::File { cause });
            return Ok(report(0, Head::EMPTY, findings, false));
        }
        Err(error) => return Err(error),
    };
    // All that is read is of one moment, in which the anchor, read before, cannot have led the log.
    if let Err(error) = log.execute_batch("BEGIN") {
        findings.add(Tampering::File { cause: error.to_string() });
    }
    check_file(&log, &mut findings);
    let before = findings.listed.len();
    let (records, head) = walk(&log, named, &mut |finding| findings.add(finding));
    if records > 0 && named.is_none() && !anchor_path.exists() {
        findings.add(Tampering::AnchorMissing { path: anchor_path });
    }
    let same_schema = matches!(schema::version(&log), Ok(schema::SCHEMA));
    let compared = findings.listed.len() == before
        && same_schema
        && match compare_projections(&log, &mut findings) {
            Ok(()) => true,
            Err(Fault::Sql(error)) => {
                findings.add(Tampering::File { cause: error.to_string() });
                false
            }
            // Records of a newer airlift: their hashes are right, what they mean is not known here.
            Err(Fault::Undecodable { .. } | Fault::Projection { .. }) => false,
        };
    Ok(report(records, head, findings, compared))
}

fn report(records: u64, head: Head, findings: Findings, projections_compared: bool) -> Verified {
    let Findings { listed: findings, more } = findings;
    Verified { records, head, findings, more, projections_compared }
}

/// What SQLite says about the file, and whether the definitions in it are airlift's.
fn check_file(log: &Connection, findings: &mut Findings) {
    let checked = log.pragma_query(None, "integrity_check", |row| {
        let cause: String = row.get(0)?;
        if cause != "ok" {
            findings.add(Tampering::File { cause });
        }
        Ok(())
    });
    if let Err(error) = checked {
        findings.add(Tampering::File { cause: error.to_string() });
    }
    match schema::difference(log) {
        Ok(None) => {}
        Ok(Some(cause)) => findings.add(Tampering::Schema { cause }),
        Err(Fault::Sql(error)) => findings.add(Tampering::File { cause: error.to_string() }),
        Err(Fault::Undecodable { cause, .. } | Fault::Projection { cause, .. }) => {
            findings.add(Tampering::Schema { cause });
        }
    }
}

/// Walks over all records that can be read.
fn walk(log: &Connection, named: Option<Head>, found: &mut dyn FnMut(Tampering)) -> (u64, Head) {
    let mut records = 0;
    let mut gaps = Vec::new();
    let mut walk = Walk::new(named, found);
    let mut after = i64::MIN;
    loop {
        let mut page = Vec::with_capacity(PAGE);
        let read = read_page(log, after, &mut page);
        let full = page.len() == PAGE;
        for row in page {
            records += 1;
            after = row.seq;
            walk.push(row);
        }
        match read {
            Ok(()) if full => {}
            Ok(()) => break,
            Err(error) => {
                let first = after.max(0) + 1;
                let resumes = after_damage(log, after.max(0));
                let last = resumes.map(|seq| seq - 1);
                gaps.push(Tampering::Unreadable { first, last, cause: error.to_string() });
                let Some(seq) = resumes else {
                    walk.end_is_unknown();
                    break;
                };
                walk.interrupted(seq);
                after = seq - 1;
            }
        }
        if gaps.len() > LISTED {
            break;
        }
    }
    let head = walk.finish();
    gaps.into_iter().for_each(found);
    (records, head)
}

/// Adds the records after `after` to `page`, up to the first that cannot be read.
fn read_page(log: &Connection, after: i64, page: &mut Vec<Standing>) -> rusqlite::Result<()> {
    let sql = format!("SELECT {} FROM events WHERE seq > ?1 ORDER BY seq LIMIT {PAGE}", tables::COLUMNS);
    let mut select = log.prepare_cached(&sql)?;
    let mut rows = select.query([after])?;
    while let Some(row) = rows.next()? {
        page.push(standing(row)?);
    }
    Ok(())
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    let bytes = |index: usize| {
        Ok::<_, rusqlite::Error>(match row.get_ref(index)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
            // Never written so: it will not have the right hash.
            other => format!("{other:?}").into_bytes(),
        })
    };
    Ok(Standing { seq: row.get(0)?, texts: [bytes(1)?, bytes(2)?, bytes(3)?, bytes(4)?], hash: bytes(5)? })
}

/// The first record after `after` that can be read again, looking further and further ahead.
fn after_damage(log: &Connection, after: i64) -> Option<i64> {
    let readable_from = |seq: i64| {
        let mut page = Vec::new();
        let read = read_page(log, seq - 1, &mut page);
        match (page.first(), read) {
            (Some(row), _) => Ok(Some(row.seq)),
            (None, Ok(())) => Ok(None),
            (None, Err(_)) => Err(()),
        }
    };
    let (mut bad, mut good) = (after + 1, None);
    for step in (0..40).map(|power| 1i64 << power) {
        let probe = after.saturating_add(1).saturating_add(step);
        match readable_from(probe) {
            Ok(found) => {
                good = Some((probe, found));
                break;
            }
            Err(()) => bad = probe,
        }
    }
    let (mut probe, mut found) = good?;
    while probe - bad > 1 {
        let middle = bad + (probe - bad) / 2;
        match readable_from(middle) {
            Ok(earlier) => (probe, found) = (middle, earlier),
            Err(()) => bad = middle,
        }
    }
    found
}

/// Folds the records again, into a temporary database of their own, and compares row by row.
fn compare_projections(log: &Connection, findings: &mut Findings) -> Result<(), Fault> {
    // An empty path: a temporary file that SQLite deletes by itself, so that memory does not grow with the log.
    let model = Connection::open("")?;
    model.pragma_update(None, "journal_mode", "OFF")?;
    model.pragma_update(None, "synchronous", "OFF")?;
    // The records that its rows point at are in the other database.
    model.pragma_update(None, "foreign_keys", false)?;
    model.execute_batch("BEGIN")?;
    tables::rebuild(log, &model)?;
    for (table, keys) in PROJECTIONS {
        let order = (1..=keys).map(|column| column.to_string()).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT * FROM {table} ORDER BY {order}");
        let (mut should, mut is) = (model.prepare(&sql)?, log.prepare(&sql)?);
        let (should, is) = (should.query(())?, is.query(())?);
        compare(table, keys, should, is, findings)?;
    }
    Ok(())
}

fn compare(
    table: &'static str,
    keys: usize,
    mut should: Rows<'_>,
    mut is: Rows<'_>,
    findings: &mut Findings,
) -> Result<(), Fault> {
    let mut add = |row: &[Value], difference| {
        let key: Vec<String> = row.iter().take(keys).map(shown).collect();
        findings.add(Tampering::Projection { table, key: key.join(" "), difference });
    };
    let (mut wanted, mut found) = (values(&mut should)?, values(&mut is)?);
    loop {
        match (&wanted, &found) {
            (None, None) => return Ok(()),
            (Some(row), other) if other.as_ref().is_none_or(|other| key(row, keys) < key(other, keys)) => {
                add(row, "the row is missing");
                wanted = values(&mut should)?;
            }
            (other, Some(row)) if other.as_ref().is_none_or(|other| key(row, keys) < key(other, keys)) => {
                add(row, "the row means nothing that was recorded");
                found = values(&mut is)?;
            }
            (wanted_row, found_row) => {
                if wanted_row != found_row {
                    add(wanted_row.as_deref().unwrap_or_default(), "the row is not what the records mean");
                }
                (wanted, found) = (values(&mut should)?, values(&mut is)?);
            }
        }
    }
}

fn values(rows: &mut Rows<'_>) -> Result<Option<Vec<Value>>, Fault> {
    let Some(row) = rows.next()? else { return Ok(None) };
    let columns = row.as_ref().column_count();
    Ok(Some((0..columns).map(|index| row.get(index)).collect::<Result<_, _>>()?))
}

/// Keys are texts, and SQLite orders them by their bytes.
fn key(row: &[Value], keys: usize) -> Vec<String> {
    row.iter().take(keys).map(shown).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    }
}
