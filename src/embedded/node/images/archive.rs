//! The outer archive: its members as files in a staging directory, and the images they describe.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::ImageError;
use super::budget::{Budget, CopyError};
use super::decode::{Digest, Hashing, decompress};
use super::headers::Headers;
use super::manifest::{
    ConfigDocument, Descriptor, DockerEntry, ImageConfig, Index, Manifest, machine,
};
use super::reference::Reference;

/// Deepest nesting of indexes followed.
const MAX_DEPTH: usize = 4;
/// Documents are read into memory.
const LARGEST_DOCUMENT: u64 = 16 << 20;
/// What errors call the archive.
const PART: &str = "the image archive";

/// An image as an archive describes it.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) references: Vec<Reference>,
    /// Digest of the configuration document.
    pub(super) id: Digest,
    pub(super) config: ImageConfig,
    /// From the lowest layer to the topmost: the file it is in, if it came along, and the digest of its plain content.
    pub(super) layers: Vec<(Option<PathBuf>, Digest)>,
}

/// The members of an archive, spooled.
pub(super) struct Archive {
    members: BTreeMap<String, Member>,
}

#[derive(Clone)]
enum Member {
    File(PathBuf),
    /// Old archives share a layer between images by a link.
    Link(String),
}

impl Archive {
    /// Spools an archive into `staging`, under names of its own making.
    pub(super) fn spool(
        reader: impl Read,
        staging: &Path,
        budget: &Budget,
    ) -> Result<Self, ImageError> {
        let read = |source| ImageError::Read { source };
        let headers = Headers::of(PART);
        let mut tar = tar::Archive::new(headers.bound(decompress(reader).map_err(read)?));
        let mut entries = tar.entries().map_err(read)?;
        let mut members = BTreeMap::new();
        let mut first = true;
        while let Some(entry) = headers.next(|| entries.next()) {
            let mut entry = entry.map_err(|source| {
                ImageError::or(source, |source| match source.kind() {
                    kind if first && kind != io::ErrorKind::UnexpectedEof => {
                        ImageError::NotAnArchive { source }
                    }
                    _ => read(source),
                })
            })?;
            first = false;
            budget.entry(&PART).map_err(ImageError::store(staging))?;
            let name = normalize(&entry.path().map_err(read)?.to_string_lossy());
            let kind = entry.header().entry_type();
            if kind.is_file() || kind.is_contiguous() {
                let path = staging.join(format!("member-{}", members.len()));
                let mut file = File::create(&path).map_err(ImageError::store(&path))?;
                budget.copy(&mut entry, &mut file, &PART).map_err(|error| match error {
                    CopyError::Read(source) => read(source),
                    CopyError::Write(source) => ImageError::store(&path)(source),
                })?;
                members.insert(name, Member::File(path));
            } else if let (true, Ok(Some(target))) =
                (kind.is_symlink() || kind.is_hard_link(), entry.link_name())
            {
                let target = target.to_string_lossy();
                let target = match (kind.is_symlink(), name.rsplit_once('/')) {
                    (true, Some((dir, _))) => normalize(&format!("{dir}/{target}")),
                    _ => normalize(&target),
                };
                members.insert(name, Member::Link(target));
            }
            // What was not of use is no part of the next entry's headers.
            io::copy(&mut entry, &mut io::sink()).map_err(read)?;
        }
        Ok(Self { members })
    }

    /// The images described, each complete as far as documents go; layers of an OCI layout may be missing if it is
    /// `partial`.
    pub(super) fn images(&self, partial: bool) -> Result<Vec<Described>, ImageError> {
        // Recent versions of `docker save` write both; manifest.json has the names.
        let images = if self.members.contains_key("manifest.json") {
            let entries: Vec<DockerEntry> = self.document("manifest.json")?;
            entries.iter().map(|entry| self.docker_image(entry)).collect::<Result<Vec<_>, _>>()?
        } else if self.members.contains_key("index.json") {
            let mut images = Vec::new();
            self.oci_images("index.json", None, 0, partial, &mut images)?;
            images
        } else {
            return Err(ImageError::NotAnImage);
        };
        if images.is_empty() {
            return Err(ImageError::Missing { part: format!("an image for linux/{}", machine()) });
        }
        Ok(images)
    }

    fn docker_image(&self, entry: &DockerEntry) -> Result<Described, ImageError> {
        let names = entry.repo_tags.iter().flatten();
        let references = names.map(|name| name.parse()).collect::<Result<Vec<_>, _>>()?;
        let layers: Vec<_> = entry.layers.iter().cloned().map(Some).collect();
        self.image(references, &entry.config, &layers)
    }

