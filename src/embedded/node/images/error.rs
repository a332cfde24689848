//! Why an image cannot be stored or used.

use std::io;
use std::path::PathBuf;

/// An error of the image store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The archive ends early or is damaged.
    #[error("cannot read the image archive: {source}; is the file complete? Save the image again")]
    Read {
        /// What the reader said.
        source: io::Error,
    },
    /// No archive at all.
    // What the reader says quotes the file.
    #[error("the file is no tar archive; make one with `docker save`")]
    NotAnArchive {
        /// What the reader said of its beginning.
        source: io::Error,
    },
    /// Not an archive of an image.
    #[error(
        "the archive is no image: it has neither manifest.json (docker save) nor index.json (OCI layout); \
         make it with `docker save` or `skopeo copy … oci-archive:FILE`"
    )]
    NotAnImage,
    /// The archive names a part that it does not have.
    #[error("the image archive is incomplete: {part} is missing; save the image again")]
    Missing {
        /// The part.
        part: String,
    },
    /// A document of the archive cannot be understood.
    #[error("{part} of the image archive is damaged: {source}; save the image again")]
    Document {
        /// The document.
        part: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Content that is not what the image says.
    #[error(
        "{part} has digest {found}, the image says {expected}; the archive is damaged, save the image again"
    )]
    Digest {
        /// What was checked.
        part: String,
        /// As the image says.
        expected: String,
        /// As computed.
        found: String,
    },
    /// A digest in a form that is not known.
    #[error("{0:?} is not a sha256 digest")]
    DigestForm(String),
    /// A path that leads out of the image.
    #[error("the image holds the path {path:?}, which leads out of it; the image is refused")]
    Escape {
        /// The path.
        path: String,
    },
    /// An image without a name.
    #[error("the image in the archive has no name; save it by name, as in `docker save NAME:TAG`")]
    Unnamed,
    /// Whoever was asked does not want it.
    #[error("{why}")]
    Refused {
        /// What was said.
        why: String,
    },
    /// What the process that has the cluster's ids says.
    #[error("{why}")]
    Inside {
        /// Its words.
        why: String,
    },
    /// A name that the store does not have.
    #[error("there is no image {reference} here; `curtain image list` shows those there are")]
    Absent {
        /// The name.
        reference: String,
    },
    /// An image that a container runs from.
    #[error("a container runs from the image {reference}; remove its pod first")]
    Held {
        /// The image.
        reference: String,
    },
    /// A name that is not one.
    #[error("{reference:?} is not an image reference: {reason}")]
    Reference {
        /// The name.
        reference: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An image for other machines.
    #[error(
        "image {reference} is for {found}, this machine is {wanted}; build it for this platform"
    )]
    Platform {
        /// The image.
        reference: String,
        /// Its platform.
        found: String,
        /// Ours.
        wanted: String,
    },
    /// The store's directory cannot be used.
    #[error("cannot store the image in {}: {source}", path.display())]
    Store {
        /// The file or directory.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// More than an image may have.
    #[error("{part} has more than the {most} {what} that an image may have; the image is refused")]
    TooLarge {
        /// Which part of the image.
        part: String,
        /// The limit.
        most: u64,
        /// What is counted.
        what: &'static str,
    },
    /// An image that would leave too little of the disk to others.
    #[error(
        "{part} of the image does not fit into {}: {free} bytes are free there, and {reserve} are kept for the cluster; \
         make room",
        dir.display()
    )]
    NoRoom {
        /// Which part of the image.
        part: String,
        /// Where it was to be.
        dir: PathBuf,
        /// What is free of the disk.
        free: u64,
        /// What is not for images.
        reserve: u64,
    },
    /// Two layers whose directories would have one name.
    #[error("{layer} would be stored as {stored} is, which is another; the image is refused")]
    Clash {
        /// The layer.
        layer: String,
        /// The one that is stored.
        stored: String,
    },
    /// An entry of a layer that the file system refused.
    #[error("cannot unpack {path:?} of the image: {source}")]
    Unpack {
        /// The entry.
        path: String,
        /// What happened.
        source: io::Error,
    },
}

impl ImageError {
    pub(super) fn store(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::or(source, |source| Self::Store { path, source })
    }

    /// The error that `source` holds, if it is one of ours.
    pub(super) fn or(source: io::Error, other: impl FnOnce(io::Error) -> Self) -> Self {
        source.downcast::<Self>().unwrap_or_else(other)
    }
}
