//! What a call is about, for its refusal.

use super::{Arguments, ControlPlane, Tool, table::Row};
use crate::{
    authz::{Attributes, Hierarchy},
    objects::Verb,
};

impl ControlPlane {
    /// Where the object stands that `arguments` name at `place`, what conditions may look at, and the object, as far as
    /// each is known. What is left open here would be granted with the rest.
    pub(super) async fn aim(
        &self,
        (tool, action): (&'static Tool, &str),
        place: &Hierarchy,
        arguments: &Arguments,
    ) -> (Hierarchy, Attributes, String) {
        let namespace = place.namespace.as_str();
        let asked = Attributes::environment(namespace, arguments.text("environment"));
        let about = Row::of(tool).and_then(Row::about);
        let Some((kind, argument)) = about else { return (place.clone(), asked, String::new()) };
        let name = arguments.text(argument);
        // The audit line is to name objects, and this may be anything.
        let object = if kind.names(name) { kind.object(name) } else { String::new() };
        // What is to be made is not there yet; and where the project is known, all is that counts.
        let known = action == kind.action(Verb::Create) || !place.project.is_empty();
        if known || object.is_empty() {
            return (place.clone(), asked, object);
        }
        match self.objects.peek(kind, namespace, name).await {
            Ok(found) => {
                let attributes = kind.attributes(namespace, &found.data, Verb::View);
                (kind.place_of(namespace, &found), attributes, object)
            }
            Err(_) => (place.clone(), asked, object),
        }
    }
}
