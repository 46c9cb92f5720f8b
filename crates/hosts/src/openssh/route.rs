//! The way to a host: the jump hosts before it, each by its own part of the config.

use super::error::{ConfigError, Fault};
use super::values::Proxy;
use super::{Config, Jump, Resolved, Values};

/// More hosts on a way than this are a way that leads through itself.
const LONGEST: usize = 16;

/// A host on a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// As it was named.
    pub named: String,
    /// How it is reached from the one before it.
    pub resolved: Resolved,
}

impl Config {
    /// The way to a host, the host itself at its end. As in OpenSSH each jump host is looked up by its own name, and what
    /// the config says about reaching it counts for the first one alone. What is `given` is stronger than the files: for the
    /// host itself, and for each jump host.
    pub fn route(&self, named: &str, given: Values, given_for_jumps: &Values) -> Result<Vec<Stop>, ConfigError> {
        let destination = Stop { named: named.to_owned(), resolved: self.resolve(named, given)? };
        let mut route = vec![destination];
        while let Proxy::Jump(jumps) = route[0].resolved.proxy.clone() {
            if route.len() + jumps.len() > LONGEST {
                return Err(ConfigError { at: None, fault: Fault::JumpLoop(named.to_owned()) });
            }
            let stops = jumps.iter().enumerate().map(|(index, jump)| self.stop(jump, &jumps[..index], given_for_jumps));
            let stops = stops.collect::<Result<Vec<_>, _>>()?;
            route.splice(..0, stops);
        }
        Ok(route)
    }

    fn stop(&self, jump: &Jump, before: &[Jump], given: &Values) -> Result<Stop, ConfigError> {
        let given = Values {
            user: jump.user.clone().or_else(|| given.user.clone()),
            port: jump.port.or(given.port),
            ..given.clone()
        };
        let given = if before.is_empty() { given } else { given.through(before.to_vec()) };
        Ok(Stop { named: jump.host.clone(), resolved: self.resolve(&jump.host, given)? })
    }
}
