//! A binding as it is written.

use serde_json::Value;

use super::super::super::kinds::ValueExt;
use super::super::rules::Interest;

/// Where a policy counts, with which parameters, and what becomes of what it finds.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) name: String,
    /// Name of its policy.
    pub(super) policy: String,
    pub(super) interest: Interest,
    pub(super) params: Option<Params>,
    /// The write is refused.
    pub(super) denies: bool,
    /// The client is told.
    pub(super) warns: bool,
}

/// Which objects are parameters.
#[derive(Debug)]
pub(super) struct Params {
    /// Empty where a selector picks them.
    pub(super) name: String,
    pub(super) selector: Value,
    /// Empty: that of the write.
    pub(super) namespace: String,
    /// Where there are none, the write is refused.
    pub(super) required: bool,
}

impl Binding {
    pub(super) fn read(binding: &Value) -> Self {
        let spec = &binding["spec"];
        let has = |action: &str| spec.list(&["validationActions"]).iter().any(|a| a == action);
        Self {
            name: binding.text(&["metadata", "name"]).into(),
            policy: spec.text(&["policyName"]).into(),
            interest: Interest::of_resources(&spec["matchResources"]),
            params: spec.at(&["paramRef"]).map(|reference| Params {
                name: reference.text(&["name"]).into(),
                selector: reference["selector"].clone(),
                namespace: reference.text(&["namespace"]).into(),
                required: reference["parameterNotFoundAction"] == "Deny",
            }),
            denies: has("Deny"),
            warns: has("Warn"),
        }
    }
}
