//! Image references, with what people leave out filled in.

use std::fmt;
use std::str::FromStr;

use super::ImageError;

/// A full reference: `docker.io/library/busybox:latest`, or with `@sha256:…` instead of the tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(String);

impl Reference {
    /// The full text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The registry: a host, maybe with a port.
    pub fn registry(&self) -> &str {
        self.0.split_once('/').map_or("", |(registry, _)| registry)
    }

    /// The name in the registry.
    pub fn repository(&self) -> &str {
        let rest = self.0.split_once('/').map_or("", |(_, rest)| rest);
        &rest[..rest.find(['@', ':']).unwrap_or(rest.len())]
    }

    /// The tag, or the digest that pins it.
    pub fn version(&self) -> &str {
        let rest = self.0.split_once('/').map_or("", |(_, rest)| rest);
        rest.find(['@', ':']).map_or("", |at| &rest[at + 1..])
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Reference {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let invalid = |reason| ImageError::Reference { reference: text.to_owned(), reason };
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@+".contains(c);
        if !text.chars().all(allowed) {
            return Err(invalid("a character in it is not allowed"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon after the last slash begins a tag; one before it, a port.
        let (path, tag) = match name.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (name, None),
        };
        if path.is_empty() || path.split('/').any(str::is_empty) {
            return Err(invalid("a part of its name is empty"));
        }
        let (registry, repository) = match path.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, rest.to_owned())
            }
            _ => ("docker.io", path.to_owned()),
        };
        if repository.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(invalid("its name must be in lower case"));
        }
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        let repository = if registry == "docker.io" && !repository.contains('/') {
            format!("library/{repository}")
        } else {
            repository
        };
        let end = match (digest, tag) {
            (Some(digest), _) => format!("@{digest}"),
            (None, Some("")) => return Err(invalid("its tag is empty")),
            (None, Some(tag)) => format!(":{tag}"),
            (None, None) => ":latest".to_owned(),
        };
        Ok(Self(format!("{registry}/{repository}{end}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_filled_in() {
        for (short, full) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.35", "docker.io/library/busybox:1.35"),
            ("me/app", "docker.io/me/app:latest"),
            ("localhost/app:1", "localhost/app:1"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
            ("index.docker.io/library/x:1", "docker.io/library/x:1"),
            ("app:1@sha256:00", "docker.io/library/app@sha256:00"),
        ] {
            assert_eq!(short.parse::<Reference>().unwrap().as_str(), full);
        }
    }

    #[test]
    fn a_reference_has_three_parts() {
        for (text, registry, repository, version) in [
            ("busybox", "docker.io", "library/busybox", "latest"),
            ("localhost:5000/a/b:v1", "localhost:5000", "a/b", "v1"),
            ("ghcr.io/a/b:v1@sha256:00", "ghcr.io", "a/b", "sha256:00"),
        ] {
            let full: Reference = text.parse().unwrap();
            assert_eq!(
                (full.registry(), full.repository(), full.version()),
                (registry, repository, version)
            );
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for bad in ["", "Upper", "a//b", "a b", "x:", ":tag"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
    }
}
