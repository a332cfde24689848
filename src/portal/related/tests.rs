//! What belongs together, and what does not.

use super::{Above, Causes, Group, Related, groups};
use serde_json::{Value, json};

fn incident(id: &str, component: &str, minute: u32, resolved: Option<u32>) -> Value {
    let at = |minute: u32| format!("2026-11-22T12:{minute:02}:00Z");
    json!({"alertId": id, "triggeredAt": at(minute), "resolvedAt": resolved.map(at),
        "labels": {"componentName": component, "environmentName": "development"}})
}

/// The ids of each group, after where its cause is said to be if that has no incident.
fn shown(incidents: Vec<Value>, causes: &[(&str, &str)]) -> Vec<String> {
    let own = |(alert, component): &(&str, &str)| ((*alert).to_owned(), (*component).to_owned());
    let causes: Causes = causes.iter().map(own).collect();
    let id = |incident: &Value| incident["alertId"].as_str().unwrap().to_owned();
    let mut given: Vec<String> = incidents.iter().map(id).collect();
    let groups = groups(incidents, &causes);
    let mut kept: Vec<String> = groups.iter().flat_map(Group::incidents).map(id).collect();
    given.sort();
    kept.sort();
    assert_eq!(kept, given, "each incident is there once");
    let line = |group: &Group| {
        let cause = match &group.above {
            Above::Incident(_) => None,
            Above::Cause(cause) => Some(format!("{}:", cause.component)),
        };
        cause.into_iter().chain(group.incidents().map(id)).collect::<Vec<_>>().join(" ")
    };
    groups.iter().map(line).collect()
}

#[test]
fn victims_stand_below_the_incident_of_their_cause() {
    let all = || {
        vec![
            incident("w", "web", 9, None),
            incident("slow", "cart", 8, None),
            incident("c", "cart", 7, None),
            incident("m", "mail", 6, None),
        ]
    };
    let causes = [("w", "cart"), ("c", "cart"), ("slow", "cart")];
    assert_eq!(shown(all(), &causes), ["c w slow", "m"]);
    assert_eq!(shown(all(), &[]), ["w", "slow", "c", "m"], "nothing is known");
    assert_eq!(shown(all(), &[("w", "stock")]), ["stock: w", "slow", "c", "m"]);
}

#[test]
fn no_incident_is_lost_below_one_that_stands_below_another() {
    let all = vec![
        incident("latency", "cart", 6, None),
        incident("errors", "cart", 3, Some(7)),
        incident("w", "web", 2, Some(5)),
    ];
    let causes = [("w", "cart"), ("errors", "cart"), ("latency", "cart")];
    assert_eq!(shown(all, &causes), ["latency errors w"]);
}

#[test]
fn neither_another_time_nor_another_place_nor_a_circle_links_incidents() {
    let before = vec![incident("w", "web", 9, None), incident("c", "cart", 5, Some(8))];
    assert_eq!(shown(before, &[("w", "cart")]), ["cart: w", "c"]);
    let mut elsewhere = vec![incident("w", "web", 9, None), incident("c", "cart", 8, None)];
    elsewhere[1]["labels"]["environmentName"] = json!("staging");
    assert_eq!(shown(elsewhere, &[("w", "cart")]), ["cart: w", "c"]);
    let circle = vec![incident("w", "web", 9, None), incident("c", "cart", 8, None)];
    assert_eq!(shown(circle, &[("w", "cart"), ("c", "web")]), ["cart: w", "web: c"]);
}

#[test]
fn those_of_a_cause_without_an_incident_stand_below_its_name() {
    let all = || {
        vec![
            incident("w", "web", 9, None),
            incident("m", "mail", 8, None),
            incident("c", "cart", 7, None),
            incident("old", "web", 1, Some(2)),
        ]
    };
    let causes = [("w", "stock"), ("c", "stock"), ("old", "stock")];
    assert_eq!(shown(all(), &causes), ["stock: w c", "m", "stock: old"]);
    let mut elsewhere = all();
    elsewhere[2]["labels"]["environmentName"] = json!("staging");
    assert_eq!(shown(elsewhere, &causes), ["stock: w", "m", "stock: c", "stock: old"]);
}

#[test]
fn the_number_of_causes_is_that_of_the_groups() {
    let counted = |causes: &[(&str, &str)]| {
        let own = |(alert, at): &(&str, &str)| ((*alert).to_owned(), (*at).to_owned());
        let all = vec![incident("w", "web", 9, None), incident("c", "cart", 8, None)];
        let groups = groups(all, &causes.iter().map(own).collect());
        Related { groups, unknown: None }.counted("incident")
    };
    assert_eq!(counted(&[]), "2 incidents");
    assert_eq!(counted(&[("w", "cart")]), "2 incidents, 1 cause");
    assert_eq!(counted(&[("w", "stock"), ("c", "stock")]), "2 incidents, 1 cause");
    assert_eq!(counted(&[("w", "stock")]), "2 incidents, 2 causes");
}
