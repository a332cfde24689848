//! What a request at the internal door asks for; pure.

use std::borrow::Cow;

use curtain_tunnel::PlaneId;
use http::header::{CONTENT_LENGTH, UPGRADE};
use http::{HeaderMap, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;

use super::answer::Refusal;
use super::table::ObjectName;

/// Largest body of a request to a plane, in bytes.
const MAX_BODY: u64 = 10 * 1024 * 1024;

/// A request at the internal door.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To an agent of this plane that stands for this object.
    Proxy { plane: PlaneId, object: ObjectName, path_and_query: String },
    /// `POST /api/v1/planes/notify`
    Notify,
    /// `POST /api/v1/planes/{type}/{id}/reconnect`
    Reconnect(PlaneId),
    /// `GET /api/v1/planes/{type}/{id}/status[?namespace&name]`
    Status(PlaneId, Option<ObjectName>),
    /// `GET /api/v1/planes/status`
    AllStatus,
}

/// Read a request's first line and headers.
///
/// # Errors
/// The answer to give instead.
pub(super) fn route(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Route, Refusal> {
    let not_found =
        || Refusal::new(StatusCode::NOT_FOUND, format!("no route {method} {}", uri.path()));
    let path = uri.path().strip_prefix("/api/").ok_or_else(not_found)?;
    if let Some(rest) = path.strip_prefix("proxy/") {
        return proxy(method, rest, uri.query(), headers);
    }
    let parts: Vec<&str> =
        path.strip_prefix("v1/planes/").ok_or_else(not_found)?.split('/').collect();
    match (method.as_str(), &parts[..]) {
        ("POST", ["notify"]) => Ok(Route::Notify),
        ("GET", ["status"]) => Ok(Route::AllStatus),
        ("POST", [kind, id, "reconnect"]) => Ok(Route::Reconnect(plane(kind, id)?)),
        ("GET", [kind, id, "status"]) => {
            Ok(Route::Status(plane(kind, id)?, object_in(uri.query().unwrap_or_default())))
        }
        _ => Err(not_found()),
    }
}

fn plane(kind: &str, id: &str) -> Result<PlaneId, Refusal> {
    let parsed = format!("{kind}/{id}").parse();
    parsed.map_err(|error: curtain_tunnel::UnknownPlane| {
        Refusal::new(StatusCode::BAD_REQUEST, error.to_string())
    })
}

fn object_in(query: &str) -> Option<ObjectName> {
    let mut object = ObjectName { namespace: None, name: String::new() };
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "namespace" if !value.is_empty() => object.namespace = Some(value.into_owned()),
            "name" => object.name = value.into_owned(),
            _ => {}
        }
    }
    (!object.name.is_empty()).then_some(object)
}

/// `{type}/{id}/{ns|_cluster}/{name}/{target}/{path…}`
fn proxy(
    method: &Method,
    rest: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Route, Refusal> {
    let mut parts = rest.splitn(6, '/');
    let mut next = || parts.next().filter(|part| !part.is_empty());
    let (Some(kind), Some(id), Some(namespace), Some(name), Some(target)) =
        (next(), next(), next(), next(), next())
    else {
        let text = "write /api/proxy/{planeType}/{planeID}/{namespace|_cluster}/{name}/k8s/{path}";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, text));
    };
    let plane = plane(kind, id)?;
    if target != "k8s" {
        let text = format!("agents serve the target k8s only, not `{target}`");
        return Err(Refusal::new(StatusCode::FORBIDDEN, text));
    }
    let allowed = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    if !allowed.contains(&method.as_str()) {
        let text = format!("{method} does not go through the tunnel");
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    if headers.contains_key(UPGRADE) {
        let text = "the tunnel does not carry upgraded connections yet";
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, text));
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BODY) {
        let text = "a request through the tunnel carries at most 10 MiB";
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let path = parts.next().unwrap_or_default();
    check_path(path)?;
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let namespace = (namespace != "_cluster").then(|| namespace.to_owned());
    Ok(Route::Proxy {
        plane,
        object: ObjectName { namespace, name: name.to_owned() },
        path_and_query: format!("/k8s/{path}{query}"),
    })
}

