//! Reading what a host tells about itself: the answer to `look` (docs/host-protocol.md) as [`HostFacts`].

use airlift_core::id::{RunId, Token};
use airlift_core::seen::{Exit, HostFacts, Output, RunEnd, RunSeen, Watcher};

/// The protocol number this airlift speaks.
const PROTOCOL: &str = "1";

/// What a look told, beyond the facts that decisions read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// The facts.
    pub facts: HostFacts,
    /// `sudo -n` works: yes, no, or not asked because the session is root's.
    pub sudo: Option<bool>,
    /// The login's home folder.
    pub home: String,
}

/// An answer that is not a look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FactsError {
    /// Its end is missing: the connection or the host's program was cut off.
    #[error("its answer was cut off")]
    CutOff,
    /// Something else answered: a login shell that prints, or that is no shell at all.
    #[error("its login shell does not answer like a shell (it said {0:?}); commands over SSH must run without noise")]
    Noise(String),
    /// A newer `host.sh`.
    #[error("it speaks protocol {0}, and this airlift {PROTOCOL}; use a newer airlift")]
    Protocol(String),
    /// A line that cannot be understood.
    #[error("it answered with a line that cannot be understood: {0:?}")]
    Line(String),
}

impl FactsError {
    /// Of an answer that is somebody else's.
    pub(crate) fn noise(answer: &str) -> Self {
        Self::Noise(answer.lines().next().unwrap_or_default().chars().take(200).collect())
    }
}

/// Reads an answer.
pub(crate) fn read(answer: &str) -> Result<Look, FactsError> {
    let mut lines = answer.lines();
    let Some(protocol) = lines.next().and_then(|line| line.strip_prefix("airlift-host ")) else {
        return Err(FactsError::noise(answer));
    };
    if protocol != PROTOCOL {
        return Err(FactsError::Protocol(protocol.to_owned()));
    }
    let mut look = Look::default();
    let mut fleet = None;
    for line in lines {
        if line == "end" {
            return Ok(look);
        }
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        fact(&mut look, &mut fleet, key, value).ok_or_else(|| FactsError::Line(line.to_owned()))?;
    }
    Err(FactsError::CutOff)
}

/// Takes in one line; none where it cannot be understood. Keys that a later `host.sh` may add are passed over.
fn fact(look: &mut Look, fleet: &mut Option<airlift_core::id::FleetName>, key: &str, value: &str) -> Option<()> {
    let facts = &mut look.facts;
    if value == "none" {
        return Some(());
    }
    match key {
        "program" => facts.program = Some(value.parse().ok()?),
        "root" => value.clone_into(&mut facts.root),
        "home" => value.clone_into(&mut look.home),
        "uid" => facts.uid = value.parse().ok()?,
        "sudo" => look.sudo = Some(value == "yes"),
        "boot" => value.clone_into(&mut facts.boot),
        "tool" => {
            facts.tools.insert(value.to_owned());
        }
        "free" => facts.free_kib = Some(value.parse().ok()?),
        "fleet" => *fleet = Some(value.parse().ok()?),
        "host" => facts.identity = Some((fleet.take()?, value.parse().ok()?)),
        "watcher" => {
            facts.watcher = match value {
                "systemd" => Watcher::Systemd,
                "supervisor" => Watcher::Supervisor,
                _ => Watcher::None,
            }
        }
        "take" => facts.taking = value == "busy",
        "waiting" => {
            facts.waiting.insert(value.parse().ok()?);
        }
        "refused" => {
            let (release, why) = value.split_once(' ').unwrap_or((value, "for an unknown reason"));
            facts.refused.insert(release.parse().ok()?, why.to_owned());
        }
        "current" => facts.current = Some(value.parse().ok()?),
        "release" => {
            facts.releases.insert(value.parse().ok()?);
        }
        "secrets" => facts.secrets = Some(value.to_owned()),
        "bootstrap" => facts.bootstrap = Some(run_state(value.split_once(' ')?.1)?),
        "service" => {
            let (name, state) = value.split_once(' ')?;
            facts.services.insert(name.to_owned(), state.to_owned());
        }
        "run" => {
            let (run, state) = value.split_once(' ')?;
            facts.runs.insert(run.parse::<RunId>().ok()?, run_state(state)?);
        }
        _ => {}
    }
    Some(())
}

