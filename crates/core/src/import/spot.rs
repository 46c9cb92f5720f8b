//! The config of the Python spot deployer: `aws` with the login and the number of instances, `regions` with what to launch where.
//!
//! What always holds: until there is a provider `aws`, what only that could do is kept as comments and named in the notes.

use super::Fault;
use super::Source;
use super::notes::Notes;
use super::text::{Found, Machines, list, scalar};
use crate::config::{Code, Kind, LocalPath, Node, Span, UserName, document};
use crate::id::{FleetName, GroupName};

/// What it launches where the config does not say how many (its `instance_count`).
const DEFAULT_TOTAL: u32 = 3;

const TO_COME: &str = "it is for provider aws, which is to come";

struct Region<'n> {
    key: &'n Node,
    name: &'n str,
    /// How many; nothing for a share of the total.
    count: Option<u32>,
    settings: Vec<String>,
}

/// Reads the whole text.
pub(super) fn read(source: Source<'_>, fleet: &FleetName, notes: &mut Notes<'_>) -> Result<Found, Fault> {
    let document = document(source.text);
    for fault in document.faults {
        if fault.code != Code::Unsupported || document.root.is_none() {
            return Err(notes.fault(Some(fault.at), fault.message));
        }
        notes.add(fault.at, fault.message);
    }
    let Some(Node { kind: Kind::Map(entries), .. }) = &document.root else {
        return Err(notes.fault(None, "the file is no map with the keys aws and regions"));
    };
    let mut found = Found {
        head: vec![
            "Provider aws is to come. Until then these are the same groups as instances on this machine, to try bundle and".to_owned(),
            "scripts with; machines that run already can be listed under `provider: hosts` instead.".to_owned(),
        ],
        // How long the deployer lets an upload and a script take.
        run: Some("{timeout: 5m, upload_timeout: 60s}".to_owned()),
        ..Found::default()
    };
    let (mut total, mut regions) = (None, Vec::new());
    for (key, value) in entries {
        match key.text() {
            Some("aws") => total = aws(value, &mut found, notes)?,
            Some("regions") => regions = self::regions(key, value, notes)?,
            Some("bacalhau") => notes.add(
                key.at,
                "bacalhau is left out: name its settings in `env`, and where its token comes from in `secrets`",
            ),
            Some("startup_script_path") => notes.add(key.at, STARTUP),
            Some("files_directory_path") => files(key, value, notes),
            Some(name) => notes.add(key.at, format!("{name} is left out: airlift.yaml has no place for it")),
            None => notes.add(key.at, "a key that is no text is left out"),
        }
    }
    if regions.is_empty() {
        return Err(notes.fault(None, "regions names no region"));
    }
    found.kept.push(format!("For provider aws, when it is there (fleet {fleet}):"));
    for region in &regions {
        found.kept.push(format!("  {}: {}", region.name, region.settings.join(", ")));
    }
    found.machines = Machines::Local(share(&regions, total, notes)?);
    Ok(found)
}

const STARTUP: &str = "the startup script is left out: put it into the bundle and name it in `bootstrap`";

/// The section `aws`; answers how many instances there are to be in all.
fn aws(section: &Node, found: &mut Found, notes: &mut Notes<'_>) -> Result<Option<(u32, Span)>, Fault> {
    let Kind::Map(entries) = &section.kind else {
        return if section.is_null() {
            Ok(None)
        } else {
            Err(notes.fault(Some(section.at), "aws is no map of settings"))
        };
    };
    let mut total = None;
    for (key, value) in entries {
        let text = value.text();
        match (key.text().unwrap_or_default(), text) {
            (_, None) if value.is_null() => {}
            ("total_instances", text) => {
                let count = text.and_then(|text| text.parse().ok()).filter(|count| (1..=1000).contains(count));
                let count =
                    count.ok_or_else(|| notes.fault(Some(value.at), "total_instances is no number from 1 to 1000"))?;
                total = Some((count, key.at));
            }
            ("username", Some(user)) if user.parse::<UserName>().is_ok() => found.ssh.push(("user", scalar(user))),
            ("private_ssh_key_path", Some(path)) if path.parse::<LocalPath>().is_ok() => {
                found.ssh.push(("identity_files", list([path])));
            }
            ("public_ssh_key_path", _) => notes.add(
                key.at,
                "public_ssh_key_path is left out: what airlift launches gets the public half of a key of its own",
            ),
            ("files_directory", _) => files(key, value, notes),
            ("startup_script" | "additional_commands_script", _) => notes.add(key.at, STARTUP),
            ("username" | "private_ssh_key_path", _) => {
                notes.add(key.at, format!("{} is left out: its value is of no use", key.text().unwrap_or_default()));
            }
            (name, _) => notes.add(key.at, format!("{name} is left out: {TO_COME}")),
        }
    }
    // The order of the config's own documentation.
    found.ssh.sort_by_key(|(key, _)| *key != "user");
    Ok(total)
}

