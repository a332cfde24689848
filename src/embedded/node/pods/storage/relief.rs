//! What is done when the node's disk is short of room: unused images go first, then what pods have left that have ended,
//! then pods, one at a time.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pressure::{self, Candidate, Pressure, Shortage};
use super::{Eviction, Order, Room, Usage};
use crate::node::images::{self, Image};
use crate::node::link;
use crate::node::pods::context::{Context, Entry};

/// Between two removals of images: a shim is started for each.
const IMAGES_AGAIN: Duration = Duration::from_secs(60);
/// How long the files of an evicted pod may take to go until another is evicted.
const LEAVING: Duration = Duration::from_secs(60);

/// What is done, and was done last.
#[derive(Debug, Default)]
pub(super) struct Relief {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pressure: Pressure,
    images_at: Option<Instant>,
    /// The directory of the pod that was evicted last, and when.
    leaving: Option<(PathBuf, Instant)>,
    /// Uids of the ended pods whose files were asked to go.
    cleared: HashSet<String>,
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
        self.state(|state| state.pressure.note(short, Instant::now()))
    }

    /// Whether images were not looked at for long enough; then they are now.
    fn takes_images(&self) -> bool {
        let now = Instant::now();
        let rests = |at: Instant| now.saturating_duration_since(at) < IMAGES_AGAIN;
        self.state(|state| {
            let due = !state.images_at.is_some_and(rests);
            if due {
                state.images_at = Some(now);
            }
            due
        })
    }

    /// Whether what an evicted pod took may become free still.
    fn waits(&self) -> bool {
        self.state(|state| match &state.leaving {
            Some((dir, since)) => since.elapsed() < LEAVING && dir.exists(),
            None => false,
        })
    }
}

/// Makes room if there is too little, with what was measured of the pods.
pub(super) async fn relieve(ctx: &Context, entries: &[Entry]) {
    let room = || Room::of(&ctx.config.home);
    if room().and_then(|room| pressure::of_images(&room)).is_some()
        && ctx.storage.relief.takes_images()
    {
        remove_images(ctx, entries).await;
    }
    let Some(shortage) = room().and_then(|room| pressure::of_pods(&room)) else { return };
    if !clear_ended(ctx, entries) && !ctx.storage.relief.waits() {
        evict_one(ctx, entries, &shortage);
    }
}

/// Removes images that no pod names. What was given to this machine would not come again, and stays.
async fn remove_images(ctx: &Context, entries: &[Entry]) {
    let named: BTreeSet<&String> = entries.iter().flat_map(|entry| &entry.terms.images).collect();
    let unused = match images::list(&ctx.config.home) {
        Ok(all) => unused(all, &named),
        Err(error) => return tracing::warn!(%error, "the images that no pod uses are not known"),
    };
    tracing::info!(images = unused.join(", "), "the disk is short of room: removing unused images");
    if let Err(error) = link::remove_images(&ctx.supervisor, &ctx.config, unused).await {
        tracing::warn!(error, "not all unused images were removed");
    }
}

/// Those that can be had again and that nobody names.
fn unused(all: BTreeMap<String, Image>, named: &BTreeSet<&String>) -> Vec<String> {
    let goes = |(name, image): &(String, Image)| image.pulled && !named.contains(name);
    all.into_iter().filter(goes).map(|(name, _)| name).collect()
}

/// Has the files of pods go that have ended; whether there are any that were not asked to.
fn clear_ended(ctx: &Context, entries: &[Entry]) -> bool {
    let ended = entries.iter().filter(|entry| !super::goes_on(entry) && entry.places.dir.exists());
    let ended: Vec<&Entry> = ended.collect();
    let news = ctx.storage.relief.state(|state| {
        state.cleared.retain(|uid| ended.iter().any(|entry| entry.pod.uid == *uid));
        let new = |entry: &&&Entry| state.cleared.insert(entry.pod.uid.clone());
        ended.iter().filter(new).copied().collect::<Vec<_>>()
    });
    for entry in &news {
        // One that has not ended yet keeps them.
        let _ = entry.orders.send(Order::Clear);
    }
    !news.is_empty()
}

fn evict_one(ctx: &Context, entries: &[Entry], shortage: &Shortage) {
    let running = entries.iter().filter(|entry| super::goes_on(entry));
    let measured: Vec<(&Entry, Arc<Usage>)> =
        running.filter_map(|entry| Some((entry, ctx.storage.of(&entry.pod.uid)?))).collect();
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
    let leaving = Some((entry.places.dir.clone(), Instant::now()));
    ctx.storage.relief.state(|state| state.leaving = leaving);
    // Its worker may have ended meanwhile.
    let _ = entry.orders.send(Order::Evict(Eviction { message, by_node: true }));
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let relief = Relief::default();
        assert!(relief.takes_images() && !relief.takes_images(), "not all the time");
        assert!(!relief.waits());
        let pod = dir.path().join("pod");
        std::fs::create_dir(&pod).unwrap();
        let leaves = |since| relief.state(|state| state.leaving = Some((pod.clone(), since)));
        leaves(Instant::now());
        assert!(relief.waits());
        leaves(Instant::now().checked_sub(LEAVING).unwrap());
        assert!(!relief.waits(), "it takes too long");
        leaves(Instant::now());
        std::fs::remove_dir(&pod).unwrap();
        assert!(!relief.waits());
    }
}
