//! A registry of one image, on the loopback device, from which an Engine pulls without TLS.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

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
    digest: String,
}

impl Registry {
    /// Serves the node image that is made for the tests.
    #[track_caller]
    pub fn of_the_node_image() -> Self {
        let archive = tempfile::NamedTempFile::new().expect("a file for an archive");
        node_image::write(archive.path()).expect("write the node image");
        let (digest, blobs) = unpack(archive.path()).expect("read the node image");
        let server = Loopback::serve(move |request| {
            let asked = request.path.rsplit('/').next().unwrap_or_default();
            match blobs.get(asked) {
                // The question whether this is a registry ends with a slash.
                _ if request.path == "/v2/" => Response::new(200, "{}"),
                Some((kind, blob)) => Response::new(200, blob.clone())
                    .with("content-type", *kind)
                    .with("docker-content-digest", asked),
                None => Response::new(404, "{}"),
            }
        });
        Self { server, digest }
    }

    /// The image, by its digest.
    pub fn image(&self) -> String {
        format!("{}/{REPOSITORY}:v1@{}", self.server.address(), self.digest)
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
