//! One request on a resource, with everything that its handler needs.

use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::super::Api;
use super::super::admission::{Admission, Operation, Warnings};
use super::super::auth::User;
use super::super::auth::rbac::Attributes;
use super::super::kinds::{Deletion, Resource, ValueExt};
use super::super::request::accept::{self, Shape};
use super::super::request::path::ResourcePath;
use super::super::request::query::Query;
use super::super::request::selector::{Fields, Labels};
use super::super::status::ApiError;
use super::super::store::{Key, Object, WriteError};
use super::super::stream::Offer;

/// One request on a resource.
pub(in crate::apiserver) struct Context {
    pub method: Method,
    pub path: ResourcePath,
    pub query: Query,
    pub accept: String,
    pub content_type: String,
    pub user_agent: String,
    pub user: User,
    pub resource: Arc<Resource>,
    /// The offer to go on with WebSocket.
    pub upgrade: Option<Offer>,
    /// What the client is told beside the answer.
    pub warnings: Warnings,
}

impl Context {
    /// The RBAC verb.
    pub(crate) fn verb(&self) -> &'static str {
        let one = !self.path.name.is_empty();
        match self.method {
            Method::GET | Method::HEAD if self.query.flag("watch") => "watch",
            Method::GET | Method::HEAD if one => "get",
            Method::GET | Method::HEAD => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if one => "delete",
            Method::DELETE => "deletecollection",
            _ => "unknown",
        }
    }

    /// What RBAC is asked.
    pub(crate) fn attributes(&self) -> Attributes {
        let verb = self.verb();
        let mut name = self.path.name.clone();
        // Only where the selector limits what is shown: a rule for one name must not let others be written.
        if name.is_empty()
            && matches!(verb, "list" | "watch")
            && let Ok(fields) = self.fields()
            && let Some(pinned) = fields.name()
        {
            name = pinned.to_owned();
        }
        Attributes {
            verb: verb.into(),
            group: self.path.group.clone(),
            resource: self.path.plural.clone(),
            subresource: self.path.subresource.clone(),
            // A namespace is in itself, so that a RoleBinding there can let one read it.
            namespace: match (self.path.group.as_str(), self.path.plural.as_str()) {
                ("", "namespaces") => self.path.name.clone(),
                _ => self.path.namespace.clone(),
            },
            name,
            path: String::new(),
        }
    }

    /// The key of the named object.
    pub(crate) fn key(&self) -> Key {
        Key::new(&self.path.namespace, &self.path.name)
    }

    /// The namespace that a collection request is limited to.
    pub(crate) fn scope(&self) -> Option<&str> {
        (self.resource.namespaced && !self.path.namespace.is_empty())
            .then_some(self.path.namespace.as_str())
    }

    pub(crate) fn labels(&self) -> Result<Labels, ApiError> {
        Labels::parse(self.query.get("labelSelector").unwrap_or_default())
    }

    pub(crate) fn fields(&self) -> Result<Fields, ApiError> {
        Fields::parse(
            self.query.get("fieldSelector").unwrap_or_default(),
            &self.resource.selectable,
        )
    }

    pub(crate) fn shape(&self) -> Result<Shape, ApiError> {
        accept::shape(&self.accept)
    }

    /// The field manager that a write is booked on.
    pub(crate) fn manager(&self) -> String {
        if let Some(manager) = self.query.get("fieldManager") {
            return manager.to_owned();
        }
        let agent = self.user_agent.split('/').next().unwrap_or_default();
        let agent: String = agent.chars().take(128).collect();
        if agent.is_empty() { "unknown".into() } else { agent }
    }

    /// This write, for admission.
    pub(super) fn admission<'a>(&'a self, api: &'a Api, operation: Operation) -> Admission<'a> {
        Admission {
            api,
            user: &self.user,
            operation,
            resource: &self.resource,
            subresource: &self.path.subresource,
            namespace: &self.path.namespace,
            name: &self.path.name,
            query: &self.query,
            warnings: &self.warnings,
            dry_run: self.query.dry_run(),
        }
    }

    /// The object, or 404.
    pub(crate) fn latest(&self, api: &Api) -> Result<Arc<Object>, ApiError> {
        api.store.latest(&self.resource.table, &self.key()).ok_or_else(|| self.not_found())
    }

    pub(crate) fn not_found(&self) -> ApiError {
        ApiError::not_found(self.resource.qualified(), &self.path.name)
    }

    /// New objects need their namespace and their definition to be staying.
    pub(crate) fn check_creation(&self, api: &Api) -> Result<(), ApiError> {
        if self.resource.ending {
            return Err(ApiError::plain(
                405,
                "MethodNotAllowed",
                "create not allowed while custom resource definition is terminating",
            ));
        }
        self.check_namespace(api, true)
    }

    /// Namespaced paths need their namespace; new objects need it to be staying.
    pub(crate) fn check_namespace(&self, api: &Api, creating: bool) -> Result<(), ApiError> {
        if !self.resource.namespaced {
            if !self.path.namespace.is_empty() {
                return Err(ApiError::no_such_path());
            }
            return Ok(());
        }
        if self.path.namespace.is_empty() {
            if creating || !self.path.name.is_empty() {
                return Err(ApiError::bad_request(
                    "an empty namespace may not be set when a resource name is provided",
                ));
            }
            return Ok(());
        }
        if !creating {
            return Ok(());
        }
        let namespaces = super::super::status::Qualified { group: "", plural: "namespaces" };
        let Some(namespace) =
            api.store.latest(&"/namespaces".into(), &Key::new("", &self.path.namespace))
        else {
            return Err(ApiError::not_found(namespaces, &self.path.namespace));
        };
        if namespace.mentions("Terminating")
            && namespace.field(&["status", "phase"]) == "Terminating"
        {
            let name = &self.path.namespace;
            let why = format!(
                "unable to create new content in namespace {name} because it is being terminated"
            );
            let mut error = ApiError::forbidden(self.resource.qualified(), &self.path.name, &why);
            if let Some(details) = &mut error.details {
                details.causes.push(super::super::status::Cause {
                    reason: "NamespaceTerminating".into(),
                    message: format!("namespace {name} is being terminated"),
                    field: "metadata.namespace".into(),
                });
            }
            return Err(error);
        }
        Ok(())
    }

    /// A failed commit, in words for the client.
    pub(crate) fn write_error(&self, error: &WriteError) -> ApiError {
        use super::super::store::JournalError;
        match error {
            WriteError::Raced | WriteError::Overtaken => {
                ApiError::modified(self.resource.qualified(), &self.path.name)
            }
            WriteError::Refused(why) => {
                ApiError::forbidden(self.resource.qualified(), &self.path.name, why)
            }
            WriteError::Closed => ApiError::plain(503, "ServiceUnavailable", error.to_string()),
            WriteError::Journal(cause) => match &**cause {
                JournalError::Full { .. } => {
                    ApiError::plain(507, "InsufficientStorage", cause.to_string())
                }
                _ => ApiError::internal(cause),
            },
        }
    }

    /// Must the object stay a while: finalizers, or a node that has to stop it first?
    pub(crate) fn held(&self, object: &Value) -> bool {
        let waits = self.resource.strategy.deletion == Deletion::Pod
            && object.int(&["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0) > 0;
        let content = self.resource.strategy.deletion == Deletion::Namespace
            && !object.list(&["spec", "finalizers"]).is_empty();
        waits || content || !object.list(&["metadata", "finalizers"]).is_empty()
    }
}
