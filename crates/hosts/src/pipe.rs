//! From code that writes and blocks to a connection that reads and waits, in bounded memory.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airlift_core::id::HostId;
use airlift_engine::feed::{Feed, Signal};
use airlift_engine::port::ActError;
use bytes::Bytes;
use tokio::sync::mpsc;

/// Bytes in one chunk: as many as an SSH channel's packets carry well.
const CHUNK: usize = 256 << 10;

/// Chunks that may wait for the connection.
const AHEAD: usize = 4;

/// What comes out of a pipe.
pub(crate) type Input = mpsc::Receiver<io::Result<Bytes>>;

/// How much has gone through a pipe.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<AtomicU64>);

impl Count {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tells how far a transfer is, counted before compression: how long the rest will be on its way can be told from these bytes
/// alone, as nobody knows how small it will become.
pub(crate) struct Progress {
    feed: Feed,
    host: HostId,
    total: u64,
    done: u64,
    told: u64,
}

impl Progress {
    pub(crate) fn new(feed: &Feed, host: &HostId) -> Self {
        Self { feed: feed.clone(), host: host.clone(), total: 0, done: 0, told: 0 }
    }

    /// So many bytes there are to send.
    pub(crate) fn expect(&mut self, total: u64) {
        self.total = total;
    }

    /// So many bytes more are on their way.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        if self.done - self.told >= CHUNK as u64 || self.done >= self.total {
            self.told = self.done;
            let (bytes, total) = (self.done, Some(self.total.max(self.done)));
            self.feed.signal(Signal::Sent { host: self.host.clone(), bytes, total });
        }
    }
}

/// Runs `write` on a thread that may block; what it writes comes out of the pipe. Its error comes out last.
pub(crate) fn pipe(write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> (Input, Count) {
    let (sender, input) = mpsc::channel(AHEAD);
    let count = Count::default();
    let mut mouth = Mouth { sender, buffer: Vec::with_capacity(CHUNK), count: count.clone() };
    tokio::task::spawn_blocking(move || {
        let result = write(&mut mouth).and_then(|()| mouth.flush());
        match result {
            // The other end has lost interest: it knows why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                let _ = mouth.sender.blocking_send(Err(error));
            }
            Ok(()) => {}
        }
    });
    (input, count)
}

struct Mouth {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
    count: Count,
}

impl Write for Mouth {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK)));
        let length = chunk.len() as u64;
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        self.count.0.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }
}

/// Gives up on `work` after `seconds`. What it did on the host until then stays as it is.
pub(crate) async fn limited<T>(
    seconds: u64,
    what: &str,
    work: impl Future<Output = Result<T, ActError>>,
) -> Result<T, ActError> {
    match tokio::time::timeout(Duration::from_secs(seconds), work).await {
        Ok(result) => result,
        Err(_) => Err(ActError::transient(too_long(seconds, what))),
    }
}

/// Says that something was given up.
pub(crate) fn too_long(seconds: u64, what: &str) -> String {
    format!("{what} took longer than {seconds} s; raise run.upload_timeout, or send less")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_counts_what_there_is_to_send_and_ends_with_all_of_it() {
        let (feed, mut reader) = Feed::new();
        let host: HostId = "web/1".parse().unwrap();
        let mut progress = Progress::new(&feed, &host);
        progress.expect(600 << 10);
        for _ in 0..3 {
            progress.advance(200 << 10);
        }
        let told: Vec<Signal> = std::iter::from_fn(|| reader.signals.try_recv().ok()).collect();
        let sent = |kib: u64| Signal::Sent { host: host.clone(), bytes: kib << 10, total: Some(600 << 10) };
        assert_eq!(told, [sent(400), sent(600)]);
    }
}
