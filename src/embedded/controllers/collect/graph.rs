//! Who owns whom, by uid, and what follows from it: pure, so that every rule can be tested.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::kinds::Kind;
use crate::controllers::key::Key;

pub(super) const FOREGROUND: &str = "foregroundDeletion";
pub(super) const ORPHAN: &str = "orphan";
/// Remembered uids of objects that are known to be gone.
const ABSENT: usize = 8192;

pub(super) type Uid = Arc<str>;

/// A reference to an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: Uid,
    pub(super) api_version: Arc<str>,
    pub(super) kind: Arc<str>,
    pub(super) name: Arc<str>,
    /// The owner's foreground deletion waits for this object.
    pub(super) blocks: bool,
}

/// What is kept of an object.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Arc<Kind>,
    pub(super) key: Key,
    pub(super) owners: Vec<Owner>,
    pub(super) deleting: bool,
    pub(super) foreground: bool,
    pub(super) orphan: bool,
}

/// How the dependents of a deleted object are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Background,
    Foreground,
    Orphan,
}

/// What to do about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Nothing,
    /// Ask the server whether this owner exists, then decide again.
    LookUp(Owner),
    Delete(Policy),
    /// Some owners are gone while others stay: drop the references to these.
    DropOwners(Vec<Uid>),
    /// Its deletion waited for its dependents, and none is left.
    Unblock,
    /// Its deletion waits for these dependents: look at them.
    Dependents(Vec<Uid>),
    /// It leaves its dependents behind: drop the references to it, then let it go.
    Orphan(Vec<Uid>),
}

#[derive(Default)]
pub(super) struct Graph {
    nodes: HashMap<Uid, Node>,
    dependents: HashMap<Uid, HashSet<Uid>>,
    absent: HashSet<Uid>,
    /// Found on the server, though not watched.
    present: HashSet<Uid>,
}

