//! What is done when the node's disk is short of room: unused images go first, then what pods have left that have ended,
//! then pods, one at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pressure::{self, Candidate, Pressure, Shortage};
use super::{Eviction, Order, Room, Usage};
use crate::node::images::{self, Image};
use crate::node::link;
use crate::node::pods::context::{Context, Entry, Stage};

/// Between two removals of images: a shim is started for each.
const IMAGES_AGAIN: Duration = Duration::from_secs(60);
/// The longest that a removal of images takes.
const REMOVAL_LIMIT: Duration = Duration::from_secs(60);
/// For how long nobody is evicted because pods are being measured still: who takes most may not be known yet.
const MEASURING: Duration = Duration::from_secs(20);
/// How long a pod may take to end, and its files to go, until another is evicted.
const LEAVING: Duration = Duration::from_secs(60);

/// What is to be expected of pods.
#[derive(Debug, Clone, Copy)]
enum Soon {
    /// Some that end by themselves, or what ended ones have left, make room.
    Free,
    /// It is known what they take.
    Known,
}

/// What is done, and was done last.
#[derive(Debug, Default)]
pub(super) struct Relief {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pressure: Pressure,
    images_at: Option<Instant>,
    /// Images are being removed.
    removing: bool,
    /// Who was told to go, by uid, and when. Whoever hears of it may be busy.
    told: HashMap<String, Instant>,
    /// The directory of the pod that was evicted last, and when.
    leaving: Option<(PathBuf, Instant)>,
    /// Since when others have been kept from being evicted, by pods that end by themselves or are being measured.
    patient_since: Option<Instant>,
    /// Ended pods whose files were asked to go, by uid, and when.
    cleared: HashMap<String, Instant>,
}

impl Relief {
    fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the node is under pressure, as it tells.
    pub(super) fn is_under_pressure(&self) -> bool {
        self.state(|state| state.pressure.told)
    }

    /// Notes how much room there is; whether the node has something else to tell now.
    pub(super) fn note(&self, short: bool) -> bool {
        self.state(|state| {
            if !short {
                state.patient_since = None;
            }
            state.pressure.note(short, Instant::now())
        })
    }

    /// These pods, as they are once those have heard of it that were told to go.
    pub(super) fn seen(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        self.state(|state| {
            for entry in entries.iter_mut().filter(|entry| entry.stage == Stage::On) {
                if let Some(since) = state.told.get(&entry.pod.uid) {
                    entry.stage = Stage::Ending(*since);
                }
            }
        });
        entries
    }

    /// Notes who is told to go.
    pub(super) fn orders(&self, uid: &str, now: Instant) {
        self.state(|state| state.told.insert(uid.to_owned(), now));
    }

    /// Forgets all but these pods.
    fn keep(&self, entries: &[Entry]) {
        let uids: HashSet<&str> = entries.iter().map(|entry| entry.pod.uid.as_str()).collect();
        self.state(|state| state.told.retain(|uid, _| uids.contains(uid.as_str())));
    }

    /// Whether images were not looked at for long enough; then they are now.
    fn takes_images(&self, now: Instant) -> bool {
        let rests = |at: Instant| now.saturating_duration_since(at) < IMAGES_AGAIN;
        self.state(|state| {
            let due = !state.removing && !state.images_at.is_some_and(rests);
            if due {
                (state.images_at, state.removing) = (Some(now), true);
            }
            due
        })
    }

    /// Others have their turn before the next removal, however long this one took.
    fn has_removed(&self, now: Instant) {
        self.state(|state| (state.images_at, state.removing) = (Some(now), false));
    }

    fn is_removing(&self) -> bool {
        self.state(|state| state.removing)
    }

    /// Whether something may become free still, or be known: what an evicted pod took, or what others take. There may
    /// always be such ones, so that all of them together are waited for no longer than one is.
    fn waits(&self, soon: Option<Soon>, now: Instant) -> bool {
        let is_within = |since: Instant, most| now.saturating_duration_since(since) < most;
        self.state(|state| {
            let evicted = state.leaving.as_ref();
            if evicted.is_some_and(|(dir, since)| is_within(*since, LEAVING) && dir.exists()) {
                return true;
            }
            let most = match soon {
                Some(Soon::Free) => LEAVING,
                Some(Soon::Known) => MEASURING,
                None => return false,
            };
            is_within(*state.patient_since.get_or_insert(now), most)
        })
    }

