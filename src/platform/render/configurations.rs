//! A workload's variables and files, and the lists that `configurations.to…()` give.

use super::Problem;
use super::input::{Input, RemoteRef};
use crate::types::{EnvVar, FileVar, SecretKeyRef, WorkloadTemplate};
use curtain_template::{MAX_NAME, fnv32_hex, name_gen_with};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Literal and secret variables and files, after the environment's overrides.
#[derive(Default)]
pub(super) struct Configurations {
    config_envs: Vec<(String, String)>,
    secret_envs: Vec<(String, RemoteRef)>,
    config_files: Vec<(String, String, String)>,
    secret_files: Vec<(String, String, RemoteRef)>,
    /// `{component}-{environment}`, the first part of every generated name.
    prefix: String,
}

/// The workload with the environment's overrides: an entry of the same key replaces the whole
/// entry in its place, a new one is appended.
pub(super) fn overridden(input: &Input<'_>) -> WorkloadTemplate {
    let mut workload = input.release.workload.clone();
    let overrides = input.binding.workload_overrides.as_ref();
    if let Some(container) = overrides.and_then(|overrides| overrides.container.as_ref()) {
        merge(&mut workload.container.env, &container.env, |entry| &entry.key);
        merge(&mut workload.container.files, &container.files, |entry| &entry.key);
    }
    workload
}

fn merge<T: Clone>(entries: &mut Vec<T>, overrides: &[T], key: impl Fn(&T) -> &String) {
    for entry in overrides {
        match entries.iter_mut().find(|existing| key(existing) == key(entry)) {
            Some(existing) => *existing = entry.clone(),
            None => entries.push(entry.clone()),
        }
    }
}

