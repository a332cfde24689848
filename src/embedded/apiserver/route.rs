//! From a request to its handler: authentication, impersonation, authorization, limits.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::admission::Warnings;
use super::auth::User;
use super::auth::rbac::Attributes;
use super::handle::{self, Context};
use super::reply::{self, Reply};
use super::request::body::MAX_BODY;
use super::request::path::ResourcePath;
use super::request::query::Query;
use super::status::{ApiError, Qualified};
use super::stream::Offer;
use super::{Api, discovery};

/// Answers a request. `peer` is who the connection belongs to: the subject of a client certificate, or the user of
/// an in-process client; a bearer token speaks for connections without either.
pub(super) async fn answer<B>(api: Arc<Api>, peer: Option<User>, request: Request<B>) -> Reply
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<reply::BodyError>,
{
    let head = request.method() == Method::HEAD;
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut answer = guarded(&method, &uri, dispatch(&api, peer, request)).await;
    if head {
        *answer.body_mut() = reply::full(Bytes::new());
    }
    answer
}

/// The handler's answer. A panic in it is a bug of this server, and is logged as one: the client gets 500 instead of
/// a connection that ends without a word, and the other requests on the connection go on.
async fn guarded(
    method: &Method,
    uri: &Uri,
    handler: impl Future<Output = Result<Reply, ApiError>>,
) -> Reply {
    let error = match AssertUnwindSafe(handler).catch_unwind().await {
        Ok(Ok(reply)) => return reply,
        Ok(Err(error)) => error,
        Err(panic) => {
            let why = panic.downcast_ref::<&str>().copied();
            let why = why.or(panic.downcast_ref::<String>().map(String::as_str));
            tracing::error!(%method, path = uri.path(), panic = why, "a request's handler panicked");
            ApiError::internal("this request made the API server's handler fail; its log says why")
        }
    };
    error.into()
}

async fn dispatch<B>(
    api: &Arc<Api>,
    peer: Option<User>,
    request: Request<B>,
) -> Result<Reply, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<reply::BodyError>,
{
    let (parts, body) = request.into_parts();
    let upgrade = Offer::of(&parts);
    let user = authenticate(api, peer, &parts.headers)?;
    let user = impersonate(api, user, &parts.headers)?;
    let path = parts.uri.path();
    let query = Query::parse(parts.uri.query().unwrap_or_default())?;
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    let Some(resource_path) = ResourcePath::parse(path)? else {
        let wanted = Attributes {
            verb: method.as_str().to_lowercase(),
            path: path.to_owned(),
            ..Attributes::default()
        };
        if api.rbac.allows(api, &user, &wanted).is_none() {
            return Err(forbidden_path(&user, &wanted));
        }
        return discovery::answer(api, &method, path, &parts.headers);
    };
    let text = |name| {
        parts
            .headers
            .get(name)
            .and_then(|v: &http::HeaderValue| v.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let catalog = api.catalog();
    let resource =
        catalog.resource(&resource_path.group, &resource_path.version, &resource_path.plural);
    let Some(resource) = resource.cloned() else {
        // Who may not know what is there learns nothing from asking.
        let wanted = Attributes {
            verb: method.as_str().to_lowercase(),
            group: resource_path.group.clone(),
            resource: resource_path.plural.clone(),
            ..Attributes::default()
        };
        return match api.rbac.allows(api, &user, &wanted).is_none()
            && user.name == "system:anonymous"
        {
            true => Err(forbidden(&user, &wanted)),
            false => Err(ApiError::no_such_path()),
        };
    };
    let context = Context {
        accept: text(ACCEPT),
        content_type: text(CONTENT_TYPE),
        user_agent: text(USER_AGENT),
        method,
        path: resource_path,
        query,
        user,
        resource,
        upgrade,
        warnings: Warnings::default(),
    };
    let wanted = context.attributes();
    if api.rbac.allows(api, &context.user, &wanted).is_none() {
        return Err(forbidden(&context.user, &wanted));
    }
    let body = collect(body).await?;
    handle::resource(api, context, body).await
}

async fn collect<B>(body: B) -> Result<Bytes, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<reply::BodyError>,
{
    let collected = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let why = format!("Request entity too large: limit is {MAX_BODY}");
            ApiError::plain(413, "RequestEntityTooLarge", why)
        } else {
            ApiError::bad_request(format!("reading the request body failed: {error}"))
        }
    })?;
    Ok(collected.to_bytes())
}

