//! The texts of a config, each parsed once.
//!
//! What always holds: a value of one of these types follows the rule of its kind, and what becomes part of a release's spec is what
//! [`Spec`] accepts: there is one rule, and it is there.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use camino::Utf8Path;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::bundle::{Spec, SpecError, TreePath};
use crate::id::InvalidName;
use crate::shell;

/// Defines a newtype over a checked text. The check says which rule a text breaks.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $pattern:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(text) {
                    Ok(()) => Ok(Self(text.to_owned())),
                    Err(rule) => Err(InvalidName { kind: $kind, text: text.to_owned(), rule }),
                }
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

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                text_schema($pattern)
            }
        }
    };
}

fn text_schema(pattern: Option<&str>) -> Schema {
    let mut schema = json_schema!({ "type": "string", "minLength": 1 });
    if let Some(pattern) = pattern {
        schema.insert("pattern".to_owned(), pattern.into());
    }
    schema
}

fn rule(fits: bool, rule: &'static str) -> Result<(), &'static str> {
    if fits { Ok(()) } else { Err(rule) }
}

/// What a release's spec says of a value.
fn in_spec(spec: &Spec) -> Result<(), &'static str> {
    match spec.render() {
        Err(SpecError::Value { rule, .. }) => Err(rule),
        _ => Ok(()),
    }
}

text!(
    /// The name of an environment variable.
    EnvName,
    "name of a variable",
    Some("^[A-Za-z_][A-Za-z0-9_]*$"),
    |text| rule(shell::is_variable_name(text), "letters, digits and _, and no digit first")
);
text!(
    /// The name of a secret, which is also the name of its file on a host.
    SecretName,
    "name of a secret",
    Some("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"),
    |text| {
        let fits = text.len() <= 64
            && !text.starts_with(['.', '-'])
            && !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        rule(fits, "letters, digits, _, - and inner dots, at most 64")
    }
);
text!(
    /// A user to log in as.
    UserName,
    "name of a user",
    Some("^[A-Za-z0-9_.][A-Za-z0-9_.-]*$"),
    |text| {
        let fits = !text.is_empty()
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        rule(fits, "letters, digits, dots, hyphens and underscores, not beginning with a hyphen")
    }
);
text!(
    /// The owner of files: `user` or `user:group`.
    Owner,
    "file owner",
    None,
    |text| in_spec(&Spec { owner: Some(text.to_owned()), ..Spec::default() })
);
text!(
    /// A package of the host's own package manager.
    PackageName,
    "name of a package",
    None,
    |text| in_spec(&Spec { packages: vec![text.to_owned()], ..Spec::default() })
);
text!(
    /// The path of a systemd unit in the project, such as `units/app.service`.
    UnitName,
    "systemd unit",
    None,
    |text| in_spec(&Spec { services: vec![text.to_owned()], ..Spec::default() })
);
text!(
    /// A path on a host: absolute, or beginning with `~/`.
    RemotePath,
    "path on a host",
    Some("^(/|~/)."),
    |text| in_spec(&Spec { destination: Some(text.to_owned()), ..Spec::default() })
);
text!(
    /// A pattern in gitignore's syntax, relative to the project's folder.
    Pattern,
    "pattern",
    None,
    |text| {
        let inside = text.trim_start_matches('!');
        let fits = !inside.trim().is_empty() && !text.contains('\n') && !inside.split('/').any(|part| part == "..");
        rule(fits, "a pattern in gitignore's syntax for paths inside the project, on one line and without ..")
    }
);
text!(
    /// A path on the operator's machine: relative to the project's folder, absolute, or beginning with `~/`.
    LocalPath,
    "path",
    None,
    |text| {
        let named_home = text.starts_with('~') && !text.starts_with("~/");
        let fits = !text.trim().is_empty() && !text.contains(char::is_control) && !named_home;
        rule(fits, "a path relative to the project's folder, an absolute one, or one that begins with ~/")
    }
);
text!(
    /// A host's name in DNS, or its numeric address.
    HostAddress,
    "name or address of a host",
    None,
    |text| {
        let is_name = text.len() <= 253
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        let without_zone = text.split_once('%').map_or(text, |(address, _)| address);
        let is_address = without_zone.parse::<IpAddr>().is_ok() && !text.contains(char::is_whitespace);
        rule(is_name || is_address, "a name such as db.example.com, or an address such as 10.0.0.4")
    }
);

impl LocalPath {
    /// The path.
    pub fn as_path(&self) -> &Utf8Path {
        Utf8Path::new(&self.0)
    }
}