impl Configurations {
    pub(super) fn new(
        input: &Input<'_>,
        workload: &WorkloadTemplate,
    ) -> Result<Configurations, Problem> {
        let metadata = input.metadata;
        let mut all = Configurations {
            prefix: format!("{}-{}", metadata.component.name, metadata.environment.name),
            ..Configurations::default()
        };
        let secret = |reference: &SecretKeyRef| {
            input.secrets.get(&(reference.name.clone(), reference.key.clone())).cloned().ok_or_else(
                || Problem::MissingSecret {
                    name: reference.name.clone(),
                    key: reference.key.clone(),
                },
            )
        };
        for EnvVar { key, value, value_from } in &workload.container.env {
            match value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref()) {
                Some(reference) => all.secret_envs.push((key.clone(), secret(reference)?)),
                None => all.config_envs.push((key.clone(), value.clone().unwrap_or_default())),
            }
        }
        for FileVar { key, mount_path, value, value_from } in &workload.container.files {
            let (key, path) = (key.clone(), mount_path.clone());
            match value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref()) {
                Some(reference) => all.secret_files.push((key, path, secret(reference)?)),
                None => all.config_files.push((key, path, value.clone().unwrap_or_default())),
            }
        }
        Ok(all)
    }

    /// The context variable `configurations`.
    pub(super) fn context(&self) -> Value {
        let secret = |remote: &RemoteRef| remote_ref(remote);
        json!({
            "configs": {
                "envs": self.config_envs.iter()
                    .map(|(name, value)| json!({"name": name, "value": value}))
                    .collect::<Vec<_>>(),
                "files": self.config_files.iter()
                    .map(|(name, path, value)| json!({"name": name, "mountPath": path, "value": value}))
                    .collect::<Vec<_>>(),
            },
            "secrets": {
                "envs": self.secret_envs.iter()
                    .map(|(name, remote)| json!({"name": name, "value": "", "remoteRef": secret(remote)}))
                    .collect::<Vec<_>>(),
                "files": self.secret_files.iter()
                    .map(|(name, path, remote)| json!({
                        "name": name, "mountPath": path, "value": "", "remoteRef": secret(remote),
                    }))
                    .collect::<Vec<_>>(),
            },
        })
    }

    /// What the macros read, into the context variable `derived`.
    pub(super) fn derive(&self, derived: &mut Map<String, Value>) {
        let mut put = |name: &str, items: Vec<Value>| {
            derived.insert(name.to_owned(), Value::Array(items));
        };
        let config_envs = (!self.config_envs.is_empty()).then(|| self.config_env_name());
        let secret_envs = (!self.secret_envs.is_empty()).then(|| self.secret_env_name());
        let mut env_from = Vec::new();
        env_from.extend(config_envs.iter().map(|name| json!({"configMapRef": {"name": name}})));
        env_from.extend(secret_envs.iter().map(|name| json!({"secretRef": {"name": name}})));
        put("envFrom", env_from);
        let context = self.context();
        let by_container = |name: &Option<String>, kind: &str| {
            name.iter()
                .map(|name| json!({"resourceName": name, "envs": context[kind]["envs"]}))
                .collect()
        };
        put("configEnvs", by_container(&config_envs, "configs"));
        put("secretEnvs", by_container(&secret_envs, "secrets"));

        let mut mounts = Vec::new();
        let mut volumes: BTreeMap<String, Value> = BTreeMap::new();
        let mut config_files = Vec::new();
        for (name, path, value) in &self.config_files {
            let object = self.config_file_name(name);
            let volume = mount(name, path, &mut mounts);
            volumes.insert(volume.clone(), json!({"name": volume, "configMap": {"name": object}}));
            config_files.push(json!({
                "name": name, "mountPath": path, "value": value, "resourceName": object,
            }));
        }
        let mut secret_files = Vec::new();
        for (name, path, remote) in &self.secret_files {
            let object = self.secret_file_name(name, remote);
            let volume = mount(name, path, &mut mounts);
            volumes
                .insert(volume.clone(), json!({"name": volume, "secret": {"secretName": object}}));
            secret_files.push(json!({
                "name": name, "mountPath": path, "resourceName": object,
                "remoteRef": remote_ref(remote),
            }));
        }
        put("configFiles", config_files);
        put("secretFiles", secret_files);
        put("volumeMounts", mounts);
        put("volumes", volumes.into_values().collect());
    }

    fn name(&self, parts: &[&str], extra: &str) -> String {
        let parts: Vec<&str> =
            std::iter::once(self.prefix.as_str()).chain(parts.iter().copied()).collect();
        name_gen_with(MAX_NAME, &parts, extra)
    }

    fn config_env_name(&self) -> String {
        self.name(&["env-configs"], "")
    }

    /// Another remote reference gives another name, so that pods are replaced.
    fn secret_env_name(&self) -> String {
        let mut references = String::new();
        for (name, remote) in &self.secret_envs {
            references.push_str(&format!("{name}\0{}\0", identity(remote)));
        }
        self.name(&["env-secrets"], &fnv32_hex(&references))
    }

    fn config_file_name(&self, file: &str) -> String {
        self.name(&["config", &file.replace('.', "-")], "")
    }

    fn secret_file_name(&self, file: &str, remote: &RemoteRef) -> String {
        self.name(&["secret", &file.replace('.', "-")], &fnv32_hex(&identity(remote)))
    }
}

fn identity(remote: &RemoteRef) -> String {
    let optional = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}\0{}\0{}", remote.key, optional(&remote.property), optional(&remote.version))
}

/// Adds a file's mount and returns its volume.
fn mount(name: &str, directory: &str, mounts: &mut Vec<Value>) -> String {
    let path = format!("{directory}/{name}");
    let volume = format!("file-mount-{}", fnv32_hex(&path));
    mounts.push(json!({"name": volume, "mountPath": path, "subPath": name}));
    volume
}

fn remote_ref(remote: &RemoteRef) -> Value {
    let mut reference = Map::new();
    reference.insert("key".to_owned(), json!(remote.key));
    for (name, part) in [("property", &remote.property), ("version", &remote.version)] {
        if let Some(part) = part {
            reference.insert(name.to_owned(), json!(part));
        }
    }
    Value::Object(reference)
}
