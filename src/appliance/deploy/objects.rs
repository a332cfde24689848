//! The component and its workload, as they are in an instance.

use curtain_deploy::{App, Taken, component_name};
use kube::{
    Client,
    api::{DynamicObject, ListParams},
};
use serde_json::Value;

use super::{NAMESPACE, door::Door};
use crate::{
    Error,
    demo::{api, external},
    identity::refused,
};

/// What was there before.
pub(super) struct Former {
    pub(super) component: Option<Value>,
    pub(super) workload: Option<Value>,
}

/// What of `app` is there.
///
/// # Errors
/// What has to stay, and whatever `door` does not let one see.
pub(super) async fn former(app: &App, door: &Door) -> Result<Former, Error> {
    let component = door.find("components", &app.name).await?;
    let workload = door.find("workloads", &app.name).await?;
    match app.taken(component.as_ref(), workload.as_ref()) {
        None => Ok(Former { component, workload }),
        Some(Taken::Foreign(component)) => Err(Error::Foreign { component }),
        Some(taken) => {
            let next = match taken {
                Taken::Elsewhere { .. } => {
                    "name that one by --project, or another component by --component"
                }
                _ => "choose another name by --component",
            };
            Err(Error::Image { image: app.image.clone(), why: taken.to_string(), next })
        }
    }
}

/// Makes both objects, or gives those that are there what is wanted.
pub(super) async fn apply(app: &App, door: &Door, former: &Former) -> Result<(), Error> {
    // Who may give a component another image may not change the component, which is not needed either.
    if !former.component.as_ref().is_some_and(|there| app.is_as_wanted(there)) {
        door.put("components", &app.component()).await?;
    }
    door.put("workloads", &app.workload()).await
}

/// The component's release bindings.
pub(super) async fn bindings(app: &App, client: &Client) -> Result<Vec<DynamicObject>, Error> {
    let bindings = api(client, "ReleaseBinding", "releasebindings", NAMESPACE);
    let found = bindings.list(&ListParams::default()).await;
    let found = found.map_err(refused("list the release bindings"))?.items;
    let own = |binding: &DynamicObject| {
        binding.data["spec"]["owner"]["componentName"] == app.name.as_str()
    };
    Ok(found.into_iter().filter(own).collect())
}

/// Where a binding's endpoint answers from outside.
pub(super) fn url(binding: &DynamicObject, gateway: &str) -> Option<String> {
    let endpoints = binding.data["status"]["endpoints"].as_array();
    endpoints.into_iter().flatten().find_map(|one| external(one, gateway))
}

/// The name of a component that runs `image`.
///
/// # Errors
/// An image of whose name nothing can name a component.
pub(super) fn name_of(image: &str) -> Result<String, Error> {
    component_name(image).ok_or_else(|| {
        let why = "nothing of its name can name a component".to_owned();
        Error::Image { image: image.to_owned(), why, next: "choose a name by --component" }
    })
}
