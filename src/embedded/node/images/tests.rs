//! Archives made by hand, good ones and bad ones.

use std::io::{Cursor, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::slice;

use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::budget::Budget;
use super::store::load_within;
use super::*;

fn sha(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A tar file of `(name, content)`; names as given, even bad ones.
pub(in crate::node) fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        add(&mut builder, name, content, tar::EntryType::Regular, "");
    }
    builder.into_inner().unwrap()
}

fn add(
    builder: &mut tar::Builder<Vec<u8>>,
    name: &str,
    content: &[u8],
    kind: tar::EntryType,
    link: &str,
) {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_size(content.len() as u64);
    header.set_mode(if kind == tar::EntryType::Directory { 0o750 } else { 0o640 });
    header.set_uid(11);
    header.set_gid(22);
    header.set_mtime(1_000_000);
    header.set_entry_type(kind);
    header.set_cksum();
    builder.append(&header, content).unwrap();
}

pub(in crate::node) fn docker_save(name: &str, layers: &[Vec<u8>], stored: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<String> =
        layers.iter().map(|layer| format!("sha256:{}", sha(layer))).collect();
    let config = serde_json::json!({
        "architecture": manifest::machine(), "os": "linux",
        "config": {"Cmd": ["/bin/app"], "Env": ["A=1"], "Entrypoint": null},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let names: Vec<String> =
        (0..stored.len()).map(|number| format!("{number}/layer.tar")).collect();
    let manifest =
        serde_json::json!([{"Config": "config.json", "RepoTags": [name], "Layers": names}]);
    let (config, manifest) = (config.to_string(), manifest.to_string());
    let mut files: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(stored.iter().map(Vec::as_slice)).collect();
    files.push(("config.json", config.as_bytes()));
    files.push(("manifest.json", manifest.as_bytes()));
    tar_of(&files)
}

fn simple_layer() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    add(&mut builder, "bin/", b"", tar::EntryType::Directory, "");
    add(&mut builder, "bin/app", b"program", tar::EntryType::Regular, "");
    add(&mut builder, "bin/link", b"", tar::EntryType::Symlink, "app");
    add(&mut builder, "bin/hard", b"", tar::EntryType::Link, "bin/app");
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn layer_path(home: &Path, image: &Image, index: usize) -> std::path::PathBuf {
    layers_dir(home).join(&image.layers[index])
}

#[test]
fn a_docker_archive_is_stored_and_found_by_any_spelling() {
    let home = tempfile::tempdir().unwrap();
    let plain = simple_layer();
    let top = tar_of(&[("etc/.wh.old", b""), ("var/.wh..wh..opq", b""), ("etc/new", b"x")]);
    let archive = docker_save("app:1", &[plain.clone(), top.clone()], &[gzip(&plain), top.clone()]);
    let loaded = load(home.path(), Cursor::new(gzip(&archive))).unwrap();
    assert_eq!(loaded[0].reference, "docker.io/library/app:1");
    let image = find(home.path(), "app:1").unwrap().unwrap();
    assert_eq!(image.config.cmd, ["/bin/app"]);

    let layers = layers_dir(home.path()).metadata().unwrap();
    assert_eq!(layers.permissions().mode() & 0o777, 0o700, "for root alone");
    let lower = layer_path(home.path(), &image, 1);
    let app = lower.join("bin/app").metadata().unwrap();
    assert_eq!((app.uid(), app.gid(), app.mtime()), (11, 22, 1_000_000));
    assert_eq!(app.permissions().mode() & 0o7777, 0o640);
    assert_eq!(app.nlink(), 2);
    assert_eq!(lower.join("bin").metadata().unwrap().mtime(), 1_000_000);
    assert_eq!(std::fs::read_link(lower.join("bin/link")).unwrap(), Path::new("app"));

    let upper = layer_path(home.path(), &image, 0);
    let whiteout = upper.join("etc/old").symlink_metadata().unwrap();
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    assert!(!upper.join("var/.wh..wh..opq").exists());
    assert!(!home.path().join("images/staging").exists());

    // Again is no change.
    assert_eq!(load(home.path(), Cursor::new(archive)).unwrap()[0].id, image.id);
    assert!(find(home.path(), "app:2").unwrap().is_none());
}

#[test]
fn an_oci_layout_is_stored() {
    let home = tempfile::tempdir().unwrap();
    let plain = simple_layer();
    let packed = gzip(&plain);
    let config = serde_json::json!({"architecture": manifest::machine(), "os": "linux",
        "rootfs": {"diff_ids": [format!("sha256:{}", sha(&plain))]}})
    .to_string();
    let descriptor = |bytes: &[u8]| serde_json::json!({"digest": format!("sha256:{}", sha(bytes))});
    let document =
        serde_json::json!({"config": descriptor(config.as_bytes()), "layers": [descriptor(&packed)]})
            .to_string();
    let mut entry = descriptor(document.as_bytes());
    entry["annotations"] =
        serde_json::json!({"org.opencontainers.image.ref.name": "ghcr.io/x/y:2"});
    let mut other = entry.clone();
    other["platform"] = serde_json::json!({"os": "linux", "architecture": "s390x"});
    let index = serde_json::json!({"manifests": [other, entry]}).to_string();
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha(bytes));
    let archive = tar_of(&[
        ("index.json", index.as_bytes()),
        (&blob(config.as_bytes()), config.as_bytes()),
        (&blob(document.as_bytes()), document.as_bytes()),
        (&blob(&packed), &packed),
    ]);
    let loaded = load(home.path(), Cursor::new(archive)).unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].reference, "ghcr.io/x/y:2");
}

