//! What airlift itself adds to a release: the folder `.airlift/` with `spec` and `env`.
//!
//! What always holds: the user's tree never has that name at its top, so that nothing of the user's is read as
//! airlift's.

use super::env::Env;
use super::path::TreePath;
use super::spec::{Spec, SpecError};
use super::tree::{Entry, Kind, Listing, Tree, TreeProblem};

/// The name that is reserved at the top of a project.
pub const OWN_FOLDER: &str = ".airlift";

const SPEC: &str = ".airlift/spec";
const ENV: &str = ".airlift/env";

/// The contents of airlift's own files in a release.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnFiles {
    spec: Vec<u8>,
    env: Vec<u8>,
}

impl OwnFiles {
    /// Renders them.
    pub fn new(spec: &Spec, env: &Env) -> Result<Self, SpecError> {
        Ok(Self { spec: spec.render()?.into_bytes(), env: env.as_bytes().to_vec() })
    }

    /// The content of one of them; none for a file of the user's.
    pub fn content(&self, path: &TreePath) -> Option<&[u8]> {
        match path.as_utf8() {
            Some(SPEC) => Some(&self.spec),
            Some(ENV) => Some(&self.env),
            _ => None,
        }
    }

    /// The whole tree: the user's entries and these.
    pub fn join(&self, mut user: Vec<Entry<()>>) -> Result<Listing, Vec<TreeProblem>> {
        let mut taken: Vec<TreeProblem> = Vec::new();
        user.retain(|entry| {
            let reserved = entry.path.top() == OWN_FOLDER.as_bytes();
            // What is inside is the same problem, so the folder alone is named.
            if reserved && entry.path.parent().is_none() {
                taken.push(TreeProblem::Reserved { path: entry.path.clone() });
            }
            !reserved
        });
        let file = |content: &[u8]| Kind::File { len: content.len() as u64, digest: () };
        user.extend([
            own_entry(OWN_FOLDER, 0o755, Kind::Dir),
            own_entry(SPEC, 0o644, file(&self.spec)),
            own_entry(ENV, 0o644, file(&self.env)),
        ]);
        match (Tree::new(user), taken.is_empty()) {
            (Ok(tree), true) => Ok(tree),
            (Ok(_), false) => Err(taken),
            (Err(problems), _) => Err(taken.into_iter().chain(problems).collect()),
        }
    }
}

fn own_entry(path: &str, mode: u32, kind: Kind<()>) -> Entry<()> {
    Entry { path: TreePath::new(path).expect("these names are paths inside a tree"), mode, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(path: &str) -> Entry<()> {
        Entry { path: TreePath::new(path).unwrap(), mode: 0o755, kind: Kind::Dir }
    }

    #[test]
    fn airlifts_files_join_the_users() {
        let own = OwnFiles::new(&Spec::default(), &Env::default()).unwrap();
        let tree = own.join(vec![dir("bin"), dir("bin/.airlift")]).unwrap();
        let paths: Vec<String> = tree.entries().iter().map(|e| e.path.to_string()).collect();
        assert_eq!(paths, [".airlift", ".airlift/env", ".airlift/spec", "bin", "bin/.airlift"]);
        assert_eq!(own.content(&tree.entries()[2].path).unwrap(), b"airlift-spec 1\n");
        assert_eq!(own.content(&tree.entries()[3].path), None);
    }

    #[test]
    fn the_reserved_name_is_refused_once_beside_other_problems() {
        let own = OwnFiles::new(&Spec::default(), &Env::default()).unwrap();
        let entries = vec![dir(".airlift"), dir(".airlift/x"), dir("gone/x")];
        let problems = own.join(entries).unwrap_err();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].to_string().starts_with(".airlift: the name .airlift is reserved"));
        assert!(matches!(problems[1], TreeProblem::NoFolder { .. }));
    }
}
