//! Making objects: defaults and references.

use kube::api::PostParams;
use serde_json::{Value, json};

use super::{
    Error, Kind, Object, Objects, Place, Verb,
    judge::{is_binding, sign},
    kind,
    list::types,
    store::{Ask, CONTROL_PLANE_LABEL, check_name, check_namespace},
    unknown::{refuse_beside_spec, refuse_in_spec},
    view::text_at,
};
use crate::{audit::trail, authz::described};
use curtain_platform::types::labels;

/// The name under which the api-server's changes are kept apart.
pub(super) const FIELD_MANAGER: &str = "openchoreo-api";

impl Objects {
    /// Makes `object` in `namespace`.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for a reference to nothing or a field that `kind` does not have, [`Error::Exists`],
    /// [`Error::Invalid`], [`Error::Denied`].
    pub async fn create(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        namespace: &str,
        object: Value,
    ) -> Result<Object, Error> {
        check_namespace(kind, namespace)?;
        let mut object = parse(kind, namespace, object)?;
        let name = object.metadata.name.clone().unwrap_or_default();
        check_name(kind, &name)?;
        fill_in(kind, &mut object);
        let at = kind.place_of(namespace, &object);
        let attributes = kind.attributes(namespace, &object.data, Verb::Create);
        self.authorize(ask, (kind, &name, Verb::Create), &at, &attributes)?;
        refuse_in_spec(kind, &object.data, None)?;
        if kind.is_namespaced() {
            self.check_references(ask, kind, namespace, &object).await?;
        }
        label(kind, &mut object);
        if is_binding(kind) {
            sign(&mut object, ask.caller);
        }
        let options =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created = self.api(kind, namespace)?.create(&options, &object).await;
        let created = created.map_err(|error| Error::from_kube(error, kind, &name))?;
        if is_binding(kind) {
            trail::given("grant", &described(&created));
        }
        Ok(created)
    }

    async fn check_references(
        &self,
        ask: Ask<'_>,
        kind: &'static Kind,
        namespace: &str,
        object: &Object,
    ) -> Result<(), Error> {
        self.peek(self::kind("Namespace"), "", namespace).await?;
        let owner = |field: &str| text_at(&object.data, &["spec", "owner", field]);
        let (referenced, name) = match kind.place {
            Place::Component => (self::kind("Project"), owner("projectName")),
            Place::OfComponent => (self::kind("Component"), owner("componentName")),
            _ => return Ok(()),
        };
        let lower = referenced.kind.to_ascii_lowercase();
        let absent = || Error::BadRequest(format!("Referenced {lower} not found: {name:?}"));
        let found = match self.peek(referenced, namespace, &name).await {
            Ok(found) => found,
            Err(Error::NotFound { .. } | Error::BadRequest(_)) => return Err(absent()),
            Err(other) => return Err(other),
        };
        // A component's own project decides who may touch it, so the object must not claim another.
        if kind.place == Place::OfComponent
            && let Some(wrong) = self.elsewhere(ask, namespace, &found, &owner("projectName"))
        {
            return Err(match wrong {
                Error::NotFound { .. } => absent(),
                wrong => wrong,
            });
        }
        Ok(())
    }
}

/// Takes what a caller may set: name, labels, annotations and spec.
pub(super) fn parse(kind: &'static Kind, namespace: &str, value: Value) -> Result<Object, Error> {
    let bad = |reason: String| Error::BadRequest(reason);
    let Value::Object(mut value) = value else {
        return Err(bad(format!("Request body is required: a {} as a JSON object", kind.kind)));
    };
    if let Some(said) = value.get("kind").and_then(Value::as_str)
        && said != kind.kind
    {
        return Err(bad(format!("this is the place of {}, not of {said:?}", kind.kind)));
    }
    let metadata = value.get("metadata").cloned().unwrap_or(json!({}));
    let sent: kube::core::ObjectMeta =
        serde_json::from_value(metadata).map_err(|error| bad(format!("metadata: {error}")))?;
    refuse_beside_spec(&value, &sent)?;
    if sent.name.as_deref().unwrap_or_default().is_empty() {
        return Err(bad("metadata.name is required".into()));
    }
    if kind.is_namespaced() && sent.namespace.as_deref().is_some_and(|said| said != namespace) {
        return Err(bad(format!("metadata.namespace must be {namespace}, as in the path")));
    }
    let mut object = Object::new("", &kind.resource());
    object.types = Some(types(kind));
    object.metadata.name = sent.name;
    object.metadata.namespace = kind.is_namespaced().then(|| namespace.to_owned());
    object.metadata.labels = sent.labels;
    object.metadata.annotations = sent.annotations;
    object.metadata.resource_version = sent.resource_version;
    object.data = match value.remove("spec") {
        Some(spec) => json!({ "spec": spec }),
        None => json!({}),
    };
    Ok(object)
}

/// What upstream's API fills in for a caller that left it out.
fn fill_in(kind: &Kind, object: &mut Object) {
    object.metadata.resource_version = None;
    match kind.kind {
        "Project" => {
            let spec = spec(object);
            if text_at(spec, &["deploymentPipelineRef", "name"]).is_empty() {
                spec["deploymentPipelineRef"] =
                    json!({"kind": "DeploymentPipeline", "name": "default"});
            }
            if text_at(spec, &["type", "name"]).is_empty() {
                spec["type"] = json!({"kind": "ClusterProjectType", "name": "default"});
            }
        }
        "Component" => {
            let spec = spec(object);
            if spec["componentType"].is_object()
                && text_at(spec, &["componentType", "kind"]).is_empty()
            {
                spec["componentType"]["kind"] = json!("ComponentType");
            }
        }
        _ => {}
    }
}

fn spec(object: &mut Object) -> &mut Value {
    let spec = &mut object.data["spec"];
    if spec.is_null() {
        *spec = json!({});
    }
    spec
}

/// The labels by which controllers and people find an owner's objects.
pub(super) fn label(kind: &Kind, object: &mut Object) {
    let owner = |field: &str| text_at(&object.data, &["spec", "owner", field]);
    let (project, component) = (owner("projectName"), owner("componentName"));
    let labels = object.metadata.labels.get_or_insert_default();
    let mut put = |key: &str, value: String| labels.insert(key.to_owned(), value);
    match kind.place {
        Place::Namespace => {
            put(CONTROL_PLANE_LABEL, "true".to_owned());
        }
        Place::Component => {
            put(labels::PROJECT, project);
        }
        Place::OfComponent => {
            put(labels::PROJECT, project);
            put(labels::COMPONENT, component);
        }
        Place::Cluster | Place::InNamespace | Place::Project => {}
    }
}
