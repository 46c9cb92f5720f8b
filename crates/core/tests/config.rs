//! The config `airlift.yaml` from outside: what is read from good files, what is said of bad ones, and that both keep to the schema.

#![expect(clippy::unwrap_used, reason = "a test helper that fails is a test that fails")]

#[path = "support/nearly.rs"]
mod nearly;

mod config {
    pub(crate) mod bad;
    pub(crate) mod files;
    pub(crate) mod good;
    pub(crate) mod properties;
    pub(crate) mod schema;
}
