//! The rules that authors of types and traits write: before rendering over the context, after it
//! over the objects.

use super::objects::{Object, text};
use crate::types::{PostRenderValidation, PreRenderValidation, TargetPlane};
use curtain_template::{Engine, Error, Vars};
use serde_json::Value;

/// Evaluates every rule over the context and returns those that do not hold.
pub(super) fn before(
    engine: &Engine,
    rules: &[&PreRenderValidation],
    vars: &Vars<'_>,
) -> Vec<String> {
    let mut failures = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let found = match engine.condition(&rule.rule, vars) {
            Ok(true) => continue,
            Ok(false) => String::new(),
            Err(error) => format!(" ({})", error.problem),
        };
        failures.push(format!("rule {index} `{}`: {}{found}", shorten(&rule.rule), rule.message));
    }
    failures
}

/// Evaluates every rule over the rendered objects and returns those that do not hold.
pub(super) fn after(
    engine: &Engine,
    rules: &[PostRenderValidation],
    objects: &[Object],
    vars: &Vars<'_>,
) -> Vec<String> {
    let mut failures = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let mut fail = |object: Option<&Value>, detail: String| {
            let object = object.map_or_else(String::new, |object| {
                format!(" ({} {})", text(object, "/kind"), text(object, "/metadata/name"))
            });
            let shown = shorten(&rule.rule);
            failures.push(format!("rule {index} `{shown}`: {}{object}{detail}", rule.message));
        };
        if let Err(error) = check(engine, rule, objects, vars, &mut fail) {
            fail(None, format!(" ({})", error.problem));
        }
    }
    failures
}

fn check(
    engine: &Engine,
    rule: &PostRenderValidation,
    objects: &[Object],
    vars: &Vars<'_>,
    fail: &mut impl FnMut(Option<&Value>, String),
) -> Result<(), Error> {
    if let Some(when) = &rule.when
        && !engine.condition(when, vars)?
    {
        return Ok(());
    }
    let rounds = match &rule.for_each {
        None => vec![None],
        Some(for_each) => engine.items(for_each, vars)?.into_iter().map(Some).collect(),
    };
    for round in &rounds {
        let mut scope = vars.child();
        if let Some(item) = round {
            scope.insert(rule.var.as_deref().unwrap_or("item"), item);
        }
        let target = Target {
            group: &rule.target.group,
            version: &rule.target.version,
            kind: &rule.target.kind,
            plane: rule.target_plane,
            filter: rule.target.r#where.as_deref(),
        };
        let matched = target.select(engine, objects, &scope)?;
        if matched.is_empty() && rule.target.must_match {
            fail(None, format!(" (no {} matches)", rule.target.kind));
        }
        for index in matched {
            let object = &objects[index].manifest;
            let with_object = scope.child().with("resource", object);
            match engine.condition(&rule.rule, &with_object) {
                Ok(true) => {}
                Ok(false) => fail(Some(object), String::new()),
                Err(error) => fail(Some(object), format!(" ({})", error.problem)),
            }
        }
    }
    Ok(())
}

/// Which objects a rule, a patch or a removal is about.
pub(super) struct Target<'t> {
    pub(super) group: &'t str,
    pub(super) version: &'t str,
    pub(super) kind: &'t str,
    pub(super) plane: TargetPlane,
    pub(super) filter: Option<&'t str>,
}

impl Target<'_> {
    /// The indexes of the objects it is about. An empty group stands for any.
    pub(super) fn select(
        &self,
        engine: &Engine,
        objects: &[Object],
        vars: &Vars<'_>,
    ) -> Result<Vec<usize>, Error> {
        let mut selected = Vec::new();
        for (index, object) in objects.iter().enumerate() {
            let api_version = text(&object.manifest, "/apiVersion");
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let fits = object.plane == self.plane
                && text(&object.manifest, "/kind") == self.kind
                && version == self.version
                && (self.group.is_empty() || group == self.group);
            if !fits {
                continue;
            }
            if let Some(filter) = self.filter {
                let scope = vars.child().with("resource", &object.manifest);
                if !engine.condition(filter, &scope)? {
                    continue;
                }
            }
            selected.push(index);
        }
        Ok(selected)
    }
}

fn shorten(rule: &str) -> String {
    let line = rule.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(120) {
        None => line,
        Some((cut, _)) => format!("{}…", &line[..cut]),
    }
}
