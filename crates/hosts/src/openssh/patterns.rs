//! Patterns of `Host`, `Match` and lists of algorithms.

use crate::ssh::glob;

/// The longest pattern that OpenSSH takes from a list; a longer one spoils the whole list.
const LONGEST: usize = 1022;

/// What a list of patterns says of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Yes,
    /// A negated pattern matches, which is stronger than all others.
    No,
    Nothing,
}

/// `*` and `?`, and every letter as it is.
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    glob(pattern.as_bytes(), text.as_bytes())
}

/// A list with commas; `!` negates a pattern.
pub(super) fn list(text: &str, patterns: &str) -> Says {
    let mut says = Says::Nothing;
    // An empty list has no pattern, and what ends with a comma none after it.
    for pattern in patterns.split_terminator(',') {
        let (negated, pattern) = pattern.strip_prefix('!').map_or((false, pattern), |pattern| (true, pattern));
        if pattern.len() > LONGEST {
            return Says::Nothing;
        }
        if matches(text, pattern) {
            if negated {
                return Says::No;
            }
            says = Says::Yes;
        }
    }
    says
}

/// The same for names of hosts, where case does not count.
pub(super) fn host(name: &str, patterns: &str) -> bool {
    list(&name.to_ascii_lowercase(), &patterns.to_ascii_lowercase()) == Says::Yes
}

/// The arguments of `Host`: each is one pattern, and a negated one that matches ends it.
pub(super) fn host_line(name: &str, patterns: &[String]) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(name, negated) => return false,
            Some(_) => {}
            None => found |= matches(name, pattern),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negated_pattern_is_stronger_than_every_other() {
        assert_eq!(list("web-1", "web-*,!web-1"), Says::No);
        assert_eq!(list("web-1", "!web-1,web-*"), Says::No);
        assert_eq!(list("web-2", "!web-1,web-*"), Says::Yes);
        assert_eq!(list("web-2", "!web-1"), Says::Nothing);
        assert!(!host_line("a", &["*".to_owned(), "!a".to_owned()]));
        assert!(host_line("b", &["*".to_owned(), "!a".to_owned()]));
    }

    #[test]
    fn case_counts_for_host_lines_and_not_for_match_host() {
        assert!(host("Web", "wEB"));
        assert!(!host_line("Web", &["web".to_owned()]));
    }
}
