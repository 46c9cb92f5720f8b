//! For a terminal: a table of hosts that is drawn over again in place, at most ten times a second.
//!
//! The table never has more lines than the terminal, and no line of it is wider: so the cursor always finds its way back to
//! the first one. Each drawing is one write, inside a synchronized update where the terminal knows that. The cursor is
//! hidden while the table is there, and comes back on `finish` and on drop. The table is drawn with three escape
//! sequences; a progress bar library would have to be kept from breaking the bound on lines.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use airlift_core::change::Change;
use airlift_core::event::Record;
use airlift_core::id::{HostId, RunId};
use airlift_core::time::Moment;
use airlift_engine::feed::Signal;
use airlift_engine::spool::FileSpool;

use super::fold::{Counts, HostState, Standing, Transfer};
use super::style::{Style, Tone};
use super::watch::{Watch, output_line};
use super::{Ending, Fold, Out, Renderer, clean, human, summary, words};

/// Time between two drawings, at least.
const FRAME: Duration = Duration::from_millis(100);

/// Bytes of lines that wait to be printed above the table before they are printed between two drawings.
const PENDING: usize = 64 * 1024;

/// The widest column of host ids.
const WIDEST: usize = 24;

/// The column of phases and verdicts.
const WORD: usize = 11;

/// A table in place, with output above it.
pub struct Live {
    out: Out,
    watch: Watch,
    style: Style,
    grown: BTreeSet<(HostId, RunId)>,
    above: String,
    table: Vec<String>,
    /// Lines of the terminal that the table takes.
    tall: usize,
    hidden: bool,
    began: Option<Moment>,
    now: Moment,
    drawn: Option<Moment>,
}

impl Live {
    /// Shows a change on the terminal `out`, with the output that it finds in `spool`.
    pub fn new(out: Box<dyn Write + Send>, spool: FileSpool, style: Style) -> Self {
        Self {
            out: Out::new(out),
            watch: Watch::new(spool),
            style,
            grown: BTreeSet::new(),
            above: String::new(),
            table: Vec::new(),
            tall: 0,
            hidden: false,
            began: None,
            now: Moment::START,
            drawn: None,
        }
    }

    /// Reads the output that has grown since the last drawing.
    fn read_output(&mut self) {
        let columns = self.watch.fold.id_width().min(WIDEST);
        let (style, shows, above) = (self.style, self.watch.fold.is_script(), &mut self.above);
        for (host, run) in std::mem::take(&mut self.grown) {
            self.watch.grown(&host, &run, |host, line| {
                if shows {
                    let _ = writeln!(above, "{}", output_line(host, line, columns, style));
                }
            });
        }
    }

    fn draw_if_due(&mut self) {
        let due = self.drawn.is_none_or(|drawn| self.now.since(drawn) >= FRAME);
        if due || self.above.len() > PENDING {
            self.draw();
        }
    }

    fn draw(&mut self) {
        self.read_output();
        let elapsed = self.now.since(self.began.unwrap_or(self.now));
        let table = table(&self.watch.fold, elapsed, self.style);
        if self.above.is_empty() && table == self.table {
            return;
        }
        let mut frame = String::from("\x1b[?2026h");
        if !self.hidden {
            frame.push_str("\x1b[?25l");
            self.hidden = true;
        }
        frame += &back_to_first(self.tall);
        if !self.above.is_empty() {
            frame.push_str("\x1b[J");
            frame += &std::mem::take(&mut self.above);
            self.table.clear();
        }
        for (place, line) in table.iter().enumerate() {
            // What is there already is left alone, so that nothing flickers.
            if self.table.get(place) != Some(line) {
                let _ = write!(frame, "{line}\x1b[K");
            }
            frame.push('\n');
        }
        frame.push_str("\x1b[J\x1b[?2026l");
        self.out.write(&frame);
        self.tall = table.len();
        self.table = table;
        self.drawn = Some(self.now);
    }
}

impl Renderer for Live {
    fn take_up(&mut self, change: &Change) {
        self.watch.take_up(change);
    }

    fn record(&mut self, record: &Record) {
        let columns = self.watch.fold.id_width().min(WIDEST);
        let (style, shows, above) = (self.style, self.watch.fold.is_script(), &mut self.above);
        self.watch.record(record, |host, line| {
            if shows {
                let _ = writeln!(above, "{}", output_line(host, line, columns, style));
            }
        });
        if self.above.len() > PENDING {
            self.draw();
        }
    }

