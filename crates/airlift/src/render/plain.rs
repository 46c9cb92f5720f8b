//! For what is no terminal: one line for each event that matters and for each line of output, as they come.

use std::collections::BTreeMap;
use std::io::Write;

use airlift_core::action::Kind;
use airlift_core::change::Change;
use airlift_core::event::{Event, Phase, Record, Subject};
use airlift_core::id::HostId;
use airlift_core::time::Moment;
use airlift_engine::feed::Signal;
use airlift_engine::spool::FileSpool;

use super::style::{Style, Tone};
use super::waits::Waits;
use super::watch::{Watch, output_line};
use super::{Ending, Fold, Out, Renderer, clean, summary, words};

/// The widest column of host ids; longer ids push their own line to the right.
const WIDEST: usize = 20;

/// One line per event.
pub struct Plain {
    out: Out,
    watch: Watch,
    waits: Waits,
    /// Of which failure of an action each host was last said.
    told: BTreeMap<HostId, String>,
    style: Style,
}

impl Plain {
    /// Shows a change on `out`, with the output that it finds in `spool`.
    pub fn new(out: Box<dyn Write + Send>, spool: FileSpool, style: Style) -> Self {
        Self { out: Out::new(out), watch: Watch::new(spool), waits: Waits::default(), told: BTreeMap::new(), style }
    }

    fn columns(&self) -> usize {
        self.watch.fold.id_width().min(WIDEST)
    }

    /// How a host came out, without the reason where that was said of the action which failed.
    fn not_told(&mut self, record: &Record) -> Option<(Tone, String)> {
        let Subject::Host(host) = &record.subject else { return None };
        match &record.event {
            Event::Failed { failure, .. } => {
                self.told.insert(host.clone(), failure.message.clone());
                None
            }
            Event::Settled { verdict, .. } if verdict.message() == self.told.remove(host) && !verdict.is_success() => {
                let word = words::verdict_word(verdict, self.watch.fold.operation());
                verdict.message().map(|_| (words::verdict_tone(verdict), word.to_owned()))
            }
            _ => None,
        }
    }
}

impl Renderer for Plain {
    fn take_up(&mut self, change: &Change) {
        self.watch.take_up(change);
    }

    fn record(&mut self, record: &Record) {
        // An outcome names its intent, which the fold forgets with it.
        let line = self.not_told(record).or_else(|| news(&self.watch.fold, record));
        let (columns, style, out) = (self.columns(), self.style, &mut self.out);
        self.watch.record(record, |host, line| out.line(&output_line(host, line, columns, style)));
        let Some((tone, text)) = line else { return };
        let text = style.paint(tone, &text);
        match &record.subject {
            Subject::Fleet => self.out.line(&text),
            Subject::Host(host) => {
                self.out.line(&format!("{}  {text}", clean::pad(host.as_str(), self.columns())));
            }
        }
    }

    fn signal(&mut self, signal: &Signal) {
        self.watch.signal(signal);
        if let Signal::Output { host, run } = signal {
            let (columns, style, out) = (self.columns(), self.style, &mut self.out);
            self.watch.grown(host, run, |host, line| out.line(&output_line(host, line, columns, style)));
        }
    }

    fn tick(&mut self, now: Moment) {
        self.watch.fold.tick(now);
        let columns = self.columns();
        for (host, text) in self.waits.grown_long(&self.watch.fold, now) {
            self.out.line(&format!("{}  {}", clean::pad(host.as_str(), columns), self.style.paint(Tone::Faint, &text)));
        }
    }

    fn finish(&mut self, end: &Ending) {
        let (columns, style, out) = (self.columns(), self.style, &mut self.out);
        self.watch.finish(|host: &HostId, line| out.line(&output_line(host, line, columns, style)));
        self.out.write(&summary::summary(&self.watch.fold, end, summary::Detail::Gathered, style));
    }
}

/// What there is to say of a record, where it matters to somebody who waits for the end.
fn news(fold: &Fold, record: &Record) -> Option<(Tone, String)> {
    if !fold.concerns(record) {
        return match &record.event {
            Event::ChangeEnded { .. } => {
                Some((Tone::Warn, format!("takes the place of {}, which was unfinished", record.change)))
            }
            _ => None,
        };
    }
    match &record.event {
        Event::ChangeBegan(began) => Some((Tone::Strong, format!("{}: {}", record.change, words::began(began)))),
        Event::ChangeResumed { .. } => {
            let what = fold.began().map_or_else(String::new, |began| format!(" the {}", words::began(began)));
            Some((Tone::Strong, format!("{}: resumes{what}", record.change)))
        }
        Event::Succeeded { intent, outcome } => {
            let action = fold.intended(*intent)?;
            // The host's own key is news once it is in use.
            (action.kind() != Kind::MakeHostKey).then(|| (Tone::Ordinary, words::done(action, outcome)))
        }
        Event::Failed { intent, failure } => Some((Tone::Warn, words::failed(fold.intended(*intent), failure))),
        Event::Phase { phase: phase @ (Phase::Reachable | Phase::Interrupted | Phase::Lost), .. } => {
            Some((words::phase_tone(*phase), phase.word().to_owned()))
        }
        Event::Settled { verdict, .. } => {
            Some((words::verdict_tone(verdict), words::verdict(verdict, fold.operation())))
        }
        Event::Intended { .. }
        | Event::Phase { .. }
        | Event::Pinned { .. }
        | Event::RunCancelled { .. }
        | Event::ChangeEnded { .. } => None,
    }
}
