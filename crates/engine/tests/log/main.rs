//! The event log through its public face: what both kinds of log must do, and what the one on disk must survive.

#![expect(clippy::unwrap_used, reason = "what fails in a test's own helpers is a failed test")]

mod conformance;
mod crash;
mod opening;
mod rate;
mod support;
mod tampering;
