//! The fold and the output of one change, advanced together: what [`super::Plain`], [`super::Live`] and
//! [`super::Quiet`] have in common.

use airlift_core::change::Change;
use airlift_core::event::{Event, Record, Subject};
use airlift_core::id::{HostId, RunId};
use airlift_engine::feed::Signal;
use airlift_engine::spool::FileSpool;

use super::Fold;
use super::output::{Line, Outputs, Source};
use super::style::{Style, Tone};

/// One change, watched.
pub(super) struct Watch {
    pub(super) fold: Fold,
    outputs: Outputs,
}

impl Watch {
    pub(super) fn new(spool: FileSpool) -> Self {
        Self { fold: Fold::default(), outputs: Outputs::new(spool) }
    }

    /// Takes up a change as it is before this process drives it.
    pub(super) fn take_up(&mut self, change: &Change) {
        self.fold.take_up(change);
        let Some(run) = self.fold.run() else { return };
        self.skip_old_output();
        let settled = change.hosts.iter().filter(|(_, past)| past.verdict.is_some());
        for (host, _) in settled {
            let fold = &mut self.fold;
            self.outputs.settled(host, &run, None, &mut |line| fold.line(host, line));
        }
    }

    /// Folds a record. Lines that it makes visible come out of `show`.
    pub(super) fn record(&mut self, record: &Record, mut show: impl FnMut(&HostId, &Line)) {
        if !self.fold.concerns(record) {
            return;
        }
        if let (Subject::Host(host), Event::Settled { output, .. }) = (&record.subject, &record.event)
            && let Some(run) = self.fold.run()
        {
            let fold = &mut self.fold;
            self.outputs.settled(host, &run, output.as_ref(), &mut |line| {
                show(host, &line);
                fold.line(host, line);
            });
        }
        self.fold.record(record);
        if let Event::ChangeBegan(_) = &record.event {
            self.skip_old_output();
        }
    }

    pub(super) fn signal(&mut self, signal: &Signal) {
        self.fold.signal(signal);
    }

    /// The output of `run` on `host` may have grown.
    pub(super) fn grown(&mut self, host: &HostId, run: &RunId, mut show: impl FnMut(&HostId, &Line)) {
        let fold = &mut self.fold;
        self.outputs.grown(host, run, &mut |line| {
            show(host, &line);
            fold.line(host, line);
        });
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self, mut show: impl FnMut(&HostId, &Line)) {
        // Signals may have been dropped, all of them even: every host of the run is asked about.
        if let Some(run) = self.fold.run() {
            let hosts: Vec<HostId> = self.fold.hosts().into_iter().map(|(host, _)| host.clone()).collect();
            for host in hosts {
                self.grown(&host, &run, &mut show);
            }
        }
        let fold = &mut self.fold;
        self.outputs.finish(&mut |host, line| {
            show(host, &line);
            fold.line(host, line);
        });
    }

    /// The bootstrap of a release has one run id however often it is activated: what the spool holds of it when the change
    /// begins was shown in its own time. A script's run is new.
    fn skip_old_output(&mut self) {
        if self.fold.is_script() {
            return;
        }
        if let Some(run) = self.fold.run() {
            for (host, _) in self.fold.hosts() {
                self.outputs.skip(host, &run);
            }
        }
    }
}

/// A line of output behind its host.
pub(super) fn output_line(host: &HostId, line: &Line, columns: usize, style: Style) -> String {
    let host = style.paint(Tone::Faint, &super::clean::pad(host.as_str(), columns));
    let text = match line.source {
        Source::Stdout => line.text.clone(),
        Source::Stderr => style.paint(Tone::Warn, &line.text),
        Source::Note => style.paint(Tone::Faint, &line.text),
    };
    format!("{host} {} {text}", line.source.mark()).trim_end().to_owned()
}
