//! Having the image of a container, as its pull policy wants it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Container;

use super::Worker;
use crate::node::images::Reference;
use crate::node::pods::build::{Images, Source};
use crate::node::pods::events::Severity;
use crate::node::pods::pulling::{self, Pulls, Step};
use crate::node::pods::pulls::Answer;
use crate::node::pods::runtime::State;
use crate::node::registry::Keyring;

/// How often the image store is looked at for an image that a pod waits for: it may be loaded meanwhile.
const LOOK_FOR_IMAGE: Duration = Duration::from_secs(1);
/// How long a failed pull is shown as such before the wait for the next one is.
const SHOW_FAILURE: Duration = Duration::from_secs(2);

/// News of a pull: what it was for, which image, what became of it.
pub(super) type PullNews = (String, String, Answer);

/// An image that a container needs: its own, or that of a volume.
struct Wanted {
    container: Container,
    /// What the container's pulls of it are known by: its name, or `NAME/VOLUME`.
    key: String,
    image: String,
    policy: Option<String>,
}

impl Worker {
    /// The image to start a container from now; `None` while it is not there, which the container's state tells.
    pub(super) async fn image(&mut self, container: &Container) -> Option<Source> {
        let wanted = Wanted {
            container: container.clone(),
            key: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            policy: container.image_pull_policy.clone(),
        };
        self.have(wanted).await
    }

    /// The images that a container mounts, by volume; `None` while one is not there.
    pub(super) async fn volume_images(&mut self, container: &Container) -> Option<Images> {
        let mounts = container.volume_mounts.iter().flatten();
        let names: BTreeSet<&str> = mounts.map(|mount| mount.name.as_str()).collect();
        let volumes = self.spec.volumes.clone().unwrap_or_default();
        let mut images = Images::new();
        for volume in volumes.iter().filter(|volume| names.contains(volume.name.as_str())) {
            let Some(source) = &volume.image else { continue };
            let wanted = Wanted {
                container: container.clone(),
                key: format!("{}/{}", container.name, volume.name),
                image: source.reference.clone().unwrap_or_default(),
                policy: source.pull_policy.clone(),
            };
            images.insert(volume.name.clone(), self.have(wanted).await?);
        }
        Some(images)
    }

    /// Whether an image of a container is on its way.
    pub(super) fn is_pulling(&self, container: &Container) -> bool {
        let own = |key: &str| key.split('/').next() == Some(container.name.as_str());
        self.pulls.iter().any(|(key, pulls)| own(key) && pulls.running)
    }

    async fn have(&mut self, wanted: Wanted) -> Option<Source> {
        let Wanted { container, key, image, policy } = &wanted;
        let policy = policy.as_deref();
        let attempt = self.runtimes.get(&container.name).map_or(0, |runtime| runtime.attempt);
        let pulls = self.pulls.entry(key.clone()).or_default();
        if pulls.image != *image {
            *pulls = Pulls::of(image);
        }
        if pulls.running {
            return None;
        }
        let fresh = pulls.done_for == Some(attempt);
        let reference = match image.parse::<Reference>() {
            Ok(reference) => reference,
            Err(error) => {
                let why = format!("Failed to apply default image tag {image:?}: {error}");
                self.lack(container, "InvalidImageName", &why, ("InspectFailed", &why));
                return None;
            }
        };
        let found = match Source::find(&self.ctx.config, &reference) {
            Ok(found) => found,
            Err(error) => {
                let why = format!("Failed to inspect image {image:?}: {error}");
                self.lack(container, "ImageInspectError", &why, ("InspectFailed", &why));
                return None;
            }
        };
        match (pulling::step(policy, found.as_ref(), fresh), found) {
            (Step::Use, Some(found)) => {
                if !fresh {
                    let text = pulling::present(image, policy, &found);
                    self.tell(container, Severity::Normal, "Pulled", text);
                }
                return Some(found);
            }
            (Step::Lack, _) => {
                let load = self.ctx.config.command("image load FILE");
                let why =
                    format!("Container image {image:?} is not present with pull policy of Never");
                let message = format!("{why}: load it with `{load}`, or let the policy pull it");
                self.lack(container, "ErrImageNeverPull", &message, ("ErrImageNeverPull", &why));
            }
            _ => self.pull(wanted, reference).await,
        }
        None
    }