    /// Notes that the files of these ended pods, all that have any, are to go. Those who were not asked before, and
    /// whether some may be going still.
    fn clears(&self, ended: &[&str], now: Instant) -> (HashSet<String>, bool) {
        let is_going = |since: &Instant| now.saturating_duration_since(*since) < LEAVING;
        self.state(|state| {
            state.cleared.retain(|uid, _| ended.contains(&uid.as_str()));
            let known = |uid: &&&str| !state.cleared.contains_key(**uid);
            let new: HashSet<String> =
                ended.iter().filter(known).map(|uid| (*uid).to_owned()).collect();
            state.cleared.extend(new.iter().map(|uid| (uid.clone(), now)));
            (new, state.cleared.values().any(is_going))
        })
    }

    /// Notes who is evicted.
    fn evicts(&self, dir: PathBuf, now: Instant) {
        self.state(|state| {
            state.leaving = Some((dir, now));
            state.patient_since = None;
        });
    }
}

/// Makes room if there is too little, with what is known of the pods, while some may be measured still. Begins what takes
/// time, and goes on when that has ended.
pub(super) fn relieve(ctx: &Arc<Context>, entries: &[Entry], measuring: bool) {
    let (relief, now) = (&ctx.storage.relief, Instant::now());
    relief.keep(entries);
    // Who is missing may use an image, or take more than those who are here.
    if !ctx.board.is_whole() {
        return;
    }
    let Some(room) = Room::of(&ctx.config.home) else { return };
    if pressure::of_images(&room).is_some() && relief.takes_images(now) {
        remove_images(ctx, entries);
    }
    let Some(shortage) = pressure::of_pods(&room) else { return };
    if relief.is_removing() {
        return;
    }
    let clears = clear_ended(ctx, entries, now);
    let usage = |uid: &str| ctx.storage.at_least(uid);
    let soon = match clears || ends_soon(entries, usage, &shortage, now) {
        true => Some(Soon::Free),
        false => measuring.then_some(Soon::Known),
    };
    if !relief.waits(soon, now) {
        evict_one(ctx, entries, &shortage);
    }
}

/// Removes images that no pod names. What was given to this machine would not come again, and stays.
fn remove_images(ctx: &Arc<Context>, entries: &[Entry]) {
    let named: BTreeSet<&String> = entries.iter().flat_map(|entry| &entry.terms.images).collect();
    let unused = match images::list(&ctx.config.home) {
        Ok(all) => unused(all, &named),
        Err(error) => {
            tracing::warn!(%error, "the images that no pod uses are not known");
            Vec::new()
        }
    };
    let removing = Removing(ctx.clone());
    if unused.is_empty() {
        return;
    }
    tracing::info!(images = unused.join(", "), "the disk is short of room: removing unused images");
    tokio::spawn(async move {
        let Removing(ctx) = &removing;
        let removed = link::remove_images(&ctx.supervisor, &ctx.config, unused);
        let removed = tokio::time::timeout(REMOVAL_LIMIT, removed).await;
        let late = || Err(format!("it took longer than {} s", REMOVAL_LIMIT.as_secs()));
        if let Err(error) = removed.unwrap_or_else(|_| late()) {
            tracing::warn!(error, "not all unused images were removed");
        }
    });
}

/// Images are being removed as long as this is there.
struct Removing(Arc<Context>);

impl Drop for Removing {
    fn drop(&mut self) {
        self.0.storage.relief.has_removed(Instant::now());
        self.0.storage.wake.notify_one();
    }
}

/// Those that can be had again and that nobody names.
fn unused(all: BTreeMap<String, Image>, named: &BTreeSet<&String>) -> Vec<String> {
    let goes = |(name, image): &(String, Image)| image.pulled && !named.contains(name);
    all.into_iter().filter(goes).map(|(name, _)| name).collect()
}

