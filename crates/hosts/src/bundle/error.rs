//! What can be wrong with a project's folder, at the scan and while its pieces are sent.
//!
//! What always holds: each problem names its path, and all problems of a scan are reported at once.

use std::io;
use std::path::PathBuf;

use airlift_core::bundle::{SpecError, TreePath, TreeProblem};
use airlift_core::id::Digest;

/// A file that is no longer what the scan saw.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: changed while it was being read; run the command again, or exclude the file if it always changes")]
pub struct Changed {
    /// The file.
    pub path: TreePath,
}

/// One reason why a folder does not become a bundle.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The entries do not make a tree.
    #[error(transparent)]
    Tree(#[from] TreeProblem),
    /// The spec names what is not there.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Neither a file nor a folder nor a link.
    #[error("{path}: is a {what}, which cannot be delivered; exclude it")]
    Special {
        /// Where it is.
        path: TreePath,
        /// What it is.
        what: &'static str,
    },
    /// The system refuses to show it.
    #[error("{path}: cannot be read ({source}); make it readable, or exclude it")]
    Unreadable {
        /// The file or folder.
        path: TreePath,
        /// The system's answer.
        source: io::Error,
    },
    /// It changed between the scan and the end of reading it.
    #[error(transparent)]
    Changed(#[from] Changed),
}

/// Why there is no plan of a bundle.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The project's folder itself cannot be read.
    #[error("cannot read the project's folder {}: {source}", path.display())]
    Project {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A pattern that is not in gitignore's syntax.
    #[error("{list} holds {pattern:?}, which is not a pattern as in .gitignore: {why}")]
    Pattern {
        /// The list that holds it: `include` or `exclude`.
        list: &'static str,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// The include list leaves nothing: most likely a slip, and never a release that somebody wants.
    #[error("nothing in {} is matched by include; correct its patterns, or leave the list out to take everything", path.display())]
    NothingIncluded {
        /// The project's folder.
        path: PathBuf,
    },
    /// A value of the spec cannot be written.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// What was found cannot be delivered.
    #[error("{} cannot be made into a bundle:{}", path.display(), listed(problems))]
    Refused {
        /// The project's folder.
        path: PathBuf,
        /// All that is wrong, by path.
        problems: Vec<Problem>,
    },
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("\n  {}", lines.join("\n  "))
}

/// Why a piece cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    /// Its bytes are no longer those that were announced.
    #[error(transparent)]
    Changed(#[from] Changed),
    /// The system refuses to show a file.
    #[error("{path}: cannot be read: {source}")]
    Unreadable {
        /// The file, escaped or as the system names it.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
    /// No piece of that name belongs to the release, or the bundle does not hold it.
    #[error("piece {digest} is not in {place}")]
    Unknown {
        /// The piece.
        digest: Digest,
        /// Where it was looked for.
        place: String,
    },
    /// A bundle file holds other bytes than it says.
    #[error("{}: piece {digest} is damaged; make or copy the bundle again", path.display())]
    Damaged {
        /// The bundle.
        path: PathBuf,
        /// The piece.
        digest: Digest,
    },
    /// What was stored of a release is not as it was.
    #[error("{} is damaged or gone; run the command anew, which reads it from the project again", path.display())]
    Lost {
        /// The piece in the store.
        path: PathBuf,
    },
}
