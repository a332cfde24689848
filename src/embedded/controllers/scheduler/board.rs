//! Which pods are where, kept as they change, so that no decision sums up anew; and who waits for what.
//!
//! A pod that is to be bound is on its node from the decision on, although the watch tells it later: nothing is given away
//! twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::ResourceExt;

use super::case::{Place, View, Waits, priority};
use super::load::{self, Load, Tenant};
use super::turn::Turn;
use super::{is_waiting, preempt};
use crate::controllers::cache::Cache;
use crate::controllers::key::Key;
use crate::controllers::pods::{is_finished, node};

/// Where a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seat {
    /// On this node.
    On(String),
    /// Others make way for it on this one.
    Guest(String),
}

/// All pods that have a place.
#[derive(Default)]
pub(super) struct Board {
    loads: HashMap<String, Load>,
    guests: HashMap<String, BTreeMap<Key, Tenant>>,
    seats: HashMap<Key, Seat>,
    /// The uid and node of pods that were bound and do not say so yet.
    bound: HashMap<Key, (String, String)>,
    /// The uid and node of pods for which others are to make way, and that do not say so yet.
    promised: HashMap<Key, (String, String)>,
    waiting: HashMap<Key, (Turn, Waits)>,
}

impl Board {
    /// Takes in how a pod is now, if it is. Tells who may have waited for that.
    pub(super) fn set(&mut self, key: &Key, pod: Option<Arc<Pod>>) -> Waits {
        let seat = pod.as_ref().and_then(|pod| self.seat(key, pod));
        if pod.is_none() {
            self.bound.remove(key);
            self.promised.remove(key);
        }
        let before = self.seats.remove(key).and_then(|seat| Some((self.leave(key, &seat)?, seat)));
        if pod.as_ref().is_none_or(|pod| !is_waiting(pod)) {
            self.waiting.remove(key);
        }
        let after = pod.zip(seat).map(|(pod, seat)| {
            // Most changes are of the status alone: what it asks for is read again only if it may be other.
            let same = before.as_ref().filter(|(tenant, _)| tenant.pod.spec == pod.spec);
            let tenant = match same {
                Some((tenant, _)) => Tenant { pod, needs: tenant.needs.clone() },
                None => Tenant::new(pod),
            };
            (tenant, seat)
        });
        let effect = effect(before.as_ref(), after.as_ref());
        if let Some((tenant, seat)) = after {
            match &seat {
                Seat::On(node) => {
                    self.loads.entry(node.clone()).or_default().add(key.clone(), tenant);
                }
                Seat::Guest(node) => {
                    self.guests.entry(node.clone()).or_default().insert(key.clone(), tenant);
                }
            }
            self.seats.insert(key.clone(), seat);
        }
        effect
    }

    fn leave(&mut self, key: &Key, seat: &Seat) -> Option<Tenant> {
        match seat {
            Seat::On(node) => {
                let load = self.loads.get_mut(node)?;
                let tenant = load.remove(key);
                if load.tenants().next().is_none() {
                    self.loads.remove(node);
                }
                tenant
            }
            Seat::Guest(node) => {
                let guests = self.guests.get_mut(node)?;
                let tenant = guests.remove(key);
                if guests.is_empty() {
                    self.guests.remove(node);
                }
                tenant
            }
        }
    }

    fn seat(&mut self, key: &Key, pod: &Pod) -> Option<Seat> {
        let told = !node(pod).is_empty();
        let bound = self.bound.get(key).filter(|(uid, _)| pod.metadata.uid.as_ref() == Some(uid));
        let assumed = bound.filter(|_| !told && !is_finished(pod)).map(|(_, node)| node.clone());
        if assumed.is_none() {
            self.bound.remove(key);
        }
        if is_finished(pod) {
            return None;
        }
        if told {
            return Some(Seat::On(node(pod).to_owned()));
        }
        let promise = self.promised.get(key);
        let promise = promise.filter(|(uid, _)| pod.metadata.uid.as_ref() == Some(uid));
        let promised = promise.map(|(_, node)| node.as_str()).or_else(|| preempt::nominated(pod));
        let guest = || promised.filter(|_| is_waiting(pod)).map(str::to_owned);
        assumed.map(Seat::On).or_else(|| guest().map(Seat::Guest))
    }

