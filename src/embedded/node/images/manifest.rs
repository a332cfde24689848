//! The documents of an image archive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One entry of `manifest.json` as `docker save` writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DockerEntry {
    pub(super) config: String,
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    pub(super) layers: Vec<String>,
}

/// `index.json` of an OCI layout, or an index it leads to.
#[derive(Debug, Deserialize)]
pub(in crate::node) struct Index {
    pub(in crate::node) manifests: Vec<Descriptor>,
}

/// A reference to content.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::node) struct Descriptor {
    #[serde(default)]
    pub(in crate::node) media_type: String,
    pub(in crate::node) digest: String,
    /// Bytes of the content; archives may leave it out.
    #[serde(default)]
    pub(in crate::node) size: u64,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    pub(in crate::node) platform: Option<Platform>,
}

impl Descriptor {
    /// Whether this leads to another index.
    pub(in crate::node) fn is_index(&self) -> bool {
        self.media_type.ends_with("image.index.v1+json")
            || self.media_type.ends_with("manifest.list.v2+json")
    }

    /// The name that the tool which made the archive gave the image.
    pub(super) fn name(&self) -> Option<&str> {
        let full = self.annotations.get("io.containerd.image.name");
        full.or_else(|| self.annotations.get("org.opencontainers.image.ref.name"))
            .map(String::as_str)
    }
}

/// What an image runs on.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::node) struct Platform {
    pub(in crate::node) architecture: String,
    pub(in crate::node) os: String,
    /// The kind of processor among those of its architecture, such as `v8`.
    #[serde(default)]
    pub(in crate::node) variant: String,
}

/// An OCI manifest.
#[derive(Debug, Deserialize)]
pub(in crate::node) struct Manifest {
    pub(in crate::node) config: Descriptor,
    pub(in crate::node) layers: Vec<Descriptor>,
}

/// The image's configuration document.
#[derive(Debug, Deserialize)]
pub(in crate::node) struct ConfigDocument {
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) os: String,
    pub(super) config: Option<ImageConfig>,
    pub(in crate::node) rootfs: RootFs,
}

/// The layers by the digests of their plain content.
#[derive(Debug, Deserialize)]
pub(in crate::node) struct RootFs {
    pub(in crate::node) diff_ids: Vec<String>,
}

/// How containers of an image are run where the pod says nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// `NAME=value` pairs.
    #[serde(deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// Program and first arguments.
    #[serde(deserialize_with = "null_is_default")]
    pub entrypoint: Vec<String>,
    /// Further arguments, or the program if there is no entry point.
    #[serde(deserialize_with = "null_is_default")]
    pub cmd: Vec<String>,
    /// Working directory.
    #[serde(deserialize_with = "null_is_default")]
    pub working_dir: String,
    /// `name`, `uid`, `name:group` or `uid:gid`.
    #[serde(deserialize_with = "null_is_default")]
    pub user: String,
    /// Signal that asks the program to end: a name or a number.
    #[serde(deserialize_with = "null_is_default")]
    pub stop_signal: String,
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// This machine in the words of image configurations.
pub(in crate::node) fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_counts_as_absent() {
        let text = r#"{"Env":null,"Cmd":["sh"],"Entrypoint":null,"Unknown":1}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.cmd, ["sh"]);
        assert!(config.env.is_empty() && config.entrypoint.is_empty());
    }
}
