//! Sample systems: bundles that are deployed on request, as a user would, and broken to see what happens.

mod breaking;
mod image;

use std::time::{Duration, Instant};

use curtain_bundle::{Bundle, Installer, format::Role};
use kube::{
    Api,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
};
use serde_json::Value;

use crate::{
    Error,
    access::{Access, probe},
    identity::refused,
    steps::bundle::instance_scope,
};

pub use breaking::{Broken, Healed, Healing, Still, break_service, heal};
pub use curtain_demo::{FAULTS, Fault, variables};

/// First pause between two tries of the URL; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How often it is looked for something that is lacking, and how long it must have been.
const LOOK: Duration = Duration::from_millis(250);
const SETTLED: Duration = Duration::from_secs(2);

/// The names of the sample systems.
///
/// # Errors
/// A broken bundle.
pub fn names() -> Result<Vec<String>, Error> {
    let bundles = Bundle::all(Role::Demo)?;
    Ok(bundles.iter().map(|bundle| bundle.name().to_owned()).collect())
}

/// Deploys the sample system called `name`, waits until it answers with success, and returns its URL.
///
/// # Errors
/// An unknown name, or a system that does not answer within `timeout`.
pub async fn deploy(access: &Access, name: &str, timeout: Duration) -> Result<String, Error> {
    let started = Instant::now();
    let left = || timeout.saturating_sub(started.elapsed());
    let bundle = known(name)?;
    let client = access.kube().await?;
    let installer = Installer::new(client.clone());
    let scope = instance_scope(access.instance(), access.endpoints());
    installer.install(&bundle, &scope, left()).await?;
    tokio::select! {
        ready = installer.ready(&bundle, left(), &|_| ()) => ready?,
        obstacle = obstacle(&client, &bundle) => return Err(obstacle),
    }
    let url = url(&client, &bundle, &access.endpoints().gateway).await?;
    answering(&url, left(), |status| matches!(status, 200..=299)).await?;
    Ok(url)
}

/// Waits until `url` answers with a status that is `good`.
///
/// # Errors
/// None within `timeout`.
pub(crate) async fn answering(
    url: &str,
    timeout: Duration,
    good: impl Fn(u16) -> bool,
) -> Result<(), Error> {
    let started = Instant::now();
    let left = || timeout.saturating_sub(started.elapsed());
    let mut pause = FIRST_PAUSE;
    loop {
        let last = match probe(url, left().min(Duration::from_secs(5))).await {
            Ok(status) if good(status) => return Ok(()),
            Ok(status) => format!("it answers {status}"),
            Err(error) => error.to_string(),
        };
        if left().is_zero() {
            return Err(Error::Timeout { what: format!("{url} ({last})"), waited: timeout });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Removes the sample system called `name`, waits until it is gone, and returns how many objects that were.
///
/// # Errors
/// An unknown name, a cluster that does not answer, or an object that is still there after `timeout`.
pub async fn remove(access: &Access, name: &str, timeout: Duration) -> Result<usize, Error> {
    let bundle = known(name)?;
    Ok(Installer::new(access.kube().await?).uninstall(bundle.name(), timeout).await?)
}

fn known(name: &str) -> Result<Bundle, Error> {
    let demos = Bundle::all(Role::Demo)?;
    let known = demos.iter().map(Bundle::name).collect::<Vec<_>>().join(", ");
    let found = demos.into_iter().find(|bundle| bundle.name() == name);
    found.ok_or_else(|| Error::UnknownDemo { name: name.to_owned(), known })
}

/// The platform's objects of one kind in one namespace.
pub(crate) fn api(
    client: &kube::Client,
    kind: &str,
    plural: &str,
    namespace: &str,
) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource(kind, plural))
}

/// The platform's objects of `kind` in every namespace.
pub(crate) fn everywhere(client: &kube::Client, kind: &str, plural: &str) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &resource(kind, plural))
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    let kind = GroupVersionKind::gvk("openchoreo.dev", "v1alpha1", kind);
    ApiResource::from_gvk_with_plural(&kind, plural)
}

