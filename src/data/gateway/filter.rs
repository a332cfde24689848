//! What a rule changes on the way to a backend, and back.

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use super::cors::Cors;
use super::router::PathMatch;
use super::types::{self, Filter};

/// The filters of a rule, in the form they are applied.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) request: Vec<HeaderChange>,
    pub(super) response: Vec<HeaderChange>,
    pub(super) rewrite_host: Option<HeaderValue>,
    pub(super) rewrite_path: Option<PathChange>,
    pub(super) redirect: Option<Redirect>,
    pub(super) cors: Option<Cors>,
}

/// One change of headers.
#[derive(Debug)]
pub(super) enum HeaderChange {
    Set(HeaderName, HeaderValue),
    Add(HeaderName, HeaderValue),
    Remove(HeaderName),
}

/// A change of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathChange {
    Full(String),
    /// Replace the prefix that was matched.
    Prefix(String),
}

/// An answer that sends the client elsewhere.
#[derive(Debug)]
pub(super) struct Redirect {
    pub(super) scheme: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) path: Option<PathChange>,
    pub(super) status: StatusCode,
}

impl Filters {
    /// Read a rule's filters.
    ///
    /// # Errors
    /// What is not supported or broken, for the route's status.
    pub(super) fn read(filters: &[Filter]) -> Result<Self, String> {
        let mut read = Self::default();
        for filter in filters {
            let missing = || format!("the filter {} has no settings", filter.r#type);
            match filter.r#type.as_str() {
                "RequestHeaderModifier" => {
                    let modifier = filter.request_header_modifier.as_ref().ok_or_else(missing)?;
                    read.request.extend(header_changes(modifier)?);
                }
                "ResponseHeaderModifier" => {
                    let modifier = filter.response_header_modifier.as_ref().ok_or_else(missing)?;
                    read.response.extend(header_changes(modifier)?);
                }
                "URLRewrite" => {
                    let rewrite = filter.url_rewrite.as_ref().ok_or_else(missing)?;
                    read.rewrite_path = rewrite.path.as_ref().map(path_change).transpose()?;
                    let host = rewrite.hostname.as_ref().map(|host| value(host));
                    read.rewrite_host = host.transpose()?;
                }
                "RequestRedirect" => {
                    let redirect = filter.request_redirect.as_ref().ok_or_else(missing)?;
                    read.redirect = Some(redirect_of(redirect)?);
                }
                "CORS" => {
                    let cors = types::Cors::deserialize(filter.cors.as_ref().ok_or_else(missing)?);
                    let cors =
                        cors.map_err(|error| format!("the filter CORS is broken: {error}"))?;
                    read.cors = Some(Cors::read(&cors)?);
                }
                other => return Err(format!("the filter {other} is not supported")),
            }
        }
        if read.redirect.is_some() && (read.rewrite_path.is_some() || read.rewrite_host.is_some()) {
            return Err("a rule cannot both redirect and rewrite".to_owned());
        }
        Ok(read)
    }
}

fn header_changes(modifier: &types::HeaderModifier) -> Result<Vec<HeaderChange>, String> {
    let mut changes = Vec::new();
    for header in &modifier.set {
        changes.push(HeaderChange::Set(name(&header.name)?, value(&header.value)?));
    }
    for header in &modifier.add {
        changes.push(HeaderChange::Add(name(&header.name)?, value(&header.value)?));
    }
    for header in &modifier.remove {
        changes.push(HeaderChange::Remove(name(header)?));
    }
    Ok(changes)
}

fn name(text: &str) -> Result<HeaderName, String> {
    text.parse().map_err(|_| format!("`{text}` is no header name"))
}

fn value(text: &str) -> Result<HeaderValue, String> {
    text.parse().map_err(|_| format!("`{text}` is no header value"))
}

fn path_change(modifier: &types::PathModifier) -> Result<PathChange, String> {
    let checked = |text: &Option<String>| {
        let text = text.clone().unwrap_or_default();
        let is_path = text.is_empty() || text.parse::<PathAndQuery>().is_ok();
        if is_path { Ok(text) } else { Err(format!("`{text}` is no path")) }
    };
    match modifier.r#type.as_str() {
        "ReplaceFullPath" => Ok(PathChange::Full(checked(&modifier.replace_full_path)?)),
        "ReplacePrefixMatch" => Ok(PathChange::Prefix(checked(&modifier.replace_prefix_match)?)),
        other => Err(format!("the path modifier {other} is not supported")),
    }
}

fn redirect_of(redirect: &types::Redirect) -> Result<Redirect, String> {
    let code = redirect.status_code.unwrap_or(302);
    let status = StatusCode::from_u16(code).ok().filter(StatusCode::is_redirection);
    Ok(Redirect {
        scheme: redirect.scheme.clone(),
        hostname: redirect.hostname.clone(),
        port: redirect.port,
        path: redirect.path.as_ref().map(path_change).transpose()?,
        status: status.ok_or_else(|| format!("{code} does not redirect"))?,
    })
}