fn authenticate(api: &Api, peer: Option<User>, headers: &HeaderMap) -> Result<User, ApiError> {
    if let Some(user) = peer {
        return Ok(user);
    }
    let Some(credentials) = headers.get(AUTHORIZATION) else { return Ok(User::anonymous()) };
    let credentials = credentials.to_str().unwrap_or_default();
    let token = match credentials.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(ApiError::unauthorized()),
    };
    match api.tokens.authenticate(api, token, &[]) {
        Ok((user, _)) => Ok(user),
        Err(error) => {
            tracing::debug!(%error, "a bearer token was refused");
            Err(ApiError::unauthorized())
        }
    }
}

/// `Impersonate-User` and `-Group`: act as somebody else, if RBAC lets one.
fn impersonate(api: &Api, user: User, headers: &HeaderMap) -> Result<User, ApiError> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let unserved = |name: &&http::HeaderName| {
        name.as_str() == "impersonate-uid" || name.as_str().starts_with("impersonate-extra-")
    };
    if let Some(name) = headers.keys().find(unserved) {
        return Err(ApiError::bad_request(format!(
            "{name} is not served by this API server: impersonate by user and group"
        )));
    }
    let groups: Vec<String> = headers.get_all("impersonate-group").iter().map(text).collect();
    let Some(name) = headers.get("impersonate-user").map(text) else {
        if groups.is_empty() {
            return Ok(user);
        }
        return Err(ApiError::bad_request("requested [{Group}] without impersonating a user"));
    };
    let check = |group: &str, resource: &str, namespace: &str, name: &str| {
        let wanted = Attributes {
            verb: "impersonate".into(),
            group: group.into(),
            resource: resource.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..Attributes::default()
        };
        if api.rbac.allows(api, &user, &wanted).is_some() {
            Ok(())
        } else {
            Err(forbidden(&user, &wanted))
        }
    };
    let mut all = groups.clone();
    if let Some((namespace, account)) =
        name.strip_prefix("system:serviceaccount:").and_then(|n| n.split_once(':'))
    {
        check("", "serviceaccounts", namespace, account)?;
        if groups.is_empty() {
            all = vec![
                "system:serviceaccounts".into(),
                format!("system:serviceaccounts:{namespace}"),
            ];
        }
    } else {
        check("", "users", "", &name)?;
    }
    for group in &groups {
        check("", "groups", "", group)?;
    }
    if name == "system:anonymous" {
        return Ok(User::anonymous());
    }
    Ok(User::new(&name, all))
}

/// A request that turns out to create, or to do as much, needs the right to.
pub(super) fn authorize_create(api: &Api, context: &Context) -> Result<(), ApiError> {
    let wanted = Attributes { verb: "create".into(), ..context.attributes() };
    match api.rbac.allows(api, &context.user, &wanted) {
        Some(_) => Ok(()),
        None => Err(forbidden(&context.user, &wanted)),
    }
}

fn forbidden(user: &User, wanted: &Attributes) -> ApiError {
    let resource = match wanted.subresource.as_str() {
        "" => wanted.resource.clone(),
        sub => format!("{}/{sub}", wanted.resource),
    };
    let scope = match wanted.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        // A namespace is not in a namespace.
        _ if wanted.resource == "namespaces" && wanted.group.is_empty() => {
            "at the cluster scope".to_owned()
        }
        namespace => format!("in the namespace {namespace:?}"),
    };
    let why = format!(
        "User {:?} cannot {} resource {resource:?} in API group {:?} {scope}",
        user.name, wanted.verb, wanted.group
    );
    ApiError::forbidden(
        Qualified { group: &wanted.group, plural: &wanted.resource },
        &wanted.name,
        &why,
    )
}

fn forbidden_path(user: &User, wanted: &Attributes) -> ApiError {
    let why =
        format!("forbidden: User {:?} cannot {} path {:?}", user.name, wanted.verb, wanted.path);
    ApiError { details: Some(Box::default()), ..ApiError::plain(403, "Forbidden", why) }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_handler_is_an_answer() {
        let reply =
            guarded(&Method::GET, &Uri::from_static("/bug"), async { panic!("a bug") }).await;
        assert_eq!(reply.status(), 500);
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&status["kind"], &status["reason"]),
            (&"Status".into(), &"InternalError".into())
        );
        assert!(!status["message"].as_str().unwrap().contains("a bug"), "{status}");
    }
}
