//! Server-side apply and field managers do what their model says, whatever came before.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::documents::{Table, document, documents, flat, inside, kind};
use super::managers::{Model, Odds, owners};
use super::{Verdict, holds};
use crate::managed::{ApplyError, Reset, Writer, apply, update};

#[derive(Clone, Debug)]
enum Act {
    Apply {
        manager: &'static str,
        said: Value,
        force: bool,
    },
    Update {
        manager: &'static str,
        becomes: Value,
    },
    /// The server sets what nobody owns, where it is not set.
    Default {
        place: &'static str,
        value: u8,
    },
}

/// What the server sets where nobody did.
const PLACES: [&str; 5] =
    ["/spec/a", "/spec/deep/y", "/spec/deep/inner", "/spec/parts/0/w", "/metadata/annotations"];

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let apply = (select(&["one", "two", "three"][..]), documents(), any::<bool>())
        .prop_map(|(manager, said, force)| Act::Apply { manager, said, force });
    let update = (select(&["kubectl", "controller"][..]), documents())
        .prop_map(|(manager, becomes)| Act::Update { manager, becomes });
    let default =
        (select(&PLACES[..]), 0..3_u8).prop_map(|(place, value)| Act::Default { place, value });
    proptest::collection::vec(prop_oneof![4 => apply, 1 => update, 1 => default], 1..8)
}

/// A document and its model, in step.
#[derive(Clone, Default)]
struct World {
    live: Option<Value>,
    model: Model,
    time: u32,
}

impl World {
    fn now(&mut self) -> String {
        self.time += 1;
        format!("2026-01-01T00:{:02}:{:02}Z", self.time / 60, self.time % 60)
    }

    fn apply(&mut self, manager: &str, said: &Value, force: bool) -> Result<(), Odds> {
        let (schema, now) = (kind(), self.now());
        match apply(self.live.as_ref(), said, &writer(manager, &now), force, schema.root()) {
            Ok(live) => {
                self.live = Some(live);
                Ok(())
            }
            Err(ApplyError::Conflicts(found)) => {
                // As messages name a manager: quoted, then what else is known of it.
                let name = |text: &str| text.split('"').nth(1).unwrap_or_default().to_owned();
                let found = found.0.into_iter().map(|one| (name(&one.manager), one.field));
                Err(found.collect())
            }
            Err(error @ ApplyError::ManagedFields) => panic!("{error}"),
        }
    }

    fn update(&mut self, manager: &str, becomes: &Value) {
        let (schema, now) = (kind(), self.now());
        let mut new = becomes.clone();
        update(self.live.as_ref(), &mut new, &writer(manager, &now), schema.root());
        self.live = Some(new);
    }

    /// One act on both; they agree on what comes of it.
    fn act(&mut self, act: &Act) -> Verdict {
        match act {
            Act::Apply { manager, said, force } => {
                let before = self.live.clone();
                let done = self.apply(manager, said, *force);
                let expected = self.model.apply(manager, &flat(said), *force);
                prop_assert_eq!(&done, &expected, "conflicts");
                if done.is_err() {
                    prop_assert_eq!(&self.live, &before);
                }
            }
            Act::Update { manager, becomes } => {
                self.update(manager, becomes);
                self.model.update(manager, flat(becomes));
            }
            Act::Default { place, value } => self.fill(place, *value),
        }
        let Some(live) = &self.live else { return Ok(()) };
        prop_assert_eq!(&flat(live), &self.model.live, "what is there after {:?}", act);
        prop_assert_eq!(&owners(live), &self.model.owned, "who owns it after {:?}", act);
        prop_assert_eq!(&live["metadata"]["name"], "law");
        Ok(())
    }

    fn fill(&mut self, place: &str, value: u8) {
        let Some(live) = &mut self.live else { return };
        let (around, name) = place.rsplit_once('/').expect("a path");
        let Some(Value::Object(fields)) = live.pointer_mut(around) else { return };
        let value = match name {
            "inner" => json!({ "z": value }),
            "annotations" => json!({ "d": value.to_string() }),
            _ => value.into(),
        };
        // Before anybody wrote, the model has no table to compare with.
        fields.entry(name).or_insert(value);
        self.model.live = flat(live);
    }

    fn after(acts: &[Act]) -> Result<Self, TestCaseError> {
        let mut world = Self::default();
        acts.iter().try_for_each(|act| world.act(act)).map(|()| world)
    }
}

fn writer<'a>(manager: &'a str, now: &'a str) -> Writer<'a> {
    Writer { manager, api_version: "laws.dev/v1", subresource: "", now, reset: Reset::Nothing }
}

