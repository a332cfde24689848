//! Images that the embedded cluster pulls from a registry, seen with kubectl.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use curtain_e2e::{Clients, Instance, Registry, busybox_archive, eventually, get};

const LIMIT: Duration = Duration::from_secs(60);

/// A pod that needs the Secret `registry` for its image.
fn pod(name: &str, image: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 1     # busybox has no handler for SIGTERM
  imagePullSecrets: [{{name: registry}}]
  containers: [{{name: web, image: "{image}", readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}}}]
"#
    )
}

#[test]
fn kubectl_runs_an_image_of_a_registry_and_sees_why_another_does_not_come() {
    // The registries are there before the instance, which leaves nothing.
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("web.tar");
    busybox_archive(&archive, "docker.io/team/web:v1", "from the registry").unwrap();
    let registry = Registry::of(&archive, "team/web", Some(("ann", "hunter2")));
    let open = Registry::of(&archive, "team/shelf", None);
    let instance = Instance::up();
    let kubectl = |args: &[&str]| instance.kubectl(Clients::KUBECTLS[1], args);
    let server = format!("--docker-server={}", registry.host());
    let secret = ["create", "secret", "docker-registry", "registry", &server];
    let who = ["--docker-username=ann", "--docker-password=hunter2"];
    kubectl(&[&secret[..], &who].concat()).success();
    let (good, wrong) =
        (format!("{}:v1", registry.repository()), format!("{}:none", registry.repository()));
    for (name, image) in [("good", &good), ("wrong", &wrong)] {
        let file = instance.scratch().join(format!("{name}.yaml"));
        std::fs::write(&file, pod(name, image)).unwrap();
        kubectl(&["apply", "-f", file.to_str().unwrap()]).success();
    }
    let waits = "jsonpath={.status.containerStatuses[0].state.waiting['reason', 'message']}";
    for reason in ["ErrImagePull", "ImagePullBackOff"] {
        let seen = eventually(reason, LIMIT, || {
            let seen = kubectl(&["get", "pod", "wrong", "-o", waits]).success();
            if seen.starts_with(reason) { Ok(seen) } else { Err(seen) }
        });
        assert!(seen.contains("has no image team/web:none: check its name and tag"), "{seen}");
    }
    kubectl(&["wait", "--for=condition=Ready", "pod/good", "--timeout=60s"]).success();
    let page = kubectl(&["exec", "good", "--", "wget", "-qO-", "http://127.0.0.1:8080/"]).success();
    assert_eq!(page, "from the registry\n");
    let events = ["events", "--no-headers"];
    let told = eventually("the story of both pods", LIMIT, || {
        let told = kubectl(&events).success();
        let all = ["Pulling image", "Successfully pulled", "Failed to pull", "Back-off pulling"];
        if all.iter().all(|text| told.contains(text)) { Ok(told) } else { Err(told) }
    });
    assert!(!told.contains("hunter2"), "{told}");

    // As a component, from a registry that lets everybody in; what it does not have is refused before anything is made.
    let image = format!("{}:v1", open.repository());
    let url = instance.curtain(&["deploy", "--image", &image]).success();
    assert_eq!(get(url.trim()).unwrap().body, "from the registry\n");
    let missing = format!("{}:none", open.repository());
    let refused = instance.curtain(&["deploy", "--image", &missing, "--component", "lost"]);
    assert!(
        refused.code == 3 && refused.stderr.contains("has no image team/shelf:none"),
        "{refused:?}"
    );
    let components = kubectl(&["get", "components", "-o", "name"]).success();
    assert!(!components.contains("lost"), "nothing is made: {components}");
    instance.down();
}
