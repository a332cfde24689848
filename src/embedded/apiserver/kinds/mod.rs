//! What the server serves: one [`Resource`] per group, version and plural.
//!
//! Handlers know no kind. Everything that differs between kinds is in the descriptor: names, scope, subresources,
//! printer columns, defaults, validation and hooks: a line in the table of its group, which is one
//! module here with what the line refers to. A custom resource definition produces the same descriptor.

mod apps;
mod autoscaling;
mod batch;
mod builtin;
mod catalog;
mod check;
mod columns;
mod coordination;
mod core;
mod default_class;
mod discovery;
mod events;
mod extensions;
mod host_ports;
mod meta;
mod metrics;
mod networking;
mod policy;
mod rbac;
mod reading;
mod registration;
mod reviews;
mod scheduling;
mod seccomp;
mod storage;
mod subresource;
mod template;
mod value;

use std::sync::Arc;

use curtain_schema::{FieldError, Node};
use futures::future::BoxFuture;
use serde_json::Value;

use super::Api;
use super::admission::Admission;
use super::auth::User;
use super::status::{ApiError, Qualified};
use super::store::{Object, Table, Write};

pub(super) use self::core::EPHEMERAL_CONTAINERS;
pub(super) use builtin::resources as builtin_resources;
pub(super) use catalog::{Catalog, Group, GroupVersion};
pub(super) use check::{is_empty, selects};
pub(super) use columns::{Column, Columns};
pub(super) use extensions::{
    CLEANUP, Names, TABLE as DEFINITIONS, announce_cleanup, announce_deletion, custom_resources,
};
pub(super) use meta::{is_dns_subdomain, is_label_value, is_qualified_name, validate_metadata};
pub(super) use reading::Reading;
pub(super) use registration::{
    BINDINGS, GROUP as REGISTRATION, POLICIES, Scope as ExpressionScope, resource_of, variable,
};
pub(super) use scheduling::system_classes;
pub(super) use subresource::{CHANGED, Part, Subresource};
pub(super) use value::ValueExt;

/// One served resource.
pub(super) struct Resource {
    /// API group, empty for core.
    pub group: String,
    /// Served version.
    pub version: String,
    /// `group/version` as served, or the version alone for core.
    pub served_api_version: String,
    /// Version in which objects are stored (`group/version`).
    pub stored_api_version: String,
    /// Kind.
    pub kind: String,
    /// Kind of a list.
    pub list_kind: String,
    /// Plural, as in paths.
    pub plural: String,
    /// Singular, as in kubectl.
    pub singular: String,
    /// Short names.
    pub short_names: Vec<String>,
    /// Categories, such as `all`.
    pub categories: Vec<String>,
    /// In namespaces?
    pub namespaced: bool,
    /// The objects' table in the store.
    pub table: Table,
    /// Fields that selectors may name beside name and namespace.
    pub selectable: Vec<String>,
    /// Printer columns.
    pub columns: Columns,
    /// Subresources besides `status` and `scale`.
    pub subresources: &'static [Subresource],
    /// Has a status subresource, which alone writes `status`.
    pub has_status: bool,
    /// Has a scale subresource.
    pub scale: Option<Scale>,
    /// `metadata.generation` counts changes of everything but metadata and status.
    pub generation: bool,
    /// Names the definition that a custom resource comes from, and its generation; empty for built-in kinds.
    pub revision: String,
    /// The definition is being deleted, and all objects with it: no more are made.
    pub ending: bool,
    /// What is special.
    pub strategy: Strategy,
    /// Shape of the objects.
    pub schema: Schema,
    /// How stored custom resources are read.
    pub reading: Option<Arc<Reading>>,
}

/// Where the scale subresource finds its numbers, as field paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scale {
    /// Desired replicas.
    pub replicas: Vec<String>,
    /// Observed replicas.
    pub status_replicas: Vec<String>,
    /// The selector: an object (`LabelSelector`) or its text form.
    pub selector: Option<Vec<String>>,
}

/// Where the shape of the objects is known from.
pub(super) enum Schema {
    /// Compiled in.
    Builtin(Node<'static>),
    /// From a custom resource definition.
    Structural(Arc<curtain_schema::crd::CrdSchema>),
}

impl Schema {
    /// The cursor at the object's root.
    pub(super) fn node(&self) -> Node<'_> {
        match self {
            Schema::Builtin(node) => *node,
            Schema::Structural(schema) => schema.root(),
        }
    }
}

/// How deletion goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Deletion {
    /// At once, unless finalizers hold it.
    #[default]
    Plain,
    /// The node is given time to stop it.
    Pod,
    /// Its content goes first (`spec.finalizers`).
    Namespace,
    /// The objects that it defines go first.
    Definition,
}

/// Objects that cannot be deleted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// Their names.
    pub names: &'static [&'static str],
    /// Why, for who tries.
    pub why: &'static str,
}

