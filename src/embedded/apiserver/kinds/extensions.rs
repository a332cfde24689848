//! Custom resource definitions: validation, names, and the descriptors that they make.

mod conditions;
mod names;

use std::collections::BTreeMap;
use std::sync::Arc;

use curtain_schema::FieldError;
use curtain_schema::crd::CrdSchema;
use serde_json::{Value, json};

use super::super::jsonpath::Path;
use super::super::store::{Object, Store};
use super::builtin::{CLUSTER, Line};
use super::catalog::{Definitions, Served};
use super::columns::CREATED;
use super::meta::{immutable, is_dns_1035_label, is_dns_subdomain};
use super::{
    Catalog, Column, Columns, Deletion, Reading, Resource, Scale, Schema, Strategy, ValueExt,
    api_version,
};

pub(crate) use conditions::{announce_cleanup, announce_deletion};
pub(crate) use names::Names;

/// Holds a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// Where definitions are stored.
pub(crate) const TABLE: &str = "apiextensions.k8s.io/customresourcedefinitions";

pub(super) const KINDS: &[Line] = &[Line {
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    short: &["crd", "crds"],
    categories: &["api-extensions"],
    strategy: DEFINITION,
    columns: CREATED,
    status: true,
    generation: true,
    ..CLUSTER
}];

const DEFINITION: Strategy = Strategy {
    default,
    prepare,
    validate,
    along: Some(names::along),
    deletion: Deletion::Definition,
    ..Strategy::PLAIN
};

fn default(definition: &mut Value) {
    let spec = definition.sub("spec");
    let kind = spec.text(&["names", "kind"]).to_owned();
    let names = spec.sub("names");
    names.default_to("singular", kind.to_lowercase());
    names.default_to("listKind", format!("{kind}List"));
    if spec.at(&["conversion"]).is_none() {
        spec["conversion"] = json!({"strategy": "None"});
    }
    for version in spec.items_mut("versions") {
        for column in version.items_mut("additionalPrinterColumns") {
            if column["priority"] == 0 {
                column.drop_field("priority");
            }
        }
    }
}

fn storage_version(definition: &Value) -> &str {
    let versions = definition.list(&["spec", "versions"]);
    versions.iter().find(|v| v["storage"] == true).map_or("", |v| v.text(&["name"]))
}

fn prepare(definition: &mut Value, old: Option<&Value>) {
    let mut stored: Vec<Value> =
        old.map(|old| old.list(&["status", "storedVersions"]).to_vec()).unwrap_or_default();
    let storage = Value::from(storage_version(definition));
    if !stored.contains(&storage) {
        stored.push(storage);
    }
    if old.is_none() {
        let metadata = definition.sub("metadata");
        metadata.default_to("finalizers", json!([]));
        if let Some(list) = metadata["finalizers"].as_array_mut()
            && !list.iter().any(|f| f == CLEANUP)
        {
            list.push(CLEANUP.into());
        }
    }
    definition.sub("status")["storedVersions"] = stored.into();
}

