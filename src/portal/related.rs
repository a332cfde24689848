//! How incidents hang together: one whose cause is in another component, by its report, belongs to that one's incident.

use crate::backend::User;
use crate::error::{BackendError, softly};
use crate::incidents::MOST;
use crate::login::encode;
use crate::model::{taken, text};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest wait for what only puts incidents in order.
const PATIENCE: Duration = Duration::from_secs(2);

/// The component in which the cause of an alert is, by the alert's id.
type Causes = BTreeMap<String, String>;

/// An incident, and those that come of the same cause.
#[derive(Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) incident: Value,
    pub(crate) affected: Vec<Value>,
    /// The component in which its cause is, if that is another one without an incident to put it to.
    pub(crate) cause: Option<String>,
}

/// Incidents with those that come of the same cause.
#[derive(Debug, Default)]
pub(crate) struct Related {
    pub(crate) groups: Vec<Group>,
    /// Why it is not known which belong together.
    pub(crate) unknown: Option<String>,
}

/// Puts incidents of a project together by what the SRE agent found; where there are none, it is not asked.
pub(crate) async fn relate(
    user: &User<'_>,
    (namespace, project): (&str, &str),
    incidents: Vec<Value>,
) -> Result<Related, BackendError> {
    if incidents.is_empty() {
        return Ok(Related::default());
    }
    let (causes, unknown) = match softly(causes(user, namespace, project).await)? {
        Ok(causes) => (causes, None),
        Err(reason) => (Causes::new(), Some(reason)),
    };
    Ok(Related { groups: groups(incidents, &causes), unknown })
}

/// What the SRE agent found about a project's alerts.
async fn causes(user: &User<'_>, namespace: &str, project: &str) -> Result<Causes, BackendError> {
    let (namespace, project) = (encode(namespace), encode(project));
    let query = format!("?namespace={namespace}&project={project}&limit={MOST}");
    let late = |_| {
        let why = format!("the SRE agent did not answer within {} s", PATIENCE.as_secs());
        BackendError::Unavailable(why)
    };
    let answer = tokio::time::timeout(PATIENCE, user.reports(&query)).await;
    let mut answer = answer.map_err(late)??;
    let cause = |report: Value| {
        let component = text(&report, "/causeComponent");
        let alert = text(&report, "/alertId");
        (!component.is_empty()).then(|| (alert.to_owned(), component.to_owned()))
    };
    Ok(taken(&mut answer["reports"]).into_iter().filter_map(cause).collect())
}

/// The incidents in their order, with those of a cause below that of the component where the cause is. Each one is there
/// once.
fn groups(incidents: Vec<Value>, causes: &Causes) -> Vec<Group> {
    let next: Vec<Option<usize>> =
        (0..incidents.len()).map(|index| head(&incidents, index, causes)).collect();
    // A head may have one itself that was over before, or began after, what comes of it. Each next one is open where
    // the one before is not, or began before it: there is a last one.
    let last = |index: usize| std::iter::successors(next[index], |head| next[*head]).last();
    let heads: Vec<Option<usize>> = (0..incidents.len()).map(last).collect();
    let mut affected: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    let mut first: Vec<(usize, Value)> = Vec::new();
    for (index, incident) in incidents.into_iter().enumerate() {
        match heads[index] {
            Some(head) => affected.entry(head).or_default().push(incident),
            None => first.push((index, incident)),
        }
    }
    let group = |(index, incident): (usize, Value)| Group {
        cause: cause(&incident, causes)
            .filter(|cause| *cause != component(&incident))
            .map(str::to_owned),
        affected: affected.remove(&index).unwrap_or_default(),
        incident,
    };
    first.into_iter().map(group).collect()
}

/// The first incident, an open one if there is any, of the component where the cause of another one is, at the same place
/// and time. One whose own cause is in yet another component is none: there are no circles.
fn head(incidents: &[Value], index: usize, causes: &Causes) -> Option<usize> {
    let incident = &incidents[index];
    let cause = cause(incident, causes)?;
    let is_head = |other: &Value| {
        component(other) == cause
            && self::cause(other, causes).is_none_or(|own| own == cause)
            && text(other, "/labels/environmentName") == text(incident, "/labels/environmentName")
            && overlap(other, incident)
    };
    let heads = incidents.iter().enumerate().filter(|(_, other)| is_head(other));
    // Of several at the same moment, the one that is listed last.
    let age =
        |other: &Value| (moment(other, "/resolvedAt").is_some(), moment(other, "/triggeredAt"));
    let first = heads.rev().min_by_key(|(_, other)| age(other))?.0;
    (first != index).then_some(first)
}

fn cause<'c>(incident: &Value, causes: &'c Causes) -> Option<&'c str> {
    causes.get(text(incident, "/alertId")).map(String::as_str)
}

fn component(incident: &Value) -> &str {
    text(incident, "/labels/componentName")
}

fn moment(incident: &Value, pointer: &str) -> Option<Timestamp> {
    text(incident, pointer).parse().ok()
}

/// Whether neither was over before the other began.
fn overlap(a: &Value, b: &Value) -> bool {
    let over_before = |a: &Value, b: &Value| {
        moment(a, "/resolvedAt").is_some_and(|end| Some(end) < moment(b, "/triggeredAt"))
    };
    !over_before(a, b) && !over_before(b, a)
}

#[cfg(test)]
mod tests {
    use super::{Causes, groups};
    use serde_json::{Value, json};

    fn incident(id: &str, component: &str, minute: u32, resolved: Option<u32>) -> Value {
        let at = |minute: u32| format!("2026-11-22T12:{minute:02}:00Z");
        json!({"alertId": id, "triggeredAt": at(minute), "resolvedAt": resolved.map(at),
            "labels": {"componentName": component, "environmentName": "development"}})
    }

    /// The ids of each group, the first one with where its cause is said to be.
    fn shown(incidents: Vec<Value>, causes: &[(&str, &str)]) -> Vec<String> {
        let own =
            |(alert, component): &(&str, &str)| ((*alert).to_owned(), (*component).to_owned());
        let causes: Causes = causes.iter().map(own).collect();
        let id = |incident: &Value| incident["alertId"].as_str().unwrap().to_owned();
        let mut given: Vec<String> = incidents.iter().map(id).collect();
        let groups = groups(incidents, &causes);
        let all =
            groups.iter().flat_map(|group| std::iter::once(&group.incident).chain(&group.affected));
        let mut kept: Vec<String> = all.map(id).collect();
        given.sort();
        kept.sort();
        assert_eq!(kept, given, "each incident is there once");
        let line = |group: &super::Group| {
            let ids = std::iter::once(&group.incident).chain(&group.affected).map(id);
            let cause = group.cause.iter().map(|cause| format!("<{cause}"));
            ids.chain(cause).collect::<Vec<_>>().join(" ")
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
        assert_eq!(shown(all(), &[("w", "stock")]), ["w <stock", "slow", "c", "m"]);
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
        assert_eq!(shown(before, &[("w", "cart")]), ["w <cart", "c"]);
        let mut elsewhere = vec![incident("w", "web", 9, None), incident("c", "cart", 8, None)];
        elsewhere[1]["labels"]["environmentName"] = json!("staging");
        assert_eq!(shown(elsewhere, &[("w", "cart")]), ["w <cart", "c"]);
        let circle = vec![incident("w", "web", 9, None), incident("c", "cart", 8, None)];
        assert_eq!(shown(circle, &[("w", "cart"), ("c", "web")]), ["w <cart", "c <web"]);
    }
}