    /// A pod is bound to a node.
    pub(super) fn bind(&mut self, key: &Key, uid: String, node: &str, pod: Arc<Pod>) -> Waits {
        self.bound.insert(key.clone(), (uid, node.to_owned()));
        self.set(key, Some(pod))
    }

    /// Others are to make way for a pod on a node: nobody else is given that room.
    pub(super) fn promise(&mut self, key: &Key, uid: String, node: &str, pod: Arc<Pod>) -> Waits {
        self.promised.insert(key.clone(), (uid, node.to_owned()));
        self.set(key, Some(pod))
    }

    /// It came to nothing, or the pod says it itself; `pod` is what is known of the pod.
    pub(super) fn release(&mut self, key: &Key, pod: Option<Arc<Pod>>) -> Waits {
        self.bound.remove(key);
        self.promised.remove(key);
        self.set(key, pod)
    }

    /// Does the pod have its node already?
    pub(super) fn is_bound(&self, key: &Key) -> bool {
        matches!(self.seats.get(key), Some(Seat::On(_)))
    }

    /// It waits from now on.
    pub(super) fn wait(&mut self, turn: Turn, waits: Waits) {
        self.waiting.insert(turn.key.clone(), (turn, waits));
    }

    /// It is being decided about.
    pub(super) fn forget(&mut self, key: &Key) {
        self.waiting.remove(key);
    }

    /// Those who wait for what has happened.
    pub(super) fn woken(&self, what: Waits) -> Vec<Turn> {
        let all = self.waiting.values().filter(|(_, waits)| waits.meets(what));
        all.map(|(turn, _)| turn.clone()).collect()
    }

    /// Pods on a node that others make way for, and that are less important than `pod`.
    pub(super) fn rivals(&self, node: &str, pod: &Pod) -> Vec<Arc<Pod>> {
        let guests = self.guests.get(node).into_iter().flat_map(BTreeMap::values);
        let lesser = guests.filter(|guest| priority(&guest.pod) < priority(pod));
        lesser.map(|guest| guest.pod.clone()).collect()
    }

    /// The nodes, as one sees them who looks for a place for `pod`.
    pub(super) fn view<'a>(
        &'a self,
        nodes: &'a [Arc<Node>],
        namespaces: &'a Cache<Namespace>,
        pod: &Pod,
        nobody: &'a Load,
    ) -> View<'a> {
        let place = |node: &'a Arc<Node>| {
            let name = node.name_any();
            let guests = self.guests.get(&name).into_iter().flatten();
            let others = guests.filter(|(_, guest)| {
                guest.pod.metadata.uid != pod.metadata.uid && priority(&guest.pod) >= priority(pod)
            });
            Place {
                node,
                room: load::room(node),
                load: std::borrow::Cow::Borrowed(self.loads.get(&name).unwrap_or(nobody)),
                guests: others.map(|(key, guest)| (key.clone(), guest.clone())).collect(),
            }
        };
        View { places: nodes.iter().map(place).collect(), namespaces }
    }
}

