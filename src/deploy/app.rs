//! The objects by which an image runs: what a person would write by hand.

use std::fmt;

use json_patch::merge;
use serde_json::{Value, json};

/// Who applies; also the value of the label that marks what is replaced by the same again.
pub const MANAGER: &str = "curtain-deploy";
/// A label of every component that was made this way.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// On the workload: the image's own digest, which tells whether a name means something new.
const IMAGE_ID: &str = "curtain.dev/image-id";

/// What is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// The component.
    pub name: String,
    /// Where it is.
    pub namespace: String,
    /// The project it belongs to.
    pub project: String,
    /// The image's name.
    pub image: String,
    /// The image's digest, where it is known.
    pub id: Option<String>,
    /// Where the program listens.
    pub port: u16,
}

/// Why what is there is not replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The component of this name was made in another way.
    Foreign(String),
    /// It is in another project.
    Elsewhere {
        /// The component.
        component: String,
        /// The project that it is in.
        project: String,
    },
    /// The workload of this name belongs to another component.
    Workload {
        /// The workload.
        name: String,
        /// The component that it belongs to.
        owner: String,
    },
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Taken::Foreign(name) => {
                write!(f, "there is a component {name} that was made in another way")
            }
            Taken::Elsewhere { component, project } => {
                write!(f, "component {component} is in project {project} already")
            }
            Taken::Workload { name, owner } => {
                write!(f, "there is a workload {name} of component {owner}")
            }
        }
    }
}

impl App {
    /// The component. What is null in an object is not to be there.
    pub fn component(&self) -> Value {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1",
            "kind": "Component",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {MANAGED_BY: MANAGER},
            },
            "spec": {
                "owner": {"projectName": self.project},
                "componentType": {"kind": "ClusterComponentType", "name": "deployment/service"},
                "autoDeploy": true,
            },
        })
    }

    /// Its workload.
    pub fn workload(&self) -> Value {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1",
            "kind": "Workload",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "annotations": {IMAGE_ID: self.id},
            },
            "spec": {
                "owner": {"projectName": self.project, "componentName": self.name},
                "container": {"image": self.image},
                "endpoints": {"http": {
                    "type": "HTTP",
                    "port": self.port,
                    "visibility": ["external"],
                    "basePath": "/",
                }},
            },
        })
    }

    /// Why the component or the workload of its name, as they are, has to stay. Both are looked at before one is made: a
    /// component that can have no workload would stay behind.
    pub fn taken(&self, component: Option<&Value>, workload: Option<&Value>) -> Option<Taken> {
        if let Some(component) = component {
            if component["metadata"]["labels"][MANAGED_BY] != MANAGER {
                return Some(Taken::Foreign(self.name.clone()));
            }
            let project = component["spec"]["owner"]["projectName"].as_str().unwrap_or_default();
            if project != self.project {
                let (component, project) = (self.name.clone(), project.to_owned());
                return Some(Taken::Elsewhere { component, project });
            }
        }
        let owner = workload?["spec"]["owner"]["componentName"].as_str()?;
        let (name, owner) = (self.name.clone(), owner.to_owned());
        (owner != name).then_some(Taken::Workload { name, owner })
    }

    /// Whether `component` says all that is wanted of it.
    pub fn is_as_wanted(&self, component: &Value) -> bool {
        let wanted = self.component();
        let [mut label, mut spec] =
            [component["metadata"]["labels"].clone(), component["spec"].clone()];
        merge(&mut label, &wanted["metadata"]["labels"]);
        merge(&mut spec, &wanted["spec"]);
        component["metadata"]["labels"] == label && component["spec"] == spec
    }

    /// Whether the image has changed and its name has not: then nothing would replace the pods.
    pub fn is_new_under_an_old_name(&self, former: &Value) -> bool {
        let known = former["metadata"]["annotations"][IMAGE_ID].as_str();
        let mut wanted = former["spec"].clone();
        merge(&mut wanted, &self.workload()["spec"]);
        former["spec"] == wanted && self.id.is_some() && known != self.id.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(id: Option<&str>, port: u16) -> App {
        App {
            name: "my".to_owned(),
            namespace: "default".to_owned(),
            project: "shop".to_owned(),
            image: "my:dev".to_owned(),
            id: id.map(str::to_owned),
            port,
        }
    }

    #[test]
    fn the_same_name_for_another_image_needs_a_restart() {
        let mut former = app(Some("sha256:1"), 80).workload();
        former["spec"]["container"]["env"] = json!([{"key": "A", "value": "somebody's"}]);
        assert!(app(Some("sha256:2"), 80).is_new_under_an_old_name(&former));
        assert!(!app(Some("sha256:1"), 80).is_new_under_an_old_name(&former));
        assert!(!app(Some("sha256:2"), 81).is_new_under_an_old_name(&former), "it is new anyway");
        assert!(!app(None, 80).is_new_under_an_old_name(&former), "nobody knows");
    }

    #[test]
    fn what_was_made_in_another_way_or_belongs_to_another_stays() {
        let app = app(None, 80);
        let (mut component, mut workload) = (app.component(), app.workload());
        assert_eq!(app.taken(None, None), None);
        assert_eq!(app.taken(Some(&component), Some(&workload)), None);
        workload["spec"]["owner"]["componentName"] = json!("shelf");
        let told = |component: Option<&Value>, workload: Option<&Value>| {
            app.taken(component, workload).expect("taken").to_string()
        };
        assert_eq!(told(None, Some(&workload)), "there is a workload my of component shelf");
        component["spec"]["owner"]["projectName"] = json!("bank");
        assert_eq!(told(Some(&component), None), "component my is in project bank already");
        component["metadata"]["labels"] = json!({});
        let foreign = "there is a component my that was made in another way";
        assert_eq!(told(Some(&component), Some(&workload)), foreign);
    }
}
