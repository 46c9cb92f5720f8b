//! How a word is written so that a POSIX shell reads back exactly its bytes.
//!
//! What always holds: a quoted word is one word to any POSIX shell, whatever it contains, and expands nothing.

/// A NUL byte, which no argument, variable or file name of a shell can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a NUL byte, which no shell can carry")]
pub struct Nul;

/// Quotes `word`. Single quotes suspend every special meaning; the single quote itself is set outside them with a
/// backslash.
///
/// ```
/// assert_eq!(airlift_core::shell::quote(b"it's").unwrap(), br"'it'\''s'");
/// ```
pub fn quote(word: &[u8]) -> Result<Vec<u8>, Nul> {
    if word.contains(&0) {
        return Err(Nul);
    }
    let mut quoted = Vec::with_capacity(word.len() + 2);
    quoted.push(b'\'');
    for &byte in word {
        if byte == b'\'' {
            quoted.extend_from_slice(br"'\''");
        } else {
            quoted.push(byte);
        }
    }
    quoted.push(b'\'');
    Ok(quoted)
}

/// The text is a name that a shell accepts for a variable.
pub fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_inside_the_quotes_is_special_and_nul_is_refused() {
        assert_eq!(quote(b"").unwrap(), b"''");
        assert_eq!(quote(b"$(x) `y` \\ \n\xff").unwrap(), b"'$(x) `y` \\ \n\xff'");
        assert_eq!(quote(b"a\0b"), Err(Nul));
    }

    #[test]
    fn only_names_that_a_shell_can_assign_are_variable_names() {
        assert!(is_variable_name("PATH") && is_variable_name("_a1"));
        for name in ["", "1A", "A-B", "A=B", "A B", "É"] {
            assert!(!is_variable_name(name), "{name}");
        }
    }
}
