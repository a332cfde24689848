//! The instances there are, as far as can be told at a glance.
//!
//! Invariant: one that cannot be read or asked is listed like the others; what is not known of it is left out.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use serde::Serialize;

use crate::{Error, Home, Homes, Instance, lease, ledger::Ledger, memory, pause};

/// How long a cluster may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// An instance, as `list -o json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Its name.
    pub instance: String,
    /// The provider of its cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// How it is.
    pub state: State,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// What its processes on this machine need, in bytes (proportional set size), if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// The web portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portal: Option<String>,
    /// When it expires, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// How an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Its cluster answers.
    Running,
    /// Stopped on purpose.
    Paused,
    /// Its cluster does not answer.
    Stopped,
    /// It is half made, or half gone.
    Unfinished,
    /// Another version of curtain wrote it, or nobody understands it.
    Unknown,
}

impl State {
    /// As people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Unfinished => "unfinished",
            Self::Unknown => "unknown",
        }
    }
}

/// Every instance there is, by name.
///
/// # Errors
/// A folder of instances that cannot be read.
pub async fn instances(homes: &Homes) -> Result<Vec<Listed>, Error> {
    Ok(join_all(homes.list()?.iter().map(look)).await)
}

async fn look(home: &Home) -> Listed {
    let mut listed = Listed {
        instance: home.name().to_string(),
        provider: None,
        state: State::Unknown,
        created: Ledger::began(&home.ledger()),
        memory: None,
        portal: None,
        expires: lease::expires(home),
    };
    let instance = match Instance::read(home) {
        Ok(Some(instance)) => instance,
        Ok(None) => return Listed { state: State::Unfinished, ..listed },
        Err(_) => return listed,
    };
    listed.provider = Some(instance.provider.clone());
    listed.portal = instance.endpoints(home).ok().map(|endpoints| endpoints.portal);
    let Ok(provider) = curtain_provider::by_name(&instance.provider) else { return listed };
    let spec = instance.cluster(home);
    let answers = tokio::time::timeout(ANSWER, provider.is_up(&spec));
    let (answers, processes) = tokio::join!(answers, memory::of(home));
    listed.memory = match processes.iter().map(|process| process.pss).sum() {
        0 => None,
        bytes => Some(bytes),
    };
    listed.state = match (answers, pause::since(home)) {
        (Ok(true), _) => State::Running,
        (_, Ok(Some(_))) => State::Paused,
        _ => State::Stopped,
    };
    listed
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::home::claim;

    #[tokio::test]
    async fn what_cannot_be_read_or_is_half_made_is_listed_too() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(dir.path());
        assert_eq!(instances(&homes).await.unwrap(), []);
        let home = |name: &str| homes.instance(&name.parse().unwrap());
        for name in ["newer", "half"] {
            claim(home(name).path()).unwrap();
        }
        fs::write(home("newer").state(), r#"{"version": 99}"#).unwrap();
        let line = r#"{"at":"2026-11-22T12:00:00Z","step":"home","event":"doing"}"#;
        fs::write(home("half").ledger(), format!("{{\"ledger\":1}}\n{line}\n")).unwrap();
        let listed = instances(&homes).await.unwrap();
        let seen: Vec<_> = listed.iter().map(|one| (one.instance.as_str(), one.state)).collect();
        assert_eq!(seen, [("half", State::Unfinished), ("newer", State::Unknown)]);
        let created = listed[0].created.map(|at| at.to_string());
        assert_eq!(created.as_deref(), Some("2026-11-22T12:00:00Z"));
        assert_eq!(listed[1].created, None);
    }
}
