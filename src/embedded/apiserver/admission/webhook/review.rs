//! `AdmissionReview`: what a hook is asked, and what it says.

use base64::Engine as _;
use serde_json::{Value, json};

use super::super::super::kinds::ValueExt;
use super::super::super::status::{ApiError, Cause, Details};
use super::super::seen::Seen;
use super::hook::Hook;

/// What a hook said.
#[derive(Debug)]
pub(super) struct Answer {
    /// For the client, whatever else.
    pub(super) warnings: Vec<String>,
    /// Why it is refused, or what is to be changed.
    pub(super) verdict: Result<Option<Value>, ApiError>,
}

fn api_version(hook: &Hook) -> String {
    format!("admission.k8s.io/{}", hook.version)
}

/// The question, and the uid that the answer must have.
pub(super) fn request(hook: &Hook, seen: &Seen) -> (String, Vec<u8>) {
    let uid = uuid::Uuid::new_v4().to_string();
    let mut request = seen.request.clone();
    request["uid"] = uid.as_str().into();
    request["object"] = seen.object.clone().unwrap_or_default();
    request["oldObject"] = seen.old.clone().unwrap_or_default();
    let review =
        json!({"kind": "AdmissionReview", "apiVersion": api_version(hook), "request": request});
    (uid, review.to_string().into_bytes())
}

/// What is said. `Err`: it is no answer to the question.
pub(super) fn answer(hook: &Hook, uid: &str, bytes: &[u8]) -> Result<Answer, String> {
    let review: Value = serde_json::from_slice(bytes)
        .map_err(|why| format!("the answer is no JSON document: {why}"))?;
    let wanted = api_version(hook);
    let (version, kind) = (review.text(&["apiVersion"]), review.text(&["kind"]));
    // The first version of reviews left these out.
    let may_be_bare = hook.version == "v1beta1" && version.is_empty() && kind.is_empty();
    if !may_be_bare && (version != wanted || kind != "AdmissionReview") {
        return Err(format!(
            "expected webhook response of {wanted}, Kind=AdmissionReview, got {version}, Kind={kind}"
        ));
    }
    let response = review.at(&["response"]).ok_or("webhook response was absent")?;
    let answered = response.text(&["uid"]);
    if hook.version == "v1" && answered != uid {
        return Err(format!("expected response.uid={uid:?}, got {answered:?}"));
    }
    let patch = if hook.mutates { patch(hook, response)? } else { None };
    let warnings = response.list(&["warnings"]).iter().filter_map(Value::as_str);
    let warnings = warnings.map(str::to_owned).collect();
    let verdict = match response["allowed"] == true {
        true => Ok(patch),
        false => Err(denied(&hook.name, response.at(&["status"]).unwrap_or(&Value::Null))),
    };
    Ok(Answer { warnings, verdict })
}

fn patch(hook: &Hook, response: &Value) -> Result<Option<Value>, String> {
    let (patch, kind) = (response.text(&["patch"]), response.text(&["patchType"]));
    match (patch.is_empty(), kind) {
        (true, "") => return Ok(None),
        (true, _) if hook.version == "v1" => {
            return Err("webhook returned response.patchType but not response.patch".into());
        }
        (true, _) => return Ok(None),
        (false, "") if hook.version == "v1" => {
            return Err("webhook returned response.patch but not response.patchType".into());
        }
        (false, "" | "JSONPatch") => {}
        (false, other) => {
            return Err(format!("webhook returned invalid response.patchType of {other:?}"));
        }
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(patch);
    let bytes = bytes.map_err(|why| format!("response.patch is not base64: {why}"))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|why| format!("response.patch is no JSON document: {why}"))
}

