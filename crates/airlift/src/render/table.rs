//! Tables without borders, as wide as their contents: runs, changes, the event log.

use std::collections::BTreeMap;

use airlift_core::action::Action;
use airlift_core::event::{ChangeBegan, ChangeEnd, Event, Record};
use airlift_core::id::{ChangeId, RunId};
use jiff::Timestamp;
use serde::Serialize;

use super::style::{Style, Tone};
use super::{clean, human, words};

/// Between two columns.
pub(super) const GAP: &str = "  ";

/// What stands where there is nothing to say.
pub(super) const NOTHING: &str = "-";

/// A run, as `runs` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunRow {
    /// The run.
    pub run: RunId,
    /// The script's name.
    pub script: String,
    /// When it began.
    pub began: Timestamp,
    /// When it ended; none while it is going on.
    pub ended: Option<Timestamp>,
    /// How many hosts it runs on.
    pub hosts: u64,
    /// How many hosts came out how, by the verdict's word.
    pub results: BTreeMap<String, u64>,
    /// Who began it.
    pub user: String,
}

/// A change, as `audit list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeRow<'a> {
    /// The change.
    pub change: &'a ChangeId,
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended; none while it has not.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub end: Option<&'a ChangeEnd>,
    /// Its first record: operation, mode, who began it.
    pub began: &'a ChangeBegan,
}

/// A cell: its text and its colour.
pub(super) struct Cell(pub(super) String, pub(super) Tone);

impl Cell {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self(text.into(), Tone::Ordinary)
    }

    pub(super) fn or_nothing(text: Option<String>) -> Self {
        text.map_or_else(|| Self(NOTHING.to_owned(), Tone::Faint), |text| Self::plain(clean::message(&text)))
    }
}

/// The width of each column, that of its head at least.
pub(super) fn column_widths(heads: impl Iterator<Item = usize>, rows: &[Vec<Cell>]) -> Vec<usize> {
    let mut widths: Vec<usize> = heads.collect();
    for row in rows {
        for (width, Cell(text, _)) in widths.iter_mut().zip(row) {
            *width = clean::width(text).max(*width);
        }
    }
    widths
}

/// `4m ago`.
pub(super) fn ago(now: Timestamp, at: Timestamp) -> String {
    format!("{} ago", human::age(now.duration_since(at).unsigned_abs()))
}

/// The runs, in the order in which they are given.
pub fn runs(rows: &[RunRow], now: Timestamp, style: Style) -> String {
    if rows.is_empty() {
        return "no runs\n".to_owned();
    }
    let cells = rows
        .iter()
        .map(|row| {
            let good = row.results.get("succeeded").copied().unwrap_or(0);
            let settled: u64 = row.results.values().sum();
            let (result, tone) = match (row.ended, settled < row.hosts, good == row.hosts) {
                (None, true, _) => (format!("{settled} of {} settled", row.hosts), Tone::Ordinary),
                (_, _, true) => (format!("{good} of {} succeeded", row.hosts), Tone::Good),
                (_, _, false) => (format!("{good} of {} succeeded{}", row.hosts, others(row)), Tone::Bad),
            };
            let took = row.ended.map(|ended| human::duration(ended.duration_since(row.began).unsigned_abs()));
            vec![
                Cell::plain(row.run.as_str()),
                Cell::plain(clean::message(&row.script)),
                Cell(result, tone),
                Cell::or_nothing(took),
                Cell::plain(ago(now, row.began)),
                Cell::plain(clean::message(&row.user)),
            ]
        })
        .collect();
    align(&["RUN", "SCRIPT", "RESULT", "TOOK", "BEGAN", "USER"], cells, style).join("\n") + "\n"
}

