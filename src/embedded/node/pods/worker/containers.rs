//! Starting containers that are due, and what follows from their ends and probes.

use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use kube::ResourceExt;

use super::Worker;
use crate::node::link::Ended;
use crate::node::pods::build::{self, Images, Inputs, Source};
use crate::node::pods::check::Target;
use crate::node::pods::environment;
use crate::node::pods::ephemeral;
use crate::node::pods::events::Severity;
use crate::node::pods::hooks::{self, BeforeEnd};
use crate::node::pods::probe::{self, Kind, News, What};
use crate::node::pods::runtime::{Restart, Runtime, State, Terminated, is_sidecar};
use crate::node::sandbox::{ContainerSpec, Processes};
use crate::node::shim::{Exit, StopHook};

const CONFIG_AGAIN: Duration = Duration::from_secs(1);
const LOG_TAIL: u64 = 2048;

impl Worker {
    /// Starts what was added to the pod, and init containers one after the other, then all others.
    pub(super) async fn start_due(&mut self) {
        // A wait that is over must not wake us again while the container waits for another one.
        let now = Instant::now();
        for runtime in self.runtimes.values_mut() {
            runtime.start_at = runtime.start_at.filter(|at| *at > now);
        }
        for container in ephemeral::containers(&self.spec) {
            self.runtimes.entry(container.name.clone()).or_insert_with(Runtime::new);
            self.start_if_due(&container).await;
        }
        let init = self.spec.init_containers.clone().unwrap_or_default();
        for container in &init {
            let done = |runtime: &Runtime| runtime.finished().is_some_and(|end| end.exit_code == 0);
            if self.runtime(container).is_some_and(done) {
                continue;
            }
            self.start_if_due(container).await;
            let goes_on = is_sidecar(container)
                && self.runtime(container).is_some_and(|runtime| runtime.started);
            if !goes_on && !self.main_has_started() {
                return;
            }
        }
        for container in self.spec.containers.clone() {
            self.start_if_due(&container).await;
        }
    }

    fn runtime(&self, container: &Container) -> Option<&Runtime> {
        self.runtimes.get(&container.name)
    }

    fn main_has_started(&self) -> bool {
        self.spec.containers.iter().filter_map(|one| self.runtime(one)).any(|runtime| {
            runtime.last.is_some() || !matches!(runtime.state, State::Waiting { .. })
        })
    }

    async fn start_if_due(&mut self, container: &Container) {
        let due = self.runtime(container).is_some_and(|runtime| {
            matches!(runtime.state, State::Waiting { .. })
                && runtime.start_at.is_none_or(|at| at <= Instant::now())
        });
        if due {
            self.start(container).await;
        }
    }

    async fn start(&mut self, container: &Container) {
        if self.is_pulling(container) {
            return;
        }
        let Some(images) = self.volume_images(container).await else {
            return;
        };
        let Some(source) = self.image(container).await else {
            return;
        };
        if let Processes::Of(other) = build::processes(&self.spec, container)
            && !self.runtimes.get(&other).is_some_and(Runtime::is_running)
        {
            let why = format!("container {other:?}, whose processes it is to see, does not run");
            return self.hold(container, "CreateContainerError", &why);
        }
        let attempt = self.runtime(container).map_or(0, |runtime| runtime.attempt);
        let spec = match self.build(container, attempt, (&source, &images)).await {
            Ok(spec) => spec,
            Err(message) => {
                return self.hold(container, "CreateContainerConfigError", &message);
            }
        };
        let Some(sandbox) = &self.sandbox else {
            return;
        };
        let name = container.name.as_str();
        let events = &self.ctx.events;
        let tell = |severity, reason, message: String| {
            events.report(&self.pod, Some(name), severity, reason, message);
        };
        let link = sandbox.link.clone();
        match link.start(spec).await {
            Ok(at) => {
                tell(Severity::Normal, "Created", format!("Container created: {name}"));
                tell(Severity::Normal, "Started", format!("Container started: {name}"));
                let image_id = source.id(&self.ctx.config);
                if let Some(runtime) = self.runtimes.get_mut(name) {
                    runtime.running(at, image_id, starts_slowly(container));
                    runtime.ready = runtime.started && container.readiness_probe.is_none();
                }
                self.follow_start(container);
                // It writes while others are started.
                self.post();
            }
            Err(error) => {
                let message = error.to_string();
                let mut sources = images.values().chain([&source]);
                if !sources.all(|one| one.is_there(&self.ctx.config)) {
                    // One was removed after it was found: the next look pulls it, or says why not.
                    return self.hold(container, "CreateContainerError", &message);
                }
                tell(Severity::Warning, "Failed", format!("Error: {message}"));
                let terminated = Terminated::unseen("StartError", &message, 128);
                self.apply_end(container, terminated);
            }
        }
    }

