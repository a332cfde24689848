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
pub(crate) struct MergedStep {
    /// The user's kubeconfig.
    pub path: PathBuf,
    /// The name of our cluster, user and context in it.
    pub context: String,
    /// SHA-256 of the file before; absent if there was no file.
    pub former: Option<String>,
    /// Folders that did not exist before, outermost first.
    #[serde(default)]
    pub created: Vec<PathBuf>,
}

const LISTS: [&str; 3] = ["clusters", "users", "contexts"];

impl MergedStep {
    /// Works out what there was before.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn prepare(path: PathBuf, context: String) -> Result<Self, Error> {
        let former = edit::read(&path)?.as_deref().map(edit::digest);
        let created = edit::missing_folders(&path);
        Ok(Self { path, context, former, created })
    }

    fn kept(&self, world: &World<'_>, what: &str) -> PathBuf {
        let name: String = edit::digest(&self.path.to_string_lossy()).chars().take(12).collect();
        world.home.path().join("kept").join(format!("{name}.{what}"))
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
            let entry = self.entry(own, list);
            match config[list].as_array_mut() {
                Some(entries) => entries.push(entry),
                None => config[list] = json!([entry]),
            }
        }
        config["current-context"] = json!(self.context);
        self.render(&config)
    }

    /// Our entry of `list`, as the instance's own kubeconfig `own` has it under another name.
    fn entry(&self, own: &Value, list: &str) -> Value {
        let mut entry = own[list][0].clone();
        entry["name"] = json!(self.context);
        if list == "contexts" {
            entry["context"]["cluster"] = json!(self.context);
            entry["context"]["user"] = json!(self.context);
        }
        entry
    }

    /// Whether `config` has what [`Self::merge`] adds from `own`: keys change when the cluster's are made anew.
    fn is_merged(&self, config: &Value, own: &Value) -> bool {
        LISTS.iter().all(|list| {
            let entry = self.entry(own, list);
            config[list].as_array().is_some_and(|all| all.contains(&entry))
        })
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
        // One entry per file: another file does not make the first be forgotten.
        format!("merged-kubeconfig:{}", self.path.display())
    }

    fn title(&self) -> String {
        format!("context {} in {}", self.context, self.path.display())
    }

    fn probe<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<bool, Error>> {
        Box::pin(async move {
            let config = self.parse(&edit::read(&self.path)?.unwrap_or_default())?;
            let own = self.parse(&edit::read(&world.home.kubeconfig())?.unwrap_or_default())?;
            Ok(self.is_merged(&config, &own))
        })
    }

    fn act<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(async move {
            let own = world.home.kubeconfig();
            let own = self.parse(&edit::read(&own)?.unwrap_or_default())?;
            if let Some(folder) = self.path.parent() {
                create_private(folder)?;
            }
            let _lock = edit::lock(&self.path).await?;
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
                return Ok(edit::remove_folders(&self.created));
            }
            let _lock = edit::lock(&self.path).await?;
            edit::clean(&self.path)?;
            let Some(text) = edit::read(&self.path)? else {
                return Ok(edit::remove_folders(&self.created));
            };
            let digest = edit::digest(&text);
            if Some(&digest) == self.former.as_ref() {
                return Ok(0);
            }
            let former = edit::read(&self.kept(world, "former"))?.unwrap_or_default();
            if edit::read(&self.kept(world, "written"))?.as_ref() == Some(&digest) {
                return Ok(match self.former {
                    None => usize::from(remove(&self.path)?) + edit::remove_folders(&self.created),
                    Some(_) => edit::write(&self.path, &former).map(|()| 1)?,
                });
            }
            // Changed since: take back only what is ours.
            let mut config = self.parse(&text)?;
            let before = config.clone();
            self.drop_entries(&mut config);
            if config == before {
                return Ok(0);
            }
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
    use std::{fs, path::Path, time::Duration};

    use super::*;
    use crate::{Home, Homes, ledger::Ledger, progress::Silent};

    const WORK: &str = "apiVersion: v1\nkind: Config # mine\ncurrent-context: work\n";

    fn own() -> Value {
        json!({
            "clusters": [{ "name": "embedded", "cluster": { "server": "https://127.0.0.1:1" } }],
            "users": [{ "name": "admin", "user": {} }],
            "contexts": [{ "name": "admin@embedded", "context": { "cluster": "embedded", "user": "admin" } }],
        })
    }

    fn home(dir: &Path) -> Home {
        let home = Homes::new(dir.join("data")).instance(&"x".parse().unwrap());
        create_private(home.path()).unwrap();
        fs::write(home.kubeconfig(), own().to_string()).unwrap();
        home
    }

    fn world(home: &Home) -> World<'_> {
        let ledger = Ledger::open(&home.ledger()).unwrap();
        World::new(home, None, ledger, &Silent, Duration::from_secs(5))
    }

    #[tokio::test]
    async fn the_users_file_is_restored_byte_for_byte_and_folders_made_for_it_go() {
        for before in [Some(WORK), None] {
            let dir = tempfile::tempdir().unwrap();
            let home = home(dir.path());
            let path = dir.path().join(".kube/config");
            if let Some(text) = before {
                create_private(path.parent().unwrap()).unwrap();
                fs::write(&path, text).unwrap();
            }
            let step = MergedStep::prepare(path.clone(), "curtain-x".to_owned()).unwrap();
            let world = world(&home);
            step.act(&world).await.unwrap();
            assert!(step.probe(&world).await.unwrap());
            step.act(&world).await.unwrap();
            fs::write(crate::home::part(&path), "cut short").unwrap();
            assert!(step.undo(&world).await.unwrap() > 0);
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), before);
            assert_eq!(path.parent().unwrap().exists(), before.is_some());
            assert_eq!(step.undo(&world).await.unwrap(), 0);
        }
    }

    #[test]
    fn merging_keeps_the_others_and_dropping_leaves_only_them() {
        let step = MergedStep::prepare("/nonexistent/x".into(), "curtain-a".into()).unwrap();
        let own = own();
        let other = "apiVersion: v1\nkind: Config\ncurrent-context: work\nclusters:\n- name: work\n  cluster: {}\n";
        let merged = step.merge(&step.merge(other, &own).unwrap(), &own).unwrap();
        let mut config = step.parse(&merged).unwrap();
        assert_eq!(config["clusters"].as_array().unwrap().len(), 2, "merging twice adds once");
        assert_eq!(config["current-context"], "curtain-a");
        assert_eq!(config["contexts"][0]["context"]["cluster"], "curtain-a");
        assert!(step.is_merged(&config, &own));
        let mut renewed = own.clone();
        renewed["users"][0]["user"]["client-key-data"] = json!("other");
        assert!(!step.is_merged(&config, &renewed), "a new key is merged again");
        step.drop_entries(&mut config);
        assert_eq!(config["clusters"], json!([{ "name": "work", "cluster": {} }]));
        assert_eq!(config["users"], json!([]));
    }
}
