//! Permits: the only way to change the world.
//!
//! A port's mutating method takes a [`Permit`] by value, with the action inside. Only this crate mints one, only after the
//! intent is in the event log and synced, never in a dry run, and only inside the plan's envelope. So "a dry run cannot
//! mutate" and "nothing unaudited happens" are facts that the compiler checks.
//!
//! A port cannot be called without its permit:
//!
//! ```compile_fail,E0308
//! use airlift_core::action::TerminateInstance;
//! use airlift_engine::port::Compute;
//!
//! async fn end(port: &dyn Compute, action: TerminateInstance) {
//!     let _ = port.terminate(action).await;
//! }
//! ```
//!
//! Nor with another action's:
//!
//! ```compile_fail,E0308
//! use airlift_core::action::LaunchInstance;
//! use airlift_engine::{permit::Permit, port::Compute};
//!
//! async fn end(port: &dyn Compute, permit: Permit<LaunchInstance>) {
//!     let _ = port.terminate(permit).await;
//! }
//! ```
//!
//! Nor can anybody else make one, or use one twice:
//!
//! ```compile_fail,E0624
//! use airlift_core::{action::TerminateInstance, id::Token};
//! use airlift_engine::permit::Permit;
//!
//! fn forge(action: TerminateInstance, token: Token) -> Permit<TerminateInstance> {
//!     Permit::mint(action, token)
//! }
//! ```
//!
//! ```compile_fail,E0382
//! use airlift_core::action::TerminateInstance;
//! use airlift_engine::{permit::Permit, port::Compute};
//!
//! async fn twice(port: &dyn Compute, permit: Permit<TerminateInstance>) {
//!     let _ = port.terminate(permit).await;
//!     let _ = port.terminate(permit).await;
//! }
//! ```
//!
//! With the right permit it compiles:
//!
//! ```
//! use airlift_core::action::TerminateInstance;
//! use airlift_engine::{permit::Permit, port::Compute};
//!
//! async fn end(port: &dyn Compute, permit: Permit<TerminateInstance>) {
//!     let _ = port.terminate(permit).await;
//! }
//! ```

use airlift_core::id::Token;

/// The leave to carry out one recorded intent.
#[derive(Debug)]
pub struct Permit<A> {
    action: A,
    token: Token,
}

impl<A> Permit<A> {
    /// Only the engine, and only for an intent that is in the log.
    pub(crate) fn mint(action: A, token: Token) -> Self {
        Self { action, token }
    }

    /// What may be done.
    pub fn action(&self) -> &A {
        &self.action
    }

    /// What makes it happen once, however often it is sent.
    pub fn token(&self) -> &Token {
        &self.token
    }
}
