//! One image as a component: given to the cluster where it is only on this machine, deployed, and waited for.
//!
//! What is deployed is what a person would write by hand: a `Component` and its `Workload`. The same again replaces it.
//! Both are written through the control plane's API as whoever asks, who must be allowed to before the cluster is given
//! the image. What the cluster is given takes no name from what others run.

mod claims;
mod door;
mod images;
mod leave;
mod objects;
mod origin;
mod reach;
mod rollout;

use std::time::Duration;

use curtain_deploy::{App, USUAL_PORT};
use curtain_provider::Surroundings;
use serde_json::json;

use crate::{
    Error,
    access::{ADMINISTRATOR, Access},
};
use door::Door;
use images::{Rule, have};
pub use origin::Origin;
use rollout::Rollout;

/// Where the platform's own objects of a new instance are.
const NAMESPACE: &str = "default";
/// Makes a binding replace its pods although their image has the name it had.
const RESTARTED_AT: &str = "openchoreo.dev/restartedAt";

/// What to deploy.
pub struct Deploy<'a> {
    /// Who deploys: a user or an agent of the instance.
    pub who: &'a str,
    /// The image.
    pub origin: Origin,
    /// The component; by default, the image's last name.
    pub name: Option<String>,
    /// Where the program listens; by default, where the image says.
    pub port: Option<u16>,
    /// The project it belongs to.
    pub project: &'a str,
    /// Where an Engine may be.
    pub around: &'a Surroundings,
}

/// What was deployed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Deployed {
    /// The component.
    pub component: String,
    /// Its project.
    pub project: String,
    /// The image it runs.
    pub image: String,
    /// Where it listens in its pod.
    pub port: u16,
    /// Where the image was: `engine`, `archive`, `cluster` or `registry`.
    pub from: &'static str,
    /// Where it answers.
    pub url: String,
}

/// Seconds that [`deploy`] usually gets: an image may be large.
pub const USUAL: u64 = 300;

/// Deploys an image, waits until every pod of the component runs it and it answers, and tells where.
///
/// # Errors
/// An image that cannot be had, a component of this name that somebody else made, or one that does not get ready; then
/// with what its container says, and at which other port something listens. [`Error::Denied`] if `deploy.who` may not.
pub async fn deploy(
    access: &Access,
    deploy: Deploy<'_>,
    timeout: Duration,
) -> Result<Deployed, Error> {
    let started = std::time::Instant::now();
    let left = || timeout.saturating_sub(started.elapsed());
    let client = access.kube().await?;
    let door = Door::of(access, deploy.who).await?;
    door.has_project(deploy.project).await?;
    let app = |name: String, image: &str, id: Option<String>, port: u16| {
        let (namespace, project) = (NAMESPACE.to_owned(), deploy.project.to_owned());
        App { name, namespace, project, image: image.to_owned(), id, port }
    };
    let named = match (&deploy.name, &deploy.origin) {
        (Some(name), _) => Some(name.clone()),
        (None, Origin::Name(image)) => Some(objects::name_of(image)?),
        // What an archive holds is known once it has been read.
        (None, Origin::Archive(_)) => None,
    };
    if let Some(name) = &named {
        let image = match &deploy.origin {
            Origin::Name(image) => image,
            Origin::Archive(_) => "the archive",
        };
        let app = app(name.clone(), image, None, deploy.port.unwrap_or(USUAL_PORT));
        leave::ask_leave(&app, &door, &objects::former(&app, &door).await?).await?;
    }
    let rule = match (&named, deploy.who) {
        (_, ADMINISTRATOR) => Rule::of_all(access),
        (Some(name), _) => Rule::of_others(access, &client, (deploy.project, name)).await?,
        (None, _) => {
            let (image, why) = ("the archive".to_owned(), "no component is named".to_owned());
            return Err(Error::Image { image, why, next: "name one by --component" });
        }
    };
    let found = have(access, deploy.origin, deploy.around, rule).await?;
    let port = found.port(deploy.port)?;
    let name = named.map_or_else(|| objects::name_of(&found.reference), Ok)?;
    if let (true, Some(id)) = (found.given, &found.id) {
        let key = claims::key(deploy.project, &name);
        claims::claim(&client, &key, &found.reference, id).await?;
    }
    let app = app(name, &found.reference, found.id, port);
    let former = objects::former(&app, &door).await?;
    objects::apply(&app, &door, &former).await?;
    let restarted = match former.workload {
        Some(former) if app.is_new_under_an_old_name(&former) => Some(restart(&door, &app).await?),
        _ => None,
    };
    let logs = door.allows(&["logs:view"], (&app.project, &app.name)).await?.contains(&true);
    let rollout = Rollout { app: &app, restarted, logs };
    let binding = rollout.done(&client, left()).await?;
    let url = objects::url(&binding, &access.endpoints().gateway).ok_or_else(|| {
        let why = "its release binding names no external URL".to_owned();
        Error::Unreachable { what: format!("component {}", app.name), why }
    })?;
    reach::answers(&client, &rollout, &found.ports, &url, left()).await?;
    let App { name, project, image, port, .. } = app;
    Ok(Deployed { component: name, project, image, port, from: found.from, url })
}

/// Has the component's bindings replace their pods; returns the mark of the new ones.
async fn restart(door: &Door, app: &App) -> Result<String, Error> {
    let now = jiff::Timestamp::now().to_string();
    for binding in door.of_component("releasebindings", &app.name).await? {
        let name = &binding["metadata"]["name"];
        let marked = json!({"metadata": {"name": name, "annotations": {RESTARTED_AT: now}}});
        door.put("releasebindings", &marked).await?;
    }
    Ok(now)
}
