//! Packs the program for Linux into a build for another system, which makes the platform's image of it.
//!
//! `CURTAIN_LINUX_PROGRAM` names the static program of the same version and architecture. A build without one works but
//! for `up`, which says so.

use std::{
    env, fs,
    io::{Error, Result, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

const PROGRAM: &str = "CURTAIN_LINUX_PROGRAM";

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={PROGRAM}");
    let out = PathBuf::from(set("OUT_DIR"));
    // On Linux the running program is the one for Linux.
    let named = set(PROGRAM);
    let carried = match named.is_empty() || set("CARGO_CFG_TARGET_OS") == "linux" {
        true => "None".to_owned(),
        false => pack(Path::new(&named), &out.join("linux.gz"))?,
    };
    fs::write(out.join("carried.rs"), carried)
}

fn set(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Packs the program at `path` into `to`, and returns the expression that includes it.
fn pack(path: &Path, to: &Path) -> Result<String> {
    println!("cargo::rerun-if-changed={}", path.display());
    let failed = |why: &str| Error::other(format!("{PROGRAM}: {}: {why}", path.display()));
    let program = fs::read(path).map_err(|error| failed(&error.to_string()))?;
    let wanted = set("CARGO_CFG_TARGET_ARCH");
    let number = match wanted.as_str() {
        "x86_64" => 62,
        "aarch64" => 183,
        _ => return Err(failed("there is no curtain for Linux on this architecture")),
    };
    // An ELF file says in its head what machine it is for.
    if !program.starts_with(b"\x7fELF") || program.get(18..20) != Some(&[number, 0]) {
        return Err(failed(&format!("it is no program for Linux on {wanted}")));
    }
    let mut packed = GzEncoder::new(fs::File::create(to)?, Compression::best());
    packed.write_all(&program)?;
    packed.finish()?;
    let sha256 = hex(&Sha256::digest(&program));
    Ok(format!("Some(Carried {{ packed: include_bytes!({to:?}), sha256: {sha256:?} }})"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
