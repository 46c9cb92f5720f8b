//! `airlift man`: a man page for every command, made from the same words as `--help`.

use camino::Utf8Path;
use clap::CommandFactory as _;

use super::say;
use crate::cli::Cli;
use crate::error::Error;
use crate::exit::Exit;

pub(crate) fn run(folder: &Utf8Path) -> Result<Exit, Error> {
    fs_err::create_dir_all(folder)?;
    let mut program = Cli::command();
    // Built, every command knows its whole name and the options that apply everywhere.
    program.build();
    let pages = write(&program, folder)?;
    say(&format!("wrote {pages} pages to {folder}"))?;
    Ok(Exit::Success)
}

/// Writes the page of a command and of those beneath it; returns how many.
fn write(command: &clap::Command, folder: &Utf8Path) -> Result<usize, Error> {
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs_err::write(folder.join(page.get_filename()), text)?;
    let mut pages = 1;
    for command in command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        pages += write(command, folder)?;
    }
    Ok(pages)
}
