//! The pure heart of airlift.
//!
//! Nothing in this crate does IO, reads a clock or the environment, or draws a random number: time and ids are
//! arguments. What a change does to the world is decided here, as a function of what was seen, and carried out elsewhere.
//!
//! Reading order: [`id`] and [`secret`] are the words; [`config`] is what a person writes and [`desired`] what a change works
//! towards; [`seen`] is what a look brings back; [`action`] is everything airlift can do to the world; [`event`] is what it
//! records; [`history`] folds records into what an operation needs to know of its own past; [`op`] holds one file per operation;
//! [`plan`] unrolls an operation against predicted effects.

pub mod action;
pub mod bundle;
pub mod change;
pub mod config;
pub mod decide;
pub mod desired;
pub mod event;
pub mod fault;
pub mod history;
pub mod id;
pub mod import;
pub mod op;
pub mod plan;
pub mod secret;
pub mod seen;
pub mod shell;
pub mod stage1;
pub mod time;