/// Apply changes in order.
pub(super) fn change_headers(changes: &[HeaderChange], headers: &mut HeaderMap) {
    for change in changes {
        match change {
            HeaderChange::Set(name, value) => drop(headers.insert(name, value.clone())),
            HeaderChange::Add(name, value) => drop(headers.append(name, value.clone())),
            HeaderChange::Remove(name) => drop(headers.remove(name)),
        }
    }
}

impl PathChange {
    /// The path instead of `path`, which was matched by `matched`.
    pub(super) fn apply(&self, path: &str, matched: &PathMatch) -> String {
        let (prefix, replacement) = match (self, matched) {
            (Self::Full(full), _) => {
                return if full.is_empty() { "/".into() } else { full.clone() };
            }
            (Self::Prefix(new), PathMatch::Prefix(old)) => (old.as_str(), new),
            // Validation allows this only for prefixes; an exact match is its own prefix.
            (Self::Prefix(new), PathMatch::Exact(old)) => (old.as_str(), new),
        };
        let rest = path.strip_prefix(prefix).unwrap_or_default();
        let replacement = replacement.strip_suffix('/').unwrap_or(replacement);
        match (replacement, rest) {
            ("", "") => "/".to_owned(),
            (replacement, rest) => format!("{replacement}{rest}"),
        }
    }
}

impl Redirect {
    /// Where a request goes that was for an authority and, below a prefix of
    /// the gateway's own, a path and a query. Without a port of its own it
    /// keeps the one the client used: host ports may differ from those of
    /// listeners. On another host the prefix means nothing.
    pub(super) fn location(
        &self,
        (authority, prefix, path, query): (&str, &str, &str, Option<&str>),
        matched: &PathMatch,
    ) -> String {
        let prefix = if self.hostname.is_some() { "" } else { prefix };
        let scheme = self.scheme.as_deref().unwrap_or("http");
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
                (host, port.parse().ok())
            }
            _ => (authority, None),
        };
        let host = self.hostname.as_deref().unwrap_or(host);
        let port = match (self.port, &self.scheme) {
            (Some(port), _) => Some(port),
            (None, Some(_)) => None,
            (None, None) => port,
        };
        let well_known = [("http", 80), ("https", 443)];
        let port = port.filter(|port| !well_known.contains(&(scheme, *port)));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let path = self.path.as_ref().map_or_else(|| path.to_owned(), |p| p.apply(path, matched));
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{scheme}://{host}{port}{prefix}{path}{query}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_replaced_as_the_specification_tables_it() {
        let cases = [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/bar", "/foo", "/", "/bar"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo", "/foo", "/", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/bar", "", "/xyz", "/xyz/bar"),
        ];
        for (path, prefix, new, expected) in cases {
            let matched = PathMatch::Prefix(prefix.into());
            let found = PathChange::Prefix(new.into()).apply(path, &matched);
            assert_eq!(found, expected, "{path}: {prefix} -> {new}");
        }
    }

    #[test]
    fn a_redirect_changes_only_what_it_names() {
        let redirect = |json: &str| {
            let filter: types::Redirect = serde_json::from_str(json).unwrap();
            let matched = PathMatch::Prefix("/old".into());
            let redirect = redirect_of(&filter).unwrap();
            redirect.location(("a.localhost:19080", "/@a", "/old/x", Some("q=1")), &matched)
        };
        assert_eq!(redirect("{}"), "http://a.localhost:19080/@a/old/x?q=1");
        assert_eq!(redirect(r#"{"scheme":"https"}"#), "https://a.localhost/@a/old/x?q=1");
        assert_eq!(
            redirect(r#"{"scheme":"https","port":443}"#),
            "https://a.localhost/@a/old/x?q=1"
        );
        assert_eq!(redirect(r#"{"hostname":"b","port":8080}"#), "http://b:8080/old/x?q=1");
        let path = r#"{"path":{"type":"ReplacePrefixMatch","replacePrefixMatch":"/new"}}"#;
        assert_eq!(redirect(path), "http://a.localhost:19080/@a/new/x?q=1");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let read = |json: &str| Filters::read(&serde_json::from_str::<Vec<Filter>>(json).unwrap());
        let error = read(r#"[{"type":"RequestMirror"}]"#).unwrap_err();
        assert_eq!(error, "the filter RequestMirror is not supported");
        let both = r#"[{"type":"URLRewrite","urlRewrite":{"hostname":"a"}},
            {"type":"RequestRedirect","requestRedirect":{}}]"#;
        assert!(read(both).is_err());
        assert!(
            read(r#"[{"type":"RequestRedirect","requestRedirect":{"statusCode":200}}]"#).is_err()
        );
    }

    #[test]
    fn headers_are_set_added_and_removed() {
        let json =
            r#"{"set":[{"name":"a","value":"1"}],"add":[{"name":"b","value":"2"}],"remove":["C"]}"#;
        let modifier: types::HeaderModifier = serde_json::from_str(json).unwrap();
        let mut headers = HeaderMap::new();
        for name in ["a", "b", "c"] {
            headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("0"));
        }
        change_headers(&header_changes(&modifier).unwrap(), &mut headers);
        assert_eq!(headers["a"], "1");
        assert_eq!(headers.get_all("b").iter().count(), 2);
        assert!(!headers.contains_key("c"));
    }
}
