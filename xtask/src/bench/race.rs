//! Contenders beside one another: in every round each of them once, first another one each time, and medians at the end.
//!
//! What was measured one after the other on a machine that others use too cannot be compared; what was measured in the
//! same minute can.

use std::io::{self, IsTerminal as _};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::fleet::Fleet;
use super::measure::Sample;
use super::relay::Relay;
use super::report::Row;
use super::site::Bench;
use super::stats::{median, median_s};

/// After a command, hosts may still be ending its sessions.
const SETTLING: Duration = Duration::from_millis(100);

/// Makes what is run in a round. Whatever it prepares before is not measured. Round 0 warms up.
type Start<'a> = Box<dyn FnMut(usize) -> io::Result<Command> + 'a>;

/// Tells why a round does not count.
type Check<'a> = Box<dyn FnMut(usize, &Sample) -> Result<(), String> + 'a>;

/// What is read before and after a command, beside what the command itself costs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meters<'a> {
    /// What its hosts spend.
    pub(crate) fleet: Option<&'a Fleet>,
    /// What it lets through.
    pub(crate) relay: Option<&'a Relay>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    on_hosts: Option<f64>,
    sent: Option<u64>,
}

impl Meters<'_> {
    fn read(self) -> Reading {
        Reading { on_hosts: self.fleet.map(Fleet::spent), sent: self.relay.map(Relay::sent) }
    }
}

/// One who takes part.
pub(crate) struct Contender<'a> {
    name: String,
    start: Start<'a>,
    check: Check<'a>,
    samples: Vec<Sample>,
    on_hosts: Vec<f64>,
    sent: Vec<u64>,
    failed: Option<String>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: impl Into<String>, start: impl FnMut(usize) -> io::Result<Command> + 'a) -> Self {
        Self {
            name: name.into(),
            start: Box::new(start),
            check: Box::new(|_, _| Ok(())),
            samples: Vec::new(),
            on_hosts: Vec::new(),
            sent: Vec::new(),
            failed: None,
        }
    }

    /// What must hold after each round, beside a good exit status.
    pub(crate) fn checked(mut self, check: impl FnMut(usize, &Sample) -> Result<(), String> + 'a) -> Self {
        self.check = Box::new(check);
        self
    }

    fn take_turn(&mut self, bench: &Bench<'_>, meters: Meters<'_>, round: usize) -> io::Result<()> {
        if self.failed.is_some() {
            return Ok(());
        }
        let command = (self.start)(round)?;
        level()?;
        let before = meters.read();
        let sample = Sample::of(&command, &bench.folder)?;
        bench.stop.check()?;
        sleep(SETTLING);
        // What it left its hosts to do is its own, and not the next one's burden.
        meters.fleet.map_or(Ok(()), Fleet::come_to_rest)?;
        let after = meters.read();
        let verdict =
            if sample.status.success() { (self.check)(round, &sample) } else { Err(sample.status.to_string()) };
        if let Err(why) = verdict {
            eprintln!("{} failed in round {round}: {why}\n{}", self.name, sample.tail());
            self.failed = Some(why);
        } else if round > 0 {
            self.on_hosts.extend(after.on_hosts.zip(before.on_hosts).map(|(after, before)| after - before));
            self.sent.extend(after.sent.zip(before.sent).map(|(after, before)| after - before));
            self.samples.push(sample);
        }
        Ok(())
    }

    fn row(self) -> Row {
        let memory = self.samples.iter().map(|sample| sample.memory).max();
        Row {
            wall_s: median_s(self.samples.iter().map(|sample| sample.wall)),
            cpu_s: median_s(self.samples.iter().map(|sample| sample.cpu)),
            hosts_cpu_s: median(self.on_hosts),
            memory,
            sent: self.sent.into_iter().max(),
            walls_s: self.samples.iter().map(|sample| sample.wall.as_secs_f64()).collect(),
            failed: self.failed,
            ..Row::named(self.name)
        }
    }
}

/// Has them race. Whoever fails once, by its exit status or by its check, is out, and its row says why.
pub(crate) fn race(bench: &Bench<'_>, meters: Meters<'_>, mut contenders: Vec<Contender<'_>>) -> io::Result<Vec<Row>> {
    let count = contenders.len();
    for round in 0..=bench.rounds {
        for turn in 0..count {
            let contender = &mut contenders[(round + turn) % count];
            progress(&format!("  round {round} of {}: {}", bench.rounds, contender.name));
            contender.take_turn(bench, meters, round)?;
        }
    }
    progress("");
    Ok(contenders.into_iter().map(Contender::row).collect())
}

/// Has everybody begin alike. What another one has left to be written is not for this one to wait for. And a virtual machine that
/// has given free memory back pays for it again at the first touch, several times what writing it costs: more than any turn
/// writes is touched, by a process of its own, because what starts a command counts as part of its memory.
fn level() -> io::Result<()> {
    rustix::fs::sync();
    let touch = ["if=/dev/zero", "of=/dev/null", "bs=1536M", "count=1", "iflag=fullblock", "status=none"];
    let status = Command::new("dd").args(touch).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("memory could not be touched: dd: {status}"))) }
}

/// Shows how far it is, in the place of what was shown before; only where somebody watches.
fn progress(line: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[K{line}");
    }
}
