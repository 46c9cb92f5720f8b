//! The environment that a release brings: the file `.airlift/env`, which a shell sources.
//!
//! What always holds: every name is one that a shell can assign, and every value comes out of the shell as it went in.

use std::collections::BTreeMap;

use crate::shell;

/// Why a variable cannot be part of a release. Values are not shown: one may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// Not a name that a shell accepts.
    #[error("{name:?} is not the name of an environment variable; use letters, digits and _, and no digit first")]
    Name {
        /// The refused name.
        name: String,
    },
    /// A value that no environment can hold.
    #[error("the value of {name} holds a NUL byte, which no environment can carry; put it into a file of the project")]
    Value {
        /// The variable.
        name: String,
    },
}

/// Checked variables, rendered as `export NAME='value'` lines in the order of their names.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Env(Vec<u8>);

impl Env {
    /// Checks and renders the variables.
    pub fn new(variables: &BTreeMap<String, String>) -> Result<Self, EnvError> {
        let mut text = Vec::new();
        for (name, value) in variables {
            if !shell::is_variable_name(name) {
                return Err(EnvError::Name { name: name.clone() });
            }
            let quoted = shell::quote(value.as_bytes()).map_err(|shell::Nul| EnvError::Value { name: name.clone() })?;
            text.extend_from_slice(b"export ");
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            text.extend_from_slice(&quoted);
            text.push(b'\n');
        }
        Ok(Self(text))
    }

    /// The file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str, value: &str) -> Result<Env, EnvError> {
        Env::new(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn variables_are_exported_in_the_order_of_their_names() {
        let variables = [("B", "it's $HOME\n"), ("A", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let env = Env::new(&BTreeMap::from(variables)).unwrap();
        assert_eq!(env.as_bytes(), b"export A=''\nexport B='it'\\''s $HOME\n'\n");
    }

    #[test]
    fn what_a_shell_cannot_assign_is_refused_without_showing_the_value() {
        assert!(matches!(env("A-B", "hush"), Err(EnvError::Name { .. })));
        let said = env("A", "hush\0").err().unwrap().to_string();
        assert!(said.contains("of A ") && !said.contains("hush"), "{said}");
    }
}