    /// Begins to pull, or goes on resting.
    async fn pull(&mut self, wanted: Wanted, reference: Reference) {
        let Wanted { container, key, image, .. } = wanted;
        let now = Instant::now();
        let Some(pulls) = self.pulls.get_mut(&key) else { return };
        if let Some((why, until)) = pulls.resting(now) {
            let message = format!("Back-off pulling image {image:?}: ErrImagePull: {why}");
            let at = until.min(now + LOOK_FOR_IMAGE);
            if self.hold_until(&container, "ImagePullBackOff", &message, at) {
                let text = format!("Back-off pulling image {image:?}");
                self.tell(&container, Severity::Normal, "BackOff", text);
                let error = "Error: ImagePullBackOff".to_owned();
                self.tell(&container, Severity::Warning, "Failed", error);
            }
            return;
        }
        pulls.running = true;
        let keyring = self.keyring(&container).await;
        self.tell(&container, Severity::Normal, "Pulling", format!("Pulling image {image:?}"));
        let pull = self.ctx.puller.pull(reference, keyring);
        let news = self.pull_news.0.clone();
        tokio::spawn(async move {
            // The pod may be gone.
            let _ = news.send((key, image, pull.await));
        });
    }

    /// A pull has ended.
    pub(super) fn pulled(&mut self, (key, image, answer): PullNews) {
        let name = key.split('/').next().unwrap_or_default();
        let (Some(container), Some(runtime)) = (self.find(name), self.runtimes.get(name)) else {
            return;
        };
        let attempt = runtime.attempt;
        let Some(pulls) = self.pulls.get_mut(&key).filter(|pulls| pulls.image == image) else {
            return;
        };
        match answer {
            Ok(done) => {
                pulls.succeeded(attempt);
                let text = pulling::succeeded(&image, done.took, done.with_wait, done.size);
                self.tell(&container, Severity::Normal, "Pulled", text);
            }
            Err(why) => {
                pulls.fail(&why, Instant::now());
                let text = format!("Failed to pull image {image:?}: {why}");
                self.tell(&container, Severity::Warning, "Failed", text.clone());
                self.tell(&container, Severity::Warning, "Failed", "Error: ErrImagePull".into());
                let load = self.ctx.config.command("image load FILE");
                let message =
                    format!("{text}; without a registry, `{load}` gives the image to this machine");
                self.hold_until(
                    &container,
                    "ErrImagePull",
                    &message,
                    Instant::now() + SHOW_FAILURE,
                );
            }
        }
    }

    /// Who the pod is to registries.
    async fn keyring(&self, container: &Container) -> Keyring {
        let mut keyring = Keyring::default();
        let mut missing = Vec::new();
        for secret in self.spec.image_pull_secrets.iter().flatten() {
            let content = match self.objects.secret(&secret.name, false).await {
                Ok(content) => content.unwrap_or_default(),
                Err(error) => {
                    tracing::debug!(%error, "a secret for pulling images cannot be read");
                    missing.push(secret.name.as_str());
                    continue;
                }
            };
            let added =
                match (content.bytes.get(".dockerconfigjson"), content.bytes.get(".dockercfg")) {
                    (Some(json), _) => keyring.add_config_json(json),
                    (None, Some(json)) => keyring.add_config(json),
                    (None, None) => {
                        Err("it has neither .dockerconfigjson nor .dockercfg".to_owned())
                    }
                };
            if let Err(why) = added {
                let text = format!("Secret {:?} cannot be used to pull images: {why}", secret.name);
                self.tell(container, Severity::Warning, "FailedToRetrieveImagePullSecret", text);
            }
        }
        if !missing.is_empty() {
            let text = format!(
                "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                missing.join(", ")
            );
            self.tell(container, Severity::Warning, "FailedToRetrieveImagePullSecret", text);
        }
        keyring
    }

    /// An image that cannot be had until something changes. What has not changed is not told again.
    fn lack(
        &mut self,
        container: &Container,
        reason: &'static str,
        message: &str,
        (event, text): (&'static str, &str),
    ) {
        if self.hold_until(container, reason, message, Instant::now() + LOOK_FOR_IMAGE) {
            self.tell(container, Severity::Warning, event, text.to_owned());
            self.tell(container, Severity::Warning, "Failed", format!("Error: {reason}"));
        }
    }

    /// Has a container wait; whether that is news.
    pub(super) fn hold_until(
        &mut self,
        container: &Container,
        reason: &'static str,
        message: &str,
        at: Instant,
    ) -> bool {
        let Some(runtime) = self.runtimes.get_mut(&container.name) else {
            return false;
        };
        runtime.start_at = Some(at);
        let state = State::Waiting { reason, message: Some(message.to_owned()) };
        let news = runtime.state != state;
        runtime.state = state;
        news
    }

    pub(super) fn tell(
        &self,
        container: &Container,
        severity: Severity,
        reason: &'static str,
        text: String,
    ) {
        self.ctx.events.report(&self.pod, Some(&container.name), severity, reason, text);
    }
}
