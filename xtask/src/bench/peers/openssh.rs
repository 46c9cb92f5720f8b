//! OpenSSH's own client, one process for each host, started by xargs.

use std::path::Path;
use std::process::Command;

use super::{Crew, first_line};
use crate::bench::operator::Kex;

/// Arguments: how many at once, the list, ssh's configuration, the command.
const EXEC: &str = r#"exec xargs -P "$1" -a "$2" -I HOST ssh -F "$3" HOST "$4""#;

/// One session for each host: the archive goes through its standard input, and `cat` puts it where the command looks.
const PUSH: &str = r#"exec xargs -P "$1" -a "$2" -I HOST sh -c 'ssh -F "$1" "$2" "cat > archive.tar && $3" < "$4"' sh "$3" HOST "$4" "$5""#;

pub(super) fn exec(crew: &Crew<'_>, kex: Kex, command: &str) -> Command {
    crew.shell(kex, EXEC, &[command])
}

pub(super) fn push(crew: &Crew<'_>, kex: Kex, archive: &Path, command: &str) -> Command {
    crew.shell(kex, PUSH, &[command, &archive.to_string_lossy()])
}

pub(super) fn version() -> String {
    first_line(Command::new("ssh").arg("-V"))
}
