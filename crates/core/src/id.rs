//! The names and digests that the whole program shares, each parsed once at the edge.
//!
//! A value of one of these types is well-formed: every constructor checks. All of them are plain text outside
//! (`Display`, `FromStr`, serde), so that logs and JSON read as a person would write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A name that does not follow the rules of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {rule}")]
pub struct InvalidName {
    /// What it should have been: "fleet name", "host id" …
    pub kind: &'static str,
    /// The text as it was given.
    pub text: String,
    /// The rule it breaks, in words.
    pub rule: &'static str,
}

/// Defines a newtype over a checked string with text forms everywhere.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The rule in words, as error messages and the schema state it.
            pub const RULE: &'static str = $rule;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName { kind: $kind, text: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

/// Lower-case letters, digits and inner hyphens, beginning with a letter.
fn is_label(text: &str, longest: usize) -> bool {
    text.len() <= longest
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_host_part(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_')
}

fn is_host_id(text: &str) -> bool {
    match text.split_once('/') {
        None => is_host_part(text),
        Some((group, number)) => {
            is_label(group, 40)
                && !number.starts_with('0')
                && number.len() <= 6
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        }
    }
}

fn is_tagged(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        (4..=40).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

name!(
    /// The identity of a fleet: its folder of state and its ownership tag.
    FleetName,
    "fleet name",
    "lower-case letters, digits and hyphens, beginning with a letter, at most 32",
    |text| is_label(text, 32)
);
name!(
    /// The first half of an instance's logical subject: `web` in `web/3`.
    GroupName,
    "group name",
    "lower-case letters, digits and hyphens, beginning with a letter, at most 40",
    |text| is_label(text, 40)
);
name!(
    /// The logical subject that an instance or a host fills: `web/3` for one that airlift launches, `db-1` for one
    /// that is listed in the config. Never a cloud's own id.
    HostId,
    "host id",
    "a group and a number such as web/3, or a name of letters, digits, dots, hyphens and underscores",
    is_host_id
);
name!(
    /// One execution of an operation: `c-…`. `airlift undo` takes it.
    ChangeId,
    "change id",
    "c- and at least four lower-case letters, digits or hyphens",
    |text| is_tagged(text, "c-")
);
name!(
    /// One execution of a script over hosts: `r-…`; on a host also `boot-…`, the bootstrap of a release.
    RunId,
    "run id",
    "r- or boot- and at least four lower-case letters, digits or hyphens",
    |text| is_tagged(text, "r-") || is_tagged(text, "boot-")
);
name!(
    /// What makes an action happen once: derived from change, subject, kind and attempt. At most 64 ASCII characters,
    /// the limit of EC2's `ClientToken` (EC2 API reference, "Ensuring idempotency").
    Token,
    "token",
    "1 to 64 lower-case letters, digits or hyphens",
    |text| (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);

impl HostId {
    /// The subject `group/number`; numbers begin with 1.
    ///
    /// # Panics
    /// Never for numbers from 1 to 999,999, which is what callers count.
    pub fn numbered(group: &GroupName, number: u32) -> Self {
        debug_assert!((1..=999_999).contains(&number));
        Self(format!("{group}/{number}"))
    }

    /// The group of a numbered subject.
    pub fn group(&self) -> Option<&str> {
        self.0.split_once('/').map(|(group, _)| group)
    }

    /// A key that sorts `web/2` before `web/10`.
    pub fn sort_key(&self) -> (&str, u32) {
        match self.0.split_once('/') {
            Some((group, number)) => (group, number.parse().unwrap_or(u32::MAX)),
            None => (&self.0, 0),
        }
    }
}

impl RunId {
    /// The run under which a host bootstraps `release`.
    pub fn bootstrap_of(release: &Digest) -> Self {
        Self(format!("boot-{}", &release.to_string()[..16]))
    }
}

impl Token {
    /// The token of one attempt at one action of one change. A retry of the same attempt has the same token, so that
    /// whoever receives it twice acts once.
    pub fn derive(change: &ChangeId, subject: &str, kind: &str, attempt: u32) -> Self {
        let digest = Digest::of_parts([change.as_str(), subject, kind, &attempt.to_string()]);
        Self(digest.to_string()[..40].to_owned())
    }
}

/// A SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest whose 32 bytes these are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The SHA-256 of several texts, each preceded by its length, so that no two lists share a digest by joining.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first twelve digits: enough for a person to tell releases apart.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Digest {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid =
            || InvalidName { kind: "SHA-256 digest", text: text.to_owned(), rule: "64 lower-case hexadecimal digits" };
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rules() {
        for good in ["web/3", "db-1", "10.0.0.4", "Host_a"] {
            assert!(good.parse::<HostId>().is_ok(), "{good}");
        }
        for bad in ["", "web/", "web/03", "Web/3", "a b", "-x", "../x", "web/3/4"] {
            assert!(bad.parse::<HostId>().is_err(), "{bad}");
        }
        assert!("hello-3f9a".parse::<FleetName>().is_ok());
        assert!("Hello".parse::<FleetName>().is_err());
    }

    #[test]
    fn a_digest_is_its_text() {
        let digest = Digest::of(b"airlift");
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        assert!("abc".parse::<Digest>().is_err());
    }

    #[test]
    fn tokens_differ_by_every_part_and_repeat_for_the_same() {
        let change: ChangeId = "c-test1".parse().unwrap();
        let token = Token::derive(&change, "web/1", "launch", 1);
        assert_eq!(token, Token::derive(&change, "web/1", "launch", 1));
        assert_ne!(token, Token::derive(&change, "web/1", "launch", 2));
        assert_ne!(token, Token::derive(&change, "web/11", "launch", 1));
        assert!(token.as_str().parse::<Token>().is_ok());
    }

    #[test]
    fn numbers_sort_as_numbers() {
        let mut ids: Vec<HostId> = ["web/10", "web/2", "db"].iter().map(|id| id.parse().unwrap()).collect();
        ids.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        assert_eq!(ids.iter().map(HostId::as_str).collect::<Vec<_>>(), ["db", "web/2", "web/10"]);
    }
}
