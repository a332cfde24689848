//! Containers that were added to a running pod, to look at it.
//!
//! They start at once, whatever the others do, never again, and the pod is what it is without them.

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, PodSpec};

/// All of them, each as a container like the others.
pub(super) fn containers(spec: &PodSpec) -> Vec<Container> {
    spec.ephemeral_containers.iter().flatten().map(container).collect()
}

/// The container whose processes it is to see.
pub(super) fn target<'a>(spec: &'a PodSpec, name: &str) -> Option<&'a str> {
    let own = spec.ephemeral_containers.iter().flatten().find(|one| one.name == name)?;
    own.target_container_name.as_deref().filter(|target| !target.is_empty())
}

/// What these may say of what containers may say.
fn container(one: &EphemeralContainer) -> Container {
    let one = one.clone();
    Container {
        name: one.name,
        image: one.image,
        image_pull_policy: one.image_pull_policy,
        command: one.command,
        args: one.args,
        working_dir: one.working_dir,
        env: one.env,
        env_from: one.env_from,
        volume_mounts: one.volume_mounts,
        volume_devices: one.volume_devices,
        security_context: one.security_context,
        stdin: one.stdin,
        stdin_once: one.stdin_once,
        tty: one.tty,
        termination_message_path: one.termination_message_path,
        termination_message_policy: one.termination_message_policy,
        ..Container::default()
    }
}