#[test]
fn bad_archives_are_named_and_leave_nothing() {
    let layer = simple_layer();
    let good = docker_save("app:1", slice::from_ref(&layer), slice::from_ref(&layer));
    let mut other = layer.clone();
    other[1026] ^= 1; // inside the content of bin/app
    let up = tar_of(&[("../outside", b"x")]);
    type Case = (&'static str, Vec<u8>, fn(&ImageError) -> bool);
    let cases: Vec<Case> = vec![
        ("random bytes", b"this is not a tar file".repeat(100), |e| {
            matches!(e, ImageError::NotAnArchive { .. })
        }),
        ("empty", Vec::new(), |e| matches!(e, ImageError::NotAnImage)),
        ("truncated", good[..good.len() / 3].to_vec(), |e| {
            matches!(e, ImageError::Read { .. } | ImageError::NotAnImage)
        }),
        ("truncated gzip", gzip(&good)[..200].to_vec(), |e| matches!(e, ImageError::Read { .. })),
        ("no image", tar_of(&[("file", b"x")]), |e| matches!(e, ImageError::NotAnImage)),
        ("another layer", docker_save("app:1", slice::from_ref(&layer), &[other]), |e| {
            matches!(e, ImageError::Digest { .. })
        }),
        ("path upwards", docker_save("app:1", slice::from_ref(&up), slice::from_ref(&up)), |e| {
            matches!(e, ImageError::Escape { .. })
        }),
        ("missing layer", docker_save("app:1", &[layer.clone(), layer.clone()], &[layer]), |e| {
            matches!(e, ImageError::Missing { .. })
        }),
    ];
    for (what, archive, expected) in cases {
        let home = tempfile::tempdir().unwrap();
        let error = load(home.path(), Cursor::new(archive)).unwrap_err();
        assert!(expected(&error), "{what}: {error:?}");
        assert!(list(home.path()).unwrap().is_empty(), "{what}");
        let left = std::fs::read_dir(layers_dir(home.path())).unwrap().count();
        assert_eq!(left, 0, "{what}");
        assert!(!home.path().join("images/staging").exists(), "{what}");
    }
}

#[test]
fn what_is_packed_small_is_not_unpacked_beyond_the_limits() {
    let zeros = tar_of(&[("small", b"x"), ("zeros", vec![0; 8 << 20].as_slice())]);
    let names: Vec<String> = (0..100).map(|number| format!("deep/{number}/file")).collect();
    let files: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let many = tar_of(&files);
    let mut sparse = tar::Header::new_gnu();
    sparse.set_path("sparse").unwrap();
    sparse.set_size(0);
    sparse.set_mode(0o600);
    sparse.set_uid(0);
    sparse.set_gid(0);
    sparse.set_mtime(0);
    sparse.set_entry_type(tar::EntryType::GNUSparse);
    let gnu = sparse.as_gnu_mut().unwrap();
    gnu.set_real_size(1 << 40);
    gnu.sparse[0].set_offset(1 << 40);
    gnu.sparse[0].set_length(0);
    sparse.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&sparse, std::io::empty()).unwrap();
    let sparse = builder.into_inner().unwrap();
    for (what, layer, most) in [
        ("zeros", &zeros, "1048576 bytes"),
        // A hundred, and as many parents.
        ("many files", &many, "150 files"),
        ("a file of nothing", &sparse, "1048576 bytes"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let archive = docker_save("app:1", slice::from_ref(layer), &[gzip(layer)]);
        let small = |dir: &Path| Budget::new(dir, 0, 1 << 20, 150);
        let error = load_within(home.path(), Cursor::new(archive), small).unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, ImageError::TooLarge { .. }), "{what}: {error:?}");
        assert!(said.contains(&format!("layer sha256:{}", sha(layer))), "{what}: {said}");
        assert!(said.contains(most), "{what}: {said}");
        assert_eq!(std::fs::read_dir(layers_dir(home.path())).unwrap().count(), 0, "{what}");
        assert!(!home.path().join("images/staging").exists(), "{what}");
    }
}

