//! Everything that is no resource: version, health, discovery, OpenAPI, the keys of tokens.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::auth::token;
use super::kinds::{
    Catalog, DEFINITIONS, Group, GroupVersion, Resource, Schema, ValueExt, api_version,
};
use super::reply::{self, Reply};
use super::request::accept::{self, DiscoveryFormat, OpenApiFormat};
use super::status::ApiError;
use super::store::Key;
use super::{Api, hex};

/// The Kubernetes release whose API this server speaks.
const MINOR: &str = "36";

/// Answers a path that is not below a group and version's resources.
pub(super) fn answer(
    api: &Api,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    if method != Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    let catalog = api.catalog();
    let accept = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["version"] => Ok(reply::json(200, &version())),
        ["healthz" | "livez" | "readyz", ..] => Ok(reply::text(200, "ok")),
        ["api"] => match accept::discovery(accept) {
            DiscoveryFormat::Aggregated(version) => aggregated(&catalog, version, true, headers),
            DiscoveryFormat::Classic => Ok(reply::json(
                200,
                &json!({"kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": []}),
            )),
        },
        ["apis"] => match accept::discovery(accept) {
            DiscoveryFormat::Aggregated(version) => aggregated(&catalog, version, false, headers),
            DiscoveryFormat::Classic => {
                let groups = catalog.groups().iter().filter(|g| !g.name.is_empty()).map(group);
                let list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.collect::<Vec<_>>()});
                Ok(reply::json(200, &list))
            }
        },
        ["apis", name] => {
            let found = catalog.group(name).ok_or_else(ApiError::no_such_path)?;
            let mut document = group(found);
            document["kind"] = "APIGroup".into();
            document["apiVersion"] = "v1".into();
            Ok(reply::json(200, &document))
        }
        ["api", version] => resources(&catalog, "", version),
        ["apis", group, version] => resources(&catalog, group, version),
        ["openapi", "v2"] => swagger(api, &catalog, accept, headers),
        ["openapi", "v3"] => Ok(reply::json_bytes(200, openapi_index(&catalog))),
        ["openapi", "v3", "api", version] => openapi(api, &catalog, "", version),
        ["openapi", "v3", "apis", group, version] => openapi(api, &catalog, group, version),
        ["openid", "v1", "jwks"] => Ok(reply::json(200, &api.tokens.jwks())),
        [".well-known", "openid-configuration"] => Ok(reply::json(
            200,
            &json!({
                "issuer": token::ISSUER,
                "jwks_uri": format!("{}/openid/v1/jwks", token::ISSUER),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }),
        )),
        [""] => Ok(reply::json(
            200,
            &json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3",
            "/openid/v1/jwks", "/readyz", "/version", "/.well-known/openid-configuration"]}),
        )),
        _ => Err(ApiError::no_such_path()),
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": MINOR, "gitVersion": format!("v1.{MINOR}.0+curtain"), "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": format!("linux/{}", if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }),
    })
}

fn group(group: &Group) -> Value {
    let version = |v: &GroupVersion| json!({"groupVersion": api_version(&group.name, &v.version), "version": v.version});
    let versions: Vec<_> = group.versions.iter().map(version).collect();
    json!({"name": group.name, "versions": versions, "preferredVersion": versions.first()})
}

fn resources(catalog: &Catalog, group: &str, version: &str) -> Result<Reply, ApiError> {
    let found = catalog.group(group).and_then(|g| g.versions.iter().find(|v| v.version == version));
    let found = found.ok_or_else(ApiError::no_such_path)?;
    let mut list = Vec::new();
    for resource in &found.resources {
        let mut entry = json!({"name": resource.plural, "singularName": resource.singular,
            "namespaced": resource.namespaced, "kind": resource.kind, "verbs": resource.verbs()});
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        if resource.strategy.review.is_none() && resource.strategy.measure.is_none() {
            let mut hash = hash_of(&[&resource.group, &resource.version, &resource.plural]);
            hash.truncate(12);
            entry["storageVersionHash"] = hash.into();
        }
        list.push(entry);
        for sub in resource.subresources() {
            let mut entry = json!({"name": format!("{}/{}", resource.plural, sub.name), "singularName": "",
                "namespaced": resource.namespaced, "kind": sub.kind.2, "verbs": sub.verbs});
            if (sub.kind.0, sub.kind.1) != (group, version) {
                entry["group"] = sub.kind.0.into();
                entry["version"] = sub.kind.1.into();
            }
            list.push(entry);
        }
    }
    Ok(reply::json(
        200,
        &json!({"kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": api_version(group, version), "resources": list}),
    ))
}

fn hash_of(parts: &[&str]) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(parts.join("\n")))
}

fn aggregated(
    catalog: &Catalog,
    format: &'static str,
    core: bool,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    let etag = format!("\"{}\"", catalog.etag.to_uppercase());
    let mut reply = cached(headers, &etag, || {
        let items: Vec<_> = catalog
            .groups()
            .iter()
            .filter(|g| g.name.is_empty() == core)
            .map(aggregated_group)
            .collect();
        let document = json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{format}"),
            "metadata": {}, "items": items});
        let content_type = match format {
            "v2" => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        reply::reply(200, content_type, reply::full(body))
    });
    reply.headers_mut().insert("cache-control", HeaderValue::from_static("public"));
    Ok(reply)
}

