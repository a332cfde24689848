//! Roles and bindings: defaults, validation, and the escalation checks of admission.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::meta::{immutable, is_path_segment};
use super::super::{Admission, Strategy, ValueExt};
use super::GROUP;
use crate::apiserver::auth::rbac::Rule;
use crate::apiserver::status::{ApiError, Qualified};

pub(super) const ROLE: Strategy = Strategy {
    validate: validate_role,
    settle: Some(settle_role),
    name: is_path_segment,
    create_on_update: true,
    ..Strategy::PLAIN
};
pub(super) const BINDING: Strategy = Strategy {
    default: default_binding,
    validate: validate_binding,
    settle: Some(settle_binding),
    name: is_path_segment,
    create_on_update: true,
    ..Strategy::PLAIN
};

fn validate_role(role: &Value, _: Option<&Value>, errors: &mut Vec<FieldError>) {
    for (at, rule) in role.list(&["rules"]).iter().enumerate() {
        let path = |field: &str| format!("rules[{at}].{field}");
        if rule.list(&["verbs"]).is_empty() {
            errors
                .push(FieldError::required(path("verbs"), "verbs must contain at least one value"));
        }
        if rule.list(&["nonResourceURLs"]).is_empty() {
            if rule.list(&["apiGroups"]).is_empty() {
                errors.push(FieldError::required(
                    path("apiGroups"),
                    "resource rules must supply at least one api group",
                ));
            }
            if rule.list(&["resources"]).is_empty() {
                errors.push(FieldError::required(
                    path("resources"),
                    "resource rules must supply at least one resource",
                ));
            }
        } else if !role.text(&["metadata", "namespace"]).is_empty() {
            errors.push(FieldError::invalid(
                path("nonResourceURLs"),
                rule["nonResourceURLs"].clone(),
                "namespaced rules cannot apply to non-resource URLs",
            ));
        } else if !rule.list(&["resources"]).is_empty() || !rule.list(&["apiGroups"]).is_empty() {
            errors.push(FieldError::invalid(
                path("nonResourceURLs"),
                rule["nonResourceURLs"].clone(),
                "rules cannot apply to both regular resources and non-resource URLs",
            ));
        }
    }
}

fn default_binding(binding: &mut Value) {
    if binding.at(&["roleRef"]).is_some() {
        binding["roleRef"].default_to("apiGroup", GROUP);
        if binding["roleRef"]["apiGroup"] == "" {
            binding["roleRef"]["apiGroup"] = GROUP.into();
        }
    }
    let namespace = binding.text(&["metadata", "namespace"]).to_owned();
    for subject in binding.items_mut("subjects") {
        match subject.text(&["kind"]) {
            "User" | "Group" => subject.default_to("apiGroup", GROUP),
            "ServiceAccount" if !namespace.is_empty() => {
                subject.default_to("namespace", namespace.as_str())
            }
            _ => {}
        }
    }
}

fn validate_binding(binding: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let kind = binding.text(&["roleRef", "kind"]);
    let namespaced = !binding.text(&["metadata", "namespace"]).is_empty();
    let kinds: &[&str] = if namespaced { &["ClusterRole", "Role"] } else { &["ClusterRole"] };
    if !kinds.contains(&kind) {
        errors.push(FieldError::not_supported("roleRef.kind", kind.into(), kinds));
    }
    if binding.text(&["roleRef", "name"]).is_empty() {
        errors.push(FieldError::required("roleRef.name", ""));
    }
    for (at, subject) in binding.list(&["subjects"]).iter().enumerate() {
        let path = |field: &str| format!("subjects[{at}].{field}");
        if subject.text(&["name"]).is_empty() {
            errors.push(FieldError::required(path("name"), ""));
        }
        match subject.text(&["kind"]) {
            "ServiceAccount" if subject.text(&["namespace"]).is_empty() => {
                errors.push(FieldError::required(path("namespace"), ""));
            }
            "ServiceAccount" | "User" | "Group" => {}
            other => {
                let supported = ["Group", "ServiceAccount", "User"];
                errors.push(FieldError::not_supported(path("kind"), other.into(), &supported));
            }
        }
    }
    if let Some(old) = old
        && old.at(&["roleRef"]) != binding.at(&["roleRef"])
    {
        let error = immutable("roleRef", binding.at(&["roleRef"]));
        errors.push(FieldError { detail: "cannot change roleRef".into(), ..error });
    }
}

fn what(object: &Value) -> Qualified<'static> {
    Qualified {
        group: GROUP,
        plural: match object.text(&["kind"]) {
            "Role" => "roles",
            "ClusterRole" => "clusterroles",
            "RoleBinding" => "rolebindings",
            _ => "clusterrolebindings",
        },
    }
}

/// Nobody writes a role that grants more than they have, unless they may `escalate`.
fn settle_role(
    admission: &Admission<'_>,
    role: &mut Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    if old.is_some_and(|old| {
        old.get("rules") == role.get("rules")
            && old.get("aggregationRule") == role.get("aggregationRule")
    }) {
        return Ok(());
    }
    let (what, name) = (what(role), role.text(&["metadata", "name"]));
    let rbac = &admission.api.rbac;
    if rbac.may(
        admission.api,
        admission.user,
        "escalate",
        GROUP,
        what.plural,
        admission.namespace,
        name,
    ) {
        return Ok(());
    }
    if role.at(&["aggregationRule"]).is_some() {
        return Err(ApiError::forbidden(
            what,
            name,
            "must have cluster-admin privileges to use an aggregationRule",
        ));
    }
    let missing =
        rbac.missing(admission.api, admission.user, admission.namespace, &Rule::list(role));
    refuse(missing, what, name, admission)
}

/// Nobody binds a role that grants more than they have, unless they may `bind` it.
fn settle_binding(
    admission: &Admission<'_>,
    binding: &mut Value,
    old: Option<&Value>,
) -> Result<(), ApiError> {
    if old.is_some_and(|old| {
        old.get("subjects") == binding.get("subjects")
            && old.get("roleRef") == binding.get("roleRef")
    }) {
        return Ok(());
    }
    let (what, name) = (what(binding), binding.text(&["metadata", "name"]));
    let (kind, role) = (binding.text(&["roleRef", "kind"]), binding.text(&["roleRef", "name"]));
    let plural = if kind == "Role" { "roles" } else { "clusterroles" };
    let rbac = &admission.api.rbac;
    if rbac.may(admission.api, admission.user, "bind", GROUP, plural, admission.namespace, role) {
        return Ok(());
    }
    let rules = rbac
        .rules_of(admission.api, kind, admission.namespace, role)
        .ok_or_else(|| ApiError::not_found(Qualified { group: GROUP, plural }, role))?;
    refuse(
        rbac.missing(admission.api, admission.user, admission.namespace, &rules),
        what,
        name,
        admission,
    )
}

fn refuse(
    missing: Vec<Rule>,
    what: Qualified<'_>,
    name: &str,
    admission: &Admission<'_>,
) -> Result<(), ApiError> {
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.iter().map(|rule| rule.to_string()).collect::<Vec<_>>().join("\n");
    let user = admission.user;
    let why = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{missing}",
        user.name,
        json!(user.groups)
    );
    Err(ApiError::forbidden(what, name, &why))
}
