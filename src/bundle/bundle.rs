//! A bundle as read: its manifest and its documents.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    Error,
    document::{self, Document},
    files,
    format::{API_VERSION, Manifest, Role},
};

/// A bundle whose files are read and known to be well-formed; its templates are not rendered yet.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub(crate) manifest: Manifest,
    pub(crate) plain: Vec<Document>,
    pub(crate) templates: Vec<Document>,
    digest: String,
}

impl Bundle {
    /// The bundle called `name` that the program carries.
    ///
    /// # Errors
    /// An unknown name, or a broken file with the index of the document.
    pub fn builtin(name: &str) -> Result<Self, Error> {
        let folder = format!("bundles/{name}");
        let text = files::read(&format!("{folder}/bundle.yaml"))
            .ok_or_else(|| Error::Unknown { name: name.to_owned() })?;
        Self::read(name, &folder, text, &|path| {
            let one = files::read(path).map(|text| (path.to_owned(), text.to_owned()));
            match one {
                Some(file) => vec![file],
                None => files::below(path)
                    .map(|(name, text)| (name.to_owned(), text.to_owned()))
                    .collect(),
            }
        })
    }

    /// Names of the bundles the program carries.
    pub fn builtin_names() -> Vec<&'static str> {
        let file = |path: &'static str| path.strip_prefix("bundles/")?.strip_suffix("/bundle.yaml");
        files::below("bundles").filter_map(|(path, _)| file(path)).collect()
    }

    /// The bundles of `role` that the program carries.
    ///
    /// # Errors
    /// A broken file, with the index of the document.
    pub fn all(role: Role) -> Result<Vec<Self>, Error> {
        let mut bundles =
            Self::builtin_names().into_iter().map(Self::builtin).collect::<Result<Vec<_>, _>>()?;
        bundles.retain(|bundle| bundle.manifest.role == role);
        Ok(bundles)
    }

    /// A bundle from any source: `text` is its `bundle.yaml`, `find` gives the files at or below a path.
    ///
    /// # Errors
    /// A broken file, with the index of the document.
    pub fn read(
        name: &str,
        folder: &str,
        text: &str,
        find: &dyn Fn(&str) -> Vec<(String, String)>,
    ) -> Result<Self, Error> {
        let file = format!("{folder}/bundle.yaml");
        let broken = |why: String| Error::Broken {
            bundle: name.to_owned(),
            file: file.clone(),
            document: None,
            why,
        };
        let manifest: Manifest =
            serde_saphyr::from_str(text).map_err(|error| broken(error.to_string()))?;
        if manifest.api_version != API_VERSION {
            return Err(broken(format!(
                "its apiVersion is {:?}, this build knows {API_VERSION}",
                manifest.api_version
            )));
        }
        if manifest.name != name {
            return Err(broken(format!(
                "its name is {:?}, its folder says {name:?}",
                manifest.name
            )));
        }
        let mut hasher = Sha256::new();
        hasher.update(text);
        let mut load = |paths: &[String]| -> Result<Vec<Document>, Error> {
            let mut documents = Vec::new();
            for path in paths {
                let path = match path.strip_prefix('/') {
                    Some(absolute) => absolute.to_owned(),
                    None => format!("{folder}/{path}"),
                };
                let found = find(&path);
                if found.is_empty() {
                    return Err(broken(format!("there is no file or folder {path}")));
                }
                for (file, text) in found {
                    hasher.update(&text);
                    documents.extend(document::parse(name, &file, &text)?);
                }
            }
            Ok(documents)
        };
        let plain = load(&manifest.manifests)?;
        let templates = load(&manifest.templates)?;
        let mut digest = String::new();
        for byte in hasher.finalize() {
            let _ = write!(digest, "{byte:02x}");
        }
        Ok(Self { manifest, plain, templates, digest })
    }

    /// The bundle's name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// Bundles that must be installed before this one.
    pub fn requires(&self) -> &[String] {
        &self.manifest.requires
    }

    /// Namespace and name of the first object of `kind` that it waits for.
    pub fn first_goal(&self, kind: &str) -> Option<(String, String)> {
        let goal = self.manifest.ready.iter().find(|ready| ready.kind == kind)?;
        Some((goal.namespace.clone().unwrap_or_default(), goal.name.clone()))
    }

    /// What a reader of its status should know, if anything.
    pub fn note(&self) -> Option<&str> {
        self.manifest.note.as_deref()
    }

    /// SHA-256 of all its files, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The Deployments it has, as (namespace, name).
    pub fn deployments(&self) -> Vec<(String, String)> {
        self.of_kind("Deployment")
    }

    /// The objects of `kind` it has, as (namespace, name).
    pub fn of_kind(&self, kind: &str) -> Vec<(String, String)> {
        let all = self.plain.iter().chain(&self.templates);
        let found = all.filter(|document| document.object["kind"] == kind);
        found
            .map(|document| document.identity())
            .map(|id| (id.namespace.unwrap_or_default(), id.name))
            .collect()
    }

    /// The values templates see: what the user set over the defaults.
    ///
    /// # Errors
    /// A value the bundle does not have, or one of the wrong type.
    pub(crate) fn values(&self, set: &BTreeMap<String, Value>) -> Result<Value, Error> {
        let wrong = |name: &str, why: String| Error::Value {
            bundle: self.name().to_owned(),
            name: name.to_owned(),
            why,
        };
        if let Some(unknown) = set.keys().find(|name| !self.manifest.values.contains_key(*name)) {
            let known: Vec<_> = self.manifest.values.keys().map(String::as_str).collect();
            return Err(wrong(unknown, format!("does not exist; there are: {}", known.join(", "))));
        }
        let mut values = Map::new();
        for (name, schema) in &self.manifest.values {
            let value = set.get(name).unwrap_or(&schema.default);
            if !schema.kind.admits(value) {
                return Err(wrong(
                    name,
                    format!("is {value}, and must be of type {:?}", schema.kind).to_lowercase(),
                ));
            }
            values.insert(name.clone(), value.clone());
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundle_of_the_program_is_well_formed_and_its_requirements_exist() {
        let names = Bundle::builtin_names();
        assert!(names.contains(&"control"), "{names:?}");
        for name in &names {
            let bundle = Bundle::builtin(name).unwrap_or_else(|error| panic!("{error}"));
            for required in bundle.requires() {
                assert!(names.contains(&required.as_str()), "{name} requires {required}");
            }
        }
    }

    #[test]
    fn values_are_checked_against_what_the_bundle_declares() {
        let text = "apiVersion: curtain.dev/bundle/v1\nname: b\nversion: '1'\nvalues:\n  replicas: {type: integer, default: 1}\n";
        let bundle = Bundle::read("b", "bundles/b", text, &|_| Vec::new()).unwrap();
        let set = |name: &str, value: Value| BTreeMap::from([(name.to_owned(), value)]);
        assert_eq!(bundle.values(&BTreeMap::new()).unwrap()["replicas"], 1);
        assert_eq!(bundle.values(&set("replicas", 3.into())).unwrap()["replicas"], 3);
        assert!(
            bundle
                .values(&set("replicas", "3".into()))
                .unwrap_err()
                .to_string()
                .contains("integer")
        );
        assert!(
            bundle
                .values(&set("colour", "red".into()))
                .unwrap_err()
                .to_string()
                .contains("replicas")
        );
    }

    #[test]
    fn a_missing_file_and_a_wrong_version_are_named() {
        let text =
            "apiVersion: curtain.dev/bundle/v1\nname: b\nversion: '1'\nmanifests: [none.yaml]\n";
        let error = Bundle::read("b", "bundles/b", text, &|_| Vec::new()).unwrap_err().to_string();
        assert!(error.contains("bundles/b/none.yaml"), "{error}");
        let text = "apiVersion: curtain.dev/bundle/v9\nname: b\nversion: '1'\n";
        assert!(Bundle::read("b", "bundles/b", text, &|_| Vec::new()).is_err());
    }
}
