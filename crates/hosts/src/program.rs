//! `host.sh`, the program that lives on a host, and the two short scripts that find and install it.

use std::sync::LazyLock;

use airlift_core::id::Digest;

/// The program: its parts in the order of their names. The first holds what the others share; the last calls the verb that
/// was asked for.
pub const HOST_SH: &str = concat!(
    include_str!("onhost/host/10-base.sh"),
    include_str!("onhost/host/20-look.sh"),
    include_str!("onhost/host/22-stage.sh"),
    include_str!("onhost/host/24-start.sh"),
    include_str!("onhost/host/26-attend.sh"),
    include_str!("onhost/host/28-runs.sh"),
    include_str!("onhost/host/30-claim.sh"),
    include_str!("onhost/host/40-arrive.sh"),
    include_str!("onhost/host/50-spec.sh"),
    include_str!("onhost/host/52-take.sh"),
    include_str!("onhost/host/54-serve.sh"),
    include_str!("onhost/host/56-supply.sh"),
    include_str!("onhost/host/58-release.sh"),
    include_str!("onhost/host/90-keep.sh"),
    include_str!("onhost/host/92-hostkey.sh"),
    include_str!("onhost/host/99-verbs.sh"),
);

/// The first look at a host: finds the root folder, and answers for a `host.sh` that is not there yet.
pub const PROBE_SH: &str = include_str!("onhost/probe.sh");

/// Puts `host.sh` in place.
pub const INSTALL_SH: &str = include_str!("onhost/install.sh");

/// SHA-256 of [`HOST_SH`]: its version.
pub fn digest() -> Digest {
    static DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::of(HOST_SH.as_bytes()));
    *DIGEST
}
