//! Validation of the seccomp profiles that pods name.

use curtain_schema::FieldError;
use serde_json::Value;

use super::ValueExt;

const TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];

/// Validates those of a pod spec at `path` and of its containers.
pub(super) fn validate(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    one(spec, path, errors);
    for field in ["initContainers", "containers"] {
        for (index, container) in spec.list(&[field]).iter().enumerate() {
            one(container, &format!("{path}.{field}[{index}]"), errors);
        }
    }
}

/// Validates that of what is at `path`, a pod's spec or a container.
pub(super) fn one(holder: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let Some(profile) = holder.at(&["securityContext", "seccompProfile"]) else { return };
    let at = |field: &str| format!("{path}.securityContext.seccompProfile.{field}");
    let file = profile.at(&["localhostProfile"]);
    match profile.text(&["type"]) {
        "" => {
            let why = "type is required when seccompProfile is set";
            errors.push(FieldError::required(at("type"), why));
        }
        "Localhost" => match file.and_then(Value::as_str).unwrap_or_default() {
            "" => {
                let why = "must be set when seccomp type is Localhost";
                errors.push(FieldError::required(at("localhostProfile"), why));
            }
            name => errors.extend(
                strays(name)
                    .map(|why| FieldError::invalid(at("localhostProfile"), name.into(), why)),
            ),
        },
        known if TYPES.contains(&known) => errors.extend(file.map(|file| {
            let why = "can only be set when seccomp type is Localhost";
            FieldError::invalid(at("localhostProfile"), file.clone(), why)
        })),
        other => errors.push(FieldError::not_supported(at("type"), other.into(), &TYPES)),
    }
}

/// Why a path leads out of the directory of profiles, if it does.
fn strays(name: &str) -> Option<&'static str> {
    if name.starts_with('/') {
        Some("must be a relative path")
    } else {
        name.split('/').any(|part| part == "..").then_some("must not contain '..'")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_profile_is_a_file_below_one_directory_or_none() {
        let refused = |profile: Value| {
            let context = json!({"seccompProfile": profile});
            let container = json!({"name": "c", "securityContext": context});
            let spec = json!({"containers": [container], "securityContext": context});
            let mut errors = Vec::new();
            validate(&spec, "spec", &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for fine in [
            json!({"type": "RuntimeDefault"}),
            json!({"type": "Localhost", "localhostProfile": "team/..a/p.json"}),
        ] {
            assert_eq!(refused(fine), [""; 0]);
        }
        for (wrong, field, why) in [
            (json!({}), "type", "type is required"),
            (json!({"type": "Own"}), "type", "Unsupported value: \"Own\""),
            (json!({"type": "Localhost"}), "localhostProfile", "must be set"),
            (
                json!({"type": "Localhost", "localhostProfile": "/etc/p.json"}),
                "localhostProfile",
                "must be a relative path",
            ),
            (
                json!({"type": "Localhost", "localhostProfile": "a/../../p.json"}),
                "localhostProfile",
                "must not contain '..'",
            ),
            (
                json!({"type": "Unconfined", "localhostProfile": "p.json"}),
                "localhostProfile",
                "can only be set",
            ),
        ] {
            let errors = refused(wrong);
            assert_eq!(errors.len(), 2, "the pod's and the container's: {errors:?}");
            let at = format!("spec.securityContext.seccompProfile.{field}: ");
            assert!(errors[0].starts_with(&at) && errors[0].contains(why), "{errors:?}");
            assert!(
                errors[1].starts_with(&format!("spec.containers[0].{}", &at[5..])),
                "{errors:?}"
            );
        }
    }
}
