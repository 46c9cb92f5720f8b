//! What goes wrong, by seed: calls fail, answers are lost, looks are stale, the operator's process dies.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Fine,
    FailBefore,
    LoseReply,
    DieAfter,
}

/// How much goes wrong, in thousandths of all calls.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Odds {
    pub(crate) fail: u64,
    pub(crate) lose: u64,
    pub(crate) die: u64,
    pub(crate) stale: u64,
}

pub(crate) struct Chaos {
    state: Mutex<u64>,
    odds: Mutex<Odds>,
    calls: AtomicU64,
    dead: AtomicBool,
    pub(crate) died: Notify,
}

impl Chaos {
    pub(crate) fn new(seed: u64, odds: Odds) -> Self {
        Self {
            state: Mutex::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            odds: Mutex::new(odds),
            calls: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            died: Notify::new(),
        }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn cease(&self) {
        *self.odds.lock().unwrap() = Odds::default();
    }

    /// Things go wrong again.
    pub(crate) fn resume(&self, odds: Odds) {
        *self.odds.lock().unwrap() = odds;
    }

    /// A new process takes over.
    pub(crate) fn revive(&self) {
        self.dead.store(false, Ordering::SeqCst);
    }

    /// Calls made so far.
    pub(crate) fn calls(&self) -> usize {
        usize::try_from(self.calls.load(Ordering::SeqCst)).unwrap()
    }

    /// A number below `bound` (splitmix64).
    pub(crate) fn below(&self, bound: u64) -> u64 {
        let mut state = self.state.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(crate) fn is_stale(&self) -> bool {
        let odds = *self.odds.lock().unwrap();
        self.below(1000) < odds.stale
    }

    /// One call's way to the world: it takes time, and the process may die before it gets there.
    pub(crate) async fn step(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1 + self.below(40))).await;
        let odds = *self.odds.lock().unwrap();
        if self.below(1000) < odds.die {
            self.die();
        }
        self.rest_if_dead().await;
    }

    /// The same, and what becomes of the call.
    pub(crate) async fn fate(&self) -> Fate {
        self.step().await;
        let odds = *self.odds.lock().unwrap();
        match self.below(1000) {
            n if n < odds.fail => Fate::FailBefore,
            n if n < odds.fail + odds.lose => Fate::LoseReply,
            n if n < odds.fail + odds.lose + odds.die => Fate::DieAfter,
            _ => Fate::Fine,
        }
    }

    /// The effect has happened; the process may die before it hears of it.
    pub(crate) async fn after(&self, fate: Fate) {
        if fate == Fate::DieAfter {
            self.die();
        }
        self.rest_if_dead().await;
    }

    fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
    }

    /// A dead process does nothing more: its calls never return.
    async fn rest_if_dead(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}
