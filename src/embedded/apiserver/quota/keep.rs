//! Counting what is used, for quotas that are new or have been changed, and for all from time to time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::Api;
use super::super::amounts::{Amounts, add, amounts};
use super::super::kinds::ValueExt;
use super::super::store::{Key, Object, Write, WriteError};
use super::{TABLE, scope, usage};
use crate::quantity::Quantity;

/// So often are all quotas counted anew.
const RESYNC: Duration = Duration::from_secs(300);

/// Counts quotas that do not hold yet, and all from time to time. Runs until the server stops.
pub(in crate::apiserver) async fn keep(api: Arc<Api>) {
    let table = TABLE.into();
    let mut wake = api.store.wake(&table);
    // Its first tick comes at once.
    let mut resync = tokio::time::interval(RESYNC);
    loop {
        let all = tokio::select! {
            biased;
            () = api.stopping.cancelled() => return,
            _ = resync.tick() => true,
            changed = wake.changed() => if changed.is_err() { return } else { false },
        };
        for quota in api.store.list(&table, None).objects {
            if !all && !is_changed(&quota) {
                continue;
            }
            match recount(&api, &quota.key).await {
                // Whoever was faster has woken this again.
                Ok(()) | Err(WriteError::Raced | WriteError::Closed) => {}
                Err(error) => {
                    tracing::warn!(%error, quota = %quota.key.name, "counting a quota failed; it is tried again within five minutes");
                }
            }
        }
    }
}

/// Is it limited by something else than it says?
fn is_changed(quota: &Object) -> bool {
    let quota = quota.value();
    let hard = |part: &str| quota.at(&[part, "hard"]).cloned().unwrap_or_else(|| json!({}));
    quota.at(&["status", "hard"]).is_none() || hard("status") != hard("spec")
}

/// Writes what the objects of its namespace use into the quota, unless it says so already.
async fn recount(api: &Api, key: &Key) -> Result<(), WriteError> {
    let table = TABLE.into();
    let queued = {
        let _turn = api.quotas.take();
        let Some(live) = api.store.latest(&table, key) else { return Ok(()) };
        let mut quota = live.value();
        let hard = quota.at(&["spec", "hard"]).cloned().unwrap_or_else(|| json!({}));
        let used = count(api, &quota, &amounts(Some(&hard)), &key.namespace);
        let known = amounts(quota.at(&["status", "used"]));
        if quota.at(&["status", "hard"]) == Some(&hard) && known == used {
            return Ok(());
        }
        let used: serde_json::Map<String, Value> =
            used.into_iter().map(|(name, amount)| (name, amount.to_string().into())).collect();
        quota["status"] = json!({"hard": hard, "used": used});
        let expected = Some(live.rv);
        let write = Write { table, key: key.clone(), expected, value: quota, delete: false };
        api.store.queue(write, Vec::new())?
    };
    queued.await.map(drop)
}

/// What is used of each resource of the quota.
fn count(api: &Api, quota: &Value, hard: &Amounts, namespace: &str) -> Amounts {
    let mut used: Amounts = hard.keys().map(|name| (name.clone(), Quantity::ZERO)).collect();
    let tables: BTreeSet<String> = hard.keys().map(|name| usage::table(name)).collect();
    for table in tables {
        for object in api.store.latest_in(&table.as_str().into(), namespace) {
            let object = object.value();
            if scope::covers(quota, &table, &object) {
                let mut more = usage::usage(&table, &object);
                more.retain(|name, _| hard.contains_key(name));
                add(&mut used, &more);
            }
        }
    }
    used
}
