//! Mirrors of registries, and registries without TLS: a file of the machine's administrator.

use std::io;
use std::path::Path;

use curtain_embedded::Registries;
use serde_json::Value;

use crate::Error;

/// `{"mirrors": {"docker.io": ["mirror.example:5000"]}, "insecure": ["mirror.example:5000"]}`; read when a cluster is
/// started.
const FILE: &str = "/etc/curtain/registries.json";

/// What the file says; nothing where there is none.
pub(super) fn read() -> Result<Registries, Error> {
    read_file(Path::new(FILE))
}

fn read_file(path: &Path) -> Result<Registries, Error> {
    let fail = |why: String| Error::Registries { path: path.to_owned(), why };
    match std::fs::read(path) {
        Ok(bytes) => {
            // Earlier builds stored it with the rest, but it was never this file's to say.
            let said = serde_json::from_slice::<Value>(&bytes);
            if said.is_ok_and(|said| said.get("offline").is_some()) {
                let why = "\"offline\" is no setting of the machine: \
                           `curtain up --offline` chooses it as it makes an instance";
                return Err(fail(why.to_owned()));
            }
            let registries: Registries =
                serde_json::from_slice(&bytes).map_err(|error| fail(error.to_string()))?;
            registries.check().map_err(fail)?;
            Ok(registries)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Registries::default()),
        Err(error) => Err(fail(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_not_needed_and_a_bad_one_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registries.json");
        assert_eq!(read_file(&path).unwrap(), Registries::default());
        std::fs::write(&path, r#"{"insecure": ["near:5000"]}"#).unwrap();
        assert!(read_file(&path).unwrap().insecure.contains("near:5000"));
        for (bad, named) in [
            (r#"{"insecur": []}"#, "insecur"),
            (r#"{"insecure": ["http://a"]}"#, "http://a"),
            (r#"{"offline": true}"#, "`curtain up --offline`"),
            (r#"{"offline": false}"#, "`curtain up --offline`"),
            ("{", "line 1"),
        ] {
            std::fs::write(&path, bad).unwrap();
            let said = read_file(&path).unwrap_err().to_string();
            assert!(said.contains("registries.json") && said.contains(named), "{said}");
        }
    }
}
