//! A release that belongs to somebody other than root is his to change, and root follows nothing that he wrote.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::bundle::{Bundle, Tar};
use super::fixture::{Host, is_root};
use super::taking::{boot_run, records_systemctl, spec};
use crate::on_every_shell;

const NOBODY: u32 = 65534;

/// What root would do if it followed a changed release: a file appears at home.
const HARM: &str = "touch \"$HOME/harm\"\n";

/// Everything in a release says `HARM`, as whoever owns the folder can have it.
fn spoil(release: &Path) {
    let ours = release.join(".airlift");
    fs::rename(&ours, release.join("away")).unwrap();
    fs::create_dir(&ours).unwrap();
    fs::write(ours.join("env"), HARM).unwrap();
    fs::write(ours.join("spec"), "airlift-spec 1\nbootstrap harm\nservice harm.service\npackage harm\n").unwrap();
    for name in ["setup.sh", "harm", "web.service", "harm.service"] {
        fs::write(release.join(name), HARM).unwrap();
        fs::set_permissions(release.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Paths beneath `folder` that are `owner`'s.
fn belonging_to(owner: u32, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.uid() == owner {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
            if meta.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

on_every_shell! {
    /// Needs root, as giving away files does.
    fn a_release_belongs_to_its_owner(host: &Host) {
        if !is_root() {
            return;
        }
        let tree = spec("owner nobody:nogroup\n").folder("d", 0o755).file("d/f", 0o4755, "x").link("l", "/etc/passwd");
        let before = fs::metadata("/etc/passwd").unwrap().uid();
        host.takes(&Bundle::of(tree));
        for name in ["current/d", "current/d/f", "current/l"] {
            assert_eq!(fs::symlink_metadata(host.root(name)).unwrap().uid(), 65534, "{name}");
        }
        assert_eq!(fs::metadata("/etc/passwd").unwrap().uid(), before);
        let nobody = Bundle::of(spec("owner nobody9\n"));
        assert!(host.refuses(&nobody, &nobody.full()).contains("no nobody9"));
    }

    /// Needs root, as giving away files does.
    fn nothing_but_the_release_is_given_away(host: &Host) {
        if !is_root() {
            return;
        }
        let _ = records_systemctl(host);
        let tree = spec("owner nobody:nogroup\nbootstrap setup.sh\nservice web.service\n")
            .file(".airlift/env", 0o644, "export A='b'\n")
            .file("setup.sh", 0o755, "true")
            .file("web.service", 0o644, "");
        let bundle = Bundle::of(tree);
        host.takes(&bundle);
        let release = format!("releases/{}", bundle.release);
        let theirs = belonging_to(NOBODY, &host.root(""));
        assert!(theirs.contains(&release));
        assert_eq!(theirs.iter().filter(|path| !path.starts_with(&release)).collect::<Vec<_>>(), [""; 0]);
    }

    /// Needs root, as systemd does.
    fn what_an_owner_makes_of_his_release_is_not_followed(host: &Host) {
        if !is_root() {
            return;
        }
        let log = records_systemctl(host);
        let tree = spec("owner nobody:nogroup\nbootstrap setup.sh\nservice web.service\n")
            .file(".airlift/env", 0o644, "export A='b'\n")
            .file("setup.sh", 0o755, "true")
            .file("web.service", 0o644, "as delivered");
        let bundle = Bundle::of(tree);
        host.takes(&bundle);
        log();
        spoil(&host.root("current"));
        fs::remove_dir_all(host.root(&format!("runs/{}", boot_run(&bundle)))).unwrap(); // so that it is bootstrapped again

        host.takes(&bundle);
        host.verb(&["sweep"]).ok();
        host.verb(&["switch", "none", &bundle.release]).ok();
        host.verb(&["switch", &bundle.release, "none"]).ok();
        host.feed(&["stage", "r-1", "t"], &Tar::new().file("script", 0o644, "echo \"$A\"").bytes()).ok();
        host.verb(&["start", "r-1", "t"]).ok();
        host.verb(&["await", "run", "r-1"]).ok();

        assert!(!host.path("home/harm").exists());
        assert_eq!(host.read("runs/r-1/stdout"), b"b\n");
        assert!(host.look("bootstrap")[0].contains("exit=code:0"));
        assert_eq!(host.read("units/web.service"), b"as delivered");
        let asked = log();
        assert!(!asked.contains("harm") && !asked.contains("current") && !asked.contains("releases"), "{asked}");
    }
}
