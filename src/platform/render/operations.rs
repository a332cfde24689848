//! `workload.toEndpointResources(name)`: what an endpoint offers, read off its API definition.
//!
//! An OpenAPI document (JSON or YAML) gives its methods and paths, a proto file its services and
//! methods. A definition that cannot be read offers nothing: it is a description for people first,
//! and no reason not to deploy.

use crate::types::{ComponentReleaseSpec, EndpointType, WorkloadEndpoint, WorkloadTemplate};
use serde_json::{Map, Value, json};

/// What templates write to get at the operations.
pub(super) const METHOD: &str = "toEndpointResources";

/// The operations of every endpoint that has some, by endpoint. Definitions are read only if a
/// template asks for them.
pub(super) fn all(release: &ComponentReleaseSpec, workload: &WorkloadTemplate) -> Value {
    let described = workload.endpoints.iter().filter(|(_, endpoint)| content(endpoint).is_some());
    let mut described = described.peekable();
    if described.peek().is_none() || !asked_for(release) {
        return json!({});
    }
    let operations = described.filter_map(|(name, endpoint)| {
        let found = of(endpoint);
        (!found.is_empty())
            .then(|| (name.clone(), found.into_iter().map(Operation::json).collect()))
    });
    Value::Object(operations.collect::<Map<String, Value>>())
}

fn asked_for(release: &ComponentReleaseSpec) -> bool {
    let mentions = |value: Result<String, _>| value.is_ok_and(|text| text.contains(METHOD));
    mentions(serde_json::to_string(&release.component_type.spec))
        || mentions(serde_json::to_string(&release.traits))
}

fn content(endpoint: &WorkloadEndpoint) -> Option<&str> {
    endpoint.schema.as_ref()?.content.as_deref().filter(|content| !content.trim().is_empty())
}

/// One operation. The order of the fields is the order of the list.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Operation {
    kind: &'static str,
    service: Option<String>,
    path: Option<String>,
    method: String,
}

impl Operation {
    fn json(self) -> Value {
        let mut map = Map::new();
        map.insert("kind".to_owned(), json!(self.kind));
        for (name, text) in [("service", self.service), ("path", self.path)] {
            if let Some(text) = text {
                map.insert(name.to_owned(), json!(text));
            }
        }
        map.insert("method".to_owned(), json!(self.method));
        Value::Object(map)
    }
}

#[derive(Debug, PartialEq)]
enum Language {
    OpenApi,
    Proto,
}

/// The language a definition names, or the one its endpoint's type stands for.
fn language(endpoint: &WorkloadEndpoint) -> Option<Language> {
    let named = endpoint.schema.as_ref().and_then(|schema| schema.r#type.as_deref());
    match named.map(|name| name.trim().to_ascii_lowercase()).as_deref() {
        Some("openapi" | "openapiv3" | "oas" | "oas3" | "swagger") => Some(Language::OpenApi),
        Some("proto" | "protobuf" | "grpc") => Some(Language::Proto),
        None | Some("") => match endpoint.r#type {
            EndpointType::Http => Some(Language::OpenApi),
            EndpointType::Grpc => Some(Language::Proto),
            _ => None,
        },
        Some(_) => None,
    }
}

fn of(endpoint: &WorkloadEndpoint) -> Vec<Operation> {
    let Some(content) = content(endpoint) else { return Vec::new() };
    let mut found = match language(endpoint) {
        Some(Language::OpenApi) => open_api(content),
        Some(Language::Proto) => proto(content),
        None => Vec::new(),
    };
    found.sort();
    found.dedup();
    found
}

fn open_api(content: &str) -> Vec<Operation> {
    const METHODS: [&str; 8] =
        ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    // JSON is read as YAML, too.
    let Ok(document) = serde_saphyr::from_str::<Value>(content) else { return Vec::new() };
    let Some(Value::Object(paths)) = document.get("paths") else { return Vec::new() };
    let mut found = Vec::new();
    for (path, item) in paths.iter().filter(|(path, _)| path.starts_with('/')) {
        let methods = METHODS.into_iter().filter(|method| item.get(*method).is_some());
        found.extend(methods.map(|method| Operation {
            kind: "HTTP",
            service: None,
            path: Some(path.clone()),
            method: method.to_ascii_uppercase(),
        }));
    }
    found
}