    fn signal(&mut self, signal: &Signal) {
        self.watch.signal(signal);
        if let Signal::Output { host, run } = signal {
            self.grown.insert((host.clone(), run.clone()));
        }
    }

    fn tick(&mut self, now: Moment) {
        self.now = now;
        self.began.get_or_insert(now);
        self.watch.fold.tick(now);
        self.draw_if_due();
    }

    fn resize(&mut self, width: usize, height: usize) {
        (self.style.width, self.style.height) = (width, height);
        // A terminal that became narrower has broken the lines of the table.
        let broken = |line: &String| {
            let bare = anstream::adapter::strip_str(line).to_string();
            clean::width(&bare).div_ceil(width.max(1)).max(1)
        };
        self.tall = self.table.iter().map(broken).sum();
        self.table.clear();
    }

    fn finish(&mut self, end: &Ending) {
        self.read_output();
        let shows = self.watch.fold.is_script();
        let (columns, style) = (self.watch.fold.id_width().min(WIDEST), self.style);
        let mut frame = back_to_first(self.tall) + "\x1b[J";
        frame += &std::mem::take(&mut self.above);
        self.watch.finish(|host, line| {
            if shows {
                let _ = writeln!(frame, "{}", output_line(host, line, columns, style));
            }
        });
        // What a failed host printed may have scrolled away long ago: its last lines stand beside the reason.
        frame += &summary::summary(&self.watch.fold, end, summary::Detail::Output, style);
        if std::mem::take(&mut self.hidden) {
            frame.push_str("\x1b[?25h");
        }
        self.table.clear();
        self.tall = 0;
        self.out.write(&frame);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.hidden {
            self.out.write("\x1b[?25h");
        }
    }
}

/// From the line below the table to its first one.
fn back_to_first(tall: usize) -> String {
    match tall {
        0 => "\r".to_owned(),
        lines => format!("\r\x1b[{lines}A"),
    }
}

/// The table as it is now: rows, what did not fit, and one line for all.
fn table(fold: &Fold, elapsed: Duration, style: Style) -> Vec<String> {
    let mut hosts = fold.hosts();
    hosts.sort_by_key(|(_, state)| state.standing());
    // The cursor rests on the line below the table, and the line for all is its last.
    let room = style.height.saturating_sub(2).max(1);
    let counts = fold.counts();
    let shown = if hosts.len() <= room { hosts } else { choose(&hosts, room.saturating_sub(1), &counts) };
    let columns = shown.iter().map(|(host, _)| host.as_str().len()).max().unwrap_or(0).min(WIDEST);
    let mut lines: Vec<String> = shown.iter().map(|(host, state)| row(fold, host, state, columns, style)).collect();
    if (lines.len() as u64) < counts.hosts {
        lines.push(style.paint(Tone::Faint, &style.fit(&rest(&shown, &counts, fold, style), columns_of(style))));
    }
    lines.push(for_all(fold, &counts, elapsed, style));
    lines
}

/// The last column stays free: a terminal that has written to it may or may not have gone to the next line.
fn columns_of(style: Style) -> usize {
    style.width.saturating_sub(1)
}

/// Failures first, then what is going on. Where both are many, failures take no more than half of the room.
fn choose<'f>(hosts: &[(&'f HostId, &'f HostState)], room: usize, counts: &Counts) -> Vec<(&'f HostId, &'f HostState)> {
    let failed = usize::try_from(counts.failed).unwrap_or(usize::MAX);
    let other = hosts.len().saturating_sub(failed);
    let going = usize::try_from(counts.active + counts.waiting).unwrap_or(usize::MAX).min(other);
    let failures = failed.min(room - going.min(room / 2));
    let (bad, rest) = hosts.split_at(failed.min(hosts.len()));
    bad.iter().take(failures).chain(rest.iter().take(room - failures)).copied().collect()
}

