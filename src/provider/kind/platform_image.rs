//! The platform's image: the program for Linux and the machine's certificate authorities, as a docker-save archive.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use ring::digest::{Context, SHA256};
use serde_json::json;

use super::machine::image_architecture;

/// Where Debian, and with it most of the others, keeps the certificate authorities.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where this machine keeps them.
const HERE: &str = if cfg!(target_os = "macos") { "/etc/ssl/cert.pem" } else { AUTHORITIES };

/// Writes the image called `reference` to `into`; its only layer holds the program at `binary`.
///
/// # Errors
/// A program that cannot be read, or a file that cannot be written.
pub(crate) fn write(binary: &Path, reference: &str, into: &mut impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(into);
    // A layer's name is its hash, which is known only when it is written: so it is hashed first and written then.
    let mut hash = Hash { context: Context::new(&SHA256), length: 0 };
    layer(binary, &mut hash)?;
    let (length, diff) = (hash.length, hex(hash.context.finish().as_ref()));
    let config = json!({
        "architecture": architecture(binary)?,
        "os": "linux",
        "config": { "Entrypoint": ["/curtain"], "Env": [format!("SSL_CERT_FILE={AUTHORITIES}")] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff}")] },
        "history": [{ "created_by": "curtain" }],
    });
    let config = serde_json::to_vec(&config)?;
    let name = {
        let mut context = Context::new(&SHA256);
        context.update(&config);
        format!("{}.json", hex(context.finish().as_ref()))
    };
    let layer_name = format!("{diff}/layer.tar");
    let manifest = json!([{ "Config": name, "RepoTags": [reference], "Layers": [layer_name] }]);
    append(&mut archive, &name, config.as_slice(), config.len() as u64, 0o644)?;
    let manifest = serde_json::to_vec(&manifest)?;
    append(&mut archive, "manifest.json", manifest.as_slice(), manifest.len() as u64, 0o644)?;
    let mut header = header(length, 0o644);
    header.set_path(&layer_name)?;
    header.set_cksum();
    archive.get_mut().write_all(header.as_bytes())?;
    // A layer is an archive itself, so it fills whole blocks and needs no padding.
    layer(binary, archive.get_mut())?;
    archive.into_inner()?.flush()
}

/// The one layer, the same bytes for the same program.
fn layer(binary: &Path, into: &mut impl Write) -> io::Result<()> {
    let mut layer = tar::Builder::new(into);
    for (folder, mode) in
        [("etc/", 0o755), ("etc/ssl/", 0o755), ("etc/ssl/certs/", 0o755), ("tmp/", 0o1777)]
    {
        let mut header = header(0, mode);
        header.set_entry_type(tar::EntryType::Directory);
        layer.append_data(&mut header, folder, io::empty())?;
    }
    // A machine that keeps none there, such as Windows, has an image without: then its programs trust nobody but the
    // platform itself.
    if let Ok(file) = File::open(HERE) {
        let length = file.metadata()?.len();
        append(&mut layer, AUTHORITIES.trim_start_matches('/'), file, length, 0o644)?;
    }
    let program = File::open(binary)?;
    let length = program.metadata()?.len();
    append(&mut layer, "curtain", program, length, 0o755)?;
    layer.into_inner()?.flush()
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    content: impl Read,
    length: u64,
    mode: u32,
) -> io::Result<()> {
    archive.append_data(&mut header(length, mode), name, content)
}

fn header(length: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(length);
    header.set_mode(mode);
    // A field left empty is no number to some readers.
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// What the program at `binary` was built for, as images call it.
fn architecture(binary: &Path) -> io::Result<&'static str> {
    const ELF: &[u8] = b"\x7fELF";
    let mut head = [0; 20];
    File::open(binary)?.read_exact(&mut head)?;
    match (&head[..4], u16::from_le_bytes([head[18], head[19]])) {
        (ELF, 62) => Ok("amd64"),
        (ELF, 183) => Ok("arm64"),
        // It is this very program.
        (ELF, _) if cfg!(target_os = "linux") => Ok(image_architecture(std::env::consts::ARCH)),
        _ => {
            let why = format!("{} is no program for Linux on amd64 or arm64", binary.display());
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes and counts what is written to it.
struct Hash {
    context: Context,
    length: u64,
}

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.context.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and contents of an archive's files.
    fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (name, content)
        });
        entries.collect()
    }

    /// The first bytes of a program for a machine, by its number in ELF, and more.
    fn program(machine: u8) -> Vec<u8> {
        let mut program = vec![7; 1_000];
        program[..4].copy_from_slice(b"\x7fELF");
        program[18..20].copy_from_slice(&[machine, 0]);
        program
    }

    #[test]
    fn the_architecture_is_the_programs_and_what_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("curtain");
        for (content, found) in [
            (program(62), Some("amd64")),
            (program(183), Some("arm64")),
            // On Linux the program is this very one.
            (
                program(8),
                cfg!(target_os = "linux").then(|| image_architecture(std::env::consts::ARCH)),
            ),
            (vec![b'M'; 64], None),
        ] {
            std::fs::write(&binary, content).unwrap();
            assert_eq!(architecture(&binary).ok(), found);
        }
    }

    #[test]
    fn the_archive_is_what_docker_save_writes() {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("curtain");
        std::fs::write(&binary, program(183)).unwrap();
        let mut archive = Vec::new();
        write(&binary, "docker.io/library/curtain:1", &mut archive).unwrap();
        let files = files(&archive);
        let find = |name: &str| &files.iter().find(|file| file.0 == name).unwrap().1;

        let manifest: serde_json::Value = serde_json::from_slice(find("manifest.json")).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "docker.io/library/curtain:1");
        let config = find(manifest[0]["Config"].as_str().unwrap());
        let config: serde_json::Value = serde_json::from_slice(config).unwrap();
        assert_eq!(config["config"]["Entrypoint"][0], "/curtain");
        assert_eq!(config["architecture"], "arm64");

        let layer = find(manifest[0]["Layers"][0].as_str().unwrap());
        let hash = ring::digest::digest(&SHA256, layer);
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(hash.as_ref())));
        for entry in tar::Archive::new(layer.as_slice()).entries().unwrap() {
            let header = entry.unwrap().header().clone();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0), "{header:?}");
        }
        let mut inside = tar::Archive::new(layer.as_slice());
        let program = inside
            .entries()
            .unwrap()
            .map(Result::unwrap)
            .find(|entry| entry.path().unwrap() == Path::new("curtain"));
        let header = program.unwrap().header().clone();
        assert_eq!((header.size().unwrap(), header.mode().unwrap()), (1_000, 0o755));
    }
}
