//! The instance's context in the user's own kubeconfig, on request.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Error,
    clients::edit,
    effect::{Boxed, Step},
    lock,
    steps::origin::{self, Origin, Rest},
    world::World,
};

/// Our entries in somebody else's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MergedStep {
    /// The user's kubeconfig.
    pub path: PathBuf,
    /// The name of our cluster, user and context in it.
    pub context: String,
    /// The context that was the current one before.
    #[serde(default)]
    pub before: Option<String>,
}

const LISTS: [&str; 3] = ["clusters", "users", "contexts"];

impl MergedStep {
    /// Works out what there was before.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn prepare(path: PathBuf, context: String) -> Result<Self, Error> {
        let mut step = Self { path, context, before: None };
        let config = step.parse(&edit::read(&step.path)?.unwrap_or_default())?;
        step.before = config["current-context"].as_str().map(str::to_owned);
        Ok(step)
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
            if let Some(entries) = config.get_mut(list).and_then(Value::as_array_mut) {
                entries.retain(|entry| entry["name"] != json!(self.context));
            }
        }
    }

    /// The current context once ours is gone from `config`: what it was before us if that is still there, or else what
    /// it was in `origin`, before any instance.
    fn former_context(&self, config: &Value, origin: &Value) -> Value {
        let contexts = config["contexts"].as_array();
        let there = |name: &&String| {
            contexts.is_some_and(|all| all.iter().any(|one| one["name"] == json!(name)))
        };
        let before = self.before.as_ref().filter(there).map(|name| json!(name));
        before.or_else(|| origin.get("current-context").cloned()).unwrap_or_else(|| json!(""))
    }

    /// `text` without our entries, if they are in it. `before` is the text from before any entry, where that is known.
    fn without(&self, text: &str, before: Option<&str>) -> Result<Option<Rest>, Error> {
        let mut config = self.parse(text)?;
        let merged = config.clone();
        self.drop_entries(&mut config);
        if config == merged {
            return Ok(None);
        }
        let known = before.is_some();
        let before = self.parse(before.unwrap_or_default())?;
        if config["current-context"] == json!(self.context) {
            config["current-context"] = self.former_context(&config, &before);
        }
        let as_before = known && said(&config) == said(&before);
        Ok(Some(Rest { text: self.render(&config)?, as_before }))
    }
}

/// What `config` says: a field that is empty says as little as one that is not there.
fn said(config: &Value) -> Vec<(&String, &Value)> {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    let mut fields: Vec<_> =
        config.as_object().into_iter().flatten().filter(|(_, value)| !empty(value)).collect();
    fields.sort_by_key(|(name, _)| *name);
    fields
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
            let _guard = lock::guard(world.home).await?;
            let (_lock, text) = Origin::keep(world.home, &self.path).await?;
            edit::write(&self.path, &self.merge(&text.unwrap_or_default(), &own)?)
        })
    }

    fn undo<'a>(&'a self, world: &'a World<'_>) -> Boxed<'a, Result<usize, Error>> {
        Box::pin(origin::take_back(world.home, &self.path, |text, before| {
            self.without(text, before)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use super::*;
    use crate::{Home, Homes, home::create_private, ledger::Ledger, progress::Silent};

    const WORK: &str = "apiVersion: v1\nkind: Config # mine\ncurrent-context: work\n";

    fn own() -> Value {
        json!({
            "clusters": [{ "name": "embedded", "cluster": { "server": "https://127.0.0.1:1" } }],
            "users": [{ "name": "admin", "user": {} }],
            "contexts": [{ "name": "admin@embedded", "context": { "cluster": "embedded", "user": "admin" } }],
        })
    }

    fn home(dir: &Path) -> Home {
        instance(dir, "x")
    }

    fn instance(dir: &Path, name: &str) -> Home {
        let home = Homes::new(dir.join("data")).instance(&name.parse().unwrap());
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

    #[tokio::test]
    async fn two_instances_leave_the_file_as_it_was_in_whatever_order_they_go() {
        let mine = format!("{WORK}contexts:\n- name: work\n  context: {{}}\n");
        for before in [Some(mine.as_str()), Some(WORK), None] {
            for (first, last, current) in [(0, 1, "curtain-b"), (1, 0, "curtain-a")] {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join(".kube/config");
                if let Some(text) = before {
                    create_private(path.parent().unwrap()).unwrap();
                    fs::write(&path, text).unwrap();
                }
                let homes = ["a", "b"].map(|name| instance(dir.path(), name));
                let worlds = homes.each_ref().map(world);
                let mut steps = Vec::new();
                for (name, world) in ["curtain-a", "curtain-b"].into_iter().zip(&worlds) {
                    let step = MergedStep::prepare(path.clone(), name.to_owned()).unwrap();
                    step.act(world).await.unwrap();
                    steps.push(step);
                }
                steps[first].undo(&worlds[first]).await.unwrap();
                let config = steps[last].parse(&fs::read_to_string(&path).unwrap()).unwrap();
                assert_eq!(config["current-context"], current);
                assert!(steps[last].probe(&worlds[last]).await.unwrap());
                steps[last].undo(&worlds[last]).await.unwrap();
                assert_eq!(fs::read_to_string(&path).ok().as_deref(), before, "{first}");
                assert_eq!(path.parent().unwrap().exists(), before.is_some());
            }
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
