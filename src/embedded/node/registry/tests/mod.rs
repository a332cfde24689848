//! Pulls from a registry that these tests serve.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::node::images::machine;

mod layers;
pub(in crate::node) mod server;
use server::{Access, PASSWORD, Registry, USER, sha};

const REPOSITORY: &str = "team/app";

fn blob(digest: &str) -> String {
    format!("/v2/{REPOSITORY}/blobs/{digest}")
}

/// Credentials for a registry, as a Secret holds them.
fn keyring(host: &str, password: &str) -> Keyring {
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    let mut keyring = Keyring::default();
    keyring
        .add_config_json(json!({"auths": {host: {"auth": auth}}}).to_string().as_bytes())
        .unwrap();
    keyring
}

async fn pull_with(
    registry: &Registry,
    version: &str,
    keyring: &Keyring,
    dir: &Path,
) -> Result<Pulled, PullError> {
    let reference = registry.reference(&format!("{REPOSITORY}{version}")).parse().unwrap();
    let shelf = Shelf::new(dir.to_owned());
    let pulled =
        pull(&Registries::default(), keyring, &reference, &Held::default(), &shelf).await?;
    Ok(pulled.expect("nothing was known"))
}

async fn pull_from(registry: &Registry, version: &str, dir: &Path) -> Result<Pulled, PullError> {
    pull_with(registry, version, &Keyring::default(), dir).await
}

fn layer(seed: u8) -> Vec<u8> {
    let content: Vec<u8> = (0..20_000_u32).map(|at| (at % 251) as u8 ^ seed).collect();
    crate::node::images::tests::tar_of(&[("file", &content)])
}

