//! The options of a request, checked before anything else is looked at: `CreateOptions`, `UpdateOptions`,
//! `PatchOptions` and `ListOptions` of the query. What passes here can be read without further errors.

use curtain_schema::FieldError;
use http::Method;
use serde_json::json;

use super::super::request::query::Query;
use super::super::status::ApiError;
use super::{Context, patch};

const GROUP: &str = "meta.k8s.io";
const MAX_MANAGER: usize = 128;

/// 422 for options of this kind, if anything is wrong.
pub(super) fn invalid(kind: &str, errors: Vec<FieldError>) -> Result<(), ApiError> {
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(GROUP, kind, "", errors)) }
}

/// Checks the query's options for the request's verb.
pub(super) fn check(context: &Context) -> Result<(), ApiError> {
    let query = &context.query;
    let one = !context.path.name.is_empty();
    match context.method {
        Method::POST => write("CreateOptions", query, Vec::new()),
        Method::PUT => write("UpdateOptions", query, Vec::new()),
        Method::PATCH => {
            let error = match patch::is_apply(context) {
                true => query
                    .get("fieldManager")
                    .is_none()
                    .then(|| FieldError::required("fieldManager", "is required for apply patch")),
                false => query.get("force").is_some().then(|| {
                    FieldError::forbidden("force", "may not be specified for non-apply patch")
                }),
            };
            write("PatchOptions", query, error.into_iter().collect())
        }
        Method::GET if context.path.subresource.is_empty() => match query.flag("watch") {
            true => invalid("ListOptions", watch(query)),
            false if one => Ok(()),
            false => list(query),
        },
        Method::DELETE if !one => list(query),
        _ => Ok(()),
    }
}

fn write(kind: &str, query: &Query, mut errors: Vec<FieldError>) -> Result<(), ApiError> {
    if let Some(manager) = query.get("fieldManager") {
        if manager.len() > MAX_MANAGER {
            errors.push(FieldError::too_long("fieldManager", MAX_MANAGER as u64));
        }
        if let Some((at, wrong)) = manager.char_indices().find(|(_, c)| c.is_control()) {
            let why = format!("invalid character U+{:04X} (at position {at})", u32::from(wrong));
            errors.push(FieldError::invalid("fieldManager", manager.into(), why));
        }
    }
    errors.extend(dry_run(query.all("dryRun").filter(|value| !value.is_empty())));
    if let Some(other) = query.get("fieldValidation")
        && !["Ignore", "Strict", "Warn"].contains(&other)
    {
        let supported = ["", "Ignore", "Strict", "Warn"];
        errors.push(FieldError::not_supported("fieldValidation", other.into(), &supported));
    }
    invalid(kind, errors)
}

/// What is wrong with the values of `dryRun`.
pub(super) fn dry_run<'a>(values: impl Iterator<Item = &'a str>) -> Option<FieldError> {
    let values: Vec<&str> = values.collect();
    let known = values.iter().all(|value| *value == "All");
    (!known).then(|| FieldError::not_supported("dryRun", json!(values), &["All"]))
}

const MATCH: &str = "resourceVersionMatch";

fn list(query: &Query) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    let version = query.get("resourceVersion");
    let forbidden = |why: &str| FieldError::forbidden(MATCH, why);
    if let Some(matching) = query.get(MATCH) {
        if version.is_none() {
            errors.push(forbidden(
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if query.get("continue").is_some() {
            errors.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
        if !["Exact", "NotOlderThan"].contains(&matching) {
            let supported = ["Exact", "NotOlderThan", ""];
            errors.push(FieldError::not_supported(MATCH, matching.into(), &supported));
        }
        if matching == "Exact" && version == Some("0") {
            errors.push(forbidden(
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
    }
    if query.get("sendInitialEvents").is_some() {
        let why = "sendInitialEvents is forbidden for list";
        errors.push(FieldError::forbidden("sendInitialEvents", why));
    }
    invalid("ListOptions", errors)?;
    query.number::<i64>("timeoutSeconds").map(drop)
}

fn watch(query: &Query) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let forbidden = |why: &str| FieldError::forbidden(MATCH, why);
    let initial = query.get("sendInitialEvents").is_some();
    let matching = query.get(MATCH);
    if initial && matching != Some("NotOlderThan") {
        errors.push(forbidden(
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    if let Some(matching) = matching {
        if !initial {
            errors.push(forbidden(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        if matching != "NotOlderThan" {
            errors.push(FieldError::not_supported(MATCH, matching.into(), &["NotOlderThan"]));
        }
        if query.get("continue").is_some() {
            errors.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    errors
}
