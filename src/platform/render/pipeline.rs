//! The pipeline of a component.

use super::configurations::{self, Configurations};
use super::context::{DECLARED, context, engine};
use super::input::Input;
use super::objects::{Object, checked, hash_into_pods, label, sort};
use super::traits::{self, included, rounds, scope};
use super::{Error, Problem, schema, validations};
use crate::types::{
    ComponentTypeSpec, PostRenderValidation, PreRenderValidation, ResourceTemplate, SchemaSection,
    TargetPlane, TraitKind, TraitSpec,
};
use curtain_template::{Engine, Vars};
use serde_json::{Map, Value, json};

/// The manifests of a component in an environment, by plane, each in the order kind, apiVersion,
/// namespace, name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rendered {
    /// What goes to the data plane.
    pub data_plane: Vec<Value>,
    /// What goes to its observability plane.
    pub observability_plane: Vec<Value>,
}

/// A trait as it applies: the snapshot with its input.
struct Applied<'a> {
    place: String,
    spec: &'a TraitSpec,
    context: Value,
}

/// Renders a component.
///
/// # Errors
///
/// The first part that fails; rules of the author are collected and reported together.
pub fn component(input: &Input<'_>) -> Result<Rendered, Error> {
    let engine = engine();
    let release = input.release;
    let spec = &release.component_type.spec;
    let place = format!("component type `{}`", release.component_type.name);

    let workload = configurations::overridden(input);
    let configurations = Configurations::new(input, &workload)
        .map_err(|problem| problem.at("the workload's configuration"))?;
    let base = context(input, &workload, &configurations);
    let parameters =
        release.component_profile.as_ref().and_then(|profile| profile.parameters.as_ref());
    let context = with_input(
        &base,
        &place,
        (spec.parameters.as_ref(), parameters),
        (
            spec.environment_configs.as_ref(),
            input.binding.component_type_environment_configs.as_ref(),
        ),
    )?;
    let vars = Vars::from_object(&context);
    hold(validations::before(&engine, &before(spec), &vars), &place)?;

    let mut objects = Vec::new();
    for resource in &spec.resources {
        let place = format!("{place}, resource `{}`", resource.id);
        objects.extend(rendered(&engine, &place, resource, &vars)?);
    }

    let applied = all_traits(&engine, input, &base, &vars, &place)?;
    for applied in &applied {
        let vars = Vars::from_object(&applied.context);
        let rules = before_trait(applied.spec);
        hold(validations::before(&engine, &rules, &vars), &applied.place)?;
        traits::apply(&engine, &applied.place, applied.spec, &vars, &mut objects)?;
    }

    let mut failures = validations::after(&engine, after(spec), &objects, &vars);
    for applied in &applied {
        let vars = Vars::from_object(&applied.context);
        let rules = &applied.spec.post_render_validations;
        let found = validations::after(&engine, rules, &objects, &vars);
        failures.extend(found.into_iter().map(|failure| format!("{}: {failure}", applied.place)));
    }
    hold(failures, &place)?;
    finish(input, objects).map_err(|problem| problem.at(&place))
}

fn finish(input: &Input<'_>, mut objects: Vec<Object>) -> Result<Rendered, Problem> {
    for object in &mut objects {
        label(&mut object.manifest, input.metadata);
    }
    hash_into_pods(&mut objects, input.release.component_type.spec.workload_type);
    let mut rendered = Rendered::default();
    for Object { plane, manifest } in objects {
        let manifest = checked(Some(manifest))?;
        match plane {
            TargetPlane::DataPlane => rendered.data_plane.push(manifest),
            TargetPlane::ObservabilityPlane => rendered.observability_plane.push(manifest),
        }
    }
    sort(&mut rendered.data_plane);
    sort(&mut rendered.observability_plane);
    Ok(rendered)
}

fn hold(failures: Vec<String>, place: &str) -> Result<(), Error> {
    if failures.is_empty() { Ok(()) } else { Err(Problem::Rules(failures).at(place)) }
}

fn before(spec: &ComponentTypeSpec) -> Vec<&PreRenderValidation> {
    spec.validations.iter().chain(&spec.pre_render_validations).collect()
}

fn before_trait(spec: &TraitSpec) -> Vec<&PreRenderValidation> {
    spec.validations.iter().chain(&spec.pre_render_validations).collect()
}

fn after(spec: &ComponentTypeSpec) -> &[PostRenderValidation] {
    &spec.post_render_validations
}

type Given<'a> = (Option<&'a SchemaSection>, Option<&'a Value>);

