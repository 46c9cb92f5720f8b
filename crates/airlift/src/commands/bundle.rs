//! `airlift bundle`: builds a bundle file to copy by hand, and looks into one.

use airlift_core::bundle::{Kind, Tree};
use airlift_hosts::bundle::{BundleFile, PieceSource as _, Which, write_bundle};
use camino::Utf8Path;
use serde_json::json;

use super::project::{Memory, Project};
use super::{say, say_json};
use crate::cli::Bundle;
use crate::error::{Error, chain};
use crate::exit::Exit;
use crate::render::{clean, human};
use crate::settings::Settings;

pub(crate) async fn run(args: Bundle, settings: Settings) -> Result<Exit, Error> {
    match args {
        Bundle::Build { output, reading } => build(&output, reading.rehash, &settings).await,
        Bundle::Show { file: Some(file) } => show_file(&file, &settings).await,
        Bundle::Show { file: None } => show_project(&settings).await,
    }
}

async fn build(output: &Utf8Path, rehash: bool, settings: &Settings) -> Result<Exit, Error> {
    let project = Project::load(settings)?;
    let memory = project.cache(settings).join("scan");
    let plan = project.scan(settings, Memory::Read(&memory), None, rehash).await?.ok_or_else(no_bundle)?;
    let release = plan.release();
    let temporary = output.with_extension("part");
    let sent = tokio::task::spawn_blocking({
        let temporary = temporary.clone();
        move || -> Result<_, Error> {
            let file = std::io::BufWriter::new(fs_err::File::create(&temporary)?);
            write_bundle(&plan, Which::All, file, &mut |_| {}).map_err(|error| Error::failed(chain(&error)))
        }
    })
    .await
    .map_err(|error| Error::failed(error.to_string()))??;
    fs_err::rename(&temporary, output)?;
    if settings.json {
        say_json(&json!({
            "v": 1, "type": "bundle", "file": output, "release": release, "pieces": sent.pieces, "bytes": sent.bytes,
        }))?;
    } else {
        say(&format!(
            "{output}: release {release}, {}, {}",
            human::count(sent.pieces as u64, "piece"),
            human::bytes(sent.bytes)
        ))?;
        say(&format!(
            "To deliver it by hand, copy it into the inbox of a host under a name that begins with a dot, then rename it:\n  scp {output} HOST:/opt/airlift/inbox/.new && ssh HOST mv /opt/airlift/inbox/.new /opt/airlift/inbox/{release}.bundle"
        ))?;
    }
    Ok(Exit::Success)
}

async fn show_file(file: &Utf8Path, settings: &Settings) -> Result<Exit, Error> {
    let path = file.to_owned();
    let (release, pieces, missing, tree) = tokio::task::spawn_blocking(move || -> Result<_, Error> {
        let usage = |error: airlift_hosts::bundle::BundleError| Error::usage(chain(&error));
        let bundle = BundleFile::open(path.as_std_path()).map_err(usage)?;
        let missing = bundle.missing();
        let tree = if missing == 0 { Some(bundle.tree().map_err(usage)?) } else { None };
        Ok((bundle.manifest().release, bundle.manifest().pieces.len(), missing, tree))
    })
    .await
    .map_err(|error| Error::failed(error.to_string()))??;
    if settings.json {
        let entries = tree.as_ref().map(entries);
        say_json(&json!({
            "v": 1, "type": "bundle", "release": release, "pieces": pieces, "missing": missing, "entries": entries,
        }))?;
        return Ok(Exit::Success);
    }
    say(&format!("release {release}, {}", human::count(pieces as u64, "piece")))?;
    match &tree {
        Some(tree) => list(tree),
        None => say(&format!("{missing} of its pieces are not in the file: the host must have them already")),
    }?;
    Ok(Exit::Success)
}

async fn show_project(settings: &Settings) -> Result<Exit, Error> {
    let project = Project::load(settings)?;
    let plan = project.scan(settings, Memory::None, None, false).await?.ok_or_else(no_bundle)?;
    if settings.json {
        say_json(&json!({
            "v": 1, "type": "bundle", "release": plan.release(), "pieces": plan.manifest().pieces.len(), "missing": 0,
            "entries": entries(plan.tree()),
        }))?;
        return Ok(Exit::Success);
    }
    say(&format!("release {}, {}", plan.release(), human::count(plan.manifest().pieces.len() as u64, "piece")))?;
    list(plan.tree())?;
    Ok(Exit::Success)
}

fn no_bundle() -> Error {
    Error::refused("the config has no bundle").help("add `bundle:` to airlift.yaml")
}

/// The bundle may be anybody's: what it names is shown, never interpreted. Paths have a printable form of their own.
fn list(tree: &Tree) -> Result<(), Error> {
    for entry in tree.entries() {
        let path = entry.path.to_string();
        say(&match &entry.kind {
            Kind::Dir => format!("d {:04o} {:>10}  {path}/", entry.mode, ""),
            Kind::File { len, .. } => format!("f {:04o} {:>10}  {path}", entry.mode, human::bytes(*len)),
            Kind::Link { target } => {
                format!("l {:04o} {:>10}  {path} -> {}", entry.mode, "", clean::line(target))
            }
        })?;
    }
    Ok(())
}

fn entries(tree: &Tree) -> Vec<serde_json::Value> {
    tree.entries()
        .iter()
        .map(|entry| {
            let (kind, len, target) = match &entry.kind {
                Kind::Dir => ("dir", None, None),
                Kind::File { len, .. } => ("file", Some(*len), None),
                Kind::Link { target } => ("link", None, Some(String::from_utf8_lossy(target).into_owned())),
            };
            json!({
                "path": entry.path.to_string(), "kind": kind, "mode": format!("{:04o}", entry.mode),
                "bytes": len, "target": target,
            })
        })
        .collect()
}
