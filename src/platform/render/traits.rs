//! Traits: creates, then patches, then removes, each seeing what came before.

use super::objects::{Object, checked};
use super::validations::Target;
use super::{Error, Problem, path};
use crate::types::{TraitCreate, TraitPatch, TraitRemove, TraitSpec};
use curtain_template::{Engine, Vars};
use serde_json::Value;
use std::collections::BTreeSet;

/// Applies one trait to the objects rendered so far. `place` names the trait.
pub(super) fn apply(
    engine: &Engine,
    place: &str,
    spec: &TraitSpec,
    vars: &Vars<'_>,
    objects: &mut Vec<Object>,
) -> Result<(), Error> {
    for (index, create) in spec.creates.iter().enumerate() {
        let place = format!("{place}, creates[{index}]");
        objects.extend(created(engine, &place, create, vars)?);
    }
    for (index, patch) in spec.patches.iter().enumerate() {
        patched(engine, &format!("{place}, patches[{index}]"), patch, vars, objects)?;
    }
    let mut removed = BTreeSet::new();
    for (index, remove) in spec.removes.iter().enumerate() {
        let place = format!("{place}, removes[{index}]");
        removed.extend(to_remove(engine, &place, remove, vars, objects)?);
    }
    let mut index = 0;
    objects.retain(|_| {
        index += 1;
        !removed.contains(&(index - 1))
    });
    Ok(())
}

/// The rounds of an optional loop; one without an item if there is none.
pub(super) fn rounds(
    engine: &Engine,
    place: &str,
    for_each: Option<&str>,
    vars: &Vars<'_>,
) -> Result<Vec<Option<Value>>, Error> {
    match for_each {
        None => Ok(vec![None]),
        Some(expression) => engine
            .items(expression, vars)
            .map(|items| items.into_iter().map(Some).collect())
            .map_err(|error| Problem::from(error.within("forEach")).at(place)),
    }
}

/// The scope of one round.
pub(super) fn scope<'a>(
    vars: &'a Vars<'a>,
    var: Option<&str>,
    item: Option<&'a Value>,
) -> Vars<'a> {
    let mut scope = vars.child();
    if let Some(item) = item {
        scope.insert(var.unwrap_or("item"), item);
    }
    scope
}

/// Whether an optional condition holds.
pub(super) fn included(
    engine: &Engine,
    place: &str,
    include_when: Option<&str>,
    vars: &Vars<'_>,
) -> Result<bool, Error> {
    include_when.map_or(Ok(true), |condition| {
        engine
            .condition(condition, vars)
            .map_err(|error| Problem::from(error.within("includeWhen")).at(place))
    })
}

fn created(
    engine: &Engine,
    place: &str,
    create: &TraitCreate,
    vars: &Vars<'_>,
) -> Result<Vec<Object>, Error> {
    let mut objects = Vec::new();
    if !included(engine, place, create.include_when.as_deref(), vars)? {
        return Ok(objects);
    }
    for item in &rounds(engine, place, create.for_each.as_deref(), vars)? {
        let scope = scope(vars, create.var.as_deref(), item.as_ref());
        let manifest = engine
            .render(&create.template, &scope)
            .map_err(|error| Problem::from(error.within("template")).at(place))?;
        let manifest = checked(manifest).map_err(|problem| problem.at(place))?;
        objects.push(Object { plane: create.target_plane, manifest });
    }
    Ok(objects)
}

fn patched(
    engine: &Engine,
    place: &str,
    patch: &TraitPatch,
    vars: &Vars<'_>,
    objects: &mut [Object],
) -> Result<(), Error> {
    let target = Target {
        group: &patch.target.group,
        version: &patch.target.version,
        kind: &patch.target.kind,
        plane: patch.target_plane,
        filter: patch.target.r#where.as_deref(),
    };
    for item in &rounds(engine, place, patch.for_each.as_deref(), vars)? {
        let scope = scope(vars, patch.var.as_deref(), item.as_ref());
        let matched = target
            .select(engine, objects, &scope)
            .map_err(|error| Problem::from(error.within("target.where")).at(place))?;
        if matched.is_empty() {
            continue;
        }
        for (index, operation) in patch.operations.iter().enumerate() {
            let at = |part: &str, error: curtain_template::Error| {
                Problem::from(error.within(&format!("operations[{index}].{part}"))).at(place)
            };
            let rendered =
                engine.value(&operation.path, &scope).map_err(|error| at("path", error))?;
            let path = match &rendered {
                Some(Value::String(path)) => path.as_str(),
                _ => {
                    let message = "it must give a string".to_owned();
                    return Err(Problem::Patch { path: operation.path.clone(), message }.at(place));
                }
            };
            let value = match &operation.value {
                None => None,
                Some(value) => match engine.render(value, &scope).map_err(|e| at("value", e))? {
                    // An omitted value leaves nothing to put there.
                    None => continue,
                    value => value,
                },
            };
            for &object in &matched {
                path::apply(&mut objects[object].manifest, operation.op, path, value.as_ref())
                    .map_err(|message| {
                        Problem::Patch { path: path.to_owned(), message }.at(place)
                    })?;
            }
        }
    }
    Ok(())
}

fn to_remove(
    engine: &Engine,
    place: &str,
    remove: &TraitRemove,
    vars: &Vars<'_>,
    objects: &[Object],
) -> Result<BTreeSet<usize>, Error> {
    let target = Target {
        group: &remove.target.group,
        version: &remove.target.version,
        kind: &remove.target.kind,
        plane: remove.target_plane,
        filter: remove.target.r#where.as_deref(),
    };
    let mut removed = BTreeSet::new();
    for item in &rounds(engine, place, remove.for_each.as_deref(), vars)? {
        let scope = scope(vars, remove.var.as_deref(), item.as_ref());
        let matched = target
            .select(engine, objects, &scope)
            .map_err(|error| Problem::from(error.within("target.where")).at(place))?;
        removed.extend(matched);
    }
    Ok(removed)
}
