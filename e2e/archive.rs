//! Image archives as `docker save` writes them.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// An archive being written, layer by layer.
pub(crate) struct Image {
    archive: tar::Builder<File>,
    /// Digests of the layers, the lowest first.
    layers: Vec<String>,
}

impl Image {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { archive: tar::Builder::new(File::create(path)?), layers: Vec::new() })
    }

    /// Adds a layer with what `fill` puts into it.
    pub(crate) fn layer(
        &mut self,
        fill: impl FnOnce(&mut Layer) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut layer = Layer(tar::Builder::new(Vec::new()));
        fill(&mut layer)?;
        let bytes = layer.0.into_inner()?;
        let digest = hex(&Sha256::digest(&bytes));
        file(&mut self.archive, &format!("{digest}/layer.tar"), &bytes, 0o644)?;
        self.layers.push(digest);
        Ok(())
    }

    /// Ends the archive: how containers of the image run, and its name.
    pub(crate) fn finish(mut self, reference: &str, config: &Value) -> io::Result<()> {
        let digests: Vec<_> = self.layers.iter().map(|layer| format!("sha256:{layer}")).collect();
        let config = serde_json::to_vec(&json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": digests},
        }))?;
        let name = format!("{}.json", hex(&Sha256::digest(&config)));
        let layers: Vec<_> = self.layers.iter().map(|layer| format!("{layer}/layer.tar")).collect();
        let manifest = json!([{"Config": name, "RepoTags": [reference], "Layers": layers}]);
        file(&mut self.archive, &name, &config, 0o644)?;
        file(&mut self.archive, "manifest.json", manifest.to_string().as_bytes(), 0o644)?;
        self.archive.into_inner()?.flush()
    }
}

/// A layer being filled.
pub(crate) struct Layer(tar::Builder<Vec<u8>>);

impl Layer {
    pub(crate) fn file(&mut self, path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        file(&mut self.0, path, bytes, mode)
    }

    pub(crate) fn dir(&mut self, path: &str, mode: u32) -> io::Result<()> {
        let mut header = header(0, mode);
        header.set_entry_type(tar::EntryType::Directory);
        self.0.append_data(&mut header, format!("{path}/"), io::empty())
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = header(0, 0o777);
        header.set_entry_type(tar::EntryType::Symlink);
        self.0.append_link(&mut header, path, target)
    }
}

fn file<W: io::Write>(
    tar: &mut tar::Builder<W>,
    path: &str,
    bytes: &[u8],
    mode: u32,
) -> io::Result<()> {
    tar.append_data(&mut header(bytes.len() as u64, mode), path, bytes)
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

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