/// Waits until a component of `bundle` lacks something that does not come by itself, and returns that.
async fn obstacle(client: &kube::Client, bundle: &Bundle) -> Error {
    let components = bundle.of_kind("Component");
    let mut since: Option<(String, Instant)> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let mut found = None;
        for (namespace, name) in &components {
            let component = api(client, "Component", "components", namespace).get_opt(name).await;
            // Whether the cluster answers at all is for whoever waits for the goals to say.
            let lacking = component.ok().flatten().and_then(|object| lacking(&object.data));
            found = found.or(lacking.map(|why| (format!("component {name}"), why)));
        }
        // What was only just applied may be looked at before what it needs.
        match (found, &since) {
            (Some((what, why)), Some((known, at))) if why == *known => {
                if at.elapsed() >= SETTLED {
                    return Error::Lacking { what, why };
                }
            }
            (found, _) => since = found.map(|(_, why)| (why, Instant::now())),
        }
    }
}

/// What `component` lacks that nothing of its own bundle brings, in its controller's words.
fn lacking(component: &Value) -> Option<String> {
    let conditions = component.pointer("/status/conditions")?.as_array()?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready")?;
    let reason = ready["reason"].as_str()?;
    let lacks =
        ready["status"] == "False" && reason.ends_with("NotFound") && reason != "WorkloadNotFound";
    lacks.then(|| ready["message"].as_str().unwrap_or(reason).to_owned())
}

/// Where the first release binding of the system answers from outside.
async fn url(client: &kube::Client, bundle: &Bundle, gateway: &str) -> Result<String, Error> {
    let missing = |why: String| Error::Unreachable { what: format!("demo {}", bundle.name()), why };
    let (namespace, name) = bundle
        .first_goal("ReleaseBinding")
        .ok_or_else(|| missing("it has no release binding".to_owned()))?;
    let bindings = api(client, "ReleaseBinding", "releasebindings", &namespace);
    let binding = bindings.get(&name).await.map_err(refused("read the release binding"))?;
    let endpoints = binding.data["status"]["endpoints"].as_array();
    let external = endpoints.into_iter().flatten().find_map(|one| external(one, gateway));
    external.ok_or_else(|| missing("its release binding names no external URL".to_owned()))
}

/// The form of an endpoint's URL that needs no name lookup: `http://localhost:PORT/@<first host label>/…`.
pub(crate) fn external(endpoint: &Value, gateway: &str) -> Option<String> {
    let http = endpoint.pointer("/externalURLs/http")?;
    let label = http["host"].as_str()?.split('.').next()?;
    let path = http["path"].as_str().unwrap_or("/").trim_start_matches('/');
    let slash = if path.is_empty() || path.ends_with('/') { "" } else { "/" };
    Some(format!("{gateway}/@{label}/{path}{slash}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_url_needs_no_name_lookup() {
        let endpoint = json!({ "name": "http", "externalURLs": { "http": {
            "host": "development-default.openchoreoapis.localhost", "port": 19080, "path": "/greeter-http" } } });
        let url = external(&endpoint, "http://localhost:19080").unwrap();
        assert_eq!(url, "http://localhost:19080/@development-default/greeter-http/");
        assert_eq!(external(&json!({ "name": "internal" }), "http://localhost:19080"), None);
    }

    #[test]
    fn only_what_does_not_come_by_itself_is_lacking() {
        let component = |status: &str, reason: &str| {
            json!({ "status": { "conditions": [
                { "type": "Ready", "status": status, "reason": reason, "message": "Project default does not exist" },
            ] } })
        };
        let why = lacking(&component("False", "ProjectNotFound"));
        assert_eq!(why.as_deref(), Some("Project default does not exist"));
        for (status, reason) in [
            ("False", "WorkloadNotFound"),
            ("False", "ResourcesProgressing"),
            ("True", "ComponentReleaseReady"),
        ] {
            assert_eq!(lacking(&component(status, reason)), None, "{reason}");
        }
        assert_eq!(lacking(&json!({})), None);
        assert_eq!(known("greeter").unwrap().of_kind("Component").len(), 1);
    }

    #[test]
    fn the_greeter_is_a_demo_and_no_part_of_the_platform() {
        assert_eq!(names().unwrap(), ["greeter", "shop"]);
        assert!(matches!(known("bazaar"), Err(Error::UnknownDemo { .. })));
    }
}