/// Whether pods end by themselves that take enough, or may do so, and have not taken too long to end.
fn ends_soon(
    entries: &[Entry],
    usage: impl Fn(&str) -> Option<Arc<Usage>>,
    shortage: &Shortage,
    now: Instant,
) -> bool {
    entries.iter().any(|entry| {
        let Stage::Ending(since) = entry.stage else { return false };
        let (terms, usage) = (&entry.terms, usage(&entry.pod.uid));
        let takes = |usage: &Usage| Candidate { terms, usage }.takes_enough(shortage.resource);
        now.saturating_duration_since(since) < LEAVING && usage.as_deref().is_none_or(takes)
    })
}

/// Who could be evicted: what each takes is known, and none of them ends already.
fn evictable(
    entries: &[Entry],
    usage: impl Fn(&str) -> Option<Arc<Usage>>,
) -> Vec<(&Entry, Arc<Usage>)> {
    let on = entries.iter().filter(|entry| entry.stage == Stage::On);
    on.filter_map(|entry| Some((entry, usage(&entry.pod.uid)?))).collect()
}

/// Has the files of pods go that have ended; whether some may be going.
fn clear_ended(ctx: &Context, entries: &[Entry], now: Instant) -> bool {
    let over = |entry: &&Entry| entry.stage == Stage::Over && entry.places.dir.exists();
    let ended: Vec<&Entry> = entries.iter().filter(over).collect();
    let uids: Vec<&str> = ended.iter().map(|entry| &*entry.pod.uid).collect();
    let (new, going) = ctx.storage.relief.clears(&uids, now);
    for entry in ended.iter().filter(|entry| new.contains(&entry.pod.uid)) {
        // One that has not ended yet keeps them.
        let _ = entry.orders.send(Order::Clear);
    }
    going
}

