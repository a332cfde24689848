//! What becomes of what policies find.

use serde_json::Value;

use super::super::super::kinds::ValueExt;
use super::super::super::status::{ApiError, Cause};
use super::super::{Admission, Warnings, seen};
use super::binding::Binding;
use super::compiled::Policy;
use super::evaluate::Finding;

/// The first refusal of a write.
#[derive(Default)]
pub(super) struct Verdict(Option<Denied>);

struct Denied {
    message: String,
    reason: String,
}

impl Verdict {
    /// A policy or its binding cannot be evaluated.
    pub(super) fn misconfigured(&mut self, policy: &Policy, binding: Option<&Binding>, why: &str) {
        if !policy.fails {
            let policy = &policy.name;
            tracing::warn!(policy, %why, "an admission policy cannot be evaluated: it is left out");
            return;
        }
        let what = if binding.is_some() { "binding" } else { "policy" };
        let message = format!("failed to configure {what}: {why}");
        self.deny(policy, binding, message, String::new());
    }

    /// What an evaluation found is refused or told, as the binding says.
    pub(super) fn add(
        &mut self,
        policy: &Policy,
        binding: &Binding,
        findings: Vec<Finding>,
        warnings: &Warnings,
    ) {
        for Finding { message, reason, always } in findings {
            if binding.warns && !always {
                warnings.add(&format!(
                    "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {message}",
                    policy.name, binding.name
                ));
            }
            if binding.denies || always {
                self.deny(policy, Some(binding), message, reason);
            }
        }
    }

    fn deny(
        &mut self,
        policy: &Policy,
        binding: Option<&Binding>,
        message: String,
        reason: String,
    ) {
        self.0.get_or_insert_with(|| {
            let with = binding.map(|b| format!(" with binding '{}'", b.name)).unwrap_or_default();
            let policy = &policy.name;
            let message =
                format!("ValidatingAdmissionPolicy '{policy}'{with} denied request: {message}");
            Denied { message, reason }
        });
    }

    /// The refusal, if there is one. The object is the new one, or the one that is deleted.
    pub(super) fn outcome(
        self,
        admission: &Admission<'_>,
        object: Option<&Value>,
    ) -> Result<(), ApiError> {
        let Some(Denied { message, reason }) = self.0 else { return Ok(()) };
        let generated = object.map_or("", |object| object.text(&["metadata", "generateName"]));
        let names = [seen::name(admission, object), generated, "Unknown"];
        let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        let mut error = ApiError::forbidden(admission.resource.qualified(), name, &message);
        (error.code, error.reason) = match reason.as_str() {
            "Forbidden" => (403, "Forbidden".into()),
            "Unauthorized" => (401, "Unauthorized".into()),
            "RequestEntityTooLarge" => (413, "RequestEntityTooLarge".into()),
            _ => (422, "Invalid".into()),
        };
        if let Some(details) = &mut error.details {
            details.causes.push(Cause { reason: "".into(), message, field: String::new() });
        }
        Err(error)
    }
}
