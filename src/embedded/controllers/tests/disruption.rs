//! Budgets of pods, and what evictions take from them.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use kube::api::EvictParams;

use super::*;

fn budget(app: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels":{"app":app}});
    json!({"metadata":{"name":app},"spec":spec})
}

async fn seen(world: &World, what: &str, test: impl Fn(&PodDisruptionBudgetStatus) -> bool) {
    let budgets: Api<PodDisruptionBudget> = world.api();
    until(&budgets, what, |budgets| budgets[0].status.as_ref().is_some_and(&test)).await;
}

#[tokio::test]
async fn evictions_take_from_the_budget_until_the_pods_are_back() {
    let world = World::new().await;
    let pods: Api<Pod> = world.api();
    world.create::<Deployment>(deployment("web", 2, "i")).await;
    world.create::<PodDisruptionBudget>(budget("web", json!({"minAvailable":"100%"}))).await;
    seen(&world, "all are needed", |status| {
        (status.expected_pods, status.current_healthy, status.disruptions_allowed)
            == (Some(2), Some(2), Some(0))
    })
    .await;
    let name = pods.list(&Default::default()).await.expect("lists").items[0].name_any();
    let refused = pods.evict(&name, &EvictParams::default()).await.expect_err("is refused");
    let kube::Error::Api(refused) = refused else { panic!("{refused}") };
    let causes = refused.details.as_ref().map(|details| details.causes.clone()).unwrap_or_default();
    assert_eq!((refused.code, causes[0].reason.as_str()), (429, "DisruptionBudget"));
    let words = "The disruption budget web needs 2 healthy pods and has 2 currently";
    assert_eq!(causes[0].message, words);

    let budgets: Api<PodDisruptionBudget> = world.api();
    let half = Patch::Merge(json!({"spec":{"minAvailable":"50%"}}));
    budgets.patch("web", &PatchParams::default(), &half).await.expect("patches");
    let one = |status: &PodDisruptionBudgetStatus| {
        (status.expected_pods, status.current_healthy, status.disruptions_allowed)
            == (Some(2), Some(2), Some(1))
            && status.disrupted_pods.is_none()
    };
    seen(&world, "one may go", one).await;
    let post_options = PostParams { dry_run: true, ..PostParams::default() };
    let dry = EvictParams { post_options, ..EvictParams::default() };
    pods.evict(&name, &dry).await.expect("would go");
    assert!(one(&budgets.get("web").await.expect("a budget").status.expect("a status")));
    pods.evict(&name, &EvictParams::default()).await.expect("goes");
    until(&pods, "it has gone", |pods| pods.iter().all(|pod| pod.name_any() != name)).await;
    seen(&world, "another one may go", one).await;
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_allowed_where_nobody_knows_how_many_there_should_be() {
    let world = World::new().await;
    let selector = json!({"matchLabels":{"app":"agent"}});
    let template = json!({"metadata":{"labels":{"app":"agent"}},"spec":{"containers":[{"name":"c","image":"i"}]}});
    let set = json!({"metadata":{"name":"agent"},"spec":{"selector":selector,"template":template}});
    world.create::<DaemonSet>(set).await;
    world.create::<PodDisruptionBudget>(budget("agent", json!({"maxUnavailable":1}))).await;
    seen(&world, "a failure", |status| {
        status.conditions.iter().flatten().any(|condition| {
            condition.reason == "SyncFailed"
                && condition.message == "daemonsets.apps does not implement the scale subresource"
        })
    })
    .await;
    said(&world, "CalculateExpectedPodCountFailed", "Failed to calculate the number").await;
    world.stop().await;
}
