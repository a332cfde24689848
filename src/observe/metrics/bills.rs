//! Costs and recommendations as callers read them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::table;
use super::costs::{Amount, Cost, Prices, Profile, Recommendation, cores, mebibytes};
use super::statistics::rounded;
use crate::owner::Owner;

/// Hours of a month, on average.
const MONTH: f64 = 730.0;

fn identity(owner: &Owner) -> Value {
    json!({
        "componentUid": owner.component_uid, "component": owner.component,
        "environmentUid": owner.environment_uid, "environment": owner.environment,
        "projectUid": owner.project_uid, "project": owner.project, "namespace": owner.namespace,
    })
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

/// The answer of REST about costs.
pub(super) fn costs(found: &[Cost]) -> Value {
    let record = |cost: &Cost| {
        let mut record = identity(&cost.owner);
        record["startTime"] = time(cost.between.0).into();
        record["endTime"] = time(cost.between.1).into();
        record["cpuCost"] = cost.cost.cpu.into();
        record["memoryCost"] = cost.cost.memory.into();
        record["efficiency"] = cost.efficiency.into();
        record
    };
    json!({"items": found.iter().map(record).collect::<Vec<_>>()})
}

/// The answer of REST about what would be enough.
pub(super) fn recommendations(found: &[Recommendation], prices: Prices) -> Value {
    let record = |one: &Recommendation| {
        let mut record = identity(&one.owner);
        record["current"] = profile(one.current, prices, one.pod_hours);
        record["recommendation"] = profile(one.recommended, prices, one.pod_hours);
        record
    };
    json!({"items": found.iter().map(record).collect::<Vec<_>>()})
}

fn profile(profile: Profile, prices: Prices, hours: f64) -> Value {
    let cost = prices.of(profile.request, hours);
    json!({
        "cpuRequest": cores(profile.request.cpu), "cpuLimit": cores(profile.limit.cpu),
        "memoryRequest": mebibytes(profile.request.memory), "memoryLimit": mebibytes(profile.limit.memory),
        "cpuCost": cost.cpu, "memoryCost": cost.memory,
    })
}

/// The answer for an agent about costs: the dearest first, or by time with a granularity.
pub(super) fn compact_costs(found: &[Cost], stepped: bool, budget: usize) -> Value {
    let total = |cost: &Cost| cost.cost.cpu + cost.cost.memory;
    let mut all: Vec<&Cost> = found.iter().collect();
    if !stepped {
        all.sort_by(|a, b| total(b).total_cmp(&total(a)));
    }
    let sum: f64 = all.iter().map(|cost| total(cost)).sum();
    let row = |cost: &&Cost| {
        let mut row = vec![
            json!(cost.owner.component),
            json!(rounded(cost.cost.cpu)),
            json!(rounded(cost.cost.memory)),
            json!(format!("{:.0}%", 100.0 * cost.efficiency)),
        ];
        if stepped {
            row.push(json!(time(cost.between.0)));
        }
        Value::Array(row)
    };
    let mut columns = vec!["component", "cpu", "memory", "used"];
    if stepped {
        columns.push("from");
    }
    let (table, hint) = table(&columns, all.iter().map(row).collect(), budget);
    let mut answer = json!({"costs": table, "total": rounded(sum), "currency": "USD"});
    if let Some(hint) = hint {
        answer["hint"] = hint.into();
    }
    answer
}

/// The answer for an agent about what would be enough: what saves most first.
pub(super) fn compact_recommendations(
    found: &[Recommendation],
    prices: Prices,
    budget: usize,
) -> Value {
    let monthly = |amount: Amount| {
        let cost = prices.of(amount, MONTH);
        cost.cpu + cost.memory
    };
    let saves =
        |one: &Recommendation| monthly(one.current.request) - monthly(one.recommended.request);
    let mut all: Vec<&Recommendation> = found.iter().collect();
    all.sort_by(|a, b| saves(b).total_cmp(&saves(a)));
    let row = |one: &&Recommendation| {
        let from_to = |of: fn(&Profile) -> String| {
            format!("{} -> {}", of(&one.current), of(&one.recommended))
        };
        json!([
            one.owner.component,
            from_to(|profile| cores(profile.request.cpu)),
            from_to(|profile| cores(profile.limit.cpu)),
            from_to(|profile| mebibytes(profile.request.memory)),
            from_to(|profile| mebibytes(profile.limit.memory)),
            rounded(saves(one)),
        ])
    };
    let columns = [
        "component",
        "cpu request",
        "cpu limit",
        "memory request",
        "memory limit",
        "saves USD per pod and month",
    ];
    let (table, hint) = table(&columns, all.iter().map(row).collect(), budget);
    let mut answer = json!({"recommendations": table});
    if let Some(hint) = hint {
        answer["hint"] = hint.into();
    } else if found.is_empty() {
        answer["hint"] = json!("nothing was measured there in this time");
    }
    answer
}