fn row(fold: &Fold, host: &HostId, state: &HostState, columns: usize, style: Style) -> String {
    let standing = state.standing();
    let (mark, tone) = match (standing, style.unicode) {
        (Standing::Failed, true) => ("✗", state.verdict.as_ref().map_or(Tone::Bad, words::verdict_tone)),
        (Standing::Failed, false) => ("x", state.verdict.as_ref().map_or(Tone::Bad, words::verdict_tone)),
        (Standing::Active, true) => ("•", Tone::Strong),
        (Standing::Active, false) => ("*", Tone::Strong),
        (Standing::Waiting, _) => (" ", Tone::Faint),
        (Standing::Succeeded, true) => ("✓", Tone::Good),
        (Standing::Succeeded, false) => ("+", Tone::Good),
    };
    let id = clean::pad(&style.fit(host.as_str(), columns), columns);
    let word = clean::pad(fold.word(state), WORD);
    let head = format!("{mark} {id}  {word}");
    let total = columns_of(style);
    let used = clean::width(&head) + 1;
    if used >= total {
        return style.fit(&head, total);
    }
    let tail = style.fit(&about(state), total - used);
    format!("{} {id}  {} {}", style.paint(tone, mark), style.paint(tone, &word), style.paint(Tone::Faint, &tail))
        .trim_end()
        .to_owned()
}

/// What there is to say of a host beyond its word.
fn about(state: &HostState) -> String {
    if let Some(verdict) = &state.verdict {
        let message = verdict.message().map_or_else(String::new, |message| clean::message(&message));
        // "interrupted by a reboot" stands beside the word "interrupted".
        return message.strip_prefix(verdict.word()).map_or(message.clone(), |rest| rest.trim_start().to_owned());
    }
    match (&state.transfer, &state.doing, state.tail.back(), &state.waiting) {
        (Some(transfer), Some(doing), _, _) => format!("{}; {doing}", progress(transfer)),
        (_, Some(doing), _, _) => doing.clone(),
        (_, None, Some(line), _) => format!("{} {}", line.source.mark(), line.text),
        (_, None, None, Some(reason)) => format!("waits for {reason}"),
        (_, None, None, None) => String::new(),
    }
}

fn progress(transfer: &Transfer) -> String {
    let mut text = human::bytes(transfer.sent);
    if let Some(total) = transfer.total.filter(|total| *total > 0) {
        let percent = u128::from(transfer.sent.min(total)) * 100 / u128::from(total);
        let _ = write!(text, " of {} ({percent} %)", human::bytes(total));
    }
    if let Some(rate) = transfer.rate {
        let _ = write!(text, ", {}", human::rate(rate));
    }
    if let Some(left) = transfer.left() {
        let _ = write!(text, ", {} left", human::duration(left));
    }
    text
}

/// `… and 437 more (412 ready, 25 waiting)`.
fn rest(shown: &[(&HostId, &HostState)], counts: &Counts, fold: &Fold, style: Style) -> String {
    let mut left = [counts.succeeded, counts.failed, counts.active, counts.waiting];
    for (_, state) in shown {
        let place = match state.standing() {
            Standing::Succeeded => 0,
            Standing::Failed => 1,
            Standing::Active => 2,
            Standing::Waiting => 3,
        };
        left[place] -= 1;
    }
    let names = [success(fold), "not succeeded", "running", "waiting"];
    let parts: Vec<String> =
        names.iter().zip(left).filter(|(_, n)| *n > 0).map(|(name, n)| format!("{n} {name}")).collect();
    format!("{} and {} more ({})", style.ellipsis(), left.iter().sum::<u64>(), parts.join(", "))
}

fn success(fold: &Fold) -> &'static str {
    words::verdict_word(&airlift_core::decide::Verdict::SUCCEEDED, fold.operation())
}

/// The line for all: how many stand where, how much was sent, how long it takes.
fn for_all(fold: &Fold, counts: &Counts, elapsed: Duration, style: Style) -> String {
    let name = fold.operation().map_or("", airlift_core::op::Operation::name);
    let mut parts =
        vec![format!("{name}: {} of {} {}", counts.succeeded, human::count(counts.hosts, "host"), success(fold))];
    let others = [(counts.failed, "not succeeded"), (counts.active, "running"), (counts.waiting, "waiting")];
    parts.extend(others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    let counted = parts.join(", ");
    let mut line = vec![counted];
    let (sent, rate_now) = fold.sent();
    if sent > 0 {
        let rate = if rate_now > 0 { format!(", {}", human::rate(rate_now)) } else { String::new() };
        // While hosts wait, nobody knows how much there is still to send.
        let left = fold.left().filter(|_| counts.waiting == 0 && rate_now > 0);
        let left = left.map_or_else(String::new, |left| format!(", {} left", human::duration(left)));
        line.push(format!("{} sent{rate}{left}", human::bytes(sent)));
    }
    line.push(human::duration(elapsed));
    style.paint(Tone::Strong, &style.fit(&line.join(style.dot()), columns_of(style)))
}
