//! `ProxyJump`: the hosts on the way.

use std::fmt;

use super::numbers;

/// A host on the way, as it is written; what is left out is for its own part of the config to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Jump {
    /// The user to log in as there.
    pub user: Option<String>,
    /// Its name in the config, or its address.
    pub host: String,
    /// Its port.
    pub port: Option<u16>,
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// Reads the value of `ProxyJump`; no host is `none`. Nothing where it cannot be read.
pub(super) fn parse(value: &str) -> Option<Vec<Jump>> {
    let value = value.split('#').next().unwrap_or_default().trim_end();
    if value.eq_ignore_ascii_case("none") {
        return Some(Vec::new());
    }
    value.split(',').map(jump).collect()
}

fn jump(text: &str) -> Option<Jump> {
    let Some(uri) = text.strip_prefix("ssh://") else {
        let (user, place) = text.rsplit_once('@').map_or((None, text), |(user, place)| (Some(user), place));
        return place_of(user.map(str::to_owned), place);
    };
    // Parameters of the connection and a slash at the end mean nothing.
    let (user, place) = uri.split_once('@').map_or((None, uri), |(user, place)| (Some(user), place));
    let user = match user {
        None => None,
        Some(user) => Some(unescape(user.split(';').next().unwrap_or_default())?),
    };
    place_of(user, place.strip_suffix('/').unwrap_or(place))
}

/// `host`, `host:port`, `[address]:port`.
fn place_of(user: Option<String>, place: &str) -> Option<Jump> {
    let (host, port) = if place.starts_with('[') {
        let (host, rest) = place.split_at(place.find(']')? + 1);
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else {
        place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)))
    };
    let port = match port.filter(|port| !port.is_empty()) {
        None => None,
        Some(port) => Some(numbers::port(port)?),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let valid = !host.is_empty() && !host.contains('/') && user.as_ref().is_none_or(|user| !user.is_empty());
    valid.then(|| Jump { user, host: bare.to_owned(), port })
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<Vec<String>> {
        parse(text).map(|jumps| jumps.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn chains_are_read_in_the_order_of_the_way() {
        assert_eq!(shown("a,b@c:22,[::1]:23").unwrap(), ["a", "b@c:22", "[::1]:23"]);
        assert_eq!(shown("ssh://me%40home@bastion:2222/").unwrap(), ["me@home@bastion:2222"]);
        assert_eq!(shown("none # all direct").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["a,,b", "@a", "a:0", "a:x", "[a", "ssh://a/b", ""] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