fn evict_one(ctx: &Context, entries: &[Entry], shortage: &Shortage) {
    let measured = evictable(entries, |uid| ctx.storage.at_least(uid));
    let candidates: Vec<Candidate<'_>> =
        measured.iter().map(|(entry, usage)| Candidate { terms: &entry.terms, usage }).collect();
    let Some(number) = pressure::first(&candidates, shortage.resource) else {
        tracing::warn!(
            home = %ctx.config.home.display(),
            free = shortage.available,
            kept = shortage.threshold,
            "the disk is short of {}, and no pod takes enough of it: make room",
            shortage.resource.name()
        );
        return;
    };
    let ((entry, _), message) =
        (&measured[number], pressure::message(shortage, &candidates[number]));
    ctx.storage.relief.evicts(entry.places.dir.clone(), Instant::now());
    super::evict(ctx, entry, Eviction { message, by_node: true });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::shim::DiskUsage;

    #[test]
    fn only_images_that_can_be_had_again_and_that_nobody_names_go() {
        let image = |pulled| Image {
            id: String::new(),
            layers: Vec::new(),
            config: images::ImageConfig::default(),
            size: 1,
            pulled,
        };
        let all = [("named", true), ("given", false), ("idle", true)];
        let all = all.map(|(name, pulled)| (name.to_owned(), image(pulled)));
        let named = "named".to_owned();
        assert_eq!(unused(BTreeMap::from(all), &BTreeSet::from([&named])), ["idle"]);
    }

    #[test]
    fn one_after_the_other_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (relief, now) = (Relief::default(), Instant::now());
        assert!(relief.takes_images(now) && relief.is_removing());
        assert!(!relief.takes_images(now + IMAGES_AGAIN), "that has not ended");
        let ended = now + IMAGES_AGAIN;
        relief.has_removed(ended);
        assert!(!relief.is_removing() && !relief.takes_images(ended), "not all the time");
        assert!(relief.takes_images(ended + IMAGES_AGAIN));
        assert!(!relief.waits(None, now));
        let pod = dir.path().join("pod");
        std::fs::create_dir(&pod).unwrap();
        relief.evicts(pod.clone(), now);
        assert!(relief.waits(None, now));
        assert!(!relief.waits(None, now + LEAVING), "it takes too long");
        std::fs::remove_dir(&pod).unwrap();
        assert!(!relief.waits(None, now));
    }

    #[test]
    fn those_who_end_by_themselves_are_waited_for_and_not_for_ever() {
        let (relief, start) = (Relief::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let waits = |seconds: u64| relief.waits(Some(Soon::Free), at(seconds));
        assert!(waits(0) && waits(59));
        // There is one after the other.
        assert!(!waits(60) && !waits(70));
        relief.evicts(PathBuf::from("/nowhere"), at(70));
        assert!(waits(71) && waits(130) && !waits(131), "what it left may be enough");
        relief.note(false);
        assert!(waits(200), "another shortage");
    }

    #[test]
    fn what_ended_pods_have_left_is_waited_for_while_it_goes() {
        let (relief, start) = (Relief::default(), Instant::now());
        let clears = |ended: &[&str], seconds| {
            let (new, going) = relief.clears(ended, start + Duration::from_secs(seconds));
            (new.into_iter().collect::<Vec<_>>(), going)
        };
        let none = Vec::<String>::new;
        assert_eq!(clears(&["one"], 0), (vec!["one".to_owned()], true));
        // The next look may follow at once.
        assert_eq!(clears(&["one"], 0), (none(), true));
        assert_eq!(clears(&["one", "other"], 59), (vec!["other".to_owned()], true));
        assert_eq!(
            clears(&["one"], 60),
            (none(), false),
            "it takes too long, and the other is gone"
        );
        assert_eq!(clears(&[], 61), (none(), false));
    }

    #[test]
    fn who_is_being_measured_is_waited_for_and_not_for_ever() {
        let (relief, start) = (Relief::default(), Instant::now());
        let waits = |soon, seconds| relief.waits(soon, start + Duration::from_secs(seconds));
        assert!(waits(Some(Soon::Known), 0) && waits(Some(Soon::Known), 19));
        assert!(!waits(None, 19), "all is known");
        assert!(!waits(Some(Soon::Known), 20));
    }

    #[test]
    fn who_was_told_to_go_is_not_told_again() {
        let (relief, now) = (Relief::default(), Instant::now());
        let on = || vec![Entry::of("busy", Stage::On), Entry::of("other", Stage::On)];
        relief.orders("busy", now);
        let stages = |entries: Vec<Entry>| entries.iter().map(|one| one.stage).collect::<Vec<_>>();
        assert_eq!(stages(relief.seen(on())), [Stage::Ending(now), Stage::On]);
        assert_eq!(stages(relief.seen(vec![Entry::of("busy", Stage::Over)])), [Stage::Over]);
        relief.keep(&[Entry::of("other", Stage::On)]);
        assert_eq!(stages(relief.seen(on())), [Stage::On; 2]);
    }

    #[test]
    fn who_ends_already_is_not_evicted_and_makes_room_by_itself() {
        const MIB: u64 = 1 << 20;
        let (start, resource) = (Instant::now(), pressure::Resource::Bytes);
        let shortage = Shortage { resource, threshold: 9, available: 1 };
        let known = |mib: u64| {
            let volumes = [("v".to_owned(), DiskUsage { bytes: mib * MIB, inodes: 1 })].into();
            Some(Arc::new(Usage { volumes, ..Usage::default() }))
        };
        let usage = |uid: &str| match uid {
            "unknown" => None,
            "small" => known(0),
            _ => known(50),
        };
        let ending = |uid: &str| Entry::of(uid, Stage::Ending(start));
        let others = ["large", "unknown"].map(|uid| Entry::of(uid, Stage::On));
        let entries = |more: Entry| [&others[..], &[more]].concat();
        for (more, seconds, soon) in [
            (ending("endless"), 0, true),
            (ending("endless"), 59, true),
            (ending("endless"), 60, false),
            (ending("small"), 0, false),
            (ending("unknown"), 0, true),
            (Entry::of("ended", Stage::Over), 0, false),
        ] {
            let name = more.pod.uid.clone();
            let (entries, now) = (entries(more), start + Duration::from_secs(seconds));
            assert_eq!(ends_soon(&entries, usage, &shortage, now), soon, "{name} {seconds}");
            let able = evictable(&entries, usage);
            let able: Vec<&str> = able.iter().map(|(entry, _)| &*entry.pod.uid).collect();
            assert_eq!(able, ["large"], "{name}");
        }
    }
}
