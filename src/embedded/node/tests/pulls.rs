//! Pods whose images come from a registry.

use k8s_openapi::api::core::v1::{ContainerStateWaiting, Secret};

use super::*;
use crate::node::registry::tests::server::{Access, PASSWORD, Registry, USER};

const IMAGE: &str = "team/app";

fn pulling(name: &str, image: &str, policy: &str) -> serde_json::Value {
    let mut pod = pod(name, &[]);
    pod["spec"]["imagePullSecrets"] = json!([{"name": "none"}, {"name": "registry"}]);
    pod["spec"]["containers"][0] = json!({"name": "main", "image": image,
        "imagePullPolicy": policy, "command": ["/bin/app"]});
    pod
}

async fn put_secret(client: &Client, host: &str) {
    let auths = json!({"auths": {host: {"username": USER, "password": PASSWORD}}}).to_string();
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "registry"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": auths}}))
    .unwrap();
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    secrets.create(&PostParams::default(), &secret).await.unwrap();
}

async fn waiting(api: &Api<Pod>, name: &str) -> Option<ContainerStateWaiting> {
    api.get(name).await.ok()?.status?.container_statuses?.remove(0).state?.waiting
}

/// Waits until the pod's only container, whose image cannot be run, has been tried.
async fn tried(api: &Api<Pod>, name: &str) -> String {
    let ended = eventually("the container is tried", async || {
        let status = api.get(name).await.ok()?.status?.container_statuses?.remove(0);
        status.state?.terminated
    });
    ended.await.message.unwrap()
}

async fn told(client: &Client, pod: &str, reason: &str, part: &str) {
    let events: Api<Event> = Api::default_namespaced(client.clone());
    eventually(&format!("{reason} {part} of {pod} is told"), async || {
        let events = events.list(&ListParams::default()).await.ok()?.items;
        let mut of_pod = events.iter().filter(|event| {
            event.involved_object.name.as_deref() == Some(pod)
                && event.reason.as_deref() == Some(reason)
        });
        of_pod
            .any(|event| event.message.as_ref().is_some_and(|text| text.contains(part)))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_image_is_pulled_once_for_all_pods_that_wait_for_it() {
    let cluster = TestCluster::new("pull");
    start(&cluster);
    let client = client(&cluster).await;
    let registry = Registry::start(Access::Bearer).await;
    let layer = tar_of(&[("bin/app", b"not a program".repeat(10_000).as_slice())]);
    let (_, layers) = registry.put_image(IMAGE, "1", std::slice::from_ref(&layer));
    put_secret(&client, &registry.address.to_string()).await;
    let image = registry.reference("team/app:1");
    let names = ["one", "two", "three"];
    for name in names {
        create(&client, pulling(name, &image, "IfNotPresent")).await;
    }
    let api: Api<Pod> = Api::default_namespaced(client.clone());
    for name in names {
        let said = tried(&api, name).await;
        assert!(said.contains("/bin/app"), "{said}");
    }
    let path = format!("/v2/{IMAGE}/blobs/{}", layers[0]);
    assert_eq!(registry.served(&path), layer.len());
    told(&client, "one", "Pulling", "Pulling image \"127.0.0.1:").await;
    told(&client, "one", "Pulled", "Successfully pulled image").await;
    told(&client, "one", "FailedToRetrieveImagePullSecret", "secrets (none); attempting").await;

    // The image is there: the policies that ask nobody ask nobody, the other asks whether it is the same still.
    let asked = registry.seen(&format!("/v2/{IMAGE}/manifests/1")).len();
    create(&client, pulling("never", &image, "Never")).await;
    tried(&api, "never").await;
    told(&client, "never", "Pulled", "already present on machine").await;
    assert_eq!(registry.seen(&format!("/v2/{IMAGE}/manifests/1")).len(), asked);
    create(&client, pulling("always", &image, "Always")).await;
    tried(&api, "always").await;
    assert!(registry.seen(&format!("/v2/{IMAGE}/manifests/1")).len() > asked);
    assert_eq!(registry.served(&path), layer.len());

    // Another one by the same name.
    let newer = tar_of(&[("bin/newer", b"x")]);
    registry.put_image(IMAGE, "1", &[layer.clone(), newer]);
    create(&client, pulling("again", &image, "Always")).await;
    tried(&api, "again").await;
    let stored = crate::images::find(&cluster.config.home, &image).unwrap().unwrap();
    assert_eq!((stored.layers.len(), stored.pulled), (2, true));
    assert_eq!(registry.served(&path), layer.len(), "the layer that is there does not come again");
    let left = std::fs::read_dir(cluster.path("images/pulls")).unwrap().count();
    assert_eq!(left, 0, "what is stored does not wait any more");
}

#[tokio::test]
async fn what_cannot_be_pulled_is_told_as_a_kubelet_tells_it() {
    let cluster = TestCluster::new("nopull");
    start(&cluster);
    let client = client(&cluster).await;
    let registry = Registry::start(Access::Anybody).await;
    let api =
        create(&client, pulling("wrong", &registry.reference("team/app:none"), "Always")).await;
    create(&client, pulling("never", &registry.reference("team/app:2"), "Never")).await;
    create(&client, pulling("bad", "Upper:x:y", "Always")).await;
    for (name, reason, part) in [
        ("wrong", "ErrImagePull", "has no image team/app:none: check its name and tag"),
        ("wrong", "ImagePullBackOff", "Back-off pulling image"),
        ("never", "ErrImageNeverPull", "is not present with pull policy of Never: load it with"),
        ("bad", "InvalidImageName", "Upper"),
    ] {
        let waits = eventually(&format!("{name} waits with {reason}"), async || {
            waiting(&api, name).await.filter(|waits| waits.reason.as_deref() == Some(reason))
        })
        .await;
        let message = waits.message.unwrap();
        assert!(message.contains(part), "{message}");
    }
    told(&client, "wrong", "Failed", "Failed to pull image").await;
    told(&client, "wrong", "Failed", "Error: ErrImagePull").await;
    told(&client, "wrong", "BackOff", "Back-off pulling image").await;
    told(&client, "never", "Failed", "Error: ErrImageNeverPull").await;

    // A pod that waits for a pull is not in the way of its own end.
    api.delete("wrong", &DeleteParams::default()).await.unwrap();
    eventually("the pod is gone", async || {
        api.get_opt("wrong").await.ok()?.is_none().then_some(())
    })
    .await;
}
