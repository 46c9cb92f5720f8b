//! The fleet as a table, as wide as the terminal at most, or as a screen that is drawn over.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use airlift_core::event::Phase;
use airlift_core::id::{Digest, HostId, RunId};
use jiff::Timestamp;
use serde::Serialize;

use super::style::{Style, Tone};
use super::table::{Cell, GAP, NOTHING, ago, align, column_widths};
use super::{clean, human, words};

/// A host, as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusRow {
    /// The host.
    pub id: HostId,
    /// Its phase; none where it was only listed in the config and never touched.
    pub phase: Option<Phase>,
    /// Where it serves SSH.
    pub address: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Instance type.
    #[serde(rename = "type")]
    pub instance_type: Option<String>,
    /// The active release.
    pub release: Option<Digest>,
    /// The last run on it.
    pub last_run: Option<LastRun>,
    /// When something was last recorded about it.
    pub updated: Option<Timestamp>,
    /// Why it is not as it should be, where it is not.
    pub message: Option<String>,
}

/// The last run on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastRun {
    /// The run.
    pub run: RunId,
    /// How it came out there, by the verdict's word; none while it is going on.
    pub result: Option<String>,
}

/// The fleet: a line for each host, in their natural order, and the reason beneath each that is not as it should be.
pub fn status(rows: &[StatusRow], now: Timestamp, style: Style) -> String {
    if rows.is_empty() {
        return "no hosts\n".to_owned();
    }
    let mut sorted: Vec<&StatusRow> = rows.iter().collect();
    sorted.sort_by_key(|row| row.id.sort_key());
    let mut lines = status_lines(&sorted, now, style).into_iter();
    let mut text = lines.next().unwrap_or_default() + "\n";
    for (row, line) in sorted.iter().zip(lines) {
        let _ = writeln!(text, "{line}");
        for part in row.message.iter().flat_map(|message| clean::lines(message)) {
            let _ = writeln!(text, "    {}", style.paint(Tone::Bad, &part));
        }
    }
    text
}

/// The same for a terminal that is drawn over: no more lines than it has and none wider, hosts first that are not ready, and a line
/// for all.
pub fn status_screen(rows: &[StatusRow], now: Timestamp, style: Style) -> String {
    let mut sorted: Vec<&StatusRow> = rows.iter().collect();
    sorted.sort_by_key(|row| (standing(row), row.id.sort_key()));
    // The head, the line for what does not fit, the line for all, and the one that the cursor rests on.
    let room = style.height.saturating_sub(4).max(1);
    let shown = &sorted[..sorted.len().min(if sorted.len() <= room + 1 { room + 1 } else { room })];
    // Why a host is not as it should be matters more than when it was last heard of.
    let reasons = if shown.iter().any(|row| row.message.is_some()) { style.width / 2 } else { 0 };
    let mut lines = status_lines(shown, now, Style { width: style.width - reasons, ..style });
    for (line, row) in lines.iter_mut().skip(1).zip(shown) {
        let Some(message) = &row.message else { continue };
        let used = clean::width(&anstream::adapter::strip_str(line).to_string()) + GAP.len();
        let message = style.fit(&clean::message(message), style.width.saturating_sub(used + 1));
        let _ = write!(line, "{GAP}{}", style.paint(Tone::Bad, &message));
    }
    if shown.len() < sorted.len() {
        let left = &sorted[shown.len()..];
        let left = format!("{} and {} more ({})", style.ellipsis(), left.len(), phases(left));
        lines.push(style.paint(Tone::Faint, &style.fit(&left, style.width.saturating_sub(1))));
    }
    let all = format!("{}: {}", human::count(human::len(rows), "host"), phases(&sorted));
    lines.push(style.paint(Tone::Strong, &style.fit(&all, style.width.saturating_sub(1))));
    lines.join("\n") + "\n"
}

