//! The `airlift` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    airlift::main(&std::env::args_os().collect::<Vec<_>>(), &airlift::Hooks::default())
}