/// Refuse paths that do not mean what they seem to, and those of the plane's
/// own secrets. Looks at decoded segments, so that encoding hides nothing.
fn check_path(path: &str) -> Result<(), Refusal> {
    let bad = |text: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, text));
    let mut segments = Vec::new();
    for segment in path.split('/') {
        let Ok(segment) = percent_decode_str(segment).decode_utf8() else {
            return bad("the path is not UTF-8");
        };
        if segment == ".." || segment == "." || segment.contains(['\0', '/']) {
            return bad("the path must not contain `.` or `..`, an encoded `/` or NUL");
        }
        segments.push(segment);
    }
    let names: Vec<&str> =
        segments.iter().map(Cow::as_ref).filter(|name| !name.is_empty()).collect();
    let forbidden = match names[..] {
        ["api", "v1", "namespaces", "kube-system", "secrets", ..] => "secrets of kube-system",
        ["api", "v1", "namespaces", _, "serviceaccounts", _, "token", ..] => {
            "service account tokens"
        }
        _ => return Ok(()),
    };
    Err(Refusal::new(StatusCode::FORBIDDEN, format!("{forbidden} do not leave the plane")))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn get(path: &str) -> Result<Route, Refusal> {
        route(&Method::GET, &path.parse().unwrap(), &HeaderMap::new())
    }

    fn refused(path: &str) -> u16 {
        get(path).unwrap_err().status.as_u16()
    }

    #[test]
    fn a_proxied_path_keeps_its_encoding_and_query() {
        let found =
            get("/api/proxy/dataplane/eu/_cluster/default/k8s/api/v1/pods?watch=true&a=%2F");
        let Ok(Route::Proxy { plane, object, path_and_query }) = found else { panic!("{found:?}") };
        assert_eq!(plane.to_string(), "dataplane/eu");
        assert_eq!(object, ObjectName { namespace: None, name: "default".into() });
        assert_eq!(path_and_query, "/k8s/api/v1/pods?watch=true&a=%2F");
        let found = get("/api/proxy/workflowplane/eu/acme/wp/k8s").unwrap();
        let Route::Proxy { object, path_and_query, .. } = found else { panic!("{found:?}") };
        assert_eq!(object.namespace.as_deref(), Some("acme"));
        assert_eq!(path_and_query, "/k8s/");
    }

    #[test]
    fn every_refusal_has_its_status() {
        let of = |path: &str| refused(&format!("/api/proxy/dataplane/eu/_cluster/d/{path}"));
        assert_eq!(of("logs/x"), 403);
        assert_eq!(of("k8s/api/../x"), 400);
        assert_eq!(of("k8s/api/%2e%2e/x"), 400);
        assert_eq!(of("k8s/api/v1/./namespaces/kube-system/secrets"), 400);
        assert_eq!(of("k8s/api/a%2Fb"), 400);
        assert_eq!(of("k8s/api/a%00"), 400);
        assert_eq!(of("k8s/api/v1/namespaces/kube-system/secrets/x"), 403);
        assert_eq!(of("k8s/api/v1/namespaces/kube%2Dsystem/secrets"), 403);
        assert_eq!(of("k8s//api/v1/namespaces/kube-system/secrets"), 403);
        assert_eq!(of("k8s/api/v1/namespaces/a/serviceaccounts/b/token"), 403);
        assert_eq!(refused("/api/proxy/otherplane/eu/_cluster/d/k8s/x"), 400);
        assert_eq!(refused("/api/proxy/dataplane/eu"), 400);
        assert_eq!(refused("/elsewhere"), 404);
        assert_eq!(refused("/api/v1/planes/notify"), 404, "notify is a POST");
    }

    #[test]
    fn methods_upgrades_and_sizes_are_bounded() {
        let uri: Uri = "/api/proxy/dataplane/eu/_cluster/d/k8s/api".parse().unwrap();
        let status = |method: &Method, name: http::HeaderName, value: &'static str| {
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            route(method, &uri, &headers).map(drop).map_err(|refusal| refusal.status.as_u16())
        };
        assert_eq!(status(&Method::TRACE, CONTENT_LENGTH, "1"), Err(405));
        assert_eq!(status(&Method::GET, UPGRADE, "websocket"), Err(501));
        assert_eq!(status(&Method::POST, CONTENT_LENGTH, "10485761"), Err(413));
        assert_eq!(status(&Method::POST, CONTENT_LENGTH, "10485760"), Ok(()));
    }

    #[test]
    fn the_status_of_planes_can_be_narrowed() {
        let Ok(Route::Status(plane, None)) = get("/api/v1/planes/dataplane/eu/status") else {
            panic!()
        };
        assert_eq!(plane.to_string(), "dataplane/eu");
        let Ok(Route::Status(_, Some(object))) =
            get("/api/v1/planes/dataplane/eu/status?namespace=acme&name=dp")
        else {
            panic!()
        };
        assert_eq!(object, ObjectName { namespace: Some("acme".into()), name: "dp".into() });
        assert_eq!(get("/api/v1/planes/status"), Ok(Route::AllStatus));
    }
}
