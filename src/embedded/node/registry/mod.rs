//! Images from registries: the OCI distribution protocol, version 2, over HTTPS.
//!
//! A [`pull`] finds the manifest for this machine and brings every blob of it into files; what becomes of them is for
//! others. [`look`] only finds out whether there is one. Every manifest and every blob is what its digest says, or is
//! refused; a blob that was interrupted goes on where it stopped, in this pull or a later one.
//!
//! Invariants: nothing is contacted but the registry that an image names, its mirrors in the settings, and where these
//! lead: for tokens, and by redirects. See `session` for what is sent where.

mod authorize;
mod blob;
mod challenge;
mod credential;
mod document;
mod error;
mod pace;
mod places;
mod refusal;
mod session;
mod shelf;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};

use curtain_role::Web;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

pub use credential::{Credential, Keyring};
use document::Resolved;
pub use error::PullError;
use session::Session;
use shelf::Room;
pub(super) use shelf::Shelf;

use super::images::{Descriptor, Manifest, Reference};
use crate::Registries;

/// Blobs of one image that come at the same time.
const AT_ONCE: usize = 3;
const MOST_LAYERS: usize = 127;
const LARGEST_CONFIG: u64 = 8 << 20;
/// Of all layers together, as they come.
const LARGEST_IMAGE: u64 = 64 << 30;

/// Whether the registry, asked as nobody in particular, has an image for this machine.
///
/// # Errors
/// Why not. [`PullError::Denied`] may only mean that it takes credentials.
pub async fn look(registries: &Registries, reference: &Reference) -> Result<(), PullError> {
    first_host(registries, &Keyring::default(), reference, &Look(reference)).await
}

/// What is wanted of a host.
trait Want {
    type Found;

    fn of(&self, session: &Session<'_>) -> impl Future<Output = Result<Self::Found, PullError>>;
}

struct Look<'a>(&'a Reference);

impl Want for Look<'_> {
    type Found = ();

    async fn of(&self, session: &Session<'_>) -> Result<(), PullError> {
        document::resolve(session, self.0.version()).await.map(drop)
    }
}

/// What the first host gives that has something to say about the image itself; else what its registry says.
async fn first_host<W: Want>(
    registries: &Registries,
    keyring: &Keyring,
    reference: &Reference,
    want: &W,
) -> Result<W::Found, PullError> {
    let (web, repository) = (Web::default(), reference.repository());
    for mirror in registries.mirrors(reference.registry()) {
        let asked = async {
            want.of(&Session::open(&web, registries, keyring, mirror, repository).await?).await
        };
        match asked.await {
            Err(error) if error.is_of_host() => {
                tracing::debug!(mirror, %error, "an image does not come from a mirror");
            }
            result => return result,
        }
    }
    let host = reference.registry();
    want.of(&Session::open(&web, registries, keyring, host, repository).await?).await
}

/// An image in files.
pub(super) struct Pulled {
    resolved: Resolved,
    /// Its configuration and then the layers that were not there, each at its beginning.
    blobs: Vec<(Descriptor, File)>,
    /// Until it is stored.
    _room: Room,
}

/// What this machine has already and need not come again.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The image of the name that is pulled, by the digest of its configuration.
    pub(super) id: Option<String>,
    /// The directories of stored layers.
    pub(super) layers: BTreeSet<String>,
}

/// Brings an image into `shelf`, without the layers that are `held`; `None` if all of it is.
///
/// # Errors
/// What the first host says that has something to say about the image itself; else what its registry says.
pub(super) async fn pull(
    registries: &Registries,
    keyring: &Keyring,
    reference: &Reference,
    held: &Held,
    shelf: &Shelf,
) -> Result<Option<Pulled>, PullError> {
    first_host(registries, keyring, reference, &Bring { reference, held, shelf }).await
}

struct Bring<'a> {
    reference: &'a Reference,
    held: &'a Held,
    shelf: &'a Shelf,
}

impl Want for Bring<'_> {
    type Found = Option<Pulled>;

    async fn of(&self, session: &Session<'_>) -> Result<Option<Pulled>, PullError> {
        bring(session, self.reference.version(), self.held, self.shelf).await
    }
}

