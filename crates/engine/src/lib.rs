//! The engine of airlift: the loop of look, decide, record and act; the permits; the event log; the ports.
//!
//! Reading order: [`port`] is what the world must offer; [`permit`] is why nothing happens unrecorded; [`log`] is the
//! only state that airlift owns; [`drive`] is the loop itself.

pub mod clock;
pub mod drive;
pub mod feed;
mod lock;
pub mod log;
pub mod permit;
pub mod port;
pub mod spool;
pub mod state;