    async fn build(
        &self,
        container: &Container,
        attempt: u32,
        (source, images): (&Source, &Images),
    ) -> Result<ContainerSpec, String> {
        let image = source.config();
        let environment = environment::build(
            container,
            &image.env,
            self.fields(),
            &build::hostname(&self.pod),
            self.ctx.config.api_service_ip(),
            &self.objects,
        )
        .await?;
        let volumes = self.volumes.clone().unwrap_or_default();
        build::container(&Inputs {
            config: &self.ctx.config,
            pod: &self.pod,
            container,
            attempt,
            source,
            images,
            environment: &environment,
            volumes: &volumes,
            places: &self.places,
            memory: self.ctx.machine.memory,
        })
    }

    /// A container that cannot be started now.
    fn hold(&mut self, container: &Container, reason: &'static str, message: &str) {
        if self.hold_until(container, reason, message, Instant::now() + CONFIG_AGAIN) {
            let text = format!("Error: {reason}: {message}");
            self.tell(container, Severity::Warning, "Failed", text);
        }
    }

    /// A container runs: does what it wants done after its start, and then probes it.
    pub(super) fn follow_start(&mut self, container: &Container) {
        let Some(runtime) = self.runtime(container).filter(|runtime| !runtime.started) else {
            return self.start_probing(container);
        };
        let attempt = runtime.attempt;
        let hook = hooks::after_start(container).cloned();
        let (Some(hook), Some(target)) = (hook, self.target(container)) else {
            return self.start_probing(container);
        };
        let running = hooks::run(hook, attempt, target, &self.news.0);
        self.probing.insert(container.name.clone(), running);
    }

    fn target(&self, container: &Container) -> Option<Target> {
        let sandbox = self.sandbox.as_ref()?;
        Some(Target {
            container: container.clone(),
            pod_ip: sandbox.ip,
            network: self.ctx.network.clone(),
            link: sandbox.link.clone(),
        })
    }

    fn start_probing(&mut self, container: &Container) {
        let (Some(target), Some(runtime)) = (self.target(container), self.runtime(container))
        else {
            return;
        };
        let probing = probe::start(container, runtime.attempt, target, &self.news.0);
        if let Some(probing) = probing {
            self.probing.insert(container.name.clone(), probing);
        }
    }

    /// A container, or the shim with all of them, has ended.
    pub(super) async fn ended(&mut self, ended: Option<Ended>) {
        match ended {
            Some(Ended::Container { name, attempt, exit }) => {
                let current = self
                    .runtimes
                    .get(&name)
                    .is_some_and(|runtime| runtime.is_running() && runtime.attempt == attempt);
                let Some(container) = self.find(&name).filter(|_| current) else {
                    return;
                };
                let message = self.last_words(&container, attempt, &exit);
                self.apply_end(&container, Terminated::of(&exit, message));
            }
            Some(Ended::Hook { name, message }) => {
                let text = format!("PreStopHook failed: {message}");
                let name = Some(name.as_str());
                let reason = "FailedPreStopHook";
                self.ctx.events.report(&self.pod, name, Severity::Warning, reason, text);
            }
            Some(Ended::Shim) | None => self.shim_ended(),
        }
    }

