//! A container image made of Debian's static busybox.

use std::{fs, io::Write as _, path::Path};

use serde_json::json;
use sha2::{Digest as _, Sha256};

/// Applets that get a link in `/bin`.
const APPLETS: [&str; 9] =
    ["sh", "httpd", "wget", "nc", "sleep", "cat", "echo", "nslookup", "hostname"];

/// Writes an archive as `docker save` does, holding one image `reference` with busybox and its links; `marker` lands
/// in `/www/index.html`, so that two images can be told apart by what they serve.
pub fn busybox_archive(path: &Path, reference: &str, marker: &str) -> std::io::Result<()> {
    let layer = layer(marker)?;
    let digest = hex(&Sha256::digest(&layer));
    let config = serde_json::to_vec(&json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {
            "Env": ["PATH=/bin"],
            "Cmd": ["/bin/httpd", "-f", "-v", "-p", "8080", "-h", "/www"],
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    }))?;
    let config_name = format!("{}.json", hex(&Sha256::digest(&config)));
    let layer_name = format!("{digest}/layer.tar");
    let manifest = serde_json::to_vec(&json!([
        {"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}
    ]))?;

    let mut archive = tar::Builder::new(fs::File::create(path)?);
    for (name, bytes) in [
        (config_name.as_str(), &config),
        (layer_name.as_str(), &layer),
        ("manifest.json", &manifest),
    ] {
        file(&mut archive, name, bytes, 0o644)?;
    }
    archive.into_inner()?.flush()
}

fn layer(marker: &str) -> std::io::Result<Vec<u8>> {
    let busybox = fs::read("/bin/busybox")?;
    let mut tar = tar::Builder::new(Vec::new());
    file(&mut tar, "bin/busybox", &busybox, 0o755)?;
    for applet in APPLETS {
        let mut header = header(0, 0o777);
        header.set_entry_type(tar::EntryType::Symlink);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
    }
    file(&mut tar, "www/index.html", format!("{marker}\n").as_bytes(), 0o644)?;
    file(&mut tar, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644)?;
    tar.into_inner()
}

fn file<W: std::io::Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    bytes: &[u8],
    mode: u32,
) -> std::io::Result<()> {
    tar.append_data(&mut header(bytes.len() as u64, mode), name, bytes)
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
