//! Freezing a component into a release on demand.

use kube::api::{ListParams, PostParams};
use serde_json::{Map, Value, json};

use super::{
    Ask, Error, Object, Objects, Verb,
    create::{FIELD_MANAGER, label},
    kind,
    list::types,
    store::check_name,
    view::text_at,
};

/// How many names are tried when others take the next one.
const TRIES: usize = 5;

impl Objects {
    /// Freezes component, workload, component type and traits as they are now into a ComponentRelease, named
    /// `release_name` or `<component>-<YYYYMMDD>-<n>`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the component, its workload, its type or a trait; [`Error::BadRequest`] for traits that
    /// the type does not allow; [`Error::Exists`], [`Error::Denied`].
    pub async fn generate_release(
        &self,
        ask: Ask<'_>,
        namespace: &str,
        component: &str,
        release_name: Option<&str>,
    ) -> Result<Object, Error> {
        let release = kind("ComponentRelease");
        let found = self.peek(kind("Component"), namespace, component).await?;
        let at = kind("Component").place_of(namespace, &found);
        let asked = release_name.unwrap_or_default();
        if !asked.is_empty() {
            check_name(release, asked)?;
        }
        let nothing = crate::authz::Attributes::default();
        self.authorize(ask, (release, asked, Verb::Create), &at, &nothing)?;
        let spec = self.freeze(namespace, &found).await?;
        if !asked.is_empty() {
            return self.insert_release(namespace, asked, &spec).await;
        }
        let today = jiff::Timestamp::now().strftime("%Y%m%d").to_string();
        let prefix = format!("{component}-{today}-");
        let mut next = self.last_number(namespace, &prefix).await? + 1;
        for _ in 0..TRIES {
            match self.insert_release(namespace, &format!("{prefix}{next}"), &spec).await {
                Err(Error::Exists { .. }) => next += 1,
                other => return other,
            }
        }
        Err(Error::Exists { kind: release.kind, name: format!("{prefix}{next}") })
    }

    async fn insert_release(
        &self,
        namespace: &str,
        name: &str,
        spec: &Value,
    ) -> Result<Object, Error> {
        let row = kind("ComponentRelease");
        let mut object = Object::new(name, &row.resource()).within(namespace);
        object.types = Some(types(row));
        object.data = json!({ "spec": spec });
        label(row, &mut object);
        let options =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created = self.api(row, namespace)?.create(&options, &object).await;
        created.map_err(|error| Error::from_kube(error, row, name))
    }

    /// The highest number that a name with `prefix` ends in.
    async fn last_number(&self, namespace: &str, prefix: &str) -> Result<u32, Error> {
        let row = kind("ComponentRelease");
        let all = self.api(row, namespace)?.list_metadata(&ListParams::default()).await;
        let all = all.map_err(|error| Error::from_kube(error, row, ""))?;
        let numbers = all.items.iter().filter_map(|object| {
            object.metadata.name.as_deref()?.strip_prefix(prefix)?.parse::<u32>().ok()
        });
        Ok(numbers.max().unwrap_or(0))
    }

    async fn freeze(&self, namespace: &str, component: &Object) -> Result<Value, Error> {
        let spec = &component.data["spec"];
        let name = component.metadata.name.as_deref().unwrap_or_default();
        let project = text_at(spec, &["owner", "projectName"]);
        let mut workload = self.workload_of(namespace, &project, name).await?;
        if let Some(workload) = workload.as_object_mut() {
            workload.remove("owner");
        }
        let component_type = self.component_type(namespace, spec).await?;
        let traits = self.traits(namespace, spec, &component_type["spec"]).await?;
        let mut release = json!({
            "owner": {"projectName": project, "componentName": name},
            "componentType": component_type,
            "workload": workload,
        });
        let mut profile = Map::new();
        for part in ["parameters", "traits"] {
            let value = &spec[part];
            if !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()) {
                profile.insert(part.to_owned(), value.clone());
            }
        }
        if !profile.is_empty() {
            release["componentProfile"] = Value::Object(profile);
        }
        if !traits.is_empty() {
            release["traits"] = Value::Array(traits);
        }
        Ok(release)
    }

    async fn workload_of(
        &self,
        namespace: &str,
        project: &str,
        component: &str,
    ) -> Result<Value, Error> {
        let row = kind("Workload");
        let all = self.api(row, namespace)?.list(&ListParams::default()).await;
        let all = all.map_err(|error| Error::from_kube(error, row, ""))?;
        let owned = all.items.into_iter().find(|object| {
            text_at(&object.data, &["spec", "owner", "projectName"]) == project
                && text_at(&object.data, &["spec", "owner", "componentName"]) == component
        });
        let none = || Error::NotFound { kind: row.kind, name: format!("of component {component}") };
        Ok(owned.ok_or_else(none)?.data["spec"].take())
    }

    /// The type as a release holds it: kind, name and spec.
    async fn component_type(&self, namespace: &str, spec: &Value) -> Result<Value, Error> {
        let full = text_at(spec, &["componentType", "name"]);
        let named = text_at(spec, &["componentType", "kind"]);
        let missing = |kind| Error::NotFound { kind, name: full.clone() };
        // Types of a namespace are not served: only the cluster's can be found.
        if named != "ClusterComponentType" {
            return Err(missing("ComponentType"));
        }
        let row = kind("ClusterComponentType");
        let (workload_type, name) = full.split_once('/').ok_or_else(|| missing(row.kind))?;
        let mut found = self.peek(row, namespace, name).await?;
        if text_at(&found.data, &["spec", "workloadType"]) != workload_type {
            return Err(missing(row.kind));
        }
        Ok(json!({"kind": named, "name": full, "spec": found.data["spec"].take()}))
    }

    /// The traits of the component and those built into its type, each once.
    async fn traits(
        &self,
        namespace: &str,
        spec: &Value,
        component_type: &Value,
    ) -> Result<Vec<Value>, Error> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let reference = |used: &Value| {
            let kind = text_at(used, &["kind"]);
            let kind = if kind == "ClusterTrait" { "ClusterTrait" } else { "Trait" };
            (kind, text_at(used, &["name"]))
        };
        let allowed: Vec<_> =
            list(&component_type["allowedTraits"]).iter().map(reference).collect();
        let (built_in, own) = (list(&component_type["traits"]), list(&spec["traits"]));
        let mut instances = std::collections::BTreeSet::new();
        for used in built_in.iter().chain(&own) {
            let instance = text_at(used, &["instanceName"]);
            if !instances.insert(instance.clone()) {
                return Err(Error::BadRequest(format!(
                    "trait instance name {instance:?} is used twice"
                )));
            }
        }
        let mut references = std::collections::BTreeSet::new();
        for used in &own {
            let (kind, name) = reference(used);
            if !allowed.contains(&(kind, name.clone())) {
                let error = format!("{kind} {name} is not among the type's allowedTraits");
                return Err(Error::BadRequest(error));
            }
        }
        references.extend(built_in.iter().chain(&own).map(reference));
        let mut frozen = Vec::new();
        for (trait_kind, name) in references {
            let mut found = self.peek(kind(trait_kind), namespace, &name).await?;
            frozen
                .push(json!({"kind": trait_kind, "name": name, "spec": found.data["spec"].take()}));
        }
        Ok(frozen)
    }
}