    fn shim_ended(&mut self) {
        let Some(sandbox) = self.sandbox.take() else {
            return;
        };
        self.release(&sandbox);
        self.probing.clear();
        // What was in memory is gone with the shim; the next one gets all of it anew.
        self.volumes = None;
        if self.ending.is_none() && !self.removed {
            let message = "Pod sandbox changed, it will be killed and re-created.";
            self.ctx.events.report(&self.pod, None, Severity::Normal, "SandboxChanged", message);
        }
        for container in self.containers() {
            if self.runtime(&container).is_some_and(Runtime::is_running) {
                let message = "The container ended with the pod's sandbox";
                self.apply_end(&container, Terminated::unseen("Error", message, 137));
            }
        }
    }

    /// A container has ended: it waits for its next start, or is finished.
    pub(super) fn apply_end(&mut self, container: &Container, terminated: Terminated) {
        let restart = match self.ending {
            Some(_) => Restart::Never,
            None => Restart::of(&self.spec, container),
        };
        self.probing.remove(&container.name);
        let name = container.name.as_str();
        let (pod, namespace) = (self.pod.name_any(), self.pod.namespace().unwrap_or_default());
        let Some(runtime) = self.runtimes.get_mut(name) else {
            return;
        };
        let describe = |wait: Duration| {
            let seconds = wait.as_secs();
            format!(
                "back-off {seconds}s restarting failed container={name} pod={pod}_{namespace}({})",
                self.uid
            )
        };
        runtime.ended(terminated, restart, Instant::now(), describe);
        if matches!(runtime.state, State::Waiting { reason: "CrashLoopBackOff", .. }) {
            let message = format!(
                "Back-off restarting failed container {name} in pod {pod}_{namespace}({})",
                self.uid
            );
            self.ctx.events.report(&self.pod, Some(name), Severity::Warning, "BackOff", message);
        }
    }