/// What a create-only kind answers.
pub(super) type Review = fn(&Api, &User, Value) -> Result<Value, ApiError>;

/// Which objects somebody asked for, by their name, namespace and labels alone.
pub(super) type Pick<'a> = dyn Fn(&Object) -> bool + Send + Sync + 'a;

/// Makes the objects of a kind that is measured when it is read: those of a namespace, or of all, sorted by key. What is
/// picked are the stored objects that they are about.
pub(super) type Measure = for<'a> fn(
    &'a Api,
    Option<&'a str>,
    &'a Pick<'a>,
) -> BoxFuture<'a, Result<Vec<Arc<Object>>, ApiError>>;

/// Changes or refuses a document; the second one is the live one.
pub(super) type Admit = fn(&Admission<'_>, &mut Value, Option<&Value>) -> Result<(), ApiError>;

/// Gives back what was reserved for the first document and is not in the second.
pub(super) type Release = fn(&Api, gone: &Value, kept: Option<&Value>);

/// Amends a write that is about to be queued, and tells what has to be written with it.
pub(super) type Along = fn(&Api, &mut Write) -> Vec<Write>;

/// What is special about a kind. All hooks are pure, but `admit` and `settle`, which may look at other objects and
/// reserve addresses, `along`, which looks at others, and `released`, which gives addresses back.
#[derive(Clone, Copy)]
pub(super) struct Strategy {
    /// Fills in what the client left out.
    pub default: fn(&mut Value),
    /// Prepares a write: `old` is `None` on create.
    pub prepare: fn(&mut Value, Option<&Value>),
    /// Adds what is wrong.
    pub validate: fn(&Value, Option<&Value>, &mut Vec<FieldError>),
    /// Admission, before any plugin: may change the object or refuse it.
    pub admit: Option<Admit>,
    /// Admission, after all plugins: refuses what the document has become, or reserves what it needs, unless it is a
    /// dry run. When it fails, it has given back what it took.
    pub settle: Option<Admit>,
    /// What a write means for other objects. Called for one write at a time, which is committed with what it tells.
    pub along: Option<Along>,
    /// The write did not happen (`new` is given back) or the object is gone.
    pub released: Option<Release>,
    /// Turns a stored document into this version's form; `apiVersion` and `kind` are set afterwards.
    pub serve: Option<fn(&mut Value)>,
    /// Turns this version's form into the stored one.
    pub store: Option<fn(&mut Value)>,
    /// Objects of this kind exist only as answers.
    pub review: Option<Review>,
    /// Objects of this kind are measured when they are read, and stored nowhere.
    pub measure: Option<Measure>,
    /// How deletion goes.
    pub deletion: Deletion,
    /// A deletion that does not say what becomes of dependents leaves them, and warns of it with these words.
    pub orphans: Option<&'static str>,
    /// Names are checked by this rule; returns what is wrong.
    pub name: fn(&str) -> Option<String>,
    /// A status that is sent along on create is kept.
    pub status_on_create: bool,
    /// What cannot be deleted.
    pub kept: Kept,
    /// A PUT to a missing name creates it.
    pub create_on_update: bool,
    /// A PUT without resourceVersion is fine.
    pub unconditional_update: bool,
}

impl Strategy {
    /// Nothing special.
    pub(super) const PLAIN: Self = Self {
        default: |_| {},
        prepare: |_, _| {},
        validate: |_, _, _| {},
        admit: None,
        settle: None,
        along: None,
        released: None,
        serve: None,
        store: None,
        review: None,
        measure: None,
        deletion: Deletion::Plain,
        orphans: None,
        name: is_dns_subdomain,
        status_on_create: false,
        kept: Kept { names: &[], why: "" },
        create_on_update: false,
        unconditional_update: true,
    };
}

impl Resource {
    /// `apps/v1`, or `v1` for core.
    pub(super) fn api_version(&self) -> String {
        self.served_api_version.clone()
    }

    /// For messages.
    pub(super) fn qualified(&self) -> Qualified<'_> {
        Qualified { group: &self.group, plural: &self.plural }
    }

    /// 422 for an object of this kind.
    pub(super) fn invalid(&self, name: &str, errors: Vec<FieldError>) -> ApiError {
        ApiError::invalid(&self.group, &self.kind, name, errors)
    }

    /// Comes from a custom resource definition?
    pub(super) fn is_custom(&self) -> bool {
        matches!(self.schema, Schema::Structural(_))
    }

    /// The verbs of the resource itself, as discovery lists them (sorted).
    pub(super) fn verbs(&self) -> &'static [&'static str] {
        if self.strategy.review.is_some() {
            &["create"]
        } else if self.strategy.measure.is_some() {
            &["get", "list"]
        } else {
            &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
        }
    }
}

/// `group/version`, or the version alone for core.
pub(super) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.into() } else { format!("{group}/{version}") }
}
