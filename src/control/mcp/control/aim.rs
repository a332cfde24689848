//! What a call is about, for its refusal.

use super::{
    Arguments, ControlPlane, Tool, components::type_name, deployment::change_binding, table::Row,
};
use crate::{
    authz::{Attributes, Hierarchy, Question},
    objects::{Ask, Error, Kind, Verb, kind},
};

/// What a call is about.
pub(super) struct Aim {
    pub(super) at: Hierarchy,
    pub(super) attributes: Attributes,
    /// `Kind/name`, or nothing.
    pub(super) object: String,
    /// The part of the action that would do.
    pub(super) part: Option<&'static str>,
    /// The part of the action that is forbidden, so that no grant of the action would do.
    pub(super) forbidden: Option<&'static str>,
    /// That there is no such object, if that is so.
    pub(super) absent: Option<(&'static Kind, Error)>,
}

impl Aim {
    fn new(at: Hierarchy, attributes: Attributes, object: String) -> Self {
        Self { at, attributes, object, part: None, forbidden: None, absent: None }
    }
}

impl ControlPlane {
    /// Where the object stands that `arguments` name at `place`, what conditions may look at, the object, and which part
    /// of the action would do or is forbidden to whoever asks, as far as each is known. What is left open here would be
    /// granted with the rest.
    pub(super) async fn aim(
        &self,
        ask: Ask<'_>,
        (tool, action): (&'static Tool, &str),
        place: &Hierarchy,
        arguments: &Arguments,
    ) -> Aim {
        let namespace = place.namespace.as_str();
        let asked = Attributes::environment(namespace, arguments.text("environment"));
        // The audit line is to name objects, and this may be anything.
        let named = Row::of(tool)
            .and_then(Row::about)
            .map(|(row, argument)| (row, arguments.text(argument)))
            .filter(|(row, name)| row.names(name));
        let object = named.map_or_else(String::new, |(row, name)| row.object(name));
        // What is to be made is not there yet; and where the project is known, all is that counts.
        let is_known = |row: &Kind| {
            action == row.action(Verb::Create)
                || (!place.project.is_empty() && row.kind != "Project")
        };
        let Some((row, name)) = named.filter(|(row, _)| !is_known(row)) else {
            let absent = self.absent(ask, tool, arguments).await;
            return Aim { absent, ..Aim::new(place.clone(), asked, object) };
        };
        match self.objects.peek(row, namespace, name).await {
            Ok(found) => {
                let attributes = row.attributes(namespace, &found.data, Verb::View);
                let mut aim = Aim::new(row.place_of(namespace, &found), attributes, object);
                if tool.name == "update_release_binding" {
                    let mut changed = found.clone();
                    change_binding(&mut changed, arguments);
                    let whole = Question { action, at: &aim.at, attributes: &aim.attributes };
                    aim.forbidden =
                        self.objects.forbidden(ask.caller, whole, &found, &changed).await;
                    aim.part = self.objects.part(namespace, &found, &changed).await;
                }
                aim
            }
            Err(missing @ Error::NotFound { .. }) => {
                let absent = Some((row, missing));
                Aim { absent, ..Aim::new(place.clone(), asked, object) }
            }
            Err(_) => Aim::new(place.clone(), asked, object),
        }
    }

    /// What is not there of what a call names beside what it is about: the place, the type, and the release to deploy.
    /// Where a component is that is not in the project, only who may see it there is told.
    pub(super) async fn absent(
        &self,
        ask: Ask<'_>,
        tool: &'static Tool,
        arguments: &Arguments,
    ) -> Option<(&'static Kind, Error)> {
        let place = arguments.place();
        let namespace = place.namespace.as_str();
        let only = |named, argument| if tool.name == named { arguments.text(argument) } else { "" };
        let component_type = type_name(only("create_component", "component_type"));
        for (named, name) in [
            ("Namespace", namespace),
            ("Project", &place.project),
            ("Component", &place.component),
            ("Environment", arguments.text("environment")),
            ("ClusterComponentType", component_type),
            ("ComponentRelease", only("create_release_binding", "release_name")),
        ] {
            let row = kind(named);
            // What cannot be a name is refused as such.
            if name.is_empty() || !row.names(name) {
                continue;
            }
            match self.objects.peek(row, namespace, name).await {
                Ok(found) if named == "Component" && !place.project.is_empty() => {
                    let wrong = self.objects.elsewhere(ask, namespace, &found, &place.project);
                    if let Some(wrong) = wrong {
                        return Some((row, wrong));
                    }
                }
                Err(missing @ Error::NotFound { .. }) => return Some((row, missing)),
                Ok(_) | Err(_) => {}
            }
        }
        None
    }
}
