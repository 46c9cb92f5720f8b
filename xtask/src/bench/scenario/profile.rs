//! Where the operator's CPU time goes, sampled with perf, beside what the hosts spend.

use std::io;
use std::path::Path;
use std::process::Command;

use super::AIRLIFT;
use crate::bench::fleet::PORT;
use crate::bench::measure::Sample;
use crate::bench::operator::Operator;
use crate::bench::ours::Ours;
use crate::bench::report::{Row, Section, figure};
use crate::bench::site::Bench;

/// Samples a second of CPU time: not a divisor of what timers are set to.
const FREQUENCY: &str = "2999";

/// How many functions are named.
const NAMED: usize = 12;

/// What belongs together, by parts of the names of functions; the first that fits counts.
const GROUPS: [(&str, &[&str]); 5] = [
    (
        "crypto",
        &[
            "ring_core",
            "sha2",
            "sha1",
            "sha512",
            "aes",
            "gcm",
            "ghash",
            "chacha",
            "poly1305",
            "25519",
            "mul_mont",
            "fiat",
            "dalek",
        ],
    ),
    ("event log", &["sqlite", "rusqlite"]),
    ("memory", &["malloc", "free", "realloc", "calloc", "memcpy", "memmove", "memset"]),
    ("SSH", &["russh"]),
    ("runtime", &["tokio", "mio"]),
];

/// A function and its share of all samples.
#[derive(Debug, PartialEq)]
struct Share {
    percent: f64,
    group: &'static str,
    function: String,
}

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let site = bench.site(bench.hosts)?;
    let ours = Ours::project(&site.operator, &bench.airlift, "airlift")?;
    ours.list(&site.fleet.hosts, PORT, "")?;
    let command = ours.exec(bench.fan_out, "hostname")?;
    let samples = site.operator.path("samples");
    // The first time warms up: hosts that airlift knows are the usual case.
    Sample::of(&command, &bench.folder)?;
    let before = site.fleet.spent();
    let sample = Sample::of(&sampled(&site.operator, &command, &samples), &bench.folder)?;
    if !sample.status.success() {
        return Err(io::Error::other(format!(
            "perf: {}; Debian's linux-perf has it\n{}",
            sample.status,
            sample.tail()
        )));
    }
    let on_hosts = site.fleet.spent() - before;
    let shares = shares(&report(&site.operator, &samples)?);
    let cpu = sample.cpu.as_secs_f64();
    let mut rows = vec![Row {
        wall_s: Some(sample.wall.as_secs_f64()),
        cpu_s: Some(cpu),
        hosts_cpu_s: Some(on_hosts),
        ..Row::named(AIRLIFT)
    }];
    for group in GROUPS.iter().map(|(group, _)| *group).chain([KERNEL, REST]) {
        let percent: f64 = shares.iter().filter(|share| share.group == group).map(|share| share.percent).sum();
        rows.push(Row { cpu_s: Some(cpu * percent / 100.0), ..Row::named(format!("of it {group}")) });
    }
    let most: Vec<String> =
        shares.iter().take(NAMED).map(|share| format!("{} % {}", figure(share.percent), share.function)).collect();
    Ok(Section {
        scenario: "profile".to_owned(),
        title: format!("Where the time of `hostname` on {} hosts goes", bench.hosts),
        method: "One run under `perf record -e cpu-clock`, airlift with symbols. *Hosts' CPU* is what sshd and all beneath it \
                 spent for it."
            .to_owned(),
        rows,
        goals: Vec::new(),
        notes: vec![format!("Most samples: {}.", most.join(" · "))],
    })
}

const KERNEL: &str = "kernel";
const REST: &str = "the rest";

/// The same command, with samples taken of it.
fn sampled(operator: &Operator, command: &Command, samples: &Path) -> Command {
    let mut perf = operator.command("perf");
    perf.args(["record", "-q", "-e", "cpu-clock", "-F", FREQUENCY, "-o"]).arg(samples).arg("--");
    perf.arg(command.get_program()).args(command.get_args());
    perf.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    perf
}

fn report(operator: &Operator, samples: &Path) -> io::Result<String> {
    let mut perf = operator.command("perf");
    perf.args([
        "report",
        "--stdio",
        "-q",
        "--no-children",
        "--sort",
        "symbol",
        "-F",
        "overhead,symbol",
        "-t",
        ";",
        "-i",
    ]);
    Ok(String::from_utf8_lossy(&perf.arg(samples).output()?.stdout).into_owned())
}

/// Lines such as `12.34%;[.] function` or `12.34%;[k] function`, largest first.
fn shares(report: &str) -> Vec<Share> {
    report.lines().filter_map(share).collect()
}

fn share(line: &str) -> Option<Share> {
    let (percent, symbol) = line.trim().split_once(';')?;
    let percent = percent.trim().trim_end_matches('%').parse().ok()?;
    let (space, function) = symbol.trim().split_at_checked(3)?;
    let fits = |names: &[&str]| names.iter().any(|name| function.contains(name));
    let group = match space {
        "[k]" => KERNEL,
        _ => GROUPS.iter().find(|(_, names)| fits(names)).map_or(REST, |(group, _)| group),
    };
    // Columns that were not asked for may follow.
    let name = function.trim().split("  ").next()?;
    Some(Share { percent, group, function: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::{share, shares};

    #[test]
    fn functions_are_sorted_into_what_they_belong_to() {
        let report = "\n    40.00%;[k] copy_user\n    30.50%;[.] ring_core_0_17_8_aes_hw\n     5%;[.] sqlite3VdbeExec\n\
                      4.5%;[.] russh::client::run\n  1%;[.] airlift::main\n";
        let groups: Vec<_> = shares(report).into_iter().map(|share| (share.percent, share.group)).collect();
        assert_eq!(groups, [(40.0, "kernel"), (30.5, "crypto"), (5.0, "event log"), (4.5, "SSH"), (1.0, "the rest")]);
    }

    #[test]
    fn what_is_no_share_is_left_out() {
        for line in ["", "# Overhead", "x%;[.] main", "1.0%;"] {
            assert_eq!(share(line), None, "{line}");
        }
    }
}