/// The context with its two inputs, defaulted and checked. Without a schema an input is empty,
/// whatever is given.
fn with_input(
    base: &Map<String, Value>,
    place: &str,
    parameters: Given<'_>,
    environment_configs: Given<'_>,
) -> Result<Value, Error> {
    let mut context = base.clone();
    for (name, (section, given)) in
        [("parameters", parameters), ("environmentConfigs", environment_configs)]
    {
        let value = schema::defaulted(section, given)
            .map_err(|problem| problem.at(&format!("{place}, {name}")))?;
        context.insert(name.to_owned(), value);
    }
    Ok(Value::Object(context))
}

fn rendered(
    engine: &Engine,
    place: &str,
    resource: &ResourceTemplate,
    vars: &Vars<'_>,
) -> Result<Vec<Object>, Error> {
    let mut objects = Vec::new();
    if !included(engine, place, resource.include_when.as_deref(), vars)? {
        return Ok(objects);
    }
    for item in &rounds(engine, place, resource.for_each.as_deref(), vars)? {
        let scope = scope(vars, resource.var.as_deref(), item.as_ref());
        let manifest = engine
            .render(&resource.template, &scope)
            .map_err(|error| Problem::from(error.within("template")).at(place))?;
        let manifest = checked(manifest).map_err(|problem| problem.at(place))?;
        objects.push(Object { plane: resource.target_plane, manifest });
    }
    Ok(objects)
}

/// The traits in the order they apply: those of the type, then those of the component.
fn all_traits<'a>(
    engine: &Engine,
    input: &'a Input<'_>,
    base: &Map<String, Value>,
    vars: &Vars<'_>,
    type_place: &str,
) -> Result<Vec<Applied<'a>>, Error> {
    let mut applied = Vec::new();
    for embedded in &input.release.component_type.spec.traits {
        let at = |part: &str| format!("{type_place}, trait `{}`, {part}", embedded.instance_name);
        let render = |value: &Option<Value>, part: &str| match value {
            None => Ok(None),
            Some(value) => {
                engine.render(value, vars).map_err(|error| Problem::from(error).at(&at(part)))
            }
        };
        let parameters = render(&embedded.parameters, "parameters")?;
        let environment_configs = render(&embedded.environment_configs, "environmentConfigs")?;
        applied.push(one_trait(
            input,
            base,
            (embedded.kind, &embedded.name, &embedded.instance_name),
            parameters.as_ref(),
            environment_configs.as_ref(),
        )?);
    }
    let chosen = input.release.component_profile.as_ref().map(|profile| &profile.traits);
    for chosen in chosen.into_iter().flatten() {
        applied.push(one_trait(
            input,
            base,
            (chosen.kind, &chosen.name, &chosen.instance_name),
            chosen.parameters.as_ref(),
            input.binding.trait_environment_configs.get(&chosen.instance_name),
        )?);
    }
    Ok(applied)
}

fn one_trait<'a>(
    input: &'a Input<'_>,
    base: &Map<String, Value>,
    (kind, name, instance): (TraitKind, &str, &str),
    parameters: Option<&Value>,
    environment_configs: Option<&Value>,
) -> Result<Applied<'a>, Error> {
    let place = format!("trait `{name}` as `{instance}`");
    let snapshot = input
        .release
        .traits
        .iter()
        .find(|snapshot| snapshot.kind == kind && snapshot.name == name)
        .ok_or_else(|| Problem::MissingSnapshot.at(&place))?;
    let spec = &snapshot.spec;
    let mut context = with_input(
        base,
        &place,
        (spec.parameters.as_ref(), parameters),
        (spec.environment_configs.as_ref(), environment_configs),
    )?;
    context["trait"] = json!({"name": name, "instanceName": instance});
    Ok(Applied { place, spec, context })
}

/// Checks a component type without rendering it: its schemas, and every expression against the
/// variables that will be there.
///
/// # Errors
///
/// The first part that cannot work.
pub fn check_component_type(name: &str, spec: &ComponentTypeSpec) -> Result<(), Error> {
    let place = format!("component type `{name}`");
    check_schemas(&place, spec.parameters.as_ref(), spec.environment_configs.as_ref())?;
    let check = Check { engine: engine(), declared: DECLARED.to_vec() };
    for resource in &spec.resources {
        let place = format!("{place}, resource `{}`", resource.id);
        check.one(&place, "includeWhen", resource.include_when.as_deref())?;
        check.one(&place, "forEach", resource.for_each.as_deref())?;
        check.with(resource.for_each.is_some(), resource.var.as_deref()).template(
            &place,
            "template",
            &resource.template,
        )?;
    }
    for (index, embedded) in spec.traits.iter().enumerate() {
        let place = format!("{place}, traits[{index}]");
        for (part, value) in [
            ("parameters", &embedded.parameters),
            ("environmentConfigs", &embedded.environment_configs),
        ] {
            check.template(&place, part, value.as_ref().unwrap_or(&Value::Null))?;
        }
    }
    check.rules(&place, &before(spec), &spec.post_render_validations)
}

