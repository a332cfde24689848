//! Kinds that exist only as answers: may I, may they, who am I, whose token is this.

use serde_json::{Value, json};

use super::super::Api;
use super::super::auth::User;
use super::super::auth::rbac::{Attributes, Rule};
use super::super::status::ApiError;
use super::builtin::{CLUSTER, Line, PLAIN};
use super::{Strategy, ValueExt};

/// `authorization.k8s.io`.
pub(super) const AUTHORIZATION: &[Line] = &[
    Line {
        kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        strategy: SELF_ACCESS,
        ..CLUSTER
    },
    Line {
        kind: "SubjectAccessReview",
        plural: "subjectaccessreviews",
        strategy: ACCESS,
        ..CLUSTER
    },
    Line {
        kind: "LocalSubjectAccessReview",
        plural: "localsubjectaccessreviews",
        strategy: ACCESS,
        ..PLAIN
    },
    Line {
        kind: "SelfSubjectRulesReview",
        plural: "selfsubjectrulesreviews",
        strategy: SELF_RULES,
        ..CLUSTER
    },
];

/// `authentication.k8s.io`.
pub(super) const AUTHENTICATION: &[Line] = &[
    Line { kind: "SelfSubjectReview", plural: "selfsubjectreviews", strategy: SELF, ..CLUSTER },
    Line { kind: "TokenReview", plural: "tokenreviews", strategy: TOKEN, ..CLUSTER },
];

const SELF_ACCESS: Strategy = Strategy { review: Some(access), ..Strategy::PLAIN };
const ACCESS: Strategy = Strategy { review: Some(subject_access), ..Strategy::PLAIN };
const SELF_RULES: Strategy = Strategy { review: Some(self_rules), ..Strategy::PLAIN };
const SELF: Strategy = Strategy { review: Some(self_review), ..Strategy::PLAIN };
const TOKEN: Strategy = Strategy { review: Some(token), ..Strategy::PLAIN };

fn attributes(spec: &Value) -> Result<Attributes, ApiError> {
    let text = |path: &[&str]| spec.text(path).to_owned();
    match (spec.at(&["resourceAttributes"]), spec.at(&["nonResourceAttributes"])) {
        (Some(_), None) => Ok(Attributes {
            verb: text(&["resourceAttributes", "verb"]),
            group: text(&["resourceAttributes", "group"]),
            resource: text(&["resourceAttributes", "resource"]),
            subresource: text(&["resourceAttributes", "subresource"]),
            namespace: text(&["resourceAttributes", "namespace"]),
            name: text(&["resourceAttributes", "name"]),
            path: String::new(),
        }),
        (None, Some(_)) => Ok(Attributes {
            verb: text(&["nonResourceAttributes", "verb"]),
            path: text(&["nonResourceAttributes", "path"]),
            ..Attributes::default()
        }),
        _ => Err(ApiError::bad_request(
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
    }
}

fn access(api: &Api, user: &User, mut review: Value) -> Result<Value, ApiError> {
    let attributes = attributes(&review["spec"])?;
    let allowed = api.rbac.allows(api, user, &attributes);
    review["status"] = match allowed {
        Some(reason) => json!({"allowed": true, "reason": reason}),
        None => json!({"allowed": false}),
    };
    Ok(review)
}

fn strings(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn subject_access(api: &Api, _: &User, review: Value) -> Result<Value, ApiError> {
    let subject = User {
        name: review.text(&["spec", "user"]).into(),
        uid: review.text(&["spec", "uid"]).into(),
        groups: strings(review.list(&["spec", "groups"])),
        extra: Vec::new(),
    };
    if subject.name.is_empty() && subject.groups.is_empty() {
        return Err(ApiError::bad_request(
            "spec.user: Invalid value: \"\": at least one of user or group must be specified",
        ));
    }
    access(api, &subject, review)
}

fn self_rules(api: &Api, user: &User, mut review: Value) -> Result<Value, ApiError> {
    let namespace = review.text(&["spec", "namespace"]).to_owned();
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let rules = api.rbac.rules_for(api, user, &namespace);
    let (urls, resources): (Vec<&Rule>, Vec<&Rule>) =
        rules.iter().partition(|rule| !rule.urls.is_empty());
    let resource = |r: &&Rule| json!({"verbs": r.verbs, "apiGroups": r.groups, "resources": r.resources, "resourceNames": r.names});
    let url = |r: &&Rule| json!({"verbs": r.verbs, "nonResourceURLs": r.urls});
    review["status"] = json!({
        "resourceRules": resources.iter().map(resource).collect::<Vec<_>>(),
        "nonResourceRules": urls.iter().map(url).collect::<Vec<_>>(),
        "incomplete": false,
    });
    Ok(review)
}

fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    for (name, values) in &user.extra {
        info.sub("extra")[name.as_str()] = json!(values);
    }
    info
}

fn self_review(_: &Api, user: &User, mut review: Value) -> Result<Value, ApiError> {
    review["status"] = json!({"userInfo": user_info(user)});
    Ok(review)
}

fn token(api: &Api, _: &User, mut review: Value) -> Result<Value, ApiError> {
    let token = review.text(&["spec", "token"]).to_owned();
    let audiences = strings(review.list(&["spec", "audiences"]));
    if let Some(spec) = review.get_mut("spec") {
        spec.drop_field("token");
    }
    review["status"] = match api.tokens.authenticate(api, &token, &audiences) {
        Ok((user, audiences)) => {
            json!({"authenticated": true, "user": user_info(&user), "audiences": audiences})
        }
        Err(error) => json!({"error": format!("[invalid bearer token, {error}]")}),
    };
    Ok(review)
}
