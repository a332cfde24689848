//! How a hook is reached.

use curtain_schema::FieldError;
use http::Uri;
use serde_json::Value;

use super::super::ValueExt;

const FORM: &str = "; desired format: https://host[/path]";

/// What is wrong with a `clientConfig`.
pub(super) fn validate(config: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match (config.at(&["url"]).and_then(Value::as_str), config.at(&["service"])) {
        (Some(address), None) => url(address, &format!("{path}.url"), errors),
        (None, Some(given)) => service(given, &format!("{path}.service"), errors),
        _ => {
            let why = "exactly one of url or service is required";
            errors.push(FieldError::required(path, why));
        }
    }
}

fn url(text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let uri: Uri = match text.parse() {
        Ok(uri) => uri,
        Err(why) => {
            let why = format!("url must be a valid URL: {why}{FORM}");
            return errors.push(FieldError::required(path, why));
        }
    };
    let mut wrong = |value: &str, why: String| {
        errors.push(FieldError::invalid(path, value.into(), why));
    };
    if uri.scheme_str() != Some("https") {
        let scheme = uri.scheme_str().unwrap_or_default();
        wrong(scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if uri.host().unwrap_or_default().is_empty() {
        wrong("", format!("host must be specified{FORM}"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        wrong("", "user information is not permitted in the URL".into());
    }
    if !fragment.is_empty() {
        wrong(fragment, "fragments are not permitted in the URL".into());
    }
    if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
        wrong(query, "query parameters are not permitted in the URL".into());
    }
}

fn service(service: &Value, at: &str, errors: &mut Vec<FieldError>) {
    for field in ["name", "namespace"] {
        if service.text(&[field]).is_empty() {
            let why = format!("service {field} is required");
            errors.push(FieldError::required(format!("{at}.{field}"), why));
        }
    }
    let path = service.text(&["path"]);
    if !path.is_empty() && !path.starts_with('/') {
        let why = "must start with a '/'";
        errors.push(FieldError::invalid(format!("{at}.path"), path.into(), why));
    }
    let port = service.int(&["port"]).unwrap_or(443);
    if !(1..=65535).contains(&port) {
        let why = "port is not valid: must be between 1 and 65535, inclusive";
        errors.push(FieldError::invalid(format!("{at}.port"), port.into(), why));
    }
}
