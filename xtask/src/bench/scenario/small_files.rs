//! Many small files to one host that has none of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{AIRLIFT, openssh};
use crate::bench::content::Noise;
use crate::bench::fleet::PORT;
use crate::bench::measure::Sample;
use crate::bench::operator::Kex;
use crate::bench::ours::Ours;
use crate::bench::race::{Contender, race};
use crate::bench::report::{Goal, Section, named};
use crate::bench::site::Bench;

const FOLDERS: usize = 100;
const FILES_EACH: usize = 100;
const FILE_BYTES: usize = 1000;

const RSYNC: &str = "rsync -a";

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let site = bench.site(1)?;
    let ours = Ours::project(&site.operator, &bench.airlift, "airlift")?;
    ours.list(&site.fleet.hosts, PORT, "bundle: {include: [app]}\nkeep: {releases: 100}\n")?;
    let home = site.fleet.hosts[0].home();
    let app = ours.path("project/app");
    let made = std::cell::Cell::new(None);
    // ext4 keeps away from inodes that were freed a moment ago, and looks long for others: nothing is removed in between.
    let aside = std::cell::Cell::new(0);
    let prepare = |round: usize| {
        if home.join("app").exists() {
            aside.set(aside.get() + 1);
            fs::rename(home.join("app"), home.join(format!("app-{}", aside.get())))?;
        }
        if made.replace(Some(round)) != Some(round) {
            write(&app, round)?;
        }
        Ok::<(), io::Error>(())
    };
    let peer = |name: &str, script: &'static str| {
        let (app, site, prepare) = (&app, &site, &prepare);
        let start = move |round| {
            prepare(round)?;
            Ok(openssh(site, Kex::Default, script, app))
        };
        Contender::new(name, start).checked(arrived(app, home.join("app")))
    };
    let contenders = vec![
        Contender::new(AIRLIFT, |round| {
            prepare(round)?;
            Ok(ours.command(&["push"]))
        })
        .checked(arrived(&app, home.join(".airlift/current/app"))),
        peer(RSYNC, r#"exec rsync -a -e "ssh -F $1" "$2" "$3:""#),
        peer("tar over ssh (verifies nothing)", r#"tar -cf - -C "$2/.." app | ssh -F "$1" "$3" tar -xf -"#),
    ];
    let rows = race(bench, site.meters(), contenders)?;
    let wall = |name: &str| named(&rows, name).and_then(|row| row.wall_s);
    Ok(Section {
        scenario: "small-files".to_owned(),
        title: "10,000 files of 1 KB to one host".to_owned(),
        method: "New content in each round, in 100 folders. airlift: `push`, until the release is in place, verified and \
                 current, on a host that it knows. rsync: to an empty folder. Nothing is removed between rounds. It is checked that the tree on the host is \
                 the same."
            .to_owned(),
        goals: vec![Goal::ratio("wall time, of rsync -a's", wall(AIRLIFT), wall(RSYNC), 1.0)],
        rows,
        notes: Vec::new(),
    })
}

fn write(app: &Path, round: usize) -> io::Result<()> {
    let mut noise = Noise::new(round as u64 + 1);
    for folder in 0..FOLDERS {
        for file in 0..FILES_EACH {
            noise.text(&app.join(format!("folder-{folder}/file-{file}")), FILE_BYTES)?;
        }
    }
    Ok(())
}

/// The tree is there, with all that it holds.
fn arrived(tree: &Path, place: PathBuf) -> impl Fn(usize, &Sample) -> Result<(), String> {
    move |_, _| {
        let compared = Command::new("diff").args(["-rq", "--"]).arg(tree).arg(&place).output();
        match compared {
            Ok(compared) if compared.status.success() => Ok(()),
            _ => Err("the files on the host are not the same".to_owned()),
        }
    }
}