/// The hook's own Status, as far as it makes sense for a refusal.
fn denied(name: &str, status: &Value) -> ApiError {
    let by = format!("admission webhook {name:?} denied the request");
    let (message, reason) = (status.text(&["message"]), status.text(&["reason"]));
    let message = match (message, reason) {
        ("", "") => format!("{by} without explanation"),
        ("", reason) => format!("{by}: {reason}"),
        (message, _) => format!("{by}: {message}"),
    };
    let code = status.int(&["code"]).and_then(|code| code.try_into().ok());
    let code = code.filter(|code| (400..600).contains(code)).unwrap_or(400);
    let details = status.at(&["details"]).map(|details| {
        let text = |field: &str| details.text(&[field]).to_owned();
        let wait = details.int(&["retryAfterSeconds"]);
        let causes = details.list(&["causes"]).iter().map(|cause| Cause {
            reason: cause.text(&["reason"]).to_owned().into(),
            message: cause.text(&["message"]).into(),
            field: cause.text(&["field"]).into(),
        });
        Box::new(Details {
            name: text("name"),
            group: text("group"),
            kind: text("kind"),
            uid: text("uid"),
            causes: causes.collect(),
            retry_after_seconds: wait.and_then(|s| s.try_into().ok()).unwrap_or(0),
        })
    });
    ApiError { details, ..ApiError::plain(code, reason.to_owned(), message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(version: &str) -> Hook {
        let hook = json!({"name": "a.example.com", "admissionReviewVersions": ["v7", version]});
        Hook::mutating(&json!({"metadata": {"name": "c"}, "webhooks": [hook]})).remove(0)
    }

    fn said(version: &str, response: Value) -> Result<Answer, String> {
        let review = json!({"apiVersion": format!("admission.k8s.io/{version}"), "kind": "AdmissionReview", "response": response});
        answer(&hook(version), "u", review.to_string().as_bytes())
    }

    #[test]
    fn an_answer_is_to_the_question_and_in_shape() {
        for (response, why) in [
            (json!(null), "webhook response was absent"),
            (json!({"uid": "v"}), "expected response.uid=\"u\", got \"v\""),
            (
                json!({"uid": "u", "allowed": true, "patch": "W10="}),
                "webhook returned response.patch but not response.patchType",
            ),
            (
                json!({"uid": "u", "allowed": true, "patchType": "JSONPatch"}),
                "webhook returned response.patchType but not response.patch",
            ),
            (
                json!({"uid": "u", "allowed": true, "patchType": "Merge", "patch": "W10="}),
                "webhook returned invalid response.patchType of \"Merge\"",
            ),
        ] {
            assert_eq!(said("v1", response).unwrap_err(), why);
        }
        let why = answer(&hook("v1"), "u", br#"{"kind":"Status","apiVersion":"v1"}"#).unwrap_err();
        assert!(why.starts_with("expected webhook response of admission.k8s.io/v1"), "{why}");
        let fine = said(
            "v1",
            json!({"uid": "u", "allowed": true, "patchType": "JSONPatch", "patch": "W10="}),
        );
        assert_eq!(fine.unwrap().verdict.unwrap(), Some(json!([])));
        let config =
            json!({"webhooks": [{"name": "a.example.com", "admissionReviewVersions": ["v1"]}]});
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "response": {"uid": "u", "allowed": true, "patch": "W10="}});
        let only = &Hook::validating(&config)[0];
        let said_to_it = answer(only, "u", review.to_string().as_bytes()).unwrap();
        assert_eq!(said_to_it.verdict.unwrap(), None, "it has nothing to change");
        let former = said("v1beta1", json!({"allowed": true, "patch": "W10="}));
        assert_eq!(former.unwrap().verdict.unwrap(), Some(json!([])));
    }

    #[test]
    fn a_refusal_is_a_failure_whatever_its_code() {
        let refused = |status: Value| {
            let said = said("v1", json!({"uid": "u", "allowed": false, "status": status})).unwrap();
            let error = said.verdict.unwrap_err();
            (error.code, error.reason.into_owned(), error.message)
        };
        let by = "admission webhook \"a.example.com\" denied the request";
        assert_eq!(refused(json!(null)), (400, String::new(), format!("{by} without explanation")));
        assert_eq!(
            refused(json!({"code": 200, "reason": "Odd"})),
            (400, "Odd".into(), format!("{by}: Odd"))
        );
        let status = json!({"code": 422, "reason": "Invalid", "message": "no"});
        assert_eq!(refused(status), (422, "Invalid".into(), format!("{by}: no")));
    }
}