#[test]
fn names_that_never_end_are_not_held_in_memory() {
    let mut builder = tar::Builder::new(Vec::new());
    let name = vec![b'a'; 8 << 20];
    let mut header = tar::Header::new_gnu();
    header.set_path("././@LongLink").unwrap();
    header.set_size(name.len() as u64);
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_cksum();
    builder.append(&header, name.as_slice()).unwrap();
    add(&mut builder, "file", b"x", tar::EntryType::Regular, "");
    let layer = builder.into_inner().unwrap();
    for archive in [layer.clone(), docker_save("app:1", slice::from_ref(&layer), &[gzip(&layer)])] {
        let home = tempfile::tempdir().unwrap();
        let error = load(home.path(), Cursor::new(archive)).unwrap_err();
        assert!(error.to_string().contains("bytes of names"), "{error}");
    }
}

#[test]
fn a_layer_that_is_stored_under_the_name_of_another_is_not_taken_for_it() {
    let home = tempfile::tempdir().unwrap();
    let layer = simple_layer();
    let archive = docker_save("app:1", slice::from_ref(&layer), slice::from_ref(&layer));
    load(home.path(), Cursor::new(&archive)).unwrap();
    let image = find(home.path(), "app:1").unwrap().unwrap();
    let digest = sha(&layer);
    let other = format!("sha256:{}{}", &digest[..24], "0".repeat(40));
    let other = Digest::parse(&other).unwrap();
    super::layer::set_digest(&layer_path(home.path(), &image, 0), &other).unwrap();
    let error = load(home.path(), Cursor::new(&archive)).unwrap_err();
    assert!(matches!(error, ImageError::Clash { .. }), "{error:?}");
}

#[test]
fn links_do_not_lead_out_of_a_layer() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap().to_owned();
    let mut builder = tar::Builder::new(Vec::new());
    add(&mut builder, "out", b"", tar::EntryType::Symlink, &target);
    add(&mut builder, "up", b"", tar::EntryType::Symlink, "../../../../../..");
    add(&mut builder, "up/file", b"x", tar::EntryType::Regular, "");
    let layer = builder.into_inner().unwrap();
    let home = tempfile::tempdir().unwrap();
    let archive = docker_save("app:1", slice::from_ref(&layer), slice::from_ref(&layer));
    load(home.path(), Cursor::new(archive)).unwrap();
    let image = find(home.path(), "app:1").unwrap().unwrap();
    assert!(layer_path(home.path(), &image, 0).join("file").is_file());

    let mut builder = tar::Builder::new(Vec::new());
    add(&mut builder, "out", b"", tar::EntryType::Symlink, &target);
    add(&mut builder, "out/file", b"x", tar::EntryType::Regular, "");
    let layer = builder.into_inner().unwrap();
    let archive = docker_save("bad:1", slice::from_ref(&layer), slice::from_ref(&layer));
    assert!(load(home.path(), Cursor::new(archive)).is_err());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(find(home.path(), "bad:1").unwrap().is_none());
}
