//! Which images an archive holds, as `docker save` or an OCI tool wrote it.
//!
//! Invariant: whatever containerd would keep of the archive has a name that is among those found; so where the two could
//! read differently, both readings count.

mod json;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{ErrorKind, Read},
    path::{Component, Path, PathBuf},
};

use json::Json;

/// How long an index in an archive may be, in bytes.
const LONGEST: u64 = 4 << 20;
/// Names of images in the annotations of an OCI index.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// The references of every image in the archive at `path`, completed as containerd completes them.
///
/// # Errors
/// Why it is not an archive of images, in words.
pub(crate) fn references(path: &Path) -> Result<BTreeSet<String>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut archive = tar::Archive::new(file);
    let (mut found, mut indexed) = (BTreeSet::new(), false);
    for (index, entry) in archive.entries().map_err(|error| error.to_string())?.enumerate() {
        let entry = entry.map_err(|error| match index {
            // What the reader says quotes the file.
            0 if error.kind() != ErrorKind::UnexpectedEof => "it is no tar archive".to_owned(),
            _ => format!("it is not a whole tar: {error}"),
        })?;
        let name = clean(&entry.path().map_err(|error| error.to_string())?);
        let read: fn(&Json) -> Vec<String> = match name.to_str() {
            Some("manifest.json") => docker,
            Some("index.json") => oci,
            _ => continue,
        };
        let mut bytes = Vec::new();
        entry.take(LONGEST).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let index = serde_json::from_slice(&bytes)
            .map_err(|error| format!("its {} is not JSON: {error}", name.display()))?;
        found.extend(read(&index).iter().map(|name| complete(name)));
        indexed = true;
    }
    if !indexed {
        return Err("it has neither a manifest.json nor an index.json".to_owned());
    }
    Ok(found)
}

/// `a/../b` as `b`.
fn clean(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::ParentDir => drop(plain.pop()),
            _ => {}
        }
    }
    plain
}

/// The tags in what `docker save` writes.
fn docker(manifest: &Json) -> Vec<String> {
    let tags = manifest.items().flat_map(|image| image.all("RepoTags").flat_map(Json::items));
    tags.filter_map(|tag| tag.text().map(str::to_owned)).collect()
}

/// The names in an OCI index. A name that is only a tag says nothing.
fn oci(index: &Json) -> Vec<String> {
    let manifests = index.all("manifests").flat_map(Json::items);
    let annotations = manifests.flat_map(|one| one.all("annotations"));
    annotations
        .flat_map(|one| NAMES.iter().flat_map(|name| one.all(name)))
        .filter_map(Json::text)
        .filter(|name| name.contains([':', '/', '@']))
        .map(str::to_owned)
        .collect()
}

/// `busybox` as `docker.io/library/busybox:latest`.
pub(crate) fn complete(name: &str) -> String {
    let (host, path) = match name.split_once('/') {
        Some(("docker.io" | "index.docker.io", path)) if !path.contains('/') => {
            ("docker.io", format!("library/{path}"))
        }
        Some(("index.docker.io", path)) => ("docker.io", path.to_owned()),
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
            (host, path.to_owned())
        }
        Some(_) => ("docker.io", name.to_owned()),
        None => ("docker.io", format!("library/{name}")),
    };
    let tagged =
        path.contains('@') || path.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if tagged { format!("{host}/{path}") } else { format!("{host}/{path}:latest") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut archive = tar::Builder::new(file.reopen().unwrap());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap();
        file
    }

    #[test]
    fn names_come_from_either_kind_of_index() {
        let file = archive(&[
            ("x/layer.tar", "…"),
            ("./manifest.json", r#"[{"RepoTags":["app:1","app:latest"]}]"#),
            (
                "index.json",
                r#"{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"1"}},
                    {"annotations":{"io.containerd.image.name":"ghcr.io/o/tool:2"}}]}"#,
            ),
        ]);
        let found: Vec<_> = references(file.path()).unwrap().into_iter().collect();
        assert_eq!(
            found,
            ["docker.io/library/app:1", "docker.io/library/app:latest", "ghcr.io/o/tool:2"]
        );
    }

    #[test]
    fn no_name_is_missed_that_containerd_finds() {
        let file = archive(&[
            ("blobs/./manifest.json", r#"[{"RepoTags":["app:blob"]}]"#),
            (
                "manifest.json",
                r#"[{"repotags":["app:1"],"RepoTag\u017f":["app:2"],"RepoTags":[]}]"#,
            ),
            ("./manifest.json", r#"[{"RepoTags":["app:3"],"RepoTags":["app:4"]}]"#),
            (
                "index.json",
                r#"{"manifests":[{"annotations":{"io.containerd.image.name":"app:5",
                    "org.opencontainers.image.ref.name":"app:6"},"annotations":{}}]}"#,
            ),
        ]);
        let found: Vec<_> = references(file.path()).unwrap().into_iter().collect();
        assert_eq!(found, [1, 2, 3, 4, 5, 6].map(|tag| format!("docker.io/library/app:{tag}")));
    }

    #[test]
    fn what_holds_no_images_is_said() {
        let file = archive(&[("README", "hello")]);
        assert!(references(file.path()).unwrap_err().contains("manifest.json"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![1; 2_000]).unwrap();
        assert!(references(file.path()).unwrap_err().contains("no tar archive"));
        let file = archive(&[("manifest.json", "[]"), ("layer", &"x".repeat(2_000))]);
        file.as_file().set_len(2_000).unwrap();
        assert!(references(file.path()).unwrap_err().contains("not a whole tar"));
    }

    #[test]
    fn names_are_completed() {
        assert_eq!(complete("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(complete("me/app:1"), "docker.io/me/app:1");
        assert_eq!(complete("localhost:5000/app"), "localhost:5000/app:latest");
        assert_eq!(complete("index.docker.io/app:1"), "docker.io/library/app:1");
    }
}
