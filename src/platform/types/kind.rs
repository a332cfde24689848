//! What one row of the registry becomes.

use schemars::{Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The API group of every kind.
pub const GROUP: &str = "openchoreo.dev";
/// The one version.
pub const VERSION: &str = "v1alpha1";
/// Group and version, as objects name them.
pub const API_VERSION: &str = "openchoreo.dev/v1alpha1";

/// Whether a kind lives in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In namespaces.
    Namespaced,
    /// In the cluster.
    Cluster,
}

/// A column of `kubectl get`.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// JSON path of the value.
    pub path: &'static str,
    /// `string`, `integer` or `date`.
    pub r#type: &'static str,
}

/// A column of text.
pub(super) const fn text(name: &'static str, path: &'static str) -> Column {
    Column { name, path, r#type: "string" }
}

/// A column of whole numbers.
pub(super) const fn integer(name: &'static str, path: &'static str) -> Column {
    Column { name, path, r#type: "integer" }
}

/// The age of the object.
pub(super) const AGE: Column =
    Column { name: "Age", path: ".metadata.creationTimestamp", r#type: "date" };

/// Everything the API server has to know of a kind.
#[derive(Debug)]
pub struct KindInfo {
    /// `Component`
    pub kind: &'static str,
    /// `components`
    pub plural: &'static str,
    /// Other names for `kubectl get`.
    pub short_names: &'static [&'static str],
    /// Whether it lives in namespaces.
    pub scope: Scope,
    /// Columns of `kubectl get`; name and age when empty.
    pub columns: &'static [Column],
    /// Whether it has a status subresource.
    pub status: bool,
    pub(super) spec_schema: fn(&mut SchemaGenerator) -> Schema,
    pub(super) status_schema: fn(&mut SchemaGenerator) -> Schema,
    /// Changes to the derived schema of the spec.
    pub(super) adjust: Option<fn(&mut Value)>,
}

/// One kind of the group.
pub trait Kind:
    kube::Resource<DynamicType = ()>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The row of the registry.
    const INFO: &'static KindInfo;
    /// Its desired state.
    type Spec;
    /// Its observed state.
    type Status;

    /// An object of this name without anything observed.
    fn new(name: &str, spec: Self::Spec) -> Self;
}

/// The status of a kind that no controller reports on.
#[derive(
    Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct NoStatus {}

/// Declares kinds: a Rust type with its `kube::Resource`, and the list `KINDS` of what the API server has to know.
macro_rules! kinds {
    ($(
        $(#[$doc:meta])*
        $kind:ident {
            spec: $spec:ty, status: $status:ty $(, subresource: $sub:literal)?;
            plural: $plural:literal, short: [$($short:literal),*], scope: $scope:ident;
            columns: [$($column:expr),*]
            $(, adjust: $adjust:expr)?
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, serde::Deserialize)]
            pub struct $kind {
                /// Name, namespace, uid, labels, …
                #[serde(default)]
                pub metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
                /// The desired state.
                pub spec: $spec,
                /// The observed state.
                #[serde(default)]
                pub status: Option<$status>,
            }

            impl serde::Serialize for $kind {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    use serde::ser::SerializeStruct;
                    let fields = 4 + usize::from(self.status.is_some());
                    let mut object = serializer.serialize_struct(stringify!($kind), fields)?;
                    object.serialize_field("apiVersion", $crate::types::API_VERSION)?;
                    object.serialize_field("kind", stringify!($kind))?;
                    object.serialize_field("metadata", &self.metadata)?;
                    object.serialize_field("spec", &self.spec)?;
                    match &self.status {
                        Some(status) => object.serialize_field("status", status)?,
                        None => object.skip_field("status")?,
                    }
                    object.end()
                }
            }

            impl kube::Resource for $kind {
                type DynamicType = ();
                type Scope = kinds!(@scope $scope);

                fn kind((): &()) -> std::borrow::Cow<'_, str> {
                    stringify!($kind).into()
                }
                fn group((): &()) -> std::borrow::Cow<'_, str> {
                    $crate::types::GROUP.into()
                }
                fn version((): &()) -> std::borrow::Cow<'_, str> {
                    $crate::types::VERSION.into()
                }
                fn plural((): &()) -> std::borrow::Cow<'_, str> {
                    $plural.into()
                }
                fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                    &self.metadata
                }
                fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                    &mut self.metadata
                }
            }

            impl $crate::types::Kind for $kind {
                const INFO: &'static $crate::types::KindInfo = &$crate::types::KindInfo {
                    kind: stringify!($kind),
                    plural: $plural,
                    short_names: &[$($short),*],
                    scope: $crate::types::Scope::$scope,
                    columns: &[$($column),*],
                    status: true $(&& $sub)?,
                    spec_schema: <$spec as schemars::JsonSchema>::json_schema,
                    status_schema: <$status as schemars::JsonSchema>::json_schema,
                    adjust: kinds!(@adjust $($adjust)?),
                };
                type Spec = $spec;
                type Status = $status;

                fn new(name: &str, spec: $spec) -> Self {
                    let metadata = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                        name: Some(name.to_owned()),
                        ..Default::default()
                    };
                    Self { metadata, spec, status: None }
                }
            }
        )*

        /// Every kind, in the order of the table.
        pub const KINDS: &[&$crate::types::KindInfo] = &[$(<$kind as $crate::types::Kind>::INFO),*];
    };
    (@scope Namespaced) => { kube::core::NamespaceResourceScope };
    (@scope Cluster) => { kube::core::ClusterResourceScope };
    (@adjust $adjust:expr) => { Some($adjust) };
    (@adjust) => { None };
}
pub(super) use kinds;
