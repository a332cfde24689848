//! The format of `bundle.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The only version of the format.
pub const API_VERSION: &str = "curtain.dev/bundle/v1";

/// A `bundle.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`API_VERSION`].
    pub api_version: String,
    /// The bundle's name: a DNS label, unique in a cluster.
    pub name: String,
    /// The bundle's version.
    pub version: String,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// What it is for.
    #[serde(default)]
    pub role: Role,
    /// What a reader of its status should know, if anything.
    #[serde(default)]
    pub note: Option<String>,
    /// Bundles whose objects must be there before this one's.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Images the bundle's pods use; templates like any other text.
    #[serde(default)]
    pub images: Vec<String>,
    /// What a user may set.
    #[serde(default)]
    pub values: BTreeMap<String, ValueSchema>,
    /// Keys and passwords to read or create before anything uses them.
    #[serde(default)]
    pub generate: Vec<Generate>,
    /// Files or folders, relative to the bundle or (with a leading `/`) to the repository, applied byte for byte.
    #[serde(default)]
    pub manifests: Vec<String>,
    /// The same, rendered with `${…}`; `values`, `instance` and `generated` are in scope.
    #[serde(default)]
    pub templates: Vec<String>,
    /// Conditions that must be true, besides every Deployment of the bundle being available.
    #[serde(default)]
    pub ready: Vec<Ready>,
    /// Services that are reached from outside the cluster.
    #[serde(default)]
    pub expose: Vec<Expose>,
}

/// What a bundle is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A part of the platform: every instance has it.
    #[default]
    Platform,
    /// A sample system, deployed on request.
    Demo,
}

/// A value a user may set.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValueSchema {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ValueType,
    /// What it is when it is not set.
    pub default: Value,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
}

impl ValueType {
    /// Whether `value` is of this type.
    pub fn admits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

/// A Secret to read or create.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Generate {
    /// Its name in templates: `generated.<name>`.
    pub name: String,
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret.
    pub secret: String,
    /// Labels of the Secret.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What is in it.
    #[serde(flatten)]
    pub what: What,
}

/// What is generated.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum What {
    /// A certificate authority: `tls.crt`, `tls.key`, `ca.crt`.
    #[serde(rename_all = "camelCase")]
    Ca {
        /// Its common name.
        common_name: String,
    },
    /// A certificate of an authority: `tls.crt`, `tls.key`, `ca.crt`.
    #[serde(rename_all = "camelCase")]
    Leaf {
        /// Its authority: a name in this bundle, or `namespace/secret` of another's.
        ca: String,
        /// Its common name.
        common_name: String,
        /// DNS names it is valid for.
        #[serde(default)]
        dns_names: Vec<String>,
        /// What it may be used for.
        usages: Vec<Usage>,
    },
    /// A random 256-bit value in base64url beside fixed fields.
    Password {
        /// Key of the random value.
        key: String,
        /// The other keys.
        #[serde(default)]
        data: BTreeMap<String, String>,
    },
    /// A P-256 key in PKCS #8 PEM: `tls.key`.
    KeyPair,
    /// The same as another Secret, for a role in another namespace.
    Copy {
        /// The Secret, `namespace/secret`.
        of: String,
    },
    /// The certificate of an authority without its key, for whoever has to trust it: `ca.crt`.
    Trust {
        /// The authority, `namespace/secret`.
        of: String,
    },
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Usage {
    /// To serve TLS.
    Server,
    /// To be a TLS client.
    Client,
}

/// A condition that must be true.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ready {
    /// API version of the object.
    pub api_version: String,
    /// Kind of the object.
    pub kind: String,
    /// Its namespace, if it has one.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Type of the condition.
    pub condition: String,
}

/// A Service that is reached from outside.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expose {
    /// Name of the door.
    pub door: String,
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// Port of the Service.
    pub port: u16,
}
