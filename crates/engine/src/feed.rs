//! What readers of a running change are given: every record, and signals as long as they keep up.
//!
//! Records are durable before they get here and are never dropped. Signals are progress: nobody waits for a reader of
//! them, and what a reader misses it can find in the spool or in the next signal.

use airlift_core::event::Record;
use airlift_core::id::{HostId, RunId};
use tokio::sync::mpsc;

/// Signals that may lie unread before more are dropped.
const SIGNALS: usize = 4096;

/// Progress, never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Bytes of a transfer have gone out, counted before compression.
    Sent {
        /// To which host.
        host: HostId,
        /// How many so far.
        bytes: u64,
        /// How many there are to send, where that is known.
        total: Option<u64>,
    },
    /// A run's output in the spool has grown.
    Output {
        /// From which host.
        host: HostId,
        /// Of which run.
        run: RunId,
    },
    /// The host waits.
    Waiting {
        /// Which host.
        host: HostId,
        /// For what.
        reason: String,
    },
}

/// The writing end of the feed.
#[derive(Clone, Debug)]
pub struct Feed {
    records: mpsc::UnboundedSender<Record>,
    signals: mpsc::Sender<Signal>,
}

/// The reading end.
#[derive(Debug)]
pub struct Reader {
    /// Every record of the change, in order.
    pub records: mpsc::UnboundedReceiver<Record>,
    /// Signals, as far as they were kept up with.
    pub signals: mpsc::Receiver<Signal>,
}

impl Feed {
    /// A feed and its reader.
    pub fn new() -> (Self, Reader) {
        let (records, records_out) = mpsc::unbounded_channel();
        let (signals, signals_out) = mpsc::channel(SIGNALS);
        (Self { records, signals }, Reader { records: records_out, signals: signals_out })
    }

    /// Passes records on. That nobody reads is no fault.
    pub fn records(&self, records: &[Record]) {
        for record in records {
            let _ = self.records.send(record.clone());
        }
    }

    /// Passes a signal on, unless the reader is behind.
    pub fn signal(&self, signal: Signal) {
        let _ = self.signals.try_send(signal);
    }
}
