//! The program for Linux, which the platform's image is made of, in a build for another system.
//!
//! On Linux the running program is that program. Elsewhere it is packed into this one when that is built (see
//! `build.rs`), for the same architecture, and known by its SHA-256.

use std::{fs, io, path::Path};

use curtain_machine::files::make_executable;
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::Error;

/// A program for Linux, packed.
#[derive(Debug)]
pub(crate) struct Carried {
    packed: &'static [u8],
    sha256: &'static str,
}

static CARRIED: Option<Carried> = include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// The program that the image is made of, where it is not this one.
///
/// # Errors
/// [`Error::NoLinuxProgram`].
pub(crate) fn program() -> Result<Option<&'static Carried>, Error> {
    match &CARRIED {
        None if cfg!(target_os = "linux") => Ok(None),
        None => Err(Error::NoLinuxProgram),
        carried => Ok(carried.as_ref()),
    }
}

impl Carried {
    /// Whether it is at `path`, every byte of it.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        hash_of(path).is_ok_and(|found| found == self.sha256)
    }

    /// Unpacks it to `path`, whole and as it was built, or not at all.
    pub(crate) fn unpack(&self, path: &Path) -> Result<(), Error> {
        let part = path.with_extension("part");
        let unpack = || -> io::Result<()> {
            let mut file = fs::File::create(&part)?;
            io::copy(&mut GzDecoder::new(self.packed), &mut file)?;
            file.sync_all()?;
            drop(file);
            let found = hash_of(&part)?;
            if found != self.sha256 {
                let why = format!(
                    "this curtain is damaged, install it again: the program for Linux in it has SHA-256 {found} \
                     instead of {}",
                    self.sha256
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            make_executable(&part)?;
            fs::rename(&part, path)
        };
        unpack().map_err(|source| {
            let _ = fs::remove_file(&part);
            Error::file("unpack the program for Linux to", path, source)
        })
    }
}

fn hash_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut fs::File::open(path)?, &mut hash)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn carried(program: &[u8], sha256: &'static str) -> Carried {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(program).unwrap();
        let packed = packed.finish().unwrap().leak();
        Carried { packed, sha256 }
    }

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn what_is_carried_is_unpacked_as_it_was_built() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("curtain-linux");
        let carried = carried(b"abc", ABC);
        assert!(!carried.is_at(&path));
        carried.unpack(&path).unwrap();
        assert!(carried.is_at(&path));
        // Another one of the same size is none.
        fs::write(&path, "xyz").unwrap();
        assert!(!carried.is_at(&path));
        carried.unpack(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_damaged_is_said_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("curtain-linux");
        for (carried, why) in [(carried(b"abd", ABC), ABC), (carried(b"abc", "0"), ABC)] {
            let error = carried.unpack(&path).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("install it again"), "{error}");
        }
        let cut = carried(b"abc", ABC);
        let cut = Carried { packed: &cut.packed[..12], ..cut };
        cut.unpack(&path).unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_build_for_linux_is_that_program_itself() {
        let found = program();
        match cfg!(target_os = "linux") {
            true => assert!(found.unwrap().is_none()),
            // One that carries none says how to get one that does.
            false => assert!(
                found
                    .map_or_else(|error| error.to_string().contains("released"), |it| it.is_some())
            ),
        }
    }
}
