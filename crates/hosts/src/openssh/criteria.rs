//! `Match`: whether its block speaks of the host.

use super::blocks::Pass;
use super::error::Fault;
use super::patterns::{self, Says};
use super::tokens::{HOST_NAME, Tokens};
use super::words;

/// What a line with `Match` says.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// The block counts.
    pub(super) counts: bool,
    /// There is to be a second pass.
    pub(super) wants_final: bool,
}

/// Evaluates the criteria. In a `void` file nothing counts, so that no command would be run.
pub(super) fn evaluate(pass: &Pass<'_>, text: &str, void: bool) -> Result<Verdict, Fault> {
    let host = pass.present_host()?;
    let user = pass.values.user.as_deref().unwrap_or(&pass.config.around.user);
    let mut verdict = Verdict { counts: true, wants_final: false };
    let mut rest = Some(text);
    let mut criteria = 0;
    while let Some((word, after)) = rest.and_then(words::next_word).filter(|(word, _)| !word.is_empty()) {
        rest = after;
        if word.starts_with('#') {
            break;
        }
        let (negated, criterion) = match word.strip_prefix('!') {
            Some(criterion) => (true, criterion.to_ascii_lowercase()),
            None => (false, word.to_ascii_lowercase()),
        };
        let mut value = || {
            let found = rest.and_then(words::next_word);
            rest = found.as_ref().and_then(|(_, after)| *after);
            found.map(|(value, _)| value).filter(|value| !value.is_empty() && !value.starts_with('#'))
        };
        if criterion == "all" {
            if criteria > 1 || value().is_some() {
                return Err(Fault::MatchAll);
            }
            verdict.counts &= !negated;
            return Ok(verdict);
        }
        criteria += 1;
        let holds = match criterion.as_str() {
            "canonical" => pass.is_final,
            "final" => {
                verdict.wants_final = true;
                pass.is_final
            }
            _ => {
                let value = value().ok_or_else(|| Fault::MatchValue(criterion.clone()))?;
                match criterion.as_str() {
                    "host" => patterns::host(&host, &value),
                    "originalhost" => patterns::host(pass.named, &value),
                    "user" => patterns::list(user, &value) == Says::Yes,
                    "localuser" => patterns::list(&pass.config.around.user, &value) == Says::Yes,
                    "tagged" => {
                        let tag = pass.values.tag.as_deref().unwrap_or_default();
                        patterns::list(tag, &value) == Says::Yes
                    }
                    // Where something else says no already, `ssh` runs nothing either.
                    "exec" if void || !verdict.counts => false,
                    "exec" => return Err(Fault::MatchExec),
                    _ => return Err(Fault::MatchCriterion(criterion)),
                }
            }
        };
        verdict.counts &= holds != negated;
    }
    if criteria == 0 { Err(Fault::MatchNothing) } else { Ok(verdict) }
}

impl Pass<'_> {
    /// What the host is called as far as the config was read.
    fn present_host(&self) -> Result<String, Fault> {
        match &self.values.host_name {
            Some(said) if !self.is_final => self.tokens(self.host).percent(&said.value, "HostName", HOST_NAME),
            _ => Ok(self.host.to_owned()),
        }
    }

    /// Tokens where nothing but the host is known.
    pub(super) fn tokens<'t>(&'t self, host: &'t str) -> Tokens<'t> {
        Tokens { around: &self.config.around, named: self.named, host, port: 0, user: "", key_alias: "", jump: "" }
    }
}
