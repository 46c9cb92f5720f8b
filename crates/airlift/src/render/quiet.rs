//! Only what went wrong, as soon as it did, and the end.

use std::io::Write;

use airlift_core::change::Change;
use airlift_core::event::{Event, Record, Subject};
use airlift_core::time::Moment;
use airlift_engine::feed::Signal;
use airlift_engine::spool::FileSpool;

use super::style::{Style, Tone};
use super::watch::Watch;
use super::{Ending, Out, Renderer, summary, words};

/// Failures and the end.
pub struct Quiet {
    out: Out,
    watch: Watch,
    style: Style,
}

impl Quiet {
    /// Shows the failures of a change on `out`, with the last lines of output that it finds in `spool`.
    pub fn new(out: Box<dyn Write + Send>, spool: FileSpool, style: Style) -> Self {
        Self { out: Out::new(out), watch: Watch::new(spool), style }
    }
}

impl Renderer for Quiet {
    fn take_up(&mut self, change: &Change) {
        self.watch.take_up(change);
    }

    fn record(&mut self, record: &Record) {
        self.watch.record(record, |_, _| {});
        if !self.watch.fold.concerns(record) {
            return;
        }
        let (Subject::Host(host), Event::Settled { verdict, .. }) = (&record.subject, &record.event) else { return };
        if verdict.is_success() {
            return;
        }
        let text = words::verdict(verdict, self.watch.fold.operation());
        let mut shown = format!("{host}  {}\n", self.style.paint(words::verdict_tone(verdict), &text));
        for line in self.watch.fold.host(host).into_iter().flat_map(|state| &state.tail) {
            let line = self.style.fit(&format!("    {} {}", line.source.mark(), line.text), summary::LONGEST);
            shown += &(self.style.paint(Tone::Faint, &line) + "\n");
        }
        self.out.write(&shown);
    }

    fn signal(&mut self, signal: &Signal) {
        self.watch.signal(signal);
    }

    fn tick(&mut self, _now: Moment) {}

    fn finish(&mut self, end: &Ending) {
        self.out.write(&summary::summary(&self.watch.fold, end, summary::Detail::Headline, self.style));
    }
}
