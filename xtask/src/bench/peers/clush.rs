//! ClusterShell's clush, which starts OpenSSH's client (and scp) for each host.

use std::path::Path;
use std::process::Command;

use super::Crew;
use crate::bench::operator::Kex;

const EXEC: &str = r#"exec clush -S -f "$1" --hostfile "$2" -o "-F $3" "$4""#;

/// Copying and running are two commands, as its manual has it.
const PUSH: &str = r#"
clush -S -q -f "$1" --hostfile "$2" -o "-F $3" --copy "$5" --dest archive.tar && exec clush -S -f "$1" --hostfile "$2" -o "-F $3" "$4"
"#;

pub(super) fn exec(crew: &Crew<'_>, kex: Kex, command: &str) -> Command {
    crew.shell(kex, EXEC, &[command])
}

pub(super) fn push(crew: &Crew<'_>, kex: Kex, archive: &Path, command: &str) -> Command {
    crew.shell(kex, PUSH, &[command, &archive.to_string_lossy()])
}
