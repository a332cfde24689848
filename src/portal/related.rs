//! How incidents hang together: one whose cause is in another component, by its report, belongs to that one's incident.

use crate::backend::User;
use crate::error::{BackendError, softly};
use crate::incidents::MOST;
use crate::login::encode;
use crate::model::{taken, text};
use crate::pages::parts::counted;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest wait for what only puts incidents in order.
const PATIENCE: Duration = Duration::from_secs(2);

/// The component in which the cause of an alert is, by the alert's id.
type Causes = BTreeMap<String, String>;

/// Where the cause of incidents is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) component: String,
    pub(crate) environment: String,
}

/// What stands above a group.
#[derive(Debug, PartialEq)]
pub(crate) enum Above {
    /// An incident, which others may come of.
    Incident(Value),
    /// Where the cause of all of them is, in a component without an incident to put them to.
    Cause(Cause),
}

/// Incidents of one cause.
#[derive(Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) above: Above,
    /// Those that come of it.
    pub(crate) affected: Vec<Value>,
}

impl Group {
    /// Each of its incidents.
    pub(crate) fn incidents(&self) -> impl Iterator<Item = &Value> {
        let first = match &self.above {
            Above::Incident(incident) => Some(incident),
            Above::Cause(_) => None,
        };
        first.into_iter().chain(&self.affected)
    }
}

/// Incidents with those that come of the same cause.
#[derive(Debug, Default)]
pub(crate) struct Related {
    pub(crate) groups: Vec<Group>,
    /// Why it is not known which belong together.
    pub(crate) unknown: Option<String>,
}

impl Related {
    /// Such as `3 open incidents, 2 causes`: each cause is one group. Where each stands alone, no cause is claimed.
    pub(crate) fn counted(&self, what: &str) -> String {
        let incidents = self.groups.iter().flat_map(Group::incidents).count();
        let words = counted(incidents as u64, what);
        let alone =
            |group: &Group| matches!(group.above, Above::Incident(_)) && group.affected.is_empty();
        if self.groups.iter().all(alone) {
            return words;
        }
        format!("{words}, {}", counted(self.groups.len() as u64, "cause"))
    }
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

/// The incidents in their order, with those of a cause below that of the component where the cause is, or where there is
/// none, below its name. Each one is there once.
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
    let mut groups: Vec<Group> = Vec::new();
    for (index, incident) in first {
        let below = affected.remove(&index).unwrap_or_default();
        let Some(cause) = elsewhere(&incident, causes) else {
            groups.push(Group { above: Above::Incident(incident), affected: below });
            continue;
        };
        let above = Above::Cause(cause);
        let same = |group: &&mut Group| {
            group.above == above && group.affected.iter().any(|other| overlap(other, &incident))
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.affected.extend(std::iter::once(incident).chain(below)),
            None => {
                let affected = std::iter::once(incident).chain(below).collect();
                groups.push(Group { above, affected });
            }
        }
    }
    groups
}

/// Where the cause of an incident is, if that is another component.
fn elsewhere(incident: &Value, causes: &Causes) -> Option<Cause> {
    let cause = cause(incident, causes).filter(|cause| *cause != component(incident))?;
    let environment = text(incident, "/labels/environmentName").to_owned();
    Some(Cause { component: cause.to_owned(), environment })
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
mod tests;
