//! The subjects of the instance, followed live.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use futures::StreamExt as _;
use k8s_openapi::{ByteString, api::core::v1::Secret as SecretObject};
use kube::{Api, Client, ResourceExt as _, runtime::watcher};

use curtain_role::{Check, Shutdown};

use super::{IDENTITY_LABEL, SubjectKind, secret::SecretDigest};
use crate::follow::{Change, changes};

/// A person, agent or service that may have a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// User name or client id: the `sub` of its tokens.
    pub name: String,
    /// What it is.
    pub kind: SubjectKind,
    /// Its groups, as the Secret lists them.
    pub groups: Vec<String>,
    /// What to show to people; the name when the Secret gives none.
    pub display_name: String,
}

#[derive(Debug, Clone)]
struct Entry {
    subject: Subject,
    secret: SecretDigest,
}

/// Who exists. Clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Directory(Arc<RwLock<BTreeMap<String, Entry>>>);

impl Directory {
    /// The subject `name` of that kind, if there is one. An agent may have the name of a person, but is not that person.
    pub fn find(&self, name: &str, kind: SubjectKind) -> Option<Subject> {
        let is_it = |entry: &&Entry| entry.subject.name == name && entry.subject.kind == kind;
        self.read(|entries| entries.values().find(is_it).map(|entry| entry.subject.clone()))
    }

    /// The subject `name` if `secret` is its password (people) or client secret (the others).
    ///
    /// Takes the same time for an unknown name as for a wrong secret.
    pub fn authenticate(&self, name: &str, secret: &str, person: bool) -> Option<Subject> {
        let offered = SecretDigest::of(secret.as_bytes());
        let nobody = SecretDigest::of(&[]);
        self.read(|entries| {
            let entry = entries.values().find(|entry| {
                entry.subject.name == name && (entry.subject.kind == SubjectKind::User) == person
            });
            let expected = entry.map_or(&nobody, |entry| &entry.secret);
            let matches = expected.matches(&offered);
            entry.filter(|_| matches && !secret.is_empty()).map(|entry| entry.subject.clone())
        })
    }