    fn oci_images(
        &self,
        index: &str,
        name: Option<&str>,
        depth: usize,
        partial: bool,
        images: &mut Vec<Described>,
    ) -> Result<(), ImageError> {
        let index: Index = self.document(index)?;
        for descriptor in &index.manifests {
            let name = descriptor.name().or(name);
            let fits = descriptor.platform.as_ref().is_none_or(|platform| {
                platform.os == "linux" && platform.architecture == machine()
            });
            if !fits {
                continue;
            }
            let member = self.blob(descriptor)?;
            if descriptor.is_index() && depth < MAX_DEPTH {
                self.oci_images(&member, name, depth + 1, partial, images)?;
                continue;
            }
            let manifest: Manifest = self.document(&member)?;
            let config = self.blob(&manifest.config)?;
            let layers = manifest
                .layers
                .iter()
                .map(|layer| match self.blob(layer) {
                    Err(ImageError::Missing { .. }) if partial => Ok(None),
                    layer => layer.map(Some),
                })
                .collect::<Result<Vec<_>, _>>()?;
            let references = name.map(str::parse).transpose()?;
            images.push(self.image(references.into_iter().collect(), &config, &layers)?);
        }
        Ok(())
    }

    fn image(
        &self,
        references: Vec<Reference>,
        config: &str,
        layers: &[Option<String>],
    ) -> Result<Described, ImageError> {
        let first = references.first().ok_or(ImageError::Unnamed)?;
        let document: ConfigDocument = self.document(config)?;
        let (os, architecture) = (document.os.as_str(), document.architecture.as_str());
        let said = |text: &str, wanted: &str| text.is_empty() || text == wanted;
        if !said(os, "linux") || !said(architecture, machine()) {
            return Err(ImageError::Platform {
                reference: first.to_string(),
                found: format!("{os}/{architecture}"),
                wanted: format!("linux/{}", machine()),
            });
        }
        if document.rootfs.diff_ids.len() != layers.len() {
            return Err(ImageError::Missing {
                part: format!(
                    "a layer of {first} ({} listed, {} in its configuration)",
                    layers.len(),
                    document.rootfs.diff_ids.len()
                ),
            });
        }
        let layers = layers
            .iter()
            .zip(&document.rootfs.diff_ids)
            .map(|(member, digest)| {
                let file = member.as_ref().map(|member| self.file(member)).transpose()?;
                Ok((file.map(Path::to_owned), Digest::parse(digest)?))
            })
            .collect::<Result<Vec<_>, ImageError>>()?;
        let mut content =
            File::open(self.file(config)?).map_err(|source| ImageError::Read { source })?;
        let id =
            Hashing::new(&mut content).finish().map_err(|source| ImageError::Read { source })?;
        Ok(Described { references, id, config: document.config.unwrap_or_default(), layers })
    }

    /// The member that holds the content of a descriptor, after checking its digest.
    fn blob(&self, descriptor: &Descriptor) -> Result<String, ImageError> {
        let expected = Digest::parse(&descriptor.digest)?;
        let name = format!("blobs/sha256/{}", expected.hex());
        let file = File::open(self.file(&name)?).map_err(|source| ImageError::Read { source })?;
        let found = Hashing::new(file).finish().map_err(|source| ImageError::Read { source })?;
        if found == expected {
            Ok(name)
        } else {
            Err(ImageError::Digest {
                part: name,
                expected: expected.to_string(),
                found: found.to_string(),
            })
        }
    }

    fn document<T: DeserializeOwned>(&self, member: &str) -> Result<T, ImageError> {
        let path = self.file(member)?;
        let size = path.metadata().map_err(ImageError::store(path))?.len();
        if size > LARGEST_DOCUMENT {
            let (part, most) = (member.escape_debug().to_string(), LARGEST_DOCUMENT);
            return Err(ImageError::TooLarge { part, most, what: "bytes" });
        }
        let bytes = std::fs::read(path).map_err(ImageError::store(path))?;
        serde_json::from_slice(&bytes)
            .map_err(|source| ImageError::Document { part: member.to_owned(), source })
    }

    fn file(&self, member: &str) -> Result<&Path, ImageError> {
        let mut name = normalize(member);
        // A chain of links that is longer than there are members goes in circles.
        for _ in 0..=self.members.len() {
            match self.members.get(&name) {
                Some(Member::File(path)) => return Ok(path),
                Some(Member::Link(target)) => name.clone_from(target),
                None => break,
            }
        }
        Err(ImageError::Missing { part: member.to_owned() })
    }
}

/// `./a/../b` → `b`. Only ever used as a key, never as a path.
fn normalize(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
