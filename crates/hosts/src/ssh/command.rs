//! A remote command as a typed value, and the one function that quotes words for a shell.
//!
//! SSH carries a command as one string that the login shell of the remote user parses. What always holds: every word
//! of a [`Command`] reaches the program byte for byte, whatever it contains; no other place in the crate builds such
//! a string.

use std::fmt;

use airlift_core::shell;

/// Why a command cannot be rendered. Both are mistakes of the caller, not of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No argument, variable or file of a shell can hold a NUL byte.
    #[error("{what} holds a NUL byte, which no command line can carry; send it through standard input instead")]
    Nul {
        /// Which word it is; never its content, which may be a secret.
        what: String,
    },
    /// Not a name that a shell accepts for a variable.
    #[error("{name:?} is not the name of an environment variable; use letters, digits and _, and no digit first")]
    VariableName {
        /// The refused name.
        name: String,
    },
    /// A program named like this would be taken for something else.
    #[error(
        "{name:?} cannot be the name of a program: it is empty, or `env` would take it for a variable or an option"
    )]
    Program {
        /// The refused name.
        name: String,
    },
}

/// How a command gains privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Privilege {
    #[default]
    AsLogin,
    Sudo,
}

/// A program, its arguments, and what surrounds it.
///
/// ```
/// use airlift_hosts::ssh::Command;
/// let look = Command::new("sh").arg("/opt/airlift/bin/host.sh").arg("look").env("AIRLIFT_ROOT", "/srv/it's here");
/// assert_eq!(look.to_string(), r"AIRLIFT_ROOT='/srv/it'\''s here' 'sh' '/opt/airlift/bin/host.sh' 'look'");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    program: Vec<u8>,
    args: Vec<Vec<u8>>,
    variables: Vec<(String, Vec<u8>)>,
    privilege: Privilege,
}

impl Command {
    /// A command that runs `program`, looked up in the remote PATH unless it holds a slash.
    pub fn new(program: impl Into<Vec<u8>>) -> Self {
        Self { program: program.into(), args: Vec::new(), variables: Vec::new(), privilege: Privilege::default() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, word: impl Into<Vec<u8>>) -> Self {
        self.args.push(word.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<W: Into<Vec<u8>>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.args.extend(words.into_iter().map(Into::into));
        self
    }

    /// Sets a variable for the program alone. It is part of the command line, which other users of the host can see:
    /// not the place for a secret.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Runs it as root through `sudo -n`, which fails instead of asking for a password.
    #[must_use]
    pub fn sudo(mut self) -> Self {
        self.privilege = Privilege::Sudo;
        self
    }

    /// The string for the remote shell.
    pub fn render(&self) -> Result<Vec<u8>, CommandError> {
        // `env` reads a first word with `=` as a variable and one with `-` as an option.
        if self.program.is_empty() || self.program[0] == b'-' || self.program.contains(&b'=') {
            return Err(CommandError::Program { name: String::from_utf8_lossy(&self.program).into_owned() });
        }
        let mut line = Vec::new();
        match self.privilege {
            Privilege::AsLogin => {}
            // sudo drops the environment it is called with, so the variables are set inside it.
            Privilege::Sudo if self.variables.is_empty() => line.extend_from_slice(b"sudo -n -- "),
            Privilege::Sudo => line.extend_from_slice(b"sudo -n -- env "),
        }
        for (name, value) in &self.variables {
            if !shell::is_variable_name(name) {
                return Err(CommandError::VariableName { name: name.clone() });
            }
            line.extend_from_slice(name.as_bytes());
            line.push(b'=');
            append_quoted(&mut line, value, || format!("the value of {name}"))?;
            line.push(b' ');
        }
        append_quoted(&mut line, &self.program, || "the name of the program".to_owned())?;
        for (position, word) in self.args.iter().enumerate() {
            line.push(b' ');
            append_quoted(&mut line, word, || format!("argument {}", position + 1))?;
        }
        Ok(line)
    }
}

/// The command as it is sent, for messages. What cannot be sent shows why.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.render() {
            Ok(line) => f.write_str(&String::from_utf8_lossy(&line)),
            Err(error) => write!(f, "({error})"),
        }
    }
}

/// Quotes one word so that a POSIX shell reads back exactly these bytes: for files that a shell sources.
pub fn quote(word: impl AsRef<[u8]>) -> Result<Vec<u8>, CommandError> {
    shell::quote(word.as_ref()).map_err(|shell::Nul| CommandError::Nul { what: "the word".to_owned() })
}

/// Words are quoted even where they would not need it: a bare `if` or `time` in front would be a keyword.
fn append_quoted(line: &mut Vec<u8>, word: &[u8], what: impl FnOnce() -> String) -> Result<(), CommandError> {
    line.extend(shell::quote(word).map_err(|shell::Nul| CommandError::Nul { what: what() })?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use proptest::prelude::*;

    use super::*;

    /// What the shell hands to the program, each word followed by a NUL.
    fn through_shell(shell: &str, line: &[u8]) -> Vec<u8> {
        let output = std::process::Command::new(shell)
            .arg("-c")
            .arg(std::ffi::OsString::from_vec(line.to_vec()))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn word() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(1_u8..=255, 0..24),
            proptest::string::string_regex(r#"[ '"$`\\!*?~#&|;<>(){}\[\]=\n\t%-]{0,12}"#)
                .unwrap()
                .prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_word_reaches_the_program_byte_for_byte(words in prop::collection::vec(word(), 1..6), value in word()) {
            let mut expected: Vec<u8> = words.iter().flat_map(|w| w.iter().copied().chain([0])).collect();
            expected.extend_from_slice(&value);
            let script = r#"for w in "$@"; do printf '%s\0' "$w"; done; printf %s "$V""#;
            let command = Command::new("sh").args(["-c", script, "sh"]).args(words).env("V", value);
            prop_assert_eq!(through_shell("sh", &command.render().unwrap()), expected);
        }

        #[test]
        fn a_sourced_assignment_gives_the_value_back(value in word()) {
            let mut file = b"V=".to_vec();
            file.extend(quote(&value).unwrap());
            file.extend_from_slice(b"\nprintf %s \"$V\"");
            prop_assert_eq!(through_shell("sh", &file), value);
        }
    }

    #[test]
    fn sudo_never_asks_and_sets_the_variables_inside() {
        let plain = Command::new("id").sudo();
        assert_eq!(plain.to_string(), "sudo -n -- 'id'");
        let with_variable = Command::new("sh").arg("-s").env("AIRLIFT_ROOT", "/r").sudo();
        assert_eq!(with_variable.to_string(), "sudo -n -- env AIRLIFT_ROOT='/r' 'sh' '-s'");
    }

    #[test]
    fn what_no_command_line_can_carry_is_refused_without_showing_it() {
        let error = Command::new("cat").arg("a\0hush").render().unwrap_err();
        assert_eq!(error, CommandError::Nul { what: "argument 1".to_owned() });
        assert!(!error.to_string().contains("hush"));
        assert!(matches!(quote("\0"), Err(CommandError::Nul { .. })));
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for name in ["", "1A", "A-B", "A=B", "A B", "É"] {
            assert!(
                matches!(Command::new("true").env(name, "x").render(), Err(CommandError::VariableName { .. })),
                "{name}"
            );
        }
        for program in ["", "-n", "A=b"] {
            assert!(matches!(Command::new(program).render(), Err(CommandError::Program { .. })), "{program}");
        }
    }
}
