//! The instance's context in the user's own kubeconfig, on request.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Error,
    clients::edit,
    effect::{Boxed, Step},
    home::{create_private, remove, write_atomic},
    world::World,
};

/// Our entries in somebody else's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MergedStep {
    /// The user's kubeconfig.
    pub path: PathBuf,
    /// The name of our cluster, user and context in it.
    pub context: String,
    /// SHA-256 of the file before; absent if there was no file.
    pub former: Option<String>,
}

const LISTS: [&str; 3] = ["clusters", "users", "contexts"];

impl MergedStep {
    /// Works out what there was before.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn prepare(path: PathBuf, context: String) -> Result<Self, Error> {
        let former = edit::read(&path)?.as_deref().map(edit::digest);
        Ok(Self { path, context, former })
    }

    fn kept(&self, world: &World<'_>, what: &str) -> PathBuf {
        world.home.path().join("kept").join(format!("kubeconfig.{what}"))
    }

    fn parse(&self, text: &str) -> Result<Value, Error> {
        if text.trim().is_empty() {
            return Ok(json!({ "apiVersion": "v1", "kind": "Config" }));
        }
        serde_saphyr::from_str(text)
            .map_err(|error| Error::Client { path: self.path.clone(), why: error.to_string() })
    }

    fn render(&self, value: &Value) -> Result<String, Error> {
        serde_saphyr::to_string(value)
            .map_err(|error| Error::Client { path: self.path.clone(), why: error.to_string() })
    }

    /// `text` with our cluster, user and context, and ours as the current one.
    fn merge(&self, text: &str, own: &Value) -> Result<String, Error> {
        let mut config = self.parse(text)?;
        self.drop_entries(&mut config);
        for list in LISTS {
            let mut entry = own[list][0].clone();
            entry["name"] = json!(self.context);
            if list == "contexts" {
                entry["context"]["cluster"] = json!(self.context);
                entry["context"]["user"] = json!(self.context);
            }
            match config[list].as_array_mut() {
                Some(entries) => entries.push(entry),
                None => config[list] = json!([entry]),
            }
        }
        config["current-context"] = json!(self.context);
        self.render(&config)
    }

    fn drop_entries(&self, config: &mut Value) {
        for list in LISTS {
            if let Some(entries) = config[list].as_array_mut() {
                entries.retain(|entry| entry["name"] != json!(self.context));
            }
        }
    }
}

impl Step for MergedStep {
    fn name(&self) -> String {
        "merged-kubeconfig".to_owned()
    }

    fn title(&self) -> String {
        format!("context {} in {}", self.context, self.path.display())
    }

    fn probe<'a>(&'a self, _: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move {
            let config = self.parse(&edit::read(&self.path)?.unwrap_or_default())?;
            let has = |list: &str| {
                config[list]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|entry| entry["name"] == json!(self.context)))
            };
            Ok(LISTS.iter().all(|list| has(list)))
        })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let own = world.home.kubeconfig();
            let own = self.parse(&edit::read(&own)?.unwrap_or_default())?;
            if let Some(folder) = self.path.parent() {
                create_private(folder)?;
            }
            let _lock = edit::lock(&self.path)?;
            let text = edit::read(&self.path)?;
            create_private(&world.home.path().join("kept"))?;
            if text.as_deref().map(edit::digest) == self.former {
                write_atomic(
                    &self.kept(world, "former"),
                    text.as_deref().unwrap_or_default().as_bytes(),
                    0o600,
                )?;
            }
            let merged = self.merge(text.as_deref().unwrap_or_default(), &own)?;
            write_atomic(&self.kept(world, "written"), edit::digest(&merged).as_bytes(), 0o600)?;
            edit::write(&self.path, &merged)
        })
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(async move {
            if !self.path.parent().is_some_and(std::path::Path::is_dir) {
                return Ok(0);
            }
            let _lock = edit::lock(&self.path)?;
            let Some(text) = edit::read(&self.path)? else { return Ok(0) };
            let digest = edit::digest(&text);
            if Some(&digest) == self.former.as_ref() {
                return Ok(0);
            }
            let former = edit::read(&self.kept(world, "former"))?.unwrap_or_default();
            if edit::read(&self.kept(world, "written"))?.as_ref() == Some(&digest) {
                match self.former {
                    None => _ = remove(&self.path)?,
                    Some(_) => edit::write(&self.path, &former)?,
                }
                return Ok(1);
            }
            // Changed since: take back only what is ours.
            let mut config = self.parse(&text)?;
            self.drop_entries(&mut config);
            if config["current-context"] == json!(self.context) {
                config["current-context"] = self.parse(&former)?["current-context"].clone();
                if config["current-context"].is_null() {
                    config["current-context"] = json!("");
                }
            }
            edit::write(&self.path, &self.render(&config)?)?;
            Ok(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_the_others_and_dropping_leaves_only_them() {
        let step = MergedStep { path: "/x".into(), context: "curtain-a".into(), former: None };
        let own = json!({
            "clusters": [{ "name": "embedded", "cluster": { "server": "https://127.0.0.1:1" } }],
            "users": [{ "name": "admin", "user": {} }],
            "contexts": [{ "name": "admin@embedded", "context": { "cluster": "embedded", "user": "admin" } }],
        });
        let other = "apiVersion: v1\nkind: Config\ncurrent-context: work\nclusters:\n- name: work\n  cluster: {}\n";
        let merged = step.merge(&step.merge(other, &own).unwrap(), &own).unwrap();
        let mut config = step.parse(&merged).unwrap();
        assert_eq!(config["clusters"].as_array().unwrap().len(), 2, "merging twice adds once");
        assert_eq!(config["current-context"], "curtain-a");
        assert_eq!(config["contexts"][0]["context"]["cluster"], "curtain-a");
        step.drop_entries(&mut config);
        assert_eq!(config["clusters"], json!([{ "name": "work", "cluster": {} }]));
        assert_eq!(config["users"], json!([]));
    }
}