impl Graph {
    /// Takes in an object; returns whom to look at because of it.
    pub(super) fn apply(&mut self, uid: Uid, node: Node) -> Vec<Uid> {
        let mut affected = Vec::new();
        self.absent.remove(&uid);
        let old = self.nodes.get(&uid);
        let unchanged = old.is_some_and(|old| {
            old.owners == node.owners
                && (old.deleting, old.foreground, old.orphan)
                    == (node.deleting, node.foreground, node.orphan)
        });
        if unchanged {
            return affected;
        }
        let former: Vec<Owner> = old.map(|old| old.owners.clone()).unwrap_or_default();
        for owner in former.iter().filter(|owner| !node.owners.contains(owner)) {
            self.disown(&owner.uid, &uid);
            affected.push(owner.uid.clone());
        }
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(uid.clone());
        }
        if !node.owners.is_empty() || node.deleting {
            affected.push(uid.clone());
        }
        if node.deleting && node.foreground {
            affected.extend(self.dependents_of(&uid));
        }
        self.nodes.insert(uid, node);
        affected
    }

    /// Forgets an object; returns whom to look at because of it.
    pub(super) fn remove(&mut self, uid: &Uid) -> Vec<Uid> {
        let mut affected = self.dependents_of(uid);
        if let Some(node) = self.nodes.remove(uid) {
            for owner in &node.owners {
                self.disown(&owner.uid, uid);
                affected.push(owner.uid.clone());
            }
        }
        self.mark_absent(uid.clone());
        affected
    }

    /// The server says that no such object exists.
    pub(super) fn mark_absent(&mut self, uid: Uid) {
        if self.absent.len() >= ABSENT {
            self.absent.clear();
        }
        self.present.remove(&uid);
        self.absent.insert(uid);
    }

    /// The server says that the object exists, though no watch has told of it yet.
    pub(super) fn mark_present(&mut self, uid: Uid) {
        if self.present.len() >= ABSENT {
            self.present.clear();
        }
        self.present.insert(uid);
    }

    pub(super) fn get(&self, uid: &Uid) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// Objects that wait for an owner that nobody could look up.
    pub(super) fn unresolved(&self) -> Vec<Uid> {
        let unknown = |owner: &Owner| {
            !self.nodes.contains_key(&owner.uid)
                && !self.absent.contains(&owner.uid)
                && !self.present.contains(&owner.uid)
        };
        self.nodes
            .iter()
            .filter(|(_, node)| node.owners.iter().any(unknown))
            .map(|(uid, _)| uid.clone())
            .collect()
    }

    /// All objects of a kind, to compare with a new list.
    pub(super) fn of_kind(&self, kind: &Kind) -> Vec<Uid> {
        self.nodes
            .iter()
            .filter(|(_, node)| *node.kind == *kind)
            .map(|(uid, _)| uid.clone())
            .collect()
    }

    fn dependents_of(&self, uid: &Uid) -> Vec<Uid> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    fn disown(&mut self, owner: &Uid, dependent: &Uid) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }

    /// What to do about an object now.
    pub(super) fn decide(&self, uid: &Uid) -> Decision {
        let Some(node) = self.nodes.get(uid) else { return Decision::Nothing };
        if node.deleting {
            return self.deleting(uid, node);
        }
        let (mut solid, mut waiting, mut dangling) = (false, false, Vec::new());
        for owner in &node.owners {
            match self.nodes.get(&owner.uid) {
                Some(found)
                    if found.kind.namespaced && found.key.namespace != node.key.namespace =>
                {
                    dangling.push(owner.uid.clone());
                }
                Some(found) if found.deleting && found.foreground => waiting = true,
                Some(_) => solid = true,
                None if self.absent.contains(&owner.uid) => dangling.push(owner.uid.clone()),
                None if self.present.contains(&owner.uid) => solid = true,
                None => return Decision::LookUp(owner.clone()),
            }
        }
        if node.owners.is_empty() {
            return Decision::Nothing;
        }
        if solid {
            if waiting {
                let going = |owner: &&Owner| {
                    self.nodes
                        .get(&owner.uid)
                        .is_some_and(|found| found.deleting && found.foreground)
                };
                dangling.extend(node.owners.iter().filter(going).map(|owner| owner.uid.clone()));
            }
            return if dangling.is_empty() {
                Decision::Nothing
            } else {
                Decision::DropOwners(dangling)
            };
        }
        if waiting && self.dependents.contains_key(uid) {
            return Decision::Delete(Policy::Foreground);
        }
        Decision::Delete(if node.orphan {
            Policy::Orphan
        } else if node.foreground {
            Policy::Foreground
        } else {
            Policy::Background
        })
    }

    fn deleting(&self, uid: &Uid, node: &Node) -> Decision {
        let dependents = self.dependents_of(uid);
        if node.orphan {
            return Decision::Orphan(dependents);
        }
        if !node.foreground {
            return Decision::Nothing;
        }
        let blocking: Vec<Uid> = dependents
            .into_iter()
            .filter(|dependent| {
                let owners = self.nodes.get(dependent).map(|node| &node.owners);
                owners.into_iter().flatten().any(|owner| owner.uid == *uid && owner.blocks)
            })
            .collect();
        if blocking.is_empty() { Decision::Unblock } else { Decision::Dependents(blocking) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(namespaced: bool) -> Arc<Kind> {
        Arc::new(Kind::new("", "v1", "Thing", "things", namespaced))
    }

    fn owner(uid: &str, blocks: bool) -> Owner {
        Owner {
            uid: uid.into(),
            api_version: "v1".into(),
            kind: "Thing".into(),
            name: uid.into(),
            blocks,
        }
    }

    fn node(name: &str, owners: Vec<Owner>) -> Node {
        Node {
            kind: kind(true),
            key: Key::new("ns", name),
            owners,
            deleting: false,
            foreground: false,
            orphan: false,
        }
    }

    fn graph(nodes: Vec<(&str, Node)>) -> Graph {
        let mut graph = Graph::default();
        for (uid, node) in nodes {
            graph.apply(uid.into(), node);
        }
        graph
    }

    fn uids(list: &[&str]) -> Vec<Uid> {
        list.iter().map(|uid| (*uid).into()).collect()
    }

    #[test]
    fn dependents_follow_their_owner_by_uid() {
        let mut graph =
            graph(vec![("o", node("o", vec![])), ("d", node("d", vec![owner("o", true)]))]);
        assert_eq!(graph.decide(&"d".into()), Decision::Nothing);
        assert_eq!(graph.remove(&"o".into()), uids(&["d"]));
        assert_eq!(graph.decide(&"d".into()), Decision::Delete(Policy::Background));
        // An object of the same name with another uid is another owner.
        graph.apply("o2".into(), node("o", vec![]));
        assert_eq!(graph.decide(&"d".into()), Decision::Delete(Policy::Background));
    }

    #[test]
    fn an_owner_nobody_has_seen_is_looked_up_first() {
        let mut graph = graph(vec![("d", node("d", vec![owner("o", false)]))]);
        assert_eq!(graph.decide(&"d".into()), Decision::LookUp(owner("o", false)));
        assert_eq!(graph.unresolved(), uids(&["d"]));
        graph.mark_present("o".into());
        assert_eq!(graph.decide(&"d".into()), Decision::Nothing);
        graph.mark_absent("o".into());
        assert_eq!(graph.decide(&"d".into()), Decision::Delete(Policy::Background));
    }

    #[test]
    fn one_living_owner_keeps_an_object() {
        let mut graph = graph(vec![
            ("a", node("a", vec![])),
            ("d", node("d", vec![owner("a", false), owner("b", false)])),
        ]);
        graph.mark_absent("b".into());
        assert_eq!(graph.decide(&"d".into()), Decision::DropOwners(uids(&["b"])));
    }

    #[test]
    fn an_owner_in_another_namespace_is_no_owner() {
        let mut other = node("o", vec![]);
        other.key = Key::new("elsewhere", "o");
        let mut graph =
            graph(vec![("o", other.clone()), ("d", node("d", vec![owner("o", false)]))]);
        assert_eq!(graph.decide(&"d".into()), Decision::Delete(Policy::Background));
        other.kind = kind(false);
        graph.apply("o".into(), Node { deleting: true, ..other });
        assert_eq!(graph.decide(&"d".into()), Decision::Nothing);
    }

    #[test]
    fn foreground_deletion_waits_for_blocking_dependents() {
        let deleting = |owners| Node { deleting: true, foreground: true, ..node("o", owners) };
        let mut graph = graph(vec![
            ("o", node("o", vec![])),
            ("blocks", node("blocks", vec![owner("o", true)])),
            ("lets", node("lets", vec![owner("o", false)])),
        ]);
        let mut affected = graph.apply("o".into(), deleting(vec![]));
        affected.sort();
        assert_eq!(affected, uids(&["blocks", "lets", "o"]));
        assert_eq!(graph.decide(&"o".into()), Decision::Dependents(uids(&["blocks"])));
        assert_eq!(graph.decide(&"blocks".into()), Decision::Delete(Policy::Background));
        // A dependent with dependents of its own goes in the foreground too.
        graph.apply("leaf".into(), node("leaf", vec![owner("blocks", true)]));
        assert_eq!(graph.decide(&"blocks".into()), Decision::Delete(Policy::Foreground));
        graph.remove(&"leaf".into());
        assert_eq!(graph.remove(&"blocks".into()), uids(&["o"]));
        assert_eq!(graph.decide(&"o".into()), Decision::Unblock);
    }

    #[test]
    fn orphans_stay_behind() {
        let mut graph =
            graph(vec![("o", node("o", vec![])), ("d", node("d", vec![owner("o", true)]))]);
        graph.apply("o".into(), Node { deleting: true, orphan: true, ..node("o", vec![]) });
        assert_eq!(graph.decide(&"o".into()), Decision::Orphan(uids(&["d"])));
        graph.apply("d".into(), node("d", vec![]));
        assert_eq!(graph.decide(&"o".into()), Decision::Orphan(vec![]));
    }
}
