//! Sets of fields are sets: what is done to trees is what is done to their paths one by one.

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

use super::holds;
use crate::managed::Set;

type Paths = BTreeSet<Vec<String>>;

const STEPS: [&str; 6] =
    ["f:a", "f:b", "f:", r#"k:{"name":"x"}"#, r#"k:{"port":80,"protocol":"TCP"}"#, r#"v:"x""#];

fn paths() -> impl Strategy<Value = Paths> {
    btree_set(vec(select(&STEPS[..]).prop_map(str::to_owned), 1..4), 0..8)
}

/// `FieldsV1` of paths.
fn fields(paths: &Paths) -> Value {
    let mut fields = Map::new();
    for first in paths.iter().map(|path| path[0].clone()).collect::<BTreeSet<_>>() {
        let all = paths.iter().filter(|path| path[0] == first).map(|path| path[1..].to_vec());
        let (here, below): (Paths, Paths) = all.partition(Vec::is_empty);
        let mut inside = fields_below(&below);
        if !here.is_empty() && !below.is_empty() {
            inside.insert(".".into(), Map::new().into());
        }
        fields.insert(first, inside.into());
    }
    fields.into()
}

fn fields_below(paths: &Paths) -> Map<String, Value> {
    match fields(paths) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn set(paths: &Paths) -> Set {
    Set::from_fields_v1(&fields(paths)).expect("well-formed")
}

#[test]
fn operations_on_sets_are_those_on_their_paths() {
    holds(2000, &(paths(), paths()), |(one, two)| {
        let (a, b) = (set(&one), set(&two));
        prop_assert_eq!(a.to_fields_v1(), fields(&one), "read and written again");
        prop_assert_eq!(a.paths().len(), one.len());
        prop_assert_eq!(a.is_empty(), one.is_empty());
        prop_assert_eq!(a == b, one == two);
        for (name, done, expected) in [
            ("union", a.union(&b), one.union(&two).cloned().collect::<Paths>()),
            ("intersection", a.intersection(&b), one.intersection(&two).cloned().collect()),
            ("difference", a.difference(&b), one.difference(&two).cloned().collect()),
        ] {
            prop_assert_eq!(&done, &set(&expected), "{}", name);
            prop_assert_eq!(done.to_fields_v1(), fields(&expected), "{}", name);
        }
        Ok(())
    });
}

#[test]
fn an_element_may_be_spelled_in_many_ways_and_is_one() {
    let spelled = select(vec![
        r#"k:{"port":80,"protocol":"TCP"}"#,
        r#"k:{ "protocol" : "TCP", "port":80 }"#,
        r#"k:{"protocol":"\u0054CP","port":80}"#,
    ]);
    let made = (spelled.clone(), paths(), spelled, paths());
    holds(500, &made, |(one, below_one, two, below_two)| {
        let side = |element: &str, below: &Paths| {
            let mut object = Map::new();
            object.insert(element.to_owned(), fields(below));
            object
        };
        let mut both = side(one, &below_one);
        both.extend(side(two, &below_two));
        let read = |object: Map<String, Value>| Set::from_fields_v1(&object.into());
        let each = [read(side(one, &below_one)), read(side(two, &below_two))].map(Option::unwrap);
        let expected = if one == two { each[1].clone() } else { each[0].union(&each[1]) };
        prop_assert_eq!(read(both), Some(expected));
        Ok(())
    });
}