/// What went wrong comes first, then what is on its way, what is ready, and what is not there.
fn standing(row: &StatusRow) -> u8 {
    match row.phase {
        _ if row.message.is_some() => 0,
        Some(Phase::Failed | Phase::Interrupted | Phase::Lost) => 0,
        Some(Phase::Ready) => 2,
        Some(Phase::Gone) | None => 3,
        Some(_) => 1,
    }
}

/// `412 ready, 3 failed`, the most frequent first.
fn phases(rows: &[&StatusRow]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.phase.map_or("not there", Phase::word)).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.iter().map(|(phase, count)| format!("{count} {phase}")).collect::<Vec<_>>().join(", ")
}

/// Columns of the fleet's table.
const STATUS: [&str; 8] = ["ID", "PHASE", "ADDRESS", "REGION", "TYPE", "RELEASE", "LAST RUN", "UPDATED"];

/// Digits of a release that still tell it from the one before.
const SHORT_RELEASE: usize = 8;

/// What is given up for a terminal that is too narrow, one after the other.
const GIVEN_UP: [&str; 6] = ["TYPE", "REGION", "UPDATED", "RELEASE", "ADDRESS", "LAST RUN"];

/// The table of hosts, its head first, as wide as the terminal at most.
fn status_lines(rows: &[&StatusRow], now: Timestamp, style: Style) -> Vec<String> {
    let mut heads = STATUS.to_vec();
    let mut cells: Vec<Vec<Cell>> = rows.iter().map(|row| status_cells(row, now)).collect();
    let is_wide = |heads: &[&str], cells: &[Vec<Cell>]| table_width(heads, cells) >= style.width;
    if !is_wide(&heads, &cells) {
        return align(&heads, cells, style);
    }
    for head in STATUS {
        let place = heads.iter().position(|name| *name == head).filter(|_| is_wide(&heads, &cells));
        if let Some(place) = place.filter(|place| cells.iter().all(|row| row[*place].0 == NOTHING)) {
            drop_column(&mut heads, &mut cells, place);
        }
    }
    if is_wide(&heads, &cells)
        && let Some(place) = heads.iter().position(|name| *name == "RELEASE")
    {
        for row in &mut cells {
            row[place].0.truncate(SHORT_RELEASE);
        }
    }
    for head in GIVEN_UP {
        let place = heads.iter().position(|name| *name == head).filter(|_| is_wide(&heads, &cells));
        if let Some(place) = place {
            drop_column(&mut heads, &mut cells, place);
        }
    }
    align(&heads, cells, style)
}

fn drop_column(heads: &mut Vec<&str>, cells: &mut [Vec<Cell>], place: usize) {
    heads.remove(place);
    for row in cells {
        row.remove(place);
    }
}

fn table_width(heads: &[&str], rows: &[Vec<Cell>]) -> usize {
    let columns = column_widths(heads.iter().map(|head| clean::width(head)), rows);
    columns.iter().sum::<usize>() + GAP.len() * columns.len().saturating_sub(1)
}

fn status_cells(row: &StatusRow, now: Timestamp) -> Vec<Cell> {
    let phase = row
        .phase
        .map_or_else(|| Cell::or_nothing(None), |phase| Cell(phase.word().to_owned(), words::phase_tone(phase)));
    let last = row.last_run.as_ref().map_or_else(
        || Cell::or_nothing(None),
        |last| match &last.result {
            Some(result) => Cell(format!("{} {}", last.run, words::spoken(result)), words::word_tone(result)),
            None => Cell::plain(format!("{} running", last.run)),
        },
    );
    vec![
        Cell::plain(row.id.as_str()),
        phase,
        Cell::or_nothing(row.address.clone()),
        Cell::or_nothing(row.region.clone()),
        Cell::or_nothing(row.instance_type.clone()),
        Cell::or_nothing(row.release.map(|release| release.short())),
        last,
        Cell::or_nothing(row.updated.map(|at| ago(now, at))),
    ]
}
