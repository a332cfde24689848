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

/// The targets of Linux that releases have binaries for.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// Bytes of a file, each with its place.
type Head = &'static [(usize, &'static [u8])];

/// The targets that they have clients for, and the first bytes of a program for each, in hex: Mach-O with the machine's
/// number; what is left of DOS with the place of PE's head, which has it.
const CLIENTS: [(&str, Head); 3] = [
    ("x86_64-apple-darwin", &[(0, &[0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1])]),
    ("aarch64-apple-darwin", &[(0, &[0xcf, 0xfa, 0xed, 0xfe, 12, 0, 0, 1])]),
    ("x86_64-pc-windows-msvc", &[(0, b"MZ"), (60, &[128]), (128, b"PE\0\0\x64\x86")]),
];

/// A file that looks like a program, from its head and its place in the file.
fn program(head: Head) -> Vec<u8> {
    let mut program = vec![0; 256];
    for (place, bytes) in head {
        program[*place..place + bytes.len()].copy_from_slice(bytes);
    }
    program
}

/// The name of the archive with the program for a target.
fn archive(version: &str, target: &str) -> String {
    let kind = if target.contains("-windows-") { "zip" } else { "tar.gz" };
    format!("curtain-{version}-{target}.{kind}")
}

/// The one of them that this machine is.
const HERE: &str = if cfg!(target_arch = "aarch64") { TARGETS[1] } else { TARGETS[0] };