    /// Every subject of that kind, by name.
    pub fn all(&self, kind: SubjectKind) -> Vec<Subject> {
        let subjects = |entry: &Entry| entry.subject.clone();
        let mut all: Vec<_> = self.read(|entries| {
            entries.values().filter(|entry| entry.subject.kind == kind).map(subjects).collect()
        });
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn read<T>(&self, read: impl FnOnce(&BTreeMap<String, Entry>) -> T) -> T {
        read(&self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(super) fn apply(&self, change: Change<SecretObject>) {
        let mut entries = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut put = |object: SecretObject| {
            let name = object.name_any();
            match entry(&object) {
                Ok(entry) => entries.insert(name, entry),
                Err(reason) => {
                    tracing::warn!(secret = name, reason, "not a subject");
                    entries.remove(&name)
                }
            };
        };
        match change {
            Change::Applied(object) => put(object),
            Change::Deleted(object) => {
                entries.remove(&object.name_any());
            }
            Change::Reset(objects) => {
                let names: BTreeSet<String> =
                    objects.iter().map(|object| object.name_any()).collect();
                objects.into_iter().for_each(put);
                entries.retain(|name, _| names.contains(name));
            }
        }
    }
}

/// Reads a labelled Secret, or says what it lacks.
fn entry(object: &SecretObject) -> Result<Entry, &'static str> {
    let kind: SubjectKind = object
        .labels()
        .get(IDENTITY_LABEL)
        .and_then(|label| label.parse().ok())
        .ok_or("the label curtain.dev/identity must be user, agent or service")?;
    let text = |key: &str| {
        let ByteString(bytes) = object.data.as_ref()?.get(key)?;
        std::str::from_utf8(bytes).ok().map(str::trim).filter(|text| !text.is_empty())
    };
    let (name, secret) = match kind {
        SubjectKind::User => (text("username"), text("password")),
        SubjectKind::Agent | SubjectKind::Service => (text("client-id"), text("client-secret")),
    };
    let name = name.ok_or("it has no username or client-id")?.to_owned();
    let secret = secret.ok_or("it has no password or client-secret")?;
    let groups = text("groups").unwrap_or_default().split(',').map(str::trim);
    Ok(Entry {
        secret: SecretDigest::of(secret.as_bytes()),
        subject: Subject {
            kind,
            groups: groups.filter(|group| !group.is_empty()).map(str::to_owned).collect(),
            display_name: text("display-name").unwrap_or(&name).to_owned(),
            name,
        },
    })
}

/// Follows the labelled Secrets of `namespace` into `directory` until `shutdown`; passes `ready` once they are known.
pub async fn watch_subjects(
    client: Client,
    namespace: &str,
    directory: Directory,
    ready: Check,
    shutdown: Shutdown,
) {
    let secrets = Api::namespaced(client, namespace);
    let config = watcher::Config::default().labels(IDENTITY_LABEL);
    let followed = changes::<SecretObject>(secrets, config).for_each(|change| {
        let reset = matches!(change, Change::Reset(_));
        directory.apply(change);
        if reset {
            ready.pass();
        }
        std::future::ready(())
    });
    tokio::select! {
        () = followed => {}
        () = shutdown.wait() => {}
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A subject's Secret, as the bundle engine makes it.
    pub(crate) fn secret(name: &str, kind: &str, data: &[(&str, &str)]) -> SecretObject {
        let mut object = SecretObject::default();
        object.metadata.name = Some(name.to_owned());
        object.labels_mut().insert(IDENTITY_LABEL.to_owned(), kind.to_owned());
        object.data = Some(
            data.iter()
                .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                .collect(),
        );
        object
    }

    fn admin() -> SecretObject {
        let data = [
            ("username", "admin@openchoreo.dev"),
            ("password", "s3cret"),
            ("groups", "admins, all"),
        ];
        secret("persona-admin", "user", &data)
    }

    fn agent() -> SecretObject {
        let data = [("client-id", "claude-1"), ("client-secret", "t0ken"), ("groups", "agents")];
        secret("agent-claude-1", "agent", &data)
    }

    #[test]
    fn a_subject_authenticates_only_its_own_way() {
        let directory = Directory::default();
        directory.apply(Change::Reset(vec![admin(), agent()]));
        let found = directory.authenticate("admin@openchoreo.dev", "s3cret", true).expect("admin");
        assert_eq!(found.groups, ["admins", "all"]);
        assert_eq!(found.display_name, "admin@openchoreo.dev");
        assert_eq!(directory.authenticate("admin@openchoreo.dev", "s3cret", false), None);
        assert_eq!(directory.authenticate("admin@openchoreo.dev", "wrong", true), None);
        assert_eq!(directory.authenticate("nobody", "", true), None);
        assert_eq!(directory.authenticate("nobody", "s3cret", true), None);
        assert!(directory.authenticate("claude-1", "t0ken", false).is_some());
        assert_eq!(directory.authenticate("claude-1", "t0ken", true), None);
    }

    #[test]
    fn an_agent_with_the_name_of_a_person_is_not_that_person() {
        let directory = Directory::default();
        let data = [("client-id", "admin@openchoreo.dev"), ("client-secret", "t0ken")];
        directory.apply(Change::Reset(vec![admin(), secret("agent-admin", "agent", &data)]));
        let agent = directory.find("admin@openchoreo.dev", SubjectKind::Agent).expect("agent");
        assert_eq!((agent.kind, agent.groups), (SubjectKind::Agent, Vec::new()));
        let person = directory.find("admin@openchoreo.dev", SubjectKind::User).expect("person");
        assert_eq!(person.groups, ["admins", "all"]);
    }

    #[test]
    fn follows_changes() {
        let directory = Directory::default();
        directory.apply(Change::Reset(vec![admin()]));
        directory.apply(Change::Applied(agent()));
        assert!(directory.find("claude-1", SubjectKind::Agent).is_some());
        directory.apply(Change::Deleted(agent()));
        assert_eq!(directory.find("claude-1", SubjectKind::Agent), None);
        directory.apply(Change::Applied(secret("persona-admin", "user", &[("username", "x")])));
        let admin = directory.find("admin@openchoreo.dev", SubjectKind::User);
        assert_eq!(admin, None, "a broken subject is nobody");
        directory.apply(Change::Reset(vec![agent()]));
        assert!(directory.find("claude-1", SubjectKind::Agent).is_some());
    }
}