    /// The termination message: the container's file, else the end of its log if it asked for that.
    fn last_words(&self, container: &Container, attempt: u32, exit: &Exit) -> Option<String> {
        if exit.message.is_some() {
            return exit.message.clone();
        }
        let fallback = container.termination_message_policy.as_deref()
            == Some("FallbackToLogsOnError")
            && exit.code != 0;
        if !fallback {
            return None;
        }
        let log = read_tail(&self.places.log(&container.name, attempt), LOG_TAIL * 2)?;
        let lines = log.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
        let text = lines.collect::<Vec<_>>().join("\n");
        let begin = text.len().saturating_sub(LOG_TAIL as usize);
        let begin = (begin..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        Some(text[begin..].to_owned())
    }

    /// News from a probe.
    pub(super) async fn probed(&mut self, news: News) {
        let News { container: name, attempt, kind, what } = news;
        let Some(container) = self.find(&name) else {
            return;
        };
        let Some(runtime) = self.runtimes.get_mut(&name) else {
            return;
        };
        if !runtime.is_running() || runtime.attempt != attempt {
            return;
        }
        let events = &self.ctx.events;
        match (kind, what) {
            (Kind::Startup, What::Passed) => {
                runtime.started = true;
                runtime.ready = container.readiness_probe.is_none();
            }
            (Kind::Readiness, What::Passed) => runtime.ready = true,
            (Kind::Readiness, What::Failed(_)) => runtime.ready = false,
            (Kind::Liveness, What::Passed) => {}
            (Kind::PostStart, What::Passed) => {
                runtime.started = container.startup_probe.is_none();
                runtime.ready = runtime.started && container.readiness_probe.is_none();
                self.start_probing(&container);
            }
            (Kind::PostStart, What::Failed(message)) => {
                let text = format!("PostStartHook failed: {message}");
                let reason = "FailedPostStartHook";
                events.report(&self.pod, Some(&name), Severity::Warning, reason, text);
                self.probing.remove(&name);
                self.stop_container(&container, self.grace()).await;
            }
            (kind, What::Unhealthy(message)) => {
                let text = format!("{} probe failed: {message}", kind.name());
                events.report(&self.pod, Some(&name), Severity::Warning, "Unhealthy", text);
            }
            (kind @ (Kind::Startup | Kind::Liveness), What::Failed(_)) => {
                let text = format!(
                    "Container {name} failed {} probe, will be restarted",
                    kind.name().to_ascii_lowercase()
                );
                events.report(&self.pod, Some(&name), Severity::Normal, "Killing", text);
                let probe = match kind {
                    Kind::Startup => &container.startup_probe,
                    _ => &container.liveness_probe,
                };
                let own = probe.as_ref().and_then(|probe| probe.termination_grace_period_seconds);
                let own = own.map(|own| Duration::from_secs(u64::try_from(own).unwrap_or(0)));
                let grace = own.unwrap_or_else(|| self.grace());
                self.probing.remove(&name);
                self.stop_container(&container, grace).await;
            }
        }
    }

    /// The pod's own grace period.
    pub(super) fn grace(&self) -> Duration {
        let seconds = self.spec.termination_grace_period_seconds.unwrap_or(30);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    /// Asks a container to end.
    pub(super) async fn stop_container(&mut self, container: &Container, grace: Duration) {
        let Some(link) = self.sandbox.as_ref().map(|sandbox| sandbox.link.clone()) else {
            return;
        };
        let reference = container.image.as_deref().unwrap_or_default().parse().ok();
        let source = reference.and_then(|one| Source::find(&self.ctx.config, &one).ok()?);
        let own = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_ref());
        let signal = match (own, source) {
            (Some(own), _) => build::signal(own),
            (None, Some(source)) => build::signal(&source.config().stop_signal),
            (None, None) => libc::SIGTERM,
        };
        let (hook, handler) = match hooks::before_end(container) {
            Some(BeforeEnd::Shim(hook)) => (Some(hook), None),
            Some(BeforeEnd::Node(handler)) => (Some(StopHook::ENDLESS), Some(handler)),
            None => (None, None),
        };
        if let Err(error) = link.stop(&container.name, signal, grace, hook).await {
            tracing::debug!(container = container.name, %error, "stopping the container");
        } else if let Some(handler) = handler.filter(|_| !grace.is_zero()) {
            self.perform_before_end(container, *handler, (signal, grace));
        }
    }

    /// Does what comes before the end of a container, once, while its shim lets the time pass; then the shim is told.
    fn perform_before_end(
        &mut self,
        container: &Container,
        handler: LifecycleHandler,
        (signal, grace): (i32, Duration),
    ) {
        let (Some(target), Some(runtime)) = (self.target(container), self.runtime(container))
        else {
            return;
        };
        let attempt = runtime.attempt;
        if self.hooked.insert(container.name.clone(), attempt) == Some(attempt) {
            return;
        }
        let (ctx, pod) = (self.ctx.clone(), self.pod.clone());
        tokio::spawn(async move {
            let name = target.container.name.as_str();
            // At the end of the grace period the shim goes on by itself, and tells.
            let Ok(outcome) = tokio::time::timeout(grace, hooks::perform(&handler, &target)).await
            else {
                return;
            };
            if let Err(message) = outcome {
                let text = format!("PreStopHook failed: {message}");
                let reason = "FailedPreStopHook";
                ctx.events.report(&pod, Some(name), Severity::Warning, reason, text);
            }
            if let Err(error) = target.link.hook_over(name, signal, grace).await {
                tracing::debug!(container = name, %error, "going on with the container's end");
            }
        });
    }
}

/// Whether a container has more to do before it counts as started than to run.
pub(super) fn starts_slowly(container: &Container) -> bool {
    container.startup_probe.is_some() || hooks::after_start(container).is_some()
}

fn read_tail(path: &std::path::Path, limit: u64) -> Option<String> {
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit))).ok()?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
