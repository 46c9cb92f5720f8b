//! Bundles as files and streams: a project's folder is read into a [`Plan`], whose pieces go into a [`Store`] in the same
//! pass, to be streamed from there to hosts, or into a bundle file.
//!
//! What always holds: the same tree becomes the same release and the same pieces on any machine; whatever changed between
//! the scan and a later reading of the project is noticed and named; memory stays within a few pieces a thread, and what
//! the list of files needs, whatever the files' lengths.
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
mod store;
mod whole;

pub use error::{Changed, PieceError, PlanError, Problem};
pub use file::{BundleError, BundleFile};
pub use plan::{Plan, Reading, Request, plan};
pub use rules::Rules;
pub use send::{Compression, PieceSource, SendError, Sent, Which, write_bundle, write_pieces};
pub use store::{Alone, Store, StoreError, Stored};
