//! Layers that are there already, and files of those that come.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::node::images::{Digest, ImageError};

#[tokio::test]
async fn layers_that_are_there_are_not_asked_for() {
    let (registry, dir) = (Registry::start(Access::Anybody).await, tempfile::tempdir().unwrap());
    let (_, layers) = registry.put_image(REPOSITORY, "1", &[layer(1), layer(2)]);
    let there = Digest::parse(&layers[0]).unwrap().short().to_owned();
    let held = Held { id: None, layers: [there].into() };
    let reference = registry.reference(&format!("{REPOSITORY}:1")).parse().unwrap();
    let (shelf, nobody) = (Shelf::new(dir.path().to_owned()), Keyring::default());
    let pulled = pull(&Registries::default(), &nobody, &reference, &held, &shelf).await;
    let pulled = pulled.unwrap().unwrap();
    assert_eq!(registry.seen(&blob(&layers[0])).len(), 0);
    assert_eq!(registry.seen(&blob(&layers[1])).len(), 1);
    for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Only what is pulled may rely on what is there: an archive that somebody gives is whole.
    let mut archive = Vec::new();
    pulled.write(&reference, &mut archive).unwrap();
    let home = tempfile::tempdir().unwrap();
    let refused = crate::images::load(home.path(), archive.as_slice()).unwrap_err();
    assert!(matches!(refused, ImageError::Missing { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_image_that_disagrees_with_its_configuration_is_refused() {
    let (registry, dir) = (Registry::start(Access::Anybody).await, tempfile::tempdir().unwrap());
    let config = json!({"rootfs": {"diff_ids": [sha(b"one"), sha(b"two")]}}).to_string();
    let kind = "application/vnd.oci.image.config.v1+json";
    let config = registry.put(REPOSITORY, "blobs", kind, config.as_bytes());
    let manifest = json!({"schemaVersion": 2, "config": config,
        "layers": [{"digest": sha(b"one"), "size": 3}]});
    let path = format!("/v2/{REPOSITORY}/manifests/1");
    registry.put_at(&path, "x", manifest.to_string().as_bytes());
    let said = pull_from(&registry, ":1", dir.path()).await.err().unwrap().to_string();
    assert!(said.contains("it has 1 layers, and 2 in its configuration"), "{said}");
}