/// `./files` goes with every script without being named.
fn files(key: &Node, value: &Node, notes: &mut Notes<'_>) {
    let folder = value.text().unwrap_or_default().trim_start_matches("./").trim_end_matches('/');
    if folder != "files" {
        notes.add(
            key.at,
            "the folder of files is left out: `airlift run` sends ./files of the project; rename it, or link it",
        );
    }
}

/// The list `regions`: each item is a map with the region's name as its key.
fn regions<'n>(key: &Node, list: &'n Node, notes: &mut Notes<'_>) -> Result<Vec<Region<'n>>, Fault> {
    let Kind::List(items) = &list.kind else {
        return Err(notes.fault(Some(key.at), "regions is no list, such as `- us-west-2: {machine_type: t3.medium}`"));
    };
    let mut regions: Vec<Region<'_>> = Vec::new();
    for item in items {
        let (name, settings): (&Node, &[(Node, Node)]) = match &item.kind {
            Kind::Scalar { .. } => (item, &[]),
            Kind::Map(entries) => match entries.split_first() {
                Some(((name, value), rest)) => match &value.kind {
                    Kind::Map(settings) => {
                        for (key, _) in rest {
                            notes.add(key.at, "a key beside a region's name is left out");
                        }
                        (name, settings.as_slice())
                    }
                    // The settings are not indented below the name.
                    _ => (name, rest),
                },
                None => continue,
            },
            Kind::List(_) | Kind::Broken => return Err(notes.fault(Some(item.at), "this is no region")),
        };
        let text = name.text().filter(|text| text.parse::<GroupName>().is_ok());
        let text = text.ok_or_else(|| notes.fault(Some(name.at), "this is no name of a region, such as us-west-2"))?;
        if regions.iter().any(|region| region.name == text) {
            return Err(notes.fault(Some(name.at), format!("the region {text} stands twice in regions")));
        }
        regions.push(region(name, text, settings, notes)?);
    }
    Ok(regions)
}

fn region<'n>(
    key: &'n Node,
    name: &'n str,
    settings: &[(Node, Node)],
    notes: &mut Notes<'_>,
) -> Result<Region<'n>, Fault> {
    let mut region = Region { key, name, count: None, settings: Vec::new() };
    for (key, value) in settings {
        let setting = key.text().unwrap_or_default();
        let text = value.text().unwrap_or_default();
        match setting {
            "node_count" if text.is_empty() || text == "auto" => {}
            "node_count" => {
                let count = text.parse().ok().filter(|count| *count <= 1000);
                region.count = Some(count.ok_or_else(|| {
                    notes.fault(Some(value.at), format!("node_count of {name} is neither auto nor a number up to 1000"))
                })?);
            }
            "image" | "machine_type" | "spot_price_limit" | "instance_storage_gb"
                if !text.is_empty() && !text.contains(char::is_control) =>
            {
                region.settings.push(format!("{setting} {text}"));
                notes.add(key.at, format!("{setting} of a region is kept as a comment: {TO_COME}"));
            }
            _ => notes.add(key.at, format!("{setting} of a region is left out: {TO_COME}")),
        }
    }
    Ok(region)
}

/// How many instances each region gets: what it says, or its share of what is left of the total.
fn share(
    regions: &[Region<'_>],
    total: Option<(u32, Span)>,
    notes: &mut Notes<'_>,
) -> Result<Vec<(String, u32)>, Fault> {
    let said: u32 = regions.iter().filter_map(|region| region.count).sum();
    let sharing = u32::try_from(regions.iter().filter(|region| region.count.is_none()).count()).unwrap_or(u32::MAX);
    let (all, left) = match total {
        Some((total, at)) => {
            if sharing == 0 && said != total || said > total {
                notes.add(at, format!("total_instances is left out: the regions say {said}"));
            }
            (total, total.saturating_sub(said))
        }
        None => (DEFAULT_TOTAL, DEFAULT_TOTAL.saturating_sub(said)),
    };
    let mut place = 0;
    let groups: Vec<(String, u32)> = regions
        .iter()
        .map(|region| {
            let count = region.count.unwrap_or_else(|| {
                place += 1;
                // The first ones get what does not come out even.
                left / sharing + u32::from(place <= left % sharing)
            });
            (region.name.to_owned(), count)
        })
        .collect();
    for (region, (name, _)) in regions.iter().zip(&groups).filter(|(_, (_, count))| *count == 0) {
        notes.add(region.key.at, format!("{name} gets no instance: there are {all} in all"));
    }
    let sum = groups.iter().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
    if sum == 0 || sum > 1000 {
        return Err(notes.fault(None, format!("the regions get {sum} instances in all; from 1 to 1000 are possible")));
    }
    Ok(groups)
}