#[tokio::test]
async fn what_is_pulled_is_an_archive_that_is_loaded_as_any_other() {
    let (registry, dir) = (Registry::start(Access::Anybody).await, tempfile::tempdir().unwrap());
    let layers = [layer(1), layer(2)];
    let (digest, _) = registry.put_image(REPOSITORY, "1", &layers);
    for version in [":1".to_owned(), format!("@{digest}")] {
        let pulled = pull_from(&registry, &version, dir.path()).await.unwrap();
        let digests = pulled.digests();
        let reference = registry.reference(&format!("{REPOSITORY}{version}")).parse().unwrap();
        let mut archive = Vec::new();
        pulled.write(&reference, &mut archive).unwrap();
        let home = tempfile::tempdir().unwrap();
        let loaded = crate::images::load(home.path(), archive.as_slice()).unwrap();
        assert_eq!((loaded.len(), &*loaded[0].reference), (1, reference.as_str()));
        assert_eq!(loaded[0].layers, 2);
        // Its digest is known now: nothing comes.
        let shelf = Shelf::new(dir.path().to_owned());
        let held = Held { id: Some(loaded[0].id.clone()), ..Held::default() };
        let keyring = Keyring::default();
        let again = pull(&Registries::default(), &keyring, &reference, &held, &shelf).await;
        assert!(again.unwrap().is_none());
        shelf.remove(&digests);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn whoever_has_credentials_is_let_in_and_nobody_else() {
    for (access, needed) in
        [(Access::OpenBearer, false), (Access::Basic, true), (Access::Bearer, true)]
    {
        let registry = Registry::start(access).await;
        registry.put_image(REPOSITORY, "1", &[layer(1)]);
        let host = registry.address.to_string();
        let dir = tempfile::tempdir().unwrap();
        let nobody = pull_from(&registry, ":1", dir.path()).await;
        if needed {
            let error = nobody.err().expect("nobody is let in");
            assert!(matches!(error, PullError::Denied { .. }), "{error:?}");
            let said = error.to_string();
            assert!(said.contains("who are you?; ") && said.contains("imagePullSecrets"), "{said}");
            let wrong = keyring(&host, "wrong");
            let error = pull_with(&registry, ":1", &wrong, dir.path()).await.err().unwrap();
            let said = error.to_string();
            assert!(said.contains("check the name") && !said.contains("wrong"), "{said}");
        } else {
            nobody.unwrap();
        }
        let known = keyring(&host, PASSWORD);
        pull_with(&registry, ":1", &known, dir.path()).await.unwrap();
        let token = registry.seen("/token");
        assert_eq!(token.is_empty(), access == Access::Basic);
        for asked in token {
            assert!(asked.path.contains("service=test"), "{asked:?}");
            assert!(asked.path.contains("scope=repository%3Ateam%2Fapp%3Apull"), "{asked:?}");
        }
    }
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_refused_with_both_digests() {
    let registry = Registry::start(Access::Anybody).await;
    let dir = tempfile::tempdir().unwrap();
    let (manifest, layers) = registry.put_image(REPOSITORY, "1", &[layer(1)]);
    let mut other = layer(1);
    other[700] ^= 1;
    registry.put_at(&blob(&layers[0]), "x", &other);
    let said = pull_from(&registry, ":1", dir.path()).await.err().unwrap().to_string();
    assert!(said.contains(&layers[0]) && said.contains(&sha(&other)), "{said}");
    let left = std::fs::read_dir(dir.path()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !layers[0].ends_with(name.to_str().unwrap())), "{left:?}");
    assert!(left.iter().all(|name| !name.to_str().unwrap().ends_with("partial")), "{left:?}");

    registry.put_at(&blob(&layers[0]), "x", &[layer(1), vec![0]].concat());
    let said = pull_from(&registry, ":1", dir.path()).await.err().unwrap().to_string();
    assert!(said.contains("larger than"), "{said}");

    let path = format!("/v2/{REPOSITORY}/manifests/{manifest}");
    registry.put_at(&path, "x", b"{}");
    let pinned = format!("@{manifest}");
    let said = pull_from(&registry, &pinned, dir.path()).await.err().unwrap().to_string();
    assert!(said.contains(&manifest) && said.contains(&sha(b"{}")), "{said}");
}

#[tokio::test]
async fn an_interrupted_blob_goes_on_where_it_stopped() {
    let registry = Registry::start(Access::Anybody).await;
    let dir = tempfile::tempdir().unwrap();
    let large = layer(1);
    let (_, layers) = registry.put_image(REPOSITORY, "1", std::slice::from_ref(&large));
    let path = blob(&layers[0]);
    registry.cut(&path, large.len() / 2);
    pull_from(&registry, ":1", dir.path()).await.unwrap();
    let seen = registry.seen(&path);
    let ranges: Vec<_> = seen.iter().map(|one| one.header("range")).collect();
    assert_eq!(ranges, ["", &format!("bytes={}-", large.len() / 2)]);
    assert_eq!(registry.served(&path), large.len(), "nothing comes twice");

    // What an earlier process has left, too; and where that is of something else, it is not taken.
    let hex = layers[0].trim_start_matches("sha256:");
    let partial = dir.path().join(format!("{hex}.partial"));
    std::fs::remove_file(dir.path().join(hex)).unwrap();
    std::fs::write(&partial, &large[..1000]).unwrap();
    pull_from(&registry, ":1", dir.path()).await.unwrap();
    assert_eq!(registry.served(&path), 2 * large.len() - 1000);
    std::fs::remove_file(dir.path().join(hex)).unwrap();
    std::fs::write(&partial, [9; 1000]).unwrap();
    let error = pull_from(&registry, ":1", dir.path()).await.err().unwrap();
    assert!(matches!(error, PullError::Digest { .. }), "{error:?}");
    pull_from(&registry, ":1", dir.path()).await.unwrap();
}

#[tokio::test]
async fn the_image_for_this_machine_is_taken_from_an_index() {
    let registry = Registry::start(Access::Anybody).await;
    let dir = tempfile::tempdir().unwrap();
    let (own, _) = registry.put_image(REPOSITORY, "own", &[layer(1)]);
    let entry = |digest: &str, architecture: &str| {
        json!({"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest": digest,
            "platform": {"os": "linux", "architecture": architecture}})
    };
    let media = "application/vnd.docker.distribution.manifest.list.v2+json";
    let index = |entries: &[serde_json::Value]| {
        json!({"schemaVersion": 2, "mediaType": media, "manifests": entries}).to_string()
    };
    let elsewhere = entry(&sha(b"elsewhere"), "s390x");
    let path = format!("/v2/{REPOSITORY}/manifests/all");
    registry.put_at(&path, media, index(&[elsewhere.clone(), entry(&own, machine())]).as_bytes());
    let pulled = pull_from(&registry, ":all", dir.path()).await.unwrap();
    assert_eq!(pulled.resolved.digest.to_string(), own);
    registry.put_at(&path, media, index(&[elsewhere]).as_bytes());
    let said = pull_from(&registry, ":all", dir.path()).await.err().unwrap().to_string();
    assert!(said.contains("linux/s390x") && said.contains(machine()), "{said}");

    registry.put_at(&path, media, index(&[entry("own", machine())]).as_bytes());
    let said = pull_from(&registry, ":all", dir.path()).await.err().unwrap().to_string();
    assert!(said.contains("no sha256 digest"), "what an index names is checked: {said}");

    let chart = json!({"schemaVersion": 2, "layers": [],
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": own}});
    registry.put_at(&path, "x", chart.to_string().as_bytes());
    let said = pull_from(&registry, ":all", dir.path()).await.err().unwrap().to_string();
    assert!(said.contains("no image of containers") && said.contains("helm"), "{said}");
    let said = pull_from(&registry, ":none", dir.path()).await.err().unwrap().to_string();
    assert!(said.contains("has no image team/app:none"), "{said}");
}

#[tokio::test]
async fn a_redirect_takes_no_credentials_along() {
    let (registry, store) =
        (Registry::start(Access::Basic).await, Registry::start(Access::Anybody).await);
    let dir = tempfile::tempdir().unwrap();
    let (_, layers) = registry.put_image(REPOSITORY, "1", &[layer(1)]);
    store.put_at("/store", "x", &layer(1));
    registry.redirect(&blob(&layers[0]), &format!("http://{}/store?x=1", store.address));
    let known = keyring(&registry.address.to_string(), PASSWORD);
    pull_with(&registry, ":1", &known, dir.path()).await.unwrap();
    let asked = store.seen("/store");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("authorization"), "");

    let dir = tempfile::tempdir().unwrap();
    for bad in [
        "http://192.0.2.1/x",
        "http://a@127.0.0.1/x",
        "https://169.254.169.254/x",
        "https://[::ffff:169.254.169.254]/x",
        "https://[fe90::1]/x",
        "ftp://x/y",
    ] {
        registry.redirect(&blob(&layers[0]), bad);
        let error = pull_with(&registry, ":1", &known, dir.path()).await.err().unwrap();
        assert!(error.to_string().contains("refused"), "{bad}: {error}");
    }
}

#[tokio::test]
async fn mirrors_are_asked_first_and_the_registry_where_they_fail() {
    let (mirror, registry) =
        (Registry::start(Access::Anybody).await, Registry::start(Access::Bearer).await);
    let host = registry.address.to_string();
    let mirrors = vec!["127.0.0.1:1".to_owned(), mirror.address.to_string()];
    let registries =
        Registries { mirrors: [(host.clone(), mirrors)].into(), ..Registries::default() };
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(dir.path().to_owned());
    let reference = registry.reference("team/app:1").parse().unwrap();
    let known = keyring(&host, PASSWORD);
    registry.put_image(REPOSITORY, "1", &[layer(1)]);
    pull(&registries, &known, &reference, &Held::default(), &shelf).await.unwrap().unwrap();
    let path = format!("/v2/{REPOSITORY}/manifests/1");
    assert!(mirror.seen(&path).iter().all(|asked| asked.header("authorization").is_empty()));
    let before = registry.seen(&path).len();
    mirror.put_image(REPOSITORY, "1", &[layer(2)]);
    pull(&registries, &known, &reference, &Held::default(), &shelf).await.unwrap().unwrap();
    assert_eq!(registry.seen(&path).len(), before);
    look(&registries, &reference).await.unwrap();
}