fn proto(content: &str) -> Vec<Operation> {
    let tokens = tokens(content);
    let mut package = "";
    let mut service: Option<String> = None;
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let next = || tokens.get(index + 1).copied().filter(|next| is_name(next));
        match (*token, depth) {
            ("{", _) => depth += 1,
            ("}", _) => depth = depth.saturating_sub(1),
            ("package", 0) => package = next().unwrap_or_default(),
            ("service", 0) => {
                service = next().map(|name| match package {
                    "" => name.to_owned(),
                    package => format!("{package}.{name}"),
                });
            }
            ("message" | "enum" | "extend", 0) => service = None,
            ("rpc", 1) => {
                found.extend(service.iter().zip(next()).map(|(service, method)| Operation {
                    kind: "gRPC",
                    service: Some(service.clone()),
                    path: None,
                    method: method.to_owned(),
                }))
            }
            _ => {}
        }
    }
    found
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Names and braces of a proto file; what stands in comments and strings is none.
fn tokens(content: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = content;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' || first == '\'' {
            string_length(rest, first)
        } else {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let name = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let length = if name == 0 { first.len_utf8() } else { name };
            if name > 0 || matches!(first, '{' | '}') {
                tokens.push(&rest[..length]);
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return index + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(r#type: &str, language: Option<&str>, content: &str) -> Value {
        let endpoint = json!({
            "type": r#type, "port": 80, "schema": {"type": language, "content": content},
        });
        let endpoint: WorkloadEndpoint = serde_json::from_value(endpoint).unwrap();
        of(&endpoint).into_iter().map(Operation::json).collect()
    }

    #[test]
    fn an_open_api_document_gives_methods_and_paths() {
        let document = "openapi: 3.0.0\npaths:\n  /books/{id}:\n    parameters: []\n    put: {}\n    get: {}\n  \
                        /books: {post: {}}\n  x-own: {get: {}}\n";
        let expected = json!([
            {"kind": "HTTP", "path": "/books", "method": "POST"},
            {"kind": "HTTP", "path": "/books/{id}", "method": "GET"},
            {"kind": "HTTP", "path": "/books/{id}", "method": "PUT"},
        ]);
        assert_eq!(found("HTTP", None, document), expected);
        assert_eq!(found("TCP", Some("OAS3"), document), expected);
        let json = r#"{"swagger": "2.0", "paths": {"/a": {"get": {"summary": "x"}}}}"#;
        assert_eq!(found("HTTP", Some("swagger"), json)[0]["path"], "/a");
    }

    #[test]
    fn a_proto_file_gives_services_and_methods() {
        let file = r#"
            syntax = "proto3"; // service Commented { rpc No (A) returns (B); }
            package hello.v1;
            /* rpc Neither */
            message service_like { string rpc = 1; message Inner { int32 x = 1; } }
            service Greeter {
              option (note) = "rpc Quoted \" }";
              rpc SayHello (Request) returns (stream Reply) { option (x) = { rpc: "y" }; }
              rpc Bye(.hello.v1.Request) returns (Reply);
            }
            service Empty {}"#;
        let expected = json!([
            {"kind": "gRPC", "service": "hello.v1.Greeter", "method": "Bye"},
            {"kind": "gRPC", "service": "hello.v1.Greeter", "method": "SayHello"},
        ]);
        assert_eq!(found("gRPC", None, file), expected);
        assert_eq!(found("HTTP", Some("Protobuf"), file), expected);
        let bare = "service A { rpc B (C) returns (D); }";
        assert_eq!(found("gRPC", None, bare)[0]["service"], "A");
    }

    #[test]
    fn what_cannot_be_read_offers_nothing() {
        for (kind, language, content) in [
            ("HTTP", None, "paths: ["),
            ("HTTP", None, "just text"),
            ("HTTP", None, "  "),
            ("GraphQL", None, "paths: {/a: {get: {}}}"),
            ("HTTP", Some("graphql"), "paths: {/a: {get: {}}}"),
            ("gRPC", None, "service \"unclosed"),
            ("gRPC", None, "service A { rpc"),
        ] {
            assert_eq!(found(kind, language, content), json!([]), "{content}");
        }
    }
}
