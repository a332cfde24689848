//! Files that a volume has from objects, tokens and the pod itself.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeFile, KeyToPath, SecretVolumeSource, Volume,
    VolumeProjection,
};

use super::tokens::{Place, Tokens};
use crate::node::pods::fields::Fields;
use crate::node::pods::objects::{Content, Objects};
use crate::node::shim::{Payload, PayloadFile};

/// How often what a volume was read from is looked at again: objects, and the pod's labels and annotations.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
const DEFAULT_MODE: i32 = 0o644;

/// The files of one volume while they are read.
pub(super) struct Reading<'a> {
    fields: Fields<'a>,
    objects: &'a Objects,
    tokens: &'a mut Tokens,
    pub(super) files: Payload,
    /// When to read them again; none if nothing in them ever changes.
    pub(super) again_at: Option<Instant>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(fields: Fields<'a>, objects: &'a Objects, tokens: &'a mut Tokens) -> Self {
        Self { fields, objects, tokens, files: Payload::new(), again_at: None }
    }

    /// Reads all that the volume is made of.
    pub(super) async fn volume(&mut self, volume: &Volume) -> Result<(), String> {
        if let Some(source) = &volume.config_map {
            self.config_map(source).await
        } else if let Some(source) = &volume.secret {
            self.secret(source).await
        } else if let Some(source) = &volume.downward_api {
            self.downward(source.items.as_deref(), mode(source.default_mode))
        } else if let Some(source) = &volume.projected {
            let default = mode(source.default_mode);
            for part in source.sources.iter().flatten() {
                self.part(&volume.name, part, default).await?;
            }
            Ok(())
        } else {
            Err("this kind of volume is not supported by the embedded node yet; \
                 configMap, secret, emptyDir, projected, downwardAPI, hostPath and persistentVolumeClaim are"
                .to_owned())
        }
    }

    async fn config_map(&mut self, source: &ConfigMapVolumeSource) -> Result<(), String> {
        let optional = source.optional == Some(true);
        let content = self.objects.config_map(&source.name, optional).await?;
        self.select(content, source.items.as_deref(), mode(source.default_mode), optional)
    }

    async fn secret(&mut self, source: &SecretVolumeSource) -> Result<(), String> {
        let optional = source.optional == Some(true);
        let name = source.secret_name.as_deref().unwrap_or_default();
        let content = self.objects.secret(name, optional).await?;
        self.select(content, source.items.as_deref(), mode(source.default_mode), optional)
    }

    /// One source of the projected volume of this name.
    async fn part(
        &mut self,
        volume: &str,
        part: &VolumeProjection,
        default: u32,
    ) -> Result<(), String> {
        if let Some(part) = &part.config_map {
            let optional = part.optional == Some(true);
            let content = self.objects.config_map(&part.name, optional).await?;
            self.select(content, part.items.as_deref(), default, optional)
        } else if let Some(part) = &part.secret {
            let optional = part.optional == Some(true);
            let content = self.objects.secret(&part.name, optional).await?;
            self.select(content, part.items.as_deref(), default, optional)
        } else if let Some(part) = &part.downward_api {
            self.downward(part.items.as_deref(), default)
        } else if let Some(part) = &part.service_account_token {
            let place = Place { volume: volume.to_owned(), path: part.path.clone() };
            let token = self.tokens.get(place, part, self.fields.pod, self.objects).await?;
            let bytes = token.text.clone().into_bytes();
            let renew_at = token.renew_at;
            self.files.insert(part.path.clone(), PayloadFile { bytes, mode: default });
            self.read_again(renew_at);
            Ok(())
        } else {
            Err("a source of the projected volume is not supported".to_owned())
        }
    }

    /// Adds the wanted keys of an object, which may change at any time.
    fn select(
        &mut self,
        content: Option<Content>,
        items: Option<&[KeyToPath]>,
        default: u32,
        optional: bool,
    ) -> Result<(), String> {
        self.read_again(Instant::now() + LOOK_AGAIN);
        let Some(content) = content else {
            return Ok(());
        };
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            for (key, bytes) in content.bytes {
                self.files.insert(key, PayloadFile { bytes, mode: default });
            }
            return Ok(());
        };
        for item in items {
            match content.bytes.get(&item.key) {
                Some(bytes) => {
                    let mode = item.mode.map_or(default, |one| mode(Some(one)));
                    let file = PayloadFile { bytes: bytes.clone(), mode };
                    self.files.insert(item.path.clone(), file);
                }
                None if optional => {}
                None => return Err(format!("references non-existent key: {}", item.key)),
            }
        }
        Ok(())
    }

    fn downward(
        &mut self,
        items: Option<&[DownwardAPIVolumeFile]>,
        default: u32,
    ) -> Result<(), String> {
        for item in items.unwrap_or_default() {
            let text = match (&item.field_ref, &item.resource_field_ref) {
                (Some(field), _) => {
                    // Of a running pod only these change.
                    if field.field_path.starts_with("metadata.") {
                        self.read_again(Instant::now() + LOOK_AGAIN);
                    }
                    self.fields.field(&field.field_path)?
                }
                (None, Some(resource)) => self.fields.resource(resource, None)?,
                (None, None) => return Err(format!("the file {} has no source", item.path)),
            };
            let mode = item.mode.map_or(default, |one| mode(Some(one)));
            self.files.insert(item.path.clone(), PayloadFile { bytes: text.into_bytes(), mode });
        }
        Ok(())
    }

    fn read_again(&mut self, at: Instant) {
        self.again_at = Some(self.again_at.map_or(at, |before| before.min(at)));
    }
}

fn mode(mode: Option<i32>) -> u32 {
    mode.unwrap_or(DEFAULT_MODE).unsigned_abs() & 0o777
}
