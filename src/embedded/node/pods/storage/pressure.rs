//! When the node's disk is short of room, and which pod goes for it. Pure.
//!
//! A kubelet keeps a tenth of the file system free, and 15 % before it removes images. That suits machines which run
//! nothing else; on a laptop, whose disk is 91 % full for years, it would evict everything. So both are bounded here: what
//! the API server needs to go on is a matter of bytes, not of shares.
//!
//! | what is free | what is done |
//! |---|---|
//! | less than 15 %, and than 1 GiB | images of registries that no pod uses are removed |
//! | less than 10 %, and than 512 MiB | `DiskPressure`: nothing more is scheduled here; what ended pods have left is removed, and then pods are evicted, one at a time |
//! | less than 5 % of the inodes, and than 10 000 | both |
//!
//! Pulling an image stops where 1 GiB is free (or an eighth of what was, see `images::budget`): it alone never has a pod
//! evicted. A file system that has no fixed number of inodes is never short of them.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use super::room::{Part, kept};
use super::{Room, Terms, Usage};
use crate::quantity::Quantity;

/// For how long there must be room again until the node says so.
const CALM: Duration = Duration::from_secs(30);
/// Who takes less would free nothing by its end.
const LEAST_BYTES: u64 = 1 << 20;
const LEAST_INODES: u64 = 100;

/// What there may be too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Bytes,
    Inodes,
}

impl Resource {
    /// As a kubelet calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bytes => "ephemeral-storage",
            Self::Inodes => "inodes",
        }
    }

    fn quantity(self, amount: u64) -> Quantity {
        match self {
            Self::Bytes => Quantity::bytes(amount),
            Self::Inodes => Quantity::count(usize::try_from(amount).unwrap_or(usize::MAX)),
        }
    }
}

/// Something of which less is free than there should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shortage {
    pub(super) resource: Resource,
    pub(super) threshold: u64,
    pub(super) available: u64,
}

fn share(capacity: u64, percent: u64, most: u64) -> u64 {
    (capacity / 100 * percent).min(most)
}

/// What there is too little of to leave unused images where they are.
pub(super) fn of_images(room: &Room) -> Option<Shortage> {
    below(Resource::Bytes, room.bytes, share(room.bytes.capacity, 15, 1 << 30))
        .or_else(|| of_inodes(room))
}

/// What there is too little of to run all pods.
pub(super) fn of_pods(room: &Room) -> Option<Shortage> {
    below(Resource::Bytes, room.bytes, kept(room.bytes.capacity)).or_else(|| of_inodes(room))
}

fn of_inodes(room: &Room) -> Option<Shortage> {
    below(Resource::Inodes, room.inodes, share(room.inodes.capacity, 5, 10_000))
}

fn below(resource: Resource, part: Part, threshold: u64) -> Option<Shortage> {
    let available = part.available;
    (available < threshold).then_some(Shortage { resource, threshold, available })
}

/// Whether the node has said that it is under pressure, and since when there is none.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    pub(super) told: bool,
    calm_since: Option<Instant>,
}

impl Pressure {
    /// Notes what there is; whether that is news to tell.
    pub(super) fn note(&mut self, short: bool, now: Instant) -> bool {
        if short {
            self.calm_since = None;
            return !std::mem::replace(&mut self.told, true);
        }
        let since = *self.calm_since.get_or_insert(now);
        let calm = now.saturating_duration_since(since) >= CALM;
        self.told && calm && std::mem::replace(&mut self.told, false)
    }
}

/// A pod that could go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) terms: &'a Terms,
    pub(super) usage: &'a Usage,
}

impl Candidate<'_> {
    fn uses(&self, resource: Resource) -> Quantity {
        let total = self.usage.total();
        resource.quantity(match resource {
            Resource::Bytes => total.bytes,
            Resource::Inodes => total.inodes,
        })
    }

    /// What it takes beyond what it asked for. Nobody can ask for inodes.
    fn excess(&self, resource: Resource) -> Quantity {
        let asked = match resource {
            Resource::Bytes => self.terms.request.unwrap_or(Quantity::ZERO),
            Resource::Inodes => Quantity::ZERO,
        };
        self.uses(resource).less(asked)
    }

    /// Whether its end would help.
    pub(super) fn takes_enough(&self, resource: Resource) -> bool {
        let least = match resource {
            Resource::Bytes => LEAST_BYTES,
            Resource::Inodes => LEAST_INODES,
        };
        self.uses(resource) >= resource.quantity(least)
    }

    /// Whether it may go, and whether that would help.
    fn is_worth_it(&self, resource: Resource) -> bool {
        !self.terms.is_critical() && self.takes_enough(resource)
    }
}

