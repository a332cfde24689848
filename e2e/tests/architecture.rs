//! The arrows between rooms, and how the rooms are kept.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Which rooms a room may use. A room that is not here does not exist; tests may use `embedded` besides.
const ROOMS: &[(&str, &[&str])] = &[
    ("machine", &[]),
    ("cel", &[]),
    ("schema", &["cel"]),
    ("json", &["schema"]),
    ("template", &["cel"]),
    ("role", &["machine"]),
    ("tunnel", &[]),
    ("otlp", &[]),
    ("sample", &["otlp", "role"]),
    ("embedded", &["cel", "json", "schema", "role"]),
    ("bundle", &["template"]),
    ("provider", &["embedded", "machine"]),
    ("demo", &[]),
    ("deploy", &[]),
    ("appliance", &["bundle", "demo", "deploy", "machine", "provider"]),
    ("platform", &["cel", "schema", "template", "role"]),
    ("control", &["cel", "platform", "role", "schema", "tunnel"]),
    ("data", &["role", "tunnel"]),
    ("observe", &["control", "otlp", "platform", "role", "template"]),
    ("agents", &["control", "role"]),
    ("portal", &["demo", "deploy", "role"]),
    (
        "cli",
        &[
            "agents",
            "appliance",
            "bundle",
            "control",
            "data",
            "embedded",
            "machine",
            "observe",
            "platform",
            "portal",
            "provider",
            "role",
            "sample",
        ],
    ),
];

/// Where `unsafe` may stand: the node's sandbox and network.
const UNSAFE: &str = "src/embedded/node/";

/// The rooms that may speak to the operating system itself; the others ask `machine`.
const KNOWS_SYSTEMS: [&str; 2] = ["machine", "embedded"];
/// Crates that speak to it.
const SYSTEM: [&str; 6] = ["fs4", "libc", "nix", "rustix", "sysinfo", "windows-sys"];
/// Paths in code that do.
const SYSTEM_PATHS: [&str; 4] = ["std::os::", "nix::", "libc::", "rustix::"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The crates that a manifest depends on, on any system.
fn dependencies(manifest: &toml_edit::DocumentMut) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(|targets| targets.as_table_like());
    let tables = targets.into_iter().flat_map(|targets| targets.iter().map(|(_, table)| table));
    let tables = tables.chain(std::iter::once(manifest.as_item()));
    tables
        .filter_map(|table| table.get("dependencies")?.as_table_like())
        .flat_map(|table| table.iter().map(|(name, _)| name.to_owned()))
        .collect()
}

#[test]
fn rooms_use_only_what_the_design_lets_them() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ROOMS.iter().map(|(room, uses)| (*room, uses.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for entry in fs::read_dir(root().join("src")).unwrap().flatten() {
        let manifest = entry.path().join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&manifest) else { continue };
        let room = entry.file_name().to_string_lossy().into_owned();
        let Some(allowed) = allowed.get(room.as_str()) else {
            wrong.push(format!("{room} is not in the table of rooms"));
            continue;
        };
        let table: toml_edit::DocumentMut = text.parse().unwrap();
        for name in dependencies(&table) {
            if let Some(used) = name.strip_prefix("curtain-")
                && !allowed.contains(used)
            {
                wrong.push(format!("{room} may not use {used}"));
            }
            if SYSTEM.contains(&name.as_str()) && !KNOWS_SYSTEMS.contains(&room.as_str()) {
                wrong.push(format!("{room} may not use {name}: `machine` does"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_one_room_and_the_cluster_speak_to_the_system() {
    let mut wrong = Vec::new();
    for room in ROOMS.iter().map(|(room, _)| *room).filter(|room| !KNOWS_SYSTEMS.contains(room)) {
        let mut files = Vec::new();
        rust_files(&root().join("src").join(room), &mut files);
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code.filter(|line| SYSTEM_PATHS.iter().any(|path| line.contains(path))) {
                wrong.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "`machine` is the place for this: {wrong:#?}");
}

#[test]
fn rooms_open_with_their_purpose_and_files_hold_one_idea() {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    let mut wrong = Vec::new();
    for path in &files {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(path).unwrap();
        // A module's own `tests.rs` belongs to the file beside it, which has said what it is about.
        if !text.starts_with("//!") && !name.ends_with("/tests.rs") {
            wrong.push(format!("{name} does not open with its purpose"));
        }
        if text.len() > 60_000 {
            wrong.push(format!("{name} has {} KB; one file, one idea", text.len() / 1000));
        }
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        if !name.starts_with(UNSAFE) && text.lines().filter(is_code).any(|l| l.contains("unsafe {"))
        {
            wrong.push(format!("{name} is unsafe outside of {UNSAFE}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let specification = fs::read_to_string(root().join("SPECIFICATION.md")).unwrap();
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    rust_files(&root().join("e2e"), &mut files);
    let code: String = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut promises = 0;
    let mut wrong = Vec::new();
    for row in specification.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let proof = row.trim_end_matches('|').rsplit('|').next().unwrap();
        for test in proof.split('`').skip(1).step_by(2) {
            promises += 1;
            let name = test.rsplit("::").next().unwrap();
            if !code.contains(&format!("fn {name}(")) && !root().join(test).exists() {
                wrong.push(test.to_owned());
            }
        }
    }
    assert!(promises > 0, "SPECIFICATION.md names no test");
    assert!(wrong.is_empty(), "no such test: {wrong:#?}");
}
