//! The document of version 2.

use prost::Message as _;

use super::*;

#[path = "read.rs"]
mod read;

/// Two documents that share definitions: built-in kinds, and one of a definition.
fn both() -> Value {
    let schema = json!({"type": "object", "required": ["spec"], "properties": {
        "spec": {"type": "object", "properties": {
            "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "size": {"type": "string", "nullable": true, "maxLength": 9, "enum": ["s", "l"]},
            "labels": {"type": "object", "additionalProperties": {"type": "string", "default": "x"}},
        }},
    }});
    let thing = Resource {
        group: "example.dev",
        version: "v1alpha1",
        kind: "Thing",
        plural: "things",
        namespaced: false,
        verbs: ALL,
        subresources: &[],
        custom: Some(&schema),
    };
    swagger([parsed("apps", "v1", &[deployments()]), parsed("example.dev", "v1alpha1", &[thing])])
}

#[test]
fn it_says_what_the_documents_of_version_3_do_in_the_words_of_version_2() {
    let document = both();
    let text = document.to_string();
    for unknown in ["#/components", "requestBody", "oneOf", "anyOf", "nullable", "\"content\""] {
        assert!(!text.contains(unknown), "{unknown}");
    }
    let definitions = &document["definitions"];
    let spec = &definitions["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"];
    assert_eq!(spec["$ref"], "#/definitions/io.k8s.api.apps.v1.DeploymentSpec");
    let surge =
        &definitions["io.k8s.api.apps.v1.RollingUpdateDeployment"]["properties"]["maxSurge"];
    assert_eq!((&surge["type"], &surge["format"]), (&json!("string"), &json!("int-or-string")));
    let thing = &definitions["dev.example.v1alpha1.Thing"]["properties"]["spec"]["properties"];
    assert_eq!(thing["size"], json!({"maxLength": 9, "enum": ["s", "l"]}));
    assert_eq!(thing["port"], json!({"x-kubernetes-int-or-string": true}));
    let create = &document["paths"]["/apis/example.dev/v1alpha1/things"]["post"];
    let body = create["parameters"].as_array().unwrap().last().unwrap();
    let reference = json!({"$ref": "#/definitions/dev.example.v1alpha1.Thing"});
    assert_eq!(body, &json!({"name": "body", "in": "body", "required": true, "schema": reference}));
    assert_eq!(create["responses"]["200"]["schema"], reference);
    assert_eq!(
        (&create["consumes"], &create["produces"]),
        (&json!(["*/*"]), &json!(["application/json"]))
    );
    let dry_run = &create["parameters"][0];
    assert_eq!(
        dry_run,
        &json!({"name": "dryRun", "in": "query", "type": "string", "uniqueItems": true})
    );
    let delete = &document["paths"]["/apis/example.dev/v1alpha1/things/{name}"]["delete"];
    assert_eq!(delete["parameters"].as_array().unwrap().last().unwrap()["required"], false);
}

#[test]
fn a_definition_of_several_documents_has_the_kinds_of_all() {
    let kind = |group: &str| json!({"group": group, "version": "v1", "kind": "DeleteOptions"});
    let of = |group: &str| json!({"components": {"schemas": {"O": {"x-kubernetes-group-version-kind": [kind(group)]}}}});
    let document =
        swagger([of("a"), json!({"components": {"schemas": {"O": {}}}}), of("b"), of("a")]);
    let kinds = &document["definitions"]["O"]["x-kubernetes-group-version-kind"];
    assert_eq!(*kinds, json!([kind("a"), kind("b")]));
}

#[test]
fn its_protocol_buffers_are_those_that_clients_read() {
    let document = both();
    let read = read::Document::decode(&*swagger_protobuf(&document)).expect("decodes");
    assert_eq!(read.swagger, "2.0");
    let definitions = read.definitions.as_ref().expect("definitions");
    assert_eq!(definitions.all.len(), document["definitions"].as_object().unwrap().len());

    let deployment = definitions.named("io.k8s.api.apps.v1.Deployment");
    let kind = deployment.extension("x-kubernetes-group-version-kind");
    assert_eq!(kind, Some(json!([{"group": "apps", "version": "v1", "kind": "Deployment"}])));
    assert_eq!(deployment.r#type(), ["object"]);
    let spec = "#/definitions/io.k8s.api.apps.v1.DeploymentSpec";
    assert_eq!(deployment.property("spec").reference, spec);
    let pod = definitions.named("io.k8s.api.core.v1.PodSpec");
    assert_eq!(pod.required, ["containers"]);
    let containers = pod.property("containers");
    assert_eq!(containers.extension("x-kubernetes-patch-merge-key"), Some(json!("name")));
    let item = &containers.items.as_ref().expect("items").schema[0];
    assert_eq!(item.reference, "#/definitions/io.k8s.api.core.v1.Container");
    let thing = definitions.named("dev.example.v1alpha1.Thing").property("spec");
    let size = thing.property("size");
    let values: Vec<&str> = size.r#enum.iter().map(|one| &*one.yaml).collect();
    assert_eq!((size.max_length, values), (9, vec!["\"s\"", "\"l\""]));
    let label = thing.property("labels").additional.as_ref().and_then(|it| it.schema.as_deref());
    let label = label.expect("a schema");
    assert_eq!(label.default.as_ref().expect("a default").yaml, "\"x\"");

    let paths = read.paths.expect("paths").path;
    assert_eq!(paths.len(), document["paths"].as_object().unwrap().len());
    let path = paths.iter().find(|one| one.name.ends_with("/namespaces/{namespace}/deployments"));
    let path = path.and_then(|one| one.value.as_ref()).expect("a path");
    let in_path =
        path.parameters[0].parameter.as_ref().and_then(|it| it.other.as_ref()?.path.as_ref());
    let in_path = in_path.expect("in the path");
    assert_eq!((&*in_path.name, in_path.required, &*in_path.r#type), ("namespace", true, "string"));
    let post = path.post.as_ref().expect("POST");
    let query =
        post.parameters[0].parameter.as_ref().and_then(|it| it.other.as_ref()?.query.as_ref());
    let query = query.expect("in the query");
    assert_eq!((&*query.name, query.unique, &*query.r#type), ("dryRun", true, "string"));
    let body = post.parameters.last().and_then(|it| it.parameter.as_ref()?.body.as_ref());
    let body = body.expect("a body");
    let deployment = "#/definitions/io.k8s.api.apps.v1.Deployment";
    assert_eq!((&*body.name, body.required), ("body", true));
    assert_eq!(body.schema.as_ref().expect("a schema").reference, deployment);
    let responses = &post.responses.as_ref().expect("responses").code;
    let answer = responses[0].value.as_ref().and_then(|it| it.response.as_ref()?.schema.as_ref());
    assert_eq!(responses[0].name, "200");
    assert_eq!(answer.expect("a schema").schema[0].reference, deployment);
    assert_eq!(post.produces, ["application/json"]);
    assert!(post.extensions.iter().any(|one| one.name == "x-kubernetes-action"));
}
