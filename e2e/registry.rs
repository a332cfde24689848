//! A registry of one image, on the loopback device, from which an Engine or a cluster pulls without TLS.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    archive::hex,
    loopback::{Loopback, Response},
    node_image,
};

const REPOSITORY: &str = "curtain-e2e/node";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The registry; it ends when dropped.
#[derive(Debug)]
pub struct Registry {
    server: Loopback,
    repository: &'static str,
    digest: String,
}

impl Registry {
    /// Serves the node image that is made for the tests.
    #[track_caller]
    pub fn of_the_node_image() -> Self {
        let archive = tempfile::NamedTempFile::new().expect("a file for an archive");
        node_image::write(archive.path()).expect("write the node image");
        Self::of(archive.path(), REPOSITORY, None)
    }

    /// Serves the image in an archive as version `v1` of `repository`, to whoever has this name and password if any are
    /// given, and else to everybody.
    #[track_caller]
    pub fn of(archive: &Path, repository: &'static str, only: Option<(&str, &str)>) -> Self {
        let (digest, mut blobs) = unpack(archive).expect("read the image");
        let index = blobs[&digest].clone();
        blobs.insert("v1".to_owned(), index);
        let only = only.map(|(user, password)| {
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        });
        let server = Loopback::serve(move |request| {
            if only.as_ref().is_some_and(|only| request.header("authorization") != only) {
                return Response::new(401, "{}").with("www-authenticate", "Basic realm=\"e2e\"");
            }
            let asked = request.path.rsplit('/').next().unwrap_or_default();
            match blobs.get(asked) {
                // The question whether this is a registry ends with a slash.
                _ if request.path == "/v2/" => Response::new(200, "{}"),
                Some((kind, blob)) => Response::new(200, blob.clone())
                    .with("content-type", *kind)
                    .with("docker-content-digest", if asked == "v1" { "" } else { asked }),
                None => Response::new(404, "{}"),
            }
        });
        Self { server, repository, digest }
    }

    /// Where it listens: the host in images' names.
    pub fn host(&self) -> String {
        self.server.address().to_string()
    }

    /// What the repository is called in images' names.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.server.address(), self.repository)
    }

    /// The image, by its digest.
    pub fn image(&self) -> String {
        format!("{}:v1@{}", self.repository(), self.digest)
    }
}

/// Media type and bytes, by digest.
type Blobs = BTreeMap<String, (&'static str, Vec<u8>)>;

/// All that a registry has of what `docker save` wrote, and the digest that names it: of an index, as images for more
/// than one architecture have it.
fn unpack(archive: &Path) -> io::Result<(String, Blobs)> {
    let mut files = BTreeMap::new();
    for file in tar::Archive::new(File::open(archive)?).entries()? {
        let mut file = file?;
        let name = file.path()?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        files.insert(name, bytes);
    }
    let mut blobs = BTreeMap::new();
    let mut put = |kind: &'static str, bytes: &[u8]| {
        let digest = format!("sha256:{}", hex(&Sha256::digest(bytes)));
        blobs.insert(digest.clone(), (kind, bytes.to_owned()));
        json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
    };
    let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list: Value = serde_json::from_slice(&files["manifest.json"])?;
    let config = &files[&name(&list[0]["Config"])];
    let architecture = serde_json::from_slice::<Value>(config)?["architecture"].clone();
    let config = put("application/vnd.oci.image.config.v1+json", config);
    let layers: Vec<_> = list[0]["Layers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|layer| put("application/vnd.oci.image.layer.v1.tar", &files[&name(layer)]))
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
    });
    let mut here = put(MANIFEST, manifest.to_string().as_bytes());
    // Nobody asks for this one.
    let mut elsewhere = here.clone();
    elsewhere["digest"] = format!("sha256:{}", "0".repeat(64)).into();
    elsewhere["platform"] = json!({"os": "linux", "architecture": "s390x"});
    here["platform"] = json!({"os": "linux", "architecture": architecture});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [elsewhere, here]});
    let index = put(INDEX, index.to_string().as_bytes());
    Ok((name(&index["digest"]), blobs))
}
