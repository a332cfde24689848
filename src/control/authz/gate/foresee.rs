//! Asking before trying.

use super::{Gate, GateError};
use crate::authz::{Attributes, Decision, Denial, Hierarchy, Question};
use crate::mcp::Call;

impl Gate {
    /// What would refuse `action` there to the caller, or nothing. Of a change that is no more than `part` of it, that much
    /// would do. For who asks before trying: it is neither remembered nor recorded.
    ///
    /// # Errors
    /// [`GateError`], when the control plane does not say.
    pub async fn foresee(
        &self,
        Call { caller, token }: Call<'_>,
        (action, part): (&str, Option<&str>),
        (at, environment): (&Hierarchy, &str),
    ) -> Result<Option<Denial>, GateError> {
        let attributes = Attributes::environment(&at.namespace, environment);
        let question = |action| Question { action, at, attributes: &attributes };
        let denial = |action, decision: &Decision| {
            Denial::new(caller, question(action), decision, &self.instance)
        };
        let whole = self.decide(token, question(action)).await?;
        let Some(part) = part.filter(|_| !whole.is_forbidden()) else {
            return Ok((!whole.is_allowed()).then(|| denial(action, &whole)));
        };
        let less = self.decide(token, question(part)).await?;
        Ok(match (&less, whole.is_allowed()) {
            // What a binding forbids in part, no grant of the whole would let do.
            (Decision::Forbidden { .. }, _) => Some(denial(part, &less)),
            (Decision::Allowed { .. }, _) | (_, true) => None,
            _ => Some(denial(action, &whole).of_part(part)),
        })
    }
}

#[cfg(test)]
mod tests {
    use curtain_role::Instance;
    use serde_json::json;

    use super::*;
    use crate::authz::{ROLLBACK, Via};
    use crate::identity::{Caller, Secret, SubjectKind};
    use crate::testing::{AuditLog, Platform};

    const UPDATE: &str = "releasebinding:update";

    /// A role of `action`, and a binding of it to the agent.
    async fn bind(platform: &Platform, name: &str, effect: &str, action: &str) {
        let object = |kind: &str, spec| {
            json!({
                "apiVersion": "openchoreo.dev/v1alpha1", "kind": kind,
                "metadata": {"name": name, "namespace": "team"}, "spec": spec,
            })
        };
        platform.apply(object("AuthzRole", json!({"actions": [action]}))).await;
        let binding = json!({
            "effect": effect, "entitlement": {"claim": "sub", "value": "one"},
            "roleMappings": [{"roleRef": {"kind": "AuthzRole", "name": name}}],
        });
        platform.apply(object("AuthzRoleBinding", binding)).await;
    }

    #[tokio::test]
    async fn who_asks_first_learns_what_would_let_it_and_leaves_no_record() {
        let log = AuditLog::start();
        let platform = Platform::start().await;
        let token = Secret::new(platform.token("one").await);
        let caller = Caller {
            subject: "one".to_owned(),
            kind: SubjectKind::Agent,
            groups: Vec::new(),
            display_name: String::new(),
            expires: 0,
        };
        let base = platform.base.parse().expect("a URL");
        let gate = Gate::new(&base, Instance::new("ci"), Via::SreAgent);
        let at = Hierarchy::namespace("team".to_owned())
            .project("shop".to_owned())
            .component("web".to_owned());
        let ask = async |part| {
            let call = Call { caller: &caller, token: &token };
            let denial = gate.foresee(call, (UPDATE, part), (&at, "production")).await;
            denial.expect("an answer").map(|denial| denial.to_string())
        };
        // Until the policy is known.
        let settled = async |part, allowed: bool| {
            for _ in 0..400 {
                let answer = ask(part).await;
                if answer.is_none() == allowed {
                    return answer;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            panic!("the answer about {part:?} did not become {allowed} within four seconds");
        };
        for (part, kind) in [(None, "config-fix"), (Some(ROLLBACK), "rollback")] {
            let told = ask(part).await.expect("no");
            let command = format!("agent grant one {kind} --namespace team --project shop");
            assert!(told.contains(&command), "{told}");
        }
        bind(&platform, "back", "allow", ROLLBACK).await;
        settled(Some(ROLLBACK), true).await;
        assert!(ask(None).await.is_some(), "a part is not the whole");
        bind(&platform, "all", "allow", UPDATE).await;
        settled(None, true).await;
        bind(&platform, "no-way-back", "deny", ROLLBACK).await;
        let told = settled(Some(ROLLBACK), false).await.expect("no");
        assert!(told.contains("no-way-back forbids"), "{told}");
        assert!(ask(None).await.is_none(), "all else stays allowed");
        let lines = log.lines();
        assert!(!lines.iter().any(|line| line.contains("releasebinding:")), "{lines:?}");
    }
}
