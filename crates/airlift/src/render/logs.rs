//! What `airlift logs` prints: the spool, each line behind its host and stream.

use std::collections::BTreeSet;
use std::io::{self, Write};

use airlift_core::id::{HostId, RunId};
use airlift_engine::spool::{FileSpool, Stream};

use super::output::{Outputs, Source};
use super::style::Style;
use super::watch::output_line;

/// Prints what the spool holds of `run` on `hosts`, host by host.
pub fn print_output(
    out: &mut dyn Write,
    spool: &FileSpool,
    run: &RunId,
    hosts: &BTreeSet<HostId>,
    streams: &[Stream],
    style: Style,
) -> io::Result<()> {
    let columns = hosts.iter().map(|host| host.as_str().len()).max().unwrap_or(0);
    let mut tail = Tail { streams: streams.to_vec(), columns, ..Tail::new(spool.clone(), run.clone(), style) };
    let mut sorted: Vec<&HostId> = hosts.iter().collect();
    sorted.sort_by_key(|host| host.sort_key());
    sorted.into_iter().try_for_each(|host| tail.print(out, host, true))
}

/// Prints one stream of one host for a person: without anything before its lines, and safe to show.
pub fn print_stream(
    out: &mut dyn Write,
    spool: &FileSpool,
    run: &RunId,
    host: &HostId,
    stream: Stream,
) -> io::Result<()> {
    let mut result = Ok(());
    Outputs::whole(spool.clone()).settled(host, run, None, &mut |line| {
        if result.is_ok() && (line.source == Source::Note || line.source == stream.into()) {
            result = writeln!(out, "{}", line.text);
        }
    });
    result
}

/// Prints what another process adds to the spool.
pub struct Tail {
    outputs: Outputs,
    run: RunId,
    streams: Vec<Stream>,
    columns: usize,
    style: Style,
}

impl Tail {
    /// Nothing of `run` was printed yet.
    pub fn new(spool: FileSpool, run: RunId, style: Style) -> Self {
        Self { outputs: Outputs::whole(spool), run, streams: Stream::BOTH.to_vec(), columns: 0, style }
    }

    /// Prints what was added on `host`; when the run is `over`, an incomplete last line too.
    pub fn print(&mut self, out: &mut dyn Write, host: &HostId, over: bool) -> io::Result<()> {
        self.columns = self.columns.max(host.as_str().len());
        let (columns, style, mut result) = (self.columns, self.style, Ok(()));
        let wanted: Vec<Source> = self.streams.iter().map(|stream| Source::from(*stream)).collect();
        let mut show = |line: super::output::Line| {
            if result.is_ok() && (line.source == Source::Note || wanted.contains(&line.source)) {
                result = writeln!(out, "{}", output_line(host, &line, columns, style));
            }
        };
        if over {
            self.outputs.settled(host, &self.run, None, &mut show);
        } else {
            self.outputs.grown(host, &self.run, &mut show);
        }
        result
    }
}
