//! ValidatingAdmissionPolicies: expressions that decide about writes, without asking anybody.
//!
//! Policies are compiled once for each of their generations ([`table`], [`compiled`]). For each binding of a policy that
//! is about a write ([`binding`]), and each object that it names as parameter ([`params`]), the policy is evaluated
//! ([`evaluate`]). What comes of it is refused, or told the client: that is for the binding to say. Nobody is asked, and
//! nothing is waited for.
//!
//! Invariants:
//! - A write with no binding costs a look at two numbers.
//! - Policies and their bindings are no policy's business, nor is what the server writes itself: the way back is open.
//! - One evaluation, with all its expressions, has the bounds of one expression.
//! - There is no audit log. What would be told to one is computed, since it may fail, and dropped.

mod binding;
mod compiled;
mod evaluate;
mod params;
mod table;
mod verdict;

use curtain_cel::Vars;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::bootstrap;
use super::super::kinds::{BINDINGS, POLICIES, REGISTRATION, ValueExt};
use super::super::status::{ApiError, Qualified};
use super::super::store::Key;
use super::seen::Seen;
use super::{Admission, Plugin, expressions};
use binding::Binding;
use compiled::Policy;
use table::Table;
use verdict::Verdict;

/// Asks all policies that are bound.
#[derive(Default)]
pub(super) struct Policies(Table);

impl Plugin for Policies {
    fn check<'a>(
        &'a self,
        admission: &'a Admission<'a>,
        document: Option<&'a Value>,
        old: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(std::future::ready(self.decide(admission, document, old)))
    }
}

/// Writes that no policy is about.
fn is_exempt(admission: &Admission<'_>) -> bool {
    let resource = admission.resource;
    let policies =
        resource.group == REGISTRATION && matches!(resource.plural.as_str(), POLICIES | BINDINGS);
    policies || *admission.user == bootstrap::user()
}

impl Policies {
    fn decide(
        &self,
        admission: &Admission<'_>,
        document: Option<&Value>,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        let Some(bound) = self.0.bound(&admission.api.store) else { return Ok(()) };
        if is_exempt(admission) {
            return Ok(());
        }
        let mut verdict = Verdict::default();
        for (policy, bindings) in bound.iter() {
            ask(policy, bindings, (admission, document, old), &mut verdict)?;
        }
        verdict.outcome(admission, document.or(old))
    }
}

/// A write, its document and what it was.
type Written<'a> = (&'a Admission<'a>, Option<&'a Value>, Option<&'a Value>);

/// Evaluates a policy for all of its bindings.
fn ask(
    policy: &Policy,
    bindings: &[Binding],
    (admission, document, old): Written<'_>,
    verdict: &mut Verdict,
) -> Result<(), ApiError> {
    let wanted = match policy.interest.finds(admission, document, old) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return Ok(()),
        Err(why) => {
            verdict.misconfigured(policy, None, &why.message);
            return Ok(());
        }
    };
    let kind = match params::Kind::of(policy, admission.api) {
        Ok(kind) => kind,
        Err(why) => {
            verdict.misconfigured(policy, None, &why);
            return Ok(());
        }
    };
    let mut evaluations = Vec::new();
    for binding in bindings {
        match binding.interest.finds(admission, document, old) {
            Ok(Some(_)) => {}
            Ok(None) => continue,
            Err(why) => {
                verdict.misconfigured(policy, Some(binding), &why.message);
                continue;
            }
        }
        match params::collect(kind.as_ref(), binding, admission) {
            Ok(params) => evaluations.extend(params.into_iter().map(|params| (binding, params))),
            Err(why) => verdict.misconfigured(policy, Some(binding), &why),
        }
    }
    if evaluations.is_empty() {
        return Ok(());
    }
    let seen = Seen::new(admission, &wanted, document, old);
    let namespace = match namespace_object(admission) {
        Ok(namespace) => namespace,
        Err(why) => {
            verdict.misconfigured(policy, None, &why.message);
            return Ok(());
        }
    };
    let mut write = expressions::vars(admission, &seen);
    write.insert("namespaceObject", &namespace);
    for (binding, params) in &evaluations {
        verdict.add(policy, binding, evaluated(policy, &write, params), admission.warnings);
    }
    Ok(())
}

fn evaluated(policy: &Policy, write: &Vars<'_>, params: &Value) -> Vec<evaluate::Finding> {
    let mut vars = write.child().metered();
    vars.insert("params", params);
    for (name, program) in &policy.variables {
        vars.insert_lazy(name, program);
    }
    evaluate::findings(policy, &vars)
}

/// What expressions see of the namespace of a write; null where it is in none.
fn namespace_object(admission: &Admission<'_>) -> Result<Value, ApiError> {
    const SHOWN: [&str; 11] = [
        "name",
        "generateName",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "finalizers",
    ];
    let name = admission.namespace;
    if name.is_empty() || !admission.resource.namespaced {
        return Ok(Value::Null);
    }
    let namespaces = Qualified { group: "", plural: "namespaces" };
    let found = admission.api.store.latest(&"/namespaces".into(), &Key::new("", name));
    let found = found.ok_or_else(|| ApiError::not_found(namespaces, name))?.value();
    let mut object = json!({"metadata": {}, "spec": found["spec"], "status": found["status"]});
    for field in SHOWN {
        if let Some(value) = found.at(&["metadata", field]) {
            object["metadata"][field] = value.clone();
        }
    }
    Ok(object)
}
