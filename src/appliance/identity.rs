//! Who is who in an instance: the subjects of the identity service, which are Secrets.

use std::fmt;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, api::ListParams};

use crate::Error;

/// Namespace of the control plane, where subjects live.
pub(crate) const NAMESPACE: &str = "openchoreo-control-plane";
/// Label of every subject; its value is `user`, `agent` or `service`.
pub(crate) const IDENTITY_LABEL: &str = "curtain.dev/identity";

/// A user or an agent with its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// `user` or `agent`.
    pub kind: String,
    /// User name or client id.
    pub name: String,
    /// Password or client secret.
    pub secret: String,
    /// Groups, which decide what it may do.
    pub groups: Vec<String>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Every user and agent of the instance behind `client`, users first, by name.
pub(crate) async fn list(client: &kube::Client) -> Result<Vec<Identity>, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let params = ListParams::default().labels(&format!("{IDENTITY_LABEL} in (user,agent)"));
    let found = secrets.list(&params).await.map_err(refused("read the identities"))?;
    let mut identities: Vec<Identity> = found.items.iter().filter_map(read).collect();
    identities.sort_by(|a, b| b.kind.cmp(&a.kind).then_with(|| a.name.cmp(&b.name)));
    Ok(identities)
}

fn read(secret: &Secret) -> Option<Identity> {
    let kind = secret.metadata.labels.as_ref()?.get(IDENTITY_LABEL)?;
    let field = |key: &str| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
    let (name, password) = match kind.as_str() {
        "user" => (field("username")?, field("password")?),
        _ => (field("client-id")?, field("client-secret")?),
    };
    let groups = field("groups").unwrap_or_default();
    let groups = groups
        .split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect();
    Some(Identity { kind: kind.clone(), name, secret: password, groups })
}

/// Finds `who` among `identities`: the whole name, or a user's name before its `@`.
///
/// # Errors
/// [`Error::UnknownIdentity`], which lists those there are.
pub fn find<'a>(identities: &'a [Identity], who: &str) -> Result<&'a Identity, Error> {
    let short = |identity: &&Identity| identity.name.split('@').next() == Some(who);
    let exact = identities.iter().find(|identity| identity.name == who);
    exact.or_else(|| identities.iter().find(short)).ok_or_else(|| Error::UnknownIdentity {
        who: who.to_owned(),
        known: identities
            .iter()
            .map(|identity| identity.name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

/// An error of the cluster's API, asked as its administrator `to` do something, as one of ours.
pub(crate) fn refused(to: &str) -> impl FnOnce(kube::Error) -> Error {
    let to = to.to_owned();
    move |error| match error {
        kube::Error::Api(status) => Error::answered(
            status.code,
            "the cluster",
            &to,
            status.message.clone(),
            "`curtain up` writes the kubeconfig anew",
        ),
        other => {
            Error::Unreachable { what: format!("the cluster (to {to})"), why: other.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(kind: &str, name: &str) -> Identity {
        Identity {
            kind: kind.into(),
            name: name.into(),
            secret: "hidden".into(),
            groups: Vec::new(),
        }
    }

    #[test]
    fn a_person_is_found_by_the_short_name_and_an_agent_by_its_own() {
        let all = [identity("user", "admin@openchoreo.dev"), identity("agent", "cursor-1")];
        assert_eq!(find(&all, "admin").unwrap().name, "admin@openchoreo.dev");
        assert_eq!(find(&all, "cursor-1").unwrap().name, "cursor-1");
        let error = find(&all, "nobody").unwrap_err().to_string();
        assert!(error.contains("admin@openchoreo.dev, cursor-1"), "{error}");
    }

    #[test]
    fn debug_output_hides_the_secret() {
        assert!(!format!("{:?}", identity("user", "admin")).contains("hidden"));
    }

    #[test]
    fn only_a_refusal_is_one() {
        let kind = |code: u16| {
            let status = kube::core::Status::failure("said so", "Reason").with_code(code);
            let error = refused("read the identities")(kube::Error::Api(status.boxed()));
            assert!(error.to_string().contains("said so"), "{error}");
            error.kind()
        };
        let kinds = [401, 403, 507, 404, 500, 503].map(kind);
        let (denied, away) = (crate::Kind::Denied, crate::Kind::Unreachable);
        let (full, other) = (crate::Kind::DiskFull, crate::Kind::Other);
        assert_eq!(kinds, [denied, denied, full, other, away, away]);
    }
}
