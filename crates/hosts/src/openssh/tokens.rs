//! What `~`, `%h` and `${NAME}` stand for in values.

use std::fmt::Write as _;

use camino::Utf8Path;
use sha1::{Digest as _, Sha1};

use super::Surroundings;
use super::error::Fault;

/// Tokens of `HostName`.
pub(super) const HOST_NAME: &str = "h";
/// Tokens of `ProxyCommand`.
pub(super) const PROXY_COMMAND: &str = "hknpr";
/// Tokens of files and sockets.
pub(super) const FILES: &str = "CLdhijklnpru";

/// What tokens stand for.
pub(super) struct Tokens<'a> {
    pub(super) around: &'a Surroundings,
    /// As the user named it: `%n`.
    pub(super) named: &'a str,
    /// As it is connected to: `%h`.
    pub(super) host: &'a str,
    /// `%p`.
    pub(super) port: u16,
    /// `%r`.
    pub(super) user: &'a str,
    /// `%k`.
    pub(super) key_alias: &'a str,
    /// `%j`.
    pub(super) jump: &'a str,
}

impl Tokens<'_> {
    /// Replaces the tokens out of `allowed`.
    pub(super) fn percent(&self, text: &str, keyword: &'static str, allowed: &str) -> Result<String, Fault> {
        self.expand(text, keyword, allowed, false)
    }

    /// The path of a file: `~`, all tokens, variables.
    pub(super) fn path(&self, text: &str, keyword: &'static str) -> Result<String, Fault> {
        self.expand(&home(text, &self.around.home)?, keyword, FILES, true)
    }

    fn expand(&self, text: &str, keyword: &'static str, allowed: &str, variables: bool) -> Result<String, Fault> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(next) = rest.find(|c| c == '%' || variables && c == '$') {
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            if let Some(named) = rest.strip_prefix("${") {
                let (value, after) = variable(named, keyword, self.around)?;
                out.push_str(value);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('%') {
                let token = after.chars().next();
                let meaning = token.and_then(|token| match token {
                    '%' => Some("%".to_owned()),
                    token if allowed.contains(token) => self.meaning(token),
                    _ => None,
                });
                let token = token.map(String::from).unwrap_or_default();
                rest = &after[token.len()..];
                out.push_str(&meaning.ok_or(Fault::Token { keyword, token })?);
            } else {
                out.push('$');
                rest = &rest[1..];
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    fn meaning(&self, token: char) -> Option<String> {
        let around = self.around;
        Some(match token {
            'C' => self.digest(),
            'L' => around.hostname.split('.').next().unwrap_or_default().to_owned(),
            'd' => around.home.to_string(),
            'h' => self.host.to_owned(),
            'i' => around.uid.to_string(),
            'j' => self.jump.to_owned(),
            'k' => self.key_alias.to_owned(),
            'l' => around.hostname.clone(),
            'n' => self.named.to_owned(),
            'p' => self.port.to_string(),
            'r' => self.user.to_owned(),
            'u' => around.user.clone(),
            _ => return None,
        })
    }

    /// The name of a connection that is short and its own.
    fn digest(&self) -> String {
        let text = format!("{}{}{}{}{}", self.around.hostname, self.host, self.port, self.user, self.jump);
        Sha1::digest(text).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// The value of the variable whose name and `}` come next, and what follows.
fn variable<'a>(text: &'a str, keyword: &'static str, around: &'a Surroundings) -> Result<(&'a str, &'a str), Fault> {
    let named = text.split_once('}').filter(|(name, _)| !name.is_empty());
    let (name, after) = named.ok_or(Fault::Variable(keyword))?;
    let value = around.variable(name).ok_or_else(|| Fault::NoVariable { keyword, name: name.to_owned() })?;
    Ok((value, after))
}

/// Of some options OpenSSH looks the variables up when it reads the line, whether or not the line counts.
pub(super) fn check_variables(text: &str, keyword: &'static str, around: &Surroundings) -> Result<(), Fault> {
    let mut rest = text;
    while let Some((_, named)) = rest.split_once("${") {
        rest = variable(named, keyword, around)?.1;
    }
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
    match text.strip_prefix('$') {
        Some(name) if !name.starts_with('{') && !is_name(name) => Err(Fault::Variable(keyword)),
        _ => Ok(()),
    }
}

/// `~/below`, and `~name/below` with the home that the system knows for that name.
pub(super) fn home(text: &str, own: &Utf8Path) -> Result<String, Fault> {
    let Some(after) = text.strip_prefix('~') else { return Ok(text.to_owned()) };
    let (name, below) = after.split_once('/').unwrap_or((after, ""));
    let home =
        if name.is_empty() { own.to_string() } else { home_of(name).ok_or_else(|| Fault::NoUser(name.to_owned()))? };
    Ok(format!("{}/{}", home.trim_end_matches('/'), below.trim_start_matches('/')))
}

fn home_of(name: &str) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(4).map(str::to_owned))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(around: &Surroundings) -> Tokens<'_> {
        Tokens { around, named: "Web", host: "web.example.org", port: 2222, user: "ops", key_alias: "webs", jump: "" }
    }

    fn around() -> Surroundings {
        Surroundings {
            home: "/home/me".into(),
            user: "me".to_owned(),
            uid: 1000,
            hostname: "desk.example.org".to_owned(),
            variables: [("PLACE".to_owned(), "cellar".to_owned())].into(),
        }
    }

    #[test]
    fn every_token_stands_for_what_the_manual_says() {
        let around = around();
        let path = |text| tokens(&around).path(text, "IdentityFile");
        assert_eq!(path("~/k").unwrap(), "/home/me/k");
        assert_eq!(path("%d/%u/%i/%L/%l").unwrap(), "/home/me/me/1000/desk/desk.example.org");
        assert_eq!(path("%n %h %p %r %k %%h%j").unwrap(), "Web web.example.org 2222 ops webs %h");
        assert_eq!(path("${PLACE}/$PLACE").unwrap(), "cellar/$PLACE");
        // As `ssh -G` shows it for these.
        assert_eq!(path("%C").unwrap().len(), 40);
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        let around = around();
        let tokens = tokens(&around);
        let path = |text| tokens.path(text, "IdentityFile").unwrap_err();
        assert_eq!(path("%z"), Fault::Token { keyword: "IdentityFile", token: "z".to_owned() });
        assert_eq!(path("100%"), Fault::Token { keyword: "IdentityFile", token: String::new() });
        assert_eq!(path("${"), Fault::Variable("IdentityFile"));
        assert_eq!(path("${}"), Fault::Variable("IdentityFile"));
        assert_eq!(path("${GONE}"), Fault::NoVariable { keyword: "IdentityFile", name: "GONE".to_owned() });
        assert_eq!(path("~nobody-of-that-name/x"), Fault::NoUser("nobody-of-that-name".to_owned()));
        assert!(tokens.percent("%p", "HostName", HOST_NAME).is_err());
        assert_eq!(tokens.percent("${GONE}%h", "HostName", HOST_NAME).unwrap(), "${GONE}web.example.org");
    }
}
