//! From a name to the manifest of the image for this machine, and what that says.

use std::fs::File;
use std::io::{BufReader, Seek as _};

use http::header::CONTENT_TYPE;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::error::PullError;
use super::session::{Ask, Session};
use crate::node::images::{ConfigDocument, Descriptor, Digest, Index, Manifest, machine};

const LARGEST: u64 = 4 << 20;
/// Most indexes on the way to a manifest.
const MAX_DEPTH: usize = 3;
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.docker.distribution.manifest.v2+json";
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// An image's manifest, verified.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) digest: Digest,
    /// As it came: its digest is that of these bytes.
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: String,
    pub(super) manifest: Manifest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    manifests: Option<serde_json::Value>,
}

/// Finds the manifest for this machine that a tag or digest leads to.
pub(super) async fn resolve(session: &Session<'_>, version: &str) -> Result<Resolved, PullError> {
    let mut version = version.to_owned();
    for _ in 0..=MAX_DEPTH {
        let (digest, bytes, told) = fetch(session, &version).await?;
        let unusable = |why: String| PullError::Unusable { name: session.name(&version), why };
        let kind: Kind = serde_json::from_slice(&bytes)
            .map_err(|error| unusable(format!("its manifest is damaged: {}", short(&error))))?;
        if kind.schema_version != 2 {
            return Err(unusable(
                "its manifest is of a format older than 2; push it again".to_owned(),
            ));
        }
        if kind.manifests.is_some() {
            let index: Index = serde_json::from_slice(&bytes)
                .map_err(|error| unusable(format!("its index is damaged: {}", short(&error))))?;
            let chosen =
                choose(&index.manifests, machine()).map_err(|found| PullError::Platform {
                    name: session.name(&version),
                    wanted: format!("linux/{}", machine()),
                    found,
                })?;
            // Never a tag: what an index names is checked.
            version = named(session, chosen)?.to_string();
            continue;
        }
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| unusable(format!("its manifest is damaged: {}", short(&error))))?;
        if !CONFIGS.contains(&manifest.config.media_type.as_str()) {
            let kind = manifest.config.media_type.escape_debug().take(100).collect::<String>();
            return Err(unusable(format!("it is no image of containers but {kind:?}")));
        }
        let media_type = if kind.media_type.is_empty() { told } else { kind.media_type };
        return Ok(Resolved { digest, bytes, media_type, manifest });
    }
    Err(PullError::Unusable {
        name: session.name(&version),
        why: format!("more than {MAX_DEPTH} indexes lead to it"),
    })
}

/// The digest by which a document of the registry names content.
pub(super) fn named(session: &Session<'_>, content: &Descriptor) -> Result<Digest, PullError> {
    Digest::parse(&content.digest)
        .map_err(|_| session.answer("names content by something that is no sha256 digest"))
}

/// The layers of an image by the digests of their plain content, as its configuration says.
pub(super) fn plain_layers(config: &mut File) -> Result<Vec<Digest>, String> {
    let read = serde_json::from_reader(BufReader::new(&mut *config));
    let document: ConfigDocument =
        read.map_err(|error| format!("its configuration is damaged: {}", short(&error)))?;
    config.rewind().map_err(|error| format!("its configuration cannot be read again: {error}"))?;
    let layers = document.rootfs.diff_ids.iter().map(|digest| Digest::parse(digest));
    layers.collect::<Result<_, _>>().map_err(|error| short(&error))
}

/// What went wrong with a document; it may quote a stranger at length.
fn short(error: &impl ToString) -> String {
    error.to_string().escape_debug().take(200).collect()
}

/// A manifest or index with its digest, which is the one asked for or the one the registry tells.
async fn fetch(
    session: &Session<'_>,
    version: &str,
) -> Result<(Digest, Vec<u8>, String), PullError> {
    let path = format!("manifests/{version}");
    let answer = session.get(&Ask { path: &path, accept: Some(ACCEPT), from: 0 }).await?;
    let header = |name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let told = header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let wanted = match version.contains(':') {
        true => Some(version.to_owned()),
        false => header("docker-content-digest").filter(|digest| digest.starts_with("sha256:")),
    };
    let bytes = session.read(answer.into_body(), LARGEST).await?;
    let digest = Digest::of(Sha256::new_with_prefix(&bytes));
    match wanted {
        Some(wanted) if wanted != digest.to_string() => Err(PullError::Digest {
            host: session.host.clone(),
            expected: wanted.escape_debug().take(100).collect(),
            found: digest.to_string(),
        }),
        _ => Ok((digest, bytes, told)),
    }
}

/// The entry of an index for linux on `architecture`: the one that any such machine runs before those for newer ones.
fn choose<'a>(entries: &'a [Descriptor], architecture: &str) -> Result<&'a Descriptor, String> {
    let fits = |entry: &&Descriptor| {
        entry
            .platform
            .as_ref()
            .is_some_and(|one| one.os == "linux" && one.architecture == architecture)
    };
    let any = |entry: &&Descriptor| {
        let variant = entry.platform.as_ref().map_or("", |platform| &platform.variant);
        matches!((architecture, variant), (_, "") | ("arm64", "v8") | ("amd64", "v1"))
    };
    let found = entries.iter().filter(fits).find(any).or_else(|| entries.iter().find(fits));
    found.ok_or_else(|| {
        let platforms = entries.iter().filter_map(|entry| entry.platform.as_ref());
        let names = platforms.map(|one| format!("{}/{}", one.os, one.architecture));
        // What it lists besides images is for `unknown`.
        let mut names: Vec<_> = names.filter(|name| !name.starts_with("unknown")).collect();
        names.sort();
        names.dedup();
        names.truncate(20);
        let names = names.join(", ").escape_debug().take(400).collect::<String>();
        if names.is_empty() { "nothing that it names".to_owned() } else { names }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_for_any_machine_of_the_kind_is_chosen() {
        let index: Index = serde_json::from_str(
            r#"{"manifests": [
                {"digest": "a", "platform": {"os": "unknown", "architecture": "unknown"}},
                {"digest": "b", "platform": {"os": "windows", "architecture": "amd64"}},
                {"digest": "c", "platform": {"os": "linux", "architecture": "amd64", "variant": "v3"}},
                {"digest": "d", "platform": {"os": "linux", "architecture": "amd64"}},
                {"digest": "e", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
                {"digest": "f"}]}"#,
        )
        .unwrap();
        let chosen = |machine| choose(&index.manifests, machine).map(|one| one.digest.as_str());
        assert_eq!(chosen("amd64"), Ok("d"));
        assert_eq!(chosen("arm64"), Ok("e"));
        assert_eq!(chosen("riscv64").unwrap_err(), "linux/amd64, linux/arm64, windows/amd64");
    }
}
