//! Errors as clients see them: `meta/v1` `Status` objects, with the reasons, codes and sentences that
//! client-go, kubectl and kube-rs match on.

use std::borrow::Cow;

use curtain_schema::FieldError;
use serde::Serialize;
use serde_json::{Value, json};

/// One entry of `details.causes`: which field is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Machine-readable cause, for example `FieldValueInvalid`; empty where there is none.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: Cow<'static, str>,
    /// The sentence, without the field path.
    pub message: String,
    /// Field path, for example `spec.containers[0].image`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

impl From<FieldError> for Cause {
    fn from(error: FieldError) -> Self {
        Self { reason: error.reason().into(), message: error.message(), field: error.path }
    }
}

impl Cause {
    fn sentence(&self) -> String {
        if self.field.is_empty() {
            self.message.clone()
        } else {
            format!("{}: {}", self.field, self.message)
        }
    }
}

/// What the error is about; every part is left out of the answer when empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Object name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// API group, empty for core.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Plural resource (or, for `Invalid`, the kind).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Object uid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Field errors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// When to try again, in seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A failed request. `Display` is the human sentence; [`ApiError::status`] is the wire object.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// `metav1.StatusReason`, empty when unknown.
    pub reason: Cow<'static, str>,
    /// The sentence.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<Details>>,
}

/// A plural resource and its group: `pods`, `deployments.apps`.
#[derive(Debug, Clone, Copy)]
pub struct Qualified<'a> {
    /// API group, empty for core.
    pub group: &'a str,
    /// Plural name.
    pub plural: &'a str,
}

impl std::fmt::Display for Qualified<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.group.is_empty() {
            f.write_str(self.plural)
        } else {
            write!(f, "{}.{}", self.plural, self.group)
        }
    }
}

impl Qualified<'_> {
    fn details(&self, name: &str) -> Option<Box<Details>> {
        Some(Box::new(Details {
            name: name.into(),
            group: self.group.into(),
            kind: self.plural.into(),
            ..Details::default()
        }))
    }
}

impl ApiError {
    /// Any code and reason, without details.
    pub fn plain(
        code: u16,
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { code, reason: reason.into(), message: message.into(), details: None }
    }

    /// 404 for an object.
    pub fn not_found(what: Qualified<'_>, name: &str) -> Self {
        Self {
            details: what.details(name),
            ..Self::plain(404, "NotFound", format!("{what} \"{name}\" not found"))
        }
    }

    /// 404 for a path that no resource serves.
    pub fn no_such_path() -> Self {
        Self {
            details: Some(Box::default()),
            ..Self::plain(404, "NotFound", "the server could not find the requested resource")
        }
    }

    /// 409: the name is taken.
    pub fn already_exists(what: Qualified<'_>, name: &str) -> Self {
        Self {
            details: what.details(name),
            ..Self::plain(409, "AlreadyExists", format!("{what} \"{name}\" already exists"))
        }
    }

    /// 409: the object changed meanwhile, or a precondition failed (`why`).
    pub fn conflict(what: Qualified<'_>, name: &str, why: &str) -> Self {
        Self {
            details: what.details(name),
            ..Self::plain(
                409,
                "Conflict",
                format!("Operation cannot be fulfilled on {what} \"{name}\": {why}"),
            )
        }
    }

    /// 409 of an update whose resourceVersion is not the latest.
    pub fn modified(what: Qualified<'_>, name: &str) -> Self {
        Self::conflict(
            what,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 403. `name` may be empty.
    pub fn forbidden(what: Qualified<'_>, name: &str, why: &str) -> Self {
        let subject = if name.is_empty() { what.to_string() } else { format!("{what} \"{name}\"") };
        Self {
            details: what.details(name),
            ..Self::plain(403, "Forbidden", format!("{subject} is forbidden: {why}"))
        }
    }

    /// 422: one or more fields are wrong.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: Vec<FieldError>) -> Self {
        let causes: Vec<Cause> = errors.into_iter().map(Cause::from).collect();
        let sentences: Vec<_> = causes.iter().map(Cause::sentence).collect();
        let all = match sentences.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = Qualified { group, plural: kind };
        Self {
            details: Some(Box::new(Details {
                name: name.into(),
                group: group.into(),
                kind: kind.into(),
                causes,
                ..Details::default()
            })),
            ..Self::plain(422, "Invalid", format!("{qualified} \"{name}\" is invalid: {all}"))
        }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::plain(400, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::plain(401, "Unauthorized", "Unauthorized")
    }

    /// 405 for a resource.
    pub fn method_not_allowed() -> Self {
        Self {
            details: Some(Box::default()),
            ..Self::plain(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            )
        }
    }

    /// 410: the resourceVersion is no longer in the window.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::plain(410, "Expired", message)
    }

    /// 410 of a watch that asks for history that is gone.
    pub fn too_old(asked: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {asked} ({oldest})"))
    }

    /// 504: the client has seen a later state than this server has.
    pub fn too_large(asked: u64, current: u64) -> Self {
        Self {
            details: Some(Box::new(Details {
                causes: vec![Cause {
                    reason: "ResourceVersionTooLarge".into(),
                    message: "Too large resource version".into(),
                    field: String::new(),
                }],
                retry_after_seconds: 1,
                ..Details::default()
            })),
            ..Self::plain(
                504,
                "Timeout",
                format!("Too large resource version: {asked}, current: {current}"),
            )
        }
    }

    /// 415 with the formats that would have worked.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        Self::plain(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                accepted.join(", ")
            ),
        )
    }

    /// 406: none of the formats in `Accept` is served.
    pub fn not_acceptable() -> Self {
        Self::plain(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json",
        )
    }

    /// 500.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::plain(500, "InternalError", format!("Internal error occurred: {message}"))
    }

    /// The wire object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.as_ref().into();
        }
        if let Some(details) = &self.details {
            status["details"] = serde_json::to_value(details).unwrap_or_default();
        }
        status
    }
}

/// The `Status` of something that worked and has no object to show.
pub(super) fn success(details: Value) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
