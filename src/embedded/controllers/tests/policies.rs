//! What is told of admission policies.

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;

use super::*;

#[tokio::test]
async fn a_policy_s_status_tells_which_generation_was_looked_at() {
    let world = World::new().await;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(world.client.clone());
    let rule = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"]});
    let policy = json!({"metadata": {"name": "p"}, "spec": {
        "matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]}});
    let policy = serde_json::from_value(policy).expect("a policy");
    policies.create(&PostParams::default(), &policy).await.expect("creates");
    let told = |generation: i64| {
        move |policies: &[ValidatingAdmissionPolicy]| {
            let status = policies[0].status.as_ref();
            status.and_then(|status| status.observed_generation) == Some(generation)
        }
    };
    let seen = until(&policies, "the first generation", told(1)).await;
    let status = seen[0].status.as_ref().expect("a status");
    let warned = status.type_checking.as_ref().map(|checked| checked.expression_warnings.is_some());
    assert_eq!((warned, &status.conditions), (Some(false), &None));
    let mut managers = seen[0].managed_fields().iter().filter(|one| one.subresource.is_some());
    let manager = managers.next().and_then(|one| one.manager.as_deref());
    assert_eq!(manager, Some("validatingadmissionpolicy-status"));

    let change = Patch::Merge(json!({"spec": {"validations": [{"expression": "false"}]}}));
    policies.patch("p", &PatchParams::default(), &change).await.expect("patches");
    until(&policies, "the second generation", told(2)).await;
    world.stop().await;
}
