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
pub(super) struct Index {
    pub(super) manifests: Vec<Descriptor>,
}

/// A reference to content.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) platform: Option<Platform>,
}

impl Descriptor {
    /// Whether this leads to another index.
    pub(super) fn is_index(&self) -> bool {
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
pub(super) struct Platform {
    pub(super) architecture: String,
    pub(super) os: String,
}

/// An OCI manifest.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// The image's configuration document.
#[derive(Debug, Deserialize)]
pub(super) struct ConfigDocument {
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) os: String,
    pub(super) config: Option<ImageConfig>,
    pub(super) rootfs: RootFs,
}

/// The layers by the digests of their plain content.
#[derive(Debug, Deserialize)]
pub(super) struct RootFs {
    pub(super) diff_ids: Vec<String>,
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
pub(super) fn machine() -> &'static str {
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
