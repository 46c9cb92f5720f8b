//! Renderers: what happens in a change, shown to a person or to a program.
//!
//! Every renderer is a fold over records and signals and writes to what its caller gives it; none of them reads the
//! environment, the clock or the event log, so each is tested without a run. What comes from hosts is never interpreted
//! by a terminal ([`clean`]).
//!
//! Reading order: [`Renderer`]; [`fold`] is what all of them know; [`output`] is how script output comes out of the spool
//! exactly once; [`plain`], [`live`], [`quiet`] and [`json`] are the renderers; [`mod@summary`] ends them; [`plan`], [`mod@status`]
//! and [`table`] show what is no change.

pub mod clean;
pub mod fold;
pub mod human;
pub mod json;
pub mod live;
pub mod logs;
pub mod output;
pub mod plain;
pub mod plan;
pub mod quiet;
pub mod status;
pub mod style;
pub mod summary;
pub mod table;
mod waits;
mod watch;
pub mod words;

use std::io::{self, Write};
use std::time::Duration;

use airlift_core::change::Change;
use airlift_core::event::{ChangeEnd, Record};
use airlift_core::time::Moment;
use airlift_engine::feed::Signal;

pub use self::fold::Fold;
pub use self::json::{
    Json, change as change_json, nothing_to_do as nothing_to_do_json, plan as plan_json, record as record_json,
    run as run_json, status as status_json, text as json_text,
};
pub use self::live::Live;
pub use self::logs::{Tail, print_output, print_stream};
pub use self::plain::Plain;
pub use self::plan::text as plan_text;
pub use self::quiet::Quiet;
pub use self::status::{LastRun, StatusRow, status, status_screen};
pub use self::style::{Style, Tone};
pub use self::summary::summary;
pub use self::table::{AuditLines, ChangeRow, RunRow, audit_text, changes, runs};

/// Shows a change while it goes on.
///
/// The caller passes on what the feed gives, calls `tick` about ten times a second, and `finish` once, after the last
/// record. A writer that fails (a closed pipe) is not written to again; the change goes on.
pub trait Renderer: Send {
    /// The change as it is before this process drives it: nothing of it is shown. To be called before driving begins, also
    /// for a new change, so that output from before it can be told from its own. The output of a script that runs already
    /// is shown from its beginning.
    fn take_up(&mut self, change: &Change);

    /// A record.
    fn record(&mut self, record: &Record);

    /// A signal. Signals may be missing: nothing but how soon something is shown depends on them.
    fn signal(&mut self, signal: &Signal);

    /// Time went on. `now` is on the process's monotonic scale.
    fn tick(&mut self, now: Moment);

    /// The terminal has another size now.
    fn resize(&mut self, _width: usize, _height: usize) {}

    /// The change is over for this process: shows what is left of the output, and the end.
    fn finish(&mut self, end: &Ending);
}

/// How a change is over for this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub how: How,
    /// How long this process was at it.
    pub elapsed: Duration,
    /// The exit code that the process will end with; shown in JSON only.
    pub exit_code: u8,
}

/// The manner in which a change is over for this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It came to its end.
    Ended(ChangeEnd),
    /// The operator stopped it; it can be resumed.
    Stopped,
    /// The operator detached; the run goes on on its hosts.
    Detached,
    /// airlift could not go on; it can be resumed.
    Halted {
        /// Why.
        message: String,
    },
}

/// A writer that is left alone after its first failure: nobody reads any more, and that is no reason to stop working.
struct Out {
    to: Box<dyn Write + Send>,
    broken: bool,
}

impl Out {
    fn new(to: Box<dyn Write + Send>) -> Self {
        Self { to, broken: false }
    }

    fn write(&mut self, text: &str) {
        if !self.broken && !text.is_empty() {
            self.broken = self.try_write(text).is_err();
        }
    }

    fn line(&mut self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    fn try_write(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())?;
        self.to.flush()
    }
}
