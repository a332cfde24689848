//! Who asks, and may they: client certificates, bearer tokens, RBAC.

pub mod bootstrap;
pub mod certificate;
pub mod rbac;
pub mod token;

/// An authenticated caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// User name, for example `system:serviceaccount:default:web`.
    pub name: String,
    /// Uid, empty when unknown.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Further facts, for example the pod that a token is bound to.
    pub extra: Vec<(String, Vec<String>)>,
}

impl User {
    /// A caller known by name and groups; `system:authenticated` is added.
    pub fn new(name: &str, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().map(Into::into).collect();
        if !groups.iter().any(|g| g == AUTHENTICATED) {
            groups.push(AUTHENTICATED.into());
        }
        Self { name: name.into(), groups, ..Self::default() }
    }

    /// A caller without credentials.
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".into(),
            groups: vec!["system:unauthenticated".into()],
            ..Self::default()
        }
    }
}

/// The group of everybody with valid credentials.
pub const AUTHENTICATED: &str = "system:authenticated";
