//! The component and its workload.

use json_patch::merge;
use kube::{
    Client,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use super::{IMAGE_ID, MANAGED_BY, MANAGER, NAMESPACE, door::Door};
use crate::{
    Error,
    demo::{api, external},
    identity::refused,
};

/// The longest name of a component, so that every name that is made of it fits.
const LONGEST: usize = 40;

/// What is to run.
pub(super) struct App {
    pub(super) name: String,
    pub(super) project: String,
    pub(super) image: String,
    /// The image's digest, where it is known.
    pub(super) id: Option<String>,
    pub(super) port: u16,
}

/// What was there before.
pub(super) struct Former {
    pub(super) component: Option<Value>,
    pub(super) workload: Option<Value>,
}

impl App {
    /// What of it is there.
    ///
    /// # Errors
    /// A component of this name that was not made this way, and whatever `door` does not let one see.
    pub(super) async fn former(&self, door: &Door) -> Result<Former, Error> {
        let component = door.find("components", &self.name).await?;
        let workload = door.find("workloads", &self.name).await?;
        if let Some(component) = &component {
            if component["metadata"]["labels"][MANAGED_BY] != MANAGER {
                return Err(Error::Foreign { component: self.name.clone() });
            }
            let project = component["spec"]["owner"]["projectName"].as_str().unwrap_or_default();
            if project != self.project {
                let why = format!("component {} is in project {project}", self.name);
                let next = "name that one by --project, or another component by --component";
                return Err(Error::Image { image: self.image.clone(), why, next });
            }
        }
        // Before anything is made: a component that can have no workload would stay behind.
        let owner = workload.as_ref().map(|one| one["spec"]["owner"]["componentName"].clone());
        if let Some(owner) = owner.as_ref().and_then(Value::as_str).filter(|it| *it != self.name) {
            let why = format!("there is a workload {} of component {owner}", self.name);
            let next = "choose another name by --component";
            return Err(Error::Image { image: self.image.clone(), why, next });
        }
        Ok(Former { component, workload })
    }

    /// Makes both objects, or gives those that are there what is wanted.
    pub(super) async fn apply(&self, door: &Door, former: &Former) -> Result<(), Error> {
        // Who may give a component another image may not change the component, which is not needed either.
        if !former.component.as_ref().is_some_and(|there| self.is_as_wanted(there)) {
            door.put("components", &self.component()).await?;
        }
        door.put("workloads", &self.workload()).await
    }

    pub(super) fn is_as_wanted(&self, component: &Value) -> bool {
        let wanted = self.component();
        let [mut label, mut spec] =
            [component["metadata"]["labels"].clone(), component["spec"].clone()];
        merge(&mut label, &wanted["metadata"]["labels"]);
        merge(&mut spec, &wanted["spec"]);
        component["metadata"]["labels"] == label && component["spec"] == spec
    }

    /// Whether the image has changed and its name has not: then nothing would replace the pods.
    pub(super) fn is_new_under_an_old_name(&self, former: &Value) -> bool {
        let known = former["metadata"]["annotations"][IMAGE_ID].as_str();
        let mut wanted = former["spec"].clone();
        merge(&mut wanted, &self.workload()["spec"]);
        former["spec"] == wanted && self.id.is_some() && known != self.id.as_deref()
    }

    /// The component's release bindings.
    pub(super) async fn bindings(&self, client: &Client) -> Result<Vec<DynamicObject>, Error> {
        let bindings = api(client, "ReleaseBinding", "releasebindings", NAMESPACE);
        let found = bindings.list(&ListParams::default()).await;
        let found = found.map_err(refused("list the release bindings"))?.items;
        let own = |binding: &DynamicObject| {
            binding.data["spec"]["owner"]["componentName"] == self.name.as_str()
        };
        Ok(found.into_iter().filter(own).collect())
    }

    pub(super) fn component(&self) -> Value {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1",
            "kind": "Component",
            "metadata": {
                "name": self.name,
                "namespace": NAMESPACE,
                "labels": {MANAGED_BY: MANAGER},
            },
            "spec": {
                "owner": {"projectName": self.project},
                "componentType": {"kind": "ClusterComponentType", "name": "deployment/service"},
                "autoDeploy": true,
            },
        })
    }

    pub(super) fn workload(&self) -> Value {
        json!({
            "apiVersion": "openchoreo.dev/v1alpha1",
            "kind": "Workload",
            "metadata": {
                "name": self.name,
                "namespace": NAMESPACE,
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
}

/// Where a binding's endpoint answers from outside.
pub(super) fn url(binding: &DynamicObject, gateway: &str) -> Option<String> {
    let endpoints = binding.data["status"]["endpoints"].as_array();
    endpoints.into_iter().flatten().find_map(|one| external(one, gateway))
}

/// The name of a component that runs `image`: the last part of the image's name, as far as it can be one.
///
/// # Errors
/// A name of which nothing is left.
pub(super) fn name_of(image: &str) -> Result<String, Error> {
    let (path, _) = parts(image);
    let last = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let plain: String =
        last.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    let plain = plain.trim_matches(|char: char| char == '-' || char.is_ascii_digit());
    let short = plain.get(..LONGEST).unwrap_or(plain).trim_end_matches('-');
    if short.is_empty() {
        let why = "nothing of its name can name a component".to_owned();
        let next = "choose a name by --component";
        return Err(Error::Image { image: image.to_owned(), why, next });
    }
    Ok(short.to_owned())
}

/// Whether two references name the same image once what people leave out is filled in.
pub(super) fn same(one: &str, other: &str) -> bool {
    let full = |reference: &str| {
        let (path, version) = parts(reference);
        let path = path.strip_prefix("docker.io/").unwrap_or(path);
        let path = path.strip_prefix("library/").unwrap_or(path);
        (path.to_owned(), version.unwrap_or(":latest").to_owned())
    };
    full(one) == full(other)
}

/// `name` and `:tag` or `@digest`, if there is one.
fn parts(image: &str) -> (&str, Option<&str>) {
    if let Some(at) = image.find('@') {
        return (&image[..at], Some(&image[at..]));
    }
    match image.rfind(':') {
        Some(at) if !image[at..].contains('/') => (&image[..at], Some(&image[at..])),
        _ => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_named_after_its_image() {
        for (image, name) in [
            ("my:dev", "my"),
            ("docker.io/library/my_app:1.2", "my-app"),
            ("localhost:5000/team/Shop.Web@sha256:0123", "shop-web"),
            ("registry:5000/api", "api"),
        ] {
            assert_eq!(name_of(image).unwrap(), name, "{image}");
        }
        assert!(name_of("x/123").unwrap_err().to_string().contains("--component"));
        assert_eq!(name_of(&"a".repeat(200)).unwrap().len(), LONGEST);
    }

    #[test]
    fn what_people_leave_out_of_a_reference_is_filled_in() {
        assert!(same("my:dev", "docker.io/library/my:dev"));
        assert!(same("my", "docker.io/library/my:latest"));
        assert!(!same("my:1", "my:2") && !same("other/my", "my"));
    }

    #[test]
    fn the_same_name_for_another_image_needs_a_restart() {
        let app = |id: Option<&str>, port| App {
            name: "my".to_owned(),
            project: "default".to_owned(),
            image: "my:dev".to_owned(),
            id: id.map(str::to_owned),
            port,
        };
        let mut former = app(Some("sha256:1"), 80).workload();
        former["spec"]["container"]["env"] = json!([{"key": "A", "value": "somebody's"}]);
        assert!(app(Some("sha256:2"), 80).is_new_under_an_old_name(&former));
        assert!(!app(Some("sha256:1"), 80).is_new_under_an_old_name(&former));
        assert!(!app(Some("sha256:2"), 81).is_new_under_an_old_name(&former), "it is new anyway");
        assert!(!app(None, 80).is_new_under_an_old_name(&former), "nobody knows");
    }
}