/// Which of those who wait another state of a pod may concern.
fn effect(before: Option<&(Tenant, Seat)>, after: Option<&(Tenant, Seat)>) -> Waits {
    let (Some((old, from)), Some((new, to))) = (before, after) else {
        // A guest is in the way of some, and nobody's company yet.
        let comes = matches!(after, Some((_, Seat::On(_))));
        return Waits { room: before.is_some(), company: before.is_some() || comes };
    };
    let place = |seat: &Seat| match seat {
        Seat::On(node) | Seat::Guest(node) => node.clone(),
    };
    let moved = place(from) != place(to);
    let leaves = |tenant: &Tenant| tenant.pod.metadata.deletion_timestamp.is_some();
    Waits {
        room: moved || old.needs != new.needs,
        company: from != to
            || old.pod.metadata.labels != new.pod.metadata.labels
            || leaves(old) != leaves(new),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::case::tests::pod;
    use super::*;

    const ROOM: Waits = Waits { room: true, company: false };
    const COMPANY: Waits = Waits { room: false, company: true };
    const BOTH: Waits = Waits { room: true, company: true };
    const NOTHING: Waits = Waits { room: false, company: false };

    fn set(board: &mut Board, value: Value) -> Waits {
        let pod = pod(value);
        board.set(&Key::of(&pod), Some(Arc::new(pod)))
    }

    fn on(node: &str, more: Value) -> Value {
        let mut whole = json!({"spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}});
        whole
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().cloned().expect("an object"));
        whole
    }

    #[test]
    fn room_that_is_made_is_kept_before_the_pod_says_so() {
        let key = Key::new("default", "p");
        let mut board = Board::default();
        let waits = pod(json!({"metadata": {"namespace": "default", "name": "p", "uid": "u"}}));
        let waits = Arc::new(waits);
        board.set(&key, Some(waits.clone()));
        let guests = |board: &Board| board.guests.get("n").map_or(0, BTreeMap::len);
        assert_eq!(guests(&board), 0);
        board.promise(&key, "u".into(), "n", waits.clone());
        assert_eq!(guests(&board), 1);
        // It changes otherwise meanwhile.
        board.set(&key, Some(waits.clone()));
        assert_eq!(guests(&board), 1);
        board.release(&key, Some(waits.clone()));
        assert_eq!(guests(&board), 0);
        board.promise(&key, "u".into(), "n", waits.clone());
        let mut another = Pod::clone(&waits);
        another.metadata.uid = Some("other".into());
        board.set(&key, Some(Arc::new(another)));
        assert_eq!(guests(&board), 0, "it is for that one alone");
    }

    #[test]
    fn changes_concern_those_who_wait_for_them() {
        let key = Key::new("default", "p");
        let mut board = Board::default();
        let meta = |more: Value| {
            let mut whole = json!({"metadata": {"namespace": "default", "name": "p", "uid": "u"}});
            whole["metadata"]
                .as_object_mut()
                .expect("an object")
                .extend(more.as_object().cloned().expect("an object"));
            whole
        };
        let mut smaller = on("n", json!({}));
        smaller["spec"]["containers"] = json!([]);
        for (what, value, expected) in [
            ("it waits", json!({}), NOTHING),
            ("it comes", on("n", json!({})), COMPANY),
            ("it runs", on("n", json!({"status": {"phase": "Running"}})), NOTHING),
            ("it has a label", on("n", meta(json!({"labels": {"a": "b"}}))), COMPANY),
            ("it has none", on("n", json!({})), COMPANY),
            ("it asks for less", smaller.clone(), ROOM),
            (
                "it leaves",
                {
                    smaller["metadata"] =
                        meta(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))["metadata"]
                            .clone();
                    smaller
                },
                COMPANY,
            ),
            ("it has ended", on("n", json!({"status": {"phase": "Failed"}})), BOTH),
        ] {
            assert_eq!(set(&mut board, value), expected, "{what}");
        }
        assert_eq!(board.set(&key, None), NOTHING);
        set(&mut board, on("n", json!({})));
        assert_eq!(board.set(&key, None), BOTH);
        assert!(board.loads.is_empty() && board.seats.is_empty());
        let mut guest = on("n", json!({"status": {"nominatedNodeName": "n"}}));
        guest["spec"]["nodeName"] = Value::Null;
        assert_eq!(set(&mut board, guest.clone()), NOTHING);
        assert_eq!(set(&mut board, on("n", json!({}))), COMPANY, "it was waited for there");
        set(&mut board, guest.clone());
        assert_eq!(set(&mut board, on("m", json!({}))), BOTH);
        set(&mut board, guest);
        assert_eq!(set(&mut board, json!({})), BOTH, "nobody makes way any more");
        assert!(board.guests.is_empty());
    }

    #[test]
    fn what_was_bound_is_there_before_it_is_told() {
        let mut board = Board::default();
        let waits = Arc::new(pod(json!({})));
        let key = Key::of(waits.as_ref());
        board.set(&key, Some(waits.clone()));
        assert!(!board.is_bound(&key));
        board.bind(&key, "u".into(), "n", waits.clone());
        assert!(board.is_bound(&key));
        assert_eq!(board.set(&key, Some(waits.clone())), NOTHING, "an old word of it");
        assert!(board.is_bound(&key));
        set(&mut board, on("n", json!({})));
        assert!(board.is_bound(&key) && board.bound.is_empty());
        // One of the same name is another.
        board.bind(&key, "before".into(), "n", waits.clone());
        assert!(!board.is_bound(&key) && board.bound.is_empty());
        board.bind(&key, "u".into(), "n", waits.clone());
        assert_eq!(board.release(&key, Some(waits.clone())), BOTH, "it came to nothing");
        assert!(!board.is_bound(&key) && board.bound.is_empty());
        board.bind(&key, "u".into(), "n", waits);
        assert_eq!(board.set(&key, None), BOTH, "it is gone");
        assert!(board.bound.is_empty() && board.loads.is_empty());
    }

    #[test]
    fn who_waits_is_woken_by_what_it_waits_for() {
        let mut board = Board::default();
        for (name, waits) in
            [("room", ROOM), ("company", COMPANY), ("both", BOTH), ("other", NOTHING)]
        {
            let mut pod = pod(json!({}));
            pod.metadata.name = Some(name.into());
            board.wait(Turn::of(&pod), waits);
        }
        let woken = |board: &Board, what| {
            let mut names: Vec<_> =
                board.woken(what).into_iter().map(|turn| turn.key.name.to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(woken(&board, ROOM), ["both", "room"]);
        assert_eq!(woken(&board, COMPANY), ["both", "company"]);
        board.forget(&Key::new("default", "both"));
        board.set(&Key::new("default", "company"), None);
        assert_eq!(woken(&board, BOTH), ["room"]);
        assert_eq!(woken(&board, NOTHING), [""; 0]);
    }

    #[test]
    fn one_sees_those_guests_whom_one_may_not_overtake() {
        let mut board = Board::default();
        for (name, priority) in [("low", 1), ("same", 5), ("high", 9)] {
            let mut guest =
                pod(json!({"spec": {"priority": priority}, "status": {"nominatedNodeName": "n"}}));
            (guest.metadata.name, guest.metadata.uid) = (Some(name.into()), Some(name.into()));
            board.set(&Key::of(&guest), Some(Arc::new(guest)));
        }
        let node = |status: Value| -> Arc<Node> {
            Arc::new(
                serde_json::from_value(json!({"metadata": {"name": "n"}, "status": status}))
                    .expect("a Node"),
            )
        };
        let (nobody, namespaces) = (Load::default(), Cache::new());
        let seen = |pod: &Pod, status: Value| {
            let nodes = [node(status)];
            let view = board.view(&nodes, &namespaces, pod, &nobody);
            let names = |place: &Place<'_>| {
                place.guests.iter().map(|(key, _)| key.name.to_string()).collect::<Vec<_>>()
            };
            view.places.iter().map(names).collect::<Vec<_>>()
        };
        let asked = pod(json!({"spec": {"priority": 5}}));
        let has = || json!({"allocatable": {"pods": "1"}});
        assert_eq!(seen(&asked, has()), [["high", "same"]]);
        let itself = pod(json!({"metadata": {"uid": "same"}, "spec": {"priority": 5}}));
        assert_eq!(seen(&itself, has()), [["high"]]);
        assert_eq!(seen(&asked, json!({})), [["high", "same"]], "it does not tell what it has");
        let rivals = board.rivals("n", &asked);
        assert_eq!(rivals.iter().map(|pod| pod.name_any()).collect::<Vec<_>>(), ["low"]);
    }
}