fn validate(definition: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let (group, plural) =
        (definition.text(&["spec", "group"]), definition.text(&["spec", "names", "plural"]));
    let name = definition.text(&["metadata", "name"]);
    if name != format!("{plural}.{group}") {
        let why = format!(
            "must be spec.names.plural+\".\"+spec.group, got {name:?}, want {:?}",
            format!("{plural}.{group}")
        );
        errors.push(FieldError::invalid("metadata.name", name.into(), why));
    }
    if super::builtin::is_served(group, plural) {
        let why = "a kind of the server itself has this name";
        errors.push(FieldError::forbidden("metadata.name", why));
    }
    match is_dns_subdomain(group) {
        _ if group.is_empty() => errors.push(FieldError::required("spec.group", "")),
        Some(why) => errors.push(FieldError::invalid("spec.group", group.into(), why)),
        None if !group.contains('.') => {
            errors.push(FieldError::invalid(
                "spec.group",
                group.into(),
                "should be a domain with at least one dot",
            ));
        }
        None => {}
    }
    for field in ["plural", "singular", "kind", "listKind"] {
        let (path, text) =
            (format!("spec.names.{field}"), definition.text(&["spec", "names", field]));
        if text.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else if let Some(why) = is_dns_1035_label(&text.to_lowercase()) {
            errors.push(FieldError::invalid(path, text.into(), why));
        }
    }
    super::template::one_of(
        &definition["spec"],
        "scope",
        &["Cluster", "Namespaced"],
        "spec.scope",
        errors,
    );
    let strategy = definition.text(&["spec", "conversion", "strategy"]);
    if strategy != "None" {
        errors.push(FieldError::not_supported(
            "spec.conversion.strategy",
            strategy.into(),
            &["None"],
        ));
    }
    let versions = definition.list(&["spec", "versions"]);
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid(
            "spec.versions",
            definition["spec"]["versions"].clone(),
            why,
        ));
    }
    let known = old.map_or(&[][..], |old| old.list(&["spec", "versions"]));
    for (at, version) in versions.iter().enumerate() {
        // What is stored has passed; compiling its schema again costs more than the rest of the write.
        if !known.contains(version) {
            validate_version(version, &format!("spec.versions[{at}]"), errors);
        }
    }
    if let Some(old) = old {
        // Its objects are stored by these; of what has never been served there are none.
        let stored: &[&[&str]] = match conditions::is_established(old) {
            true => &[&["spec", "names", "kind"], &["spec", "scope"]],
            false => &[],
        };
        let always: [&[&str]; 2] = [&["spec", "group"], &["spec", "names", "plural"]];
        for path in always.iter().chain(stored) {
            if old.at(path) != definition.at(path) {
                errors.push(immutable(&path.join("."), definition.at(path)));
            }
        }
    }
}

fn validate_version(version: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let name = version.text(&["name"]);
    if let Some(why) = is_dns_1035_label(name) {
        errors.push(FieldError::invalid(format!("{path}.name"), name.into(), why));
    }
    match version.at(&["schema", "openAPIV3Schema"]) {
        None => errors.push(FieldError::required(
            format!("{path}.schema.openAPIV3Schema"),
            "schemas are required",
        )),
        Some(schema) => {
            let path = format!("{path}.schema.openAPIV3Schema");
            match CrdSchema::compile(schema, &path) {
                Ok(schema) => errors.extend(schema.check_defaults(&path)),
                Err(found) => errors.extend(found),
            }
        }
    }
    for (at, column) in version.list(&["additionalPrinterColumns"]).iter().enumerate() {
        let path = format!("{path}.additionalPrinterColumns[{at}]");
        if let Err(why) = Path::parse(column.text(&["jsonPath"])) {
            errors.push(FieldError::invalid(
                format!("{path}.jsonPath"),
                column["jsonPath"].clone(),
                why,
            ));
        }
        let kinds = ["boolean", "date", "integer", "number", "string"];
        super::template::one_of(column, "type", &kinds, &format!("{path}.type"), errors);
    }
}

/// The resources of all definitions. What has not changed is taken over from what is known: reading a definition
/// costs far more than comparing its version, and compiling its schemas more than reading it.
pub(crate) fn custom_resources(store: &Store, known: &Catalog) -> Definitions {
    let definitions = store.list(&TABLE.into(), None).objects;
    let look = |definition: &Arc<Object>| {
        let unchanged = known.definitions.get(&definition.key).filter(|s| s.rv == definition.rv);
        let served = unchanged
            .cloned()
            .unwrap_or_else(|| Served { rv: definition.rv, resources: served(definition, known) });
        (definition.key.clone(), served)
    };
    definitions.iter().map(look).collect()
}

fn served(object: &Object, known: &Catalog) -> Vec<Arc<Resource>> {
    let definition = object.value();
    if !conditions::is_established(&definition) {
        return Vec::new();
    }
    let generation = definition.int(&["metadata", "generation"]).unwrap_or(0);
    let revision =
        format!("{}/{generation}/{}", object.uid(), definition["status"]["acceptedNames"]);
    let ending = conditions::is_ending(&definition);
    let (group, plural) =
        (definition.text(&["spec", "group"]), definition.text(&["spec", "names", "plural"]));
    let versions = definition.list(&["spec", "versions"]).iter();
    let versions: Vec<_> = versions.filter(|version| version["served"] == true).collect();
    let unchanged = versions.iter().map(|version| {
        let known = known.resource(group, version.text(&["name"]), plural)?;
        (known.revision == revision && known.ending == ending).then(|| known.clone())
    });
    if let Some(unchanged) = unchanged.collect() {
        return unchanged;
    }
    // The first schemas are what everything was written by.
    let since = if generation > 1 { object.rv } else { 0 };
    let reading = Arc::new(Reading { since, schemas: schemas(&definition) });
    let made = versions.iter().filter_map(|version| {
        let schema = reading.schemas.get(&api_version(group, version.text(&["name"])))?;
        let schema = Schema::Structural(schema.clone());
        Some(Arc::new(descriptor(&definition, version, &revision, schema, reading.clone())))
    });
    made.collect()
}

