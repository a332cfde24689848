//! Conditions: made, compared, and kept still when nothing happened.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What a condition shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) r#type: &'static str,
    pub(super) status: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Said {
    /// Good news, or bad.
    pub(super) fn new(
        r#type: &'static str,
        status: bool,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { r#type, status, reason, message: message.into() }
    }
}

/// The conditions of an object of this `generation`. A condition that said the
/// same before keeps its time; ones that others set are kept behind ours.
pub(super) fn conditions(
    said: &[Said],
    before: &[Condition],
    generation: Option<i64>,
) -> Vec<Condition> {
    let ours = said.iter().map(|said| {
        let status = if said.status { "True" } else { "False" };
        let same = |old: &&Condition| old.type_ == said.r#type && old.status == status;
        let time = before.iter().find(same).map(|old| old.last_transition_time.clone());
        Condition {
            type_: said.r#type.to_owned(),
            status: status.to_owned(),
            reason: said.reason.to_owned(),
            message: said.message.clone(),
            observed_generation: generation,
            last_transition_time: time.unwrap_or_else(|| Time(jiff::Timestamp::now())),
        }
    });
    let others = before.iter().filter(|old| said.iter().all(|said| said.r#type != old.type_));
    ours.chain(others.cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_with_the_status_only() {
        let first = conditions(&[Said::new("Accepted", true, "Accepted", "")], &[], Some(1));
        let old = Time(jiff::Timestamp::UNIX_EPOCH);
        let before: Vec<_> = first
            .into_iter()
            .map(|c| Condition { last_transition_time: old.clone(), ..c })
            .collect();
        let same = Said::new("Accepted", true, "Accepted", "other words");
        assert_eq!(conditions(&[same], &before, Some(2))[0].last_transition_time, old);
        let flipped = Said::new("Accepted", false, "Pending", "");
        assert_ne!(conditions(&[flipped], &before, Some(2))[0].last_transition_time, old);
    }

    #[test]
    fn conditions_of_others_stay() {
        let theirs = conditions(&[Said::new("Theirs", true, "X", "")], &[], None);
        let all = conditions(&[Said::new("Ours", true, "X", "")], &theirs, None);
        assert_eq!(all.iter().map(|c| &*c.type_).collect::<Vec<_>>(), ["Ours", "Theirs"]);
    }
}
