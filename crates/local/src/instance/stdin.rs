//! What a client has sent to the standard input of one channel and its process has not read yet.
//!
//! The SSH library opens a channel's window again as soon as data has come in, whether or not it was read, and offers no way
//! to hold back one channel only. To wait here would stop the whole connection: its other channels, and the output of this very process,
//! without which it may never read on (`cat`). So data is always taken, and memory bounded otherwise: what exceeds [`IN_MEMORY`]
//! goes to an unnamed file in the instance's TMPDIR.
//!
//! What always holds: bytes come out in the order in which they went in; memory holds only what is older than the file's.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::Notify;

/// The most that waits in memory, per channel.
const IN_MEMORY: usize = 1 << 20;

/// How much is read back from the file at once.
const BLOCK: usize = 64 << 10;

/// The end into which a connection puts what it receives. Dropped before [`Feeder::finish`], it discards what has not been read.
#[derive(Debug)]
pub(crate) struct Feeder(Arc<Queue>);

/// The end from which a process is fed.
#[derive(Debug)]
pub(crate) struct Stdin(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    tmp: Utf8PathBuf,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    memory: VecDeque<Bytes>,
    in_memory: usize,
    overflow: Option<Overflow>,
    /// Nothing more comes.
    finished: bool,
    /// Nobody reads any more.
    closed: bool,
}

#[derive(Debug)]
struct Overflow {
    file: File,
    read: u64,
    written: u64,
}

/// An empty input whose overflow would go to `tmp`.
pub(crate) fn input(tmp: &Utf8Path) -> (Feeder, Stdin) {
    let queue = Arc::new(Queue { tmp: tmp.to_owned(), state: Mutex::new(State::default()), changed: Notify::new() });
    (Feeder(Arc::clone(&queue)), Stdin(queue))
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feeder {
    /// Takes what was received. Fails only where the file system does.
    pub(crate) fn push(&self, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.closed || state.finished {
            return Ok(());
        }
        if state.overflow.is_none() && state.in_memory + data.len() <= IN_MEMORY {
            state.in_memory += data.len();
            state.memory.push_back(Bytes::copy_from_slice(data));
        } else {
            let overflow = match &mut state.overflow {
                Some(overflow) => overflow,
                none => none.insert(Overflow { file: unnamed(&self.0.tmp)?, read: 0, written: 0 }),
            };
            overflow.file.write_all_at(data, overflow.written)?;
            overflow.written += data.len() as u64;
        }
        drop(state);
        self.0.changed.notify_one();
        Ok(())
    }

    /// Nothing more comes; what is there is still read.
    pub(crate) fn finish(&self) {
        self.0.lock().finished = true;
        self.0.changed.notify_one();
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if !state.finished {
            *state = State { finished: true, closed: state.closed, ..State::default() };
        }
        drop(state);
        self.0.changed.notify_one();
    }
}

impl Stdin {
    /// The next bytes; none at the end, or when the input was closed.
    pub(crate) async fn next(&self) -> io::Result<Option<Bytes>> {
        loop {
            {
                let mut state = self.0.lock();
                if state.closed {
                    return Ok(None);
                }
                if let Some(bytes) = state.take()? {
                    return Ok(Some(bytes));
                }
                if state.finished {
                    return Ok(None);
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// Nobody reads any more: what is there and what still comes is dropped.
    pub(crate) fn close(&self) {
        *self.0.lock() = State { closed: true, ..State::default() };
        self.0.changed.notify_one();
    }
}

impl State {
    fn take(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(bytes) = self.memory.pop_front() {
            self.in_memory -= bytes.len();
            return Ok(Some(bytes));
        }
        let Some(overflow) = &mut self.overflow else { return Ok(None) };
        let left = overflow.written - overflow.read;
        let mut block = vec![0; usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK))];
        overflow.file.read_exact_at(&mut block, overflow.read)?;
        overflow.read += block.len() as u64;
        if overflow.read == overflow.written {
            self.overflow = None;
        }
        Ok(Some(block.into()))
    }
}

/// A file that is gone with its last descriptor.
fn unnamed(folder: &Utf8Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!(".stdin-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = folder.join(name);
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_out_in_order_whether_they_were_kept_in_memory_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let tmp = Utf8Path::from_path(dir.path()).unwrap();
        let (feeder, stdin) = input(tmp);
        let sent: Vec<u8> = (0..5 * IN_MEMORY / 8).flat_map(|n| (n as u64).to_be_bytes()).collect();
        let mut got = Vec::new();
        for (at, chunk) in sent.chunks(30_000).enumerate() {
            feeder.push(chunk).unwrap();
            // Now and then the reader catches up by one, which must not let newer bytes overtake older ones.
            if at % 3 == 0 {
                got.extend_from_slice(&stdin.next().await.unwrap().unwrap());
            }
        }
        assert!(stdin.0.lock().in_memory <= IN_MEMORY);
        assert!(stdin.0.lock().overflow.is_some(), "this test means to exceed memory");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the overflow has no name");
        feeder.finish();
        drop(feeder);
        while let Some(bytes) = stdin.next().await.unwrap() {
            got.extend_from_slice(&bytes);
        }
        assert!(got == sent);
    }

    #[tokio::test]
    async fn a_lost_connection_ends_the_input_and_discards_what_was_not_read() {
        let (feeder, stdin) = input(Utf8Path::new("/nonexistent"));
        feeder.push(b"half a line").unwrap();
        drop(feeder);
        assert_eq!(stdin.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_comes_after_the_reader_left_is_dropped() {
        let (feeder, stdin) = input(Utf8Path::new("/nonexistent"));
        stdin.close();
        feeder.push(&vec![0; 2 * IN_MEMORY]).unwrap();
        assert_eq!(stdin.next().await.unwrap(), None);
    }
}