/// The path of a file in the project, relative to its folder. `./` in front is dropped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ProjectPath(String);

impl ProjectPath {
    /// The path, relative to the project's folder.
    pub fn as_path(&self) -> &Utf8Path {
        Utf8Path::new(&self.0)
    }

    /// The path as the bundle's tree has it.
    ///
    /// # Panics
    /// Never: it was checked when it was parsed.
    pub fn to_tree(&self) -> TreePath {
        TreePath::new(self.0.as_str()).expect("checked when it was parsed")
    }
}

impl FromStr for ProjectPath {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let path = text.trim_start_matches("./");
        let invalid = |rule| InvalidName { kind: "path inside the project", text: text.to_owned(), rule };
        let tree = TreePath::new(path).map_err(|_| invalid("a relative path without .., such as bootstrap.sh"))?;
        in_spec(&Spec { bootstrap: Some(tree), ..Spec::default() }).map_err(invalid)?;
        Ok(Self(path.to_owned()))
    }
}

impl fmt::Display for ProjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl JsonSchema for ProjectPath {
    fn schema_name() -> Cow<'static, str> {
        "ProjectPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text_schema(Some("^[^/]"))
    }
}

/// Where an SSH server is, in the short form `user@host:port`; user and port may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The user to log in as.
    pub user: Option<UserName>,
    /// Where.
    pub address: HostAddress,
    /// The port.
    pub port: Option<u16>,
}

impl FromStr for Endpoint {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName {
            kind: "place to log in to",
            text: text.to_owned(),
            rule: "host, user@host or user@host:port",
        };
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user.parse()?), place),
            None => (None, text),
        };
        let (address, port) = if let Some(bracketed) = place.strip_prefix('[') {
            let (address, rest) = bracketed.split_once(']').ok_or_else(invalid)?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(invalid)?) };
            (address, port)
        } else if place.matches(':').count() == 1 {
            let (address, port) = place.split_once(':').ok_or_else(invalid)?;
            (address, Some(port))
        } else {
            (place, None)
        };
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port @ 1..)) => Some(port),
            Some(_) => return Err(invalid()),
        };
        Ok(Self { user, address: address.parse().map_err(|_| invalid())?, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.address.as_str().contains(':') => write!(f, "[{}]:{port}", self.address),
            Some(port) => write!(f, "{}:{port}", self.address),
            None => self.address.fmt(f),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Endpoint {
    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = text_schema(None);
        schema.insert("description".to_owned(), "host, user@host or user@host:port".into());
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_in_every_form_and_written_back() {
        for (text, user, address, port) in [
            ("bastion", None, "bastion", None),
            ("root@10.0.0.4:2222", Some("root"), "10.0.0.4", Some(2222)),
            ("::1", None, "::1", None),
            ("me@[fe80::1%eth0]:22", Some("me"), "fe80::1%eth0", Some(22)),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.user.as_ref().map(UserName::as_str), user, "{text}");
            assert_eq!(endpoint.address.as_str(), address, "{text}");
            assert_eq!(endpoint.port, port, "{text}");
            assert_eq!(endpoint.to_string(), text);
        }
        for bad in ["", "@", "a@", "-oProxyCommand=x", "h:0", "h:70000", "h:", "[::1", "[::1]x", "a b", "a,b", "$(x)"] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_reach_a_shell_or_a_file_system_have_no_room_for_tricks() {
        for bad in ["", "1A", "A-B", "A=B"] {
            assert!(bad.parse::<EnvName>().is_err(), "{bad}");
        }
        for bad in ["", "..", ".x", "a/b", "-x", "a b"] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad}");
        }
        for bad in ["", "-x", "a b", "a:b", "$x"] {
            assert!(bad.parse::<UserName>().is_err(), "{bad}");
        }
        for bad in ["", "app", "/", "~", "~/../x"] {
            assert!(bad.parse::<RemotePath>().is_err(), "{bad}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "./", "a\nb"] {
            assert!(bad.parse::<ProjectPath>().is_err(), "{bad:?}");
        }
        assert_eq!("./setup/boot.sh".parse::<ProjectPath>().unwrap().to_string(), "setup/boot.sh");
        for bad in ["", "!", "../x", "a\nb"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad:?}");
        }
        for bad in ["", " ", "~root/x", "a\0b"] {
            assert!(bad.parse::<LocalPath>().is_err(), "{bad:?}");
        }
    }
}