/// Checks a trait the same way.
///
/// # Errors
///
/// The first part that cannot work.
pub fn check_trait(name: &str, spec: &TraitSpec) -> Result<(), Error> {
    let place = format!("trait `{name}`");
    check_schemas(&place, spec.parameters.as_ref(), spec.environment_configs.as_ref())?;
    let check = Check { engine: engine(), declared: [DECLARED, &["trait"]].concat() };
    for (index, create) in spec.creates.iter().enumerate() {
        let place = format!("{place}, creates[{index}]");
        check.one(&place, "includeWhen", create.include_when.as_deref())?;
        check.one(&place, "forEach", create.for_each.as_deref())?;
        check.with(create.for_each.is_some(), create.var.as_deref()).template(
            &place,
            "template",
            &create.template,
        )?;
    }
    for (index, patch) in spec.patches.iter().enumerate() {
        let place = format!("{place}, patches[{index}]");
        check.one(&place, "forEach", patch.for_each.as_deref())?;
        let check = check.with(patch.for_each.is_some(), patch.var.as_deref());
        check.with(true, Some("resource")).one(
            &place,
            "target.where",
            patch.target.r#where.as_deref(),
        )?;
        for operation in &patch.operations {
            check.one(&place, "path", Some(&operation.path))?;
            check.template(&place, "value", operation.value.as_ref().unwrap_or(&Value::Null))?;
        }
    }
    for (index, remove) in spec.removes.iter().enumerate() {
        let place = format!("{place}, removes[{index}]");
        check.one(&place, "forEach", remove.for_each.as_deref())?;
        check
            .with(remove.for_each.is_some(), remove.var.as_deref())
            .with(true, Some("resource"))
            .one(&place, "target.where", remove.target.r#where.as_deref())?;
    }
    check.rules(&place, &before_trait(spec), &spec.post_render_validations)
}

fn check_schemas(
    place: &str,
    parameters: Option<&SchemaSection>,
    environment_configs: Option<&SchemaSection>,
) -> Result<(), Error> {
    for (name, section) in [("parameters", parameters), ("environmentConfigs", environment_configs)]
    {
        schema::check(section).map_err(|problem| problem.at(&format!("{place}, {name}")))?;
    }
    Ok(())
}

/// Compiles expressions against the names in scope.
struct Check<'n> {
    engine: Engine,
    declared: Vec<&'n str>,
}

impl<'n> Check<'n> {
    fn with<'m>(&'m self, applies: bool, var: Option<&'m str>) -> Check<'m>
    where
        'n: 'm,
    {
        let mut declared: Vec<&'m str> = self.declared.clone();
        if applies {
            declared.push(var.unwrap_or("item"));
        }
        Check { engine: self.engine.clone(), declared }
    }

    fn one(&self, place: &str, part: &str, expression: Option<&str>) -> Result<(), Error> {
        match expression {
            None => Ok(()),
            Some(expression) => self.template(place, part, &json!(expression)),
        }
    }

    fn template(&self, place: &str, part: &str, template: &Value) -> Result<(), Error> {
        self.engine
            .check(template, &self.declared)
            .map_err(|error| Problem::from(error.within(part)).at(place))
    }

    fn rules(
        &self,
        place: &str,
        before: &[&PreRenderValidation],
        after: &[PostRenderValidation],
    ) -> Result<(), Error> {
        for (index, rule) in before.iter().enumerate() {
            self.one(&format!("{place}, preRenderValidations[{index}]"), "rule", Some(&rule.rule))?;
        }
        for (index, rule) in after.iter().enumerate() {
            let place = format!("{place}, postRenderValidations[{index}]");
            self.one(&place, "when", rule.when.as_deref())?;
            self.one(&place, "forEach", rule.for_each.as_deref())?;
            let looped = self.with(rule.for_each.is_some(), rule.var.as_deref());
            let check = looped.with(true, Some("resource"));
            check.one(&place, "target.where", rule.target.r#where.as_deref())?;
            check.one(&place, "rule", Some(&rule.rule))?;
        }
        Ok(())
    }
}
