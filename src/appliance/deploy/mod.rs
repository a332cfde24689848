//! One image as a component: given to the cluster where it is only on this machine, deployed, and waited for.
//!
//! What is deployed is what a person would write by hand: a `Component` and its `Workload`. The same again replaces it.
//! Both are written through the control plane's API as whoever asks, who must be allowed to before the cluster is given
//! the image.

mod door;
mod leave;
mod objects;
mod rollout;

use std::{io::Read, time::Duration};

use curtain_provider::{Image, Surroundings, local_image};
use serde_json::json;

use crate::{Error, access::Access, demo::answering};
use door::Door;
use objects::App;
use rollout::Rollout;

/// Where the platform's own objects of a new instance are.
const NAMESPACE: &str = "default";
/// Who applies; also the value of the label that marks what is replaced by the same again.
const MANAGER: &str = "curtain-deploy";
/// A label of every component that was made this way.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The port of an image that names none.
const USUAL_PORT: u16 = 8080;
/// Makes a binding replace its pods although their image has the name it had.
const RESTARTED_AT: &str = "openchoreo.dev/restartedAt";
/// On the workload: the image's own digest, which tells whether a name means something new.
const IMAGE_ID: &str = "curtain.dev/image-id";

/// Where the image comes from.
pub enum Origin {
    /// A docker-save or OCI archive.
    Archive(Box<dyn Read + Send>),
    /// A name: of an image in the machine's Docker Engine, in the cluster, or in a registry that its nodes can reach.
    Name(String),
}

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

/// An image that the cluster has or can have.
struct Found {
    reference: String,
    /// Its digest, where it is known.
    id: Option<String>,
    ports: Vec<u16>,
    from: &'static str,
}

/// Deploys an image, waits until every pod of the component runs it and it answers, and tells where.
///
/// # Errors
/// An image that cannot be had, a component of this name that somebody else made, or one that does not get ready; then
/// with what its container says. [`Error::Denied`] if `deploy.who` may not.
pub async fn deploy(
    access: &Access,
    deploy: Deploy<'_>,
    timeout: Duration,
) -> Result<Deployed, Error> {
    let started = std::time::Instant::now();
    let left = || timeout.saturating_sub(started.elapsed());
    let client = access.kube().await?;
    let door = Door::of(access, deploy.who).await?;
    let app = |name: String, image: &str, id: Option<String>, port: u16| {
        let (project, image) = (deploy.project.to_owned(), image.to_owned());
        App { name, project, image, id, port }
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
        app.ask_leave(&door, &app.former(&door).await?).await?;
    }
    let found = have(access, deploy.origin, deploy.around).await?;
    let port = found.port(deploy.port)?;
    let name = named.map_or_else(|| objects::name_of(&found.reference), Ok)?;
    let app = app(name, &found.reference, found.id, port);
    let former = app.former(&door).await?;
    app.apply(&door, &former).await?;
    let restarted = match former.workload {
        Some(former) if app.is_new_under_an_old_name(&former) => Some(restart(&door, &app).await?),
        _ => None,
    };
    let rollout = Rollout { app: &app, restarted };
    let binding = rollout.done(&client, left()).await?;
    let url = objects::url(&binding, &access.endpoints().gateway).ok_or_else(|| {
        let why = "its release binding names no external URL".to_owned();
        Error::Unreachable { what: format!("component {}", app.name), why }
    })?;
    // What it answers to a request for its root is its own business, but the gateway must not answer for it.
    answering(&url, left(), |status| !matches!(status, 502..=504)).await?;
    let App { name, project, image, port, .. } = app;
    Ok(Deployed { component: name, project, image, port, from: found.from, url })
}

impl Found {
    /// The port that is `wanted`, or else the one the image names.
    fn port(&self, wanted: Option<u16>) -> Result<u16, Error> {
        match (wanted, self.ports.as_slice()) {
            (Some(port), _) | (None, &[port]) => Ok(port),
            (None, []) => Ok(USUAL_PORT),
            (None, several) => {
                let several: Vec<_> = several.iter().map(u16::to_string).collect();
                let why = format!("it names several ports ({})", several.join(", "));
                let image = self.reference.clone();
                Err(Error::Image { image, why, next: "choose one by --port" })
            }
        }
    }
}

/// Sees to it that the cluster has the image, as far as this machine can.
async fn have(access: &Access, origin: Origin, around: &Surroundings) -> Result<Found, Error> {
    let instance = access.instance();
    let spec = access.cluster();
    let provider = curtain_provider::by_name(&instance.provider)?;
    let name = match origin {
        Origin::Archive(reader) => {
            let loaded = provider.load_image(&spec, reader).await?;
            let (reference, id) = only(&loaded)?;
            return Ok(Found { reference, id: Some(id), ports: Vec::new(), from: "archive" });
        }
        Origin::Name(name) => name,
    };
    if let Some(local) = local_image(around, &name).await? {
        let loaded = provider.load_image(&spec, local.archive()).await?;
        let (reference, id) = only(&loaded)?;
        return Ok(Found { reference, id: Some(id), ports: local.ports, from: "engine" });
    }
    let there = provider.images(&spec).await?;
    let has = |image: &&Image| image.references.iter().any(|one| objects::same(one, &name));
    let (id, from) = match there.iter().find(has) {
        Some(image) => (Some(image.id.clone()), "cluster"),
        None => (None, "registry"),
    };
    Ok(Found { reference: name, id, ports: Vec::new(), from })
}

/// Name and digest of the one image in an archive.
fn only(loaded: &[Image]) -> Result<(String, String), Error> {
    let mut named = loaded
        .iter()
        .flat_map(|image| image.references.iter().map(|name| (name.clone(), image.id.clone())));
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        (first, _) => Err(Error::Image {
            image: "the archive".to_owned(),
            why: match first {
                None => "it has no image with a name".to_owned(),
                Some(_) => "it has more than one image or name".to_owned(),
            },
            next: "save one image by its name: `docker save NAME:TAG`",
        }),
    }
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