/// The changes, in the order in which they are given.
pub fn changes(rows: &[ChangeRow<'_>], style: Style) -> String {
    if rows.is_empty() {
        return "no changes\n".to_owned();
    }
    let cells = rows
        .iter()
        .map(|row| {
            let (end, tone) = match row.end {
                None => ("unfinished".to_owned(), Tone::Warn),
                Some(end) => (words::ended(end), if end.failed_of_all().0 > 0 { Tone::Bad } else { Tone::Ordinary }),
            };
            let took = row.ended_at.map(|ended| human::duration(ended.duration_since(row.began_at).unsigned_abs()));
            vec![
                Cell::plain(row.change.as_str()),
                Cell(time(row.began_at), Tone::Faint),
                Cell::plain(words::began(row.began)),
                Cell::or_nothing(took),
                Cell::plain(clean::message(&row.began.actor.user)),
                Cell(end, tone),
            ]
        })
        .collect();
    align(&["CHANGE", "BEGAN", "WHAT", "TOOK", "USER", "END"], cells, style).join("\n") + "\n"
}

/// UTC, to the second.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn others(row: &RunRow) -> String {
    let others = row.results.iter().filter(|(word, n)| *word != "succeeded" && **n > 0);
    others.fold(String::new(), |text, (word, n)| text + &format!(", {n} {}", words::spoken(word)))
}

/// The event log, one line for each record. An outcome names what was done where the records hold its intent.
pub fn audit_text<'r>(records: impl IntoIterator<Item = &'r Record>, style: Style) -> String {
    let mut intents: BTreeMap<u64, &Action> = BTreeMap::new();
    let mut cells = Vec::new();
    for record in records {
        let action = match &record.event {
            Event::Intended { action, .. } => {
                intents.insert(record.seq, action);
                None
            }
            Event::Succeeded { intent, .. } | Event::Failed { intent, .. } => intents.remove(intent),
            _ => None,
        };
        let tone = match &record.event {
            Event::Failed { .. } => Tone::Warn,
            Event::Settled { verdict, .. } => words::verdict_tone(verdict),
            _ => Tone::Ordinary,
        };
        cells.push(vec![
            Cell(record.seq.to_string(), Tone::Faint),
            Cell(time(record.at), Tone::Faint),
            Cell::plain(record.change.as_str()),
            Cell::plain(record.subject.to_string()),
            Cell(words::audit(&record.event, action), tone),
        ]);
    }
    if cells.is_empty() {
        return "no records\n".to_owned();
    }
    align(&["SEQ", "TIME", "CHANGE", "SUBJECT", "EVENT"], cells, style).join("\n") + "\n"
}

/// The event log line by line, for one that is too long to be held: columns of a fixed width, no head.
#[derive(Debug, Default)]
pub struct AuditLines {
    intents: BTreeMap<u64, Action>,
}

impl AuditLines {
    /// The next record as a line, without its end.
    pub fn line(&mut self, record: &Record) -> String {
        let action = match &record.event {
            Event::Intended { action, .. } => {
                self.intents.insert(record.seq, action.clone());
                None
            }
            Event::Succeeded { intent, .. } | Event::Failed { intent, .. } => self.intents.remove(intent),
            _ => None,
        };
        let (seq, at, change) = (record.seq, time(record.at), &record.change);
        let subject = clean::pad(&record.subject.to_string(), 12);
        format!("{seq:>7}{GAP}{at}{GAP}{change}{GAP}{subject}{GAP}{}", words::audit(&record.event, action.as_ref()))
    }
}

/// The lines of a table, its head first. The last column is not padded.
pub(super) fn align(heads: &[&str], rows: Vec<Vec<Cell>>, style: Style) -> Vec<String> {
    let head = heads.iter().map(|head| Cell((*head).to_owned(), Tone::Strong)).collect();
    let table: Vec<Vec<Cell>> = std::iter::once(head).chain(rows).collect();
    let widths = column_widths(heads.iter().map(|_| 0), &table);
    let line = |row: &Vec<Cell>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(place, (Cell(text, tone), width))| {
                let blanks = if place + 1 == row.len() { 0 } else { width - clean::width(text) };
                style.paint(*tone, text) + &" ".repeat(blanks)
            })
            .collect();
        cells.join(GAP).trim_end().to_owned()
    };
    table.iter().map(line).collect()
}
