//! ResourceQuotas: what the objects of a namespace may use together.
//!
//! - A write and what it changes in the quotas of its namespace are one commit, whoever writes: `status.used` is always
//!   what is there. Of two writes that would each fit alone, the second sees what the first one took.
//! - Creating objects is refused when a quota would be exceeded, and changing those whose use may grow. Everything else
//!   is only counted.
//! - A quota that is new or has been changed is counted anew before it holds; all are from time to time, for whatever
//!   a client has written into their status. Nothing is written meanwhile.

mod keep;
mod scope;
mod usage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::Api;
use super::amounts::{add, amounts};
use super::kinds::{Resource, ValueExt};
use super::store::{Object, Write, WriteError};
use crate::quantity::Quantity;

pub(super) use keep::keep;

const TABLE: &str = "/resourcequotas";
/// A charge that keeps losing races against writes of the quota itself gives up after so many tries.
const TRIES: usize = 10;

/// Held while a write is checked against quotas, charged to them and queued.
#[derive(Default)]
pub(super) struct Turn(Mutex<()>);

impl Turn {
    fn take(&self) -> MutexGuard<'_, ()> {
        // It guards nothing that could be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happens to an object.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub resource: &'a Resource,
    pub namespace: &'a str,
    pub old: Option<&'a Value>,
    pub new: Option<&'a Value>,
    /// Must it fit? What must not is only counted.
    pub must_fit: bool,
}

/// Does a write to the object itself have to fit?
pub(super) fn must_fit(resource: &Resource, subresource: &str, creates: bool) -> bool {
    let grows = ["/services", "/persistentvolumeclaims"].contains(&&*resource.table);
    subresource.is_empty() && (creates || grows)
}

/// Commits a write together with what it changes in quotas.
pub(super) async fn commit(
    api: &Api,
    resource: &Resource,
    write: Write,
    must_fit: bool,
) -> Result<Arc<Object>, WriteError> {
    if !resource.namespaced {
        return api.store.queue(write, Vec::new())?.await;
    }
    let queued = {
        let _turn = api.quotas.take();
        queue(api, resource, write, must_fit)?
    };
    queued.await
}

/// The part of a commit that has to be done in one turn.
fn queue(
    api: &Api,
    resource: &Resource,
    write: Write,
    must_fit: bool,
) -> Result<impl Future<Output = Result<Arc<Object>, WriteError>> + use<>, WriteError> {
    let mut write = Some(write);
    for _ in 0..TRIES {
        let Some(it) = write.take() else { break };
        let quotas = quotas(api, &it.key.namespace);
        if quotas.is_empty() {
            return api.store.queue(it, Vec::new());
        }
        let old = it.expected.and_then(|_| api.store.latest(&it.table, &it.key));
        let old = old.map(|old| old.value());
        let new = (!it.delete).then_some(&it.value);
        let step =
            Step { resource, namespace: &it.key.namespace, old: old.as_ref(), new, must_fit };
        let mut charges = Vec::new();
        for quota in quotas {
            // What happens to a quota itself is not its own business: it is counted anew.
            if *it.table == *TABLE && quota.key == it.key {
                continue;
            }
            if let Some(value) = charged(&quota.value(), step).map_err(WriteError::Refused)? {
                let (table, key) = (TABLE.into(), quota.key.clone());
                charges.push(Write { table, key, expected: Some(quota.rv), value, delete: false });
            }
        }
        let again = (!charges.is_empty()).then(|| it.clone());
        match api.store.queue(it, charges) {
            Err(WriteError::Overtaken) => write = again,
            outcome => return outcome,
        }
    }
    Err(WriteError::Overtaken)
}

/// Why a write that is not going to be committed would be refused.
pub(super) fn check(api: &Api, step: Step<'_>) -> Result<(), String> {
    for quota in quotas(api, step.namespace) {
        charged(&quota.value(), step)?;
    }
    Ok(())
}

/// The quotas of a namespace that hold already, as they are with everything that is on its way.
fn quotas(api: &Api, namespace: &str) -> Vec<Arc<Object>> {
    let table = TABLE.into();
    let committed = api.store.list(&table, Some(namespace)).objects;
    committed.iter().filter_map(|quota| api.store.latest(&table, &quota.key)).collect()
}

/// The quota after the step, `None` if it is as before; or why there is no room for it.
fn charged(quota: &Value, step: Step<'_>) -> Result<Option<Value>, String> {
    let table = &*step.resource.table;
    let hard = amounts(quota.at(&["status", "hard"]));
    let of = |object: Option<&Value>| {
        let covered = object.filter(|object| scope::covers(quota, table, object));
        let mut all = covered.map(|object| usage::usage(table, object)).unwrap_or_default();
        all.retain(|name, _| hard.contains_key(name));
        all
    };
    let (before, after) = (of(step.old), of(step.new));
    let name = quota.text(&["metadata", "name"]);
    if let (Some(pod), None, "/pods", true) = (step.new, step.old, table, step.must_fit)
        && scope::covers(quota, table, pod)
        && let Some(why) = usage::unsaid(pod, &hard)
    {
        return Err(format!("failed quota: {name}: {why}"));
    }
    let used = amounts(quota.at(&["status", "used"]));
    let mut difference = after.clone();
    let negative = before.into_iter().map(|(name, amount)| (name, Quantity::ZERO.less(amount)));
    add(&mut difference, &negative.collect());
    difference.retain(|_, amount| !amount.is_zero());
    if difference.is_empty() {
        return Ok(None);
    }
    let now = |name: &str| used.get(name).copied().unwrap_or(Quantity::ZERO);
    let exceeds = |name: &String, more: &Quantity| {
        !more.is_negative() && hard.get(name).is_some_and(|hard| now(name) + *more > *hard)
    };
    let exceeded: Vec<_> = difference.iter().filter(|(name, more)| exceeds(name, more)).collect();
    if step.must_fit && !exceeded.is_empty() {
        let told = |amount: &dyn Fn(&String) -> Option<Quantity>| {
            let each = exceeded
                .iter()
                .map(|(name, _)| format!("{name}={}", amount(name).unwrap_or(Quantity::ZERO)));
            each.collect::<Vec<_>>().join(",")
        };
        return Err(format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            told(&|name| difference.get(name).copied()),
            told(&|name| Some(now(name))),
            told(&|name| hard.get(name).copied()),
        ));
    }
    let mut charged = quota.clone();
    let status = charged.sub("status").sub("used");
    for (name, more) in &difference {
        let sum = now(name) + *more;
        let sum = if sum.is_negative() { Quantity::ZERO } else { sum };
        status[name] = sum.to_string().into();
    }
    Ok(Some(charged))
}

#[cfg(test)]
mod tests;
