//! What is published, and how it gets onto a machine: the installer, releases, and the workflows that make them.

#![allow(clippy::unwrap_used)]

mod install;
mod release;
mod workflows;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A script of the repository, not yet started, with nothing of the caller's configuration but PATH.
fn script(name: &str) -> Command {
    let mut command = Command::new(root().join(name));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A value of the workspace's manifest.
fn manifest(table: &[&str]) -> String {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let document: toml_edit::DocumentMut = text.parse().unwrap();
    let mut item = document.as_item();
    for name in table {
        item = &item[name];
    }
    item.as_str().unwrap().to_owned()
}

/// The version of everything.
fn version() -> String {
    manifest(&["workspace", "package", "version"])
}

/// The targets that releases have binaries for.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// The one of them that this machine is.
const HERE: &str = if cfg!(target_arch = "aarch64") { TARGETS[1] } else { TARGETS[0] };