/// The pod that goes first, by number: who takes more than it asked for, then who has the lower priority, then who takes
/// the most more.
pub(super) fn first(candidates: &[Candidate<'_>], resource: Resource) -> Option<usize> {
    let order = |one: &Candidate<'_>, other: &Candidate<'_>| {
        let (first, second) = (one.excess(resource), other.excess(resource));
        let exceeds = |excess: Quantity| excess > Quantity::ZERO;
        let by_excess = second.partial_cmp(&first).unwrap_or(Ordering::Equal);
        exceeds(second)
            .cmp(&exceeds(first))
            .then(one.terms.priority.cmp(&other.terms.priority))
            .then(by_excess)
    };
    let able = candidates.iter().enumerate().filter(|(_, one)| one.is_worth_it(resource));
    able.min_by(|(_, one), (_, other)| order(one, other)).map(|(number, _)| number)
}

/// Why a pod goes, in a kubelet's words.
pub(super) fn message(shortage: &Shortage, candidate: &Candidate<'_>) -> String {
    let Shortage { resource, threshold, available } = *shortage;
    let (name, quantity) = (resource.name(), |amount| resource.quantity(amount));
    let mut text = format!(
        "The node was low on resource: {name}. Threshold quantity: {}, available: {}. ",
        quantity(threshold),
        quantity(available)
    );
    if resource == Resource::Inodes {
        return text;
    }
    for (container, used) in &candidate.usage.containers {
        let used = quantity(used.total().bytes);
        let request = candidate.terms.requests.get(container).copied().unwrap_or(Quantity::ZERO);
        if used > request {
            text.push_str(&format!(
                "Container {container} was using {used}, request is {request}, has larger consumption of {name}. "
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::ContainerUsage;
    use super::super::terms::CRITICAL;
    use super::*;
    use crate::node::shim::DiskUsage;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;

    fn room(capacity: u64, available: u64, inodes: (u64, u64)) -> Room {
        let part = |capacity, available| Part { capacity, available, used: capacity - available };
        Room { bytes: part(capacity, available), inodes: part(inodes.0, inodes.1) }
    }

    #[test]
    fn a_large_disk_that_is_nearly_full_has_room_and_a_small_one_has_not() {
        let plenty = (1_000_000, 900_000);
        for (room, images, pods) in [
            // A laptop at 91 % and at 99 %.
            (room(500 * GIB, 45 * GIB, plenty), false, false),
            (room(500 * GIB, 5 * GIB, plenty), false, false),
            (room(500 * GIB, GIB - 1, plenty), true, false),
            (room(500 * GIB, 512 * MIB, plenty), true, false),
            (room(500 * GIB, 512 * MIB - 1, plenty), true, true),
            // A disk so small that shares are less.
            (room(1000 * MIB, 150 * MIB, plenty), false, false),
            (room(1000 * MIB, 149 * MIB, plenty), true, false),
            (room(1000 * MIB, 99 * MIB, plenty), true, true),
            // Inodes: a share of few, a number of many, and a file system that makes them as they are needed.
            (room(500 * GIB, 45 * GIB, (100_000, 5000)), false, false),
            (room(500 * GIB, 45 * GIB, (100_000, 4999)), true, true),
            (room(500 * GIB, 45 * GIB, (10_000_000, 10_000)), false, false),
            (room(500 * GIB, 45 * GIB, (10_000_000, 9999)), true, true),
            (room(500 * GIB, 45 * GIB, (0, 0)), false, false),
        ] {
            assert_eq!(of_images(&room).is_some(), images, "{room:?}");
            assert_eq!(of_pods(&room).is_some(), pods, "{room:?}");
        }
        // What a pull leaves does not have a pod evicted.
        let left = crate::node::images::reserve(500 * GIB);
        assert_eq!(of_pods(&room(500 * GIB, left, plenty)), None);
    }

    #[test]
    fn pressure_is_told_at_once_and_its_end_after_a_while() {
        let (mut pressure, start) = (Pressure::default(), Instant::now());
        let mut at =
            |seconds: u64, short: bool| pressure.note(short, start + Duration::from_secs(seconds));
        assert!(!at(0, false));
        assert!(at(10, true));
        assert!(!at(20, true), "it is told already");
        assert!(!at(30, false), "it may come back");
        assert!(!at(40, true));
        assert!(!at(50, false));
        assert!(!at(79, false));
        assert!(at(80, false));
        assert!(!at(90, false));
    }

    fn of(bytes: u64, inodes: u64) -> DiskUsage {
        DiskUsage { bytes, inodes }
    }

    fn terms(request: &str, priority: i32) -> Terms {
        let request = Quantity::parse(request);
        let requests = request.map(|request| ("main".to_owned(), request)).into_iter().collect();
        Terms { request, requests, priority, ..Terms::default() }
    }

    fn usage(root: DiskUsage, volume: DiskUsage) -> Usage {
        Usage {
            containers: BTreeMap::from([(
                "main".to_owned(),
                ContainerUsage { root, logs: DiskUsage::default() },
            )]),
            volumes: BTreeMap::from([("v".to_owned(), volume)]),
            ..Usage::default()
        }
    }

    #[test]
    fn who_takes_more_than_it_asked_for_goes_first_and_who_frees_nothing_stays() {
        // Pods by name: what was asked for, priority, MiB and inodes that are taken.
        for (pods, bytes, inodes) in [
            (
                vec![("large", "", 0, 30, 300), ("small", "", 0, 20, 500)],
                Some("large"),
                Some("small"),
            ),
            (vec![("asked", "50Mi", 0, 40, 10), ("more", "1Mi", 0, 3, 10)], Some("more"), None),
            (vec![("asked", "50Mi", 0, 60, 10), ("more", "1Mi", 0, 20, 10)], Some("more"), None),
            (vec![("high", "", 9, 90, 900), ("low", "", 1, 10, 100)], Some("low"), Some("low")),
            // Priority counts only among those that are alike in that.
            (vec![("within", "50Mi", 0, 40, 10), ("beyond", "", 9, 5, 10)], Some("beyond"), None),
            (
                vec![("within", "50Mi", 0, 40, 10), ("less", "50Mi", 0, 10, 10)],
                Some("within"),
                None,
            ),
            (vec![("system", "", CRITICAL, 90, 900)], None, None),
            (vec![("nothing", "", 0, 0, 5)], None, None),
            (vec![], None, None),
        ] {
            let made: Vec<(Terms, Usage)> = pods
                .iter()
                .map(|(_, request, priority, mib, inodes)| {
                    (terms(request, *priority), usage(of(mib * MIB, *inodes), of(0, 0)))
                })
                .collect();
            let candidates: Vec<Candidate<'_>> =
                made.iter().map(|(terms, usage)| Candidate { terms, usage }).collect();
            let named = |resource| first(&candidates, resource).map(|number| pods[number].0);
            assert_eq!(named(Resource::Bytes), bytes, "{pods:?}");
            assert_eq!(named(Resource::Inodes), inodes, "{pods:?}");
        }
    }

    #[test]
    fn an_eviction_is_told_in_a_kubelets_words() {
        let told = |request: &str, resource| {
            let (terms, usage) = (terms(request, 0), usage(of(20 * MIB, 9), of(5 * MIB, 1)));
            let shortage = Shortage { resource, threshold: 512 * MIB, available: 300 * MIB };
            message(&shortage, &Candidate { terms: &terms, usage: &usage })
        };
        let low = "The node was low on resource: ephemeral-storage. Threshold quantity: 512Mi, available: 300Mi. ";
        let more = "Container main was using 20Mi, request is 0, has larger consumption of ephemeral-storage. ";
        assert_eq!(told("", Resource::Bytes), format!("{low}{more}"));
        assert_eq!(told("20Mi", Resource::Bytes), low);
        let inodes = told("", Resource::Inodes);
        assert!(
            inodes.starts_with("The node was low on resource: inodes. Threshold quantity: "),
            "{inodes}"
        );
        assert!(!inodes.contains("Container"), "{inodes}");
    }
}
