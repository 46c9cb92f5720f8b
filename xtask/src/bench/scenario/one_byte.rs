//! One changed byte in a large file: what is sent, and how long it takes.

use std::io;

use super::{AIRLIFT, delivered, openssh};
use crate::bench::content;
use crate::bench::operator::{Kex, RELAY_PORT};
use crate::bench::ours::Ours;
use crate::bench::race::{Contender, Meters, race};
use crate::bench::relay::Relay;
use crate::bench::report::{Goal, Section, megabytes, named};
use crate::bench::site::Bench;

const BYTES: u64 = 256 << 20;

const RSYNC: &str = "rsync";
const IN_PLACE: &str = "rsync --inplace";

/// How far the changes of two rounds are apart.
const STEP: u64 = 37_000_003;

/// What may be sent, in megabytes.
const SENT: f64 = 4.0;

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let site = bench.site(1)?;
    let host = &site.fleet.hosts[0];
    let relay = Relay::before(host)?;
    let ours = Ours::project(&site.operator, &bench.airlift, "airlift")?;
    ours.list(&site.fleet.hosts, RELAY_PORT, "bundle: {include: [app]}\n")?;
    let file = ours.path("project/app/big");
    content::random(&file, BYTES)?;
    let changed = std::cell::Cell::new(None);
    // Round 0 delivers the whole file; whoever is the first of a later one changes a byte, and all deliver the same.
    let prepare = |round: usize| {
        if changed.replace(Some(round)) != Some(round) && round > 0 {
            content::change_byte(&file, round as u64 * STEP % BYTES)?;
        }
        Ok::<(), io::Error>(())
    };
    let home = host.home();
    let peer = |name: &str, script: &'static str, place: &str| {
        let (file, site, prepare) = (&file, &site, &prepare);
        let start = move |round| {
            prepare(round)?;
            Ok(openssh(site, Kex::Default, script, file))
        };
        Contender::new(name, start).checked(delivered(file, home.join(place)))
    };
    let contenders = vec![
        Contender::new(AIRLIFT, |round| {
            prepare(round)?;
            Ok(ours.command(&["push"]))
        })
        .checked(delivered(&file, home.join(".airlift/current/app/big"))),
        peer(RSYNC, r#"exec rsync -a -e "ssh -F $1 -p $4" "$2" "$3:rsync""#, "rsync"),
        peer(IN_PLACE, r#"exec rsync -a --inplace -e "ssh -F $1 -p $4" "$2" "$3:inplace""#, "inplace"),
    ];
    let meters = Meters { fleet: Some(&site.fleet), relay: Some(&relay) };
    let rows = race(bench, meters, contenders)?;
    let ours = named(&rows, AIRLIFT);
    let wall = |name: &str| named(&rows, name).and_then(|row| row.wall_s);
    Ok(Section {
        scenario: "one-byte".to_owned(),
        title: "One changed byte in 256 MiB".to_owned(),
        method: "The file is on the host; in each round another byte of it changes. Everybody connects through a relay that \
                 counts what the operator sends, all of the connection included. It is checked that the file on the host is \
                 the same."
            .to_owned(),
        goals: vec![
            Goal::at_most("sent", ours.and_then(|row| row.sent).map(megabytes), SENT, "MB"),
            Goal::ratio("wall time, of rsync's", wall(AIRLIFT), wall(RSYNC), 1.0),
            Goal::ratio("wall time, of rsync --inplace's", wall(AIRLIFT), wall(IN_PLACE), 1.0),
        ],
        rows,
        notes: vec![
            "rsync by itself and airlift keep the old file until the new one is whole; `--inplace` writes into the one that \
             is in use."
                .to_owned(),
        ],
    })
}
