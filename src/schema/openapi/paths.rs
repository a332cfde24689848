//! Paths and operations.

use serde_json::{Map, Value, json};

use super::components::{Components, list_name, reference};
use super::{Resource, gvk};

const DELETE_OPTIONS: &str = "apimachinery.pkg.apis.meta.v1.DeleteOptions";
const STATUS: &str = "apimachinery.pkg.apis.meta.v1.Status";

/// The path items of a resource and its subresources.
pub(super) fn of(resource: &Resource<'_>, components: &mut Components) -> Vec<(String, Value)> {
    let base = match resource.group {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{base}{scope}/{}", resource.plural);
    let object = format!("{collection}/{{name}}");
    let kind = (resource.group, resource.version, resource.kind);
    let body = components.reference(kind.0, kind.1, kind.2);
    let list = reference(&list_name(resource));

    let mut items = Vec::with_capacity(3 + resource.subresources.len());
    let mut add = |path: String,
                   verbs: &[&str],
                   wanted: &[Verb],
                   kind,
                   body: &Value,
                   components: &mut Components| {
        let mut item = Map::new();
        for verb in wanted.iter().filter(|verb| verbs.contains(&verb.name())) {
            let answer = if *verb == Verb::List { &list } else { body };
            item.insert(
                verb.method().into(),
                operation(
                    *verb,
                    &path,
                    kind,
                    resource.custom.is_none(),
                    (body, answer),
                    components,
                ),
            );
        }
        if !item.is_empty() {
            item.insert("parameters".into(), path_parameters(&path));
            items.push((path, Value::Object(item)));
        }
    };
    add(
        collection,
        resource.verbs,
        &[Verb::List, Verb::Create, Verb::DeleteCollection],
        kind,
        &body,
        components,
    );
    if resource.namespaced {
        add(
            format!("{base}/{}", resource.plural),
            resource.verbs,
            &[Verb::List],
            kind,
            &body,
            components,
        );
    }
    let single = [Verb::Get, Verb::Update, Verb::Patch, Verb::Delete];
    add(object.clone(), resource.verbs, &single, kind, &body, components);
    for subresource in resource.subresources {
        let kind = subresource.kind;
        let body = components.reference(kind.0, kind.1, kind.2);
        let wanted = [Verb::Get, Verb::Create, Verb::Update, Verb::Patch];
        add(
            format!("{object}/{}", subresource.name),
            subresource.verbs,
            &wanted,
            kind,
            &body,
            components,
        );
    }
    items
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    List,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// The name in discovery.
    fn name(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }

    fn method(self) -> &'static str {
        match self {
            Verb::Get | Verb::List => "get",
            Verb::Create => "post",
            Verb::Update => "put",
            Verb::Patch => "patch",
            Verb::Delete | Verb::DeleteCollection => "delete",
        }
    }

    fn action(self) -> &'static str {
        match self {
            Verb::Create => "post",
            Verb::Update => "put",
            other => other.name(),
        }
    }

    fn parameters(self) -> &'static [(&'static str, &'static str)] {
        const WRITE: &[(&str, &str)] =
            &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")];
        const PATCH: &[(&str, &str)] = &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
            ("force", "boolean"),
        ];
        const DELETE: &[(&str, &str)] = &[
            ("dryRun", "string"),
            ("gracePeriodSeconds", "integer"),
            ("propagationPolicy", "string"),
        ];
        const LIST: &[(&str, &str)] = &[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ];
        match self {
            Verb::Get => &[],
            Verb::List => LIST,
            Verb::Create | Verb::Update => WRITE,
            Verb::Patch => PATCH,
            Verb::Delete | Verb::DeleteCollection => DELETE,
        }
    }
}

fn operation(
    verb: Verb,
    path: &str,
    kind: (&str, &str, &str),
    strategic: bool,
    (body, answer): (&Value, &Value),
    components: &mut Components,
) -> Value {
    let parameters: Vec<Value> = verb
        .parameters()
        .iter()
        .map(|(name, kind)| json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}}))
        .collect();
    let answer = match verb {
        Verb::Delete | Verb::DeleteCollection => components.definition(STATUS),
        _ => answer.clone(),
    };
    let mut operation = json!({
        "operationId": format!("{}{}", verb.name(), path.replace(['/', '{', '}', '.'], "_")),
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": answer}}}},
        "x-kubernetes-action": verb.action(),
        "x-kubernetes-group-version-kind": gvk(kind.0, kind.1, kind.2),
    });
    let content = |types: &[&str], schema: Value| {
        let content: Map<String, Value> =
            types.iter().map(|t| ((*t).to_owned(), json!({"schema": schema.clone()}))).collect();
        json!({"content": content})
    };
    match verb {
        Verb::Create | Verb::Update => operation["requestBody"] = content(&["*/*"], body.clone()),
        Verb::Patch => {
            let types = [
                "application/apply-patch+yaml",
                "application/json-patch+json",
                "application/merge-patch+json",
                // Last, because custom resources know no merge keys: kubectl picks its patch by this list.
                "application/strategic-merge-patch+json",
            ];
            let known = if strategic { &types[..] } else { &types[..3] };
            operation["requestBody"] = content(known, json!({"type": "object"}));
        }
        Verb::Delete | Verb::DeleteCollection => {
            let options = components.definition(DELETE_OPTIONS);
            operation["requestBody"] = content(&["*/*"], options);
        }
        Verb::Get | Verb::List => {}
    }
    operation
}

fn path_parameters(path: &str) -> Value {
    let names =
        ["name", "namespace"].into_iter().filter(|name| path.contains(&format!("{{{name}}}")));
    names
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .chain([json!({"name": "pretty", "in": "query", "schema": {"type": "string"}})])
        .collect()
}
