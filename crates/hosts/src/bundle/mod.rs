//! Bundles as files and streams: a project's folder is read into a [`Plan`], whose pieces are streamed to hosts or
//! into a bundle file.
//!
//! What always holds: the same tree becomes the same release and the same pieces on any machine; nothing but the
//! scan's cache is stored, so that pieces are read from the project when they are sent, and whatever changed in
//! between is noticed and named; memory stays within a few MiB, and what the list of files needs, whatever the files'
//! lengths.
//!
//! Everything here blocks; call it from a thread that may.

mod cache;
mod error;
mod file;
mod hash;
mod plan;
mod rules;
mod scan;
mod send;

pub use error::{Changed, PieceError, PlanError, Problem};
pub use file::{BundleError, BundleFile};
pub use plan::{Plan, Reading, Request, plan};
pub use rules::Rules;
pub use send::{Compression, PieceSource, SendError, Sent, Which, write_bundle, write_pieces};
