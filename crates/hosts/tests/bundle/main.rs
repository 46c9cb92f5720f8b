//! Bundles against the real thing: project folders on disk, and the system's own `tar`.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod cache;
mod pieces;
mod refusals;
mod round_trip;
mod rules;
mod sending;
mod store;
mod support;