/// Brings an image from one host.
async fn bring(
    session: &Session<'_>,
    version: &str,
    held: &Held,
    shelf: &Shelf,
) -> Result<Option<Pulled>, PullError> {
    let resolved = document::resolve(session, version).await?;
    let manifest = &resolved.manifest;
    if held.id.as_ref() == Some(&manifest.config.digest) {
        return Ok(None);
    }
    let unusable = |why| {
        let name = session.name(&format!("manifests/{version}"));
        PullError::Unusable { name, why }
    };
    check(manifest).map_err(unusable)?;
    let fetch = |blob: Descriptor| async move {
        let _alone = shelf.lock(&blob.digest).await;
        let file = blob::fetch(session, &blob, shelf.dir()).await?;
        Ok::<_, PullError>((blob, file))
    };
    let mut config = fetch(manifest.config.clone()).await?;
    let missing = missing(manifest, &mut config.1, held).map_err(unusable)?;
    let room = shelf.room(sum(&missing)).map_err(unusable)?;
    let layers = stream::iter(missing.into_iter().map(fetch)).buffered(AT_ONCE);
    let mut blobs = vec![config];
    blobs.extend(layers.try_collect::<Vec<_>>().await?);
    Ok(Some(Pulled { resolved, blobs, _room: room }))
}

/// The layers that have to come.
fn missing(manifest: &Manifest, config: &mut File, held: &Held) -> Result<Vec<Descriptor>, String> {
    let plain = document::plain_layers(config)?;
    if plain.len() != manifest.layers.len() {
        let (listed, configured) = (manifest.layers.len(), plain.len());
        return Err(format!("it has {listed} layers, and {configured} in its configuration"));
    }
    let layers = manifest.layers.iter().zip(plain);
    let missing = layers.filter(|(_, plain)| !held.layers.contains(plain.short()));
    Ok(missing.map(|(layer, _)| layer.clone()).collect())
}

/// Bytes of layers, as they come.
fn sum(layers: &[Descriptor]) -> u64 {
    layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
}

/// Whether an image is one that is taken.
fn check(manifest: &Manifest) -> Result<(), String> {
    let (layers, size) = (manifest.layers.len(), sum(&manifest.layers));
    if layers > MOST_LAYERS {
        return Err(format!("it has {layers} layers, {MOST_LAYERS} are the most"));
    }
    if manifest.config.size > LARGEST_CONFIG {
        return Err(format!("its configuration is larger than {LARGEST_CONFIG} bytes"));
    }
    match size > LARGEST_IMAGE {
        true => Err(format!("its layers have {size} bytes, {LARGEST_IMAGE} are the most")),
        false => Ok(()),
    }
}

impl Pulled {
    /// Writes the image as the tar of an OCI layout in which it is called `reference`; layers that are there are left out.
    pub(super) fn write(&self, reference: &Reference, out: impl Write) -> io::Result<()> {
        let Self { resolved: Resolved { digest, bytes, media_type, .. }, blobs, .. } = self;
        let mut tar = tar::Builder::new(out);
        let mut add = |name: &str, size: u64, content: &mut dyn io::Read| {
            let mut header = tar::Header::new_gnu();
            header.set_size(size);
            header.set_mode(0o600);
            tar.append_data(&mut header, name, content)
        };
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len(),
            "annotations": {"io.containerd.image.name": reference.as_str()},
        }]});
        let index = index.to_string().into_bytes();
        add("index.json", index.len() as u64, &mut index.as_slice())?;
        add(&format!("blobs/sha256/{}", digest.hex()), bytes.len() as u64, &mut bytes.as_slice())?;
        for (blob, file) in blobs {
            let hex = blob.digest.trim_start_matches("sha256:");
            add(&format!("blobs/sha256/{hex}"), blob.size, &mut &*file)?;
        }
        tar.into_inner()?.flush()
    }

    /// The digests of its blobs.
    pub(super) fn digests(&self) -> Vec<String> {
        self.blobs.iter().map(|(blob, _)| blob.digest.clone()).collect()
    }
}
