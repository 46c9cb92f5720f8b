//! What a bundle is: the tree that it carries, the tar stream that the tree becomes, and the pieces that the stream
//! is cut into.
//!
//! What always holds: everything here is a function of the tree alone, so that the same tree has the same release
//! digest and the same pieces on any machine. The formats are those of `docs/host-protocol.md`.
//!
//! The way of a folder into a bundle: a scan makes a [`Listing`] (what is there, not yet read) of [`Entry`] values;
//! [`layout()`] says which runs of the tar stream ([`tar`]) are packed together and which files are cut by content
//! ([`Cutter`]); reading gives each file its digest ([`Tree`], whose [`Tree::release`] is the name of the release)
//! and each piece its own ([`Manifest`]).

mod cut;
mod env;
mod layout;
mod manifest;
mod own;
mod path;
mod spec;
pub mod tar;
mod tree;

pub use cut::{Cutter, MAX_PIECE, MIN_PIECE, TARGET_PIECE};
pub use env::{Env, EnvError};
pub use layout::{Pack, Part, Segment, layout};
pub use manifest::{BadManifest, Manifest, Piece};
pub use own::{OWN_FOLDER, OwnFiles};
pub use path::{Escaped, InvalidPath, TreePath};
pub use spec::{Spec, SpecError};
pub use tree::{Entry, Kind, Listing, Tree, TreeProblem};
