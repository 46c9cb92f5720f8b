//! A bundle of a large tree: made, and planned again when nothing has changed.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::AIRLIFT;
use crate::bench::content::{Noise, random};
use crate::bench::fleet::PORT;
use crate::bench::measure::Sample;
use crate::bench::ours::Ours;
use crate::bench::race::{Contender, Meters, race};
use crate::bench::report::{Goal, Section, named};
use crate::bench::site::Bench;

const LARGE: usize = 8;
const LARGE_BYTES: u64 = 64 << 20;
const SMALL_FOLDERS: usize = 64;
const SMALL_EACH: usize = 256;
const SMALL_BYTES: usize = 32 << 10;

/// Files younger than two seconds when they are read are read again by the next scan, which is not what is measured here.
const SETTLED: Duration = Duration::from_secs(3);

const TAR: &str = "tar | zstd -3";
const AGAIN: &str = "airlift plan, unchanged";

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Section> {
    let site = bench.site(1)?;
    let ours = Ours::project(&site.operator, &bench.airlift, "airlift")?;
    ours.list(&site.fleet.hosts, PORT, "bundle: {include: [app]}\nrun: {upload_timeout: 1h}\n")?;
    let app = ours.path("project/app");
    write(&app)?;
    std::thread::sleep(SETTLED);
    // What a plan may leave unread is what was delivered before.
    let pushed = Sample::of(&ours.command(&["push"]), &bench.folder)?;
    if !pushed.status.success() {
        return Err(io::Error::other(format!("the tree could not be delivered: {}", pushed.tail())));
    }
    let out = ours.path("out");
    let contenders = vec![
        Contender::new(AIRLIFT, |_| Ok(ours.command(&["bundle", "build", "--rehash", "-o", &out.to_string_lossy()]))),
        Contender::new(TAR, |_| {
            let arguments = [ours.path("project").display().to_string(), ours.path("out.zst").display().to_string()];
            let script = r#"tar -cf - -C "$1" app | zstd -3 -q -f -o "$2""#;
            Ok(site.operator.shell(script, &[&arguments[0], &arguments[1]]))
        }),
        Contender::new(AGAIN, |_| Ok(ours.command(&["plan"]))),
    ];
    let rows = race(bench, Meters::default(), contenders)?;
    let wall = |name: &str| named(&rows, name).and_then(|row| row.wall_s);
    Ok(Section {
        scenario: "bundle".to_owned(),
        title: "A bundle of 1 GiB".to_owned(),
        method: "8 files of 64 MiB that do not compress, and 16,384 of 32 KiB that compress to half. `airlift bundle build \
                 --rehash` reads, cuts, hashes and writes them uncompressed (pieces are compressed when they are sent); `airlift plan` looks \
                 at a host, too. The files are three seconds old when they are first read: younger ones are not remembered."
            .to_owned(),
        goals: vec![
            Goal::ratio(format!("wall time, of {TAR}"), wall(AIRLIFT), wall(TAR), 1.0),
            Goal::ratio("planned again unchanged, of the time to build it", wall(AGAIN), wall(AIRLIFT), 0.05),
        ],
        rows,
        notes: Vec::new(),
    })
}

fn write(app: &Path) -> io::Result<()> {
    for number in 0..LARGE {
        random(&app.join(format!("large-{number}")), LARGE_BYTES)?;
    }
    let mut noise = Noise::new(1);
    for folder in 0..SMALL_FOLDERS {
        for file in 0..SMALL_EACH {
            noise.text(&app.join(format!("small/{folder}/{file}")), SMALL_BYTES)?;
        }
    }
    Ok(())
}
