//! A TCP relay to a machine: the network at its worst. It resets connections at a byte of the test's choosing, in either
//! direction, holds everything back for a while, or falls silent.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::sshd::{Sshd, eventually};
use crate::world::{Listing, World};

/// How often something is looked at again.
const MOMENT: Duration = Duration::from_millis(10);

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Towards the machine.
    There,
    /// From the machine.
    Back,
}

/// What becomes of a connection when so many bytes went that way.
pub(crate) struct Cut {
    way: Way,
    after: u64,
    then: Then,
}

enum Then {
    Reset,
    ResetOnce(Box<dyn Fn() -> bool + Send>),
    Silence,
}

impl Cut {
    /// It is reset.
    pub(crate) fn reset(way: Way, after: u64) -> Self {
        Self { way, after, then: Then::Reset }
    }

    /// It falls silent, and is reset when `condition` holds.
    pub(crate) fn reset_once(way: Way, after: u64, condition: impl Fn() -> bool + Send + 'static) -> Self {
        Self { way, after, then: Then::ResetOnce(Box::new(condition)) }
    }

    /// Nothing goes that way any more, and neither side is told.
    pub(crate) fn silence(way: Way, after: u64) -> Self {
        Self { way, after, then: Then::Silence }
    }
}

/// A relay, as long as its value lives.
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: (String, u16),
    /// What becomes of the next connections; those after them are left alone.
    cuts_to_come: Mutex<VecDeque<Cut>>,
    cuts: AtomicUsize,
    connections: AtomicUsize,
    carried: [AtomicU64; 2],
    held_ms: AtomicU64,
    preface: Mutex<(Vec<u8>, Duration)>,
    silent: AtomicBool,
    over: AtomicBool,
}

impl Relay {
    pub(crate) fn start(sshd: &Sshd) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            to: (sshd.host(), sshd.port()),
            cuts_to_come: Mutex::default(),
            cuts: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            carried: [AtomicU64::new(0), AtomicU64::new(0)],
            held_ms: AtomicU64::new(0),
            preface: Mutex::default(),
            silent: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let relay = Self { address: listener.local_addr().unwrap(), shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for near in listener.incoming() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(near), Ok(far)) = (near, TcpStream::connect((shared.to.0.as_str(), shared.to.1))) else {
                    continue;
                };
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.carry(&near, &far));
            }
        });
        relay
    }

    /// Resets the next connections, the first of them at the first of these.
    pub(crate) fn cut(&self, cuts: impl IntoIterator<Item = Cut>) {
        *self.shared.cuts_to_come.lock().unwrap() = cuts.into_iter().collect();
    }

    /// How many connections were reset so far.
    pub(crate) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// How many connections there were so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes that went this way so far, over all connections.
    pub(crate) fn carried(&self, way: Way) -> u64 {
        self.shared.carried[way as usize].load(Ordering::SeqCst)
    }

    /// From now on everything takes this much longer, in each direction.
    pub(crate) fn hold(&self, delay: Duration) {
        self.shared.held_ms.store(delay.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// Speaks first in every connection: says this, and lets the machine speak so much later.
    pub(crate) fn preface(&self, words: &[u8], delay: Duration) {
        *self.shared.preface.lock().unwrap() = (words.to_owned(), delay);
    }

    /// Passes nothing on any more, or goes on: a tunnel.
    pub(crate) fn silence(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::SeqCst);
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
    fn carry(&self, mut near: &TcpStream, far: &TcpStream) {
        let (words, delay) = self.preface.lock().unwrap().clone();
        let _ = near.write_all(&words);
        std::thread::sleep(delay);
        let (there, back) = match self.cuts_to_come.lock().unwrap().pop_front() {
            Some(cut) if cut.way == Way::There => (Some(cut), None),
            cut => (None, cut),
        };
        std::thread::scope(|both| {
            both.spawn(|| self.pass(near, far, Way::There, there));
            both.spawn(|| self.pass(far, near, Way::Back, back));
        });
    }

    /// Passes bytes on until an end, or until they are cut: then both ends are reset.
    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream, way: Way, cut: Option<Cut>) {
        let mut left = cut.as_ref().map_or(u64::MAX, |cut| cut.after);
        let mut buffer = vec![0; 1 << 16];
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = from.read(&mut buffer[..most]).unwrap_or(0);
            self.wait();
            // Counted first: whoever hears of it finds it counted.
            self.carried[way as usize].fetch_add(count as u64, Ordering::SeqCst);
            left -= count as u64;
            if count == 0 || to.write_all(&buffer[..count]).is_err() {
                for end in [from, to] {
                    let _ = end.shutdown(Shutdown::Both);
                }
                return;
            }
        }
        match cut.map(|cut| cut.then) {
            Some(Then::Silence) => {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                while !self.over.load(Ordering::SeqCst) {
                    std::thread::sleep(MOMENT);
                }
                return;
            }
            Some(Then::ResetOnce(condition)) => eventually("what a cut waits for", condition),
            Some(Then::Reset) | None => {}
        }
        self.cuts.fetch_add(1, Ordering::SeqCst);
        for end in [from, to] {
            // What is left of a connection that is dissolved in this way is a reset.
            let _ = rustix::net::connect_unspec(end);
        }
    }

    fn wait(&self) {
        std::thread::sleep(Duration::from_millis(self.held_ms.load(Ordering::SeqCst)));
        while self.silent.load(Ordering::SeqCst) && !self.over.load(Ordering::SeqCst) {
            std::thread::sleep(MOMENT);
        }
    }
}

/// A relay to each machine, which the config lists instead; beside that it says `config`.
pub(crate) fn relayed(world: &World, config: &str) -> Vec<Relay> {
    let relays: Vec<Relay> = world.machines.iter().map(Relay::start).collect();
    world.know(&relays.iter().zip(&world.machines).map(|(relay, sshd)| relay.known_line(sshd)).collect::<String>());
    let listings: Vec<Listing> = (1..)
        .zip(&relays)
        .map(|(number, relay)| Listing { name: format!("h{number}"), host: relay.host(), port: relay.port() })
        .collect();
    world.list(&listings, config);
    relays
}

/// Clears the machines while their relays are still there.
pub(crate) fn leave(world: &World) {
    world.sandbox.ok(&["down", "--yes"]);
    world.configure("");
}
