//! A TCP relay to a machine that cuts connections: the network at its worst, at a byte of the test's choosing.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::sshd::Sshd;

/// When a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Never,
    /// As soon as so many bytes went towards the machine.
    After(u64),
}

/// A relay, as long as its value lives.
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: (String, u16),
    cut_after: AtomicU64,
    /// Connections that are still to be cut.
    cuts_left: AtomicUsize,
    cuts: AtomicUsize,
    over: std::sync::atomic::AtomicBool,
}

impl Relay {
    pub(crate) fn start(sshd: &Sshd, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Shared {
                to: (sshd.host(), sshd.port()),
                cut_after: AtomicU64::new(u64::MAX),
                cuts_left: AtomicUsize::new(0),
                cuts: AtomicUsize::new(0),
                over: std::sync::atomic::AtomicBool::new(false),
            }),
        };
        relay.cut(cut, 1);
        let shared = Arc::clone(&relay.shared);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(near), Ok(far)) = (near, TcpStream::connect((shared.to.0.as_str(), shared.to.1))) else {
                    continue;
                };
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.carry(near, far));
            }
        });
        relay
    }

    /// Cuts the next `times` connections; those after them are left alone.
    pub(crate) fn cut(&self, cut: Cut, times: usize) {
        let (after, times) = match cut {
            Cut::Never => (u64::MAX, 0),
            Cut::After(bytes) => (bytes, times),
        };
        self.shared.cut_after.store(after, Ordering::SeqCst);
        self.shared.cuts_left.store(times, Ordering::SeqCst);
    }

    /// How many connections were cut so far.
    pub(crate) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    pub(crate) fn host(&self) -> String {
        self.address.ip().to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The line that makes the machine known at the relay's address.
    pub(crate) fn known_line(&self, sshd: &Sshd) -> String {
        format!("[{}]:{} {}\n", self.host(), self.port(), sshd.host_public())
    }

    /// Lets it go on until the test's process ends.
    pub(crate) fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl Shared {
    fn carry(&self, near: TcpStream, far: TcpStream) {
        let is_cut =
            self.cuts_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let limit = if is_cut { self.cut_after.load(Ordering::SeqCst) } else { u64::MAX };
        let (answers_from, answers_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        let answers = std::thread::spawn(move || {
            let _ = pass(answers_from, answers_to, u64::MAX);
        });
        if pass(near, far, limit) {
            self.cuts.fetch_add(1, Ordering::SeqCst);
        }
        let _ = answers.join();
    }
}

/// Passes bytes on until an end, or until `limit` is reached: then both ends are shut, and it is true.
fn pass(mut from: TcpStream, mut to: TcpStream, limit: u64) -> bool {
    let mut left = limit;
    let mut buffer = [0; 1 << 14];
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match from.read(&mut buffer[..most]) {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
                left -= count as u64;
            }
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
    left == 0
}
