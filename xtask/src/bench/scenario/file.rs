//! One large file to one host, until it is verified in place.

use std::io;

use super::{AIRLIFT, delivered, openssh};
use crate::bench::content;
use crate::bench::fleet::{PORT, remove};
use crate::bench::operator::Kex;
use crate::bench::ours::Ours;
use crate::bench::race::{Contender, race};
use crate::bench::report::{Goal, Section, megabytes, named};
use crate::bench::site::Bench;

const BYTES: u64 = 256 << 20;

/// Peak memory that is allowed, in megabytes.
const MEMORY: f64 = 64.0;

const SCP: &str = "scp, then sha256sum over ssh";

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let site = bench.site(1)?;
    let ours = Ours::project(&site.operator, &bench.airlift, "airlift")?;
    ours.list(&site.fleet.hosts, PORT, "bundle: {include: [app]}\n")?;
    let home = site.fleet.hosts[0].home();
    let file = ours.path("project/app/big");
    let made = std::cell::Cell::new(None);
    // Whoever is the first of a round has it made; all deliver the same.
    let prepare = |round: usize| {
        remove(&home.join("big"))?;
        if made.replace(Some(round)) != Some(round) {
            content::random(&file, BYTES)?;
        }
        Ok::<(), io::Error>(())
    };
    let peer = |name: &str, script: &'static str| {
        let (file, site, prepare) = (&file, &site, &prepare);
        let start = move |round| {
            prepare(round)?;
            Ok(openssh(site, Kex::Default, script, file))
        };
        Contender::new(name, start).checked(delivered(file, home.join("big")))
    };
    let contenders = vec![
        Contender::new(AIRLIFT, |round| {
            prepare(round)?;
            Ok(ours.command(&["push"]))
        })
        .checked(delivered(&file, home.join(".airlift/current/app/big"))),
        peer(SCP, r#"scp -q -F "$1" "$2" "$3:big" && exec ssh -F "$1" "$3" sha256sum big"#),
        peer(
            "scp with aes128-gcm, then sha256sum",
            r#"scp -q -c aes128-gcm@openssh.com -F "$1" "$2" "$3:big" && exec ssh -F "$1" "$3" sha256sum big"#,
        ),
        peer("rsync", r#"exec rsync -a -e "ssh -F $1" "$2" "$3:big""#),
    ];
    let rows = race(bench, site.meters(), contenders)?;
    let ours = named(&rows, AIRLIFT);
    let wall = |name: &str| named(&rows, name).and_then(|row| row.wall_s);
    Ok(Section {
        scenario: "file".to_owned(),
        title: "256 MiB to one host".to_owned(),
        method:
            "A new file of random bytes in each round. airlift: `push`, until the release is in place, verified and \
                 current. rsync verifies by itself. It is checked that the file on the host is the same."
                .to_owned(),
        goals: vec![
            Goal::ratio(format!("wall time, of {SCP}"), wall(AIRLIFT), wall(SCP), 1.15),
            Goal::at_most("peak memory", ours.and_then(|row| row.memory).map(megabytes), MEMORY, "MB"),
        ],
        rows,
        notes: Vec::new(),
    })
}