fn aggregated_group(group: &Group) -> Value {
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let resource = |r: &std::sync::Arc<Resource>| {
        let subresources = r.subresources().into_iter().map(|sub| {
            json!({"subresource": sub.name, "verbs": sub.verbs,
                "responseKind": kind(sub.kind.0, sub.kind.1, sub.kind.2)})
        });
        let subresources: Vec<_> = subresources.collect();
        let mut entry = json!({"resource": r.plural, "responseKind": kind(&r.group, &r.version, &r.kind),
            "scope": if r.namespaced { "Namespaced" } else { "Cluster" }, "singularResource": r.singular,
            "verbs": r.verbs()});
        for (field, list) in [("shortNames", &r.short_names), ("categories", &r.categories)] {
            if !list.is_empty() {
                entry[field] = json!(list);
            }
        }
        if !subresources.is_empty() {
            entry["subresources"] = subresources.into();
        }
        entry
    };
    let version = |v: &GroupVersion| json!({"version": v.version, "freshness": "Current", "resources": v.resources.iter().map(resource).collect::<Vec<_>>()});
    let mut item = json!({"metadata": {"creationTimestamp": Value::Null},
        "versions": group.versions.iter().map(version).collect::<Vec<_>>()});
    if !group.name.is_empty() {
        item["metadata"]["name"] = group.name.as_str().into();
    }
    item
}

/// Where each document is. The hash is over what the document is made of, so that none has to be made for it.
fn openapi_index(catalog: &Catalog) -> Vec<u8> {
    let mut documents = Vec::new();
    for group in catalog.groups() {
        for version in &group.versions {
            let made_of = version.resources.iter().fold(
                env!("CARGO_PKG_VERSION").to_owned(),
                |mut text, r| {
                    text.push_str(&format!("\n{} {} {:?}", r.plural, r.revision, r.verbs()));
                    text
                },
            );
            let path = curtain_schema::openapi::path(&group.name, &version.version);
            documents.push((path, curtain_schema::openapi::hash(made_of.as_bytes())));
        }
    }
    curtain_schema::openapi::index(documents.iter().map(|(path, hash)| (path.as_str(), *hash)))
}

fn openapi(api: &Api, catalog: &Catalog, group: &str, version: &str) -> Result<Reply, ApiError> {
    let found = catalog.group(group).and_then(|g| g.versions.iter().find(|v| v.version == version));
    let found = found.ok_or_else(ApiError::no_such_path)?;
    Ok(reply::json_bytes(200, openapi_of(api, group, found)))
}

/// What `make` gives, which goes by `etag` and is written as the client accepts it; 304 for one that has that already.
fn cached(headers: &HeaderMap, etag: &str, make: impl FnOnce() -> Reply) -> Reply {
    let known = headers.get(IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let mut reply = if known == Some(etag) {
        // Clients take the headers of a 304 over into what they have cached, the content type with them.
        let mut unchanged = reply::json_bytes(304, "");
        unchanged.headers_mut().remove(CONTENT_TYPE);
        unchanged
    } else {
        make()
    };
    let headers = reply.headers_mut();
    headers.insert("vary", HeaderValue::from_static("Accept"));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert("etag", etag);
    }
    reply
}

/// All of it in one document of version 2, made anew for who does not have it yet.
fn swagger(
    api: &Api,
    catalog: &Catalog,
    accept: &str,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    let format = accept::openapi(accept)?;
    // What is written in two ways is not the same to a cache.
    let content = [&openapi_index(catalog), format.content_type().as_bytes()].concat();
    let etag = format!("\"{:016X}\"", curtain_schema::openapi::hash(&content));
    Ok(cached(headers, &etag, || {
        let documents = catalog.groups().iter().flat_map(|group| {
            let versions = group.versions.iter();
            versions.filter_map(|v| serde_json::from_slice(&openapi_of(api, &group.name, v)).ok())
        });
        let document = curtain_schema::openapi::swagger(documents);
        let body = match format {
            OpenApiFormat::Json => document.to_string().into_bytes(),
            OpenApiFormat::Protobuf => curtain_schema::openapi::swagger_protobuf(&document),
        };
        reply::reply(200, format.content_type(), reply::full(body))
    }))
}

fn openapi_of(api: &Api, group: &str, found: &GroupVersion) -> Vec<u8> {
    // Schemas of custom resources are read back from their definitions for this moment.
    let schema = |resource: &Resource| {
        let Schema::Structural(_) = resource.schema else { return None };
        let key = Key::new("", &format!("{}.{}", resource.plural, resource.group));
        let mut definition = api.store.get(&DEFINITIONS.into(), &key)?.value();
        let versions = definition["spec"]["versions"].as_array_mut()?;
        let version = versions.iter_mut().find(|v| v.text(&["name"]) == resource.version)?;
        Some(version["schema"]["openAPIV3Schema"].take())
    };
    let schemas: Vec<Option<Value>> = found.resources.iter().map(|r| schema(r)).collect();
    let subs: Vec<Vec<curtain_schema::openapi::Subresource<'_>>> = found
        .resources
        .iter()
        .map(|resource| {
            let listed = resource.subresources().into_iter();
            listed
                .map(|sub| curtain_schema::openapi::Subresource {
                    name: sub.name,
                    verbs: sub.verbs,
                    kind: sub.kind,
                })
                .collect()
        })
        .collect();
    let resources: Vec<_> = found
        .resources
        .iter()
        .zip(&schemas)
        .zip(&subs)
        .map(|((r, schema), subs)| curtain_schema::openapi::Resource {
            group: &r.group,
            version: &r.version,
            kind: &r.kind,
            plural: &r.plural,
            namespaced: r.namespaced,
            verbs: r.verbs(),
            subresources: subs,
            custom: schema.as_ref(),
        })
        .collect();
    curtain_schema::openapi::document(group, &found.version, &resources)
}
