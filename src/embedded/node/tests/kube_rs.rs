//! A controller as people write it with kube-rs: a kind of its own, a finalizer, owned objects by server-side apply, and
//! watches that begin with a streamed list.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResource;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event as Finalizer, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(CustomResource, Debug, Clone, Serialize, Deserialize)]
#[kube(group = "shelves.example", version = "v1", kind = "Shelf", plural = "shelves")]
#[kube(namespaced, schema = "disabled")]
struct ShelfSpec {
    boards: u32,
}

struct Shared {
    client: Client,
    cleaned: AtomicUsize,
}

/// The ConfigMap of a shelf, which it owns.
async fn apply(shelf: Arc<Shelf>, shared: Arc<Shared>) -> Result<Action, kube::Error> {
    let name = shelf.name_any();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": [shelf_owner(&shelf)]},
        "data": {"boards": shelf.spec.boards.to_string()}});
    let maps = Api::<ConfigMap>::default_namespaced(shared.client.clone());
    maps.patch(&name, &PatchParams::apply("shelves").force(), &Patch::Apply(&map)).await?;
    Ok(Action::await_change())
}

fn shelf_owner(shelf: &Shelf) -> serde_json::Value {
    use kube::Resource as _;
    serde_json::to_value(shelf.controller_owner_ref(&())).unwrap()
}

async fn reconcile(
    shelf: Arc<Shelf>,
    shared: Arc<Shared>,
) -> Result<Action, kube::runtime::finalizer::Error<kube::Error>> {
    let shelves = Api::<Shelf>::default_namespaced(shared.client.clone());
    finalizer(&shelves, "shelves.example/clean", shelf, |event| async {
        match event {
            Finalizer::Apply(shelf) => apply(shelf, shared).await,
            Finalizer::Cleanup(_) => {
                shared.cleaned.fetch_add(1, Ordering::Relaxed);
                Ok(Action::await_change())
            }
        }
    })
    .await
}

async fn serve_kind(client: &Client) {
    let spec =
        json!({"type": "object", "properties": {"boards": {"type": "integer", "minimum": 1}}});
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "shelves.shelves.example"},
        "spec": {"group": "shelves.example", "scope": "Namespaced", "versions": [version],
            "names": {"kind": "Shelf", "plural": "shelves", "singular": "shelf"}},
    }))
    .unwrap();
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    let established =
        await_condition(definitions, "shelves.shelves.example", conditions::is_crd_established());
    tokio::time::timeout(PATIENCE, established).await.expect("it is established").unwrap();
}

#[tokio::test]
async fn a_controller_finalizes_owns_and_applies() {
    let cluster = TestCluster::new("kubers");
    start(&cluster);
    let client = client(&cluster).await;
    serve_kind(&client).await;
    let shared = Arc::new(Shared { client: client.clone(), cleaned: AtomicUsize::new(0) });
    let shelves = Api::<Shelf>::default_namespaced(client.clone());
    let maps = Api::<ConfigMap>::default_namespaced(client.clone());
    let streamed = watcher::Config::default().streaming_lists();
    let controller = Controller::new(shelves.clone(), streamed.clone())
        .owns(maps.clone(), streamed)
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_millis(100)), shared.clone())
        .for_each(|_| std::future::ready(()));
    let controller = tokio::spawn(controller);

    let too_small = Shelf::new("none", ShelfSpec { boards: 0 });
    let refused = shelves.create(&PostParams::default(), &too_small).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 422), "{refused}");
    shelves
        .create(&PostParams::default(), &Shelf::new("tall", ShelfSpec { boards: 3 }))
        .await
        .unwrap();
    let boards = async |wanted: &str| {
        eventually("the map says how many boards there are", async || {
            let map = maps.get_opt("tall").await.unwrap()?;
            (map.data?.get("boards").map(String::as_str) == Some(wanted)).then_some(())
        })
        .await;
    };
    boards("3").await;

    // Both kinds are watched: what somebody else does to the map is undone.
    let other = Patch::Merge(json!({"data": {"boards": "9"}}));
    maps.patch("tall", &PatchParams::default(), &other).await.unwrap();
    boards("3").await;
    let more = Patch::Merge(json!({"spec": {"boards": 4}}));
    shelves.patch("tall", &PatchParams::default(), &more).await.unwrap();
    boards("4").await;

    shelves.delete("tall", &DeleteParams::default()).await.unwrap();
    eventually("the shelf and its map are gone", async || {
        let shelf = shelves.get_opt("tall").await.unwrap();
        let map = maps.get_opt("tall").await.unwrap();
        (shelf.is_none() && map.is_none()).then_some(())
    })
    .await;
    assert_eq!(shared.cleaned.load(Ordering::Relaxed), 1);
    controller.abort();
}