/// Where the second one is at odds with the first, it has what the first has.
fn agree(one: &Value, two: &mut Value) {
    let first = flat(one);
    for (part, fields) in [("spec", one.get("spec")), ("metadata", one["metadata"].get("labels"))] {
        for (name, value) in fields.and_then(Value::as_object).into_iter().flatten() {
            let place = if part == "spec" { "/spec" } else { "/metadata/labels" };
            let at_odds = |path: &str, value: &String| first.get(path).is_some_and(|v| v != value);
            let around = format!("{}.{name}", place.replace('/', "."));
            let odd = flat(two).iter().any(|(path, v)| inside(path, &around) && at_odds(path, v));
            if let Some(fields) = two.pointer_mut(place).filter(|_| odd) {
                fields[name] = value.clone();
            }
        }
    }
}

/// Lists whose order does not matter in one order, and without the times of managers.
fn settled(mut document: Value) -> (Table, Value) {
    let table = flat(&document);
    let managers = document["metadata"]["managedFields"].take();
    let mut managers = managers.as_array().cloned().unwrap_or_default();
    for manager in &mut managers {
        manager["time"] = Value::Null;
    }
    managers.sort_by_key(|manager| manager["manager"].to_string());
    (table, managers.into())
}

#[test]
fn whatever_is_done_the_object_and_its_owners_are_those_of_the_model() {
    holds(800, &acts(), |acts| World::after(&acts).map(drop));
}

#[test]
fn the_same_again_changes_nothing() {
    holds(400, &(acts(), documents()), |(acts, said)| {
        let mut world = World::after(&acts)?;
        world.apply("one", &said, true).expect("forced");
        let first = world.live.clone();
        prop_assert_eq!(world.apply("one", &said, false), Ok(()), "what is mine is no conflict");
        prop_assert_eq!(&world.live, &first, "not even a time");
        let live = first.expect("applied");
        world.update("kubectl", &live);
        prop_assert_eq!(world.live, Some(live), "an update that changes nothing");
        Ok(())
    });
}

#[test]
fn appliers_that_have_nothing_in_common_may_come_in_any_order() {
    holds(600, &(documents(), documents(), documents()), |(before, one, mut two)| {
        agree(&one, &mut two);
        let mut first = World::default();
        first.update("kubectl", &before);
        let mut second = first.clone();
        for (manager, said) in [("one", &one), ("two", &two)] {
            first.apply(manager, said, true).expect("forced");
        }
        for (manager, said) in [("two", &two), ("one", &one)] {
            second.apply(manager, said, true).expect("forced");
        }
        let of = |world: World| settled(world.live.expect("applied"));
        prop_assert_eq!(of(first), of(second));
        Ok(())
    });
}

#[test]
fn a_conflict_is_one_from_both_sides_and_force_moves_what_it_is_about() {
    holds(600, &(documents(), documents()), |(one, two)| {
        let odds = |first: (&str, &Value), second: (&str, &Value)| {
            let mut world = World::default();
            world.apply(first.0, first.1, false).expect("alone");
            let odds = world.apply(second.0, second.1, false).err().unwrap_or_default();
            world.apply(second.0, second.1, true).expect("forced");
            let owners = owners(&world.live.expect("applied"));
            let places: BTreeSet<String> = odds.into_iter().map(|(_, path)| path).collect();
            (places, owners)
        };
        let (there, after) = odds(("one", &one), ("two", &two));
        let (back, _) = odds(("two", &two), ("one", &one));
        prop_assert_eq!(&there, &back);
        let owns = |manager: &str, path| after.get(manager).is_some_and(|all| all.contains(path));
        for path in &there {
            prop_assert!(owns("two", path) && !owns("one", path), "{}", path);
        }
        Ok(())
    });
}

#[test]
fn what_one_applier_drops_stays_if_another_one_applies_it() {
    holds(400, &(documents(), documents()), |(said, rest)| {
        let mut world = World::default();
        for manager in ["one", "two"] {
            world.apply(manager, &said, false).expect("the same");
        }
        world.apply("one", &rest, true).expect("forced");
        let nothing = document(json!({}), serde_json::Map::new());
        world.apply("one", &nothing, false).expect("nothing");
        let live = world.live.as_ref().expect("applied");
        let theirs = owners(live);
        prop_assert_eq!(theirs.get("one"), None);
        let kept: BTreeSet<String> = flat(live).into_keys().collect();
        prop_assert_eq!(&kept, &theirs.get("two").cloned().unwrap_or_default());
        world.apply("two", &nothing, false).expect("nothing");
        prop_assert_eq!(flat(world.live.as_ref().expect("applied")), Table::new());
        Ok(())
    });
}