/// The compiled schemas of all versions, by their `apiVersion`.
fn schemas(definition: &Value) -> BTreeMap<String, Arc<CrdSchema>> {
    let group = definition.text(&["spec", "group"]);
    let compiled = definition.list(&["spec", "versions"]).iter().filter_map(|version| {
        let name = api_version(group, version.text(&["name"]));
        match CrdSchema::compile(&version["schema"]["openAPIV3Schema"], "") {
            Ok(schema) => Some((name, Arc::new(schema))),
            Err(errors) => {
                let plural = definition.text(&["spec", "names", "plural"]);
                tracing::error!(
                    version = name,
                    plural,
                    ?errors,
                    "a stored schema does not compile; it is not served"
                );
                None
            }
        }
    });
    compiled.collect()
}

fn strings(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn descriptor(
    definition: &Value,
    version: &Value,
    revision: &str,
    schema: Schema,
    reading: Arc<Reading>,
) -> Resource {
    let spec = &definition["spec"];
    let names = &definition["status"]["acceptedNames"];
    let (group, plural, name) =
        (spec.text(&["group"]), names.text(&["plural"]), version.text(&["name"]));
    let scale = version.at(&["subresources", "scale"]).and_then(|scale| {
        let path = |field: &str| {
            Path::parse(scale.text(&[field])).ok()?.fields().filter(|fields| !fields.is_empty())
        };
        Some(Scale {
            replicas: path("specReplicasPath")?,
            status_replicas: path("statusReplicasPath")?,
            selector: path("labelSelectorPath"),
        })
    });
    let selectable = version.list(&["selectableFields"]).iter();
    Resource {
        group: group.into(),
        version: name.into(),
        served_api_version: api_version(group, name),
        stored_api_version: api_version(group, storage_version(definition)),
        kind: names.text(&["kind"]).into(),
        list_kind: names.text(&["listKind"]).into(),
        plural: plural.into(),
        singular: names.text(&["singular"]).into(),
        short_names: strings(names.list(&["shortNames"])),
        categories: strings(names.list(&["categories"])),
        namespaced: spec["scope"] == "Namespaced",
        table: format!("{group}/{plural}").into(),
        selectable: selectable
            .map(|f| f.text(&["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
        columns: columns(version),
        subresources: &[],
        has_status: version.at(&["subresources", "status"]).is_some(),
        scale,
        generation: true,
        revision: revision.into(),
        ending: conditions::is_ending(definition),
        strategy: Strategy { unconditional_update: false, ..Strategy::PLAIN },
        schema,
        reading: Some(reading),
    }
}

fn columns(version: &Value) -> Columns {
    let mut columns: Vec<_> = version
        .list(&["additionalPrinterColumns"])
        .iter()
        .filter_map(|column| {
            let text = |field: &str| column.text(&[field]).to_owned();
            let path = Path::parse(column.text(&["jsonPath"])).ok()?;
            let description = match text("description") {
                empty if empty.is_empty() => format!(
                    "Custom resource definition column (in JSONPath format): {}",
                    text("jsonPath")
                ),
                description => description,
            };
            let column = Column {
                name: text("name"),
                kind: text("type"),
                format: text("format"),
                description,
                priority: column.int(&["priority"]).unwrap_or(0),
            };
            Some((column, path))
        })
        .collect();
    if columns.is_empty()
        && let Ok(path) = Path::parse(".metadata.creationTimestamp")
    {
        let age = Column {
            name: "Age".into(),
            kind: "date".into(),
            format: String::new(),
            description: "CreationTimestamp is a timestamp representing the server time when this object was created.".into(),
            priority: 0,
        };
        columns.push((age, path));
    }
    Columns::Paths(columns)
}
