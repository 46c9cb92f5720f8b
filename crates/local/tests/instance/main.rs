//! Instances as they are used: prepared and started in folders of their own, spoken to over SSH, ended.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod life;
mod ssh;
mod support;
