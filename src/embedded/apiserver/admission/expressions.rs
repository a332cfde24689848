//! What CEL expressions may name of a write.

use curtain_cel::{Authorizer, Check, Vars};
use serde_json::Value;

use super::super::auth::User;
use super::super::auth::rbac::Attributes;
use super::seen::Seen;
use super::{Admission, seen};

/// The write itself and `authorizer`; there is no namespace among them, and nothing of a policy.
pub(super) fn vars<'a>(admission: &Admission<'_>, seen: &'a Seen) -> Vars<'a> {
    let mut vars = Vars::new()
        .with("object", seen.object.as_ref().unwrap_or(&Value::Null))
        .with("oldObject", seen.old.as_ref().unwrap_or(&Value::Null))
        .with("request", &seen.request)
        .with("namespaceObject", &Value::Null);
    let authorizer = authorizer(admission);
    let own = admission.resource;
    let written = Check {
        group: own.group.clone(),
        resource: own.plural.clone(),
        subresource: admission.subresource.into(),
        namespace: admission.namespace.into(),
        name: seen::name(admission, seen.object.as_ref()).into(),
        ..Check::default()
    };
    vars.insert_authorizer("authorizer", authorizer.clone());
    vars.insert_authorizer("authorizer.requestResource", authorizer.about(written));
    vars
}

/// Decides as for requests, of the writer or of ServiceAccounts.
fn authorizer(admission: &Admission<'_>) -> Authorizer {
    let roles = admission.api.rbac.now(admission.api);
    let writer = admission.user.clone();
    Authorizer::new(move |check| {
        let wanted = Attributes {
            verb: check.verb.clone(),
            group: check.group.clone(),
            resource: check.resource.clone(),
            subresource: check.subresource.clone(),
            namespace: check.namespace.clone(),
            name: check.name.clone(),
            path: check.path.clone(),
        };
        match &check.account {
            None => roles.allow(&writer, &wanted),
            Some((namespace, name)) => {
                let all = "system:serviceaccounts".to_owned();
                let groups = [format!("{all}:{namespace}"), all];
                let account =
                    User::new(&format!("system:serviceaccount:{namespace}:{name}"), groups);
                roles.allow(&account, &wanted)
            }
        }
    })
}
