//! Where an image comes from: what a word on a command line means, and what is said when it means nothing.
//!
//! Invariant: what looks like a path is never taken for a name, on any provider: a mistyped path would become a component
//! that waits for its image for good.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use curtain_deploy::is_path;

use crate::Error;

/// The file by which a folder is an OCI image layout.
const LAYOUT: &str = "oci-layout";

const GIVE: &str = "give the path of an archive, as `docker save` writes it";
const PACK: &str = "pack it, `tar -cf FILE -C FOLDER .`, and give that file";
const LOAD: &str = "write it to a file with `docker save`, and deploy that or load it before, `curtain image load FILE`";

/// Where the image comes from.
pub enum Origin {
    /// A docker-save or OCI archive.
    Archive(Box<dyn Read + Send>),
    /// A name: of an image in the cluster, in the machine's Docker Engine, or in a registry.
    Name(String),
}

impl Origin {
    /// What `image` means: the archive at a path, or a name.
    ///
    /// # Errors
    /// [`Error::NoImage`] for what looks like a path and is no file, [`Error::Image`] for a folder, and a file that
    /// cannot be opened.
    pub fn of(image: &str) -> Result<Self, Error> {
        let path = Path::new(image);
        if !path.is_file() {
            return match is_path(image) {
                false => Ok(Self::Name(image.to_owned())),
                true => Err(folder(image).unwrap_or_else(|| Error::NoImage {
                    image: image.to_owned(),
                    why: "there is no such file".to_owned(),
                    next: GIVE,
                })),
            };
        }
        let file = File::open(path);
        let file = file.map_err(|source| Error::file("open", PathBuf::from(image), source))?;
        Ok(Self::Archive(Box::new(file)))
    }
}

/// Refuses a folder that is an image layout: nothing else can be meant.
///
/// # Errors
/// [`Error::Image`], which says how to pack it.
pub(super) fn layout(name: &str) -> Result<(), Error> {
    match is_layout(name) {
        true => folder(name).map_or(Ok(()), Err),
        false => Ok(()),
    }
}

/// Why there is no image `name`, which neither the cluster nor the local Engine has, and of which a registry says `why` it
/// is not there.
pub(super) fn nowhere(name: &str, why: &str) -> Error {
    folder(name).unwrap_or_else(|| {
        let why = format!(
            "there is no such file, the cluster has no image of this name, nor has a Docker Engine of this machine, \
             and {why}"
        );
        Error::NoImage { image: name.to_owned(), why, next: LOAD }
    })
}

/// What is said of `image` if it is a folder.
fn folder(image: &str) -> Option<Error> {
    let refuse =
        |why: &str, next| Some(Error::Image { image: image.to_owned(), why: why.to_owned(), next });
    if is_layout(image) {
        return refuse("it is a folder, an OCI image layout, which must be in one file", PACK);
    }
    if Path::new(image).is_dir() { refuse("it is a folder", GIVE) } else { None }
}

fn is_layout(image: &str) -> bool {
    Path::new(image).join(LAYOUT).is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn refused(image: &str) -> (Kind, String) {
        match Origin::of(image) {
            Err(error) => (error.kind(), error.to_string()),
            Ok(_) => panic!("{image} is taken for an image"),
        }
    }

    #[test]
    fn what_looks_like_a_path_is_never_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(at("app"), "").unwrap();
        assert!(matches!(Origin::of(&at("app")), Ok(Origin::Archive(_))));
        for missing in
            [&at("none"), "./none", "nofile.tar", "a/b.tar.gz", "b.TGZ", "c.tar.zst", "~/a", "a\\b"]
        {
            let (kind, said) = refused(missing);
            assert_eq!(kind, Kind::NotFound, "{missing}");
            assert!(said.contains("no such file") && said.contains("docker save"), "{said}");
        }
        for name in ["nothere:1", "ghcr.io/a/web:1", "localhost:5000/a", "app:1.tar", "tar"] {
            assert!(matches!(Origin::of(name), Ok(Origin::Name(_))), "{name}");
        }
    }

    #[test]
    fn a_folder_is_told_as_one_and_an_oci_layout_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let (kind, said) = refused(path);
        assert!(kind == Kind::BadInput && said.contains("it is a folder; give"), "{said}");
        assert!(nowhere(path, "no").to_string().contains("it is a folder; give"));
        layout(path).unwrap();
        std::fs::write(dir.path().join(LAYOUT), "{}").unwrap();
        let (_, said) = refused(path);
        assert!(said.contains("OCI image layout") && said.contains("tar -cf"), "{said}");
        assert!(layout(path).unwrap_err().to_string().contains("OCI image layout"));
    }

    #[test]
    fn a_name_that_is_nowhere_is_refused_with_where_it_was_looked_for() {
        let error = nowhere("nothere:1", "docker.io has no image library/nothere:1");
        assert_eq!(error.kind(), Kind::NotFound);
        let said = error.to_string();
        for words in ["file", "the cluster has no", "Docker Engine", "docker.io has", "image load"]
        {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}