/// Reads the STATE of a run line.
pub(crate) fn run_state(text: &str) -> Option<RunSeen> {
    let mut words = text.split(' ');
    let state = words.next()?;
    let mut token = None;
    let mut exit = None;
    let (mut stdout, mut stderr) = (None, None);
    for word in words {
        match word.split_once('=')? {
            ("token", value) => token = Some(value.parse::<Token>().ok()?),
            ("exit", value) => exit = Some(exit_of(value)?),
            ("why", "reboot") => exit = Some(Exit::Rebooted),
            ("why", _) => exit = Some(Exit::Killed),
            ("stdout", value) => stdout = output_of(value),
            ("stderr", value) => stderr = output_of(value),
            _ => {}
        }
    }
    Some(match state {
        "absent" => RunSeen::Absent,
        "staged" => RunSeen::Staged { token: token? },
        "running" => RunSeen::Running { token: token? },
        "exited" | "lost" => {
            RunSeen::Exited { token: token?, end: RunEnd { exit: exit?, stdout: stdout?, stderr: stderr? } }
        }
        _ => return None,
    })
}

fn exit_of(text: &str) -> Option<Exit> {
    Some(match text.split_once(':') {
        Some(("code", code)) => Exit::Code(code.parse().ok()?),
        Some(("signal", signal)) => Exit::Signal(signal.parse().ok()?),
        _ if text == "timeout" => Exit::TimedOut,
        _ if text == "cancelled" => Exit::Cancelled,
        _ => return None,
    })
}

fn output_of(text: &str) -> Option<Output> {
    let (bytes, sha256) = text.split_once(':')?;
    Some(Output { bytes: bytes.parse().ok()?, sha256: sha256.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a3f2a";

    fn answer(lines: &str) -> String {
        format!("airlift-host 1\nprogram none\nroot /opt/airlift\nuid 0\n{lines}end\n")
    }

    #[test]
    fn an_answer_of_somebody_else_or_without_an_end_is_none() {
        assert!(read(&answer("")).is_ok());
        assert_eq!(read("airlift-host 1\nprogram none\n").unwrap_err(), FactsError::CutOff);
        assert!(
            matches!(read("This account is disabled.\n"), Err(FactsError::Noise(said)) if said.contains("disabled"))
        );
        assert_eq!(read("airlift-host 9\nend\n").unwrap_err(), FactsError::Protocol("9".to_owned()));
    }

    #[test]
    fn every_fact_is_read() {
        let text = answer(&format!(
            "boot b-1\ntool zstd\nfree 1024\nfleet demo\nhost web/3\nwatcher supervisor\ntake busy\nwaiting {RELEASE}\n\
             refused {RELEASE} missing piece abc\ncurrent {RELEASE}\nrelease {RELEASE}\nsecrets k1\n\
             bootstrap {RELEASE} running token=t stdout=1 stderr=0\nservice a.service active\n\
             run r-test exited token=t exit=signal:9 stdout=3:{RELEASE} stderr=0:{RELEASE}\nfuture thing\n"
        ));
        let facts = read(&text).unwrap().facts;
        assert_eq!(facts.watcher, Watcher::Supervisor);
        assert!(facts.taking);
        assert_eq!(facts.identity.unwrap().1.as_str(), "web/3");
        assert_eq!(facts.refused.values().next().unwrap(), "missing piece abc");
        assert!(matches!(facts.bootstrap, Some(RunSeen::Running { .. })));
        let run: RunId = "r-test".parse().unwrap();
        assert!(matches!(&facts.runs[&run], RunSeen::Exited { end, .. } if end.exit == Exit::Signal(9)));
        assert_eq!(facts.services["a.service"], "active");
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        assert_eq!(read(&answer("current xyz\n")).unwrap_err(), FactsError::Line("current xyz".to_owned()));
    }
}
