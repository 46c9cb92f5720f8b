//! `cargo xtask bench`: airlift beside other tools, in one run, on hosts that are real OpenSSH servers.
//!
//! What always holds: contenders take turns, so that what else the machine does hits all of them; whatever is started is
//! ended with the bench, also by Ctrl-C or a crash; and nothing is written outside of `target/bench` and the account that
//! the hosts let in.

mod account;
mod content;
mod family;
mod fleet;
pub(crate) mod keeper;
pub(crate) mod measure;
mod operator;
mod ours;
mod peers;
mod race;
mod relay;
mod report;
mod scenario;
mod site;
mod stats;
mod stop;
mod surroundings;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use self::account::Account;
use self::peers::Peer;
use self::report::{Report, Section, into_page, markdown};
use self::scenario::Scenario;
use self::site::{Bench, peers_folder};
use self::stop::Stop;
use crate::repo::Repo;

/// The page that `--write` writes to.
const PAGE: &str = "docs/performance.md";

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these [default: all but the long ones]
    #[arg(value_enum, hide_default_value = true)]
    scenarios: Vec<Scenario>,
    /// Install the tools to compare with (Debian packages, and packages from PyPI beneath target/bench), and end
    #[arg(long)]
    install_peers: bool,
    /// How many rounds count; one more comes first, to warm up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    rounds: usize,
    /// How many hosts, where a scenario is about many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one)]
    hosts: usize,
    /// How many hosts every tool works on at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    fan_out: usize,
    /// Only these peers; may be repeated [default: all that are installed]
    #[arg(long = "peer", value_name = "PEER", value_enum, hide_default_value = true)]
    peers: Vec<Peer>,
    /// Measure this airlift instead of building one with the release profile
    #[arg(long, value_name = "PATH")]
    airlift: Option<PathBuf>,
    /// Write the report as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report into docs/performance.md, too
    #[arg(long)]
    write: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&number| number > 0).ok_or_else(|| "it must be a number from 1 on".to_owned())
}

pub(crate) fn run(repo: &Repo, options: &Options) -> ExitCode {
    match measure(repo, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nbench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(repo: &Repo, options: &Options) -> io::Result<()> {
    let stop = Stop::listen()?;
    let folder = repo.path(Path::new("target/bench"));
    fs::create_dir_all(&folder)?;
    let peers_folder = peers_folder(&folder);
    if options.install_peers {
        return peers::install(&peers_folder);
    }
    let scenarios = Scenario::chosen(&options.scenarios);
    let account = Account::make()?;
    let airlift = match &options.airlift {
        Some(path) => path.canonicalize()?,
        None => build(repo, scenarios.contains(&Scenario::Profile))?,
    };
    let bench = Bench {
        repo,
        airlift,
        rounds: options.rounds,
        hosts: options.hosts,
        fan_out: options.fan_out,
        peers: available(&options.peers, &peers_folder),
        account,
        stop,
        folder,
    };
    let mut report = Report {
        at: surroundings::now(),
        commit: surroundings::commit(repo),
        machine: surroundings::machine(),
        rounds: bench.rounds,
        versions: [surroundings::airlift(&bench.airlift)].into_iter().chain(peers::versions(&peers_folder)).collect(),
        sections: Vec::new(),
    };
    for scenario in scenarios {
        eprintln!("{}", scenario.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default());
        let section = scenario.measure(&bench)?;
        show(&section);
        report.sections.push(section);
    }
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    if options.write {
        write(&repo.path(Path::new(PAGE)), &report)?;
    }
    Ok(())
}

/// Builds the airlift that is shipped, or, where functions shall have names, the same before they are taken out.
fn build(repo: &Repo, symbols: bool) -> io::Result<PathBuf> {
    let mut cargo = repo.cargo();
    cargo.args(["rustc", "--release", "--package", "airlift", "--bin", "airlift"]);
    if symbols {
        cargo.args(["--", "-C", "strip=none"]);
    }
    let built = cargo.status()?;
    if !built.success() {
        return Err(io::Error::other("airlift does not build"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repo.path(Path::new("target")), PathBuf::from);
    Ok(target.join("release/airlift"))
}

/// The peers that can take part. Who cannot is named.
fn available(asked: &[Peer], folder: &Path) -> Vec<Peer> {
    let wanted = if asked.is_empty() { Peer::value_variants() } else { asked };
    let (there, missing): (Vec<Peer>, Vec<Peer>) = wanted.iter().partition(|peer| peer.is_there(&peers::venv(folder)));
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|peer| peer.name()).collect();
        eprintln!("not installed, so not compared: {}", names.join(", "));
        eprintln!("`cargo xtask bench --install-peers` installs them (it needs the network)");
    }
    there
}

fn show(section: &Section) {
    println!("\n{}\n{}", section.title, report::aligned(&report::table(section)));
    for goal in &section.goals {
        println!("  {:<12} {}: {} ({})", goal.verdict(), goal.what, goal.measured_in_words(), goal.limit_in_words());
    }
    for note in &section.notes {
        println!("  {note}");
    }
}

fn write(page: &Path, report: &Report) -> io::Result<()> {
    let text = fs::read_to_string(page)?;
    let text = into_page(&text, &markdown(report))
        .ok_or_else(|| io::Error::other(format!("{} has no place for the report", page.display())))?;
    fs::write(page, text)
}
